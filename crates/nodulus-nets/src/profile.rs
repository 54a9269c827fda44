//! What a model was trained on: `metadata.profile` of a checkpoint's JSON.

use nodulus_metrics::{Distribution, Range};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Where bins of a probability part.
pub const PROBABILITY_EDGES: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/// Where bins of a nodule's volume part, mm³.
///
/// METHOD: spheres of 3, 4, 5, 6, 8, 10, 15, 20 and 30 mm, rounded: sizes that LIDC, the guidelines
/// (`MacMahon` 2017, Callister 2015) and staging part nodules by, and some between.
pub const VOLUME_EDGES_MM3: [f64; 9] =
    [14.0, 34.0, 65.0, 113.0, 268.0, 524.0, 1767.0, 4189.0, 14137.0];

/// Where bins of a nodule's mean HU part.
///
/// METHOD: chosen; ground glass, part-solid, solid and calcified nodules, and intensities of other
/// scales up to 1000.
pub const MEAN_HU_EDGES: [f64; 11] =
    [-800.0, -600.0, -400.0, -200.0, -100.0, 0.0, 100.0, 200.0, 400.0, 600.0, 800.0];

/// Where bins of a region's pixels part, HU: from -1000 to 1000 in steps of 50.
pub fn pixel_edges_hu() -> Vec<f64> {
    (-20..=20).map(|step| f64::from(50 * step)).collect()
}

/// The training cohort, and what the weights say of it.
///
/// METHOD: the cohort is that of the last phase, which the weights were fitted to last: the samples of
/// its train split. Phases before it prepare for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name of the last phase.
    pub phase: String,
    /// Its cohorts.
    pub cohorts: Vec<String>,
    /// Scans.
    pub n_scans: u64,
    /// Nodules.
    pub n_nodules: u64,
    /// Slices of regions.
    pub n_slices: u64,
    /// Distance between voxel centres along i, over the scans; `None` where no scan tells, as below.
    pub spacing_i_mm: Option<Range>,
    /// The same along j.
    pub spacing_j_mm: Option<Range>,
    /// The same along k.
    pub spacing_k_mm: Option<Range>,
    /// DICOM `SliceThickness`, over the scans.
    pub slice_thickness_mm: Option<Range>,
    /// Scans by DICOM `ConvolutionKernel`; those without one are in none.
    pub kernels: BTreeMap<String, u64>,
    /// Scans by DICOM `Manufacturer`; those without one are in none.
    pub manufacturers: BTreeMap<String, u64>,
    /// Mean of the pixels of a scan's regions, over the scans; slices of regions that reach past the image
    /// are left out, as below.
    pub region_mean_hu: Option<Range>,
    /// Pixels of all regions.
    pub region_hu: Option<Range>,
    /// The same in bins.
    pub region_pixels: Distribution,
    /// Volume of the reference masks, mm³, by nodule.
    pub volume_mm3: Distribution,
    /// Mean HU in the reference masks, by nodule.
    pub mean_hu: Distribution,
    /// What the weights say.
    pub predicted: Predicted,
}

/// What the weights say of nodules of the cohort's: new scans' predictions are compared with it.
///
/// METHOD: of the validation split, where there is one, as the weights know the train split's by heart;
/// all slices of each nodule's regions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predicted {
    /// `validation`, or `train` where the phase has no validation samples.
    pub split: String,
    /// Least probability of a nodule's pixel.
    pub threshold: f64,
    /// Nodules.
    pub n_nodules: u64,
    /// Greatest probability of nodule of a nodule's slices; without values where the network has no
    /// classifier.
    pub probability: Distribution,
    /// Volume of the predicted mask, mm³; 0 where nothing is predicted. Other nodules' pixels are in none.
    pub volume_mm3: Distribution,
    /// Mean HU in the predicted mask, of nodules that have one.
    pub mean_hu: Distribution,
}

impl Profile {
    /// Key of the profile in a checkpoint's metadata.
    pub const KEY: &'static str = "profile";

    /// The profile in a checkpoint's metadata; `None` in one that was made without.
    ///
    /// # Errors
    ///
    /// Fails if it is another kind of value.
    pub fn of(metadata: &Value) -> Result<Option<Self>, serde_json::Error> {
        metadata.get(Self::KEY).map_or(Ok(None), Deserialize::deserialize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_profile_is_read_back_and_may_be_missing() {
        assert_eq!(Profile::of(&json!({"seed": 1})).unwrap(), None);
        assert_eq!(Profile::of(&json!(null)).unwrap(), None);
        let profile = Profile {
            n_scans: 3,
            spacing_i_mm: Range::of([0.5, 0.75]),
            volume_mm3: Distribution::of(&VOLUME_EDGES_MM3, [50.0, 600.0]),
            ..Profile::default()
        };
        let metadata = json!({"seed": 1, "profile": profile});
        assert_eq!(Profile::of(&metadata).unwrap(), Some(profile));
        let error = Profile::of(&json!({"profile": {"phase": "a"}})).unwrap_err().to_string();
        assert!(error.contains("missing field"), "{error}");
    }

    #[test]
    fn volumes_part_at_spheres() {
        let diameters = [3.0f64, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0];
        let spheres = diameters.map(|d| (std::f64::consts::PI / 6.0 * d.powi(3)).round());
        assert_eq!(spheres.map(|mm3| mm3 as u32), VOLUME_EDGES_MM3.map(|mm3| mm3 as u32));
    }
}
