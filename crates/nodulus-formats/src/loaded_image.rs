//! What reading an image file gives, in every format.

use crate::repair::Repairs;
use crate::volume::{LoadedSlices, Volume};

/// Slices that were read, and what was put right.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LoadedImage<T> {
    /// The slices with the grid of the whole file.
    pub(crate) slices: LoadedSlices<T>,
    /// Whether the file places its voxels in the patient; else their grid begins at 0, along the patient's axes.
    pub(crate) is_placed: bool,
    /// What was put right.
    pub(crate) repairs: Repairs,
}

impl<T> LoadedImage<T> {
    /// The whole volume; `error` gets its size where some slice was not read.
    pub(crate) fn into_volume<E>(self, error: impl Fn([usize; 3]) -> E) -> Result<Volume<T>, E> {
        let size = self.slices.geometry().size();
        self.slices.into_volume().map_err(|_| error(size))
    }
}
