//! Files to volumes and marks, and back: one shape for each format, `read(path)` and `write`.

pub mod cohort;
pub mod dicom;
pub mod image_file;
pub mod lidc_xml;
pub mod luna_csv;
pub mod metaimage;
pub mod nifti;
pub mod npz;
pub mod scan_geometry;
pub mod data_manifest;

mod elements;

#[cfg(test)]
mod damaged_image_tests;
#[cfg(test)]
mod image_file_tests;
