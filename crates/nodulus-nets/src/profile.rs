//! Profile of a model's training data: `metadata.profile` of a checkpoint's JSON.

use nodulus_metrics::distribution::MIN_VALUES;
use nodulus_metrics::{Distribution, ValueRange};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Bin edges of a probability.
pub const PROBABILITY_EDGES: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/// Bin edges of a nodule's volume, mm³.
///
/// METHOD: rounded volumes of spheres of 3, 4, 5, 6, 8, 10, 15, 20 and 30 mm: thresholds of LIDC,
/// of the guidelines (`MacMahon` 2017, Callister 2015) and of staging, and some between.
pub const VOLUME_EDGES_MM3: [f64; 9] =
    [14.0, 34.0, 65.0, 113.0, 268.0, 524.0, 1767.0, 4189.0, 14137.0];

/// Bin edges of a nodule's mean HU.
///
/// METHOD: chosen to separate ground-glass, part-solid, solid and calcified nodules, and to cover
/// intensities of other scales up to 1000.
pub const MEAN_HU_EDGES: [f64; 11] =
    [-800.0, -600.0, -400.0, -200.0, -100.0, 0.0, 100.0, 200.0, 400.0, 600.0, 800.0];

/// Bin edges of a region's pixels: -1000 to 1000 HU in steps of 50.
pub fn pixel_edges_hu() -> Vec<f64> {
    (-20..=20).map(|step| f64::from(50 * step)).collect()
}

/// Profile of the training cohort, and of the model's predictions on it.
///
/// METHOD: the cohort is the train split of the last phase, to which the weights were fitted last;
/// earlier phases prepare for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingProfile {
    /// Name of the last phase.
    pub phase: String,
    /// Cohorts of the last phase.
    pub cohorts: Vec<String>,
    /// Scans.
    pub n_scans: u64,
    /// Nodules.
    pub n_nodules: u64,
    /// Slices of regions.
    pub n_slices: u64,
    /// Distance between voxel centres along i, over the scans; `None` without a value.
    pub spacing_i_mm: Option<ValueRange>,
    /// The same along j.
    pub spacing_j_mm: Option<ValueRange>,
    /// The same along k.
    pub spacing_k_mm: Option<ValueRange>,
    /// DICOM `SliceThickness`, over the scans.
    pub slice_thickness_mm: Option<ValueRange>,
    /// Number of scans by DICOM `ConvolutionKernel`; scans without one are not counted.
    pub kernels: BTreeMap<String, u64>,
    /// Number of scans by DICOM `Manufacturer`; scans without one are not counted.
    pub manufacturers: BTreeMap<String, u64>,
    /// Mean HU of each scan's regions, over the scans; slices of regions that reach past the image
    /// are excluded, here and below.
    pub region_mean_hu: Option<ValueRange>,
    /// HU of the pixels of all regions.
    pub region_hu: Option<ValueRange>,
    /// HU of the pixels of all regions, in bins.
    pub region_pixels: Distribution,
    /// Volume of the reference masks, mm³, by nodule.
    pub volume_mm3: Distribution,
    /// Mean HU in the reference masks, by nodule.
    pub mean_hu: Distribution,
    /// The model's predictions.
    pub predicted: PredictionProfile,
}

/// Profile of the model's predictions for the cohort's nodules, with which predictions for new
/// scans are compared.
///
/// METHOD: on the validation split if there is one, because the weights were fitted to the train
/// split; over all slices of each nodule's regions. Masks are those that `infer` and `score` deliver by
/// default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictionProfile {
    /// `validation`, or `train` where the phase has no validation samples.
    pub split: String,
    /// Smallest probability of a nodule's pixel.
    pub threshold: f64,
    /// Components that the mask keeps, as `infer.component`; `None` in a checkpoint of an earlier version, whose masks
    /// kept all.
    pub component: Option<String>,
    /// Greatest distance from the centre of a nodule's region to the nearest voxel of its mask, as `infer.reach_mm`; `None`
    /// in a checkpoint of an earlier version.
    pub reach_mm: Option<f64>,
    /// Nodules.
    pub n_nodules: u64,
    /// Largest nodule probability over each nodule's slices; without values where the network has
    /// no classifier.
    pub probability: Distribution,
    /// Volume of the predicted mask, mm³; 0 where nothing is predicted.
    pub volume_mm3: Distribution,
    /// Mean HU in the predicted mask, over the nodules that have one.
    pub mean_hu: Distribution,
}

impl PredictionProfile {
    /// How unusual a mask is among those of the profile, 0 to 1: 1 minus the share of their volumes, or of their mean HU, that
    /// lie as far out or farther, whichever is less. `None` where the profile has too few masks.
    ///
    /// METHOD: the share of two tails, twice the smaller of the shares below and above, read from the bins. It says where the
    /// model has seen little, and nothing about how right a mask is.
    pub fn distance(&self, volume_mm3: f64, mean_hu: f64) -> Option<f64> {
        let tails = |of: &Distribution, value: f64| {
            let below = (of.n() >= MIN_VALUES).then(|| of.share_below(value)).flatten()?;
            Some(2.0 * below.min(1.0 - below))
        };
        let [volume, mean] = [tails(&self.volume_mm3, volume_mm3)?, tails(&self.mean_hu, mean_hu)?];
        Some(1.0 - volume.min(mean))
    }
}

impl TrainingProfile {
    /// Key of the profile in a checkpoint's metadata.
    pub const KEY: &'static str = "profile";

    /// The profile in a checkpoint's metadata; `None` in a checkpoint without one.
    ///
    /// # Errors
    ///
    /// Fails if the value is not a profile.
    pub fn of(metadata: &Value) -> Result<Option<Self>, serde_json::Error> {
        metadata.get(Self::KEY).map_or(Ok(None), Deserialize::deserialize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_of_an_unusual_size_or_density_is_far_from_the_profile() {
        let volumes = (0..40).map(|n| 34.0 + 31.0 * f64::from(n) / 40.0);
        let means = (0..40).map(|n| -100.0 + 2.5 * f64::from(n));
        let profile = PredictionProfile {
            volume_mm3: Distribution::of(&VOLUME_EDGES_MM3, volumes),
            mean_hu: Distribution::of(&MEAN_HU_EDGES, means),
            ..PredictionProfile::default()
        };
        let close = |found: Option<f64>, expected: f64| {
            assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?}, expected {expected}");
        };
        close(profile.distance(49.5, -50.0), 0.0);
        close(profile.distance(49.5, -75.0), 0.5);
        close(profile.distance(1000.0, -50.0), 1.0);
        close(profile.distance(49.5, 700.0), 1.0);
        let few = PredictionProfile { mean_hu: Distribution::of(&MEAN_HU_EDGES, [0.0]), ..profile };
        assert_eq!(few.distance(49.5, 0.0), None);
    }
    use serde_json::json;

    #[test]
    fn a_profile_is_read_back_and_may_be_missing() {
        assert_eq!(TrainingProfile::of(&json!({"seed": 1})).unwrap(), None);
        assert_eq!(TrainingProfile::of(&json!(null)).unwrap(), None);
        let profile = TrainingProfile {
            n_scans: 3,
            spacing_i_mm: ValueRange::of([0.5, 0.75]),
            volume_mm3: Distribution::of(&VOLUME_EDGES_MM3, [50.0, 600.0]),
            ..TrainingProfile::default()
        };
        let metadata = json!({"seed": 1, "profile": profile});
        assert_eq!(TrainingProfile::of(&metadata).unwrap(), Some(profile));
        // Earlier versions did not state the rule of their masks.
        let mut earlier = metadata;
        for name in ["component", "reach_mm"] {
            let predicted = earlier["profile"]["predicted"].as_object_mut();
            assert!(predicted.unwrap().remove(name).is_some());
        }
        let earlier = TrainingProfile::of(&earlier).unwrap().unwrap();
        assert_eq!((earlier.predicted.component, earlier.n_scans), (None, 3));
        let error =
            TrainingProfile::of(&json!({"profile": {"phase": "a"}})).unwrap_err().to_string();
        assert!(error.contains("missing field"), "{error}");
    }

    #[test]
    fn volumes_part_at_spheres() {
        let diameters = [3.0f64, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0];
        let spheres = diameters.map(|d| (std::f64::consts::PI / 6.0 * d.powi(3)).round());
        assert_eq!(spheres.map(|mm3| mm3 as u32), VOLUME_EDGES_MM3.map(|mm3| mm3 as u32));
    }
}
