//! New scans in, results out.

pub mod scored;
pub mod warnings;
pub mod growth;
pub mod drift;
pub mod page;
