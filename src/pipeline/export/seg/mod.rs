//! Exports what readers outlined as DICOM: a segmentation and a measurement report for each scan.

mod scan;
mod segments;
mod index;

use super::folder::{Folder, Record};
use super::{Error, check_made_of, one_cohort};
use crate::pipeline::Config;
use crate::pipeline::runner;
use crate::tables::{Mark, MarkKind, Nodule, Output, Scan, Table};
use index::Index;
use nodulus_faults::in_words;
use nodulus_store::{Store, Version, hash};
use scan::{ScanObjects, SegScan};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Options of the export.
#[derive(Clone, Copy, Debug)]
pub struct SegOptions<'a> {
    /// The cohort; `None` for the only one.
    pub cohort: Option<&'a str>,
    /// Series; all of the cohort where empty.
    pub series: &'a [String],
}

/// Counts of the export.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SegDescription {
    /// The cohort.
    pub cohort: String,
    /// The chosen series; all of the cohort where empty.
    pub series: Vec<String>,
    /// Number of scans with files.
    pub n_scans: usize,
    /// Number of scans without a nodule, which have none.
    pub n_scans_without_nodules: usize,
    /// Number of nodules in the files.
    pub n_nodules: usize,
    /// Number of segments.
    pub n_segments: usize,
    /// Number of nodules without a consensus segment, because no voxel has enough readers.
    pub n_without_consensus: usize,
    /// Number of outlined marks in no nodule, which are in no file.
    pub n_marks_without_nodule: usize,
    /// Number of ratings off their scale, which have no code.
    pub n_ratings_off_scale: usize,
    /// Scans without files because these could not be made.
    pub skipped: Vec<SkippedScan>,
}

/// A scan without files because these could not be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SkippedScan {
    /// The series.
    pub series_instance_uid: String,
    /// Why.
    pub reason: String,
}

/// Writes the outlines of a cohort's readers into a folder, which is created if necessary.
///
/// - `SERIES_segmentation.dcm`: DICOM SEG with a segment for each nodule's consensus mask, and one for each mark of it.
/// - `SERIES_measurements.dcm`: DICOM SR of TID 1500, with the volume, diameter and ratings of each segment.
/// - `segments.csv`: a row for each segment.
/// - `export.json`: counts, keys of the tables, SHA-256 of the files ([`Record`]).
///
/// The objects are of the study, the frame of reference and the slices of the scan's DICOM files, whose headers are read where
/// they lie now. One scan's objects are in memory at a time. The same tables and files give the same bytes. The files replace
/// those of an earlier export when all are finished.
///
/// A scan whose objects cannot be made is skipped, with the reason in the record.
///
/// # Errors
///
/// Fails if the store lacks a table, the cohort or a chosen series, the nodules were not made from the current marks, the cohort
/// has no images, nothing is left to write, or the folder has a file that no export wrote.
pub fn export(
    config: &Config,
    store: &Store,
    to: &Path,
    options: SegOptions<'_>,
) -> Result<Record<SegDescription>, Error> {
    let require = |table| store.require(Output::Table(table));
    let (scans, marks, nodules) =
        (require(Table::Scans)?, require(Table::Marks)?, require(Table::Nodules)?);
    for version in [&scans, &marks] {
        check_made_of(&nodules, version)?;
    }
    let cohort = {
        let mut all = Vec::new();
        for batch in scans.rows::<Scan>() {
            all.extend(batch?.into_iter().map(ListedScan::of));
        }
        chosen_cohort(&all, options)?
    };
    let roots = runner::roots(config);
    let root = roots.get(&cohort).ok_or_else(|| Error::NotInPipeline {
        cohort: cohort.clone(),
        found: roots.keys().cloned().collect(),
    })?;
    let folder = Folder::open(to)?;
    let places = runner::places(config, store, None)?;
    let tolerances = config.ingest.reading();
    let made_by = made_by(&nodules.manifest.config);
    let is_chosen = |scan: &Scan| {
        scan.included
            && scan.cohort == cohort
            && (options.series.is_empty() || options.series.contains(&scan.series_instance_uid))
    };
    let mut about = SegDescription { series: options.series.to_vec(), ..SegDescription::default() };
    let mut index = Index::create(folder.aside())?;
    for shard in 0..nodules.manifest.n_shards() {
        let rows = ShardRows::read([&scans, &marks, &nodules], shard, &is_chosen)?;
        about.n_marks_without_nodule += rows.n_marks_without_nodule();
        for scan in &rows.scans {
            let Some(nodules) = rows.nodules.get(&scan.series_instance_uid) else {
                about.n_scans_without_nodules += 1;
                continue;
            };
            let scan = SegScan { scan, nodules, marks: &rows.outlines };
            match scan.objects(root, &places, &tolerances, &made_by) {
                Ok(made) => write(folder.aside(), &scan, &made, &mut index, &mut about)?,
                Err(error) => about.skipped.push(SkippedScan {
                    series_instance_uid: scan.scan.series_instance_uid.clone(),
                    reason: in_words(&error),
                }),
            }
        }
    }
    if about.n_scans == 0 {
        let n_skipped = about.skipped.len();
        let first = about.skipped.into_iter().next();
        return Err(Error::NothingSegmented {
            cohort,
            n_without_nodules: about.n_scans_without_nodules,
            n_skipped,
            first: first
                .map(|skipped| format!("{}: {}", skipped.series_instance_uid, skipped.reason)),
        });
    }
    index.finish()?;
    about.cohort = cohort;
    let inputs = [&scans, &marks, &nodules].map(|version| version.manifest.as_input());
    folder.publish("seg", about, inputs.into())
}

/// The rows of a shard that are of chosen scans.
struct ShardRows {
    scans: Vec<Scan>,
    /// Outlined marks by their ids.
    outlines: BTreeMap<String, Mark>,
    /// Nodules by their series.
    nodules: BTreeMap<String, Vec<Nodule>>,
}

impl ShardRows {
    fn read(
        [scans, marks, nodules]: [&Version; 3],
        shard: usize,
        is_chosen: &dyn Fn(&Scan) -> bool,
    ) -> Result<Self, Error> {
        let (mut chosen, mut outlines) = (Vec::new(), BTreeMap::new());
        for batch in scans.shard_rows::<Scan>(shard) {
            chosen.extend(batch?.into_iter().filter(is_chosen));
        }
        let cases: BTreeSet<(&str, &str)> = chosen
            .iter()
            .map(|scan| (scan.cohort.as_str(), scan.series_instance_uid.as_str()))
            .collect();
        for batch in marks.shard_rows::<Mark>(shard) {
            let own = batch?.into_iter().filter(|mark| {
                cases.contains(&(mark.cohort.as_str(), mark.series_instance_uid.as_str()))
                    && mark.kind == MarkKind::Nodule.name()
            });
            outlines.extend(own.map(|mark| (mark.mark_id.clone(), mark)));
        }
        let mut by_series: BTreeMap<String, Vec<Nodule>> = BTreeMap::new();
        for batch in nodules.shard_rows::<Nodule>(shard) {
            for nodule in batch? {
                if cases.contains(&(nodule.cohort.as_str(), nodule.series_instance_uid.as_str())) {
                    by_series.entry(nodule.series_instance_uid.clone()).or_default().push(nodule);
                }
            }
        }
        drop(cases);
        Ok(Self { scans: chosen, outlines, nodules: by_series })
    }

    fn n_marks_without_nodule(&self) -> usize {
        let merged: usize = self.nodules.values().flatten().map(|of| of.mark_ids.len()).sum();
        self.outlines.len().saturating_sub(merged)
    }
}

/// What is known of a scan before its files are looked for.
struct ListedScan {
    cohort: String,
    series_instance_uid: String,
    included: bool,
    has_image: bool,
}

impl ListedScan {
    fn of(scan: Scan) -> Self {
        Self {
            cohort: scan.cohort,
            series_instance_uid: scan.series_instance_uid,
            included: scan.included,
            has_image: scan.path.is_some(),
        }
    }
}

/// The cohort, which has images and the chosen series.
fn chosen_cohort(all: &[ListedScan], options: SegOptions<'_>) -> Result<String, Error> {
    let found: BTreeSet<String> = all.iter().map(|scan| scan.cohort.clone()).collect();
    let cohort = one_cohort(&found, options.cohort)?;
    let own: Vec<&ListedScan> = all.iter().filter(|scan| scan.cohort == cohort).collect();
    for series in options.series {
        let scan = own.iter().find(|scan| scan.series_instance_uid == *series);
        match scan {
            None => return Err(Error::NoSeries { series: series.clone() }),
            Some(scan) if !scan.included => {
                return Err(Error::Excluded { series: series.clone() });
            }
            Some(_) => {}
        }
    }
    if !own.iter().any(|scan| scan.has_image) {
        return Err(Error::NoSlices { cohort });
    }
    Ok(cohort)
}

/// Names how nodules were merged: objects of one series are made in one way.
fn made_by(settings: &serde_json::Value) -> String {
    let digest = hash::sha256(settings.to_string().as_bytes());
    format!("readers-{}", digest.get(..12).unwrap_or_default())
}

fn write(
    folder: &Path,
    scan: &SegScan<'_>,
    made: &ScanObjects,
    index: &mut Index,
    about: &mut SegDescription,
) -> Result<(), Error> {
    let series = &scan.scan.series_instance_uid;
    for (object, suffix) in
        [(&made.segmentation, "segmentation.dcm"), (&made.report, "measurements.dcm")]
    {
        fs_err::write(folder.join(format!("{series}_{suffix}")), &object.bytes)?;
    }
    for segment in &made.segments {
        index.add(scan.scan, segment)?;
    }
    about.n_scans += 1;
    about.n_nodules += scan.nodules.len();
    about.n_segments += made.segments.len();
    about.n_without_consensus += made.n_without_consensus;
    about.n_ratings_off_scale += made.n_ratings_off_scale;
    Ok(())
}
