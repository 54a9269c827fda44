//! Merge: `scans`, `marks` → `nodules`.

pub(super) mod config;
mod located;
mod points;
mod join;
mod ratings;
mod nodule;
mod repeated;

use crate::stages::spec::StageSpec;
use crate::stages::task::Task;
use crate::tables::{Error, Mark, Nodule, Output, Scan, Table, mask_box};
pub use config::{Chains, Config, Denominator, MergeRule};
use nodulus_store::{FailedCase, Job};
use rayon::prelude::*;
use repeated::series_key;
use std::collections::BTreeMap;

/// The stage.
pub const SPEC: StageSpec = StageSpec {
    name: "merge",
    description: "merge the readers' marks of each nodule",
    example: "--set merge.consensus_level=0.75",
    reads: &[Output::Table(Table::Scans), Output::Table(Table::Marks)],
    writes: &[Output::Table(Table::Nodules)],
    version: 4,
    needs_images: false,
    is_sharded: true,
    is_on: |_| true,
    settings: |config| serde_json::to_value(&config.merge),
    outside_weights: |_| None,
    outside_files: None,
    check: None,
    contents: None,
    decide: Some(|_, task| Ok(Some(repeated::decide(task.table(Table::Scans)?)?))),
    run: |config, task, job| Ok(run(&config.merge, task, job)?),
    reduction: None,
};

/// Merges the marks of every pending shard.
///
/// # Errors
///
/// Fails if the store cannot be read or written to; a scan or nodule that fails becomes a row of
/// `failures`.
pub fn run(config: &Config, task: &Task<'_>, job: &Job) -> Result<(), Error> {
    let (scans, marks) = (task.table(Table::Scans)?, task.table(Table::Marks)?);
    // The decisions say whether there is any.
    let is_any_repeated = job.spec().shards.iter().any(|shard| !shard.decisions.is_null());
    let repeated = if is_any_repeated { repeated::repeated(scans)? } else { BTreeMap::new() };
    let work = job.work()?;
    let total = work.n_left();
    for (n, writer) in work.enumerate() {
        let writer = writer?;
        let shard = writer.number();
        let mut by_series: BTreeMap<String, (Scan, Vec<Mark>)> = BTreeMap::new();
        let mut failures = Vec::new();
        for batch in scans.shard_rows::<Scan>(shard) {
            for scan in batch?.into_iter().filter(|scan| scan.included) {
                let key = series_key(&scan.cohort, &scan.series_instance_uid);
                if let Some(places) = repeated.get(&key) {
                    let error = MergeError::Repeated { places: places.join("`, `") };
                    let case = &scan.series_instance_uid;
                    failures.push(
                        FailedCase::new("merge", case, &error, scan.path).of_cohort(&scan.cohort),
                    );
                } else {
                    by_series.insert(key, (scan, Vec::new()));
                }
            }
        }
        for batch in marks.shard_rows::<Mark>(shard) {
            for mark in batch? {
                let key = series_key(&mark.cohort, &mark.series_instance_uid);
                if let Some((_, marks)) = by_series.get_mut(&key) {
                    marks.push(mark);
                }
            }
        }
        let work: Vec<(Scan, Vec<Mark>)> = by_series.into_values().collect();
        let merged: Vec<_> =
            work.par_iter().map(|(scan, marks)| transform(config, scan, marks)).collect();
        let mut nodules = writer.part::<Nodule>()?;
        for (rows, failed) in merged {
            nodules.write(rows)?;
            failures.extend(failed);
        }
        writer.commit(vec![nodules.finish()?], failures)?;
        task.cases(n + 1, total);
    }
    Ok(())
}

/// The nodules of one scan, by first slice, then by id; none where no mark has a mask.
///
/// `marks` are the scan's, in the order of the table. Outlines without a mask are skipped, and so are marks whose session reads
/// another scan; ingest lists both in `exclusions`.
pub fn transform(config: &Config, scan: &Scan, marks: &[Mark]) -> (Vec<Nodule>, Vec<FailedCase>) {
    let fail = |case: String, error: &MergeError| {
        FailedCase::new("merge", case, error, scan.path.clone()).of_cohort(&scan.cohort)
    };
    let marks: Vec<&Mark> = marks.iter().filter(|mark| !mark.is_of_other_scan()).collect();
    let located = located::locate(scan, &marks);
    let placed = located.and_then(|placed| Ok((placed, points::points(scan, &marks)?)));
    let (marks, points) = match placed {
        Ok(placed) => placed,
        Err(error) => {
            return (Vec::new(), vec![fail(scan.series_instance_uid.clone(), &error)]);
        }
    };
    let mut nodules = Vec::new();
    let mut failures = Vec::new();
    let joined = join::join(config, &marks);
    let members: Vec<Vec<usize>> = joined.iter().map(|joined| joined.marks.clone()).collect();
    let nodule_of = points::nodule_of_points(&points, &marks, &members);
    let near = |nodule| points.iter().zip(&nodule_of).filter(move |(_, of)| **of == Some(nodule));
    for (n, joined) in joined.into_iter().enumerate() {
        if joined.marks.len() < config.min_marks {
            continue;
        }
        let points: Vec<&Mark> = near(n).map(|(point, _)| point.mark).collect();
        match nodule::row(config, scan, &marks, &joined, &points) {
            Ok(nodule) => nodules.push(nodule),
            Err(error) => {
                let ids: Vec<_> =
                    joined.marks.iter().map(|n| marks[*n].mark.mark_id.as_str()).collect();
                let case = format!("{} marks {}", scan.series_instance_uid, ids.join(" "));
                failures.push(fail(case, &error));
            }
        }
    }
    nodules.sort_by(|a, b| (a.bbox_k, &a.nodule_id).cmp(&(b.bbox_k, &b.nodule_id)));
    (nodules, failures)
}

/// The marks of a scan could not be merged.
#[derive(Debug, thiserror::Error)]
enum MergeError {
    #[error("the series is in its cohort more than once: `{places}`; keep one of them")]
    Repeated { places: String },
    #[error("`scans` has no spacing along k for series {0}")]
    NoSpacing(String),
    #[error("mark `{mark_id}` has a mask that cannot be placed")]
    Mask { mark_id: String, source: mask_box::Error },
    #[error("mark `{mark_id}` has a mask but no `{column}`")]
    Missing { mark_id: String, column: &'static str },
    #[error(
        "the scan has {n_reading_sessions} reading sessions, but {n_readers} marked the nodule; \
         a share of all sessions cannot be taken"
    )]
    Sessions { n_reading_sessions: i64, n_readers: usize },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::ingest::tests::{mark, scan};
    use crate::tables::PerRating;
    use proptest::prelude::*;

    #[test]
    fn readers_of_one_nodule_are_merged_and_disagreement_is_settled_by_share() {
        // Three readers mark voxels 0..4, 0..3 and 0..2 along i: half of them hold 0..3.
        let mut marks = [
            mark("a", 0, [10, 10, 1], [4, 1, 1]),
            mark("b", 1, [10, 10, 1], [3, 1, 1]),
            mark("c", 2, [10, 10, 1], [2, 1, 1]),
        ];
        for (mark, malignancy) in marks.iter_mut().zip([5, 2, 2]) {
            mark.ratings.malignancy = Some(malignancy);
        }
        let (nodules, failures) = transform(&Config::default(), &scan(), &marks);
        assert_eq!((nodules.len(), failures.len()), (1, 0));
        let nodule = &nodules[0];
        assert_eq!((nodule.n_marks, nodule.n_readers), (3, 3));
        assert_eq!([nodule.bbox_i, nodule.bbox_size_i], [10, 3]);
        assert_eq!(nodule.mark_ids, ["a", "b", "c"]);
        // Centres 11.5, 11 and 10.5.
        assert!((nodule.centroid_i - 11.0).abs() < 1e-12);
        let PerRating { malignancy, subtlety, .. } = nodule.ratings;
        assert_eq!((malignancy.0, malignancy.mean()), ([0, 2, 0, 0, 1, 0], Some(3.0)));
        assert_eq!((malignancy.n(), subtlety.n(), subtlety.mean()), (3, 0, None));
        let (nodules, _) =
            transform(&Config { min_marks: 4, ..Config::default() }, &scan(), &marks);
        assert!(nodules.is_empty());
    }

    #[test]
    fn nodules_of_a_split_chain_have_their_own_ids_and_counts() {
        // Two nodules of two readers, about columns 3.5 and 8.5, with lines that nearly meet.
        let mut marks = [
            mark("d", 0, [2, 4, 1], [3, 1, 1]),
            mark("c", 0, [8, 4, 1], [3, 1, 1]),
            mark("b", 1, [3, 4, 1], [3, 1, 1]),
            mark("a", 1, [7, 4, 1], [3, 1, 1]),
        ];
        for mark in &mut marks {
            mark.diameter_mm = Some(3.0);
        }
        let flag = Config { chains: Some(Chains::Flag), ..Config::default() };
        let (nodules, _) = transform(&flag, &scan(), &marks);
        assert_eq!(nodules.len(), 1);
        let alternative = nodules[0].alternative_mark_ids.clone().unwrap();
        assert_eq!(alternative, [["a", "c"], ["b", "d"]]);
        let config = Config { min_marks: 2, ..Config::default() };
        let (nodules, _) = transform(&config, &scan(), &marks);
        let mut found: Vec<_> = nodules.iter().map(|nodule| nodule.mark_ids.clone()).collect();
        found.sort();
        assert_eq!(found, alternative);
        for nodule in &nodules {
            let id = nodulus_store::hash::id("n-", nodule.mark_ids.iter().map(String::as_str));
            assert_eq!(nodule.nodule_id, id);
            assert_eq!((nodule.n_marks, nodule.n_readers), (2, 2));
            assert!(!nodule.more_marks_than_readers && nodule.alternative_mark_ids.is_none());
        }
        let config = Config { min_marks: 3, ..config };
        assert!(transform(&config, &scan(), &marks).0.is_empty());
    }

    #[test]
    fn a_mark_without_its_place_is_a_failure_that_names_it() {
        let mut marks = [mark("a", 0, [10, 10, 1], [4, 1, 1]), mark("b", 1, [2, 2, 1], [2, 1, 1])];
        marks[1].diameter_mm = None;
        let (nodules, failures) = transform(&Config::default(), &scan(), &marks);
        assert!(nodules.is_empty());
        assert_eq!(failures[0].case_id, "1.2");
        assert_eq!(failures[0].cause, "mark `b` has a mask but no `diameter_mm`");
        marks[1].mask_bits = Some(vec![1, 1]);
        let (_, failures) = transform(&Config::default(), &scan(), &marks);
        let cause =
            "mark `b` has a mask that cannot be placed: mask of [2, 1, 1] voxels has 2 bytes";
        assert!(failures[0].cause.starts_with(cause), "{}", failures[0].cause);
    }

    #[test]
    fn rules_have_the_names_of_the_settings() {
        for rule in [MergeRule::Linkage, MergeRule::Luna16, MergeRule::Overlap] {
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.name());
        }
        for denominator in [Denominator::Marking, Denominator::All] {
            assert_eq!(serde_json::to_value(denominator).unwrap(), denominator.name());
        }
    }

    proptest! {
        #[test]
        fn every_mark_is_in_one_nodule(
            marks in prop::collection::vec(
                (0..4usize, [0..16usize, 0..16usize, 0..3usize], [1..5usize, 1..5usize, 1..2usize]),
                0..12,
            ),
            rule in prop::sample::select(vec![MergeRule::Linkage, MergeRule::Luna16, MergeRule::Overlap]),
            chains in prop::sample::select(vec![Chains::Flag, Chains::Split]),
        ) {
            let marks: Vec<Mark> = marks
                .into_iter()
                .enumerate()
                .map(|(n, (session, start, size))| mark(&format!("m{n:02}"), session, start, size))
                .collect();
            let config = Config { rule, chains: Some(chains), ..Config::default() };
            let (nodules, failures) = transform(&config, &scan(), &marks);
            prop_assert_eq!(failures, []);
            let mut ids: Vec<String> = nodules.iter().flat_map(|n| n.mark_ids.clone()).collect();
            ids.sort();
            let all: Vec<String> = marks.iter().map(|mark| mark.mark_id.clone()).collect();
            prop_assert_eq!(ids, all);
            for nodule in nodules {
                prop_assert_eq!(nodule.n_marks, nodule.mark_ids.len() as i64);
                prop_assert_eq!(nodule.more_marks_than_readers, nodule.n_marks > nodule.n_readers);
                let alternative = nodule.alternative_mark_ids.clone();
                prop_assert_eq!(alternative.is_some(), nodule.more_marks_than_readers);
                if let Some(groups) = alternative {
                    prop_assert!(chains == Chains::Flag && groups.len() > 1);
                    let mut ids = groups.concat();
                    ids.sort();
                    prop_assert_eq!(&ids, &nodule.mark_ids);
                }
                // The consensus lies within the union.
                let (consensus, union) = (nodule.placed().unwrap(), nodule.placed_union().unwrap());
                let [i0, j0, k0] = consensus.start;
                prop_assert!(
                    consensus.mask.voxels().all(|[i, j, k]| union.get(i + i0, j + j0, k + k0))
                );
                prop_assert!(!union.mask.is_empty());
            }
        }
    }
}
