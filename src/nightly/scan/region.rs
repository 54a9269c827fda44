//! The region around a candidate, and what the model marks in it.

use crate::nightly::input::candidates::NoduleCandidate;
use crate::nightly::settings::ScoreSettings;
use nodulus_formats::volume::{Geometry, LoadedSlices, Mask, PlacedMask};
use nodulus_imaging::components::{ComponentRule, Seed};
use nodulus_imaging::crop::{CropGrid, crop_slice};
use nodulus_imaging::normalise::normalise_slice;
use nodulus_imaging::overlap::n_shared;
use nodulus_metrics::HuCounts;
use nodulus_metrics::overlap::{OverlapCounts, disagreement};
use nodulus_nets::{Prediction, input_slices};
use std::collections::BTreeMap;
use std::ops::Range;

/// A region could not be predicted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("slice {0} of a candidate was not read")]
    Slice(usize),
    #[error("slice {0} of a candidate: the model's probability is not a finite number")]
    NotFinite(usize),
}

/// A candidate in its scan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LocatedCandidate {
    candidate: NoduleCandidate,
    /// Its position in voxels, with fractions.
    ijk: [f64; 3],
    /// The voxel that holds it.
    voxel: [usize; 3],
}

impl LocatedCandidate {
    /// `None` where the candidate is not in the scan.
    pub(super) fn new(candidate: NoduleCandidate, geometry: &Geometry) -> Option<Self> {
        let ijk = geometry.patient_to_voxel(candidate.position_mm);
        Some(Self { candidate, ijk, voxel: geometry.nearest_voxel(ijk)? })
    }

    /// The slices within a distance.
    pub(super) fn reach(&self, geometry: &Geometry, mm: f64) -> Range<usize> {
        let n = slices_within(geometry, mm);
        self.voxel[2].saturating_sub(n)..(self.voxel[2] + n + 1).min(geometry.size()[2])
    }
}

/// The number of slices in a distance; at least 1.
fn slices_within(geometry: &Geometry, mm: f64) -> usize {
    ((mm / geometry.spacing().ijk()[2]).ceil() as usize).max(1)
}

/// What the model marks for a candidate.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SegmentedCandidate {
    pub(super) candidate: NoduleCandidate,
    /// The candidate's nodule in the scan; `None` where the model marks no voxel within reach.
    pub(super) mask: Option<PlacedMask>,
    /// Greatest probability of nodule of its slices; `None` without a classifier.
    pub(super) probability: Option<f64>,
    /// How far networks and mirror images disagree; `None` where one network predicts alone.
    pub(super) disagreement: Option<f64>,
    pub(super) warnings: Vec<String>,
}

/// The region around a candidate, as far as it is predicted.
pub(super) struct CandidateRegion {
    located: LocatedCandidate,
    grid: CropGrid,
    /// The region's voxels along i and j.
    across: [Range<usize>; 2],
    /// The slices that are predicted, or are next.
    along: Range<usize>,
    /// The slices that may be predicted.
    extent: Range<usize>,
    /// Predicted slices, by k.
    predicted: BTreeMap<usize, PredictedSlice>,
    /// The nodule, as far as it is predicted.
    component: Option<PlacedMask>,
    /// Whether the nodule is predicted as far as it may be.
    is_complete: bool,
}

/// A predicted slice.
struct PredictedSlice {
    /// Over the region's voxels.
    mask: Mask,
    /// The same of each network and mirror image that the probability is the mean of.
    members: Vec<Mask>,
    probability: Option<f32>,
}

impl CandidateRegion {
    /// A region of `side` × `side` pixels in each slice, of which none is predicted yet.
    pub(super) fn new(
        settings: &ScoreSettings,
        geometry: &Geometry,
        located: LocatedCandidate,
        side: usize,
    ) -> Self {
        let native = geometry.spacing().ijk();
        let region = &settings.region;
        let step = [0, 1].map(|a: usize| region.spacing_mm.map_or(1.0, |mm| mm / native[a]));
        let centre = [located.voxel[0] as f64, located.voxel[1] as f64];
        let grid = CropGrid { centre, step, size: [side; 2] };
        let across = [0, 1].map(|a| {
            let mut pixels = (0..geometry.size()[a]).filter(|pixel| grid.contains(a, *pixel));
            pixels.next().map_or(0..0, |first| first..pixels.next_back().unwrap_or(first) + 1)
        });
        // The component at the candidate is followed to its end; others may be anywhere.
        let first_mm = match settings.component {
            ComponentRule::Centre => region.reach_mm,
            ComponentRule::All => region.extent_mm,
        };
        Self {
            located,
            grid,
            across,
            along: located.reach(geometry, first_mm),
            extent: located.reach(geometry, region.extent_mm),
            predicted: BTreeMap::new(),
            component: None,
            is_complete: false,
        }
    }

    /// The slices that are next to predict.
    pub(super) fn missing(&self) -> impl Iterator<Item = usize> {
        self.along.clone().filter(|k| !self.predicted.contains_key(k))
    }

    /// The image of a slice for the model: the slice between its neighbours in the scan, where it takes several. The slice's own
    /// pixels are counted, unless some lie outside the scan.
    pub(super) fn image(
        &self,
        settings: &ScoreSettings,
        slices: &LoadedSlices<i16>,
        k: usize,
        n_slices: usize,
        counts: &mut HuCounts,
    ) -> Result<Vec<f32>, Error> {
        let window = settings.region.window();
        let of_scan = 0..slices.geometry().size()[2];
        let mut image = Vec::with_capacity(n_slices * self.grid.size[0] * self.grid.size[1]);
        for (plane, at) in input_slices(k, &of_scan, n_slices).enumerate() {
            let slice = slices.slice(at).ok_or(Error::Slice(at))?;
            let (pixels, is_padded) = crop_slice(slice, &self.grid, settings.region.padding_hu());
            if plane == n_slices / 2 && !is_padded {
                counts.add(&pixels);
            }
            image.extend(normalise_slice(&pixels, window.low_hu, window.high_hu));
        }
        Ok(image)
    }

    /// Adds the prediction of a slice.
    pub(super) fn add(
        &mut self,
        threshold: f64,
        k: usize,
        prediction: &Prediction,
    ) -> Result<(), Error> {
        let of_members = prediction.members.iter().flatten();
        let of_mean = prediction.probability.iter().chain(&prediction.nodule_probability);
        let mut numbers = of_mean.chain(of_members);
        if !numbers.all(|p| p.is_finite()) {
            return Err(Error::NotFinite(k));
        }
        let [i, j] = &self.across;
        let marked = |probability: &Vec<f32>| {
            Mask::from_fn([i.len(), j.len(), 1], |di, dj, _| {
                let at = [i.start + di, j.start + dj];
                probability_at(&self.grid, probability, at) >= threshold
            })
        };
        let mask = marked(&prediction.probability);
        let members = prediction.members.iter().map(marked).collect();
        let probability = prediction.nodule_probability;
        self.predicted.insert(k, PredictedSlice { mask, members, probability });
        Ok(())
    }

    /// Extends the region where the nodule reaches its last predicted slice.
    pub(super) fn grow(&mut self, settings: &ScoreSettings, geometry: &Geometry) {
        if self.is_complete {
            return;
        }
        self.component = self.component_of(settings, geometry, |slice| Some(&slice.mask));
        let more = slices_within(geometry, settings.region.reach_mm);
        let Range { start, end } = self.along;
        if self.component.as_ref().is_some_and(|component| component.start[2] == start) {
            self.along.start = start.saturating_sub(more).max(self.extent.start);
        }
        if self.component.as_ref().is_some_and(|component| component.end()[2] == end) {
            self.along.end = (end + more).min(self.extent.end);
        }
        self.is_complete = self.along == (start..end);
    }

    /// What the rule of components keeps of the voxels that are marked so far, by the masks of slices.
    fn component_of(
        &self,
        settings: &ScoreSettings,
        geometry: &Geometry,
        mask_of: impl Fn(&PredictedSlice) -> Option<&Mask>,
    ) -> Option<PlacedMask> {
        let [i, j] = &self.across;
        let mask = Mask::from_fn([i.len(), j.len(), self.along.len()], |di, dj, dk| {
            let slice = self.predicted.get(&(self.along.start + dk));
            slice.and_then(&mask_of).is_some_and(|mask| mask.get(di, dj, 0))
        });
        let start = [i.start, j.start, self.along.start];
        let seed = Seed {
            centre: self.located.ijk,
            spacing_mm: geometry.spacing().ijk(),
            reach_mm: settings.region.reach_mm,
        };
        settings.component.of(&PlacedMask { start, mask }, &seed)
    }

    /// How far networks and mirror images disagree about the nodule; `None` where one network predicted a slice alone.
    ///
    /// METHOD: as in `infer`, over the slices that were predicted to follow the mask of their mean. See
    /// [`disagreement`].
    fn disagreement(&self, settings: &ScoreSettings, geometry: &Geometry) -> Option<f64> {
        let n_members = self.predicted.values().map(|slice| slice.members.len()).min()?;
        let delivered = self.component.as_ref();
        let overlap = |n: usize| {
            let own = self.component_of(settings, geometry, |slice| slice.members.get(n));
            let count = |mask: Option<&PlacedMask>| mask.map_or(0, |mask| mask.mask.count()) as u64;
            let both = own.as_ref().zip(delivered);
            let shared = both.map_or(0, |(own, delivered)| n_shared(own, delivered)) as u64;
            OverlapCounts {
                true_positive: shared,
                false_positive: count(own.as_ref()) - shared,
                false_negative: count(delivered) - shared,
            }
        };
        disagreement(&(0..n_members).map(overlap).collect::<Vec<_>>())
    }

    /// What the model marks for the candidate.
    pub(super) fn segmented(
        self,
        settings: &ScoreSettings,
        geometry: &Geometry,
    ) -> SegmentedCandidate {
        let is_of_nodule = |k: &usize| {
            let component = self.component.as_ref();
            component.is_none_or(|mask| (mask.start[2]..mask.end()[2]).contains(k))
        };
        let slices = self.predicted.iter().filter(|(k, _)| is_of_nodule(k));
        let probability = slices.filter_map(|(_, slice)| slice.probability).reduce(f32::max);
        let warnings = match &self.component {
            Some(component) => self.warnings(component, settings, geometry),
            None => vec![format!(
                "the model marks no voxel within {} mm of the candidate",
                settings.region.reach_mm
            )],
        };
        let disagreement = self.disagreement(settings, geometry);
        SegmentedCandidate {
            candidate: self.located.candidate,
            disagreement,
            probability: probability.map(f64::from),
            mask: self.component,
            warnings,
        }
    }

    fn warnings(
        &self,
        component: &PlacedMask,
        settings: &ScoreSettings,
        geometry: &Geometry,
    ) -> Vec<String> {
        let (size, end) = (geometry.size(), component.end());
        let mut warnings = Vec::new();
        if component.start[2] == 0 || end[2] == size[2] {
            warnings.push("touches the scan's first or last slice: it may be cut off".to_owned());
        }
        let goes_on = (component.start[2] == self.extent.start && self.extent.start > 0)
            || (end[2] == self.extent.end && self.extent.end < size[2]);
        if goes_on {
            let mm = settings.region.extent_mm;
            warnings
                .push(format!("goes on beyond {mm} mm from its candidate, where it is cut off"));
        }
        let is_cut = (0..2).any(|a| {
            let Range { start, end: last } = self.across[a];
            (component.start[a] == start && start > 0) || (end[a] == last && last < size[a])
        });
        if is_cut {
            warnings.push("touches the border of its region: it may be cut off".to_owned());
        }
        warnings
    }
}

/// The probability at a voxel of the scan, by linear interpolation between the pixels of a region;
/// beyond its outermost pixels, that of the nearest one.
fn probability_at(grid: &CropGrid, probability: &[f32], voxel: [usize; 2]) -> f64 {
    let [width, height] = grid.size;
    let pixel = |a: usize| {
        let at = (voxel[a] as f64 - grid.centre[a]) / grid.step[a] + (grid.size[a] / 2) as f64;
        let at = at.clamp(0.0, grid.size[a].saturating_sub(1) as f64);
        (at as usize, at - at.floor())
    };
    let ((i, di), (j, dj)) = (pixel(0), pixel(1));
    let value = |i: usize, j: usize| {
        let n = j.min(height.saturating_sub(1)) * width + i.min(width.saturating_sub(1));
        probability.get(n).map_or(0.0, |p| f64::from(*p))
    };
    let along_i = |j| value(i, j) + di * (value(i + 1, j) - value(i, j));
    along_i(j) + dj * (along_i(j + 1) - along_i(j))
}
