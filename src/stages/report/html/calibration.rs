//! Calibration of the models' probabilities: that a pixel is nodule, and that a slice shows it.

use super::{ReportPage, cell, interval_of};
use crate::stages::report::charts;
use crate::stages::report::content::Calibration;
use maud::{Markup, html};
use nodulus_pages::text::{decimal, integer};
use nodulus_pages::{Chart, Group, charts_side_by_side};

/// Rows of `summary` of slices, in the order of the table's columns.
const METRICS: [&str; 3] = ["classifier_auc", "classifier_brier", "classifier_ece"];

impl ReportPage<'_> {
    pub(super) fn calibration(&mut self) {
        self.pixel_calibration();
        self.slice_calibration();
    }

    fn pixel_calibration(&mut self) {
        let calibration = &self.content.pixel_calibration;
        if calibration.is_empty() {
            self.page.add(html! { p { "Models with probabilities of pixels: none." } });
            return;
        }
        let charts = self.diagrams(calibration, "Share of pixels that are nodule", "pixels");
        let rows = self.calibration_numbers(calibration, &["pixel_ece"]);
        self.page.figure(
            charts_side_by_side(&charts),
            "Reliability of the probability that a pixel is nodule, a chart for each model: the share of pixels that \
             are nodule by their mean probability, for each tenth of the probabilities. Pixels of a probability under \
             0.01 are left out. Dashed: both are equal; bars: share of all pixels in that tenth.",
        );
        self.page.table(
            "Calibration of pixels in numbers. ECE: expected calibration error, the mean distance of the points from \
             the dashed line, weighted by pixels. 95% intervals by studentised bootstrap of patients.",
            &["Model", "Pixels", "ECE"],
            vec![Group { name: None, rows }],
        );
    }

    fn slice_calibration(&mut self) {
        let calibration = &self.content.calibration;
        if calibration.is_empty() {
            self.page.add(html! { p { "Models with a classifier of slices: none." } });
            return;
        }
        let charts = self.diagrams(calibration, "Share of slices with nodule", "classifier");
        let rows = self.calibration_numbers(calibration, &METRICS);
        self.page.figure(
            charts_side_by_side(&charts),
            "Reliability of the probability that a slice shows nodule, a chart for each model: the share of \
             slices that do show nodule by their mean probability, for each tenth of the probabilities. \
             Dashed: both are equal; bars: share of all slices in that tenth.",
        );
        self.page.table(
            "Calibration in numbers, over slices. AUC: area under the ROC curve, 1 where every slice with \
             nodule has a higher probability than every slice without; Brier: mean squared error; ECE: \
             expected calibration error, the mean distance of the points from the dashed line, weighted by \
             slices. 95% intervals by studentised bootstrap of patients.",
            &["Model", "Slices", "AUC", "Brier", "ECE"],
            vec![Group { name: None, rows }],
        );
    }

    /// A reliability diagram for each model.
    fn diagrams(&self, calibration: &[Calibration], share: &str, what: &str) -> Vec<Chart> {
        let chart = |row: &Calibration| {
            let position = self.position(&row.model_id).unwrap_or(0);
            let model = self.content.models.get(position);
            let name = model.map_or(&row.model_id, |model| &model.label);
            Chart {
                picture: charts::reliability(name, position, share, row),
                description: format!("Reliability of the {what}: {name}"),
            }
        };
        calibration.iter().map(chart).collect()
    }

    /// A row for each model: its name, its number of cases, and metrics of `summary`.
    fn calibration_numbers(
        &self,
        calibration: &[Calibration],
        metrics: &[&str],
    ) -> Vec<Vec<Markup>> {
        let row = |row: &Calibration| {
            let metric = |metric: &&str| match self.content.of_all(&row.model_id, metric) {
                None => cell(decimal(None, 3)),
                Some(row) => html! {
                    b { (decimal(row.mean, 3)) } " "
                    small { (interval_of(row, 3)) }
                },
            };
            let names = [cell(self.label(&row.model_id)), cell(integer(row.n))];
            names.into_iter().chain(metrics.iter().map(metric)).collect()
        };
        calibration.iter().map(row).collect()
    }
}
