//! Why a NIfTI file cannot be read.

use super::orientation::InvalidOrientation;
use nodulus_faults::quoted;
use std::io;
use std::path::PathBuf;

/// A NIfTI file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system failed.
    #[error("{}", quoted::io(.0))]
    Io(#[from] io::Error),
    /// A compressed file is damaged.
    #[error("{path} is not a valid gzip stream", path = quoted::path(path))]
    Inflate {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file does not begin with the header of NIfTI-1 or NIfTI-2.
    #[error(
        "{path} is not a NIfTI file: it does not begin with 348 or 540 bytes of a header",
        path = quoted::path(path)
    )]
    NotNifti {
        /// The file.
        path: PathBuf,
    },
    /// A field of the header has a value that is not supported.
    #[error(
        "{path}: {field} is {found}, expected {expected}",
        path = quoted::path(path),
        found = quoted::text(found)
    )]
    Value {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The header does not place the voxels in the patient.
    #[error("{path} does not place its voxels in the patient", path = quoted::path(path))]
    Orientation {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: InvalidOrientation,
    },
    /// There are more or fewer bytes of voxels than the header says.
    #[error(
        "{path} holds {found} bytes of voxels, expected {expected}",
        path = quoted::path(path),
        expected = quoted::numbers(expected)
    )]
    Size {
        /// The file.
        path: PathBuf,
        /// Bytes found, as far as the file was read.
        found: u64,
        /// Bytes that the header asks for.
        expected: u64,
    },
    /// The voxels do not fit in memory.
    #[error("{}: {} voxels do not fit in memory", quoted::path(.0), quoted::numbers(.1))]
    TooLarge(PathBuf, [usize; 3]),
    /// The file with the voxels of a header does not exist.
    #[error(
        "{path} is a header (`ni1` or `ni2`), and neither {} nor {} exists",
        quoted::path(&images[0]),
        quoted::path(&images[1]),
        path = quoted::path(path)
    )]
    NoImage {
        /// The header.
        path: PathBuf,
        /// Names that its voxels may have.
        images: [PathBuf; 2],
    },
    /// A voxel's value cannot be represented by the wanted type.
    #[error(
        "{path}: voxel {voxel:?} (i, j, k) is {value}, expected {expected}",
        path = quoted::path(path),
        value = quoted::text(value)
    )]
    Voxel {
        /// The file.
        path: PathBuf,
        /// The voxel.
        voxel: [usize; 3],
        /// Its value.
        value: f64,
        /// What it should be.
        expected: &'static str,
    },
}
