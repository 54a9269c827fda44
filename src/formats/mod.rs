//! Files to volumes and marks, and back: one shape for each format, `read(path)` and `write`.

mod elements;
pub mod dicom;
pub mod metaimage;
pub mod nifti;
pub mod lidc_xml;
pub mod luna_csv;
pub mod cohort;
