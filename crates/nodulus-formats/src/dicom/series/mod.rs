//! CT series: which files belong to one, what its headers say, and its voxels.

pub(super) mod sop_class;
pub(super) mod announced;
pub(super) mod find;
pub(super) mod estimate;
pub(super) mod pixels;
pub(super) mod quantity;
pub(super) mod slice;
pub(super) mod slice_attributes;
pub(super) mod multi_frame;
pub(super) mod slice_headers;
pub(super) mod tolerances;
pub(super) mod telling;
mod classes;
pub(super) mod acquisitions;
pub(super) mod slice_spacing;
pub(super) mod same_series;
pub(super) mod tilt;
pub(super) mod stack;
pub(super) mod refused;
pub(super) mod frame;
pub(super) mod voxels;
pub(super) mod open;
pub(super) mod read;
pub(super) mod source_series;
