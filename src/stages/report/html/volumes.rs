//! Sizes of the predictions compared with the readers' consensus.

use super::{ReportPage, bold, cell, interval_of};
use crate::stages::report::charts;
use crate::stages::report::content::VolumeAgreement;
use maud::{Markup, html};
use nodulus_metrics::SizeMeasure;
use nodulus_pages::text::{NONE, decimal, integer, interval_or, signed};
use nodulus_pages::{Chart, Group, charts_side_by_side};

impl ReportPage<'_> {
    pub(super) fn volumes(&mut self) {
        let agreement = &self.content.volumes;
        if agreement.is_empty() {
            self.page.add(html! { p { "Compared volumes: none." } });
            return;
        }
        let chart = |row: &VolumeAgreement| {
            let position = self.position(&row.model_id).unwrap_or(0);
            let name = self.label(&row.model_id);
            let results = self.results_of(&row.model_id);
            Chart {
                picture: charts::bland_altman(name, position, &results, row),
                description: format!(
                    "Difference of predicted and reference volume by their mean: {name}"
                ),
            }
        };
        let charts: Vec<Chart> = agreement.iter().map(chart).collect();
        let row = |row: &VolumeAgreement| -> Vec<Markup> {
            vec![
                cell(self.label(&row.model_id)),
                cell(integer(row.n)),
                bold(signed(row.mean_mm3, 1)),
                cell(interval_or(
                    row.ci_low_mm3,
                    row.ci_high_mm3,
                    1,
                    row.ci_missing_reason.as_deref(),
                )),
                cell(decimal(row.sd_mm3, 1)),
                cell(signed(row.lower_limit_mm3, 1)),
                cell(signed(row.upper_limit_mm3, 1)),
            ]
        };
        let rows = agreement.iter().map(row).collect();
        self.page.figure(
            charts_side_by_side(&charts),
            "Volume of each nodule, predicted minus reference, by the mean of both (Bland and Altman), a \
             chart for each model, each with its own axes. Line: mean difference; dashed: 95% \
             limits of agreement.",
        );
        self.page.table(
            "Agreement of volumes, predicted minus reference, mm³. Limits of agreement: mean ± 1.96 \
             standard deviations; a missed nodule differs by its whole volume.",
            &["Model", "n", "Mean", "95% interval", "SD", "Lower limit", "Upper limit"],
            vec![Group { name: None, rows }],
        );
        self.sizes();
    }

    /// Errors of each measure of size.
    fn sizes(&mut self) {
        let of_measure = |measure: SizeMeasure| {
            let [_, signed_error, absolute, relative] = measure.names();
            let row = |model_id: &str| {
                let find = |metric| self.content.of_all(model_id, metric);
                let error = find(signed_error)?;
                let mean = |metric| find(metric).and_then(|row| row.mean);
                let percent = mean(relative).map(|share| signed(Some(100.0 * share), 1));
                Some(vec![
                    cell(self.label(model_id)),
                    cell(integer(error.n_valid.unsigned_abs())),
                    bold(signed(error.mean, 2)),
                    cell(interval_of(error, 2)),
                    cell(decimal(mean(absolute), 2)),
                    cell(percent.unwrap_or(NONE.to_owned())),
                ])
            };
            let rows =
                self.content.models.iter().filter_map(|model| row(&model.model_id)).collect();
            Group { name: Some(cell(title(measure))), rows }
        };
        let groups = SizeMeasure::ALL.map(of_measure).into();
        self.page.table(
            "Errors of size: means over nodules of the predicted minus the reference size, of its absolute \
             value, and of its share of the reference.",
            &["Model", "n", "Mean error", "95% interval", "Absolute", "Relative (%)"],
            groups,
        );
    }
}

const fn title(measure: SizeMeasure) -> &'static str {
    match measure {
        SizeMeasure::Volume => "Volume (mm³)",
        SizeMeasure::EquivalentDiameter => "Diameter of the sphere of the same volume (mm)",
        SizeMeasure::LongAxis => "Longest axial diameter (mm)",
        SizeMeasure::ShortAxis => "Longest diameter across it (mm)",
    }
}
