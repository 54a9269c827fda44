//! Cohorts: which files of a folder make up a case, by the layout of the cohort, and how a case is read.

mod case;
mod pairing;
mod error;
mod case_files;
mod lidc_folders;
mod marks;
mod volumes;
mod list;
mod estimate;
mod read;
mod check;

pub use crate::folder::{files_below, relative};
pub use case::{Case, Layout, Location};
pub use case_files::{CaseFiles, may_be_dicom};
pub use check::{HeaderCheck, Refusal, check_headers, refused_case, unreadable_case};
pub use error::{Error, kinds};
pub use estimate::estimate_bytes;
pub use list::{SeriesIn, cases, series_of_reads};
pub use pairing::{Error as PatternError, PathPattern};
pub use read::{CaseScans, ScanFacts, read_headers, read_scans, read_slices};
pub use volumes::patterns;
