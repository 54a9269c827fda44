//! The folder that scans arrive in: which series and which candidates it holds.

pub(super) mod stamp;
mod folder;
pub(super) mod contents;
pub(super) mod series;
pub(super) mod discover;
mod series_names;
pub mod candidate_file;
pub mod candidates;
pub mod reconciliation;
