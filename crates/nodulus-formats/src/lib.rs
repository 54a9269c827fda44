//! Files to volumes and marks, and back: one shape for each format, `read(path)` and `write`.

pub mod volume;
pub mod uid;
pub mod dicom;
pub mod metaimage;
pub mod nifti;
pub mod image_file;
pub mod mask_file;
pub mod lidc_xml;
pub mod luna_csv;
pub mod scan_geometry;
pub mod archive;
pub mod cohort;
pub mod data_manifest;
pub mod npz;

mod folder;
mod voxel_encoding;
mod voxel_stream;

#[cfg(test)]
mod tests;
