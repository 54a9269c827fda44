//! Compares each two models on the same nodules.

use super::readers::READER;
use super::summaries::MeasuredValue;
use crate::stages::infer::REGION_GROWING;
use crate::tables::Comparison;
use nodulus_metrics::Metric;
use nodulus_metrics::paired::{PairedComparison, corrected, paired};
use std::collections::{BTreeMap, BTreeSet};

/// Metrics by which models are compared.
///
/// METHOD: one metric of overlap, one of the largest and one of the mean distance. Each further metric would cost the
/// others power after the correction.
const COMPARED: [Metric; 3] = [Metric::Dice, Metric::Hausdorff95, Metric::Assd];

/// A model's values by nodule, each with the patient.
type Values<'a> = BTreeMap<&'a str, (&'a str, f64)>;

/// A row for each two models and metric, by metric in the order of [`COMPARED`], then by model. Region growing is
/// always the baseline.
///
/// METHOD: pairs are nodules for which both models have a value: a nodule that a model missed has a Dice of 0 and no
/// distance. Holm's correction is over all rows. Readers are in no row, because their reference is a different one: the
/// consensus without the reader.
pub(super) fn compare(measured: &[MeasuredValue], seed: u64) -> Vec<Comparison> {
    let mut models: Vec<&str> =
        measured.iter().map(|row| &*row.model_id).collect::<BTreeSet<_>>().into_iter().collect();
    models.retain(|id| *id != READER);
    models.sort_by_key(|id| *id == REGION_GROWING);
    let mut rows: Vec<(Metric, [&str; 2], PairedComparison)> = Vec::new();
    for metric in COMPARED {
        let mut values: BTreeMap<&str, Values<'_>> = BTreeMap::new();
        for row in measured.iter().filter(|row| row.metric == metric.name()) {
            if let Some(value) = row.value {
                let of_model = values.entry(&row.model_id).or_default();
                of_model.insert(&row.nodule_id, (&row.patient_id, value));
            }
        }
        for (n, model) in models.iter().enumerate() {
            for baseline in &models[n + 1..] {
                let none = Values::new();
                let [of_model, of_baseline] =
                    [model, baseline].map(|id| values.get(id).unwrap_or(&none));
                let difference = |(nodule, (patient, value)): (&&str, &(_, f64))| {
                    Some((*patient, value - of_baseline.get(nodule)?.1))
                };
                let differences: Vec<(&str, f64)> =
                    of_model.iter().filter_map(difference).collect();
                rows.push((metric, [model, baseline], paired(&differences, seed)));
            }
        }
    }
    let found: Vec<PairedComparison> = rows.iter().map(|row| row.2).collect();
    let row = |((metric, models, paired), p_holm): (
        &(Metric, [&str; 2], PairedComparison),
        Option<f64>,
    )| {
        let [model_id, baseline_id] = models.map(str::to_owned);
        Comparison {
            metric: metric.name().to_owned(),
            model_id,
            baseline_id,
            n_pairs: paired.n as i64,
            mean_difference: paired.mean,
            ci_low: paired.interval.map(|interval| interval[0]),
            ci_high: paired.interval.map(|interval| interval[1]),
            median_difference: paired.median,
            wilcoxon_statistic: paired.test.map(|test| test.statistic),
            p: paired.test.map(|test| test.p),
            p_holm,
            rank_biserial: paired.test.map(|test| test.rank_biserial),
        }
    };
    rows.iter().zip(corrected(&found)).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dice(model_id: &str, nodule: usize, value: f64) -> MeasuredValue {
        MeasuredValue {
            model_id: model_id.into(),
            metric: "dice",
            nodule_id: nodule.to_string().into(),
            patient_id: format!("p{nodule}").into(),
            value: Some(value),
            missed: false,
            worst: 0.0,
        }
    }

    #[test]
    fn models_are_compared_nodule_by_nodule() {
        let mut measured = Vec::new();
        for n in 1..=6 {
            measured.push(dice(REGION_GROWING, n, 0.3));
            measured.push(dice("z", n, 0.3 + 0.1 * n as f64));
            measured.push(dice("m", n, 0.3 - 0.01 * n as f64));
            measured.push(dice(READER, n, 0.9));
        }
        measured.push(dice("z", 7, 0.0));
        let rows = compare(&measured, 1);
        let pairs: Vec<_> = rows
            .iter()
            .map(|row| (row.metric.as_str(), row.model_id.as_str(), row.baseline_id.as_str()))
            .collect();
        let models = [("m", "z"), ("m", REGION_GROWING), ("z", REGION_GROWING)];
        let expected = ["dice", "hausdorff_95_mm", "assd_mm"]
            .map(|metric| models.map(|(model, baseline)| (metric, model, baseline)));
        assert_eq!(pairs, expected.concat());
        let row = &rows[2];
        assert_eq!((row.n_pairs, row.rank_biserial), (6, Some(1.0)));
        assert!((row.mean_difference.unwrap() - 0.35).abs() < 1e-12);
        // Three comparisons of six pairs that all differ in one direction: 3 × 2 / 2^6.
        assert!((row.p.unwrap() - 0.03125).abs() < 1e-12);
        assert!((row.p_holm.unwrap() - 0.09375).abs() < 1e-12);
        assert_eq!((rows[0].rank_biserial, rows[1].rank_biserial), (Some(-1.0), Some(-1.0)));
        assert_eq!((rows[3].n_pairs, rows[3].mean_difference, rows[3].p_holm), (0, None, None));
    }

    #[test]
    fn one_model_is_compared_with_none() {
        assert_eq!(compare(&[dice("m", 1, 0.5), dice(READER, 1, 0.5)], 1), []);
        assert_eq!(compare(&[], 1), []);
    }
}
