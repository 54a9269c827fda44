//! Models against each other, and on parts of the nodules.

use super::table::Group;
use super::{Page, distinct};
use crate::stages::report::content::ALL;
use crate::stages::report::text::{
    NONE, decimal, decimals, escape, integer, interval, metric_title, p_value, signed,
    subgroup_title,
};
use crate::tables::Summary;
use nodulus_metrics::Metric;

/// Metrics of the subgroups' table; the others are in `summary`.
const OF_SUBGROUPS: [Metric; 3] = [Metric::Dice, Metric::Sensitivity, Metric::Hausdorff95];

impl Page<'_> {
    pub(super) fn comparisons(&mut self) {
        let mut groups: Vec<Group> = Vec::new();
        for comparison in &self.content.comparisons {
            let name = Some(metric_title(&comparison.metric));
            let decimals = decimals(&comparison.metric);
            let row = vec![
                format!(
                    "{} − {}",
                    self.label(&comparison.model_id),
                    self.label(&comparison.baseline_id)
                ),
                integer(comparison.n_pairs as u64),
                signed(comparison.mean_difference, decimals),
                interval(comparison.ci_low, comparison.ci_high, decimals),
                signed(comparison.median_difference, decimals),
                p_value(comparison.p),
                p_value(comparison.p_holm),
                signed(comparison.rank_biserial, 2),
            ];
            match groups.last_mut().filter(|group| group.name == name) {
                Some(group) => group.rows.push(row),
                None => groups.push(Group { name, rows: vec![row] }),
            }
        }
        self.table(
            "Differences on the same nodules, of those for which both models have a value. p: \
             Wilcoxon’s signed-rank test, two-sided; corrected: by Holm over every row of this \
             table. Effect: matched-pairs rank-biserial correlation, from −1 to 1.",
            &[
                "Difference",
                "Pairs",
                "Mean",
                "95% interval",
                "Median",
                "p",
                "p, corrected",
                "Effect",
            ],
            groups,
        );
    }

    pub(super) fn subgroups(&mut self) {
        let rows = self.content.summary.iter().filter(|row| row.subgroup != ALL);
        let mut groups = Vec::new();
        for subgroup in distinct(rows.map(|row| &row.subgroup)) {
            let mut rows = Vec::new();
            for model in &self.content.models {
                let find = |metric: Metric| self.of_subgroup(&model.model_id, metric, subgroup);
                let Some(first) = OF_SUBGROUPS.into_iter().find_map(find) else { continue };
                let mut row = vec![
                    escape(&model.label),
                    first.n_total.to_string(),
                    first.n_missed.to_string(),
                ];
                for metric in OF_SUBGROUPS {
                    let decimals = decimals(metric.name());
                    let cell = find(metric).map_or(NONE.to_owned(), |row| {
                        format!(
                            "{} <small>{}</small>",
                            decimal(row.mean, decimals),
                            interval(row.ci_low, row.ci_high, decimals)
                        )
                    });
                    row.push(cell);
                }
                rows.push(row);
            }
            groups.push(Group { name: Some(subgroup_title(subgroup)), rows });
        }
        let titles = OF_SUBGROUPS.map(|metric| metric_title(metric.name()));
        let mut heads = vec!["Model", "Nodules", "Missed"];
        heads.extend(titles.iter().map(String::as_str));
        self.table(
            "Means with their 95% intervals in subgroups of nodules. No correction for the number \
             of subgroups; an interval needs two patients.",
            &heads,
            groups,
        );
    }

    fn of_subgroup(&self, model_id: &str, metric: Metric, subgroup: &str) -> Option<&Summary> {
        self.content.summary.iter().find(|row| {
            row.model_id == model_id && row.metric == metric.name() && row.subgroup == subgroup
        })
    }
}
