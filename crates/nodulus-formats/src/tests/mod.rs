//! Image files of every format.

mod damaged_images;
mod golden_images;
mod slices;
