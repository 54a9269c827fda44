//! Files to volumes and marks, and back: one shape for each format, `read(path)` and `write`.

pub mod lidc_xml;
pub mod luna_csv;
pub mod metaimage;
pub mod nifti;
mod elements;

#[cfg(test)]
mod image_file_tests;
