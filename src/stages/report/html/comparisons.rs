//! Comparisons of models, and metrics in subgroups of nodules.

use super::{ReportPage, cell, distinct, interval_of};
use crate::stages::report::content::ALL;
use crate::stages::report::names::{decimals, metric_title, subgroup_order, subgroup_title};
use crate::tables::{Comparison, Summary};
use maud::{Markup, html};
use nodulus_metrics::Metric;
use nodulus_pages::Group;
use nodulus_pages::text::{NONE, decimal, integer, interval_or, p_value, signed};

/// Metrics in the table of subgroups; the others are in `summary`.
const OF_SUBGROUPS: [Metric; 3] = [Metric::Dice, Metric::Sensitivity, Metric::Hausdorff95];

impl ReportPage<'_> {
    pub(super) fn comparisons(&mut self) {
        let by_metric = self.content.comparisons.chunk_by(|a, b| a.metric == b.metric);
        let groups = by_metric.map(|rows| Group {
            name: rows.first().map(|row| cell(metric_title(&row.metric))),
            rows: rows.iter().map(|row| self.difference(row)).collect(),
        });
        let groups = groups.collect();
        self.page.table(
            "Differences on the nodules for which both have a value. p: two-sided test of the mean difference, \
             which flips the signs of whole patients; corrected: by Holm over all rows of this table. The \
             readers are measured against the consensus of the others, models against that of all. Effect: \
             matched-pairs rank-biserial correlation over nodules, from −1 to 1.",
            &[
                "Difference",
                "Nodules (patients)",
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

    fn difference(&self, row: &Comparison) -> Vec<Markup> {
        let decimals = decimals(&row.metric);
        vec![
            html! { (self.label(&row.model_id)) " − " (self.label(&row.baseline_id)) },
            html! {
                (integer(row.n_nodules.unsigned_abs())) " (" (integer(row.n_patients.unsigned_abs())) ")"
            },
            cell(signed(row.mean_difference, decimals)),
            cell(interval_or(row.ci_low, row.ci_high, decimals, row.ci_missing_reason.as_deref())),
            cell(signed(row.median_difference, decimals)),
            cell(row.p_missing_reason.clone().unwrap_or_else(|| p_value(row.p))),
            cell(p_value(row.p_holm)),
            cell(signed(row.rank_biserial, 2)),
        ]
    }

    pub(super) fn subgroups(&mut self) {
        let rows = self.content.summary.iter().filter(|row| row.subgroup != ALL);
        let mut groups = Vec::new();
        let mut subgroups = distinct(rows.map(|row| &row.subgroup));
        subgroups.sort_by_key(|subgroup| subgroup_order(subgroup));
        for subgroup in subgroups {
            let mut rows = Vec::new();
            for model in &self.content.models {
                let find = |metric: Metric| self.of_subgroup(&model.model_id, metric, subgroup);
                let Some(first) = OF_SUBGROUPS.into_iter().find_map(find) else { continue };
                let metric = |metric: Metric| match find(metric) {
                    None => cell(NONE),
                    Some(row) => {
                        let decimals = decimals(metric.name());
                        html! {
                            (decimal(row.mean, decimals)) " "
                            small { (interval_of(row, decimals)) }
                        }
                    }
                };
                let names = [cell(&model.label), cell(first.n_total), cell(first.n_missed)];
                rows.push(names.into_iter().chain(OF_SUBGROUPS.map(metric)).collect());
            }
            groups.push(Group { name: Some(cell(subgroup_title(subgroup))), rows });
        }
        let titles = OF_SUBGROUPS.map(|metric| metric_title(metric.name()));
        let mut heads = vec!["Model", "Nodules", "Missed"];
        heads.extend(titles.iter().map(String::as_str));
        self.page.table(
            "Means with their 95% intervals in subgroups of nodules. The number of subgroups is not \
             corrected for.",
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
