//! From a pipeline file to finished tables: reads the settings, lists the sources, plans and runs; then status, lineage,
//! exports and pictures of a store.

pub mod config;
mod shards;
pub mod sources;
pub mod pairs;
pub mod plan;
pub mod outside_weights;
pub mod runner;
pub mod experiment;
pub mod status;
pub mod lineage;
pub mod export;
pub mod montage;

pub use config::Config;
