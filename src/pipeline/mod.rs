//! From a pipeline file to finished tables: reads the settings, lists the sources, plans and runs, or tells what a run would
//! do; then lineage, exports and pictures of a store.

pub mod config;
mod source_hashes;
mod listed_case;
mod shards;
pub mod sources;
pub mod pairs;
pub mod header_check;
mod differences;
pub mod plan;
pub mod outside_weights;
pub mod preprocessing;
mod patients;
pub mod runner;
pub mod frozen;
pub mod experiment;
pub mod forecast;
pub mod outdated;
pub mod lineage;
pub mod export;
pub mod montage;
pub mod plot_marks;

pub use config::Config;
