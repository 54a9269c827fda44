//! Seeded synthetic cohorts of chest CT, written in the real formats, with known truth.

mod chest;
mod outline;
mod shape;
mod grid;
mod noise;
mod nodule;
mod placing;
mod scan;
mod seed;
mod texture;
mod tubes;

pub use nodule::NoduleType;

use crate::volume::{InvalidGeometry, ShapeMismatch};
use serde::{Deserialize, Serialize};

/// What to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Everything follows from it.
    pub seed: u64,
    /// Patients with four readers, written as LIDC-IDRI and as LUNA16.
    pub patients: usize,
    /// Patients of the clinic, with one reader.
    pub clinical_patients: usize,
    /// Columns and rows of a slice, 64 to 512.
    pub size: usize,
    /// Slices of a scan, 16 to 400; a patient's scan has up to an eighth more or fewer.
    pub slices: usize,
    /// Least number of nodules of 3 mm or more in a patient.
    pub nodules_min: usize,
    /// Greatest number of nodules of 3 mm or more in a patient, up to 8.
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

/// A phantom could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A scan's geometry is none.
    #[error(transparent)]
    Geometry(#[from] InvalidGeometry),
    /// A scan's voxels do not fit its geometry.
    #[error(transparent)]
    Shape(#[from] ShapeMismatch),
}
