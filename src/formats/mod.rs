//! Files to volumes and marks, and back.

pub mod dicom;
