//! Writes CT series, and segmentations and structure sets that refer to one.

pub(super) mod new_object;
pub(super) mod series;
pub(super) mod deidentify;
pub(super) mod derived_object;
pub(super) mod segmentation_groups;
pub(super) mod segmentation;
pub(super) mod structure_set;
