//! Reads what the model needs of a series.

use super::exclusion::{self, SeriesExclusion};
use super::files::{self, OpenScan, ScanFiles};
use super::memory::{ExceedsBudget, MemoryBudget, MemoryLease};
use super::region::LocatedCandidate;
use super::result_inputs::ResultInputs;
use super::segment;
use crate::nightly::input::candidates::{
    NoduleCandidate, ScanCandidates, distinct, point_key, position_key,
};
use crate::nightly::input::contents::NoScan;
use crate::nightly::input::series::DiscoveredSeries;
use crate::nightly::problem::Problem;
use crate::nightly::redaction::OwnError;
use crate::nightly::settings::ScoreSettings;
use nodulus_faults::{FaultClass, quoted};
use nodulus_formats::dicom::{self, Irregularity, SeriesInfo};
use nodulus_formats::volume::{Geometry, LoadedSlices, SliceRanges, identifying_slices};
use nodulus_imaging::lungs::{self, LungBox};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The most candidates that a scan may have.
const MAX_CANDIDATES: usize = u16::MAX as usize;

/// A series that is to be scored.
#[derive(Clone, Debug)]
pub(crate) struct PendingSeries {
    pub(crate) series: DiscoveredSeries,
    pub(crate) candidates: ScanCandidates,
    /// What its result is made of, except for the content, which is not read yet.
    pub(crate) inputs: ResultInputs,
    /// What its last result was made of; `None` where the series is scored again regardless.
    pub(crate) previous: Option<ResultInputs>,
    /// Its superseded results, oldest first.
    pub(crate) earlier: Vec<EarlierResult>,
    /// The current result, if it only lacks files that are requested now.
    pub(crate) known: Option<KnownResult>,
}

/// A superseded result, which may become current again.
#[derive(Clone, Debug)]
pub(crate) struct EarlierResult {
    pub(crate) inputs: ResultInputs,
    /// Whether it then gets new files: objects of another result were written after its own.
    pub(crate) needs_files: bool,
}

/// A result that files are written for although it was made before: its rows stay.
#[derive(Clone, Debug)]
pub(crate) enum KnownResult {
    /// The current one lacks files that are requested now; its files hold this time.
    Current(String),
    /// A superseded one, made of these, becomes current again, with new files.
    Superseded(ResultInputs),
}

impl KnownResult {
    /// The time that files hold which are written for it; `None` for the present time.
    pub(crate) fn files_at(&self) -> Option<&str> {
        match self {
            Self::Current(at) => Some(at),
            Self::Superseded(_) => None,
        }
    }
}

/// A series after reading.
pub(crate) struct ReadSeries<'a> {
    pub(crate) series: DiscoveredSeries,
    pub(crate) inputs: ResultInputs,
    /// The result that files are written for, if it is not a new one.
    pub(crate) known: Option<KnownResult>,
    pub(crate) outcome: ReadOutcome<'a>,
}

/// Outcome of reading a series.
pub(crate) enum ReadOutcome<'a> {
    /// It is read.
    Ready(Box<LoadedScan<'a>>),
    /// Its content is that of its last result.
    Unchanged,
    /// A superseded result was made of the same content and candidates by the same recipe, and needs no new files: of what
    /// it was made.
    Restored(ResultInputs),
    /// Its files still change.
    Settling,
    /// It cannot be read.
    Failed(Problem),
    /// Its candidates cannot be used, whatever the scan.
    Refused(Problem),
    /// A rule excludes it.
    Excluded(SeriesExclusion),
}

impl ReadOutcome<'_> {
    fn excluded(NoScan { rule, reason }: NoScan, n_candidates: usize) -> Self {
        Self::Excluded(SeriesExclusion { rule, reason, n_candidates })
    }
}

/// A scan with what the model needs of it.
pub(crate) struct LoadedScan<'a> {
    pub(crate) scan: OpenScan,
    pub(crate) slices: LoadedSlices<i16>,
    pub(crate) candidates: Vec<LocatedCandidate>,
    pub(crate) warnings: Vec<String>,
    /// Box about the lungs, where the patient has an id.
    pub(crate) lungs: Option<LungBox>,
    pub(crate) memory: MemoryLease<'a>,
}

/// A series could not be read.
#[derive(Debug, thiserror::Error)]
#[expect(clippy::large_enum_variant, reason = "a series has one")]
enum Error {
    #[error("{}", quoted::io(.0))]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Scan(#[from] files::Error),
    #[error(transparent)]
    ExceedsBudget(#[from] ExceedsBudget),
    #[error("the scan has {0} candidates, expected at most {MAX_CANDIDATES}")]
    Candidates(usize),
    #[error("{first}; correct this row, which is one of {n} malformed rows of the series")]
    Malformed { first: String, n: usize },
    #[error(
        "a file of candidates cannot be read, or has rows that may be of any series, or of this one by a UID that is cut or has lost a \
         dot, and the other rows differ from those of the result, which stays; write that file again, or remove it"
    )]
    MayLackRows,
    #[error(
        "{0}, which had candidates of the result, is gone, and a list of series alone says that the scan has none now: the result stays; \
         restore the file, or write a table with a header alone whose name is that of the series"
    )]
    LostFile(String),
    #[error(
        "all {n} candidates lie outside the scan, whose voxels have {extent} mm (LPS); check that they are of this series, \
         and in LPS"
    )]
    AllOutside {
        n: usize,
        /// The least and the greatest coordinates.
        extent: String,
    },
    #[error(
        "PatientID has a backslash and so several values, expected one; correct it in the headers"
    )]
    PatientId,
    /// It is redacted where it was found.
    #[error("{0}")]
    Problem(String),
}

impl OwnError for Error {}

impl Error {
    /// Whether the candidates are at fault, and not the scan.
    fn is_of_candidates(&self) -> bool {
        matches!(
            self,
            Self::Candidates(_)
                | Self::Malformed { .. }
                | Self::MayLackRows
                | Self::LostFile(_)
                | Self::AllOutside { .. }
        )
    }

    /// Why the series is excluded although it cannot be read.
    fn exclusion(&self, settings: &ScoreSettings) -> Option<NoScan> {
        match self {
            Self::Scan(files::Error::Dicom(error)) => exclusion::of_error(settings, error),
            Self::Scan(files::Error::Unreadable(series)) => {
                exclusion::of_error(settings, &series.error)
                    .or_else(|| exclusion::of_unreadable(settings, series))
            }
            _ => None,
        }
    }
}

/// Reads a series for a model that takes `input_slices` slices together. An error or a panic is the outcome of this series
/// alone.
pub(crate) fn read<'a>(
    settings: &ScoreSettings,
    input_slices: usize,
    budget: &'a MemoryBudget,
    pending: PendingSeries,
) -> ReadSeries<'a> {
    let (mut inputs, mut known) = (pending.inputs.clone(), pending.known.clone());
    let read = || try_read(settings, input_slices, budget, &pending, &mut inputs, &mut known);
    let outcome = match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => {
            let problem = Problem::of(settings.private_input(), &error);
            match error.exclusion(settings).filter(|_| !problem.class.is_passing()) {
                Some(no_scan) => ReadOutcome::excluded(no_scan, pending.candidates.n_places()),
                None if error.is_of_candidates() => ReadOutcome::Refused(problem),
                None => ReadOutcome::Failed(problem),
            }
        }
        Err(panic) => ReadOutcome::Failed(Problem::of_panic(panic.as_ref())),
    };
    ReadSeries { series: pending.series, inputs, known, outcome }
}

/// Why a series is excluded whose source has a problem. A fault of the machine tells nothing about the series.
fn exclusion_despite(
    settings: &ScoreSettings,
    series: &DiscoveredSeries,
) -> Result<Option<NoScan>, Error> {
    let opened = ScanFiles::of(&series.source, &series.id)
        .and_then(|files| files.open(&settings.tolerances));
    match opened {
        Ok(scan) => Ok(exclusion::by_rules(settings, &scan.judged())),
        Err(error) if FaultClass::of(&error).is_passing() => Err(error.into()),
        Err(error) => Ok(Error::from(error).exclusion(settings)),
    }
}

fn try_read<'a>(
    settings: &ScoreSettings,
    input_slices: usize,
    budget: &'a MemoryBudget,
    pending: &PendingSeries,
    inputs: &mut ResultInputs,
    known: &mut Option<KnownResult>,
) -> Result<ReadOutcome<'a>, Error> {
    let PendingSeries { series, candidates, previous, earlier, .. } = pending;
    if let Some(fault) = &series.fault {
        return Ok(ReadOutcome::Failed(fault.clone()));
    }
    let n_candidates = candidates.n_places();
    if let Some(no_scan) = &series.no_scan {
        return Ok(ReadOutcome::excluded(no_scan.clone(), n_candidates));
    }
    if let Some(problem) = &series.problem {
        return match exclusion_despite(settings, series)? {
            Some(no_scan) => Ok(ReadOutcome::excluded(no_scan, n_candidates)),
            None => Err(Error::Problem(problem.clone())),
        };
    }
    // Files that changed since they were listed still arrive.
    if series.source.stamp(&settings.input)?.text != series.stamp.text {
        return Ok(ReadOutcome::Settling);
    }
    let files = ScanFiles::of(&series.source, &series.id)?;
    inputs.content_sha256 = files.content_sha256()?;
    if previous.as_ref().is_some_and(|previous| previous.has_same_content(inputs)) {
        return Ok(ReadOutcome::Unchanged);
    }
    if let Some(same) = earlier.iter().rev().find(|of| of.inputs.has_same_content(inputs)) {
        if !same.needs_files {
            return Ok(ReadOutcome::Restored(same.inputs.clone()));
        }
        *known = Some(KnownResult::Superseded(same.inputs.clone()));
    }
    let scan = files.open(&settings.tolerances)?;
    if let Some(no_scan) = exclusion::by_rules(settings, &scan.judged()) {
        return Ok(ReadOutcome::excluded(no_scan, n_candidates));
    }
    if scan.info().is_some_and(|info| info.patient_id.contains('\\')) {
        return Err(Error::PatientId);
    }
    if n_candidates > MAX_CANDIDATES {
        return Err(Error::Candidates(n_candidates));
    }
    let geometry = *scan.geometry();
    let mut warnings = series.warnings.clone();
    // It was waited for long enough.
    if let Some(announced) = series.announced.filter(|announced| *announced > series.n_files) {
        let found = series.n_files;
        warnings.push(format!("the series announces {announced} instances, and has {found} files"));
    }
    warnings.extend(undecoded_attributes(&scan)?);
    warnings.extend(scan.info().and_then(unknown_words));
    let positioned = positioned(candidates, &scan, &mut warnings, &mut inputs.outside)?;
    let mut located: Vec<LocatedCandidate> = Vec::new();
    for candidate in positioned {
        if let Some(candidate) = LocatedCandidate::new(candidate, &geometry) {
            located.push(candidate);
        } else {
            inputs.outside.insert(position_key(candidate.position_mm));
            let position = position_in_words(candidate.position_mm);
            warnings.push(format!("candidate at {position} mm is not in the scan"));
        }
    }
    let has_patient = scan.info().is_some_and(|info| !info.patient_id.is_empty());
    let wanted = segment::wanted(&settings.region, &geometry, &located, input_slices);
    let identifying = identifying_slices(&geometry);
    let of_lungs =
        if has_patient { lungs::slices_needed(&geometry) } else { SliceRanges::default() };
    let wanted = wanted.iter().chain(identifying.iter()).chain(of_lungs.iter()).collect();
    let memory = budget.take(scan.memory_bytes(&wanted))?;
    let slices = scan.read_slices(&wanted)?;
    // A series that is no scan, which may show only here, is excluded whatever its candidates.
    if let Some(first) = candidates.malformed.first() {
        return Err(Error::Malformed { first: first.clone(), n: candidates.malformed.len() });
    }
    if candidates.may_lack_rows {
        return Err(Error::MayLackRows);
    }
    if let Some(file) = &candidates.lost_file {
        return Err(Error::LostFile(file.clone()));
    }
    if located.is_empty() && n_candidates > 0 {
        return Err(Error::AllOutside { n: n_candidates, extent: extent(&geometry) });
    }
    let lungs = if has_patient { lungs::lung_box(&slices) } else { None };
    let candidates = located;
    Ok(ReadOutcome::Ready(Box::new(LoadedScan {
        scan,
        slices,
        candidates,
        warnings,
        lungs,
        memory,
    })))
}

/// Coordinates are shown up to here, to a tenth.
///
/// METHOD: chosen; positions of scanners are within some metres. A larger number, or one with more digits, may be one of a
/// patient, such as a date of birth in the wrong column; four digits identify nobody.
const SHOWN_MM: f64 = 10_000.0;

/// A position of candidates as messages and results show it.
fn position_in_words(position_mm: [f64; 3]) -> String {
    if position_mm.iter().any(|mm| mm.abs() >= SHOWN_MM) {
        return quoted::REDACTED.to_owned();
    }
    // -0 is 0.
    let [x, y, z] = position_mm.map(|mm| (10.0 * mm).round() / 10.0 + 0.0);
    format!("[{x:.1}, {y:.1}, {z:.1}]")
}

/// The least and the greatest coordinates of a scan's voxels in words, LPS.
fn extent(geometry: &Geometry) -> String {
    let last = geometry.size().map(|n| n.saturating_sub(1) as f64);
    let corners: Vec<[f64; 3]> = (0..8)
        .map(|corner| {
            let ijk = [0, 1, 2].map(|a| if (corner >> a) & 1 == 1 { last[a] } else { 0.0 });
            geometry.voxel_to_patient(ijk)
        })
        .collect();
    let range = |(axis, a): (&str, usize)| {
        let along = corners.iter().map(|corner| corner[a]);
        let [from, to] = [f64::min as fn(f64, f64) -> f64, f64::max]
            .map(|of| along.clone().reduce(of).unwrap_or_default());
        format!("{axis} {from:.1} to {to:.1}")
    };
    [("x", 0), ("y", 1), ("z", 2)].map(range).join(", ")
}

/// A warning for a derived series of which it is not known whether its values are HU.
fn unknown_words(info: &SeriesInfo) -> Option<String> {
    let n_slices = info.irregularities.count(Irregularity::UnknownImageType);
    (n_slices > 0).then(|| {
        format!(
            "ImageType of {n_slices} derived slices has words of which it is not known whether they leave HU"
        )
    })
}

/// A warning for attributes of patient and study that no DICOM object can repeat.
fn undecoded_attributes(scan: &OpenScan) -> Result<Option<String>, files::Error> {
    let (files, _) = scan.instances();
    let Some(first) = files.first() else { return Ok(None) };
    let names = dicom::undecoded_attributes(first)?.join(", ");
    Ok((!names.is_empty()).then(|| {
        format!(
            "{names} of the series: the bytes are no characters of its SpecificCharacterSet, or a backslash divides the text into several \
             values, so DICOM objects leave it out"
        )
    }))
}

/// The candidates with their positions in the patient, each position once. A point that is not on the scan is a warning.
fn positioned(
    of_scan: &ScanCandidates,
    scan: &OpenScan,
    warnings: &mut Vec<String>,
    outside: &mut BTreeSet<String>,
) -> Result<Vec<NoduleCandidate>, files::Error> {
    let mut candidates = of_scan.candidates.clone();
    let source = if of_scan.points.is_empty() { None } else { scan.source_series()? };
    for point in &of_scan.points {
        let in_patient = source.as_ref().and_then(|source| point.position.in_patient(source));
        if let Some(position_mm) = in_patient {
            let ijk = scan.geometry().patient_to_voxel(position_mm);
            if scan.geometry().nearest_voxel(ijk).is_none() {
                outside.insert(point_key(&point.position));
            }
            candidates.push(NoduleCandidate { position_mm, confidence: point.confidence });
        } else {
            outside.insert(point_key(&point.position));
            warnings.push(format!("the point at {} of its file is not on the scan", point.label));
        }
    }
    Ok(distinct(candidates))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_show_no_number_of_a_patient() {
        assert_eq!(position_in_words([-12.345, 9999.94, -0.04]), "[-12.3, 9999.9, 0.0]");
        for number in [10_000.0, -560_229.0, 123_456.0] {
            assert_eq!(position_in_words([0.0, number, 0.0]), "(redacted)");
        }
    }
}
