//! Distances between the surfaces of two masks.

use nodulus_formats::volume::Mask;
use nodulus_imaging::distance::squared_distances;
use nodulus_imaging::surface::surface;

/// Distances from each surface voxel to the nearest one of the other surface, in both directions.
#[derive(Clone, Debug, PartialEq)]
pub struct SurfaceDistances {
    /// From the prediction's surface to the reference's, ascending, mm; never empty.
    to_reference: Vec<f64>,
    /// From the reference's surface to the prediction's, ascending, mm; never empty.
    to_prediction: Vec<f64>,
}

impl SurfaceDistances {
    /// Measures two masks on one grid, with `spacing_mm` along i, j, k; `None` where either is empty.
    ///
    /// Masks of one slice are measured in their plane.
    ///
    /// METHOD: distances run between the centres of surface voxels, as in `MedPy` (connectivity 1)
    /// and MONAI, not between meshed surfaces as in `surface-distance`.
    pub fn between(prediction: &Mask, reference: &Mask, spacing_mm: [f64; 3]) -> Option<Self> {
        let n_axes = if prediction.size()[2] == 1 && reference.size()[2] == 1 { 2 } else { 3 };
        // Every nearest pair lies within the common box of both masks, so the transform needs no
        // more.
        let [[low_p, high_p], [low_r, high_r]] = [prediction.bounds()?, reference.bounds()?];
        let start: [usize; 3] = std::array::from_fn(|a| low_p[a].min(low_r[a]));
        let size: [usize; 3] = std::array::from_fn(|a| high_p[a].max(high_r[a]) - start[a]);
        let [prediction, reference] =
            [prediction, reference].map(|mask| surface(mask, start, size, n_axes));
        Some(Self {
            to_reference: directed(&prediction, &reference, size, spacing_mm),
            to_prediction: directed(&reference, &prediction, size, spacing_mm),
        })
    }

    /// The larger of the two directed maxima, mm.
    pub fn hausdorff(&self) -> f64 {
        percentile(&self.to_reference, 1.0).max(percentile(&self.to_prediction, 1.0))
    }

    /// The larger of the two directed 95th percentiles, mm.
    ///
    /// METHOD: as MONAI (`percentile=95, directed=False`); `MedPy`'s `hd95` pools both directions
    /// before it takes the percentile, and is smaller or equal.
    pub fn hausdorff_95(&self) -> f64 {
        percentile(&self.to_reference, 0.95).max(percentile(&self.to_prediction, 0.95))
    }

    /// Mean over the distances of both directions, pooled, mm.
    pub fn assd(&self) -> f64 {
        let n = self.to_reference.len() + self.to_prediction.len();
        let sum: f64 = self.to_reference.iter().chain(&self.to_prediction).sum();
        sum / n as f64
    }

    /// Mean of the two directed means, mm.
    pub fn masd(&self) -> f64 {
        let mean = |distances: &[f64]| distances.iter().sum::<f64>() / distances.len() as f64;
        f64::midpoint(mean(&self.to_reference), mean(&self.to_prediction))
    }

    /// Share of both surfaces' voxels within a tolerance of the other surface.
    ///
    /// METHOD: the surface Dice of Nikolov et al. 2018 on voxels, each with weight one, as in
    /// MONAI's `compute_surface_dice`.
    pub fn within(&self, tolerance_mm: f64) -> f64 {
        let near = |distances: &[f64]| distances.partition_point(|d| *d <= tolerance_mm);
        let n = self.to_reference.len() + self.to_prediction.len();
        (near(&self.to_reference) + near(&self.to_prediction)) as f64 / n as f64
    }
}

/// Distances from each voxel of one set to the nearest of another in the same box, ascending.
fn directed(from: &[usize], to: &[usize], size: [usize; 3], spacing_mm: [f64; 3]) -> Vec<f64> {
    let mut distances = squared_distances(from, to, size, spacing_mm);
    distances.sort_unstable_by(f64::total_cmp);
    for square in &mut distances {
        *square = square.sqrt();
    }
    distances
}

/// A quantile of ascending values, of which there must be at least one, with linear interpolation
/// as in `numpy.percentile`.
pub fn percentile(ascending: &[f64], share: f64) -> f64 {
    let position = share * (ascending.len() - 1) as f64;
    let (low, high) = (ascending[position.floor() as usize], ascending[position.ceil() as usize]);
    low + (high - low) * position.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_one_apart_along_each_axis() {
        // Single voxels at 0 and at 2 along the axis: distance 2 × spacing, both ways.
        let spacing = [0.5, 0.75, 2.5];
        for axis in 0..3 {
            let mut size = [1; 3];
            size[axis] = 4;
            let at = |n: usize| Mask::from_fn(size, |i, j, k| [i, j, k][axis] == n);
            let distances = SurfaceDistances::between(&at(0), &at(2), spacing).unwrap();
            let expected = 2.0 * spacing[axis];
            for found in [
                distances.hausdorff(),
                distances.hausdorff_95(),
                distances.assd(),
                distances.masd(),
            ] {
                assert!((found - expected).abs() < 1e-12, "axis {axis}: {found} for {expected}");
            }
        }
    }

    #[test]
    fn pooled_and_directed_means_differ() {
        // Prediction: voxel 0. Reference: voxels 0, 1, 2, 3. To the reference: 0.
        // To the prediction: 0, 1, 2, 3; pooled mean 6/5, mean of means (0 + 1.5)/2.
        let prediction = Mask::from_fn([4, 1, 1], |i, _, _| i == 0);
        let reference = Mask::from_fn([4, 1, 1], |_, _, _| true);
        let distances = SurfaceDistances::between(&prediction, &reference, [1.0; 3]).unwrap();
        assert!((distances.assd() - 1.2).abs() < 1e-12);
        assert!((distances.masd() - 0.75).abs() < 1e-12);
        assert!((distances.hausdorff() - 3.0).abs() < 1e-12);
        // 0.95 × 3 = 2.85 between the ranks of 2 and 3.
        assert!((distances.hausdorff_95() - 2.85).abs() < 1e-12);
        // Within 1: the prediction's voxel, and 0 and 1 of the reference.
        assert!((distances.within(1.0) - 3.0 / 5.0).abs() < 1e-12);
    }
}
