//! Agreement of several readers on ordered categories: Krippendorff's alpha.

use super::fleiss::{RatedSubjects, RatingCounts};
use super::interval::Interval;

/// Krippendorff's ordinal alpha with its interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OrdinalAgreement {
    /// Alpha: 1 where all readers agree, 0 where they agree as by chance; `None` without a subject that was rated twice,
    /// and where every rating is the same.
    pub alpha: Option<f64>,
    /// Its 95% interval by patient: see [`bootstrap::interval`](super::bootstrap::interval).
    pub interval: Interval,
}

/// Krippendorff's alpha of subjects, each with its patient, in any number and order. Subjects with fewer than two
/// ratings are ignored.
///
/// `seed` determines the resamples.
///
/// METHOD: alpha = 1 - observed / expected disagreement with the ordinal difference, the square of the number of ratings
/// from one category to the other, of which those in the two categories count half (Krippendorff 2004, chapter 11;
/// Hayes and Krippendorff 2007). Ratings four apart therefore disagree more than ratings one apart, which Fleiss' kappa
/// does not see. A category between two others that nobody gave makes no difference.
pub fn ordinal_agreement(subjects: &[(&str, &RatingCounts)], seed: u64) -> OrdinalAgreement {
    let rated = RatedSubjects::of(subjects);
    let categories = &rated.categories;
    let width = categories.len();
    if width == 0 {
        return OrdinalAgreement::default();
    }
    // The coincidences of each two categories, row by row.
    let sums = rated.patient_sums(width * width, |counts, sums| {
        let count = |n: usize| counts.get(&categories[n]).map_or(0.0, |count| *count as f64);
        let others: f64 = (0..width).map(count).sum::<f64>() - 1.0;
        for (n, sum) in sums.iter_mut().enumerate() {
            let (row, column) = (n / width, n % width);
            let same = if row == column { 1.0 } else { 0.0 };
            *sum += count(row) * (count(column) - same) / others;
        }
    });
    OrdinalAgreement {
        alpha: alpha(&sums.total(), width),
        interval: sums.interval([f64::NEG_INFINITY, 1.0], seed, |sums| alpha(sums, width)),
    }
}

/// Alpha from the coincidences of `width` ordered categories.
fn alpha(coincidences: &[f64], width: usize) -> Option<f64> {
    let row = |n: usize| coincidences[n * width..(n + 1) * width].iter().sum::<f64>();
    let counts: Vec<f64> = (0..width).map(row).collect();
    let n: f64 = counts.iter().sum();
    let (mut observed, mut expected) = (0.0, 0.0);
    for low in 0..width {
        let mut between = counts[low] / 2.0;
        for high in low + 1..width {
            between += counts[high] / 2.0;
            let difference = between * between;
            observed += coincidences[low * width + high] * difference;
            expected += counts[low] * counts[high] * difference;
            between += counts[high] / 2.0;
        }
    }
    // Sums of thirds and the like, from which a patient was taken away, may leave a rest.
    (expected > 1e-9 * n.powi(3)).then(|| 1.0 - (n - 1.0) * observed / expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// Numbers of `tests/golden/krippendorff_alpha.py`.
    #[derive(Deserialize)]
    struct Golden {
        /// How many readers gave each rating from 1 on, for each subject.
        table: Vec<Vec<u64>>,
        patients: Vec<usize>,
        alpha: f64,
        interval: Option<[f64; 2]>,
    }

    fn counts(row: &[u64]) -> RatingCounts {
        row.iter().enumerate().map(|(n, count)| (n as i64 + 1, *count)).collect()
    }

    fn of_table<R: AsRef<[u64]>>(table: &[R]) -> OrdinalAgreement {
        let rows: Vec<(String, RatingCounts)> = table
            .iter()
            .enumerate()
            .map(|(n, row)| (n.to_string(), counts(row.as_ref())))
            .collect();
        let subjects: Vec<_> = rows.iter().map(|(patient, row)| (patient.as_str(), row)).collect();
        ordinal_agreement(&subjects, 1)
    }

    #[test]
    fn agrees_with_the_package_krippendorff() {
        let golden: Vec<Golden> =
            serde_json::from_str(include_str!("../../../tests/golden/krippendorff.json")).unwrap();
        assert_eq!(golden.len(), 5);
        for golden in golden {
            let rows: Vec<(String, RatingCounts)> = golden
                .patients
                .iter()
                .zip(&golden.table)
                .map(|(patient, row)| (patient.to_string(), counts(row)))
                .collect();
            let subjects: Vec<_> = rows.iter().map(|(p, row)| (p.as_str(), row)).collect();
            let found = ordinal_agreement(&subjects, 1);
            let alpha = found.alpha.unwrap();
            assert!((alpha - golden.alpha).abs() < 1e-12, "{alpha}, expected {}", golden.alpha);
            let Some(expected) = golden.interval else { continue };
            let Interval::Ends(ends) = found.interval else { panic!("{found:?}") };
            let width = expected[1] - expected[0];
            for (found, expected) in ends.into_iter().zip(expected) {
                assert!((found - expected).abs() < 0.06 * width, "{found}, expected {expected}");
            }
        }
    }

    #[test]
    fn far_ratings_disagree_more_than_near_ones() {
        let near = of_table(&[[1, 1, 0, 0, 0], [0, 0, 0, 1, 1], [0, 0, 2, 0, 0]]).alpha.unwrap();
        let far = of_table(&[[1, 0, 0, 1, 0], [0, 1, 0, 0, 1], [0, 0, 2, 0, 0]]).alpha.unwrap();
        assert!(near > 0.5 && far < 0.2, "{near} {far}");
        assert_eq!(of_table(&[[2, 0, 0], [0, 3, 0], [0, 0, 4]]).alpha, Some(1.0));
    }

    #[test]
    fn nothing_to_compare_gives_nothing() {
        assert_eq!(of_table(&[[1, 0], [0, 1]]), OrdinalAgreement::default());
        assert_eq!(ordinal_agreement(&[], 1), OrdinalAgreement::default());
        let same = of_table(&[[0, 3]; 7]);
        assert_eq!((same.alpha, same.interval), (None, Interval::Undefined));
    }
}
