//! Ingest: files of a cohort → `scans`, `marks`.

mod lidc_marks;
mod mask_marks;

use super::Task;
use crate::formats::cohort::{self, Image, Layout};
use crate::formats::{lidc_xml, nifti};
use crate::tables::{Failure, Mark, Output, Scan, Table, shard, store};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Outputs read: none, the sources are files.
pub const READS: &[Output] = &[];
/// Outputs written.
pub const WRITES: &[Output] = &[Output::Table(Table::Scans), Output::Table(Table::Marks)];
/// Raised when the stage's results change.
pub const VERSION: u32 = 1;

/// Settings: `[ingest]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Cases that are committed together.
    #[serde(default = "default_shard_size")]
    pub shard_size: usize,
    /// Scans with a greater `SliceThickness` are left out; the paper's text says 3 mm.
    pub max_slice_thickness_mm: Option<f64>,
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
    /// Folder of the images; `{store}` stands for the store's folder. Not part of the key.
    #[serde(skip_serializing)]
    pub root: PathBuf,
    /// Folder of the readers' XML, for `luna16`. Not part of the key.
    #[serde(default, skip_serializing)]
    pub annotations: Option<PathBuf>,
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
    /// Where the cohort's files are.
    pub fn location(&self) -> cohort::Location<'_> {
        cohort::Location {
            layout: self.source,
            root: &self.root,
            annotations: self.annotations.as_deref(),
            image: &self.image,
            mask: &self.mask,
        }
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
    /// The cases.
    pub cases: Vec<SourceCase>,
}

/// What one case gives.
#[derive(Debug, Default)]
pub struct CaseRows {
    scans: Vec<Scan>,
    marks: Vec<Mark>,
    failures: Vec<Failure>,
}

/// Reads the cases of every pending shard, `workers` of them at once.
///
/// # Errors
///
/// Fails if the store cannot be read or written to; a case that fails becomes a row of `failures`.
pub fn run(config: &Config, sources: &Sources, task: &Task<'_>) -> Result<(), Error> {
    let total = sources.cases.len();
    for shard in task.job.pending() {
        let from = (shard * config.shard_size).min(total);
        let to = (from + config.shard_size).min(total);
        let writer = task.job.shard(shard)?;
        let (mut scans, mut marks) = (writer.part::<Scan>()?, writer.part::<Mark>()?);
        let mut failures = Vec::new();
        let mut done = from;
        for cases in sources.cases[from..to].chunks(task.workers.max(1)) {
            let rows: Vec<CaseRows> = cases
                .par_iter()
                .map(|source| {
                    read_case(config, source).unwrap_or_else(|error| failed(source, &error))
                })
                .collect();
            for case in rows {
                scans.write(case.scans)?;
                marks.write(case.marks)?;
                failures.extend(case.failures);
            }
            done += cases.len();
            task.cases(done, total);
        }
        writer.commit(vec![scans.finish()?, marks.finish()?], failures)?;
    }
    Ok(())
}

/// The rows of one scan and its annotations.
pub fn transform(
    config: &Config,
    cohort: &Cohort,
    source: &SourceCase,
    image: &Image,
    annotations: &[(String, Annotation)],
) -> CaseRows {
    let scan = scan_row(config, cohort, source, image, annotations);
    let mut rows = CaseRows::default();
    for (n, (path, annotation)) in annotations.iter().enumerate() {
        if let Some(first) = repeated(&annotations[..n], annotation) {
            let error = Repeated { first: first.to_owned() };
            let case = &image.series_instance_uid;
            rows.failures.push(Failure::new("ingest", case, &error, Some(path.clone())));
            continue;
        }
        let (marks, failures) = match annotation {
            Annotation::Lidc(reads) => {
                lidc_marks::marks(&scan, image.volume.geometry(), reads, path)
            }
            Annotation::Labels(labels) => {
                mask_marks::marks(&scan, image.volume.geometry(), labels, path)
            }
        };
        rows.marks.extend(marks);
        rows.failures.extend(failures);
    }
    rows.scans.push(scan);
    rows
}

/// The file among earlier ones that holds the same reads: LIDC-IDRI delivers some files twice.
fn repeated<'a>(earlier: &'a [(String, Annotation)], annotation: &Annotation) -> Option<&'a str> {
    let Annotation::Lidc(reads) = annotation else { return None };
    let same = |other: &Annotation| matches!(other, Annotation::Lidc(other) if other.sessions == reads.sessions);
    earlier.iter().find(|(_, other)| same(other)).map(|(path, _)| path.as_str())
}

/// A file of reads says nothing new.
#[derive(Debug, thiserror::Error)]
#[error("repeats the reads of `{first}`; its marks are counted once")]
struct Repeated {
    first: String,
}

/// What came with an image.
#[derive(Debug)]
pub enum Annotation {
    /// Readers' sessions from LIDC's XML.
    Lidc(lidc_xml::Annotations),
    /// A mask on the image's grid, one value a nodule.
    Labels(crate::volume::Volume<u16>),
}

fn read_case(config: &Config, source: &SourceCase) -> Result<CaseRows, CaseError> {
    let cohort = config
        .cohorts
        .iter()
        .find(|cohort| cohort.name == source.cohort)
        .ok_or_else(|| CaseError::Cohort(source.cohort.clone()))?;
    let mut rows = CaseRows::default();
    let mut annotations = Vec::new();
    for path in &source.case.annotations {
        let base = cohort.annotations.as_deref().unwrap_or(&cohort.root);
        let name = cohort::relative(base, path);
        match read_annotation(cohort.source, path) {
            Ok(annotation) => annotations.push((name, annotation)),
            Err(error) => {
                rows.failures.push(Failure::new(
                    "ingest",
                    &source.case.case_id,
                    &error,
                    Some(name),
                ));
            }
        }
    }
    for image in cohort::read_images(&cohort.root.join(&source.case.case_id), |_| true)? {
        match image {
            Ok(image) => {
                let (own, other): (Vec<_>, Vec<_>) =
                    annotations.drain(..).partition(|(_, annotation)| belongs(annotation, &image));
                let read = transform(config, cohort, source, &image, &own);
                rows.scans.extend(read.scans);
                rows.marks.extend(read.marks);
                rows.failures.extend(read.failures);
                annotations = other;
            }
            Err(error) => {
                let path = Some(source.case.case_id.clone());
                rows.failures.push(Failure::new("ingest", &source.case.case_id, &error, path));
            }
        }
    }
    for (path, annotation) in annotations {
        if let Annotation::Lidc(reads) = annotation {
            let error =
                CaseError::OtherSeries { path: path.clone(), series: reads.series_instance_uid };
            rows.failures.push(Failure::new("ingest", &source.case.case_id, &error, Some(path)));
        }
    }
    Ok(rows)
}

fn read_annotation(layout: Layout, path: &Path) -> Result<Annotation, CaseError> {
    Ok(match layout {
        Layout::Lidc | Layout::Luna16 => Annotation::Lidc(lidc_xml::read(path)?),
        Layout::Volumes => Annotation::Labels(nifti::read_labels(path)?),
    })
}

fn belongs(annotation: &Annotation, image: &Image) -> bool {
    match annotation {
        Annotation::Lidc(reads) => reads.series_instance_uid == image.series_instance_uid,
        Annotation::Labels(_) => true,
    }
}

fn failed(source: &SourceCase, error: &CaseError) -> CaseRows {
    let path = Some(source.case.case_id.clone());
    let failure = Failure::new("ingest", &source.case.case_id, error, path);
    CaseRows { failures: vec![failure], ..CaseRows::default() }
}

fn scan_row(
    config: &Config,
    cohort: &Cohort,
    source: &SourceCase,
    image: &Image,
    annotations: &[(String, Annotation)],
) -> Scan {
    let geometry = image.volume.geometry();
    let [n_columns, n_rows, n_slices] = geometry.size().map(|n| n as i64);
    let [spacing_i_mm, spacing_j_mm, spacing_k_mm] = geometry.spacing().ijk();
    let [x, y, z] = geometry.origin_mm();
    let info = image.info.as_ref();
    let voxels = image.volume.voxels();
    let thickness = info.and_then(|info| info.slice_thickness_mm);
    let exclusion_reasons = exclusion_reasons(config, thickness);
    let sessions = annotations.iter().map(|(_, annotation)| match annotation {
        Annotation::Lidc(reads) => reads.sessions.len(),
        Annotation::Labels(_) => 1,
    });
    // METHOD: LUNA16's files name no patient; a series is then its own patient.
    let patient_id = source
        .case
        .patient
        .clone()
        .or_else(|| info.map(|info| info.patient_id.clone()).filter(|id| !id.is_empty()))
        .unwrap_or_else(|| image.series_instance_uid.clone());
    let study_of_reads = annotations.iter().find_map(|(_, annotation)| match annotation {
        Annotation::Lidc(reads) => reads.study_instance_uid.clone(),
        Annotation::Labels(_) => None,
    });
    Scan {
        cohort: cohort.name.clone(),
        series_instance_uid: image.series_instance_uid.clone(),
        study_instance_uid: info.map(|info| info.study_instance_uid.clone()).or(study_of_reads),
        patient_id,
        source: cohort.source.name().to_owned(),
        n_columns: Some(n_columns),
        n_rows: Some(n_rows),
        n_slices,
        spacing_i_mm,
        spacing_j_mm,
        spacing_k_mm,
        origin_x_mm: Some(x),
        origin_y_mm: Some(y),
        origin_z_mm: Some(z),
        direction: Some(geometry.direction().to_vec()),
        slice_thickness_mm: thickness,
        slice_gap_max_deviation_mm: info.map(|info| info.slice_gap_max_deviation_mm),
        n_missing_slices: info.map(|info| info.n_missing_slices as i64),
        n_duplicate_slices: info.map(|info| info.n_duplicate_slices as i64),
        manufacturer: info.and_then(|info| info.manufacturer.clone()),
        model: info.and_then(|info| info.model.clone()),
        kernel: info.and_then(|info| info.kernel.clone()),
        kvp: info.and_then(|info| info.kvp),
        tube_current: info.and_then(|info| info.tube_current),
        transfer_syntax: info.map(|info| info.transfer_syntax.clone()),
        hu_min: voxels.iter().min().map(|v| i64::from(*v)),
        hu_max: voxels.iter().max().map(|v| i64::from(*v)),
        content_sha256: source.content_sha256.clone(),
        path: Some(source.case.case_id.clone()),
        annotation_paths: Vec::new(),
        included: exclusion_reasons.is_empty(),
        exclusion_reasons,
        n_reading_sessions: sessions.sum::<usize>() as i64,
    }
}

fn exclusion_reasons(config: &Config, thickness_mm: Option<f64>) -> Vec<String> {
    let Some(limit) = config.max_slice_thickness_mm else { return Vec::new() };
    match thickness_mm {
        Some(thickness) if thickness > limit => {
            vec![format!("slice thickness {thickness} mm is over {limit} mm")]
        }
        _ => Vec::new(),
    }
}

/// One case could not be read.
#[derive(Debug, thiserror::Error)]
enum CaseError {
    #[error("cohort `{0}` is not in the pipeline file")]
    Cohort(String),
    #[error(transparent)]
    Image(#[from] cohort::Error),
    #[error(transparent)]
    Xml(#[from] lidc_xml::Error),
    #[error(transparent)]
    Nifti(#[from] nifti::Error),
    #[error("`{path}` reads series {series}, which is not in its folder")]
    OtherSeries { path: String, series: String },
}

/// The stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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
    use crate::volume::{Geometry, Mask, PlacedMask, Volume};
    use ndarray::Array3;

    /// A scan of 20 × 20 × 4 voxels, for tests of later stages.
    pub(in crate::stages) fn scan() -> Scan {
        let geometry =
            Geometry::new([20, 20, 4], [0.7, 0.8, 2.5], [1.0, 2.0, 3.0], Geometry::AXIAL).unwrap();
        let volume = Volume::new(geometry, Array3::zeros((4, 20, 20))).unwrap();
        let image = Image { series_instance_uid: "1.2".to_owned(), info: None, volume };
        scan_row(&config(None), &cohort(), &source(), &image, &[])
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
        let geometry =
            Geometry::new([20, 20, 4], [0.7, 0.8, 2.5], [1.0, 2.0, 3.0], Geometry::AXIAL).unwrap();
        let placed = PlacedMask { start, mask: Mask::from_fn(size, |_, _, _| true) };
        mask_marks::place_mask(&mut mark, &geometry, placed);
        mark
    }

    fn config(max_slice_thickness_mm: Option<f64>) -> Config {
        Config { shard_size: 16, max_slice_thickness_mm, cohorts: vec![cohort()] }
    }

    fn cohort() -> Cohort {
        Cohort {
            name: "c".to_owned(),
            source: Layout::Volumes,
            root: PathBuf::from("root"),
            annotations: None,
            image: default_image(),
            mask: default_mask(),
        }
    }

    fn source() -> SourceCase {
        let case = cohort::Case {
            case_id: "p/ct".to_owned(),
            patient: Some("p".to_owned()),
            images: Vec::new(),
            annotations: Vec::new(),
        };
        SourceCase { cohort: "c".to_owned(), case, content_sha256: "0".to_owned() }
    }

    fn image() -> Image {
        let geometry =
            Geometry::new([4, 4, 3], [0.7, 0.8, 2.5], [1.0, 2.0, 3.0], Geometry::AXIAL).unwrap();
        let volume = Volume::new(geometry, Array3::from_elem((3, 4, 4), -7i16)).unwrap();
        Image { series_instance_uid: "1.2".to_owned(), info: None, volume }
    }

    #[test]
    fn a_scan_and_its_mask_become_a_row_and_a_mark() {
        let image = image();
        let mut labels = Array3::zeros((3, 4, 4));
        labels[[1, 2, 3]] = 1;
        let labels = Volume::new(*image.volume.geometry(), labels).unwrap();
        let annotations = [("p/mask".to_owned(), Annotation::Labels(labels))];
        let rows = transform(&config(None), &cohort(), &source(), &image, &annotations);
        assert_eq!(rows.failures, []);
        assert_eq!(rows.scans[0].patient_id, "p");
        assert_eq!(rows.scans[0].hu_min, Some(-7));
        assert_eq!(rows.marks.len(), 1);
        assert_eq!([rows.marks[0].bbox_i, rows.marks[0].bbox_j], [Some(3), Some(2)]);
        let z = rows.marks[0].centroid_z_mm.unwrap();
        assert!((z - 5.5).abs() < 1e-9, "{z}");
    }

    #[test]
    fn a_mask_on_another_grid_is_a_failure_with_both_geometries() {
        let image = image();
        let geometry =
            Geometry::new([4, 4, 3], [0.7, 0.7, 2.5], [1.0, 2.0, 3.0], Geometry::AXIAL).unwrap();
        let labels = Volume::new(geometry, Array3::from_elem((3, 4, 4), 1)).unwrap();
        let annotations = [("p/mask".to_owned(), Annotation::Labels(labels))];
        let rows = transform(&config(None), &cohort(), &source(), &image, &annotations);
        assert!(rows.marks.is_empty());
        assert!(rows.failures[0].cause.contains("0.8") && rows.failures[0].cause.contains("0.7"));
    }

    #[test]
    fn thick_scans_are_left_out_with_the_reason() {
        assert!(exclusion_reasons(&config(Some(3.0)), Some(3.0)).is_empty());
        assert!(exclusion_reasons(&config(None), Some(5.0)).is_empty());
        assert_eq!(
            exclusion_reasons(&config(Some(3.0)), Some(5.0)),
            ["slice thickness 5 mm is over 3 mm"]
        );
    }
}
