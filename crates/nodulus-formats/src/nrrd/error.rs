//! Why an NRRD file cannot be read.

use crate::volume::InvalidGeometry;
use nodulus_faults::quoted;
use std::io;
use std::path::PathBuf;

/// An NRRD file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system failed.
    #[error("{}", quoted::io(.0))]
    Io(#[from] io::Error),
    /// A compressed file is damaged.
    #[error("{path} holds no valid gzip stream", path = quoted::path(path))]
    Inflate {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file does not begin as NRRD does, or its header does not end.
    #[error("{path} is not an NRRD file: {found}", path = quoted::path(path))]
    NotNrrd {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: &'static str,
    },
    /// A line of the header is neither a field, nor a key, nor a comment.
    #[error(
        "{path}, line {line}: expected `field: value` or `key:=value`, found {found:?}",
        path = quoted::path(path),
        found = quoted::text(found)
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Its first characters.
        found: String,
    },
    /// A field is missing.
    #[error("{path} has no field `{field}`", path = quoted::path(path))]
    Missing {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
    },
    /// A field has a value that is not supported.
    #[error(
        "{path}: `{field}` is `{found}`, expected {expected}",
        path = quoted::path(path),
        found = quoted::text(found)
    )]
    Value {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// Its value.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// The header does not place the voxels in the patient.
    #[error(
        "{path} does not place its voxels in the patient: it has no `space` with `space directions` and `space \
         origin`; `tolerances.image_files.unplaced = true` places an image from 0, and `masks.unplaced = true` puts a \
         mask on its image's grid",
        path = quoted::path(.0)
    )]
    Unplaced(PathBuf),
    /// The axes have no size, or are not at right angles.
    #[error("{path} does not place its voxels in the patient", path = quoted::path(path))]
    Geometry {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: InvalidGeometry,
    },
    /// There are more or fewer bytes of voxels than the header says.
    #[error(
        "{path} holds {found} bytes of voxels, expected {expected}",
        path = quoted::path(path),
        expected = quoted::numbers(expected)
    )]
    Size {
        /// The file with the voxels.
        path: PathBuf,
        /// Bytes found, as far as the file was read.
        found: u64,
        /// Bytes that the header asks for.
        expected: u64,
    },
    /// The voxels do not fit in memory.
    #[error("{}: {} voxels do not fit in memory", quoted::path(.0), quoted::numbers(.1))]
    TooLarge(PathBuf, [usize; 3]),
    /// A voxel's value cannot be represented by the wanted type.
    #[error(
        "{path}: voxel {voxel:?} (i, j, k) is {value}, expected {expected}",
        path = quoted::path(path),
        value = quoted::text(value)
    )]
    Voxel {
        /// The file with the voxels.
        path: PathBuf,
        /// The voxel.
        voxel: [usize; 3],
        /// Its value.
        value: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// A value of a layer belongs to none of the segments that the header lists.
    #[error(
        "{path}: layer {layer} has voxels of value {value}, which is no segment's `LabelValue`",
        path = quoted::path(path)
    )]
    UnknownSegment {
        /// The file.
        path: PathBuf,
        /// The layer, from 0.
        layer: usize,
        /// The value.
        value: u16,
    },
}
