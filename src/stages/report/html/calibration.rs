//! What the models' probabilities that a slice holds nodule are worth.

use super::Page;
use super::table::Group;
use crate::stages::report::charts;
use crate::stages::report::content::Calibration;
use crate::stages::report::text::{decimal, integer, interval};

/// Rows of `summary`, in the order of the table's columns.
const METRICS: [&str; 3] = ["classifier_auc", "classifier_brier", "classifier_ece"];

impl Page<'_> {
    pub(super) fn calibration(&mut self) {
        let calibration = &self.content.calibration;
        if calibration.is_empty() {
            self.html.push_str("<p>Models that say how probable nodule is on a slice: none.</p>\n");
            return;
        }
        let of_model = |row: &Calibration| {
            let place = self.place(&row.model_id).unwrap_or(0);
            let name = self.content.models.get(place).map_or(&row.model_id, |model| &model.label);
            (
                charts::reliability(name, place, row),
                format!("Reliability of the classifier: {name}"),
            )
        };
        let charts: Vec<_> = calibration.iter().map(of_model).collect();
        let row = |row: &Calibration| {
            let cell = |metric: &str| {
                self.content.of_all(&row.model_id, metric).map_or(decimal(None, 3), |row| {
                    format!(
                        "<b>{}</b> <small>{}</small>",
                        decimal(row.mean, 3),
                        interval(row.ci_low, row.ci_high, 3)
                    )
                })
            };
            let names = [self.label(&row.model_id), integer(row.n)];
            names.into_iter().chain(METRICS.map(cell)).collect()
        };
        let rows = calibration.iter().map(row).collect();
        self.panels(
            &charts,
            "Reliability of the probability that a slice holds nodule, a chart for each model: in each \
             tenth of the probabilities the share of slices that do hold nodule, by their mean \
             probability. Dashed: where the two are equal; bars: share of all slices in that tenth.",
        );
        self.table(
            "The same in numbers, over slices. AUC: area under the ROC curve, 1 where every slice with \
             nodule has a higher probability than every other; Brier: mean squared error; ECE: expected \
             calibration error, the mean distance of the points from the dashed line, weighted by \
             slices. With 95% intervals (bootstrap of patients).",
            &["Model", "Slices", "AUC", "Brier", "ECE"],
            vec![Group { name: None, rows }],
        );
    }
}
