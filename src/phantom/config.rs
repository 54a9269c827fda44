//! Settings of a synthetic cohort.

use super::error::Error;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of a synthetic cohort.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Phantom")]
pub struct Config {
    /// Seed of the random numbers: the same settings give the same bytes.
    pub seed: u64,
    /// Number of patients with four readers, written in the layouts of LIDC-IDRI and LUNA16.
    #[schemars(range(max = 9999))]
    pub patients: usize,
    /// Number of clinical patients, with one reader.
    #[schemars(range(max = 9999))]
    pub clinical_patients: usize,
    /// Columns and rows of a slice, in pixels.
    #[schemars(range(min = 64, max = 512))]
    pub size: usize,
    /// Number of slices of a scan; each scan has up to an eighth more or fewer.
    #[schemars(range(min = 16, max = 400))]
    pub slices: usize,
    /// Least number of nodules of 3 mm or more that are planned for a patient.
    #[schemars(range(min = 1, max = 8))]
    pub nodules_min: usize,
    /// Greatest number of nodules of 3 mm or more; a nodule without room in the lungs is skipped.
    #[schemars(range(min = 1, max = 8))]
    pub nodules_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            patients: 24,
            clinical_patients: 12,
            size: 256,
            slices: 44,
            nodules_min: 2,
            nodules_max: 5,
        }
    }
}

impl Config {
    /// Checks that every setting is in its range.
    pub(super) fn check(&self) -> Result<(), Error> {
        let most = self.nodules_max.min(8);
        for (key, found, low, high) in [
            ("patients", self.patients, 0, 9999),
            ("clinical_patients", self.clinical_patients, 0, 9999),
            ("size", self.size, 64, 512),
            ("slices", self.slices, 16, 400),
            ("nodules_max", self.nodules_max, 1, 8),
            ("nodules_min", self.nodules_min, 1, most),
        ] {
            if !(low..=high).contains(&found) {
                return Err(Error::Setting { key, found, expected: format!("{low} to {high}") });
            }
        }
        Ok(())
    }
}
