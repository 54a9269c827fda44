//! Reads the files of one case.

use super::mask_readings::Reading;
use super::{CaseRows, Cohort, Config, Frame, SourceCase, scan_row, transform};
use crate::formats::cohort::{self, Image, Layout};
use crate::formats::mask_file::MaskFile;
use crate::formats::scan_geometry::ScanGeometries;
use crate::formats::{dicom, lidc_xml, mask_file};
use crate::tables::Failure;
use crate::tables::exclusions::{Exclusion, Rule};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What came with a scan.
#[derive(Debug)]
pub enum Annotation {
    /// Readers' sessions from LIDC's XML.
    Lidc(lidc_xml::Annotations),
    /// A file of a reader's masks or outlines.
    Mask(Reading),
}

impl Annotation {
    /// The study, where the file tells.
    pub(super) fn study_instance_uid(&self) -> Option<String> {
        match self {
            Self::Lidc(reads) => reads.study_instance_uid.clone(),
            Self::Mask(_) => None,
        }
    }

    /// Whether it is of this series of the case. A mask that names no series is that of the only one
    /// there is, and so is one that names another, which is then refused.
    fn belongs(&self, series_instance_uid: &str, is_only: bool) -> bool {
        match self {
            Self::Lidc(reads) => reads.series_instance_uid == series_instance_uid,
            Self::Mask(reading) => {
                let referenced = reading.mask.as_ref().ok().and_then(MaskFile::referenced);
                is_only || referenced.is_some_and(|r| r.series.contains(series_instance_uid))
            }
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
        if let Some(problem) = &source.case.problem {
            return Err(CaseError::Pairing(problem.clone()));
        }
        let (mut rows, annotations) = read_annotations(cohort, source);
        let left = if !source.case.has_scan {
            annotations
        } else if cohort.source.has_images() {
            self.images(cohort, source, annotations, &mut rows)?
        } else {
            self.without_image(cohort, source, annotations, &mut rows)?
        };
        for (path, annotation) in left {
            match annotation {
                Annotation::Lidc(reads) => {
                    no_scan(cohort, source, &path, &reads.series_instance_uid, &mut rows);
                }
                Annotation::Mask(reading) => {
                    let case = &source.case.case_id;
                    let error =
                        reading.mask.map_or_else(CaseError::from, |_| CaseError::WhichSeries);
                    rows.failures.push(Failure::new("ingest", case, &error, Some(path)));
                }
            }
        }
        if cohort.source == Layout::Volumes {
            missing_masks(cohort, source, &mut rows);
        }
        Ok(rows)
    }

    /// Adds the rows of a case's images; returns the annotations that belong to none.
    fn images(
        &self,
        cohort: &Cohort,
        source: &SourceCase,
        mut annotations: Vec<(String, Annotation)>,
        rows: &mut CaseRows,
    ) -> Result<Vec<(String, Annotation)>, CaseError> {
        let case = &source.case.case_id;
        let images = match self.read_images(cohort, case) {
            Err(cohort::Error::NoSeries { modalities, .. }) if x_rays(&modalities) => {
                let reason = "folder of a chest X-ray, not of a CT".to_owned();
                let exclusion =
                    Exclusion::new(Rule::ChestXRay, Some(&cohort.name), None, case, reason);
                rows.exclusions.push(exclusion.of_file(case));
                return Ok(annotations);
            }
            images => images?,
        };
        let is_only = images.len() == 1;
        for image in images {
            let (scan, frame) = match &image {
                Ok(image) => {
                    let frame = Frame::of_image(image.volume.geometry());
                    (
                        scan_row::of_image(self.config, self.series_list, cohort, source, image),
                        match &image.info {
                            Some(info) => frame.of_series(info),
                            None => frame,
                        },
                    )
                }
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
            let (own, other): (Vec<_>, Vec<_>) =
                annotations.into_iter().partition(|(_, annotation)| {
                    annotation.belongs(&scan.series_instance_uid, is_only)
                });
            annotations = other;
            rows.extend(transform(scan, &frame, &own, &cohort.masks));
        }
        Ok(annotations)
    }

    fn read_images(
        &self,
        cohort: &Cohort,
        case: &str,
    ) -> Result<Vec<Result<Image, cohort::Error>>, cohort::Error> {
        cohort::read_images(&cohort.root.join(case), &self.config.tolerances, |_| true)
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
            annotations.into_iter().partition(|(_, annotation)| annotation.belongs(series, true));
        rows.extend(transform(scan, &Frame::of_slices(&geometry.slices), &own, &cohort.masks));
        Ok(other)
    }
}

/// A message without the root's place, so that a table is the same wherever the files lie.
fn below(root: &Path, message: &str) -> String {
    message.replace(&format!("{}/", root.display()), "")
}

fn x_rays(modalities: &BTreeSet<String>) -> bool {
    !modalities.is_empty() && modalities.iter().all(|m| X_RAYS.contains(&m.as_str()))
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

/// Says which readers have no mask of a scan: without any, that is a failure.
fn missing_masks(cohort: &Cohort, source: &SourceCase, rows: &mut CaseRows) {
    let case = &source.case;
    let patient = case.patient.as_deref().unwrap_or_default();
    let patterns = cohort.mask_patterns();
    if case.annotations.is_empty() {
        let patterns = patterns.iter().map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>();
        let (patient, patterns) = (patient.to_owned(), patterns.join(" nor "));
        let error = CaseError::NoMask { patient, patterns };
        let path = Some(case.case_id.clone());
        rows.failures.push(Failure::new("ingest", &case.case_id, &error, path));
        return;
    }
    for (reader, pattern) in patterns.iter().enumerate() {
        if !case.readers.contains(&reader) {
            let name = cohort.reader(reader).unwrap_or_default();
            let reason = format!(
                "reader `{name}` has no mask of patient `{patient}`: nothing fits `{pattern}`"
            );
            let exclusion =
                Exclusion::new(Rule::NoMask, Some(&cohort.name), None, &case.case_id, reason);
            rows.exclusions.push(exclusion);
        }
    }
}

/// The annotations that can be read; the rows say which cannot, but for masks, which say it themselves.
fn read_annotations(cohort: &Cohort, source: &SourceCase) -> (CaseRows, Vec<(String, Annotation)>) {
    let mut rows = CaseRows::default();
    let mut annotations = Vec::new();
    for (n, path) in source.case.annotations.iter().enumerate() {
        let base = cohort.annotations.as_deref().unwrap_or(&cohort.root);
        let name = cohort::relative(base, path);
        match read_annotation(cohort, source.case.readers.get(n), path) {
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

fn read_annotation(
    cohort: &Cohort,
    reader: Option<&usize>,
    path: &Path,
) -> Result<Annotation, CaseError> {
    Ok(match cohort.source {
        Layout::Lidc | Layout::Luna16 | Layout::LidcAnnotations => {
            Annotation::Lidc(lidc_xml::read(path)?)
        }
        Layout::Volumes => {
            let session = reader.copied().unwrap_or_default();
            let reader = cohort.reader(session).map(str::to_owned);
            Annotation::Mask(Reading {
                session,
                reader,
                mask: mask_file::read(path, &cohort.masks),
            })
        }
    })
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
    Mask(#[from] mask_file::Error),
    #[error("{0}")]
    Pairing(String),
    #[error("patient `{patient}` has no mask: nothing fits {patterns}")]
    NoMask { patient: String, patterns: String },
    #[error(
        "it names none of the folder's series, so that it may be of any: keep one series a folder"
    )]
    WhichSeries,
    #[error("`{path}` reads series {series}, which is not in its folder")]
    OtherSeries { path: String, series: String },
    #[error("`{path}` reads series {series}, and its folder holds no image")]
    NoImage { path: String, series: String },
    #[error("`{path}` reads series {series}, which the table of scan geometry does not have")]
    NotInTable { path: String, series: String },
    #[error("the table of scan geometry no longer has series {0}")]
    NoGeometry(String),
}
