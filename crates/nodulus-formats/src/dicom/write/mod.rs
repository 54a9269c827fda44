//! Writes CT series, and segmentations, structure sets, reports, pictures and rejection notes that refer to one.

pub(super) mod new_object;
pub(super) mod series;
pub(super) mod deidentify;
pub(super) mod references;
pub(super) mod derived_object;
pub(super) mod segmentation_groups;
pub(super) mod segmentation;
pub(super) mod structure_set;
pub(super) mod content_item;
pub(super) mod document;
pub(super) mod lidc_ratings;
pub(super) mod report;
pub(super) mod rejection_note;
pub(super) mod secondary_capture;
