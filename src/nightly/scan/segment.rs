//! Segments the nodule of each candidate with the model.

use super::region::{self, CandidateRegion, LocatedCandidate, SegmentedCandidate};
use crate::nightly::settings::{RegionSettings, ScoreSettings};
use nodulus_formats::volume::{Geometry, LoadedSlices, SliceRanges};
use nodulus_metrics::HuCounts;
use nodulus_nets::{self as model, Prediction};
use std::ops::Range;

/// A scan could not be segmented.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Model(#[from] model::Error),
    #[error(transparent)]
    Region(#[from] region::Error),
}

/// Predicts images with values in 0..1.
type PredictRegions<'a> = dyn Fn(&[Vec<f32>]) -> model::Result<Vec<Prediction>> + 'a;

/// How regions are predicted.
pub(crate) struct RegionPredictor<'a> {
    /// Pixels of a region along i and j.
    pub(crate) side: usize,
    /// Slices of an image: the one that is segmented, with its neighbours.
    pub(crate) input_slices: usize,
    /// Regions that are predicted together.
    pub(crate) batch: usize,
    /// Predicts images of regions, values in 0..1, k slowest.
    pub(crate) predict: &'a PredictRegions<'a>,
}

/// The slices of a scan that its candidates need, with the neighbours that an image of `input_slices` slices has.
pub(super) fn wanted(
    region: &RegionSettings,
    geometry: &Geometry,
    candidates: &[LocatedCandidate],
    input_slices: usize,
) -> SliceRanges {
    let (half, n_slices) = (input_slices / 2, geometry.size()[2]);
    let of_candidate = |candidate: &LocatedCandidate| {
        let Range { start, end } = candidate.reach(geometry, region.extent_mm);
        start.saturating_sub(half)..end.saturating_add(half).min(n_slices)
    };
    candidates.iter().map(of_candidate).collect()
}

/// Segments the nodule of each candidate, and counts the pixels of all regions that are predicted.
///
/// METHOD: a region as in training, around the candidate in each slice. Slices within `reach_mm` are
/// predicted first. Where the nodule reaches the last of them, as many more are predicted on that side,
/// until the nodule ends or `extent_mm` is reached; all of them at once where every component is kept. The result is that of all slices of `extent_mm`,
/// as what is connected to the candidate's component is predicted.
///
/// METHOD: the neighbours of a slice, where the model takes several, are the scan's own as far as it goes; past its end, its last
/// slice stands again. `infer` repeats the last slice of a nodule's region, past which it has none. Thus the model gets the same
/// images as in `infer` where a region holds the neighbours, and the true ones beyond.
///
/// METHOD: a voxel belongs to a nodule where its probability is at least the threshold; with several
/// networks or mirror images the mean probability counts. Between the pixels of a resampled region it is
/// interpolated linearly. Which components in a candidate's region are its nodule, `score.component` says: see
/// [`ComponentRule`](nodulus_imaging::components::ComponentRule).
pub(crate) fn segment(
    settings: &ScoreSettings,
    predictor: &RegionPredictor<'_>,
    slices: &LoadedSlices<i16>,
    candidates: &[LocatedCandidate],
) -> Result<(Vec<SegmentedCandidate>, HuCounts), Error> {
    let RegionPredictor { side, input_slices, batch, predict } = *predictor;
    let geometry = slices.geometry();
    let region = |candidate| CandidateRegion::new(settings, geometry, candidate, side);
    let mut regions: Vec<CandidateRegion> = candidates.iter().copied().map(region).collect();
    let mut pixels = HuCounts::default();
    loop {
        let pending: Vec<(usize, usize)> = regions
            .iter()
            .enumerate()
            .flat_map(|(n, region)| region.missing().map(move |k| (n, k)))
            .collect();
        if pending.is_empty() {
            break;
        }
        for some in pending.chunks(batch) {
            let images = some
                .iter()
                .map(|(n, k)| regions[*n].image(settings, slices, *k, input_slices, &mut pixels))
                .collect::<Result<Vec<_>, _>>()?;
            for ((n, k), prediction) in some.iter().zip(predict(&images)?) {
                regions[*n].add(settings.probability_threshold, *k, &prediction)?;
            }
        }
        for region in &mut regions {
            region.grow(settings, geometry);
        }
    }
    let segmented = regions.into_iter().map(|region| region.segmented(settings, geometry));
    Ok((segmented.collect(), pixels))
}

#[cfg(test)]
#[path = "segment_tests.rs"]
mod tests;
