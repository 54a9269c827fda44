//! What a scan is: voxels with the geometry that places them in the patient. No input or output.
//!
//! Voxel indices are (i = column, j = row, k = slice); arrays are stored k, then j, then i.
//! Millimetres are DICOM patient coordinates: x to the patient's left, y to the back, z to the head (LPS).

pub mod geometry;
pub mod grid;
pub mod loaded;
pub mod mask;
pub mod slices;

pub use geometry::{Geometry, InvalidGeometry, SpacingMm};
pub use grid::{ShapeMismatch, Volume};
pub use loaded::{LoadedSlices, SliceRanges};
pub use mask::{BitsMismatch, Mask, PlacedMask};
pub use slices::{OffSlice, Slices, SlicesError};
