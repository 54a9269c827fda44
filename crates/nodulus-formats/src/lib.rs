//! Files to volumes and marks, and back: one shape for each format, `read(path)` and `write`.

pub mod volume;
pub mod archive;
pub mod case_files;
pub mod cohort;
pub mod dicom;
pub mod image_file;
pub mod lidc_xml;
pub mod luna_csv;
pub mod mask_file;
pub mod metaimage;
pub mod nifti;
pub mod npz;
pub mod pairing;
pub mod scan_geometry;
pub mod uid;
pub mod volumes;
pub mod data_manifest;

mod elements;
mod voxel_stream;
mod lidc_folders;

#[cfg(test)]
mod damaged_image_tests;
#[cfg(test)]
mod image_file_tests;
#[cfg(test)]
mod read_slices_tests;
