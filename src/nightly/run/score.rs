//! Scores a scan that is read.

use super::context::RunContext;
use super::finished::{FinishedSeries, ScoredSeries, SeriesOutcome};
use crate::nightly::problem::Problem;
use crate::nightly::redaction::{self, OwnError};
use crate::nightly::scan::contract::{self, SeenByModel};
use crate::nightly::scan::files::OpenScan;
use crate::nightly::scan::nodules::merge_candidates;
use crate::nightly::scan::read::{KnownResult, LoadedScan, ReadOutcome, ReadSeries};
use crate::nightly::scan::scored::ScoredScan;
use crate::nightly::scan::segment::{self, RegionPredictor};
use crate::nightly::scan::training_range::{self, ScanCharacteristics};
use crate::tables::scan_identity::ScanIdentity;
use nodulus_formats::volume::image_sha256;
use nodulus_metrics::HuCounts;
use nodulus_store::clock;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Instant, SystemTime};

/// Scores a series. An error or a panic is the outcome of this series alone.
pub(super) fn score<'a>(
    context: &RunContext<'_>,
    read: ReadSeries<'a>,
    batch: usize,
) -> FinishedSeries<'a> {
    let ReadSeries { series, inputs, known, outcome } = read;
    let files_at = known.as_ref().and_then(KnownResult::files_at).map(str::to_owned);
    let outcome = match outcome {
        ReadOutcome::Unchanged => SeriesOutcome::Unchanged,
        ReadOutcome::Restored(inputs) => SeriesOutcome::Restored(inputs),
        ReadOutcome::Settling => SeriesOutcome::Settling,
        ReadOutcome::Failed(problem) => SeriesOutcome::Failed(problem),
        ReadOutcome::Refused(problem) => SeriesOutcome::Refused(problem),
        ReadOutcome::Excluded(exclusion) => SeriesOutcome::Excluded(exclusion),
        ReadOutcome::Ready(loaded) => {
            let score = || score_scan(context, &series.id, *loaded, batch, files_at);
            match catch_unwind(AssertUnwindSafe(score)) {
                Ok(Ok(scored)) => SeriesOutcome::Scored(Box::new(scored)),
                Ok(Err(error)) => {
                    SeriesOutcome::Failed(Problem::of(context.settings.private_input(), &error))
                }
                Err(panic) => SeriesOutcome::Failed(Problem::of_panic(panic.as_ref())),
            }
        }
    };
    FinishedSeries { series, inputs, known, outcome }
}

fn score_scan<'a>(
    context: &RunContext<'_>,
    id: &str,
    loaded: LoadedScan<'a>,
    batch: usize,
    files_at: Option<String>,
) -> Result<ScoredSeries<'a>, Error> {
    let since = Instant::now();
    let seen = contract::seen(context.model, &identity(id, &loaded));
    if seen.is_some()
        && let Ok(mut all) = context.seen.lock()
    {
        all.insert(id.to_owned());
    }
    let seen = match seen {
        Some(seen) if !context.settings.allow_training_patients => return Err(seen.into()),
        seen => seen.map(|seen| seen.warning()),
    };
    let networks = &context.model.networks;
    let predictor = RegionPredictor {
        side: networks.image_size(),
        input_slices: networks.input_slices(),
        batch,
        predict: &|images| networks.predict(images, context.settings.flips),
    };
    let LoadedScan { scan: source, slices, candidates, lungs, mut warnings, memory } = loaded;
    let (segmented, pixels) = segment::segment(context.settings, &predictor, &slices, &candidates)?;
    warnings.extend(outside_training_range(context, &source, &pixels));
    warnings.extend(seen);
    warnings.extend(context.doubts.iter().cloned());
    let profile = context.model.profile.as_ref().map(|profile| &profile.predicted);
    let nodules = merge_candidates(id, &slices, segmented, profile);
    if !nodules.is_empty() && nodules.iter().all(|nodule| nodule.mask.is_none()) {
        let n = nodules.len();
        warnings.push(format!("the model marks no voxel for any of the scan's {n} candidates"));
    }
    let (files, sop_instance_uids) = source.instances();
    let scan = ScoredScan {
        series_instance_uid: id.to_owned(),
        info: source.info().cloned(),
        files,
        sop_instance_uids,
        geometry: *slices.geometry(),
        model: context.model.name.clone(),
        // Files hold this time: those that complete a result are the same as if they had been written first.
        scored_at: files_at.unwrap_or_else(|| clock::timestamp(SystemTime::now())),
        nodules,
        warnings,
    };
    let seconds = since.elapsed().as_secs_f64();
    Ok(ScoredSeries { scan, slices, lungs, seconds, _source: source, _memory: memory })
}

/// A scan could not be scored.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Segment(#[from] segment::Error),
    #[error(transparent)]
    Seen(#[from] SeenByModel),
}

impl OwnError for Error {}

/// Whose scan it is.
fn identity(id: &str, loaded: &LoadedScan<'_>) -> ScanIdentity {
    let (info, slices) = (loaded.scan.info(), &loaded.slices);
    ScanIdentity {
        patient_id: info.map(|info| info.patient_id.clone()).unwrap_or_default(),
        series_instance_uid: id.to_owned(),
        image_sha256: image_sha256(slices.geometry(), |k| slices.slice(k)),
    }
}

/// Warnings where the scan lies outside the range of the model's training cohort.
fn outside_training_range(
    context: &RunContext<'_>,
    scan: &OpenScan,
    regions: &HuCounts,
) -> Vec<String> {
    let Some(profile) = &context.model.profile else { return Vec::new() };
    let info = scan.info();
    let characteristics = ScanCharacteristics {
        spacing_mm: scan.geometry().spacing().ijk(),
        slice_thickness_mm: info.and_then(|info| info.slice_thickness_mm),
        kernel: info.and_then(|info| info.kernel.as_deref()),
        regions,
    };
    redaction::words(context.settings.private_input(), || {
        training_range::warnings(profile, &characteristics)
    })
}
