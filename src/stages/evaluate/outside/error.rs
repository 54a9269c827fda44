//! Why masks of another program cannot be measured.

use crate::stages::infer::RegionError;
use crate::stages::nodule_slices::ScatteredSlices;
use nodulus_faults::quoted;
use nodulus_formats::mask_file;
use nodulus_formats::volume::{BitsMismatch, InvalidGeometry};
use nodulus_imaging::regrid::GridMismatch;
use nodulus_imaging::segments;
use std::io;
use std::path::{Path, PathBuf};

/// Masks of another program cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing at the path.
    #[error(
        "there is nothing at {path}, from where `evaluate.predictions` takes the masks of `{model_id}`: predict the regions first \
         (`nodulus run --to infer`, then `nodulus export rois` or the package for Python), correct the path, or leave the model out",
        path = quoted::path(path)
    )]
    Missing {
        /// The model.
        model_id: String,
        /// The path.
        path: PathBuf,
    },
    /// The path is of another kind.
    #[error(
        "{path} is neither Parquet nor a folder, expected a Parquet file with `roi_id` and `mask_bits`, or a folder with one NIfTI \
         file or DICOM SEG for each nodule",
        path = quoted::path(path)
    )]
    Kind {
        /// The path.
        path: PathBuf,
    },
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The store or the Parquet file cannot be read.
    #[error(transparent)]
    Store(#[from] nodulus_store::Error),
    /// The slices of a nodule are not together.
    #[error(transparent)]
    Scattered(#[from] ScatteredSlices),
    /// A nodule's slices are no region.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// The store has a model of this name.
    #[error(
        "`evaluate.predictions` names a model `{model_id}`, and `predictions` has one of this name already: choose another name"
    )]
    Taken {
        /// The model.
        model_id: String,
    },
    /// There is no mask.
    #[error(
        "{path} has no mask, expected one for each slice or nodule that is to be measured",
        path = quoted::path(path)
    )]
    Empty {
        /// The file or folder.
        path: PathBuf,
    },
    /// A row lacks a value.
    #[error("{path}, row {row}: `{column}` is null, expected a value in every row", path = quoted::path(path))]
    Null {
        /// The file.
        path: PathBuf,
        /// The row, from 1.
        row: u64,
        /// The column.
        column: &'static str,
    },
    /// A slice or nodule is there twice.
    #[error(
        "{path} has {what} `{id}` twice, expected one mask of it: keep one; the masks of each model go into a file or folder of their own",
        path = quoted::path(path), id = quoted::text(id)
    )]
    Twice {
        /// The file or folder.
        path: PathBuf,
        /// What is there twice.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// Slices or nodules are not the store's.
    #[error(
        "{path}: {n} of {n_all} {what} are not in `rois`, the first is `{id}`: predict the regions that the store has now, as from \
         `nodulus export rois` or the package for Python",
        path = quoted::path(path), id = quoted::text(id)
    )]
    Unknown {
        /// The file or folder.
        path: PathBuf,
        /// What is unknown: slices or nodules.
        what: &'static str,
        /// How many of them.
        n: usize,
        /// How many there are.
        n_all: usize,
        /// The first.
        id: String,
    },
    /// A mask has another size than its slice.
    #[error(
        "{path}: `mask_bits` of slice `{roi_id}` has {found} bytes, expected {expected} for {width} × {height} pixels, a bit for each \
         (row by row, least significant bit first)",
        path = quoted::path(path), roi_id = quoted::text(roi_id)
    )]
    Bytes {
        /// The file.
        path: PathBuf,
        /// The slice.
        roi_id: String,
        /// Bytes found.
        found: u64,
        /// Bytes of a mask of its size.
        expected: u64,
        /// Pixels along i.
        width: i64,
        /// Pixels along j.
        height: i64,
    },
    /// A probability is none.
    #[error(
        "{path}, row {row}: `nodule_probability` is `{found}`, expected a number from 0 to 1, or null",
        path = quoted::path(path), found = quoted::text(found)
    )]
    Probability {
        /// The file.
        path: PathBuf,
        /// The row, from 1.
        row: u64,
        /// The number.
        found: f64,
    },
    /// None of the nodules is one that other models predict.
    #[error(
        "{path}: none of its {n_nodules} nodules is one of those that `predictions` has, so that nothing can be compared: predict \
         nodules of the same splits and cohorts (`infer.splits`, `infer.cohorts`)",
        path = quoted::path(path)
    )]
    NoneMeasured {
        /// The file or folder.
        path: PathBuf,
        /// Number of its nodules.
        n_nodules: usize,
    },
    /// A file changed after it was listed.
    #[error("{path} changed while it was read: run again when nothing writes to it", path = quoted::path(path))]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A file of a folder is an image.
    #[error(
        "{path} is an image of nnU-Net (`imagesTr`, `imagesTs`), expected masks, as nnU-Net's predictions: name their folder",
        path = quoted::path(path)
    )]
    Image {
        /// The file.
        path: PathBuf,
    },
    /// A nodule cannot be measured.
    #[error("the masks of `{model_id}` cannot be measured")]
    Nodule {
        /// The model.
        model_id: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file is no mask.
    #[error("cannot read the mask of a nodule")]
    Mask(#[from] mask_file::Error),
    /// A file of outlines.
    #[error("{path} is a structure set, expected a mask: NIfTI or DICOM SEG", path = quoted::path(path))]
    Outlines {
        /// The file.
        path: PathBuf,
    },
    /// A segmentation has not one segment.
    #[error(
        "{path} has {found} segments, expected one, the nodule that the file is named after: write a file for each nodule",
        path = quoted::path(path)
    )]
    Segments {
        /// The file.
        path: PathBuf,
        /// Number of segments.
        found: usize,
    },
    /// A value is no label.
    #[error(
        "{path} has the value {found}, expected 0 (background), 1 (the nodule) or 2 (another nodule)",
        path = quoted::path(path)
    )]
    Label {
        /// The file.
        path: PathBuf,
        /// The value.
        found: u16,
    },
    /// A mask lies on another grid than its region.
    #[error(
        "{path} does not lie on the voxels of its nodule's region: nothing is resampled; predict the region as \
         `nodulus export rois` writes it",
        path = quoted::path(path)
    )]
    Grid {
        /// The file.
        path: PathBuf,
        /// Both grids.
        #[source]
        grids: Box<GridMismatch>,
    },
    /// A segmentation lies on other slices than its region.
    #[error("{path} does not lie on the slices of its nodule's region", path = quoted::path(path))]
    Slices {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: segments::Error,
    },
    /// The region of a nodule has no grid.
    #[error(
        "the region of the nodule has no grid: make `rois` again with `nodulus run --force crop`"
    )]
    Geometry(#[from] InvalidGeometry),
    /// The bits of a mask do not fit its slice.
    #[error(transparent)]
    Bits(#[from] BitsMismatch),
}

impl Error {
    /// Fails if a slice or nodule of a file or folder is not known; `ids` are all of it, each with whether it is.
    pub(super) fn check_known<'a>(
        path: &Path,
        what: &'static str,
        ids: impl ExactSizeIterator<Item = (&'a String, bool)>,
    ) -> Result<(), Self> {
        let n_all = ids.len();
        let mut unknown = ids.filter(|(_, is_known)| !is_known);
        let Some((first, _)) = unknown.next() else { return Ok(()) };
        let n = unknown.count() + 1;
        Err(Self::Unknown { path: path.to_owned(), what, n, n_all, id: first.clone() })
    }
}
