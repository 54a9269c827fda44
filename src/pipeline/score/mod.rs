//! New scans in, results out.

pub mod scored;
