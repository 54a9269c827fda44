//! Fuzz targets for the parsers of nodulus, and the seeds that the phantom makes for them: `fuzz/run` runs them.

pub mod seeds;
pub mod targets;
