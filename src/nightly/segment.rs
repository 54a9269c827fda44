//! Candidates to masks: what the model marks about each.

use super::candidates::Candidate;
use super::settings::{Region, Settings};
use nodulus_formats::volume::{Geometry, LoadedSlices, Mask, PlacedMask, SliceRanges};
use nodulus_imaging::components;
use nodulus_imaging::crop::{CropGrid, crop_slice};
use nodulus_imaging::normalise::normalise_slice;
use nodulus_metrics::HuCounts;
use nodulus_nets::{self as model, Prediction};
use std::collections::BTreeMap;
use std::ops::Range;

/// A scan could not be scored.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Model(#[from] model::Error),
    #[error("slice {0} of a candidate was not read")]
    Slice(usize),
    #[error("the model gives no number for slice {0} of a candidate")]
    NoNumber(usize),
}

/// What a model marks about a candidate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Marked {
    pub(super) candidate: Candidate,
    /// The candidate's nodule in the scan; `None` where the model marks none in reach.
    pub(super) mask: Option<PlacedMask>,
    /// Greatest probability of nodule of its slices; `None` without a classifier.
    pub(super) probability: Option<f64>,
    pub(super) warnings: Vec<String>,
}

/// Images, values in 0..1, to what a model says of each.
type Predict<'a> = dyn Fn(&[Vec<f32>]) -> model::Result<Vec<Prediction>> + 'a;

/// How regions are predicted.
pub(super) struct Network<'a> {
    /// Pixels of a region along i and j.
    pub(super) side: usize,
    /// Regions that are predicted together.
    pub(super) batch: usize,
    /// Predicts regions, values in 0..1.
    pub(super) predict: &'a Predict<'a>,
}

/// What slices of a scan its candidates need.
pub(super) fn wanted(region: &Region, geometry: &Geometry, places: &[Placed]) -> SliceRanges {
    places.iter().map(|placed| placed.reach(geometry, region.extent_mm)).collect()
}

/// A candidate in its scan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Placed {
    pub(super) candidate: Candidate,
    /// Its place in voxels, with fractions.
    ijk: [f64; 3],
    /// The voxel that holds it.
    voxel: [usize; 3],
}

impl Placed {
    /// `None` where it is not in the scan.
    pub(super) fn new(candidate: Candidate, geometry: &Geometry) -> Option<Self> {
        let ijk = geometry.patient_to_voxel(candidate.place_mm);
        Some(Self { candidate, ijk, voxel: geometry.nearest_voxel(ijk)? })
    }

    /// The slices that are no further away.
    fn reach(&self, geometry: &Geometry, mm: f64) -> Range<usize> {
        let n = slices_in(geometry, mm);
        self.voxel[2].saturating_sub(n)..(self.voxel[2] + n + 1).min(geometry.size()[2])
    }
}

/// Slices that a distance reaches over; at least 1.
fn slices_in(geometry: &Geometry, mm: f64) -> usize {
    ((mm / geometry.spacing().ijk()[2]).ceil() as usize).max(1)
}

/// Marks each candidate's nodule, and counts the pixels of all regions that were predicted.
///
/// METHOD: a region as in training, about the candidate in each slice. Slices within `reach_mm` are
/// predicted first; where the nodule goes on to the last of them, as many more on that side, until it
/// ends or `extent_mm` is reached. The result is that of all slices of `extent_mm`, as what is connected
/// to the candidate's part is what is predicted.
///
/// METHOD: a voxel is nodule where its probability is at least the threshold: with several networks or
/// mirror images that of the mean; between the pixels of a region that is resampled, by linear
/// interpolation. Of the 26-connected parts in a candidate's region its nodule is the one with the voxel
/// nearest to it, within `reach_mm`.
pub(super) fn segment(
    settings: &Settings,
    network: &Network<'_>,
    slices: &LoadedSlices<i16>,
    places: &[Placed],
) -> Result<(Vec<Marked>, HuCounts), Error> {
    let Network { side, batch, predict } = *network;
    let geometry = slices.geometry();
    let mut windows: Vec<Window> =
        places.iter().map(|placed| Window::new(settings, geometry, *placed, side)).collect();
    let mut pixels = HuCounts::default();
    loop {
        let to_do: Vec<(usize, usize)> = windows
            .iter()
            .enumerate()
            .flat_map(|(n, window)| window.missing().map(move |k| (n, k)))
            .collect();
        if to_do.is_empty() {
            break;
        }
        for some in to_do.chunks(batch) {
            let images = some
                .iter()
                .map(|(n, k)| windows[*n].image(settings, slices, *k, &mut pixels))
                .collect::<Result<Vec<_>, _>>()?;
            let found = predict(&images)?;
            for ((n, k), prediction) in some.iter().zip(found) {
                windows[*n].see(settings.probability_threshold, *k, &prediction)?;
            }
        }
        for window in &mut windows {
            window.grow(settings, geometry);
        }
    }
    let marked = windows.into_iter().map(|window| window.marked(settings, geometry));
    Ok((marked.collect(), pixels))
}

/// A candidate's region and what is seen of it.
struct Window {
    placed: Placed,
    grid: CropGrid,
    /// The region's voxels along i and j.
    across: [Range<usize>; 2],
    /// The slices that are seen, or are to be.
    along: Range<usize>,
    /// As far as they may go.
    most: Range<usize>,
    /// What is seen of each slice that was predicted, by k.
    seen: BTreeMap<usize, Seen>,
    /// The nodule, as far as it is seen.
    part: Option<PlacedMask>,
    /// Whether that is all of it.
    is_whole: bool,
}

/// A predicted slice.
struct Seen {
    /// Over the region's voxels.
    mask: Mask,
    probability: Option<f32>,
}

impl Window {
    fn new(settings: &Settings, geometry: &Geometry, placed: Placed, side: usize) -> Self {
        let native = geometry.spacing().ijk();
        let region = &settings.region;
        let step = [0, 1].map(|a: usize| region.spacing_mm.map_or(1.0, |mm| mm / native[a]));
        let centre = [placed.voxel[0] as f64, placed.voxel[1] as f64];
        let grid = CropGrid { centre, step, size: [side; 2] };
        let across = [0, 1].map(|a| {
            let mut held = (0..geometry.size()[a]).filter(|pixel| grid.contains(a, *pixel));
            held.next().map_or(0..0, |first| first..held.next_back().unwrap_or(first) + 1)
        });
        let along = placed.reach(geometry, region.reach_mm);
        let most = placed.reach(geometry, region.extent_mm);
        let (seen, part) = (BTreeMap::new(), None);
        Self { placed, grid, across, along, most, seen, part, is_whole: false }
    }

    fn missing(&self) -> impl Iterator<Item = usize> {
        self.along.clone().filter(|k| !self.seen.contains_key(k))
    }

    fn image(
        &self,
        settings: &Settings,
        slices: &LoadedSlices<i16>,
        k: usize,
        counts: &mut HuCounts,
    ) -> Result<Vec<f32>, Error> {
        let Region { padding_hu, window, .. } = settings.region;
        let slice = slices.slice(k).ok_or(Error::Slice(k))?;
        let (pixels, padded) = crop_slice(slice, &self.grid, padding_hu);
        if !padded {
            counts.add(&pixels);
        }
        Ok(normalise_slice(&pixels, window.low_hu, window.high_hu))
    }

    fn see(&mut self, threshold: f64, k: usize, prediction: &Prediction) -> Result<(), Error> {
        let numbers = prediction.probability.iter().chain(&prediction.nodule_probability);
        if !numbers.clone().all(|p| p.is_finite()) {
            return Err(Error::NoNumber(k));
        }
        let [i, j] = &self.across;
        let mask = Mask::from_fn([i.len(), j.len(), 1], |di, dj, _| {
            let at = [i.start + di, j.start + dj];
            probability_at(&self.grid, &prediction.probability, at) >= threshold
        });
        self.seen.insert(k, Seen { mask, probability: prediction.nodule_probability });
        Ok(())
    }

    /// Looks further where the nodule goes on to the last slice that is seen.
    fn grow(&mut self, settings: &Settings, geometry: &Geometry) {
        if self.is_whole {
            return;
        }
        self.part = self.nearest_part(geometry, settings.region.reach_mm);
        let more = slices_in(geometry, settings.region.reach_mm);
        let Range { start, end } = self.along;
        if self.part.as_ref().is_some_and(|part| part.start[2] == start) {
            self.along.start = start.saturating_sub(more).max(self.most.start);
        }
        if self.part.as_ref().is_some_and(|part| part.end()[2] == end) {
            self.along.end = (end + more).min(self.most.end);
        }
        self.is_whole = self.along == (start..end);
    }

    /// The part with the voxel nearest to the candidate, in reach.
    fn nearest_part(&self, geometry: &Geometry, reach_mm: f64) -> Option<PlacedMask> {
        let [i, j] = &self.across;
        let mask = Mask::from_fn([i.len(), j.len(), self.along.len()], |di, dj, dk| {
            self.seen.get(&(self.along.start + dk)).is_some_and(|seen| seen.mask.get(di, dj, 0))
        });
        let start = [i.start, j.start, self.along.start];
        let spacing = geometry.spacing().ijk();
        let distance = |voxel: [usize; 3]| {
            let mm = |a: usize| (voxel[a] as f64 - self.placed.ijk[a]) * spacing[a];
            (mm(0).powi(2) + mm(1).powi(2) + mm(2).powi(2)).sqrt()
        };
        let whole = PlacedMask { start, mask };
        let nearest = whole.voxels().min_by(|a, b| distance(*a).total_cmp(&distance(*b)))?;
        if nearest != self.placed.voxel && distance(nearest) > reach_mm {
            return None;
        }
        let [i, j, k] = nearest;
        components::split(&whole).into_iter().find(|part| part.get(i, j, k))
    }

    fn marked(self, settings: &Settings, geometry: &Geometry) -> Marked {
        let of_slices = |k: &usize| {
            self.part.as_ref().is_none_or(|part| (part.start[2]..part.end()[2]).contains(k))
        };
        let seen = self.seen.iter().filter(|(k, _)| of_slices(k));
        let probability = seen.filter_map(|(_, seen)| seen.probability).reduce(f32::max);
        let warnings = match &self.part {
            Some(part) => self.warnings(part, settings, geometry),
            None => vec![format!(
                "the model marks no voxel within {} mm of the candidate",
                settings.region.reach_mm
            )],
        };
        Marked {
            candidate: self.placed.candidate,
            probability: probability.map(f64::from),
            mask: self.part,
            warnings,
        }
    }

    fn warnings(&self, part: &PlacedMask, settings: &Settings, geometry: &Geometry) -> Vec<String> {
        let (size, end) = (geometry.size(), part.end());
        let mut warnings = Vec::new();
        let at_scans_end = part.start[2] == 0 || end[2] == size[2];
        if at_scans_end {
            warnings.push("touches the scan's first or last slice: it may be cut off".to_owned());
        }
        let goes_on = (part.start[2] == self.most.start && self.most.start > 0)
            || (end[2] == self.most.end && self.most.end < size[2]);
        if goes_on {
            let mm = settings.region.extent_mm;
            warnings
                .push(format!("goes on beyond {mm} mm from its candidate, where it is cut off"));
        }
        let is_cut = (0..2).any(|a| {
            let Range { start, end: last } = self.across[a];
            (part.start[a] == start && start > 0) || (end[a] == last && last < size[a])
        });
        if is_cut {
            warnings.push("touches the border of its region: it may be cut off".to_owned());
        }
        warnings
    }
}

/// The probability at a voxel of the scan, by linear interpolation between a region's pixels; at its
/// border that of the outermost.
fn probability_at(grid: &CropGrid, probability: &[f32], voxel: [usize; 2]) -> f64 {
    let [width, height] = grid.size;
    let place = |a: usize| {
        let at = (voxel[a] as f64 - grid.centre[a]) / grid.step[a] + (grid.size[a] / 2) as f64;
        let at = at.clamp(0.0, grid.size[a].saturating_sub(1) as f64);
        (at as usize, at - at.floor())
    };
    let ((i, di), (j, dj)) = (place(0), place(1));
    let value = |i: usize, j: usize| {
        let n = j.min(height.saturating_sub(1)) * width + i.min(width.saturating_sub(1));
        probability.get(n).map_or(0.0, |p| f64::from(*p))
    };
    let along_i = |j| value(i, j) + di * (value(i + 1, j) - value(i, j));
    along_i(j) + dj * (along_i(j + 1) - along_i(j))
}

#[cfg(test)]
#[path = "segment_tests.rs"]
mod tests;
