//! Tests on whole files: read, written or damaged.

pub(super) mod samples;

mod elements;
mod doubled;
mod series;
mod no_scan;
mod slice_grid;
mod several_images;
mod several_images_in_files;
mod compression_alone;
mod tilt;
mod tolerated;
mod compressed;
mod multi_frame;
mod fragments;
mod segmentation;
mod structure_set;
mod damaged_annotation;
mod writers;
mod points;
mod real;
