//! Agreement of predicted volumes with the readers'.

use super::content::{ALL, ReportModel, VolumeAgreement};
use crate::tables::Summary;
use nodulus_metrics::SizeMeasure;

/// Standard deviations from the mean to a 95% limit.
const DEVIATIONS: f64 = 1.96;

/// The limits of agreement of each model, from the errors of volume over all nodules in `summary`. Models
/// without such a row are skipped.
///
/// METHOD: Bland and Altman 1986: mean difference ± 1.96 standard deviations (n - 1) of the differences,
/// in which 95% of them lie if they are normal. A missed nodule differs by its whole volume.
pub(super) fn agreement(models: &[ReportModel], summary: &[Summary]) -> Vec<VolumeAgreement> {
    let [_, error, ..] = SizeMeasure::Volume.names();
    let of_model = |model: &ReportModel| {
        let row = summary.iter().find(|row| {
            row.model_id == model.model_id && row.metric == error && row.subgroup == ALL
        })?;
        let limit = |side: f64| Some(row.mean? + side * DEVIATIONS * row.sd?);
        Some(VolumeAgreement {
            model_id: model.model_id.clone(),
            n: row.n_valid.unsigned_abs(),
            mean_mm3: row.mean,
            ci_low_mm3: row.ci_low,
            ci_high_mm3: row.ci_high,
            ci_missing_reason: row.ci_missing_reason.clone(),
            sd_mm3: row.sd,
            lower_limit_mm3: limit(-1.0),
            upper_limit_mm3: limit(1.0),
        })
    };
    models.iter().filter_map(of_model).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_lie_about_the_mean_of_all_nodules() {
        let row = |model: &str, subgroup: &str, sd: Option<f64>| Summary {
            model_id: model.to_owned(),
            metric: "volume_error_mm3".to_owned(),
            subgroup: subgroup.to_owned(),
            n_total: 4,
            n_valid: 3,
            n_missed: 0,
            n_patients: 3,
            mean: Some(-10.0),
            sd,
            median: None,
            ci_low: Some(-12.0),
            ci_high: Some(-8.0),
            ci_missing_reason: None,
            worst_case_mean: None,
            doubts: Vec::new(),
        };
        let model = |id: &str| ReportModel { model_id: id.to_owned(), ..ReportModel::default() };
        let rows =
            [row("m", "cohort=a", Some(1.0)), row("m", "all", Some(50.0)), row("n", "all", None)];
        let found = agreement(&[model("n"), model("m"), model("other")], &rows);
        let ids: Vec<_> = found.iter().map(|row| row.model_id.as_str()).collect();
        assert_eq!(ids, ["n", "m"]);
        assert_eq!((found[0].lower_limit_mm3, found[0].mean_mm3), (None, Some(-10.0)));
        assert_eq!(
            (found[1].lower_limit_mm3, found[1].upper_limit_mm3),
            (Some(-108.0), Some(88.0))
        );
    }
}
