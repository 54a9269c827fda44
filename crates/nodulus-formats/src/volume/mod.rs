//! A scan: voxels, and the geometry that places them in the patient. Nothing here reads or writes files.
//!
//! Voxel indices are (i, j, k) = (column, row, slice); arrays are indexed (k, j, i). Millimetres are DICOM patient
//! coordinates (LPS): x to the patient's left, y to the back, z to the head.

pub mod geometry;
pub mod grid;
pub mod loaded;
pub mod image_identity;
pub mod image_facts;
pub mod mask;
pub mod slices;

pub use geometry::{Geometry, InvalidGeometry, SpacingMm};
pub use grid::{ShapeMismatch, Volume};
pub use image_facts::ImageFacts;
pub(crate) use image_facts::hu_range;
pub use image_identity::{identifying_slices, image_sha256};
pub use loaded::{LoadedSlices, SliceRanges};
pub use mask::{BitsMismatch, Mask, PlacedMask};
pub use slices::{OffSlice, Slices, SlicesError};
