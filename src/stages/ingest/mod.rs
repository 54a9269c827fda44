//! Ingest: files of a cohort → `scans`, `marks`.

mod case;
mod frame;
mod inclusion;
mod lidc_marks;
mod mask_marks;
mod mask_readings;
mod reads;
mod scan_row;

use super::Task;
use crate::formats::cohort::{self, Layout};
use crate::formats::dicom::Tolerances;
use crate::formats::mask_file::MaskRules;
use crate::formats::scan_geometry::{self, ScanGeometries};
use crate::tables::exclusions::{Exclusion, Rule};
use crate::tables::{Failure, Mark, Output, Scan, Table, shard, store};
use case::Annotation;
use frame::Frame;
pub use inclusion::{Inclusion, Preset};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Outputs read: none, the sources are files.
pub const READS: &[Output] = &[];
/// Outputs written.
pub const WRITES: &[Output] =
    &[Output::Table(Table::Scans), Output::Table(Table::Marks), Output::Table(Table::Exclusions)];
/// Raised when the stage's results change.
pub const VERSION: u32 = 3;

/// Settings: `[ingest]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Cases that are committed together.
    #[serde(default = "default_shard_size")]
    pub shard_size: usize,
    /// How far slices of DICOM series may be off an even grid before the series is refused.
    #[serde(default)]
    pub tolerances: Tolerances,
    /// Rules that leave scans out.
    #[serde(default)]
    pub inclusion: Inclusion,
    /// File with one series a line, as LUNA16's `seriesuids.csv`: other scans are left out. Its
    /// content, not its place, is part of the key.
    #[serde(default, skip_serializing)]
    pub series_list: Option<PathBuf>,
    /// Folder of every cohort that names none of its own. Not part of the key.
    #[serde(default, skip_serializing)]
    pub root: Option<PathBuf>,
    /// Table of scan geometry of every cohort of annotations that names none of its own. Its
    /// content, not its place, is part of the key.
    #[serde(default, skip_serializing)]
    pub scan_geometry: Option<PathBuf>,
    /// The cohorts, in order.
    pub cohorts: Vec<Cohort>,
}

/// A set of scans in one layout: `[[ingest.cohorts]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cohort {
    /// Name by which later stages refer to it.
    pub name: String,
    /// Layout of the files.
    pub source: Layout,
    /// Folder of the images, or of the XML for `lidc_annotations`; `{store}` stands for the store's
    /// folder; `ingest.root` where not given. Not part of the key.
    #[serde(default, skip_serializing)]
    pub root: PathBuf,
    /// Folder of the readers' XML, for `luna16`. Not part of the key.
    #[serde(default, skip_serializing)]
    pub annotations: Option<PathBuf>,
    /// Table of scan geometry, for `lidc_annotations`; `ingest.scan_geometry` where not given.
    #[serde(default, skip_serializing)]
    pub scan_geometry: Option<PathBuf>,
    /// Where a patient's image is, for `volumes`.
    #[serde(default = "default_image")]
    pub image: String,
    /// Where a patient's masks are, for `volumes` with one reader; see [`Cohort::mask_patterns`].
    #[serde(default)]
    pub mask: Option<String>,
    /// The readers, for `volumes` with several.
    #[serde(default)]
    pub readers: Vec<MaskReader>,
    /// How masks are read, for `volumes`.
    #[serde(default)]
    pub masks: MaskRules,
}

/// A reader with masks of their own: `[[ingest.cohorts.readers]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskReader {
    /// Name in `marks`.
    pub name: String,
    /// Where the reader's masks of a patient are.
    pub mask: String,
}

fn default_shard_size() -> usize {
    16
}

fn default_image() -> String {
    "{patient}/ct".to_owned()
}

/// Where a patient's mask is, if nothing else is said.
const DEFAULT_MASK: &str = "{patient}/mask.nii.gz";

impl Cohort {
    /// Where the cohort's files are; `scan_geometry` is what [`Cohort::read_scan_geometry`] gave.
    pub fn location<'a>(
        &'a self,
        scan_geometry: Option<&'a ScanGeometries>,
    ) -> cohort::Location<'a> {
        cohort::Location {
            layout: self.source,
            root: &self.root,
            annotations: self.annotations.as_deref(),
            image: &self.image,
            masks: self.mask_patterns(),
            scan_geometry,
        }
    }

    /// Pattern of the masks of each reader: the readers', or of the one reader there is.
    pub fn mask_patterns(&self) -> Vec<&str> {
        if self.readers.is_empty() {
            return vec![self.mask.as_deref().unwrap_or(DEFAULT_MASK)];
        }
        self.readers.iter().map(|reader| reader.mask.as_str()).collect()
    }

    /// Name of a reader, where readers have names.
    pub fn reader(&self, index: usize) -> Option<&str> {
        self.readers.get(index).map(|reader| reader.name.as_str())
    }

    /// The geometry of the cohort's scans, where it has no images.
    ///
    /// # Errors
    ///
    /// Fails if the table cannot be read.
    pub fn read_scan_geometry(&self) -> Result<Option<ScanGeometries>, scan_geometry::Error> {
        let table = self.scan_geometry.as_deref().filter(|_| !self.source.has_images());
        table.map(scan_geometry::read).transpose()
    }
}

/// A case of the frozen list of sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCase {
    /// Name of its cohort.
    pub cohort: String,
    /// Its files.
    pub case: cohort::Case,
    /// SHA-256 over their names and content.
    pub content_sha256: String,
}

/// The frozen list of sources: which cases there are, in the order that shards follow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// The series of `ingest.series_list`, where it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series_list: Option<BTreeSet<String>>,
    /// The cases.
    pub cases: Vec<SourceCase>,
}

/// What one case gives.
#[derive(Debug, Default)]
pub struct CaseRows {
    scans: Vec<Scan>,
    marks: Vec<Mark>,
    exclusions: Vec<Exclusion>,
    failures: Vec<Failure>,
}

impl CaseRows {
    fn extend(&mut self, other: Self) {
        self.scans.extend(other.scans);
        self.marks.extend(other.marks);
        self.exclusions.extend(other.exclusions);
        self.failures.extend(other.failures);
    }
}

/// Reads the cases of every pending shard, `workers` of those with an image at once.
///
/// # Errors
///
/// Fails if a table of scan geometry or the store cannot be read, or the store not be written to; a
/// case that fails becomes a row of `failures`.
pub fn run(config: &Config, sources: &Sources, task: &Task<'_>) -> Result<(), Error> {
    let total = sources.cases.len();
    let pending = task.job.pending();
    let mut geometries = BTreeMap::new();
    for cohort in config.cohorts.iter().filter(|_| !pending.is_empty()) {
        if let Some(table) = cohort.read_scan_geometry()? {
            geometries.insert(cohort.name.as_str(), table);
        }
    }
    let reader = case::Reader { config, series_list: sources.series_list.as_ref(), geometries };
    // Reads without an image are small: a whole shard of them may be in memory.
    let has_images = config.cohorts.iter().any(|cohort| cohort.source.has_images());
    let at_once = if has_images { task.workers.max(1) } else { config.shard_size };
    for shard in pending {
        let from = (shard * config.shard_size).min(total);
        let to = (from + config.shard_size).min(total);
        let writer = task.job.shard(shard)?;
        let (mut scans, mut marks) = (writer.part::<Scan>()?, writer.part::<Mark>()?);
        let mut exclusions = writer.part::<Exclusion>()?;
        let mut failures = Vec::new();
        if shard == 0 {
            exclusions.write(not_found(config, sources))?;
        }
        let mut done = from;
        for cases in sources.cases[from..to].chunks(at_once) {
            let rows: Vec<CaseRows> = cases.par_iter().map(|source| reader.read(source)).collect();
            for case in rows {
                scans.write(case.scans)?;
                marks.write(case.marks)?;
                exclusions.write(case.exclusions)?;
                failures.extend(case.failures);
            }
            done += cases.len();
            task.cases(done, total);
        }
        writer.commit(vec![scans.finish()?, marks.finish()?, exclusions.finish()?], failures)?;
    }
    Ok(())
}

/// Series of the list that no cohort has, where cohorts name their series before they are read.
fn not_found(config: &Config, sources: &Sources) -> Vec<Exclusion> {
    let Some(list) = &sources.series_list else { return Vec::new() };
    if config.cohorts.iter().any(|cohort| cohort.source.has_images()) {
        return Vec::new();
    }
    let found: BTreeSet<&str> =
        sources.cases.iter().map(|source| source.case.case_id.as_str()).collect();
    let missing = list.iter().filter(|series| !found.contains(series.as_str()));
    missing
        .map(|series| {
            let reason = "series of `ingest.series_list` is in no cohort".to_owned();
            Exclusion::new(Rule::SeriesNotFound, None, Some(series), series, reason)
        })
        .collect()
}

/// The rows of one scan and its annotations. Only included scans have marks.
pub fn transform(
    mut scan: Scan,
    frame: &Frame,
    annotations: &[(String, Annotation)],
    rules: &MaskRules,
) -> CaseRows {
    let mut rows = CaseRows::default();
    let chosen = reads::choose(&scan, annotations);
    scan.annotation_paths = chosen.used.iter().map(|(path, _)| path.clone()).collect();
    if scan.study_instance_uid.is_none() {
        scan.study_instance_uid = chosen.used.iter().find_map(|(_, a)| a.study_instance_uid());
    }
    rows.exclusions = chosen.exclusions;
    rows.failures = chosen.failures;
    let (mut n_sessions, mut masks) = (0, Vec::new());
    for (path, annotation) in chosen.used {
        match annotation {
            Annotation::Lidc(reads) => {
                n_sessions += reads.sessions.len();
                if scan.included {
                    let marks = lidc_marks::marks(&scan, frame, reads, path);
                    rows.exclusions.extend(marks.iter().filter_map(lidc_marks::exclusion));
                    rows.marks.extend(marks);
                }
            }
            Annotation::Mask(reading) => masks.push((path.as_str(), reading)),
        }
    }
    let (of_masks, n_readers) = mask_readings::rows(&scan, frame, rules, &masks);
    rows.extend(of_masks);
    scan.n_reading_sessions = (n_sessions + n_readers) as i64;
    rows.scans.push(scan);
    rows
}

/// The stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A table of scan geometry could not be read.
    #[error(transparent)]
    ScanGeometry(#[from] scan_geometry::Error),
    /// A part could not be written.
    #[error(transparent)]
    Shard(#[from] shard::Error),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] store::Error),
}

#[cfg(test)]
pub(in crate::stages) mod tests;
