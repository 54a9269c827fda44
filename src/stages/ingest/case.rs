//! Reads the files of one case: its scans and their annotations.

use super::annotation::{Alone, Annotation, read_annotation, read_packed};
use super::case_error::CaseError;
use super::case_rows::{CaseRows, damaged_row, of_failed_scan, passed_over_row};
use super::cohort_settings::Cohort;
use super::config::Config;
use super::frame::Frame;
use super::inclusion::{Thicker, exclude_thicker, thicker};
use super::judged::reason_for_unreadable;
use super::mask_readings::Reading;
use super::scan_row;
use super::sources::SourceCase;
use crate::tables::Scan;
use crate::tables::exclusions::{Exclusion, ExclusionRule};
use nodulus_formats::cohort::{self, CaseFiles, CaseScans, Layout, ScanFacts};
use nodulus_formats::dicom::{self, PassedOver};
use nodulus_formats::lidc_xml;
use nodulus_formats::scan_geometry::ScanGeometries;
use nodulus_store::FailedCase;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A scan of a case, where it lies and its annotations, or why it cannot be read.
type ScanContent = Result<(Scan, Frame, Vec<(String, Annotation)>), FailedCase>;

/// What one case holds.
#[derive(Debug, Default)]
pub(super) struct CaseContent<'a> {
    /// Rows of annotations that cannot be read.
    pub(super) before: CaseRows,
    /// The scans, in the order of their files.
    pub(super) scans: Vec<ScanContent>,
    /// The cohort, by whose settings annotations become marks; `None` where none are read.
    pub(super) cohort: Option<&'a Cohort>,
    /// Rows of annotations that belong to none of the scans.
    pub(super) after: CaseRows,
}

/// DICOM modalities of chest X-rays.
const X_RAYS: [&str; 2] = ["CR", "DX"];

/// Reads cases by the settings.
pub(super) struct Reader<'a> {
    pub(super) config: &'a Config,
    pub(super) series_list: Option<&'a BTreeSet<String>>,
    /// Geometry of the scans of each cohort that has no images.
    pub(super) geometries: BTreeMap<&'a str, ScanGeometries>,
}

impl Reader<'_> {
    /// The scans among these cases that are thicker than another one of their study, from headers alone. What cannot be
    /// read is not compared; reading tells why.
    pub(super) fn thicker(&self, cases: &[SourceCase]) -> Thicker {
        let rows = |source: &SourceCase| {
            let cohort = self.config.cohorts.iter().find(|cohort| cohort.name == source.cohort)?;
            let case =
                Some(&source.case).filter(|case| case.has_scan && cohort.source.has_images());
            let files = CaseFiles::of_case(&cohort.root, case?).ok()?;
            let scans = cohort::read_headers(&files, &self.config.reading());
            let row =
                |scan| scan_row::of_image(self.config, self.series_list, cohort, source, scan);
            Some(scans.iter().map(row).collect::<Vec<_>>())
        };
        let rows: Vec<_> = cases.par_iter().filter_map(rows).flatten().collect();
        thicker(&rows)
    }

    /// The scans of a case with their annotations; what cannot be read is a failure.
    pub(super) fn read(&self, source: &SourceCase, thicker: &Thicker) -> CaseContent<'_> {
        let content = self.content(source, thicker);
        // Other errors may come from the change.
        let content = if source.is_unchanged() { content } else { Err(CaseError::Changed) };
        content.unwrap_or_else(|error| CaseContent {
            before: CaseRows::failed(source, &error),
            ..CaseContent::default()
        })
    }

    fn content(
        &self,
        source: &SourceCase,
        thicker: &Thicker,
    ) -> Result<CaseContent<'_>, CaseError> {
        let cohort = self.config.cohorts.iter().find(|cohort| cohort.name == source.cohort);
        let cohort = cohort.ok_or_else(|| CaseError::Cohort(source.cohort.clone()))?;
        if let Some(problem) = &source.case.problem {
            return Err(CaseError::Pairing(problem.clone()));
        }
        let has_image = source.case.has_scan && cohort.source.has_images();
        let opened = has_image.then(|| CaseFiles::of_case(&cohort.root, &source.case));
        let files = opened.transpose()?;
        let mut x_ray = None;
        let mut passed_over = source.case.passed_over.clone();
        let mut damaged = Vec::new();
        let mut left_out = Vec::new();
        let mut scans = match self.scans(cohort, source, files.as_ref(), &mut left_out) {
            Err(CaseError::Image(cohort::Error::NoSeries { passed_over, .. }))
                if are_x_rays(&passed_over) =>
            {
                let case = &source.case.case_id;
                let reason = "folder of a chest X-ray, not of a CT".to_owned();
                let exclusion = Exclusion::new(
                    ExclusionRule::ChestXRay,
                    Some(&cohort.name),
                    None,
                    case,
                    reason,
                );
                x_ray = Some(exclusion.of_file(case));
                Vec::new()
            }
            // A folder of reports or screen saves in an export of a hospital, or of files that are no DICOM at all.
            Err(CaseError::Image(cohort::Error::NoSeries { passed_over: others, .. }))
                if may_be_without_series(cohort, &others) =>
            {
                passed_over.extend(others);
                Vec::new()
            }
            scans => {
                let found = scans?;
                passed_over.extend(found.passed_over);
                damaged = found.damaged;
                found.scans
            }
        };
        for (scan, _) in scans.iter_mut().flatten() {
            exclude_thicker(scan, thicker);
        }
        // Masks need as much memory as scans, whose voxels are freed by now.
        let (mut before, mut annotations) = read_annotations(cohort, source, files.as_ref());
        before.passed_over =
            passed_over.iter().map(|p| passed_over_row(cohort, source, p)).collect();
        before.failures.extend(damaged.iter().map(|error| damaged_row(cohort, source, error)));
        before.exclusions.extend(x_ray);
        let is_left_out = scans.is_empty() && !left_out.is_empty();
        before.exclusions.extend(left_out);
        let has_failed = scans.iter().any(Result::is_err) || !damaged.is_empty();
        let n_included = scans.iter().flatten().filter(|(scan, _)| scan.included).count();
        let alone = Alone::of(scans.len(), n_included, has_failed);
        let with_annotations = |placed: ScanAndFrame| {
            let (scan, frame) = placed?;
            let (own, other): (Vec<_>, Vec<_>) = std::mem::take(&mut annotations)
                .into_iter()
                .partition(|(_, annotation)| annotation.belongs(&scan, alone));
            annotations = other;
            Ok((scan, frame, own))
        };
        let scans = scans.into_iter().map(with_annotations).collect();
        let mut after = CaseRows::default();
        for (path, annotation) in annotations {
            match annotation {
                Annotation::Lidc(reads) => {
                    let series = &reads.series_instance_uid;
                    let is_listed = self.series_list.is_none_or(|list| list.contains(series));
                    if is_listed {
                        no_scan(cohort, source, &path, series, &mut after);
                    } else {
                        after.exclusions.push(not_listed(cohort, &path, series));
                    }
                }
                Annotation::Mask(Reading { mask: Ok(_), .. }) if has_failed || is_left_out => {
                    after.exclusions.push(of_failed_scan(cohort, source, &path));
                }
                Annotation::Mask(reading) => {
                    let case = &source.case.case_id;
                    let error =
                        reading.mask.map_or_else(CaseError::from, |_| CaseError::WhichSeries);
                    after.failures.push(FailedCase::new("ingest", case, &error, Some(path)));
                }
            }
        }
        if cohort.source == Layout::Volumes && source.case.has_scan {
            missing_masks(cohort, source, &mut after);
        }
        Ok(CaseContent { before, scans, cohort: Some(cohort), after })
    }

    /// The row of a series that cannot be read, if it is none that would be a scan.
    fn left_out(
        &self,
        cohort: &Cohort,
        source: &SourceCase,
        image: &Result<ScanFacts, cohort::Error>,
    ) -> Option<Exclusion> {
        let Err(cohort::Error::Unreadable(series)) = image else { return None };
        let reason = reason_for_unreadable(&self.config.inclusion, "ingest.inclusion", series)?;
        let uid = series.outlines.first().map(|outline| outline.info.series_instance_uid.as_str());
        let (rule, case) = (ExclusionRule::NotAScan, &source.case.case_id);
        let reason = below(&cohort.root, &reason);
        Some(Exclusion::new(rule, Some(&cohort.name), uid, case, reason).of_file(case))
    }

    /// The rows of a case's scans with their frames; scans that cannot be read are failures, and series that are none
    /// are left out.
    fn scans(
        &self,
        cohort: &Cohort,
        source: &SourceCase,
        files: Option<&CaseFiles>,
        left_out: &mut Vec<Exclusion>,
    ) -> Result<CaseScans<ScanAndFrame>, CaseError> {
        let without_files =
            |scans| CaseScans { scans, passed_over: Vec::new(), damaged: Vec::new() };
        match files {
            Some(files) => {
                let placed = |image| match self.left_out(cohort, source, &image) {
                    Some(row) => {
                        left_out.push(row);
                        None
                    }
                    None => Some(self.of_image(cohort, source, image)),
                };
                let CaseScans { scans, passed_over, damaged } =
                    cohort::read_scans(files, &self.config.reading(), placed)?;
                let scans = scans.into_iter().flatten().collect();
                Ok(CaseScans { scans, passed_over, damaged })
            }
            None if source.case.has_scan => {
                Ok(without_files(vec![self.without_image(cohort, source)?]))
            }
            None => Ok(without_files(Vec::new())),
        }
    }

    fn of_image(
        &self,
        cohort: &Cohort,
        source: &SourceCase,
        image: Result<ScanFacts, cohort::Error>,
    ) -> ScanAndFrame {
        let (config, list) = (self.config, self.series_list);
        match image {
            Ok(image) => {
                let row = scan_row::of_image(config, list, cohort, source, &image);
                Ok((row, Frame::of_scan(&image)))
            }
            Err(cohort::Error::Dicom(dicom::Error::Refused { series, reason })) => {
                let reason = below(&cohort.root, &reason.to_string());
                let scan = scan_row::of_refused(config, list, cohort, source, &series, reason);
                Ok((scan, Frame::nowhere()))
            }
            Err(error) => {
                let case = &source.case.case_id;
                Err(FailedCase::new("ingest", case, &error, Some(case.clone())))
            }
        }
    }

    /// A scan that has a geometry and no image.
    fn without_image(
        &self,
        cohort: &Cohort,
        source: &SourceCase,
    ) -> Result<ScanAndFrame, CaseError> {
        let series = &source.case.case_id;
        let table = self.geometries.get(cohort.name.as_str());
        let geometry = table.and_then(|table| table.get(series));
        let geometry = geometry.ok_or_else(|| CaseError::NoGeometry(series.clone()))?;
        let scan = scan_row::of_geometry(self.config, self.series_list, cohort, source, geometry);
        Ok(Ok((scan, Frame::of_geometry(geometry))))
    }
}

/// A scan's row and frame, or why it cannot be read.
type ScanAndFrame = Result<(Scan, Frame), FailedCase>;

/// A message without the root's path, so that a table does not depend on where the files lie.
fn below(root: &Path, message: &str) -> String {
    let root = root.display().to_string();
    message.replace(&format!("{}/", root.trim_end_matches('/')), "")
}

/// Whether files are chest X-rays and no CT.
pub(super) fn are_x_rays(passed_over: &[PassedOver]) -> bool {
    let kinds = cohort::kinds(passed_over);
    !kinds.is_empty() && kinds.iter().all(|m| X_RAYS.contains(&m.as_str()))
}

/// Whether a folder or archive of a cohort may hold files without a CT series among them. A cohort that names its images
/// names no other folder.
pub(super) fn may_be_without_series(cohort: &Cohort, passed_over: &[PassedOver]) -> bool {
    cohort.source == Layout::Lidc && !passed_over.is_empty()
}

/// The row for annotations of a scan that neither the cohort nor the list of series has.
fn not_listed(cohort: &Cohort, path: &str, series: &str) -> Exclusion {
    let reason = format!("reads series {series}, which is not in `ingest.series_list`");
    let name = Some(cohort.name.as_str());
    Exclusion::new(ExclusionRule::NoScan, name, Some(series), path, reason).of_file(path)
}

/// Adds the row for annotations of a scan that the cohort does not have.
///
/// METHOD: LUNA16 kept 888 of LIDC-IDRI's 1,018 scans, so its XML is expected to name scans that are not there; in other
/// layouts this is a failure.
pub(super) fn no_scan(
    cohort: &Cohort,
    source: &SourceCase,
    path: &str,
    series: &str,
    rows: &mut CaseRows,
) {
    if cohort.source == Layout::Luna16 {
        let reason = format!("reads series {series}, which the cohort does not have");
        let exclusion =
            Exclusion::new(ExclusionRule::NoScan, Some(&cohort.name), Some(series), path, reason);
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
    rows.failures.push(FailedCase::new("ingest", &source.case.case_id, &error, path));
}

/// Adds rows for the readers without a mask of a scan; a scan without any mask is a failure.
pub(super) fn missing_masks(cohort: &Cohort, source: &SourceCase, rows: &mut CaseRows) {
    let case = &source.case;
    let patient = case.patient.as_deref().unwrap_or_default();
    let patterns = cohort.mask_patterns();
    if case.annotations.is_empty() {
        let patterns = patterns.iter().map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>();
        let (patient, patterns) = (patient.to_owned(), patterns.join(" nor "));
        let error = CaseError::NoMask { patient, patterns };
        let path = Some(case.case_id.clone());
        rows.failures.push(FailedCase::new("ingest", &case.case_id, &error, path));
        return;
    }
    for (reader, pattern) in patterns.iter().enumerate() {
        if !case.readers.contains(&reader) {
            let name = cohort.reader(reader).unwrap_or_default();
            let reason = format!(
                "reader `{name}` has no mask of patient `{patient}`: nothing fits `{pattern}`"
            );
            let exclusion = Exclusion::new(
                ExclusionRule::NoMask,
                Some(&cohort.name),
                None,
                &case.case_id,
                reason,
            );
            rows.exclusions.push(exclusion);
        }
    }
}

/// Reads the annotations. XML that cannot be read becomes a row; a mask that cannot be read keeps its error.
pub(super) fn read_annotations(
    cohort: &Cohort,
    source: &SourceCase,
    files: Option<&CaseFiles>,
) -> (CaseRows, Vec<(String, Annotation)>) {
    let mut rows = CaseRows::default();
    let mut annotations = Vec::new();
    let packed = files.filter(|_| cohort.source == Layout::Lidc);
    let packed = packed.iter().flat_map(|files| &files.annotations);
    for (n, path) in source.case.annotations.iter().chain(packed).enumerate() {
        let base = cohort.annotations.as_deref().unwrap_or(&cohort.root);
        let displayed = files.map_or(path.clone(), |files| files.name(path));
        let name = cohort::relative(base, &displayed);
        let read = match files {
            Some(files) if displayed != *path => read_packed(files, path, &displayed),
            _ => read_annotation(cohort, source.case.readers.get(n), path),
        };
        match read {
            Ok(annotation) => annotations.push((name, annotation)),
            Err(CaseError::Xml(lidc_xml::Error::XRay(_))) => {
                let reason = "reads of a chest X-ray (IdriReadMessage), not of a CT".to_owned();
                let exclusion = Exclusion::new(
                    ExclusionRule::ChestXRay,
                    Some(&cohort.name),
                    None,
                    &name,
                    reason,
                );
                rows.exclusions.push(exclusion.of_file(&name));
            }
            Err(error) => {
                let case = &source.case.case_id;
                rows.failures.push(FailedCase::new("ingest", case, &error, Some(name)));
            }
        }
    }
    (rows, annotations)
}
