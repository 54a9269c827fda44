//! Files to volumes and marks, and back.

pub mod cohort;
pub mod dicom;
pub mod lidc_xml;
pub mod luna_csv;
pub mod metaimage;
pub mod nifti;
pub mod data_manifest;

mod elements;
