//! Comparisons beside the line of stages: tables of nodules, mask files, and a detector's submission.

pub mod nodule_table;
pub mod nodules;
pub mod masks;
pub mod detections;
