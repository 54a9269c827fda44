//! Agree: `scans`, `marks`, `nodules` → `reader_agreement`, `rating_agreement`.

pub(super) mod config;
mod earlier_rows;
mod ratings;

use crate::stages::spec::{Reduction, StageSpec};
use crate::stages::task::Task;
use crate::tables::reader_agreement::ReaderPair;
use crate::tables::{Error, Mark, Nodule, Output, ReaderAgreement, Scan, Table, mask_box};
pub use config::Config;
use earlier_rows::{ComparedNodule, EarlierRows};
use nodulus_formats::volume::{Mask, PlacedMask};
use nodulus_metrics::{METRIC_DEFINITION, measure};
use nodulus_store::{FailedCase, Job};
use ratings::RatedMark;
pub use ratings::RatingValues;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// The stage.
pub const SPEC: StageSpec = StageSpec {
    name: "agree",
    description: "measure the readers' agreement",
    example: "",
    reads: &[
        Output::Table(Table::Scans),
        Output::Table(Table::Marks),
        Output::Table(Table::Nodules),
    ],
    writes: &[Output::Table(Table::ReaderAgreement)],
    version: 5,
    needs_images: false,
    is_sharded: true,
    is_on: |_| true,
    settings: |_| Ok(serde_json::Value::Null),
    outside_weights: |_| None,
    outside_files: None,
    check: None,
    contents: None,
    decide: None,
    run: |config, task, job| Ok(run(&config.agree, task, job)?),
    reduction: Some(Reduction {
        reads: &[
            Output::Table(Table::Scans),
            Output::Table(Table::Marks),
            Output::Table(Table::Nodules),
            Output::Table(Table::ReaderAgreement),
        ],
        writes: &[Output::Table(Table::RatingAgreement)],
        settings: |config| serde_json::to_value(&config.agree),
        run: |config, task, job| Ok(ratings::reduce(&config.agree, task, job)?),
    }),
};

/// Compares the readers of every nodule of every pending shard. Rows of nodules that an earlier run compared for a shard that is
/// no longer are taken over.
///
/// # Errors
///
/// Fails if the store cannot be read or written to; a nodule whose readers cannot be compared
/// becomes a row of `failures`.
pub fn run(_config: &Config, task: &Task<'_>, job: &Job) -> Result<(), Error> {
    let (scans, marks) = (task.table(Table::Scans)?, task.table(Table::Marks)?);
    let nodules = task.table(Table::Nodules)?;
    let work = job.work()?;
    let total = work.n_left();
    let earlier = if total > 0 { EarlierRows::of(task, job)? } else { None };
    for (n, writer) in work.enumerate() {
        let writer = writer?;
        let shard = writer.number();
        let mut by_series: BTreeMap<Series, Scan> = BTreeMap::new();
        for batch in scans.shard_rows::<Scan>(shard) {
            let keyed = |s: Scan| ((s.cohort.clone(), s.series_instance_uid.clone()), s);
            by_series.extend(batch?.into_iter().map(keyed));
        }
        let mut work: Vec<Nodule> = Vec::new();
        for batch in nodules.shard_rows::<Nodule>(shard) {
            work.extend(batch?);
        }
        let wanted: BTreeSet<&str> =
            work.iter().flat_map(|nodule| &nodule.mark_ids).map(String::as_str).collect();
        let mut read: BTreeMap<Series, BTreeMap<String, Mark>> = BTreeMap::new();
        for batch in marks.shard_rows::<Mark>(shard) {
            for mark in batch?.into_iter().filter(|mark| wanted.contains(&*mark.mark_id)) {
                let series = (mark.cohort.clone(), mark.series_instance_uid.clone());
                read.entry(series).or_default().insert(mark.mark_id.clone(), mark);
            }
        }
        let earlier = earlier.as_ref().filter(|_| !job.is_redone(shard));
        let known = earlier.map(|earlier| earlier.read(by_series.keys())).unwrap_or_default();
        let results: Vec<_> = work
            .par_iter()
            .map(|nodule| match earlier_row(nodule, &by_series, &read, &known) {
                Some(row) => Ok(row.clone()),
                None => of_nodule(nodule, &by_series, &read),
            })
            .collect();
        let mut part = writer.part::<ReaderAgreement>()?;
        let mut failures = Vec::new();
        for (nodule, result) in work.iter().zip(results) {
            match result {
                Ok(row) => part.write(row)?,
                Err((error, path)) => {
                    failures.push(
                        FailedCase::new("agree", &nodule.nodule_id, &error, path)
                            .of_cohort(&nodule.cohort),
                    );
                }
            }
        }
        writer.commit(vec![part.finish()?], failures)?;
        task.cases(n + 1, total);
    }
    Ok(())
}

/// Cohort and series.
type Series = (String, String);

type Failed = (AgreeError, Option<String>);

/// The row of a nodule that was compared before, if it is still the same.
fn earlier_row<'a>(
    nodule: &Nodule,
    scans: &BTreeMap<Series, Scan>,
    marks: &BTreeMap<Series, BTreeMap<String, Mark>>,
    known: &'a BTreeMap<String, ComparedNodule>,
) -> Option<&'a Option<ReaderAgreement>> {
    let series = (nodule.cohort.clone(), nodule.series_instance_uid.clone());
    let marks = marks.get(&series)?;
    let compared = known.get(&nodule.nodule_id)?;
    compared.is_same(nodule, scans.get(&series), |id| marks.get(id)).then_some(&compared.row)
}

/// Finds a nodule's scan and marks, and applies [`transform`]; an error comes with the path of the scan.
fn of_nodule(
    nodule: &Nodule,
    scans: &BTreeMap<Series, Scan>,
    marks: &BTreeMap<Series, BTreeMap<String, Mark>>,
) -> Result<Option<ReaderAgreement>, Failed> {
    let series = (nodule.cohort.clone(), nodule.series_instance_uid.clone());
    let scan = scans.get(&series).ok_or_else(|| (AgreeError::NoScan(series.1.clone()), None))?;
    let of_series = marks.get(&series);
    let found: Result<Vec<&Mark>, AgreeError> = nodule
        .mark_ids
        .iter()
        .map(|id| {
            let mark = of_series.and_then(|marks| marks.get(id));
            mark.ok_or_else(|| AgreeError::NoMark(id.clone()))
        })
        .collect();
    let no_spacing = || (AgreeError::NoSpacing(series.1.clone()), scan.path.clone());
    let spacing_mm = scan.spacing_mm().ok_or_else(no_spacing)?;
    found
        .and_then(|marks| transform(nodule, &marks, spacing_mm))
        .map_err(|error| (error, scan.path.clone()))
}

/// How far the readers of one nodule agree; `None` where only one reader marked it.
///
/// `marks` are the nodule's, in any order; `spacing_mm` is the scan's, along i, j, k.
///
/// METHOD: a reader's mask is the union of that reader's marks on the nodule, at their position in the scan: masks
/// without a common voxel have no overlap, and their surfaces still have a distance. Surfaces are measured in space, as
/// in `nodule_metrics`, even where every mark is on one slice. Where slices are unevenly spaced, distances use the
/// scan's single spacing along k.
///
/// # Errors
///
/// Fails if a mark's box and bits do not fit each other, or a reader's marks have no voxel.
pub fn transform(
    nodule: &Nodule,
    marks: &[&Mark],
    spacing_mm: [f64; 3],
) -> Result<Option<ReaderAgreement>, AgreeError> {
    let mut readers: BTreeMap<i64, Vec<&Mark>> = BTreeMap::new();
    for mark in marks {
        readers.entry(mark.reading_session).or_default().push(mark);
    }
    if readers.len() < 2 {
        return Ok(None);
    }
    let masks = reader_masks(&readers)?;
    let mut pairs = Vec::new();
    for (n, (session_a, a)) in masks.iter().enumerate() {
        for (session_b, b) in &masks[n + 1..] {
            let scores = measure(a, b, spacing_mm);
            let (Some(dice), Some(iou), Some(assd_mm)) = (scores.dice, scores.iou, scores.assd_mm)
            else {
                let empty = if a.is_empty() { session_a } else { session_b };
                return Err(AgreeError::NoVoxel { session: *empty });
            };
            let (session_a, session_b) = (*session_a, *session_b);
            pairs.push(ReaderPair { session_a, session_b, dice, iou, assd_mm });
        }
    }
    let given = ratings::given(readers.iter().map(|(session, marks)| {
        (*session, marks.iter().map(|mark| RatedMark::from(*mark)).collect())
    }));
    Ok(Some(row(nodule, readers.len(), pairs, &given)))
}

/// Each reader's mask, all in the bounding box of all marks, which is at least two slices deep.
///
/// # Errors
///
/// Fails if a mark's box and bits do not fit each other.
pub fn reader_masks(
    readers: &BTreeMap<i64, Vec<&Mark>>,
) -> Result<Vec<(i64, Mask)>, mask_box::Error> {
    let mut placed: Vec<(i64, Vec<PlacedMask>)> = Vec::new();
    for (session, marks) in readers {
        let masks: Result<Vec<_>, _> = marks.iter().map(|mark| mark.placed()).collect();
        placed.push((*session, masks?.into_iter().flatten().collect()));
    }
    let [start, end] = PlacedMask::bounds(placed.iter().flat_map(|(_, masks)| masks));
    let [ni, nj, nk]: [usize; 3] = std::array::from_fn(|a| end[a] - start[a]);
    let union = |masks: &[PlacedMask]| {
        let mut union = Mask::empty([ni, nj, nk.max(2)]);
        for placed in masks {
            let [i0, j0, k0]: [usize; 3] = std::array::from_fn(|a| placed.start[a] - start[a]);
            placed.mask.voxels().for_each(|[i, j, k]| union.set(i0 + i, j0 + j, k0 + k, true));
        }
        union
    };
    Ok(placed.iter().map(|(session, masks)| (*session, union(masks))).collect())
}

/// The row of a nodule; `pairs` must not be empty.
fn row(
    nodule: &Nodule,
    n_readers: usize,
    pairs: Vec<ReaderPair>,
    given: &RatingValues,
) -> ReaderAgreement {
    let n = pairs.len() as f64;
    let mean = |value: fn(&ReaderPair) -> f64| pairs.iter().map(value).sum::<f64>() / n;
    let least =
        |value: fn(&ReaderPair) -> f64| pairs.iter().map(value).fold(f64::INFINITY, f64::min);
    ReaderAgreement {
        nodule_id: nodule.nodule_id.clone(),
        cohort: nodule.cohort.clone(),
        series_instance_uid: nodule.series_instance_uid.clone(),
        patient_id: nodule.patient_id.clone(),
        n_readers: n_readers as i64,
        n_pairs: pairs.len() as i64,
        dice_mean: mean(|pair| pair.dice),
        dice_min: least(|pair| pair.dice),
        iou_mean: mean(|pair| pair.iou),
        iou_min: least(|pair| pair.iou),
        assd_mean_mm: mean(|pair| pair.assd_mm),
        assd_max_mm: -least(|pair| -pair.assd_mm),
        pairs,
        ratings: ratings::shares_of_pairs(given),
        metric_definition: METRIC_DEFINITION.to_owned(),
    }
}

/// The readers of one nodule could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum AgreeError {
    /// The scan has no spacing along k.
    #[error("`scans` has no spacing along k for series {0}")]
    NoSpacing(String),
    /// The nodule's series is unknown.
    #[error("`scans` has no series `{0}`")]
    NoScan(String),
    /// A mark of the nodule is unknown.
    #[error("`marks` has no mark `{0}` in the nodule's series")]
    NoMark(String),
    /// A mark's box and bits do not fit each other.
    #[error(transparent)]
    Mask(#[from] mask_box::Error),
    /// None of a reader's outlines encloses a voxel.
    #[error("the marks of reading session {session} have no voxel")]
    NoVoxel {
        /// The session.
        session: i64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::nodule;
    use crate::stages::ingest::tests::{mark, scan};

    const SPACING: [f64; 3] = [0.5, 0.5, 2.0];

    fn of(marks: &[Mark]) -> ReaderAgreement {
        let marks: Vec<&Mark> = marks.iter().collect();
        transform(&nodule("n", [0, 0, 0], [1, 1, 1]), &marks, SPACING).unwrap().unwrap()
    }

    fn assert_pair(pair: &ReaderPair, sessions: [i64; 2], expected: [f64; 3]) {
        assert_eq!([pair.session_a, pair.session_b], sessions);
        for (found, expected) in [pair.dice, pair.iou, pair.assd_mm].into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{pair:?}, expected {expected}");
        }
    }

    #[test]
    fn three_readers_are_three_pairs_and_two_marks_of_one_reader_are_one_mask() {
        // Columns 4 to 7; 6 beside 4 and 5; 6 to 9. One row, two slices.
        let marks = [
            mark("a", 0, [4, 9, 1], [4, 1, 2]),
            mark("b", 1, [6, 9, 1], [1, 1, 2]),
            mark("c", 1, [4, 9, 1], [2, 1, 2]),
            mark("d", 3, [6, 9, 1], [4, 1, 2]),
        ];
        let row = of(&marks);
        assert_eq!((row.n_readers, row.n_pairs), (3, 3));
        // Of 4 and 3 columns 3 are shared; the fourth lies 0.5 mm from the third.
        assert_pair(&row.pairs[0], [0, 1], [6.0 / 7.0, 0.75, 0.5 / 7.0]);
        // Of 4 and 4 columns 2 are shared; the others lie 1 and 0.5 mm off, on either side.
        assert_pair(&row.pairs[1], [0, 3], [0.5, 2.0 / 6.0, 3.0 / 8.0]);
        // Of 3 and 4 columns 1 is shared; 1 and 0.5 mm off, then 0.5, 1 and 1.5 mm.
        assert_pair(&row.pairs[2], [1, 3], [2.0 / 7.0, 1.0 / 6.0, 4.5 / 7.0]);
        let mean = (6.0 / 7.0 + 0.5 + 2.0 / 7.0) / 3.0;
        assert!((row.dice_mean - mean).abs() < 1e-12);
        assert!((row.dice_min - 2.0 / 7.0).abs() < 1e-12);
        assert!((row.iou_min - 1.0 / 6.0).abs() < 1e-12);
        assert!((row.assd_max_mm - 4.5 / 7.0).abs() < 1e-12);
        // The order of the marks does not matter.
        let mut reversed = marks.to_vec();
        reversed.reverse();
        assert_eq!(of(&reversed), row);
    }

    #[test]
    fn masks_apart_share_nothing_and_have_a_distance() {
        let row = of(&[mark("a", 0, [4, 9, 0], [2, 1, 1]), mark("b", 1, [4, 9, 2], [2, 1, 1])]);
        assert_pair(&row.pairs[0], [0, 1], [0.0, 0.0, 4.0]);
    }

    #[test]
    fn marks_of_one_slice_are_measured_in_space() {
        // A square of 3 × 3 and its centre: in the plane the centre would be no surface.
        let row = of(&[mark("a", 0, [4, 4, 1], [3, 3, 1]), mark("b", 1, [5, 5, 1], [1, 1, 1])]);
        // To the centre 0, four times 0.5 and four times 0.5 √2; from the centre 0.
        let assd = (4.0 * 0.5 + 4.0 * 0.5 * 2f64.sqrt()) / 10.0;
        assert_pair(&row.pairs[0], [0, 1], [0.2, 1.0 / 9.0, assd]);
    }

    #[test]
    fn a_solid_box_has_an_inside() {
        // 5 × 3 × 3 within 5 × 3 × 4: all voxels but three and six are surface, 42 and 54.
        let row = of(&[mark("a", 0, [4, 4, 0], [5, 3, 3]), mark("b", 1, [4, 4, 0], [5, 3, 4])]);
        // Of the 54, the bottom 15 lie 2 mm off, and those above them on the other's surface. Of the
        // 42, the three in the middle of the third slice lie 0.5 mm (in j) from the other's surface.
        let assd = (15.0 * 2.0 + 3.0 * 0.5) / 96.0;
        assert_pair(&row.pairs[0], [0, 1], [90.0 / 105.0, 45.0 / 60.0, assd]);
    }

    #[test]
    fn one_reader_agrees_with_nobody() {
        let (a, b) = (mark("a", 2, [4, 4, 0], [2, 2, 1]), mark("b", 2, [5, 4, 0], [2, 2, 1]));
        let nodule = nodule("n", [0, 0, 0], [1, 1, 1]);
        assert!(transform(&nodule, &[&a, &b], SPACING).unwrap().is_none());
        assert!(transform(&nodule, &[], SPACING).unwrap().is_none());
    }

    #[test]
    fn a_reader_without_a_voxel_is_named() {
        let mut empty = mark("b", 1, [4, 4, 0], [2, 2, 1]);
        empty.mask_bits = None;
        let a = mark("a", 0, [4, 4, 0], [2, 2, 1]);
        let nodule = nodule("n", [0, 0, 0], [1, 1, 1]);
        let error = transform(&nodule, &[&empty, &a], SPACING).unwrap_err();
        assert_eq!(error.to_string(), "the marks of reading session 1 have no voxel");
    }

    #[test]
    fn a_nodule_whose_scan_or_mark_is_missing_says_which() {
        let series = |mark: &Mark| (mark.cohort.clone(), mark.series_instance_uid.clone());
        let (a, mut nodule) =
            (mark("a", 0, [4, 4, 0], [2, 2, 1]), nodule("n", [0, 0, 0], [1, 1, 1]));
        (nodule.cohort, nodule.series_instance_uid) = series(&a);
        nodule.mark_ids = vec!["a".to_owned(), "b".to_owned()];
        let scans = BTreeMap::from([(series(&a), scan())]);
        let marks = BTreeMap::from([(series(&a), BTreeMap::from([("a".to_owned(), a)]))]);
        let (error, _) = of_nodule(&nodule, &scans, &marks).unwrap_err();
        assert_eq!(error.to_string(), "`marks` has no mark `b` in the nodule's series");
        let (error, _) = of_nodule(&nodule, &BTreeMap::new(), &marks).unwrap_err();
        assert_eq!(error.to_string(), "`scans` has no series `1.2`");
        nodule.mark_ids.pop();
        assert!(of_nodule(&nodule, &scans, &marks).unwrap().is_none());
    }
}
