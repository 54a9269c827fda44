//! A store of tables: Parquet files that are written once, committed by rename, and traced to what they were
//! made from.
//!
//! - A **table** is a [`TableSpec`]: a name, a version and columns. [`columns!`] declares the columns together
//!   with the type of the rows.
//! - A **job** makes the outputs of a stage in shards. The key of its outputs is a hash of the stage, its
//!   settings and its inputs, so that the same work has the same key and is done once.
//! - A **shard** is the unit of commit: its files are written aside, moved into place, and then recorded.
//!   Cases that failed are part of its record.
//! - A **version** is a finished output under a key; one version of each output is the current one.
//!
//! The store knows no table by name; programs pass [`OutputSpec`]s, and rows name their table through [`Row`].
//!
//! ```
//! use nodulus_store::{JobSpec, Row, Store, TableSpec, columns};
//! use serde::{Deserialize, Serialize};
//!
//! columns! {
//!     /// A measured nodule.
//!     #[derive(Debug, Serialize, Deserialize)]
//!     pub struct Measurement {
//!         /// stable id of the nodule
//!         pub nodule_id: String,
//!         /// volume of its mask; null without a mask
//!         pub volume_mm3: Option<f64>,
//!     }
//! }
//!
//! impl Row for Measurement {
//!     const TABLE: &'static TableSpec = &TableSpec {
//!         id_columns: &["nodule_id"],
//!         ..TableSpec::new::<Self>("measurements", "a measured nodule")
//!     };
//! }
//!
//! # fn main() -> Result<(), nodulus_store::Error> {
//! # let folder = tempfile::tempdir()?;
//! let store = Store::create(&folder.path().join("store"))?;
//! let job = store.job(JobSpec {
//!     stage: "measure",
//!     stage_version: 1,
//!     outputs: vec![Measurement::TABLE.into()],
//!     config: serde_json::json!({ "margin_mm": 5.0 }),
//!     inputs: Vec::new(),
//!     n_shards: 1,
//! });
//! let shard = job.shard(0)?;
//! let mut part = shard.part::<Measurement>()?;
//! part.write([Measurement { nodule_id: "n-1".to_owned(), volume_mm3: Some(523.6) }])?;
//! shard.commit(vec![part.finish()?], Vec::new())?;
//! job.finish()?;
//!
//! let version = store.require(Measurement::TABLE)?;
//! let mut rows = Vec::new();
//! for batch in version.rows::<Measurement>() {
//!     rows.extend(batch?);
//! }
//! assert_eq!(rows[0].volume_mm3, Some(523.6));
//! # Ok(())
//! # }
//! ```

mod columns;
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

pub use columns::{Column, ColumnValue, Columns, column, struct_type};
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

#[doc(hidden)]
pub use arrow;
