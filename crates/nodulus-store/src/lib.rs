//! Tables in shards of Parquet, written once and committed by rename, with their provenance.

mod table;
pub mod schema;
mod output;
mod error;
mod failed_case;
pub mod hash;
pub mod durable;
pub mod clock;
pub mod record;
mod part_file;
pub mod foreign;
mod manifest;
pub mod lock;
mod shard;
mod job;
mod store;
mod partitions;
#[cfg(test)]
mod fixture;

pub use error::Error;
pub use failed_case::FailedCase;
pub use job::{Job, JobSpec};
pub use lock::Lock;
pub use manifest::{InputRef, Manifest, PartRecord, ShardRecord};
pub use output::OutputSpec;
pub use part_file::{PartReader, PartWriter, Provenance};
pub use partitions::{Partitions, TableFiles};
pub use shard::{FinishedPart, Part, ShardWriter};
pub use store::{Store, Version};
pub use table::{Row, TableSpec};
