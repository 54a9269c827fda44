//! Readers' ratings, of single nodules and of whole cohorts.

use crate::tables::{Mark, PairAgreement, PerRating, RATINGS, RatingAgreement};
use nodulus_metrics::fleiss::{self, RatingCounts};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// How many readers of a nodule gave each value, for each rating in the order of [`RATINGS`].
pub type RatingValues = [RatingCounts; RATINGS.len()];

/// Counts the ratings of a nodule, from the marks of each reader.
///
/// METHOD: a reader rates a nodule once, so that no reader is compared with themselves. Of several marks of one reader
/// that have the rating, the one with most voxels counts; of two with as many voxels, the one whose id comes first.
pub(super) fn given(readers: &BTreeMap<i64, Vec<&Mark>>) -> RatingValues {
    let mut given = RatingValues::default();
    for marks in readers.values() {
        let mut marks = marks.clone();
        marks.sort_by(|a, b| b.n_voxels.cmp(&a.n_voxels).then(a.mark_id.cmp(&b.mark_id)));
        for (n, counts) in given.iter_mut().enumerate() {
            if let Some(rating) = marks.iter().find_map(|mark| *mark.ratings.values()[n]) {
                *counts.entry(rating).or_default() += 1;
            }
        }
    }
    given
}

/// Share of the pairs of readers who gave the same value, for each rating; `None` where fewer than two rated.
pub(super) fn shares_of_pairs(given: &RatingValues) -> PerRating<PairAgreement> {
    PerRating::from_values(std::array::from_fn(|n| {
        PairAgreement(fleiss::share_of_pairs(&given[n]))
    }))
}

/// The ratings of every nodule with its patient, by cohort.
#[derive(Debug, Default)]
pub(super) struct Ratings(BTreeMap<String, Vec<(String, RatingValues)>>);

impl Ratings {
    /// Adds a cohort, which gets rows even where none of its nodules is rated.
    pub(super) fn cohort(&mut self, cohort: &str) {
        if !self.0.contains_key(cohort) {
            self.0.insert(cohort.to_owned(), Vec::new());
        }
    }

    /// Adds a nodule.
    pub(super) fn add(&mut self, cohort: &str, patient: &str, given: &RatingValues) {
        self.cohort(cohort);
        if let Some(nodules) = self.0.get_mut(cohort) {
            nodules.push((patient.to_owned(), given.clone()));
        }
    }

    /// A row for each cohort and rating, by cohort and then in the order of [`RATINGS`].
    pub(super) fn rows(&self, seed: u64) -> Vec<RatingAgreement> {
        let rows: Vec<_> = self
            .0
            .iter()
            .flat_map(|cohort| RATINGS.iter().enumerate().map(move |r| (cohort, r)))
            .collect();
        rows.par_iter()
            .map(|((cohort, nodules), (n, rating))| {
                let subjects: Vec<(&str, &RatingCounts)> =
                    nodules.iter().map(|(patient, given)| (patient.as_str(), &given[*n])).collect();
                let found = fleiss::agreement(&subjects, seed);
                RatingAgreement {
                    cohort: (*cohort).clone(),
                    rating: (**rating).to_owned(),
                    n_nodules: found.n_subjects as i64,
                    n_ratings: found.n_ratings as i64,
                    observed_agreement: found.observed,
                    expected_agreement: found.expected,
                    fleiss_kappa: found.kappa,
                    ci_low: found.interval.map(|interval| interval[0]),
                    ci_high: found.interval.map(|interval| interval[1]),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::ingest::tests::mark;

    fn rated(id: &str, session: usize, size: [usize; 3], ratings: [Option<i64>; 2]) -> Mark {
        let [subtlety, malignancy] = ratings;
        let ratings = PerRating { subtlety, malignancy, ..PerRating::default() };
        Mark { ratings, ..mark(id, session, [4, 4, 0], size) }
    }

    fn of(marks: &[Mark]) -> RatingValues {
        let mut readers: BTreeMap<i64, Vec<&Mark>> = BTreeMap::new();
        for mark in marks {
            readers.entry(mark.reading_session).or_default().push(mark);
        }
        given(&readers)
    }

    #[test]
    fn ratings_stand_in_the_order_of_their_names() {
        let mut row = serde_json::to_value(rated("a", 0, [1, 1, 1], [None; 2])).unwrap();
        for (n, name) in RATINGS.iter().enumerate() {
            row[*name] = n.into();
        }
        let mark: Mark = serde_json::from_value(row).unwrap();
        assert_eq!(mark.ratings.values().map(|v| *v), std::array::from_fn(|n| Some(n as i64)));
    }

    #[test]
    fn a_reader_with_two_marks_rates_once() {
        let given = of(&[
            rated("a", 0, [1, 1, 1], [Some(2), Some(4)]),
            rated("b", 0, [2, 1, 1], [Some(3), None]),
            rated("c", 1, [2, 2, 1], [Some(3), Some(4)]),
            rated("d", 1, [2, 2, 1], [Some(5), Some(5)]),
            rated("e", 2, [1, 1, 1], [Some(1), None]),
        ]);
        assert_eq!(given[0], RatingCounts::from([(1, 1), (3, 2)]));
        assert_eq!(given[8], RatingCounts::from([(4, 2)]));
        let shares = shares_of_pairs(&given);
        let shares = [shares.subtlety, shares.malignancy, shares.internal_structure];
        assert_eq!(shares.map(|share| share.0), [Some(1.0 / 3.0), Some(1.0), None]);
    }

    #[test]
    fn cohorts_have_a_row_for_each_rating() {
        let two = |a: i64, b: i64| {
            of(&[
                rated("a", 0, [1, 1, 1], [Some(a), Some(1)]),
                rated("b", 1, [1, 1, 1], [Some(b), Some(1)]),
            ])
        };
        let mut ratings = Ratings::default();
        ratings.cohort("unread");
        ratings.add("read", "p", &two(1, 1));
        ratings.add("read", "q", &two(2, 2));
        ratings.add("read", "q", &two(1, 2));
        let rows = ratings.rows(1);
        assert_eq!(rows.len(), 2 * RATINGS.len());
        let names: Vec<&str> = rows[..9].iter().map(|row| row.rating.as_str()).collect();
        assert_eq!(names, RATINGS);
        let subtlety = &rows[0];
        assert_eq!(
            (subtlety.cohort.as_str(), subtlety.n_nodules, subtlety.n_ratings),
            ("read", 3, 6)
        );
        // Two of three agree, half by chance: (2/3 - 1/2) / (1/2).
        assert!((subtlety.observed_agreement.unwrap() - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(subtlety.expected_agreement, Some(0.5));
        assert!((subtlety.fleiss_kappa.unwrap() - 1.0 / 3.0).abs() < 1e-12);
        let malignancy = &rows[8];
        assert_eq!((malignancy.n_nodules, malignancy.observed_agreement), (3, Some(1.0)));
        assert_eq!(malignancy.fleiss_kappa, None);
        let unread = &rows[9];
        assert_eq!((unread.cohort.as_str(), unread.n_nodules), ("unread", 0));
        assert_eq!((unread.observed_agreement, unread.ci_low), (None, None));
    }
}
