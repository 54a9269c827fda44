//! Tests on whole files: read, written or damaged.

pub(super) mod samples;

mod annotation;
mod compressed;
mod multi_frame;
mod real;
mod series;
mod writers;
