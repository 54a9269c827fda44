//! A series of the input to what the model needs of it.

use super::budget::{Budget, Taken, TooLarge};
use super::candidates::{Candidate, OfScan};
use super::discover::Found;
use super::record::Made;
use super::scan::{self, OpenScan, ScanFiles};
use super::segment::{self, Placed};
use super::settings::Settings;
use super::told;
use nodulus_formats::volume::LoadedSlices;
use nodulus_imaging::lungs::{self, LungBox};
use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Candidates that a scan may have.
const MOST_CANDIDATES: usize = u16::MAX as usize;

/// A series that is to be scored.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) found: Found,
    pub(super) candidates: OfScan,
    /// What its result is made of, but for the content, which is not read yet.
    pub(super) made: Made,
    /// What its last result was made of, unless that is to be tried again.
    pub(super) before: Option<Made>,
    /// When it was scored, where files of that result are asked for that it does not have.
    pub(super) again: Option<String>,
}

/// A series that was looked at.
pub(super) struct Looked<'a> {
    pub(super) found: Found,
    pub(super) made: Made,
    /// As of its [`Work`].
    pub(super) again: Option<String>,
    pub(super) what: What<'a>,
}

/// What became of a series.
pub(super) enum What<'a> {
    /// It is read.
    Ready(Box<Ready<'a>>),
    /// Its content is that of its last result.
    Same,
    /// Its files change.
    Settling,
    /// It cannot be read.
    Failed(String),
}

/// A scan with what the model needs of it.
pub(super) struct Ready<'a> {
    pub(super) scan: OpenScan,
    pub(super) slices: LoadedSlices<i16>,
    pub(super) places: Vec<Placed>,
    pub(super) warnings: Vec<String>,
    /// The box about the lungs of a patient with an id.
    pub(super) lungs: Option<LungBox>,
    pub(super) memory: Taken<'a>,
}

/// A series could not be read.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Scan(#[from] scan::Error),
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    #[error("it has {0} candidates, expected no more than {MOST_CANDIDATES}")]
    Candidates(usize),
    #[error("{0}")]
    Found(String),
}

/// Reads a series; what goes wrong is its own.
pub(super) fn read<'a>(settings: &Settings, budget: &'a Budget, work: Work) -> Looked<'a> {
    let mut made = work.made.clone();
    let tried = catch_unwind(AssertUnwindSafe(|| look(settings, budget, &work, &mut made)));
    let what = match tried {
        Ok(Ok(what)) => what,
        Ok(Err(error)) => What::Failed(told::cause(&settings.input, &error)),
        Err(panic) => What::Failed(panicked(panic.as_ref())),
    };
    Looked { found: work.found, made, again: work.again, what }
}

/// What a failure of the program itself says.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    // What it says may have come out of the files.
    let what =
        if text.is_some_and(|text| text.contains("overflow")) { "overflow" } else { "panic" };
    format!("the program itself failed ({what}); please report it")
}

fn look<'a>(
    settings: &Settings,
    budget: &'a Budget,
    work: &Work,
    made: &mut Made,
) -> Result<What<'a>, Error> {
    let Work { found, candidates, before, .. } = work;
    if let Some(problem) = &found.problem {
        return Err(Error::Found(problem.clone()));
    }
    // Files that have changed since they were listed still arrive.
    if found.source.stamp(&settings.input)?.text != found.stamp.text {
        return Ok(What::Settling);
    }
    let files = ScanFiles::of(&found.source, &found.id)?;
    made.content_sha256 = files.content_sha256()?;
    if before.as_ref().is_some_and(|before| before.is_of_same(made)) {
        return Ok(What::Same);
    }
    let n_candidates = candidates.candidates.len() + candidates.points.len();
    if n_candidates > MOST_CANDIDATES {
        return Err(Error::Candidates(n_candidates));
    }
    let scan = files.open(&settings.tolerances)?;
    let geometry = *scan.geometry();
    let mut warnings = found.warnings.clone();
    let candidates = placed(candidates, &scan, &mut warnings)?;
    let mut seen = BTreeSet::new();
    let mut places: Vec<Placed> = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let bits = candidate.place_mm.map(f64::to_bits);
        if !seen.insert(bits) {
            continue;
        }
        match Placed::new(candidate, &geometry) {
            Some(placed) => places.push(placed),
            None => warnings
                .push(format!("candidate at {:?} mm is not in the scan", candidate.place_mm)),
        }
    }
    let has_patient = scan.info().is_some_and(|info| !info.patient_id.is_empty());
    let wanted = segment::wanted(&settings.region, &geometry, &places);
    let wanted = if has_patient {
        wanted.iter().chain(lungs::slices_needed(&geometry).iter()).collect()
    } else {
        wanted
    };
    let memory = budget.take(scan.memory_bytes(&wanted))?;
    let slices = scan.read_slices(&wanted)?;
    let lungs = if has_patient { lungs::lung_box(&slices) } else { None };
    Ok(What::Ready(Box::new(Ready { scan, slices, places, warnings, lungs, memory })))
}

/// The places of candidates and points; a point that is not on the scan is a warning.
fn placed(
    of: &OfScan,
    scan: &OpenScan,
    warnings: &mut Vec<String>,
) -> Result<Vec<Candidate>, scan::Error> {
    let mut candidates = of.candidates.clone();
    let source = if of.points.is_empty() { None } else { scan.source_series()? };
    for point in &of.points {
        match source.as_ref().and_then(|source| point.position.in_patient(source)) {
            Some(place_mm) => candidates.push(Candidate { place_mm, score: point.confidence }),
            None => warnings
                .push(format!("the point at {} of its file is not of the scan", point.label)),
        }
    }
    Ok(candidates)
}
