//! Fuzz targets for the parsers of nodulus: `fuzz/run` runs them on the seeds of `tests/it/seeds.rs`.

pub mod targets;
