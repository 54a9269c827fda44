//! Agreement of several readers on categories, beyond chance: Fleiss' kappa.

use super::bootstrap;
use std::collections::BTreeMap;

/// Number of ratings in each category.
pub type RatingCounts = BTreeMap<i64, u64>;

/// Agreement of readers over many subjects.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RatingAgreement {
    /// Subjects with at least two ratings.
    pub n_subjects: u64,
    /// Ratings of these subjects.
    pub n_ratings: u64,
    /// Observed agreement: mean over the subjects of the share of equal pairs of ratings; `None`
    /// without a subject.
    pub observed: Option<f64>,
    /// Agreement expected by chance; `None` without a subject.
    pub expected: Option<f64>,
    /// Fleiss' kappa; `None` without a subject, and where every rating is the same.
    pub kappa: Option<f64>,
    /// 95% bootstrap interval by patient: see [`bootstrap::interval`].
    pub interval: Option<[f64; 2]>,
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
/// apart disagree as much as ratings four apart.
pub fn agreement(subjects: &[(&str, &RatingCounts)], seed: u64) -> RatingAgreement {
    let mut subjects: Vec<(&str, &RatingCounts, f64)> = subjects
        .iter()
        .filter_map(|(patient, counts)| Some((*patient, *counts, share_of_pairs(counts)?)))
        .collect();
    // Sums of floats depend on their order, which must not reach the results.
    subjects.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    let mut patients: BTreeMap<&str, RatingTally> = BTreeMap::new();
    for (patient, counts, share) in subjects {
        patients.entry(patient).or_default().add_subject(counts, share);
    }
    let patients: Vec<RatingTally> = patients.into_values().collect();
    let all = RatingTally::of(&patients);
    RatingAgreement {
        n_subjects: all.n_subjects,
        n_ratings: all.n_ratings(),
        observed: all.observed(),
        expected: all.expected(),
        kappa: all.kappa(),
        interval: interval(&patients, &all, seed),
    }
}

/// The bootstrap's interval of kappa. Patients' counts stand side by side in one array, because they are summed
/// thousands of times.
fn interval(patients: &[RatingTally], all: &RatingTally, seed: u64) -> Option<[f64; 2]> {
    let categories: Vec<i64> = all.counts.keys().copied().collect();
    let width = categories.len();
    let of_patient = |patient: &RatingTally| {
        let count = |category: &i64| patient.counts.get(category).copied().unwrap_or(0);
        categories.iter().map(count).collect::<Vec<u64>>()
    };
    let counts: Vec<u64> = patients.iter().flat_map(of_patient).collect();
    bootstrap::interval(patients.len(), seed, |drawn| {
        let (mut n_subjects, mut shares, mut sums) = (0, 0.0, vec![0; width]);
        for &patient in drawn {
            n_subjects += patients[patient].n_subjects;
            shares += patients[patient].shares;
            for (sum, count) in sums.iter_mut().zip(&counts[patient * width..]) {
                *sum += count;
            }
        }
        let counts = categories.iter().copied().zip(sums).collect();
        RatingTally { n_subjects, shares, counts }.kappa()
    })
}

/// Sums over some subjects for kappa.
#[derive(Debug, Default)]
struct RatingTally {
    n_subjects: u64,
    /// Sum of the subjects' shares of equal pairs.
    shares: f64,
    counts: RatingCounts,
}

impl RatingTally {
    fn of<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.n_subjects += part.n_subjects;
            all.shares += part.shares;
            all.add_ratings(&part.counts);
        }
        all
    }

    fn add_subject(&mut self, counts: &RatingCounts, share: f64) {
        self.n_subjects += 1;
        self.shares += share;
        self.add_ratings(counts);
    }

    fn add_ratings(&mut self, counts: &RatingCounts) {
        for (category, n) in counts {
            *self.counts.entry(*category).or_default() += n;
        }
    }

    fn n_ratings(&self) -> u64 {
        self.counts.values().sum()
    }

    fn observed(&self) -> Option<f64> {
        (self.n_subjects > 0).then(|| self.shares / self.n_subjects as f64)
    }

    fn expected(&self) -> Option<f64> {
        let n = self.n_ratings() as f64;
        let shares = self.counts.values().map(|count| (*count as f64 / n).powi(2));
        (self.n_subjects > 0).then(|| shares.sum())
    }

    fn kappa(&self) -> Option<f64> {
        let (observed, expected) = (self.observed()?, self.expected()?);
        let categories = self.counts.values().filter(|count| **count > 0).count();
        (categories > 1).then(|| (observed - expected) / (1.0 - expected))
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
        // 2,000 resamples compared with 200,000: the ends scatter by a few percent of the width.
        let width = interval[1] - interval[0];
        for (found, expected) in agreement(&subjects, 1).interval.unwrap().into_iter().zip(interval)
        {
            assert!((found - expected).abs() < 0.05 * width, "{found}, expected {expected}");
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
        assert_eq!((found.kappa, found.interval), (None, None));
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
        assert_eq!(found.interval, None);
    }

    proptest! {
        #[test]
        fn order_and_names_of_categories_do_not_matter(
            table in prop::collection::vec((0..4usize, prop::collection::vec(0..4u64, 4)), 0..20),
            seed in any::<u64>(),
        ) {
            let names = ["a", "b", "c", "d"];
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
