//! From a pipeline file to finished tables: read the settings, list the sources, plan, run; and
//! what is made of a store afterwards.

pub mod config;
pub mod sources;
pub mod pairs;
pub mod plan;
pub mod runner;
pub mod experiment;
pub mod status;
pub mod lineage;
pub mod export;
pub mod montage;

pub use config::Config;
