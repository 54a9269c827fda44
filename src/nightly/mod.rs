//! The nightly job: scores new scans of a folder, writes records, tables, files and a page of drift, and sends DICOM
//! objects to archives.

pub mod settings;
pub mod identity;
mod redaction;
mod problem;
pub mod input;
pub mod scan;
pub mod deliver;
pub mod detectors;
pub mod follow_up;
pub mod records;
pub mod send;
mod pages;
pub mod run;

pub use deliver::{DeliveredFile, OutputKind, deliver};
pub use identity::Identity;
