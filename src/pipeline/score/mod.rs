//! New scans in, results out.

pub mod scored;
pub mod warnings;
pub mod visit;
pub mod growth;
pub mod drift;
mod drift_charts;
pub mod page;
