//! A series that goes to the writer.

use crate::nightly::input::series::DiscoveredSeries;
use crate::nightly::problem::Problem;
use crate::nightly::scan::exclusion::SeriesExclusion;
use crate::nightly::scan::files::OpenScan;
use crate::nightly::scan::memory::MemoryLease;
use crate::nightly::scan::read::KnownResult;
use crate::nightly::scan::result_inputs::ResultInputs;
use crate::nightly::scan::scored::ScoredScan;
use nodulus_formats::volume::LoadedSlices;
use nodulus_imaging::lungs::LungBox;

/// A series with its outcome.
pub(super) struct FinishedSeries<'a> {
    pub(super) series: DiscoveredSeries,
    pub(super) inputs: ResultInputs,
    /// The result that files are written for, if it is not a new one.
    pub(super) known: Option<KnownResult>,
    pub(super) outcome: SeriesOutcome<'a>,
}

/// Outcome of a series.
pub(super) enum SeriesOutcome<'a> {
    Scored(Box<ScoredSeries<'a>>),
    /// Its content is that of its last result.
    Unchanged,
    /// A superseded result is of the same content and candidates, and needs no new files: of what it was made.
    Restored(ResultInputs),
    /// Its files still change.
    Settling,
    Failed(Problem),
    /// Its candidates cannot be used.
    Refused(Problem),
    /// A rule excludes it.
    Excluded(SeriesExclusion),
}

/// A scored scan with its voxels.
pub(super) struct ScoredSeries<'a> {
    pub(super) scan: ScoredScan,
    pub(super) slices: LoadedSlices<i16>,
    pub(super) lungs: Option<LungBox>,
    pub(super) seconds: f64,
    /// Keeps the unpacked files of an archive.
    pub(super) _source: OpenScan,
    pub(super) _memory: MemoryLease<'a>,
}
