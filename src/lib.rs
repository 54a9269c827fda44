//! Lung CT and radiologists' marks to trained, audited, scored nodule segmentation: a fixed line of
//! stages with a Parquet table between each two.
//!
//! Modules are listed from the bottom layer to the top; none uses one that comes after it.

pub mod volume;
pub mod formats;
pub mod tables;
