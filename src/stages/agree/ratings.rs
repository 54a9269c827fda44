//! Readers' ratings, of single nodules and of whole cohorts.

use super::config::Config;
use crate::stages::task::Task;
use crate::tables::ratings::Rating;
use crate::tables::{
    Error, Mark, PairAgreement, PerRating, RATINGS, RatingAgreement, Scale, Table,
};
use nodulus_metrics::fleiss::{self, RatingCounts};
use nodulus_metrics::krippendorff::OrdinalAgreement;
use nodulus_metrics::rating_agreement::{RatedSubjects, agreements};
use nodulus_store::Job;
use rayon::prelude::*;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// How many readers of a nodule gave each value, for each rating in the order of [`RATINGS`].
pub type RatingValues = [RatingCounts; RATINGS.len()];

/// The columns of `marks` with a reader's ratings.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct RatedMark {
    mark_id: String,
    reading_session: i64,
    n_voxels: Option<i64>,
    #[serde(flatten)]
    ratings: PerRating<Option<i64>>,
}

impl From<&Mark> for RatedMark {
    fn from(mark: &Mark) -> Self {
        Self {
            mark_id: mark.mark_id.clone(),
            reading_session: mark.reading_session,
            n_voxels: mark.n_voxels,
            ratings: mark.ratings,
        }
    }
}

/// Counts the ratings of a nodule, from the marks of each reader.
///
/// METHOD: a reader rates a nodule once, so that no reader is compared with themselves. Of several marks of one reader
/// that have the rating, the one with most voxels counts; of two with as many voxels, the one whose id comes first.
/// Values off a rating's scale take no part.
pub(super) fn given(readers: impl IntoIterator<Item = (i64, Vec<RatedMark>)>) -> RatingValues {
    let mut given = RatingValues::default();
    for (_, mut marks) in readers {
        marks.sort_by(|a, b| b.n_voxels.cmp(&a.n_voxels).then(a.mark_id.cmp(&b.mark_id)));
        for (n, counts) in given.iter_mut().enumerate() {
            let on_scale = |mark: &RatedMark| {
                mark.ratings.values()[n].filter(|value| RATINGS[n].holds(*value))
            };
            if let Some(rating) = marks.iter().find_map(on_scale) {
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

/// The columns of `nodules` that name its marks.
#[derive(Deserialize)]
struct MergedNodule {
    nodule_id: String,
    cohort: String,
    patient_id: String,
    mark_ids: Vec<String>,
}

#[derive(Deserialize)]
struct OfCohort {
    cohort: String,
}

#[derive(Deserialize)]
struct Agreed {
    nodule_id: String,
}

/// Reads the ratings of every nodule of `reader_agreement`, and writes the agreement of whole cohorts.
///
/// # Errors
///
/// Fails if the store cannot be read or written to.
pub(super) fn reduce(config: &Config, task: &Task<'_>, job: &Job) -> Result<(), Error> {
    for writer in job.work()? {
        let writer = writer?;
        let shards = 0..task.table(Table::ReaderAgreement)?.manifest.n_shards();
        let of_shards: Vec<Ratings> = shards
            .into_par_iter()
            .map(|shard| Ratings::of_shard(task, shard))
            .collect::<Result<_, Error>>()?;
        let mut ratings = Ratings::default();
        for of_shard in of_shards {
            for (cohort, nodules) in of_shard.0 {
                ratings.0.entry(cohort).or_default().extend(nodules);
            }
        }
        let mut part = writer.part::<RatingAgreement>()?;
        part.write(ratings.rows(config.seed))?;
        writer.commit(vec![part.finish()?], Vec::new())?;
    }
    Ok(())
}

/// The ratings of every nodule with its patient, by cohort.
#[derive(Debug, Default)]
pub(super) struct Ratings(BTreeMap<String, Vec<(String, RatingValues)>>);

impl Ratings {
    /// Those of the nodules of a shard.
    fn of_shard(task: &Task<'_>, shard: usize) -> Result<Self, Error> {
        let mut ratings = Self::default();
        let agreed = task.table(Table::ReaderAgreement)?;
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        for batch in agreed.shard_columns::<Agreed>(shard, &["nodule_id"]) {
            wanted.extend(batch?.into_iter().map(|row| row.nodule_id));
        }
        if wanted.is_empty() {
            // The cohort has rows all the same.
            for batch in task.table(Table::Scans)?.shard_columns::<OfCohort>(shard, &["cohort"]) {
                batch?.into_iter().for_each(|scan| ratings.cohort(&scan.cohort));
            }
            return Ok(ratings);
        }
        let names = RATINGS.iter().map(|rating| rating.name);
        let rated: Vec<&str> =
            ["mark_id", "reading_session", "n_voxels"].into_iter().chain(names).collect();
        let mut by_id: BTreeMap<String, RatedMark> = BTreeMap::new();
        for batch in task.table(Table::Marks)?.shard_columns::<RatedMark>(shard, &rated) {
            by_id.extend(batch?.into_iter().map(|mark| (mark.mark_id.clone(), mark)));
        }
        let columns = ["nodule_id", "cohort", "patient_id", "mark_ids"];
        for batch in task.table(Table::Nodules)?.shard_columns::<MergedNodule>(shard, &columns) {
            for nodule in batch?.into_iter().filter(|n| wanted.contains(&n.nodule_id)) {
                let mut readers: BTreeMap<i64, Vec<RatedMark>> = BTreeMap::new();
                for mark in nodule.mark_ids.iter().filter_map(|id| by_id.get(id)) {
                    readers.entry(mark.reading_session).or_default().push(mark.clone());
                }
                ratings.add(&nodule.cohort, &nodule.patient_id, &given(readers));
            }
        }
        Ok(ratings)
    }

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
    ///
    /// METHOD: Krippendorff's alpha takes the order of the categories into account, so nominal ratings have none; Fleiss'
    /// kappa does not, and is given for all.
    pub(super) fn rows(&self, seed: u64) -> Vec<RatingAgreement> {
        let of_cohort = |(cohort, nodules): (&String, &Vec<(String, RatingValues)>)| {
            let rated = RATINGS.iter().enumerate().map(|(n, rating)| RatedSubjects {
                subjects: nodules.iter().map(|(p, given)| (p.as_str(), &given[n])).collect(),
                is_ordinal: rating.scale == Scale::Ordinal,
            });
            let found = agreements(&rated.collect::<Vec<_>>(), seed);
            let rows = RATINGS.iter().zip(found).map(|(rating, found)| row(cohort, rating, found));
            rows.collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of_cohort).collect()
    }
}

fn row(
    cohort: &str,
    rating: &Rating,
    (found, ordinal): (fleiss::RatingAgreement, Option<OrdinalAgreement>),
) -> RatingAgreement {
    RatingAgreement {
        cohort: cohort.to_owned(),
        rating: rating.name.to_owned(),
        scale: rating.scale.name().to_owned(),
        n_nodules: found.n_subjects as i64,
        n_patients: found.n_patients as i64,
        n_ratings: found.n_ratings as i64,
        observed_agreement: found.observed,
        expected_agreement: found.expected,
        fleiss_kappa: found.kappa,
        kappa_ci_low: found.interval.low(),
        kappa_ci_high: found.interval.high(),
        kappa_ci_missing_reason: found.interval.missing_reason(),
        krippendorff_alpha: ordinal.and_then(|ordinal| ordinal.alpha),
        alpha_ci_low: ordinal.and_then(|ordinal| ordinal.interval.low()),
        alpha_ci_high: ordinal.and_then(|ordinal| ordinal.interval.high()),
        alpha_ci_missing_reason: ordinal.and_then(|ordinal| ordinal.interval.missing_reason()),
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
        let mut readers: BTreeMap<i64, Vec<RatedMark>> = BTreeMap::new();
        for mark in marks {
            readers.entry(mark.reading_session).or_default().push(mark.into());
        }
        given(readers)
    }

    #[test]
    fn ratings_stand_in_the_order_of_their_names() {
        let mut row = serde_json::to_value(rated("a", 0, [1, 1, 1], [None; 2])).unwrap();
        for (n, name) in RATINGS.iter().enumerate() {
            row[name.name] = n.into();
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
        assert_eq!(names, RATINGS.map(|rating| rating.name));
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
        assert_eq!((unread.observed_agreement, unread.kappa_ci_low), (None, None));
        let reason = Some("fewer than 8 patients");
        assert_eq!(subtlety.kappa_ci_missing_reason.as_deref(), reason);
        assert_eq!(subtlety.alpha_ci_missing_reason.as_deref(), reason);
        assert_eq!((subtlety.n_patients, subtlety.scale.as_str()), (2, "ordinal"));
        // Coincidences 2 and 3 on the diagonal and 1 off it: 1 - 5 × (1/2) / (3 × 3 / 2) with a difference of 9 in each.
        assert!((subtlety.krippendorff_alpha.unwrap() - (1.0 - 5.0 / 9.0)).abs() < 1e-12);
        let calcification = rows.iter().find(|row| row.rating == "calcification").unwrap();
        assert_eq!(
            (calcification.scale.as_str(), calcification.krippendorff_alpha),
            ("nominal", None)
        );
        assert_eq!(calcification.alpha_ci_missing_reason, None);
    }
}
