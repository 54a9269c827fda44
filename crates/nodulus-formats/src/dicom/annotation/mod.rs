//! Objects that annotate a CT: segmentations, structure sets and structured reports.

pub(super) mod referenced;
pub(super) mod frame_pixels;
pub(super) mod segmentation;
pub(super) mod structure_set;
pub(super) mod object;
pub(super) mod point;
pub(super) mod region_points;
pub(super) mod report;
pub(super) mod read_points;
