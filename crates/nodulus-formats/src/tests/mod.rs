//! Image files in every format.

mod damaged_images;
mod golden_images;
mod slices;
