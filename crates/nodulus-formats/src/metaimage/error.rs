//! Why a MetaImage cannot be read.

use crate::volume::InvalidGeometry;
use std::io;
use std::path::PathBuf;

/// A MetaImage could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A list of files goes on past the bytes that a header is looked for in.
    #[error("`{path}` has a header of more than {most} bytes")]
    LongHeader {
        /// The header.
        path: PathBuf,
        /// Bytes that it may have.
        most: u64,
    },
    /// A line of the header is no field.
    #[error("`{path}`, line {line}: expected `Key = Value`, found {found:?}")]
    Line {
        /// The header.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Its first characters.
        found: String,
    },
    /// A field is given twice.
    #[error("`{path}` gives {key} twice")]
    Twice {
        /// The header.
        path: PathBuf,
        /// The field.
        key: String,
    },
    /// Two names of one field have different values.
    #[error("`{path}` gives {} and {}, which differ", keys[0], keys[1])]
    Differ {
        /// The header.
        path: PathBuf,
        /// Both names.
        keys: [&'static str; 2],
    },
    /// A field that the voxels need is missing.
    #[error("`{path}` has no {key}")]
    Missing {
        /// The header.
        path: PathBuf,
        /// The field.
        key: &'static str,
    },
    /// A field has a value that is not supported.
    #[error("`{path}`: {key} is `{found}`, expected {expected}")]
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
    /// The fields place no scan.
    #[error("`{path}` does not place its voxels")]
    Geometry {
        /// The header.
        path: PathBuf,
        /// What is wrong.
        source: InvalidGeometry,
    },
    /// The voxels do not fit in memory.
    #[error("`{0}`: {1:?} voxels do not fit in memory")]
    TooLarge(PathBuf, [usize; 3]),
    /// There are more or fewer bytes than the header says.
    #[error("`{path}` holds {found} bytes of voxels, expected {expected}")]
    Size {
        /// The file with the voxels.
        path: PathBuf,
        /// Bytes that there are, as far as they were read.
        found: u64,
        /// Bytes that the header asks for.
        expected: u64,
    },
    /// There are more or fewer compressed bytes than the header, or the stream itself, says.
    #[error("`{path}` holds {found} compressed bytes, expected {expected}")]
    CompressedSize {
        /// The file with the voxels.
        path: PathBuf,
        /// Bytes that there are.
        found: u64,
        /// Bytes that there should be.
        expected: u64,
    },
    /// Slices are in more or fewer files than there are slices.
    #[error("`{path}` names {found} files of voxels, expected {expected}, one a slice")]
    Files {
        /// The header.
        path: PathBuf,
        /// Files that it names.
        found: usize,
        /// Slices.
        expected: usize,
    },
    /// Compressed voxels are damaged.
    #[error("`{path}` is no zlib stream")]
    Inflate {
        /// The file with the voxels.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// A voxel's value is not of the wanted type.
    #[error("`{path}`: voxel {voxel:?} (i, j, k) is {value}, expected {expected}")]
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
