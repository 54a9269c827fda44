//! Comparison of scored scans: growth of a patient's nodules, ids that last, and drift from the training cohort.

pub mod scan;
pub mod reconstruction;
pub mod growth;
pub mod lasting_id;
pub mod drift;
