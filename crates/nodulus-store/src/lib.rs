//! A store of tables: Parquet files that are written once, committed by rename, and traced to what they were
//! made from.
//!
//! - A **table** is a [`TableSpec`]: a name, a version and columns. [`columns!`] declares the columns together
//!   with the type of the rows.
//! - A **shard** is the unit of work and of commit. Its key is a hash of the stage, the settings and exactly the
//!   content that it is made from, so that the same work has the same key and is done once. Its files are
//!   written aside and moved into place as a whole, with a record; cases that failed are part of it.
//! - A **job** makes the shards of a stage's outputs. Several processes share the work of one job.
//! - A **version** of an output is a list of shards; versions share them. One version of each output is the
//!   current one, and the folder `current` has its files for other programs. [`gc`] removes what no version
//!   that is kept needs.
//!
//! The store knows no table by name; programs pass [`OutputSpec`]s, and rows name their table through [`Row`].
//!
//! ```
//! use nodulus_store::{JobSpec, Row, ShardSpec, Store, TableSpec, columns};
//! use serde::{Deserialize, Serialize};
//! use serde_json::{Value, json};
//! use std::sync::Arc;
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
//! let config = json!({ "margin_mm": 5.0 });
//! let shard = ShardSpec {
//!     config: Arc::new(config.clone()),
//!     decisions: Value::Null,
//!     inputs: Vec::new(),
//!     cases: Vec::new(),
//! };
//! let job = store.job(JobSpec {
//!     stage: "measure",
//!     stage_version: 1,
//!     outputs: vec![Measurement::TABLE.into()],
//!     config,
//!     inputs: Vec::new(),
//!     shards: vec![shard],
//! });
//! for shard in job.work()? {
//!     let shard = shard?;
//!     let mut part = shard.part::<Measurement>()?;
//!     part.write([Measurement { nodule_id: "n-1".to_owned(), volume_mm3: Some(523.6) }])?;
//!     shard.commit(vec![part.finish()?], Vec::new())?;
//! }
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
pub mod hash;
mod row_sum;
pub mod clock;
pub mod lock;
pub mod durable;
pub mod disk;
pub mod record;
mod page_checksums;
mod part_file;
mod part_rows;
pub mod foreign;
mod stamp;
pub mod damage;
mod shard_record;
mod seal;
mod setbacks;
mod claim;
mod shard;
mod version;
mod view;
mod job;
mod standing;
mod work;
mod finish;
mod store;
pub mod gc;
mod day_record;
pub mod folder_record;
mod partitions;
pub mod fsck;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod job_tests;
#[cfg(test)]
mod setback_tests;

pub use columns::{Column, ColumnValue, Columns, column, struct_type};
pub use damage::Damage;
pub use error::Error;
pub use job::{Job, JobSpec, ShardSpec};
pub use lock::Lock;
pub use nodulus_faults::FaultClass;
pub use output::OutputSpec;
pub use page_checksums::ChecksumWriter;
pub use part_file::{PartReader, PartWriter, Provenance};
pub use partitions::{Partitions, TableFiles};
pub use record::{InputRef, ShardInput};
pub use row_sum::RowSum;
pub use setbacks::Setback;
pub use shard::{FinishedPart, Part, ShardWriter};
pub use shard_record::{CaseReading, FailedCase, PartRecord, ShardCase, ShardRecord};
pub use standing::Standing;
pub use store::Store;
pub use table::{Row, TableSpec};
pub use version::{Manifest, ShardSummary, Version};
pub use work::Work;

#[doc(hidden)]
pub use arrow;
