//! How unusual a nodule's mask is among those that the weights were profiled on.

use crate::tables::Roi;
use nodulus_formats::volume::Mask;
use nodulus_nets::PredictionProfile;

/// See [`PredictionProfile::distance`]; `mask` is that of the slices. `None` for an empty mask too, and where a slice's pixels
/// cannot be read.
pub(super) fn of_nodule<'a>(
    profile: &PredictionProfile,
    slices: impl Iterator<Item = &'a Roi>,
    mask: &Mask,
) -> Option<f64> {
    let (mut sum_hu, mut n_voxels, mut volume_mm3) = (0.0, 0u64, 0.0);
    let [width, height, _] = mask.size();
    for (k, roi) in slices.enumerate() {
        let hu = roi.pixels_hu()?;
        let voxel_mm3 = roi.spacing_i_mm * roi.spacing_j_mm * roi.spacing_k_mm;
        for (j, i) in (0..height).flat_map(|j| (0..width).map(move |i| (j, i))) {
            if mask.get(i, j, k) {
                sum_hu += f64::from(*hu.get(j * width + i)?);
                n_voxels += 1;
                volume_mm3 += voxel_mm3;
            }
        }
    }
    let mean_hu = (n_voxels > 0).then(|| sum_hu / n_voxels as f64)?;
    profile.distance(volume_mm3, mean_hu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::roi;
    use nodulus_metrics::Distribution;
    use nodulus_nets::{MEAN_HU_EDGES, VOLUME_EDGES_MM3};

    #[test]
    fn the_masks_own_voxels_are_compared_with_the_profile() {
        let profile = PredictionProfile {
            volume_mm3: Distribution::of(&VOLUME_EDGES_MM3, vec![50.0; 20]),
            mean_hu: Distribution::of(&MEAN_HU_EDGES, vec![-150.0; 20]),
            ..PredictionProfile::default()
        };
        let slice = |hu: &[i16]| Roi {
            spacing_i_mm: 1.0,
            spacing_j_mm: 1.0,
            spacing_k_mm: 16.5,
            ..roi(hu, &[false; 4], &[0])
        };
        // Three voxels: 49.5 mm³, which is in the middle of its bin as their mean of -150 HU is.
        let slices = [slice(&[-140, -160, 900, 900]), slice(&[900, -150, 900, 900])];
        let mask = Mask::from_fn([4, 1, 2], |i, _, k| [(0, 0), (1, 0), (1, 1)].contains(&(i, k)));
        let found = of_nodule(&profile, slices.iter(), &mask).unwrap();
        assert!(found.abs() < 1e-12, "{found}");
        assert_eq!(of_nodule(&profile, slices.iter(), &Mask::empty([4, 1, 2])), None);
        assert_eq!(of_nodule(&PredictionProfile::default(), slices.iter(), &mask), None);
    }
}
