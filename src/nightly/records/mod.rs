//! Records of scored series, and the tables that are made of them.

pub(super) mod record;
pub(super) mod entry;
pub(super) mod ledger;
pub mod store_identity;
pub(super) mod rows;
pub mod day_tables;
pub mod output_files;
