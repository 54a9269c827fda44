//! What a test needs beyond the repository, and the summary of checks that were skipped without it.
//!
//! ```no_run
//! use nodulus_test_needs::{Need, skip};
//!
//! # fn find_validator() -> Option<std::path::PathBuf> { None }
//! let Some(validator) = find_validator() else {
//!     skip(Need::Peer, "`dciodvfy` is not installed: install the Debian package `dicom3tools`");
//!     return;
//! };
//! ```

mod real_data;
mod skipped;

pub use real_data::{data_folder, real_annotations, real_scan};
pub use skipped::{Need, skip, summary};
