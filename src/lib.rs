//! Lung CT and radiologists' marks to trained, audited, scored nodule segmentation: a fixed line of
//! stages with a Parquet table between each two.
//!
//! Modules are listed from the bottom layer to the top; none uses one that comes after it.

pub mod volume;
pub mod formats;
pub mod imaging;
pub mod drawing;
pub mod metrics;
pub mod model;
pub mod tables;
pub mod stages;
pub mod pipeline;
pub mod phantom;
pub mod cli;
