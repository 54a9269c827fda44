//! Metrics of the models.

use super::{ReportPage, bold, cell, interval_of};
use crate::stages::evaluate::READER;
use crate::stages::report::charts;
use crate::stages::report::content::{ALL, NoduleResult, ReportModel};
use crate::stages::report::names::{RULE_PREFIXES, SLICE_PREFIX, decimals, known, metric_title};
use crate::tables::Summary;
use maud::{Markup, html};
use nodulus_metrics::{Metric, bootstrap};
use nodulus_pages::text::{decimal, integer};
use nodulus_pages::{Chart, Group, charts_side_by_side, interval_bar};

impl ReportPage<'_> {
    pub(super) fn results(&mut self) {
        let caption = format!(
            "Metrics over nodules, in three dimensions (3D), of the mask that is delivered. 95% interval of the \
             mean by studentised bootstrap ({} resamples of patients), drawn from 0 to 1, or to the largest distance; n: \
             nodules for which the metric is defined, of all; missed: nodules without a predicted voxel; worst-case mean: a missed nodule \
             counts with the diagonal of its region, or with an overlap of 0.",
            integer(bootstrap::RESAMPLES as u64)
        );
        self.metric_table(&caption, "");
        let note = self.ceiling_note();
        self.page.add(note);
        let over_slices = |row: &Summary| row.metric.starts_with(SLICE_PREFIX);
        if self.content.summary.iter().any(over_slices) {
            self.metric_table(
                "Metrics over slices, in their plane (2D), for slices with nodule or with prediction. Columns as \
                 above, with slices instead of nodules. Contour metrics of papers that segment slices are these.",
                SLICE_PREFIX,
            );
        }
        for (prefix, title) in RULE_PREFIXES {
            if self.content.summary.iter().any(|row| row.metric.starts_with(prefix)) {
                let caption = format!(
                    "{title}, in three dimensions (3D): not what is delivered. Columns as above."
                );
                self.metric_table(&caption, prefix);
            }
        }
    }

    /// A table of the metrics whose names start with a prefix.
    fn metric_table(&mut self, caption: &str, prefix: &str) {
        let mut groups = Vec::new();
        let readers = ReportModel {
            model_id: READER.to_owned(),
            label: "Each reader against the others (ceiling)".to_owned(),
            ..ReportModel::default()
        };
        for metric in Metric::ALL {
            let name = format!("{prefix}{}", metric.name());
            let mut rows = Vec::new();
            for model in self.content.models.iter().chain([&readers]) {
                let Some(row) = self.content.of_all(&model.model_id, &name) else { continue };
                let decimals = decimals(&name);
                rows.push(vec![
                    cell(&model.label),
                    bold(decimal(row.mean, decimals)),
                    html! {
                        (interval_of(row, decimals))
                        (self.bar(&name, row.mean, [row.ci_low, row.ci_high]))
                    },
                    cell(decimal(row.sd, decimals)),
                    cell(decimal(row.median, decimals)),
                    html! { (row.n_valid) " / " (row.n_total) },
                    cell(row.n_missed),
                    cell(decimal(row.worst_case_mean, decimals)),
                ]);
            }
            rows.extend(self.ceiling_row(&name));
            if !rows.is_empty() {
                groups.push(Group { name: Some(cell(metric_title(&name))), rows });
            }
        }
        let heads =
            ["Model", "Mean", "95% interval", "SD", "Median", "n", "Missed", "Worst-case mean"];
        self.page.table(caption, &heads, groups);
    }

    pub(super) fn distributions(&mut self) {
        let models: Vec<(&ReportModel, Vec<&NoduleResult>)> = self
            .content
            .models
            .iter()
            .map(|model| (model, self.results_of(&model.model_id)))
            // A mean over seeds has no prediction of its own.
            .filter(|(_, results)| !results.is_empty())
            .collect();
        if models.is_empty() {
            self.page.add(html! { p { "Evaluated nodules: none." } });
            return;
        }
        let of_metric = |metric: Metric| {
            let values = |results: &[&NoduleResult]| {
                results.iter().filter_map(|result| result.row.metrics.value(metric)).collect()
            };
            let rows: Vec<(&ReportModel, Vec<f64>)> =
                models.iter().map(|(model, results)| (*model, values(results))).collect();
            let readers = self.content.of_all(READER, metric.name()).and_then(|row| row.mean);
            let title = metric_title(metric.name());
            Chart {
                picture: charts::distribution(metric, &title, &rows, readers),
                description: format!("{title} by model"),
            }
        };
        let charts = Metric::ALL.map(of_metric);
        let largest = self.content.nodules.iter().map(|result| result.diameter_mm);
        let largest = largest.filter(|mm| mm.is_finite()).fold(0.0, f64::max);
        let of_model =
            |(position, (model, results)): (usize, &(&ReportModel, Vec<&NoduleResult>))| Chart {
                picture: charts::by_diameter(&model.label, position, results, largest),
                description: format!("Dice by diameter: {}", model.label),
            };
        let by_diameter: Vec<Chart> = models.iter().enumerate().map(of_model).collect();
        let caption = format!(
            "Each metric by model, over the nodules for which it is defined: box from the first to the \
             third quartile, line at the median, whiskers to the last nodule within 1.5 lengths of the \
             box. Each nodule is a point; with more than {} nodules, only those beyond the whiskers are \
             shown. Dashed: mean of each reader against the others, where readers were compared.",
            charts::MAX_POINTS
        );
        self.page.figure(charts_side_by_side(&charts), caption);
        self.page.figure(
            charts_side_by_side(&by_diameter),
            "Dice of each nodule by its diameter, a chart for each model. Crosses: missed nodules.",
        );
    }

    /// The results of a model.
    pub(super) fn results_of(&self, model_id: &str) -> Vec<&NoduleResult> {
        self.content.nodules.iter().filter(|result| result.row.model_id == model_id).collect()
    }

    /// A mean and its interval on a line from 0 to 1, or to the largest distance of the metric.
    pub(super) fn bar(&self, metric: &str, mean: Option<f64>, ends: [Option<f64>; 2]) -> Markup {
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
        interval_bar(end, mean, ends)
    }
}
