//! Tells from headers alone which scans and masks of a case would be refused.

use super::annotation::{Alone, Annotation, mask_belongs};
use super::case::{are_x_rays, may_be_without_series, missing_masks, no_scan, read_annotations};
use super::case_error::CaseError;
use super::case_rows::CaseRows;
use super::cohort_settings::Cohort;
use super::config::Config;
use super::frame::Frame;
use super::judged::reason_for_unreadable;
use super::mask_nodules::{self, Error};
use super::scan_row;
use super::sources::SourceCase;
use crate::tables::Scan;
use nodulus_formats::cohort::{self, CaseFiles, HeaderCheck, Layout, Refusal};
use nodulus_formats::mask_file::{self, MaskHeader, MaskRules};
use nodulus_imaging::planar_contours::ContourOffImage;
use nodulus_imaging::regrid::{GridDifference, GridMismatch};
use nodulus_imaging::segments;
use std::collections::BTreeSet;
use std::path::Path;

/// Reads the headers of a case's scans and masks, and refuses what reading would refuse as far as they tell. Which scan of a
/// study is the thinnest is not asked.
pub fn check_case(
    config: &Config,
    series_list: Option<&BTreeSet<String>>,
    cohort: &Cohort,
    case: &cohort::Case,
) -> HeaderCheck {
    if let Some(problem) = &case.problem {
        return cohort::refused_case(problem);
    }
    let source = SourceCase {
        cohort: cohort.name.clone(),
        case: case.clone(),
        content_sha256: String::new(),
        files_sha256: String::new(),
        places_sha256: String::new(),
        fault: None,
        stamp: String::new(),
    };
    let files = case.has_scan.then(|| CaseFiles::of_case(&cohort.root, case)).transpose();
    let files = match files {
        Ok(files) => files,
        Err(error) => return cohort::unreadable_case(&error),
    };
    let mut check = files
        .as_ref()
        .map_or_else(HeaderCheck::default, |files| cohort::check_headers(files, &config.reading()));
    if let Some(error) = &check.without_series
        && let cohort::Error::NoSeries { passed_over, .. } = error
        && !are_x_rays(passed_over)
        && !may_be_without_series(cohort, passed_over)
    {
        let refusal = Refusal {
            cause: "a folder without a CT series",
            setting: None,
            message: error.to_string(),
        };
        check.refusals.push(refusal);
        return check;
    }
    refuse_unreadable(config, &mut check);
    if cohort.source == Layout::Volumes {
        check_masks(config, series_list, cohort, &source, &mut check);
    } else {
        check_reads(cohort, &source, files.as_ref(), &mut check);
    }
    exclude(config, series_list, cohort, &source, &mut check);
    check
}

/// The cause of scans that the run reads and excludes.
const EXCLUDED: &str = "a rule of inclusion";

/// Refuses series that cannot be read; of those that are no scans, the run says that it leaves them out.
fn refuse_unreadable(config: &Config, check: &mut HeaderCheck) {
    for series in std::mem::take(&mut check.unreadable) {
        let left_out = reason_for_unreadable(&config.inclusion, "ingest.inclusion", &series);
        check.refusals.push(match left_out {
            Some(message) => Refusal { cause: "a series that is no scan", setting: None, message },
            None => Refusal::of(&series.error),
        });
    }
}

/// Moves the scans that the rules exclude from those that can be read to the refusals.
fn exclude(
    config: &Config,
    series_list: Option<&BTreeSet<String>>,
    cohort: &Cohort,
    source: &SourceCase,
    check: &mut HeaderCheck,
) {
    for facts in &check.scans {
        let row = scan_row::of_image(config, series_list, cohort, source, facts);
        if row.included {
            continue;
        }
        let path = row.path.unwrap_or(row.series_instance_uid);
        let message = format!("`{path}`: {}", row.exclusion_reasons.join("; "));
        check.n_readable = check.n_readable.saturating_sub(1);
        let setting = Some("ingest.inclusion");
        check.refusals.push(Refusal { cause: EXCLUDED, setting, message });
    }
}

/// Refuses readers' XML that cannot be read, and that of scans that are not there.
fn check_reads(
    cohort: &Cohort,
    source: &SourceCase,
    files: Option<&CaseFiles>,
    check: &mut HeaderCheck,
) {
    let (unreadable, annotations) = read_annotations(cohort, source, files);
    check.refusals.extend(refusals(unreadable, "readers' XML that cannot be read"));
    let mut of_none = CaseRows::default();
    let is_there = |series: &String| {
        check.scans.iter().any(|scan| scan.series_instance_uid == *series)
            || check.refused_series.contains(series)
    };
    for (path, annotation) in annotations {
        if let Annotation::Lidc(reads) = annotation
            && !is_there(&reads.series_instance_uid)
        {
            no_scan(cohort, source, &path, &reads.series_instance_uid, &mut of_none);
        }
    }
    check.refusals.extend(refusals(of_none, "readers' XML of a scan that is not there"));
}

/// Refuses masks that cannot be read or do not lie on their scans, and patients without a mask.
fn check_masks(
    config: &Config,
    series_list: Option<&BTreeSet<String>>,
    cohort: &Cohort,
    source: &SourceCase,
    check: &mut HeaderCheck,
) {
    let scans = check.scans.iter().map(|facts| {
        let row = scan_row::of_image(config, series_list, cohort, source, facts);
        (row, Frame::of_scan(facts))
    });
    let scans: Vec<(Scan, Frame)> = scans.collect();
    let n_refused = check.refused_series.len();
    let has_failed = check.refusals.len() > n_refused;
    let alone = Alone::of(
        scans.len() + n_refused,
        scans.iter().filter(|(scan, _)| scan.included).count(),
        has_failed,
    );
    let checked = |path| check_mask(path, &cohort.masks, &scans, alone, has_failed);
    let refused: Vec<Refusal> =
        source.case.annotations.iter().filter_map(|path| checked(path).err()).collect();
    check.refusals.extend(refused);
    if source.case.has_scan {
        let mut missing = CaseRows::default();
        missing_masks(cohort, source, &mut missing);
        check.refusals.extend(refusals(missing, "a patient without a mask"));
    }
}

/// Failures of the run as refusals of one cause.
fn refusals(rows: CaseRows, cause: &'static str) -> impl Iterator<Item = Refusal> {
    rows.failures.into_iter().map(move |failed| Refusal {
        cause,
        setting: None,
        message: match failed.path {
            Some(path) if !failed.cause.contains(&path) => format!("`{path}`: {}", failed.cause),
            _ => failed.cause,
        },
    })
}

/// Checks a mask, and whether it lies on its scan. That of a scan that is refused or not included is asked no more.
fn check_mask(
    path: &Path,
    rules: &MaskRules,
    scans: &[(Scan, Frame)],
    alone: Alone,
    is_scan_refused: bool,
) -> Result<(), Refusal> {
    let header = mask_file::read_header(path, rules).map_err(|error| Refusal::of_mask(&error))?;
    let referenced = header.referenced();
    match scans.iter().find(|(scan, _)| mask_belongs(referenced, scan, alone)) {
        Some((scan, frame)) if scan.included => {
            place(&header, frame, rules).map_err(|error| of_mask(path, &error))
        }
        Some(_) => Ok(()),
        None if is_scan_refused || scans.is_empty() => Ok(()),
        None => {
            let cause = "a mask that could belong to several series";
            Err(Refusal::of_file(path, cause, Some("ingest.inclusion"), &CaseError::WhichSeries))
        }
    }
}

/// Places a mask on its scan as reading does.
fn place(header: &MaskHeader, frame: &Frame, rules: &MaskRules) -> Result<(), Error> {
    let Some(image) = frame.geometry() else { return Ok(()) };
    match header {
        MaskHeader::Labels(grid) => mask_nodules::place_labels(grid, image, rules).map(drop),
        MaskHeader::Segmentation(segmentation) => {
            mask_nodules::of_segments(segmentation, frame, image, rules).map(drop)
        }
        MaskHeader::StructureSet(structures) => {
            let (chosen, _) = mask_nodules::choose(structures, rules);
            mask_nodules::of_rois(structures, &chosen, frame, image, rules).map(drop)
        }
    }
}

/// Why a mask does not fit its scan.
fn of_mask(path: &Path, error: &Error) -> Refusal {
    let (cause, setting) = cause(error);
    Refusal::of_file(path, cause, setting, error)
}

/// What is wrong, in the same words for every mask, and the setting that would admit the mask, if there is one.
fn cause(error: &Error) -> (&'static str, Option<&'static str>) {
    match error {
        Error::GridMismatch(grids) => of_grids(grids),
        Error::Segments(segments::Error::OffSlices { grid, .. }) => of_grids(grid),
        Error::Outside(_) => of_difference(GridDifference::Outside),
        Error::Unplaced { .. } => ("a mask of another size or spacing than its scan", None),
        Error::Lost { .. } => ("a mask that reaches past its scan", Some("masks.most_lost")),
        Error::Segments(_) => ("a segmentation whose frames make up no grid", None),
        Error::ContourOffImage { source: ContourOffImage::Slice { .. }, .. } => {
            ("contours off the planes of the scan's slices", Some("masks.off_plane"))
        }
        Error::ContourOffImage { .. } => ("contours outside their scan", None),
        Error::RoiDefect { .. } => ("a region with a defect", Some("masks.rois")),
        Error::ContourType { .. } => ("a region whose contours are not closed", Some("masks.rois")),
        Error::OtherSeries { .. } => ("a mask of another series", None),
        Error::OtherFrame { .. } => ("a mask with another frame of reference", None),
    }
}

fn of_grids(grids: &GridMismatch) -> (&'static str, Option<&'static str>) {
    of_difference(grids.difference())
}

fn of_difference(difference: GridDifference) -> (&'static str, Option<&'static str>) {
    let resample = Some("masks.resample");
    match difference {
        GridDifference::Outside => ("a mask outside its scan", None),
        GridDifference::Orientation => ("a mask with other axes than its scan", resample),
        GridDifference::Size => ("a mask of another size than its scan", resample),
        GridDifference::Spacing => ("a mask of another spacing than its scan", resample),
        GridDifference::Offset => ("a mask beside the voxels of its scan", Some("masks.off_grid")),
        GridDifference::Origin => ("a mask with another origin than its scan", resample),
    }
}
