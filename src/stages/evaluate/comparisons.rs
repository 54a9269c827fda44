//! Compares each two models, and each model with the readers, on the same nodules.

use super::readers::READER;
use super::summaries::MeasuredValue;
use crate::stages::infer::REGION_GROWING;
use crate::tables::Comparison;
use nodulus_metrics::Metric;
use nodulus_metrics::interval::{MIN_PATIENTS_OF_TEST, too_few_patients};
use nodulus_metrics::paired::{PairedComparison, corrected, paired};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Metrics by which models are compared.
///
/// METHOD: one metric of overlap, one of the largest and one of the mean distance. Each further metric would cost the
/// others power after the correction.
const COMPARED: [Metric; 3] = [Metric::Dice, Metric::Hausdorff95, Metric::Assd];

/// A model's values by nodule, each with the patient.
type Values<'a> = BTreeMap<&'a str, (&'a str, f64)>;

/// A metric, two models, and the differences of the nodules that both have a value of, each with its patient.
type ModelPair<'a> = (Metric, [&'a str; 2], Vec<(&'a str, f64)>);

/// A row for each two models and metric, by metric in the order of [`COMPARED`], then by model. Region growing is always the
/// baseline, and the readers are the baseline of every model.
///
/// METHOD: pairs are nodules for which both have a value: a nodule that a model missed has a Dice of 0 and no distance.
/// Holm's correction is over all rows. A reader's reference is the consensus without that reader, a model's that of all
/// readers: the difference from the readers holds this difference of the references too.
pub(super) fn compare(measured: &[MeasuredValue], seed: u64) -> Vec<Comparison> {
    let mut models: Vec<&str> =
        measured.iter().map(|row| &*row.model_id).collect::<BTreeSet<_>>().into_iter().collect();
    models.sort_by_key(|id| (*id == READER, *id == REGION_GROWING));
    let mut pairs: Vec<ModelPair<'_>> = Vec::new();
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
                let differences = of_model.iter().filter_map(difference).collect();
                pairs.push((metric, [model, baseline], differences));
            }
        }
    }
    let found: Vec<PairedComparison> = pairs
        .par_iter()
        .map(|(metric, _, differences)| paired(differences, metric.difference_range(), seed))
        .collect();
    let p_holm = corrected(&found);
    let rows = pairs.iter().zip(found).zip(p_holm);
    rows.map(|(((metric, models, _), found), p_holm)| row(*metric, *models, &found, p_holm))
        .collect()
}

fn row(
    metric: Metric,
    models: [&str; 2],
    found: &PairedComparison,
    p_holm: Option<f64>,
) -> Comparison {
    let [model_id, baseline_id] = models.map(str::to_owned);
    Comparison {
        metric: metric.name().to_owned(),
        model_id,
        baseline_id,
        n_nodules: found.n_nodules as i64,
        n_patients: found.n_patients as i64,
        mean_difference: found.mean,
        ci_low: found.interval.low(),
        ci_high: found.interval.high(),
        ci_missing_reason: found.interval.missing_reason(),
        median_difference: found.median,
        test: found.test.map(|test| test.name().to_owned()),
        p: found.test.map(|test| test.p),
        p_missing_reason: found.test.is_none().then(|| too_few_patients(MIN_PATIENTS_OF_TEST)),
        p_holm,
        rank_biserial: found.rank_biserial,
        doubts: Vec::new(),
    }
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
        let models = [
            ("m", "z"),
            ("m", REGION_GROWING),
            ("m", READER),
            ("z", REGION_GROWING),
            ("z", READER),
            (REGION_GROWING, READER),
        ];
        let expected = ["dice", "hausdorff_95_mm", "assd_mm"]
            .map(|metric| models.map(|(model, baseline)| (metric, model, baseline)));
        assert_eq!(pairs, expected.concat());
        let row = &rows[3];
        assert_eq!((row.n_nodules, row.n_patients, row.rank_biserial), (6, 6, Some(1.0)));
        assert!((row.mean_difference.unwrap() - 0.35).abs() < 1e-12);
        assert_eq!(row.test.as_deref(), Some("sign flips by patient, all"));
        // Six comparisons of six patients that all differ in one direction: 6 × 2 / 2^6.
        assert!((row.p.unwrap() - 0.03125).abs() < 1e-12);
        assert!((row.p_holm.unwrap() - 0.1875).abs() < 1e-12);
        let none = &rows[6];
        assert_eq!((none.n_nodules, none.mean_difference, none.p_holm), (0, None, None));
        let reasons = [&none.ci_missing_reason, &none.p_missing_reason].map(Option::as_deref);
        assert_eq!(reasons, [Some("fewer than 8 patients"), Some("fewer than 6 patients")]);
        assert_eq!(row.ci_missing_reason.as_deref(), Some("fewer than 8 patients"));
    }

    #[test]
    fn the_readers_are_a_baseline_on_the_nodules_that_two_readers_marked() {
        let mut measured: Vec<_> = (1..=9).map(|n| dice("m", n, 0.8)).collect();
        measured.extend((1..=7).map(|n| dice(READER, n, 0.8 + 0.01 * n as f64)));
        let rows = compare(&measured, 1);
        assert_eq!((rows[0].n_nodules, rows[0].baseline_id.as_str()), (7, READER));
        assert!((rows[0].mean_difference.unwrap() + 0.04).abs() < 1e-12);
        assert!((rows[0].p.unwrap() - 2.0 / 128.0).abs() < 1e-12);
    }

    #[test]
    fn one_model_is_compared_with_none() {
        assert_eq!(compare(&[dice("m", 1, 0.5)], 1), []);
        assert_eq!(compare(&[dice(READER, 1, 0.5)], 1), []);
        assert_eq!(compare(&[], 1), []);
    }
}
