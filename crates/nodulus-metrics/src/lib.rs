//! What a prediction is worth, and how far readers agree: masks and ratings to numbers, and numbers
//! to tables' rows. No input or output.
//!
//! Definitions carry a name, [`METRIC_DEFINITION`], that stands beside every number made by them.

pub mod overlap;
pub mod surface;
pub mod size;
pub mod mask_metrics;
pub mod metric;
pub mod summary;
pub mod distribution;
pub mod hu_counts;
pub mod bootstrap;
pub mod wilcoxon;
pub mod holm;
pub mod paired;
pub mod fleiss;
pub mod classifier;
pub mod froc;
#[cfg(test)]
mod edge_cases;
#[cfg(test)]
mod golden;

pub use distribution::{Distribution, DistributionShift, shift};
pub use hu_counts::{HuCounts, ValueRange};
pub use mask_metrics::{METRIC_DEFINITION, MaskMetrics, Outcome, measure};
pub use metric::Metric;
pub use size::{MaskSize, SizeError, SizeMeasure, mask_size};
pub use summary::{MetricValue, Summary, summarise};
