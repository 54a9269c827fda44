//! How large the predictions are beside the readers' consensus.

use super::Page;
use super::table::Group;
use crate::stages::report::charts;
use crate::stages::report::content::VolumeAgreement;
use crate::stages::report::text::{NONE, decimal, integer, interval, signed};
use nodulus_metrics::Measure;

impl Page<'_> {
    pub(super) fn volumes(&mut self) {
        let agreement = &self.content.volumes;
        if agreement.is_empty() {
            self.html.push_str("<p>Volumes compared: none.</p>\n");
            return;
        }
        let largest = charts::largest_volume(self.content.nodules.iter());
        let of_model = |row: &VolumeAgreement| {
            let place = self.place(&row.model_id);
            let name = place.map_or(&row.model_id, |place| &self.content.models[place].label);
            let scores = self.scores_of(&row.model_id);
            let chart = charts::bland_altman(name, place.unwrap_or(0), &scores, row, largest);
            (chart, format!("Difference of predicted and reference volume by their mean: {name}"))
        };
        let charts: Vec<_> = agreement.iter().map(of_model).collect();
        let row = |row: &VolumeAgreement| {
            vec![
                self.label(&row.model_id),
                integer(row.n),
                format!("<b>{}</b>", signed(row.mean_mm3, 1)),
                interval(row.ci_low_mm3, row.ci_high_mm3, 1),
                decimal(row.sd_mm3, 1),
                signed(row.lower_limit_mm3, 1),
                signed(row.upper_limit_mm3, 1),
            ]
        };
        let rows = agreement.iter().map(row).collect();
        self.panels(
            &charts,
            "Volume of each nodule, predicted minus reference, by the mean of both (Bland and Altman), a \
             chart for each model, each with its own vertical axis. Line: mean difference; dashed: 95% \
             limits of agreement.",
        );
        self.table(
            "Agreement of volumes, predicted minus reference, mm³. Limits of agreement: mean ± 1.96 \
             standard deviations; a missed nodule differs by all of its volume.",
            &["Model", "n", "Mean", "95% interval", "SD", "Lower limit", "Upper limit"],
            vec![Group { name: None, rows }],
        );
        self.sizes();
    }

    /// Errors of every measure of size.
    fn sizes(&mut self) {
        let of_measure = |measure: Measure| {
            let [_, signed_error, absolute, relative] = measure.names();
            let row = |model_id: &str| {
                let find = |metric| self.content.of_all(model_id, metric);
                let error = find(signed_error)?;
                let mean = |metric| find(metric).and_then(|row| row.mean);
                Some(vec![
                    self.label(model_id),
                    integer(error.n_valid.unsigned_abs()),
                    format!("<b>{}</b>", signed(error.mean, 2)),
                    interval(error.ci_low, error.ci_high, 2),
                    decimal(mean(absolute), 2),
                    mean(relative).map_or(NONE.to_owned(), |share| signed(Some(100.0 * share), 1)),
                ])
            };
            let rows =
                self.content.models.iter().filter_map(|model| row(&model.model_id)).collect();
            Group { name: Some(title(measure).to_owned()), rows }
        };
        let groups = Measure::ALL.map(of_measure).into();
        self.table(
            "Errors of size: means over nodules of predicted minus reference, of its absolute value, and \
             of its share of the reference.",
            &["Model", "n", "Mean error", "95% interval", "Absolute", "Relative (%)"],
            groups,
        );
    }
}

const fn title(measure: Measure) -> &'static str {
    match measure {
        Measure::Volume => "Volume (mm³)",
        Measure::EquivalentDiameter => "Diameter of the sphere of the same volume (mm)",
        Measure::LongAxis => "Longest axial diameter (mm)",
        Measure::ShortAxis => "Longest diameter across it (mm)",
    }
}
