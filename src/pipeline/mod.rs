//! From a pipeline file to finished tables: read the settings, list the sources, plan, run.

pub mod config;
pub mod sources;
pub mod plan;
pub mod runner;
pub mod status;
pub mod lineage;

pub use config::Config;
