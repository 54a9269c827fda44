//! Reads lung CT and radiologists' marks from files into volumes, masks and contours, and writes them back.
//!
//! Each format is a module with `read(path)`, and `write` where nodulus writes it. A CT becomes a
//! [`Volume`](volume::Volume) of Hounsfield units on a [`Geometry`](volume::Geometry):
//!
//! ```
//! use ndarray::Array3;
//! use nodulus_formats::metaimage;
//! use nodulus_formats::volume::{Geometry, Volume};
//!
//! // 3 x 2 voxels in each of 2 slices, 2.5 mm apart; arrays are indexed (k, j, i).
//! let geometry = Geometry::new([3, 2, 2], [0.7, 0.7, 2.5], [-10.0, 20.0, -99.5], Geometry::AXIAL)?;
//! let volume = Volume::new(geometry, Array3::from_elem((2, 2, 3), -1000i16))?;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("ct.mhd");
//! metaimage::write(&path, &volume, true)?;
//! assert_eq!(metaimage::read(&path)?, volume);
//!
//! // The last voxel lies here in the patient.
//! let [x, y, z] = geometry.voxel_to_patient([2.0, 1.0, 1.0]);
//! assert!((x + 8.6).abs() < 1e-9 && (y - 20.7).abs() < 1e-9 && (z + 97.0).abs() < 1e-9);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - Images: [`dicom`], [`metaimage`], [`nifti`], [`nrrd`]; [`image_file`] chooses between the last three by name.
//! - Marks: [`mask_file`] (masks, DICOM SEG and RTSTRUCT), [`lidc_xml`], [`luna_csv`].
//! - Folders: [`cohort`] lists the cases of a folder and reads their scans, [`archive`] unpacks zip and tar,
//!   [`data_manifest`] checks that a folder is complete, [`scan_geometry`] stands in for images that are missing.
//!
//! Voxel indices are (i, j, k) = (column, row, slice), and positions are LPS in millimetres. A file is refused with an
//! error, which names the file and what was expected, rather than guessed at. No length in a file is used before it is
//! checked against the bytes that are there, and no value beyond [`limits`] is read.

pub mod limits;
pub mod volume;
pub mod repair;
pub mod uid;
pub mod dicom;
pub mod metaimage;
pub mod nifti;
pub mod nrrd;
pub mod image_file;
pub mod mask_file;
pub mod lidc_xml;
pub mod luna_csv;
pub mod scan_geometry;
pub mod archive;
pub mod cohort;
pub mod data_manifest;
pub mod npz;

mod bounded_reader;
mod folder;
mod gzip_members;
mod image_rules;
mod loaded_image;
mod voxel_encoding;
mod voxel_stream;

#[cfg(test)]
mod tests;
