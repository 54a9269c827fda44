//! Why a MetaImage cannot be read.

use crate::volume::InvalidGeometry;
use nodulus_faults::quoted;
use std::io;
use std::path::PathBuf;

/// A MetaImage could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system failed.
    #[error("{}", quoted::io(.0))]
    Io(#[from] io::Error),
    /// A list of files continues past the longest header that is read.
    #[error("{path} has a header of more than {most} bytes", path = quoted::path(path))]
    LongHeader {
        /// The header.
        path: PathBuf,
        /// Most bytes of a header.
        most: u64,
    },
    /// A line of the header is not a field.
    #[error(
        "{path}, line {line}: expected `Key = Value`, found {found:?}",
        path = quoted::path(path),
        found = quoted::text(found)
    )]
    Line {
        /// The header.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Its first characters.
        found: String,
    },
    /// A field occurs twice.
    #[error("{path} gives {key} twice", path = quoted::path(path), key = quoted::text(key))]
    Twice {
        /// The header.
        path: PathBuf,
        /// The field.
        key: String,
    },
    /// Two names of the same field have different values.
    #[error("{path} gives {} and {}, which differ", keys[0], keys[1], path = quoted::path(path))]
    Differ {
        /// The header.
        path: PathBuf,
        /// Both names.
        keys: [&'static str; 2],
    },
    /// A required field is missing.
    #[error("{path} has no {key}", path = quoted::path(path))]
    Missing {
        /// The header.
        path: PathBuf,
        /// The field.
        key: &'static str,
    },
    /// A field has a value that is not supported.
    #[error(
        "{path}: {key} is `{found}`, expected {expected}",
        path = quoted::path(path),
        found = quoted::text(found)
    )]
    Value {
        /// The header.
        path: PathBuf,
        /// The field.
        key: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The fields do not make up a geometry.
    #[error("{path} does not place its voxels", path = quoted::path(path))]
    Geometry {
        /// The header.
        path: PathBuf,
        /// The cause.
        source: InvalidGeometry,
    },
    /// The voxels do not fit in memory.
    #[error("{}: {} voxels do not fit in memory", quoted::path(.0), quoted::numbers(.1))]
    TooLarge(PathBuf, [usize; 3]),
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
    /// There are more or fewer compressed bytes than the header, or the stream itself, says.
    #[error(
        "{path} holds {found} compressed bytes, expected {expected}",
        path = quoted::path(path),
        expected = quoted::numbers(expected)
    )]
    CompressedSize {
        /// The file with the voxels.
        path: PathBuf,
        /// Bytes found.
        found: u64,
        /// Bytes expected.
        expected: u64,
    },
    /// There are more or fewer files than slices.
    #[error(
        "{path} names {found} files of voxels, expected {expected}, one for each slice",
        path = quoted::path(path)
    )]
    Files {
        /// The header.
        path: PathBuf,
        /// Files that the header names.
        found: usize,
        /// Number of slices.
        expected: usize,
    },
    /// Compressed voxels are damaged.
    #[error("{path} is not a valid zlib stream", path = quoted::path(path))]
    Inflate {
        /// The file with the voxels.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
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
        /// What it must be.
        expected: &'static str,
    },
}
