//! What reading an image file gives, in every format.

use crate::repair::Repairs;
use crate::volume::{Geometry, LoadedSlices, SliceRanges, Volume};
use ndarray::Array3;

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
    /// The wanted slices of a grid from their voxels, slice by slice; `error` gets the grid's size where they are not as
    /// many as the slices have.
    pub(crate) fn of_voxels<E>(
        geometry: Geometry,
        is_placed: bool,
        wanted: &SliceRanges,
        voxels: Vec<T>,
        repairs: Repairs,
        error: impl Fn([usize; 3]) -> E,
    ) -> Result<Self, E> {
        let size = geometry.size();
        let shape = (wanted.within(&(0..size[2])).n_slices(), size[1], size[0]);
        let voxels = Array3::from_shape_vec(shape, voxels).map_err(|_| error(size))?;
        let slices = LoadedSlices::new(geometry, wanted, voxels).map_err(|_| error(size))?;
        Ok(Self { slices, is_placed, repairs })
    }

    /// The whole volume; `error` gets its size where some slice was not read.
    pub(crate) fn into_volume<E>(self, error: impl Fn([usize; 3]) -> E) -> Result<Volume<T>, E> {
        let size = self.slices.geometry().size();
        self.slices.into_volume().map_err(|_| error(size))
    }
}
