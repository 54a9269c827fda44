//! Ingest: files of a cohort → `scans`, `marks`.

mod case;
mod frame;
mod inclusion;
mod lidc_marks;
mod mask_marks;
mod reads;
mod scan_row;

use super::Task;
use crate::formats::cohort::{self, Layout};
use crate::formats::dicom::Tolerances;
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Where a patient's mask is, for `volumes`.
    #[serde(default = "default_mask")]
    pub mask: String,
}

fn default_shard_size() -> usize {
    16
}

fn default_image() -> String {
    "{patient}/ct".to_owned()
}

fn default_mask() -> String {
    "{patient}/mask.nii.gz".to_owned()
}

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
            mask: &self.mask,
            scan_geometry,
        }
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
pub fn transform(mut scan: Scan, frame: &Frame, annotations: &[(String, Annotation)]) -> CaseRows {
    let mut rows = CaseRows::default();
    let chosen = reads::choose(&scan, annotations);
    scan.n_reading_sessions = chosen.used.iter().map(|(_, a)| a.n_sessions() as i64).sum();
    scan.annotation_paths = chosen.used.iter().map(|(path, _)| path.clone()).collect();
    if scan.study_instance_uid.is_none() {
        scan.study_instance_uid = chosen.used.iter().find_map(|(_, a)| a.study_instance_uid());
    }
    rows.exclusions = chosen.exclusions;
    rows.failures = chosen.failures;
    for (path, annotation) in chosen.used.into_iter().filter(|_| scan.included) {
        match annotation {
            Annotation::Lidc(reads) => {
                let marks = lidc_marks::marks(&scan, frame, reads, path);
                rows.exclusions.extend(marks.iter().filter_map(lidc_marks::exclusion));
                rows.marks.extend(marks);
            }
            Annotation::Labels(labels) => match mask_marks::marks(&scan, frame, labels, path) {
                Ok(marks) => rows.marks.extend(marks),
                Err(error) => {
                    let (case, path) = (&scan.series_instance_uid, Some(path.clone()));
                    rows.failures.push(Failure::new("ingest", case, &error, path));
                }
            },
        }
    }
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
pub(in crate::stages) mod tests {
    use super::*;
    use crate::formats::cohort::Image;
    use crate::formats::lidc_xml::{Annotations, Contour, NonNodule, ReadNodule, Session};
    use crate::formats::scan_geometry::ScanGeometry;
    use crate::volume::{Geometry, Mask, PlacedMask, Slices, Volume};
    use ndarray::Array3;

    fn geometry(size: [usize; 3]) -> Geometry {
        Geometry::new(size, [0.7, 0.8, 2.5], [1.0, 2.0, 3.0], Geometry::AXIAL).unwrap()
    }

    fn image(size: [usize; 3]) -> Image {
        let [ni, nj, nk] = size;
        let volume = Volume::new(geometry(size), Array3::from_elem((nk, nj, ni), -7i16)).unwrap();
        Image { series_instance_uid: "1.2".to_owned(), info: None, volume }
    }

    /// A scan of 20 × 20 × 4 voxels, for tests of later stages.
    pub(in crate::stages) fn scan() -> Scan {
        scan_row::of_image(&config(), None, &cohort(), &source(), &image([20, 20, 4]))
    }

    /// A mark of a full box of voxels on [`scan`].
    pub(in crate::stages) fn mark(
        id: &str,
        session: usize,
        start: [usize; 3],
        size: [usize; 3],
    ) -> Mark {
        let scan = scan();
        let mut mark = mask_marks::blank(&scan, id.to_owned(), session, id, "r.xml");
        let placed = PlacedMask { start, mask: Mask::from_fn(size, |_, _, _| true) };
        Frame::of_image(&geometry([20, 20, 4])).place_mask(&mut mark, placed);
        mark
    }

    fn config() -> Config {
        Config {
            shard_size: 16,
            tolerances: Tolerances::default(),
            inclusion: Inclusion::default(),
            series_list: None,
            root: None,
            scan_geometry: None,
            cohorts: vec![cohort()],
        }
    }

    fn cohort() -> Cohort {
        Cohort {
            name: "c".to_owned(),
            source: Layout::Volumes,
            root: PathBuf::from("root"),
            annotations: None,
            scan_geometry: None,
            image: default_image(),
            mask: default_mask(),
        }
    }

    fn source() -> SourceCase {
        let case = cohort::Case {
            case_id: "p/ct".to_owned(),
            has_scan: true,
            patient: Some("p".to_owned()),
            images: Vec::new(),
            annotations: Vec::new(),
        };
        SourceCase { cohort: "c".to_owned(), case, content_sha256: "0".to_owned() }
    }

    fn small_image_rows(annotations: &[(String, Annotation)]) -> CaseRows {
        let image = image([4, 4, 3]);
        let scan = scan_row::of_image(&config(), None, &cohort(), &source(), &image);
        transform(scan, &Frame::of_image(image.volume.geometry()), annotations)
    }

    #[test]
    fn a_scan_and_its_mask_become_a_row_and_a_mark() {
        let mut labels = Array3::zeros((3, 4, 4));
        labels[[1, 2, 3]] = 1;
        let labels = Volume::new(geometry([4, 4, 3]), labels).unwrap();
        let rows = small_image_rows(&[("p/mask".to_owned(), Annotation::Labels(labels))]);
        assert_eq!(rows.failures, []);
        assert_eq!(rows.scans[0].patient_id, "p");
        assert_eq!(rows.scans[0].hu_min, Some(-7));
        assert_eq!(rows.scans[0].annotation_paths, ["p/mask"]);
        assert_eq!(rows.marks.len(), 1);
        assert_eq!([rows.marks[0].bbox_i, rows.marks[0].bbox_j], [Some(3), Some(2)]);
        let z = rows.marks[0].centroid_z_mm.unwrap();
        assert!((z - 5.5).abs() < 1e-9, "{z}");
    }

    #[test]
    fn a_mask_on_another_grid_is_a_failure_with_both_geometries() {
        let other =
            Geometry::new([4, 4, 3], [0.7, 0.7, 2.5], [1.0, 2.0, 3.0], Geometry::AXIAL).unwrap();
        let labels = Volume::new(other, Array3::from_elem((3, 4, 4), 1)).unwrap();
        let rows = small_image_rows(&[("p/mask".to_owned(), Annotation::Labels(labels))]);
        assert!(rows.marks.is_empty());
        assert!(rows.failures[0].cause.contains("0.8") && rows.failures[0].cause.contains("0.7"));
    }

    /// A line about the pixel (6, 6), and a finding at (9, 8); slices at 0, 2, 4 and 10 mm.
    fn reads() -> Annotations {
        let line = [[5, 5], [6, 5], [7, 5], [7, 6], [7, 7], [6, 7], [5, 7], [5, 6]];
        let contour = |z_mm| Contour {
            z_mm,
            inclusion: true,
            points: line.to_vec(),
            sop_instance_uid: String::new(),
        };
        let nodule = ReadNodule {
            reader_nodule_id: "1".to_owned(),
            ratings: None,
            contours: vec![contour(4.0), contour(10.0)],
        };
        let finding = |id: &str, z_mm| NonNodule {
            id: id.to_owned(),
            z_mm,
            point: [9, 8],
            sop_instance_uid: String::new(),
        };
        let session = Session {
            nodules: vec![nodule],
            non_nodules: vec![finding("2", 2.0), finding("3", 7.0)],
        };
        Annotations {
            series_instance_uid: "1.2".to_owned(),
            study_instance_uid: Some("1.1".to_owned()),
            delivered: None,
            sessions: vec![session],
        }
    }

    fn annotation_rows(list: Option<&BTreeSet<String>>) -> CaseRows {
        let slices = Slices::at_heights(None, [0.5, 0.5], vec![0.0, 2.0, 4.0, 10.0]).unwrap();
        let geometry = ScanGeometry {
            study_instance_uid: None,
            patient_id: None,
            slice_thickness_mm: Some(2.0),
            slices,
            n_duplicate_slices: 1,
        };
        let mut source = source();
        source.case.case_id = "1.2".to_owned();
        let scan = scan_row::of_geometry(&config(), list, &cohort(), &source, &geometry);
        let frame = Frame::of_slices(&geometry.slices);
        transform(scan, &frame, &[("a.xml".to_owned(), Annotation::Lidc(reads()))])
    }

    #[test]
    fn without_an_image_what_needs_one_is_null_and_heights_are_the_slices() {
        let rows = annotation_rows(None);
        let scan = &rows.scans[0];
        assert_eq!(
            (scan.n_columns, scan.hu_min, &scan.path, &scan.direction),
            (None, None, &None, &None)
        );
        assert_eq!(
            (scan.n_slices, scan.n_missing_slices, scan.n_duplicate_slices),
            (4, Some(2), Some(1))
        );
        assert_eq!((scan.spacing_k_mm, scan.slice_gap_max_deviation_mm), (Some(2.0), Some(4.0)));
        assert_eq!((scan.patient_id.as_str(), scan.n_reading_sessions), ("1.2", 1));
        assert_eq!(scan.study_instance_uid.as_deref(), Some("1.1"));
        let [nodule, finding, lost] = &rows.marks[..] else { panic!("{:?}", rows.marks) };
        // Pixel (6, 6) on the slices at 4 and 10 mm: the mean is between slices 2 and 3.
        assert_eq!([nodule.centroid_i, nodule.centroid_k], [Some(6.0), Some(2.5)]);
        assert_eq!([nodule.centroid_x_mm, nodule.centroid_z_mm], [None, Some(7.0)]);
        assert_eq!((nodule.n_voxels, nodule.volume_mm3), (Some(2), Some(2.0 * 0.25 * 2.0)));
        assert_eq!(nodule.irregularities, ["unrated"]);
        assert_eq!([finding.centroid_k, finding.centroid_z_mm], [Some(1.0), Some(2.0)]);
        // 7 mm is in the gap: the finding is kept, and has no place.
        assert_eq!([lost.centroid_i, lost.centroid_k], [None, None]);
        assert_eq!(lost.irregularities, ["off_slice"]);
        assert_eq!(lost.contours[0].points, [[9, 8]]);
    }

    #[test]
    fn a_scan_off_the_list_has_no_marks_and_its_file_is_told_of() {
        let list = BTreeSet::from(["1.3".to_owned()]);
        let rows = annotation_rows(Some(&list));
        assert!(rows.marks.is_empty() && !rows.scans[0].included);
        assert_eq!(rows.scans[0].exclusion_reasons, ["not in ingest.series_list"]);
        assert_eq!(rows.exclusions[0].rule, "scan_not_included");
    }

    #[test]
    fn an_outline_without_a_voxel_stays_and_is_told_of() {
        let slices = Slices::at_heights(None, [0.5, 0.5], vec![20.0, 22.0]).unwrap();
        let mut scan = scan();
        scan.series_instance_uid = "1.2".to_owned();
        let files = [("a.xml".to_owned(), Annotation::Lidc(reads()))];
        let rows = transform(scan, &Frame::of_slices(&slices), &files);
        assert_eq!(rows.marks.len(), 3);
        assert_eq!(rows.marks[0].irregularities, ["no_voxels", "off_slice", "unrated"]);
        assert_eq!(rows.exclusions[0].rule, "no_voxels");
        assert_eq!(rows.exclusions[0].case_id, rows.marks[0].mark_id);
    }

    #[test]
    fn listed_series_that_no_cohort_has_are_told_of() {
        let mut config = config();
        let mut sources = Sources { series_list: None, cases: vec![source()] };
        assert_eq!(not_found(&config, &sources), []);
        sources.series_list = Some(BTreeSet::from(["1.9".to_owned(), "p/ct".to_owned()]));
        // Images tell their series when they are read.
        assert_eq!(not_found(&config, &sources), []);
        config.cohorts[0].source = Layout::LidcAnnotations;
        let missing = not_found(&config, &sources);
        assert_eq!(missing.len(), 1);
        assert_eq!(
            (missing[0].rule.as_str(), missing[0].case_id.as_str()),
            ("series_not_found", "1.9")
        );
    }
}
