//! Agreement of several readers on categories, beyond chance: Fleiss' kappa.

use super::bootstrap::{self, LANES, Lanes, PatientSums, Statistic};
use super::interval::Interval;
use std::collections::{BTreeMap, BTreeSet};

/// Number of ratings in each category.
pub type RatingCounts = BTreeMap<i64, u64>;

/// Agreement of readers over many subjects.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RatingAgreement {
    /// Subjects with at least two ratings.
    pub n_subjects: u64,
    /// Ratings of these subjects.
    pub n_ratings: u64,
    /// Patients of these subjects.
    pub n_patients: u64,
    /// Observed agreement: mean over the subjects of the share of equal pairs of ratings; `None`
    /// without a subject.
    pub observed: Option<f64>,
    /// Agreement expected by chance; `None` without a subject.
    pub expected: Option<f64>,
    /// Fleiss' kappa; `None` without a subject, and where every rating is the same.
    pub kappa: Option<f64>,
    /// 95% interval of kappa by patient: see [`bootstrap::interval`].
    pub interval: Interval,
}

/// Share of equal pairs of a subject's ratings; `None` for fewer than two ratings.
pub fn share_of_pairs(counts: &RatingCounts) -> Option<f64> {
    let n: u64 = counts.values().sum();
    let same: u64 = counts.values().map(|x| x * x.saturating_sub(1)).sum();
    (n > 1).then(|| same as f64 / (n * (n - 1)) as f64)
}

/// Fleiss' kappa of subjects, each with its patient, in any number and order. Subjects with fewer
/// than two ratings are ignored.
///
/// `seed` determines the bootstrap's resamples.
///
/// METHOD: kappa = (observed - expected) / (1 - expected) as in Fleiss 1971, who has equally many
/// ratings of every subject. Where the numbers differ, observed agreement is the mean over subjects
/// of Σ x (x - 1) / (n (n - 1)), as in Gwet 2014, chapter 2; expected agreement is the sum of the
/// squares of the categories' shares among all ratings of these subjects, Fleiss' own definition
/// (Gwet takes the mean over subjects of each one's shares). Categories have no order: ratings one
/// apart disagree as much as ratings four apart; see [`krippendorff`](super::krippendorff).
pub fn agreement(subjects: &[(&str, &RatingCounts)], seed: u64) -> RatingAgreement {
    let (mut found, kappa) = without_interval(subjects);
    let intervals = bootstrap::intervals(found.n_patients as usize, seed, vec![kappa]);
    found.interval = intervals.into_iter().next().unwrap_or_default();
    found
}

/// [`agreement`] without the interval, and kappa as the statistic whose interval it is.
pub(crate) fn without_interval(
    subjects: &[(&str, &RatingCounts)],
) -> (RatingAgreement, Statistic<'static>) {
    let rated = RatedSubjects::of(subjects);
    let sums = rated.patient_sums(2 + rated.categories.len(), |counts, sums| {
        sums[0] += 1.0;
        sums[1] += share_of_pairs(counts).unwrap_or(0.0);
        for (sum, category) in sums[2..].iter_mut().zip(&rated.categories) {
            *sum += counts.get(category).map_or(0.0, |n| *n as f64);
        }
    });
    let total: Vec<Lanes> = sums.total().into_iter().map(|sum| [sum; LANES]).collect();
    let [observed, expected, kappa] =
        agreements(&total).map(|[found, ..]| found.is_finite().then_some(found));
    let found = RatingAgreement {
        n_subjects: rated.subjects.len() as u64,
        n_ratings: rated.n_ratings(),
        n_patients: sums.n_patients() as u64,
        observed,
        expected,
        kappa,
        interval: Interval::default(),
    };
    let kappa = sums.statistic(
        [-1.0, 1.0],
        #[inline(always)]
        |sums| {
            let [_, _, kappa] = agreements(sums);
            kappa
        },
    );
    (found, kappa)
}

/// Observed and expected agreement and kappa, from sums over subjects: their number, their shares of equal pairs, and their
/// ratings in each category.
#[inline(always)]
fn agreements(sums: &[Lanes]) -> [Lanes; 3] {
    let (mut n, mut squares, mut n_categories) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    for counts in &sums[2..] {
        for lane in 0..LANES {
            n[lane] += counts[lane];
            squares[lane] += counts[lane] * counts[lane];
            n_categories[lane] += if counts[lane] > 0.5 { 1.0 } else { 0.0 };
        }
    }
    let [mut observed, mut expected, mut kappa] = [[f64::NAN; LANES]; 3];
    // Without branches, so that all lanes are computed at once.
    for lane in 0..LANES {
        let (is_any, are_several) = (sums[0][lane] > 0.5, n_categories[lane] > 1.5);
        let [o, e] = [sums[1][lane] / sums[0][lane], squares[lane] / (n[lane] * n[lane])];
        let k = (o - e) / (1.0 - e);
        observed[lane] = if is_any { o } else { f64::NAN };
        expected[lane] = if is_any { e } else { f64::NAN };
        kappa[lane] = if is_any & are_several { k } else { f64::NAN };
    }
    [observed, expected, kappa]
}

/// Subjects with at least two ratings, in an order that does not depend on the order in which they come.
pub(super) struct RatedSubjects<'a> {
    /// Each with its patient.
    subjects: Vec<(&'a str, &'a RatingCounts)>,
    /// The categories of their ratings, ascending.
    pub(super) categories: Vec<i64>,
}

impl<'a> RatedSubjects<'a> {
    pub(super) fn of(subjects: &[(&'a str, &'a RatingCounts)]) -> Self {
        let mut subjects: Vec<_> = subjects
            .iter()
            .filter(|(_, counts)| counts.values().sum::<u64>() > 1)
            .copied()
            .collect();
        // Sums of floats depend on their order, which must not reach the results.
        subjects.sort_unstable();
        let given = subjects.iter().flat_map(|(_, counts)| counts.iter());
        let categories: BTreeSet<i64> =
            given.filter(|(_, n)| **n > 0).map(|(category, _)| *category).collect();
        Self { subjects, categories: categories.into_iter().collect() }
    }

    fn n_ratings(&self) -> u64 {
        self.subjects.iter().flat_map(|(_, counts)| counts.values()).sum()
    }

    /// `width` sums over each patient's subjects, to which `add` adds a subject's.
    pub(super) fn patient_sums(
        &self,
        width: usize,
        add: impl Fn(&RatingCounts, &mut [f64]),
    ) -> PatientSums {
        let mut patients = PatientSums::new(width);
        for of_patient in self.subjects.chunk_by(|a, b| a.0 == b.0) {
            let mut sums = vec![0.0; width];
            for (_, counts) in of_patient {
                add(counts, &mut sums);
            }
            patients.push(&sums);
        }
        patients
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    /// Numbers of `tests/golden/fleiss.py`.
    #[derive(Deserialize)]
    struct Golden {
        equal: Vec<Case>,
        unequal: Vec<Case>,
        interval: Resampled,
    }

    #[derive(Deserialize)]
    struct Case {
        table: Vec<Vec<u64>>,
        observed: f64,
        expected: f64,
        kappa: f64,
    }

    #[derive(Deserialize)]
    struct Resampled {
        patients: Vec<u64>,
        table: Vec<Vec<u64>>,
        interval: [f64; 2],
    }

    fn golden() -> Golden {
        serde_json::from_str(include_str!("../../../tests/golden/fleiss.json")).unwrap()
    }

    fn counts(row: &[u64]) -> RatingCounts {
        row.iter().enumerate().map(|(category, n)| (category as i64, *n)).collect()
    }

    /// Each subject is a different patient.
    fn of_table<R: AsRef<[u64]>>(table: &[R]) -> RatingAgreement {
        let rows: Vec<(String, RatingCounts)> = table
            .iter()
            .enumerate()
            .map(|(n, row)| (format!("p{n:03}"), counts(row.as_ref())))
            .collect();
        let subjects: Vec<_> = rows.iter().map(|(patient, row)| (patient.as_str(), row)).collect();
        agreement(&subjects, 1)
    }

    /// Table 1 of Fleiss 1971: 30 patients, each with the diagnoses of six psychiatrists.
    #[rustfmt::skip]
    const FLEISS_1971: [[u64; 5]; 30] = [
        [0, 0, 0, 6, 0], [0, 3, 0, 0, 3], [0, 1, 4, 0, 1], [0, 0, 0, 0, 6], [0, 3, 0, 3, 0],
        [2, 0, 4, 0, 0], [0, 0, 4, 0, 2], [2, 0, 3, 1, 0], [2, 0, 0, 4, 0], [0, 0, 0, 0, 6],
        [1, 0, 0, 5, 0], [1, 1, 0, 4, 0], [0, 3, 3, 0, 0], [1, 0, 0, 5, 0], [0, 2, 0, 3, 1],
        [0, 0, 5, 0, 1], [3, 0, 0, 1, 2], [5, 1, 0, 0, 0], [0, 2, 0, 4, 0], [1, 0, 2, 0, 3],
        [0, 0, 0, 0, 6], [0, 1, 0, 5, 0], [0, 2, 0, 1, 3], [2, 0, 0, 4, 0], [1, 0, 0, 4, 1],
        [0, 5, 0, 1, 0], [4, 0, 0, 0, 2], [0, 2, 0, 4, 0], [1, 0, 5, 0, 0], [0, 0, 0, 0, 6],
    ];

    #[test]
    fn the_table_of_fleiss_gives_the_kappa_that_he_printed() {
        let found = of_table(&FLEISS_1971);
        assert_eq!((found.n_subjects, found.n_ratings), (30, 180));
        assert!((found.kappa.unwrap() - 0.430).abs() < 5e-4, "{found:?}");
    }

    #[test]
    fn agrees_with_statsmodels_and_with_counted_pairs() {
        let golden = golden();
        assert_eq!((golden.equal.len(), golden.unequal.len()), (5, 3));
        for table in golden.equal.iter().chain(&golden.unequal) {
            let found = of_table(&table.table);
            for (found, expected) in [
                (found.observed, table.observed),
                (found.expected, table.expected),
                (found.kappa, table.kappa),
            ] {
                assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?} for {expected}");
            }
        }
    }

    #[test]
    fn the_interval_is_that_of_many_more_resamples() {
        let Resampled { patients, table, interval } = golden().interval;
        let rows: Vec<(String, RatingCounts)> =
            patients.iter().zip(&table).map(|(p, row)| (p.to_string(), counts(row))).collect();
        let subjects: Vec<_> = rows.iter().map(|(patient, row)| (patient.as_str(), row)).collect();
        // 1,999 resamples compared with 50,000: the ends scatter by a few percent of the width.
        let width = interval[1] - interval[0];
        let Interval::Ends(found) = agreement(&subjects, 1).interval else { panic!("no interval") };
        for (found, expected) in found.into_iter().zip(interval) {
            assert!((found - expected).abs() < 0.06 * width, "{found}, expected {expected}");
        }
    }

    #[test]
    fn numbers_of_ratings_may_differ() {
        // Equal pairs: 1 of 1, 1 of 3, 3 of 6; the last subject has a single rating.
        let found = of_table(&[[2, 0], [2, 1], [1, 3], [0, 1]]);
        assert_eq!((found.n_subjects, found.n_ratings), (3, 9));
        let observed = (1.0 + 1.0 / 3.0 + 0.5) / 3.0;
        assert!((found.observed.unwrap() - observed).abs() < 1e-12);
        // Five of nine ratings in one category, four in the other.
        let expected = (25.0 + 16.0) / 81.0;
        assert!((found.expected.unwrap() - expected).abs() < 1e-12);
        // (11/18 - 41/81) / (40/81) = (99 - 82) / 162 * 81 / 40 = 17/80.
        assert!((found.kappa.unwrap() - 17.0 / 80.0).abs() < 1e-12);
    }

    #[test]
    fn where_every_rating_is_the_same_chance_says_the_same() {
        let found = of_table(&[[0, 3], [0, 4]]);
        assert_eq!((found.observed, found.expected), (Some(1.0), Some(1.0)));
        assert_eq!((found.kappa, found.interval), (None, Interval::TooFewPatients));
        let found = of_table(&[[0, 3]; 8]);
        assert_eq!((found.kappa, found.interval), (None, Interval::Undefined));
    }

    #[test]
    fn nothing_rated_twice_gives_nothing() {
        assert_eq!(agreement(&[], 1), RatingAgreement::default());
        assert_eq!(of_table(&[[1, 0], [0, 0]]), RatingAgreement::default());
        assert_eq!(share_of_pairs(&counts(&[1])), None);
    }

    #[test]
    fn one_patient_has_no_interval() {
        let rows = [counts(&[2, 1]), counts(&[0, 3])];
        let found = agreement(&[("p", &rows[0]), ("p", &rows[1])], 1);
        assert!(found.kappa.is_some());
        assert_eq!((found.n_patients, found.interval), (1, Interval::TooFewPatients));
    }

    proptest! {
        #[test]
        fn order_and_names_of_categories_do_not_matter(
            table in prop::collection::vec((0..8usize, prop::collection::vec(0..4u64, 4)), 0..20),
            seed in any::<u64>(),
        ) {
            let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
            let rows: Vec<_> = table.iter().map(|(p, row)| (names[*p], counts(row))).collect();
            let subjects: Vec<_> = rows.iter().map(|(p, row)| (*p, row)).collect();
            let found = agreement(&subjects, seed);
            let reversed: Vec<_> = subjects.iter().rev().copied().collect();
            prop_assert_eq!(agreement(&reversed, seed), found);
            let renamed: Vec<(_, RatingCounts)> = rows
                .iter()
                .map(|(p, row)| (*p, row.iter().map(|(c, n)| (7 - 3 * c, *n)).collect()))
                .collect();
            let subjects: Vec<_> = renamed.iter().map(|(p, row)| (*p, row)).collect();
            let again = agreement(&subjects, seed);
            prop_assert_eq!(again.n_ratings, found.n_ratings);
            match (again.kappa, found.kappa) {
                (Some(again), Some(found)) => prop_assert!((again - found).abs() < 1e-9),
                (again, found) => prop_assert_eq!(again, found),
            }
            if let Some(kappa) = found.kappa {
                prop_assert!((-1.0 - 1e-9..=1.0 + 1e-9).contains(&kappa));
            }
        }
    }
}
