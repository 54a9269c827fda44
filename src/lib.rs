//! Lung CT and radiologists' marks to trained, audited, evaluated nodule segmentation: a fixed line of
//! stages with a Parquet table between each two.
//!
//! The layers below are crates in `crates/`; here stand the tables, the stages over them, and what runs
//! the stages.

mod near_names;
mod byte_size;
pub mod phantom;
pub mod tables;
pub mod stages;
pub mod pipeline;
pub mod nightly;
mod settings_reference;
pub mod compare;
pub mod cli;
