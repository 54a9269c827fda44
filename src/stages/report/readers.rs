//! Agreement between readers: in each cohort, and on the nodules that models are evaluated on.

use super::content::{Ceiling, CohortReaders, CohortSummary, Pairwise};
use super::error::Error;
use crate::stages::Task;
use crate::tables::{RatingAgreement, Table};
use nodulus_metrics::{Metric, MetricValue, summarise};
use serde::Deserialize;
use std::collections::BTreeSet;

/// The columns of `reader_agreement` that a report needs: means over a nodule's pairs of readers.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ReaderPairs {
    nodule_id: String,
    cohort: String,
    patient_id: String,
    dice_mean: f64,
    iou_mean: f64,
    assd_mean_mm: f64,
}

const COLUMNS: &[&str] =
    &["nodule_id", "cohort", "patient_id", "dice_mean", "iou_mean", "assd_mean_mm"];

type Value = fn(&ReaderPairs) -> f64;

/// The metrics between readers.
const METRICS: [(Metric, Value); 3] = [
    (Metric::Dice, |pairs| pairs.dice_mean),
    (Metric::Iou, |pairs| pairs.iou_mean),
    (Metric::Assd, |pairs| pairs.assd_mean_mm),
];

/// Every nodule whose readers were compared.
pub(super) fn pairs(task: &Task<'_>) -> Result<Vec<ReaderPairs>, Error> {
    let mut pairs = Vec::new();
    let version = task.table(Table::ReaderAgreement)?;
    for batch in version.columns::<ReaderPairs>(COLUMNS) {
        pairs.extend(batch?);
    }
    Ok(pairs)
}

/// The readers of each cohort, in the order of the cohorts.
pub(super) fn of_cohorts(
    cohorts: &[CohortSummary],
    pairs: &[ReaderPairs],
    ratings: &[RatingAgreement],
    seed: u64,
) -> Vec<CohortReaders> {
    let of_cohort = |cohort: &CohortSummary| {
        let pairs: Vec<&ReaderPairs> =
            pairs.iter().filter(|row| row.cohort == cohort.name).collect();
        let rated = ratings.iter().filter(|row| row.cohort == cohort.name && row.n_nodules > 0);
        CohortReaders {
            cohort: cohort.name.clone(),
            n_nodules: cohort.n_nodules,
            n_compared: pairs.len() as u64,
            pairwise: pairwise(&pairs, seed),
            ratings: rated.cloned().collect(),
        }
    };
    cohorts.iter().map(of_cohort).collect()
}

/// The readers of the evaluated nodules, of which two or more readers marked `n_several_readers`.
///
/// METHOD: readers are compared with each other in pairs, on the nodules that the models are evaluated on;
/// each nodule counts once. A model is evaluated against the consensus, which lies nearer to each reader
/// than the readers lie to each other, so that a model can pass this ceiling.
pub(super) fn ceiling(
    evaluated: &BTreeSet<&str>,
    n_several_readers: usize,
    pairs: &[ReaderPairs],
    seed: u64,
) -> Ceiling {
    let compared: Vec<&ReaderPairs> =
        pairs.iter().filter(|row| evaluated.contains(row.nodule_id.as_str())).collect();
    Ceiling {
        n_nodules: evaluated.len() as u64,
        n_several_readers: n_several_readers as u64,
        pairwise: if compared.is_empty() { Vec::new() } else { pairwise(&compared, seed) },
    }
}

fn pairwise(pairs: &[&ReaderPairs], seed: u64) -> Vec<Pairwise> {
    let of_metric = |(metric, value): (Metric, Value)| {
        let cases: Vec<MetricValue<'_>> = pairs
            .iter()
            .map(|row| {
                let value = value(row);
                MetricValue {
                    patient: &row.patient_id,
                    value: Some(value),
                    missed: false,
                    worst: value,
                }
            })
            .collect();
        let summary = summarise(&cases, metric.range(), seed);
        Pairwise {
            metric: metric.name().to_owned(),
            n_nodules: summary.n_valid,
            mean: summary.mean,
            sd: summary.sd,
            median: summary.median,
            ci_low: summary.interval.low(),
            ci_high: summary.interval.high(),
            ci_missing_reason: summary.interval.missing_reason(),
        }
    };
    METRICS.map(of_metric).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(nodule: &str, cohort: &str, patient: &str, dice: f64) -> ReaderPairs {
        ReaderPairs {
            nodule_id: nodule.to_owned(),
            cohort: cohort.to_owned(),
            patient_id: patient.to_owned(),
            dice_mean: dice,
            iou_mean: dice / 2.0,
            assd_mean_mm: 3.0 * dice,
        }
    }

    fn cohort(name: &str, n_nodules: u64) -> CohortSummary {
        CohortSummary {
            name: name.to_owned(),
            layout: "lidc".to_owned(),
            n_patients: 2,
            n_scans: 2,
            n_excluded: 0,
            exclusions: Vec::new(),
            left_out: Vec::new(),
            marks: Vec::new(),
            n_more_marks_than_readers: 0,
            n_nodules,
            n_resampled: 0,
            n_cropped: 0,
            n_roi_slices: 0,
            n_shared_slices: 0,
            split_by: Vec::new(),
            samples: Vec::new(),
            histograms: Vec::new(),
        }
    }

    fn rating(cohort: &str, n_nodules: i64) -> RatingAgreement {
        RatingAgreement {
            cohort: cohort.to_owned(),
            rating: "texture".to_owned(),
            n_nodules,
            n_ratings: 2 * n_nodules,
            ..RatingAgreement::default()
        }
    }

    #[test]
    fn each_cohort_has_its_own_readers() {
        let pairs = [of("n1", "a", "p", 0.5), of("n2", "a", "q", 0.75), of("n3", "b", "p", 0.1)];
        let cohorts = [cohort("b", 1), cohort("a", 4), cohort("c", 9)];
        let found = of_cohorts(&cohorts, &pairs, &[rating("a", 2), rating("b", 0)], 1);
        let names: Vec<_> =
            found.iter().map(|r| (r.cohort.as_str(), r.n_compared, r.n_nodules)).collect();
        assert_eq!(names, [("b", 1, 1), ("a", 2, 4), ("c", 0, 9)]);
        let n_ratings: Vec<usize> = found.iter().map(|r| r.ratings.len()).collect();
        assert_eq!(n_ratings, [0, 1, 0]);
        let metrics: Vec<_> =
            found[1].pairwise.iter().map(|p| (p.metric.as_str(), p.mean)).collect();
        let expected = [("dice", Some(0.625)), ("iou", Some(0.3125)), ("assd_mm", Some(1.875))];
        assert_eq!(metrics, expected);
        let dice = &found[1].pairwise[0];
        assert_eq!((dice.ci_low, dice.ci_high, dice.n_nodules), (None, None, 2));
        assert_eq!(dice.ci_missing_reason.as_deref(), Some("fewer than 8 patients"));
        assert_eq!((found[0].pairwise[0].mean, found[0].pairwise[0].ci_low), (Some(0.1), None));
        assert_eq!((found[2].pairwise[0].mean, found[2].pairwise[0].n_nodules), (None, 0));
    }

    #[test]
    fn the_ceiling_is_over_the_evaluated_nodules_alone() {
        let pairs = [of("n1", "a", "p", 0.5), of("n2", "a", "q", 0.75), of("n3", "b", "p", 0.1)];
        let found = ceiling(&BTreeSet::from(["n2", "n3", "n4"]), 2, &pairs, 1);
        assert_eq!((found.n_nodules, found.n_several_readers), (3, 2));
        assert_eq!((found.pairwise[0].n_nodules, found.pairwise[0].mean), (2, Some(0.425)));
        let found = ceiling(&BTreeSet::from(["n4"]), 0, &pairs, 1);
        assert_eq!((found.n_several_readers, found.pairwise.len()), (0, 0));
    }
}
