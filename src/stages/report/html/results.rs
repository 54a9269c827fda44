//! What the models are worth.

use super::table::Group;
use super::{ALL, Page, distinct};
use crate::metrics::{Metric, bootstrap};
use crate::stages::evaluate::READER;
use crate::stages::report::charts;
use crate::stages::report::content::Model;
use crate::stages::report::text::{
    NONE, SLICE_PREFIX, decimal, decimals, escape, integer, interval, known, metric_title, p_value,
    signed, subgroup_title,
};
use crate::tables::Summary;
use std::fmt::Write as _;

/// Metrics of the subgroups' table; the others are in `summary`.
const OF_SUBGROUPS: [Metric; 3] = [Metric::Dice, Metric::Sensitivity, Metric::Hausdorff95];

impl Page<'_> {
    pub(super) fn results(&mut self) {
        self.section("results");
        let caption = format!(
            "Scores over nodules, in three dimensions. Mean with its 95% interval (bootstrap, {} \
             resamples of patients; drawn from 0 to 1, or to the largest distance); n: nodules for \
             which the metric is defined, of all; missed: nodules without any predicted voxel; \
             worst-case mean: a missed nodule counts with the diagonal of its region, or with no \
             overlap.",
            integer(bootstrap::RESAMPLES as u64)
        );
        self.scores(&caption, "");
        let note = self.ceiling_note();
        self.html.push_str(&note);
        let over_slices = |row: &Summary| row.metric.starts_with(SLICE_PREFIX);
        if self.content.summary.iter().any(over_slices) {
            self.scores(
                "Scores over slices, in their plane: slices with nodule or with prediction. \
                 Columns as before, for slices in place of nodules.",
                SLICE_PREFIX,
            );
        }
        self.figures_of_nodules();
    }

    /// A table of the metrics whose names start with a prefix.
    fn scores(&mut self, caption: &str, prefix: &str) {
        let mut groups = Vec::new();
        let readers = Model {
            model_id: READER.to_owned(),
            label: "Each reader against the others".to_owned(),
        };
        for metric in Metric::ALL {
            let name = format!("{prefix}{}", metric.name());
            let mut rows = Vec::new();
            for model in self.content.models.iter().chain([&readers]) {
                let Some(row) = self.row(model, &name, ALL) else { continue };
                let decimals = decimals(&name);
                rows.push(vec![
                    escape(&model.label),
                    format!("<b>{}</b>", decimal(row.mean, decimals)),
                    interval(row.ci_low, row.ci_high, decimals)
                        + &self.bar(&name, row.mean, [row.ci_low, row.ci_high]),
                    decimal(row.sd, decimals),
                    decimal(row.median, decimals),
                    format!("{} / {}", row.n_valid, row.n_total),
                    row.n_missed.to_string(),
                    decimal(row.worst_case_mean, decimals),
                ]);
            }
            rows.extend(self.ceiling_row(&name));
            groups.push(Group { name: Some(metric_title(&name)), rows });
        }
        let heads =
            ["Model", "Mean", "95% interval", "SD", "Median", "n", "Missed", "Worst-case mean"];
        self.table(caption, &heads, groups);
    }

    fn figures_of_nodules(&mut self) {
        if self.content.nodules.is_empty() || self.content.models.is_empty() {
            return;
        }
        let (models, nodules) = (&self.content.models, &self.content.nodules);
        let chart = charts::distribution(models, nodules);
        self.figure(
            &chart,
            "Dice of each nodule, by model",
            "Dice of each nodule: a point each, with the quartiles (box) and the median (line).",
        );
        let chart = charts::by_diameter(models, nodules);
        let legend = self.legend();
        self.figure(
            &(chart + &legend),
            "Dice of each nodule, by its diameter",
            "Dice of each nodule by its diameter. Crosses: nodules that were missed.",
        );
    }

    pub(super) fn comparisons(&mut self) {
        self.section("comparisons");
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
        self.section("subgroups");
        let rows = self.content.summary.iter().filter(|row| row.subgroup != ALL);
        let mut groups = Vec::new();
        for subgroup in distinct(rows.map(|row| &row.subgroup)) {
            let mut rows = Vec::new();
            for model in &self.content.models {
                let find = |metric: Metric| self.row(model, metric.name(), subgroup);
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

    fn legend(&self) -> String {
        let mut html = "<ul class=\"legend\">".to_owned();
        for (n, model) in self.content.models.iter().enumerate() {
            let _ = write!(
                html,
                "<li><span class=\"swatch s{}\"></span>{}</li>",
                n % charts::N_COLOURS,
                escape(&model.label)
            );
        }
        html + "</ul>"
    }

    /// A mean and its interval on a line from 0 to 1, or to the largest distance of the metric.
    pub(super) fn bar(&self, metric: &str, mean: Option<f64>, ends: [Option<f64>; 2]) -> String {
        /// Units from end to end.
        const LENGTH: f64 = 110.0;
        let end = if known(metric).is_some_and(Metric::is_distance) {
            let rows = self.content.summary.iter();
            let models = rows.filter(|r| r.subgroup == ALL && r.metric == metric);
            let readers = self.content.ceiling.pairwise.iter().filter(|r| r.metric == metric);
            let models = models.flat_map(|r| [r.mean, r.ci_high]);
            let values = models.chain(readers.flat_map(|r| [r.mean, r.ci_high]));
            values.flatten().fold(0.0, f64::max)
        } else {
            1.0
        };
        let at = |value: f64| 5.0 + LENGTH * (value / end).clamp(0.0, 1.0);
        let Some(mean) = mean.filter(|mean| mean.is_finite() && end > 0.0) else {
            return String::new();
        };
        let (low, high) = (ends[0].unwrap_or(mean), ends[1].unwrap_or(mean));
        format!(
            "<svg class=\"interval\" aria-hidden=\"true\" viewBox=\"0 0 120 12\" width=\"120\" \
             height=\"12\"><path class=\"scale\" d=\"M5 6H115M5 3V9M115 3V9\"/>\
             <path d=\"M{:.1} 6H{:.1}\"/><circle cx=\"{:.1}\" cy=\"6\" r=\"3\"/></svg>",
            at(low),
            at(high),
            at(mean)
        )
    }
}
