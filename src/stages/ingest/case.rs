//! Reads the files of one case.

use super::{CaseRows, Cohort, Config, Frame, SourceCase, scan_row, transform};
use crate::formats::case_files::CaseFiles;
use crate::formats::cohort::{self, Layout};
use crate::formats::scan_geometry::ScanGeometries;
use crate::formats::{dicom, lidc_xml, nifti};
use crate::tables::Failure;
use crate::tables::exclusions::{Exclusion, Rule};
use crate::volume::Volume;
use fs_err as fs;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What came with a scan.
#[derive(Debug)]
pub enum Annotation {
    /// Readers' sessions from LIDC's XML.
    Lidc(lidc_xml::Annotations),
    /// A mask on the image's grid, one value a nodule.
    Labels(Volume<u16>),
}

impl Annotation {
    /// Readers' sessions.
    pub(super) fn n_sessions(&self) -> usize {
        match self {
            Self::Lidc(reads) => reads.sessions.len(),
            Self::Labels(_) => 1,
        }
    }

    /// The study, where the file tells.
    pub(super) fn study_instance_uid(&self) -> Option<String> {
        match self {
            Self::Lidc(reads) => reads.study_instance_uid.clone(),
            Self::Labels(_) => None,
        }
    }

    fn belongs(&self, series_instance_uid: &str) -> bool {
        match self {
            Self::Lidc(reads) => reads.series_instance_uid == series_instance_uid,
            Self::Labels(_) => true,
        }
    }
}

/// DICOM modalities of chest X-rays.
const X_RAYS: [&str; 2] = ["CR", "DX"];

/// What reading a case takes.
pub(super) struct Reader<'a> {
    pub(super) config: &'a Config,
    pub(super) series_list: Option<&'a BTreeSet<String>>,
    /// Geometry of the scans of each cohort that has no images.
    pub(super) geometries: BTreeMap<&'a str, ScanGeometries>,
}

impl Reader<'_> {
    /// The rows of a case; what cannot be read is a failure.
    pub(super) fn read(&self, source: &SourceCase) -> CaseRows {
        self.rows(source).unwrap_or_else(|error| {
            let path = Some(source.case.case_id.clone());
            let failure = Failure::new("ingest", &source.case.case_id, &error, path);
            CaseRows { failures: vec![failure], ..CaseRows::default() }
        })
    }

    fn rows(&self, source: &SourceCase) -> Result<CaseRows, CaseError> {
        let cohort = self.config.cohorts.iter().find(|cohort| cohort.name == source.cohort);
        let cohort = cohort.ok_or_else(|| CaseError::Cohort(source.cohort.clone()))?;
        let has_image = source.case.has_scan && cohort.source.has_images();
        let opened = has_image.then(|| CaseFiles::of_case(&cohort.root, &source.case));
        let files = opened.transpose()?;
        let (mut rows, annotations) = read_annotations(cohort, source, files.as_ref());
        let left = match files {
            Some(files) => self.images(cohort, source, &files, annotations, &mut rows)?,
            None if source.case.has_scan => {
                self.without_image(cohort, source, annotations, &mut rows)?
            }
            None => annotations,
        };
        for (path, annotation) in left {
            if let Annotation::Lidc(reads) = annotation {
                no_scan(cohort, source, &path, &reads.series_instance_uid, &mut rows);
            }
        }
        Ok(rows)
    }

    /// Adds the rows of a case's images; returns the annotations that belong to none.
    fn images(
        &self,
        cohort: &Cohort,
        source: &SourceCase,
        files: &CaseFiles,
        mut annotations: Vec<(String, Annotation)>,
        rows: &mut CaseRows,
    ) -> Result<Vec<(String, Annotation)>, CaseError> {
        let case = &source.case.case_id;
        let images = match cohort::read_images(files, &self.config.tolerances, None) {
            Err(cohort::Error::NoSeries { kinds, .. }) if x_rays(&kinds) => {
                let reason = "folder of a chest X-ray, not of a CT".to_owned();
                let exclusion =
                    Exclusion::new(Rule::ChestXRay, Some(&cohort.name), None, case, reason);
                rows.exclusions.push(exclusion.of_file(case));
                return Ok(annotations);
            }
            images => images?,
        };
        for image in images {
            let (scan, frame) = match &image {
                Ok(image) => (
                    scan_row::of_image(self.config, self.series_list, cohort, source, image),
                    Frame::of_image(image.volume.geometry()),
                ),
                Err(cohort::Error::Dicom(dicom::Error::Refused { series, reason })) => (
                    scan_row::of_refused(
                        self.config,
                        self.series_list,
                        cohort,
                        source,
                        series,
                        below(&cohort.root, &reason.to_string()),
                    ),
                    Frame::nowhere(),
                ),
                Err(error) => {
                    rows.failures.push(Failure::new("ingest", case, error, Some(case.clone())));
                    continue;
                }
            };
            let (own, other): (Vec<_>, Vec<_>) = annotations
                .into_iter()
                .partition(|(_, annotation)| annotation.belongs(&scan.series_instance_uid));
            annotations = other;
            rows.extend(transform(scan, &frame, &own));
        }
        Ok(annotations)
    }

    /// Adds the rows of a scan of which only the geometry is there.
    fn without_image(
        &self,
        cohort: &Cohort,
        source: &SourceCase,
        annotations: Vec<(String, Annotation)>,
        rows: &mut CaseRows,
    ) -> Result<Vec<(String, Annotation)>, CaseError> {
        let series = &source.case.case_id;
        let table = self.geometries.get(cohort.name.as_str());
        let geometry = table.and_then(|table| table.get(series));
        let geometry = geometry.ok_or_else(|| CaseError::NoGeometry(series.clone()))?;
        let scan = scan_row::of_geometry(self.config, self.series_list, cohort, source, geometry);
        let (own, other): (Vec<_>, Vec<_>) =
            annotations.into_iter().partition(|(_, annotation)| annotation.belongs(series));
        rows.extend(transform(scan, &Frame::of_slices(&geometry.slices), &own));
        Ok(other)
    }
}

/// A message without the root's place, so that a table is the same wherever the files lie.
fn below(root: &Path, message: &str) -> String {
    message.replace(&format!("{}/", root.display()), "")
}

fn x_rays(kinds: &BTreeSet<String>) -> bool {
    !kinds.is_empty() && kinds.iter().all(|m| X_RAYS.contains(&m.as_str()))
}

/// Reads of a scan that is not there.
///
/// METHOD: LUNA16 kept 888 of LIDC-IDRI's 1,018 scans, so that its XML is expected to read scans
/// that are not there; elsewhere that is a failure.
fn no_scan(cohort: &Cohort, source: &SourceCase, path: &str, series: &str, rows: &mut CaseRows) {
    if cohort.source == Layout::Luna16 {
        let reason = format!("reads series {series}, which the cohort does not have");
        let exclusion =
            Exclusion::new(Rule::NoScan, Some(&cohort.name), Some(series), path, reason);
        rows.exclusions.push(exclusion.of_file(path));
        return;
    }
    let (path_, series) = (path.to_owned(), series.to_owned());
    let error = match cohort.source {
        Layout::LidcAnnotations => CaseError::NotInTable { path: path_, series },
        _ if source.case.has_scan => CaseError::OtherSeries { path: path_, series },
        _ => CaseError::NoImage { path: path_, series },
    };
    let path = Some(path.to_owned());
    rows.failures.push(Failure::new("ingest", &source.case.case_id, &error, path));
}

/// The annotations that can be read; the rows say which cannot.
fn read_annotations(
    cohort: &Cohort,
    source: &SourceCase,
    files: Option<&CaseFiles>,
) -> (CaseRows, Vec<(String, Annotation)>) {
    let mut rows = CaseRows::default();
    let mut annotations = Vec::new();
    let packed = files.filter(|_| cohort.source == Layout::Lidc);
    let packed = packed.iter().flat_map(|files| &files.annotations);
    for path in source.case.annotations.iter().chain(packed) {
        let base = cohort.annotations.as_deref().unwrap_or(&cohort.root);
        let told = files.map_or(path.clone(), |files| files.name(path));
        let name = cohort::relative(base, &told);
        let read = match files {
            Some(files) if told != *path => read_packed(files, path, &told),
            _ => read_annotation(cohort.source, path),
        };
        match read {
            Ok(annotation) => annotations.push((name, annotation)),
            Err(CaseError::Xml(lidc_xml::Error::XRay(_))) => {
                let reason = "reads of a chest X-ray (IdriReadMessage), not of a CT".to_owned();
                let exclusion =
                    Exclusion::new(Rule::ChestXRay, Some(&cohort.name), None, &name, reason);
                rows.exclusions.push(exclusion.of_file(&name));
            }
            Err(error) => {
                let case = &source.case.case_id;
                rows.failures.push(Failure::new("ingest", case, &error, Some(name)));
            }
        }
    }
    (rows, annotations)
}

fn read_annotation(layout: Layout, path: &Path) -> Result<Annotation, CaseError> {
    Ok(match layout {
        Layout::Lidc | Layout::Luna16 | Layout::LidcAnnotations => {
            Annotation::Lidc(lidc_xml::read(path)?)
        }
        Layout::Volumes => Annotation::Labels(nifti::read_labels(path)?),
    })
}

/// Reads XML that lies in an archive.
fn read_packed(files: &CaseFiles, path: &Path, told: &Path) -> Result<Annotation, CaseError> {
    let text = fs::read_to_string(path).map_err(|error| files.named_io(error));
    let text = text.map_err(lidc_xml::Error::Io)?;
    Ok(Annotation::Lidc(lidc_xml::parse(told, &text)?))
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
    #[error("`{path}` reads series {series}, which is not in its folder or archive")]
    OtherSeries { path: String, series: String },
    #[error("`{path}` reads series {series}, and its folder holds no image")]
    NoImage { path: String, series: String },
    #[error("`{path}` reads series {series}, which the table of scan geometry does not have")]
    NotInTable { path: String, series: String },
    #[error("the table of scan geometry no longer has series {0}")]
    NoGeometry(String),
}
