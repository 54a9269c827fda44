//! Merge: `scans`, `marks` → `nodules`.

use super::Task;
use crate::imaging::{consensus, linkage};
use crate::tables::marks::{MarkKind, RATINGS};
use crate::tables::{
    Failure, Mark, Nodule, Output, Scan, Table, hash, mask_box, parquet, shard, store,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Outputs read.
pub const READS: &[Output] = &[Output::Table(Table::Scans), Output::Table(Table::Marks)];
/// Outputs written.
pub const WRITES: &[Output] = &[Output::Table(Table::Nodules)];
/// Raised when the stage's results change.
pub const VERSION: u32 = 1;

/// Settings: `[merge]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How marks are joined.
    pub rule: Rule,
    /// Share of a nodule's marks that must hold a voxel of its consensus mask.
    pub consensus_level: f64,
    /// Nodules with fewer marks are left out; 3 is LUNA16's reference standard.
    pub min_marks: usize,
}

/// How marks of one nodule are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Single linkage of centres nearer than the sum of the radii.
    Linkage,
}

impl Default for Config {
    fn default() -> Self {
        Self { rule: Rule::Linkage, consensus_level: 0.5, min_marks: 1 }
    }
}

/// Merges the marks of every pending shard.
///
/// # Errors
///
/// Fails if the store cannot be read or written to; a nodule that fails becomes a row of
/// `failures`.
pub fn run(config: &Config, task: &Task<'_>) -> Result<(), Error> {
    let (scans, marks) = (task.table(Table::Scans)?, task.table(Table::Marks)?);
    let total = task.job.spec().n_shards;
    for shard in task.job.pending() {
        let mut included = BTreeMap::new();
        for batch in scans.shard_rows::<Scan>(shard) {
            let batch = batch?.into_iter().filter(|scan| scan.included);
            included.extend(
                batch.map(|scan| (series_key(&scan.cohort, &scan.series_instance_uid), scan)),
            );
        }
        let mut by_series: BTreeMap<String, Vec<Mark>> = BTreeMap::new();
        for batch in marks.shard_rows::<Mark>(shard) {
            for mark in batch?.into_iter().filter(|mark| mark.kind == MarkKind::Nodule.name()) {
                let key = series_key(&mark.cohort, &mark.series_instance_uid);
                by_series.entry(key).or_default().push(mark);
            }
        }
        let writer = task.job.shard(shard)?;
        let mut nodules = writer.part::<Nodule>()?;
        let mut failures = Vec::new();
        for (key, marks) in by_series {
            if let Some(scan) = included.get(&key) {
                let (rows, failed) = transform(config, scan, &marks);
                nodules.write(rows)?;
                failures.extend(failed);
            }
        }
        writer.commit(vec![nodules.finish()?], failures)?;
        task.cases(shard + 1, total);
    }
    Ok(())
}

/// The nodules of one scan, by first slice, then by id.
///
/// METHOD: marks of one session were told apart by their reader and are never joined to each other
/// alone: where a scan has a single session, each mark is a nodule.
pub fn transform(config: &Config, scan: &Scan, marks: &[Mark]) -> (Vec<Nodule>, Vec<Failure>) {
    let sessions: BTreeSet<i64> = marks.iter().map(|mark| mark.reading_session).collect();
    let groups = if sessions.len() > 1 {
        match config.rule {
            Rule::Linkage => linkage::single_linkage(
                &marks.iter().map(scaled_centroid(scan)).collect::<Vec<_>>(),
                &marks.iter().map(|m| m.diameter_mm.unwrap_or(0.0)).collect::<Vec<_>>(),
            ),
        }
    } else {
        (0..marks.len()).collect()
    };
    let mut members: BTreeMap<usize, Vec<&Mark>> = BTreeMap::new();
    for (mark, group) in marks.iter().zip(groups) {
        members.entry(group).or_default().push(mark);
    }
    let mut nodules = Vec::new();
    let mut failures = Vec::new();
    for marks in members.into_values().filter(|marks| marks.len() >= config.min_marks) {
        match nodule(config, scan, &marks) {
            Ok(nodule) => nodules.push(nodule),
            Err(error) => {
                let ids: Vec<_> = marks.iter().map(|mark| mark.mark_id.as_str()).collect();
                let case = format!("{} marks {}", scan.series_instance_uid, ids.join(" "));
                failures.push(Failure::new("merge", case, &error, scan.path.clone()));
            }
        }
    }
    nodules.sort_by(|a, b| (a.bbox_k, &a.nodule_id).cmp(&(b.bbox_k, &b.nodule_id)));
    (nodules, failures)
}

fn nodule(config: &Config, scan: &Scan, marks: &[&Mark]) -> Result<Nodule, MergeError> {
    let masks = marks
        .iter()
        .map(|mark| mark.placed()?.ok_or_else(|| MergeError::NoMask(mark.mark_id.clone())))
        .collect::<Result<Vec<_>, _>>()?;
    let consensus = consensus::consensus(&masks.iter().collect::<Vec<_>>(), config.consensus_level)
        .ok_or(MergeError::NoConsensus { n_marks: marks.len(), level: config.consensus_level })?;
    let mean = |value: &dyn Fn(&Mark) -> Option<f64>| {
        let sum: Option<f64> = marks.iter().map(|mark| value(mark)).sum();
        sum.map(|sum| sum / marks.len() as f64)
    };
    let needed = |value: Option<f64>| value.ok_or_else(|| MergeError::NoMask(String::new()));
    let mut mark_ids: Vec<String> = marks.iter().map(|mark| mark.mark_id.clone()).collect();
    mark_ids.sort();
    let readers: BTreeSet<i64> = marks.iter().map(|mark| mark.reading_session).collect();
    let ratings: Vec<Option<f64>> = (0..RATINGS.len()).map(|n| mean_rating(marks, n)).collect();
    let voxel = scan.spacing_i_mm * scan.spacing_j_mm * scan.spacing_k_mm;
    let [bbox_i, bbox_j, bbox_k] = consensus.start.map(|v| v as i64);
    let [bbox_size_i, bbox_size_j, bbox_size_k] = consensus.mask.size().map(|v| v as i64);
    Ok(Nodule {
        nodule_id: hash::id("n-", mark_ids.iter().map(String::as_str)),
        cohort: scan.cohort.clone(),
        series_instance_uid: scan.series_instance_uid.clone(),
        patient_id: scan.patient_id.clone(),
        merge_rule: "linkage".to_owned(),
        n_marks: marks.len() as i64,
        n_readers: readers.len() as i64,
        centroid_i: needed(mean(&|mark| mark.centroid_i))?,
        centroid_j: needed(mean(&|mark| mark.centroid_j))?,
        centroid_k: needed(mean(&|mark| mark.centroid_k))?,
        centroid_x_mm: mean(&|mark| mark.centroid_x_mm),
        centroid_y_mm: mean(&|mark| mark.centroid_y_mm),
        centroid_z_mm: mean(&|mark| mark.centroid_z_mm),
        diameter_mm: needed(mean(&|mark| mark.diameter_mm))?,
        volume_mm3: consensus.mask.count() as f64 * voxel,
        consensus_level: config.consensus_level,
        bbox_i,
        bbox_j,
        bbox_k,
        bbox_size_i,
        bbox_size_j,
        bbox_size_k,
        mask_bits: consensus.mask.into_bits(),
        mark_ids,
        subtlety: ratings[0],
        internal_structure: ratings[1],
        calcification: ratings[2],
        sphericity: ratings[3],
        margin: ratings[4],
        lobulation: ratings[5],
        spiculation: ratings[6],
        texture: ratings[7],
        malignancy: ratings[8],
        nodule_type: nodule_type(ratings[1], ratings[2], ratings[7]).map(str::to_owned),
    })
}

/// A kind of nodule from the mean ratings, or `None` without ratings.
///
/// METHOD: LIDC rates calcification 6 = absent, texture 1 = non-solid, 3 = part-solid, 5 = solid,
/// internal structure 4 = air (McNitt-Gray et al. 2007); cut half-way between the named values.
fn nodule_type(
    internal_structure: Option<f64>,
    calcification: Option<f64>,
    texture: Option<f64>,
) -> Option<&'static str> {
    let texture = texture?;
    Some(match () {
        () if internal_structure.is_some_and(|v| v >= 2.5) => "cavitary",
        () if calcification.is_some_and(|v| v < 5.5) => "calcified",
        () if texture < 2.0 => "ground_glass",
        () if texture < 4.0 => "part_solid",
        () => "solid",
    })
}

fn mean_rating(marks: &[&Mark], rating: usize) -> Option<f64> {
    let values: Vec<f64> = marks
        .iter()
        .filter_map(|m| {
            [
                m.subtlety,
                m.internal_structure,
                m.calcification,
                m.sphericity,
                m.margin,
                m.lobulation,
                m.spiculation,
                m.texture,
                m.malignancy,
            ][rating]
        })
        .map(|v| v as f64)
        .collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Centres in millimetres along the image's own axes, where distances are the patient's.
fn scaled_centroid(scan: &Scan) -> impl Fn(&Mark) -> [f64; 3] {
    let spacing = [scan.spacing_i_mm, scan.spacing_j_mm, scan.spacing_k_mm];
    move |mark| {
        let ijk = [mark.centroid_i, mark.centroid_j, mark.centroid_k];
        std::array::from_fn(|a| ijk[a].unwrap_or(f64::NAN) * spacing[a])
    }
}

fn series_key(cohort: &str, series: &str) -> String {
    format!("{cohort}/{series}")
}

/// One nodule could not be made.
#[derive(Debug, thiserror::Error)]
enum MergeError {
    #[error("mark `{0}` has no mask")]
    NoMask(String),
    #[error(transparent)]
    Mask(#[from] mask_box::Error),
    #[error("no voxel is in at least {level} of the {n_marks} marks that were joined")]
    NoConsensus { n_marks: usize, level: f64 },
}

/// The stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part could not be read.
    #[error(transparent)]
    Parquet(#[from] parquet::Error),
    /// A part could not be written.
    #[error(transparent)]
    Shard(#[from] shard::Error),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] store::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::ingest::tests::{mark, scan};

    #[test]
    fn readers_of_one_nodule_are_merged_and_disagreement_is_settled_by_share() {
        // Three readers mark voxels 0..4, 0..3 and 0..2 along i: half of them hold 0..3.
        let marks = [
            mark("a", 0, [10, 10, 1], [4, 1, 1]),
            mark("b", 1, [10, 10, 1], [3, 1, 1]),
            mark("c", 2, [10, 10, 1], [2, 1, 1]),
        ];
        let (nodules, failures) = transform(&Config::default(), &scan(), &marks);
        assert_eq!((nodules.len(), failures.len()), (1, 0));
        let nodule = &nodules[0];
        assert_eq!((nodule.n_marks, nodule.n_readers), (3, 3));
        assert_eq!([nodule.bbox_i, nodule.bbox_size_i], [10, 3]);
        assert_eq!(nodule.mark_ids, ["a", "b", "c"]);
        // Centres 11.5, 11 and 10.5.
        assert!((nodule.centroid_i - 11.0).abs() < 1e-12);
        let (nodules, _) =
            transform(&Config { min_marks: 4, ..Config::default() }, &scan(), &marks);
        assert!(nodules.is_empty());
    }

    #[test]
    fn marks_of_one_session_alone_stay_apart() {
        let marks = [mark("a", 0, [10, 10, 1], [4, 1, 1]), mark("b", 0, [11, 10, 1], [4, 1, 1])];
        let (nodules, _) = transform(&Config::default(), &scan(), &marks);
        assert_eq!(nodules.len(), 2);
    }

    #[test]
    fn marks_without_a_common_voxel_are_a_failure_that_names_them() {
        let config = Config { consensus_level: 1.0, ..Config::default() };
        let marks = [mark("a", 0, [10, 10, 1], [2, 1, 1]), mark("b", 1, [12, 10, 1], [2, 1, 1])];
        let mut marks = marks.to_vec();
        for mark in &mut marks {
            mark.diameter_mm = Some(10.0);
        }
        let (nodules, failures) = transform(&config, &scan(), &marks);
        assert!(nodules.is_empty());
        assert!(failures[0].case_id.ends_with("marks a b"), "{}", failures[0].case_id);
        assert!(failures[0].cause.contains("at least 1 of the 2 marks"), "{}", failures[0].cause);
    }

    #[test]
    fn the_type_follows_the_mean_ratings() {
        for (structure, calcification, texture, expected) in [
            (Some(1.0), Some(6.0), Some(5.0), Some("solid")),
            (Some(1.0), Some(6.0), Some(1.5), Some("ground_glass")),
            (Some(1.0), Some(6.0), Some(3.0), Some("part_solid")),
            (Some(1.0), Some(3.0), Some(5.0), Some("calcified")),
            (Some(4.0), Some(6.0), Some(5.0), Some("cavitary")),
            (None, None, None, None),
        ] {
            assert_eq!(nodule_type(structure, calcification, texture), expected);
        }
    }
}
