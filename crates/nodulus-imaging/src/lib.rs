//! Contours, masks and pixels to others: pure functions without input or output.

pub mod drawing;
pub mod irregularity;
pub mod rasterise;
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
pub mod lungs;
pub mod crop;
pub mod normalise;
pub mod surface;
pub mod distance;

#[cfg(test)]
mod lidc_tests;
