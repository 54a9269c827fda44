//! Measures the network's probability that a slice shows a nodule.

use crate::tables::Summary;
use nodulus_metrics::classifier::{ClassifierCase, ClassifierMetrics, Estimate, classify};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A slice's patient, the predicted probability, and whether the slice shows its nodule.
type Judgement = (Arc<str>, f64, bool);

/// The predicted slices of each model.
#[derive(Debug, Default)]
pub(super) struct Judgements(BTreeMap<String, Vec<Judgement>>);

impl Judgements {
    /// Adds a model's probability for a slice with its [truth](crate::tables::Roi::truth); a slice without one does not count.
    pub(super) fn add(
        &mut self,
        model_id: &str,
        patient_id: &str,
        truth: Option<bool>,
        probability: f64,
    ) {
        if let Some(truth) = truth {
            let judged = (patient_id.into(), probability, truth);
            self.0.entry(model_id.to_owned()).or_default().push(judged);
        }
    }

    /// Three rows for each model with probabilities.
    pub(super) fn rows(&self, seed: u64) -> Vec<Summary> {
        let of_model = |(model_id, judged): (&String, &Vec<Judgement>)| {
            let judged = judged.iter().map(|(patient, probability, truth)| ClassifierCase {
                patient,
                probability: *probability,
                truth: *truth,
            });
            rows(model_id, &classify(&judged.collect::<Vec<_>>(), seed))
        };
        self.0.iter().flat_map(of_model).collect()
    }
}

fn rows(model_id: &str, found: &ClassifierMetrics) -> [Summary; 3] {
    [
        ("classifier_auc", found.auc),
        ("classifier_brier", found.brier),
        ("classifier_ece", found.ece),
    ]
    .map(|(metric, estimate)| row(model_id, metric, &estimate, [found.n, found.n_patients]))
}

/// The row of a number over all of `n` cases of `n_patients`, which is no mean of theirs.
pub(super) fn row(
    model_id: &str,
    metric: &str,
    estimate: &Estimate,
    [n, n_patients]: [u64; 2],
) -> Summary {
    let if_valid = |n: u64| if estimate.value.is_some() { n as i64 } else { 0 };
    Summary {
        model_id: model_id.to_owned(),
        metric: metric.to_owned(),
        subgroup: "all".to_owned(),
        n_total: n as i64,
        n_valid: if_valid(n),
        n_missed: 0,
        n_patients: if_valid(n_patients),
        mean: estimate.value,
        sd: None,
        median: None,
        ci_low: estimate.interval.low(),
        ci_high: estimate.interval.high(),
        ci_missing_reason: estimate.interval.missing_reason(),
        worst_case_mean: None,
        doubts: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Roi;

    #[test]
    fn a_slice_with_only_another_nodule_does_not_count() {
        let mut judgements = Judgements::default();
        for (own, n_others, probability) in [(true, 1, 0.9), (false, 0, 0.2), (false, 1, 0.8)] {
            judgements.add("m", "p", Roi::truth(own, n_others), probability);
        }
        let rows = judgements.rows(1);
        let found: Vec<_> =
            rows.iter().map(|row| (row.metric.as_str(), row.n_total, row.mean)).collect();
        assert_eq!(found[0], ("classifier_auc", 2, Some(1.0)));
        assert_eq!((found[1].0, found[2].0), ("classifier_brier", "classifier_ece"));
        assert!((found[1].2.unwrap() - 0.025).abs() < 1e-12);
        assert_eq!(rows[0].ci_low, None);
    }
}
