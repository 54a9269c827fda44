//! Agreement of several readers on ordered categories: Krippendorff's alpha.

use super::bootstrap::{self, LANES, Lanes, Statistic};
use super::fleiss::{RatedSubjects, RatingCounts};
use super::interval::Interval;

/// Krippendorff's ordinal alpha with its interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OrdinalAgreement {
    /// Alpha: 1 where all readers agree, 0 where they agree as by chance; `None` without a subject that was rated twice,
    /// and where every rating is the same.
    pub alpha: Option<f64>,
    /// Its 95% interval by patient: see [`bootstrap::interval`].
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
    let Some((alpha, n_patients, statistic)) = without_interval(subjects) else {
        return OrdinalAgreement::default();
    };
    let intervals = bootstrap::intervals(n_patients, seed, vec![statistic]);
    OrdinalAgreement { alpha, interval: intervals.into_iter().next().unwrap_or_default() }
}

/// Alpha, the number of patients, and alpha as the statistic whose interval is sought; `None` without a subject that was
/// rated twice.
pub(crate) fn without_interval(
    subjects: &[(&str, &RatingCounts)],
) -> Option<(Option<f64>, usize, Statistic<'static>)> {
    let rated = RatedSubjects::of(subjects);
    let categories = &rated.categories;
    let width = categories.len();
    if width == 0 {
        return None;
    }
    // The ratings in each category, then the coincidences of each two different categories, row by row. The coincidences of a
    // category with all are its ratings.
    let sums = rated.patient_sums(width + width * (width - 1) / 2, |counts, sums| {
        let count = |n: usize| counts.get(&categories[n]).map_or(0.0, |count| *count as f64);
        let others: f64 = (0..width).map(count).sum::<f64>() - 1.0;
        let pairs = (0..width).flat_map(|low| (low + 1..width).map(move |high| (low, high)));
        let (of_categories, of_pairs) = sums.split_at_mut(width);
        of_categories.iter_mut().enumerate().for_each(|(n, sum)| *sum += count(n));
        for (sum, (low, high)) in of_pairs.iter_mut().zip(pairs) {
            *sum += count(low) * count(high) / others;
        }
    });
    let total: Vec<Lanes> = sums.total().into_iter().map(|sum| [sum; LANES]).collect();
    let [of_total, ..] = alpha(&total, width);
    let statistic = sums.statistic(
        [f64::NEG_INFINITY, 1.0],
        #[inline(always)]
        move |sums| alpha(sums, width),
    );
    Some((of_total.is_finite().then_some(of_total), sums.n_patients(), statistic))
}

/// Alpha from the ratings in `width` ordered categories and the coincidences of each two of them.
#[inline(always)]
fn alpha(sums: &[Lanes], width: usize) -> Lanes {
    let (counts, mut coincidences) = sums.split_at(width);
    let (mut observed, mut expected, mut n) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    for (low, count) in counts.iter().enumerate() {
        let higher = &counts[low + 1..];
        let (of_row, of_others) = coincidences.split_at(higher.len());
        coincidences = of_others;
        let mut between = count.map(|count| count / 2.0);
        let mut of_low = [0.0; LANES];
        for (higher, coincidence) in higher.iter().zip(of_row) {
            for lane in 0..LANES {
                between[lane] += higher[lane] / 2.0;
                let difference = between[lane] * between[lane];
                observed[lane] += coincidence[lane] * difference;
                of_low[lane] += higher[lane] * difference;
                between[lane] += higher[lane] / 2.0;
            }
        }
        for lane in 0..LANES {
            expected[lane] += count[lane] * of_low[lane];
            n[lane] += count[lane];
        }
    }
    std::array::from_fn(|lane| {
        let (observed, expected, n) = (observed[lane], expected[lane], n[lane]);
        // Sums of thirds and the like, from which a patient was taken away, may leave a rest.
        if expected > 1e-9 * n * n * n { 1.0 - (n - 1.0) * observed / expected } else { f64::NAN }
    })
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
        let same = of_table(&[[0, 3]; 8]);
        assert_eq!((same.alpha, same.interval), (None, Interval::Undefined));
    }
}
