//! Contours, masks and pixels of chest CT: rasterising, regridding, merging, cropping, distances, pictures.
//!
//! Voxel axes are i, j, k (column, row, slice); millimetres are LPS. Pure functions without input or output.
//!
//! The connected components of a mask:
//!
//! ```
//! use nodulus_formats::volume::{Mask, PlacedMask};
//! use nodulus_imaging::components;
//!
//! let mask = Mask::from_fn([9, 3, 3], |i, j, k| (i < 2 || i > 5) && j == 1 && k == 1);
//! let parts = components::split(&PlacedMask { start: [100, 80, 40], mask });
//! let sizes: Vec<usize> = parts.iter().map(|part| part.mask.count()).collect();
//! assert_eq!(sizes, [2, 3]);
//! assert_eq!(parts[1].start, [106, 81, 41]);
//! ```

pub mod drawing;
pub mod irregularity;
pub mod rasterise;
pub mod luna16_mask;
mod drawn_contour;
pub mod pixel_edges;
pub mod planar_contours;
pub mod regrid;
pub mod segments;
pub mod consensus;
pub mod linkage;
pub mod luna16_merge;
pub mod overlap;
pub mod chains;
pub mod matching;
pub mod components;
pub mod component_levels;
pub mod lungs;
pub mod no_data;
pub mod crop;
pub mod normalise;
pub mod surface;
pub mod distance;
pub mod opening;
pub mod region_growing;

#[cfg(test)]
mod lidc_tests;
