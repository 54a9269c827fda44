//! Comparison of scored scans: growth of a patient's nodules, and drift from the training cohort.

pub mod scan;
pub mod growth;
pub mod drift;
