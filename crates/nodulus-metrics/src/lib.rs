//! Masks, ratings, probabilities and detections to numbers with their intervals.
//!
//! [`measure`] compares a predicted mask with its reference; [`mask_size`] measures a mask; [`summarise`]
//! averages a metric over nodules with an interval over patients. [`METRIC_DEFINITION`] names the
//! definitions and stands beside every number that is computed with them. An undefined number is `None`,
//! never 0. Pure functions without input or output.
//!
//! Two small masks on one grid of 1 × 1 × 1 mm:
//!
//! ```
//! use nodulus_formats::volume::Mask;
//! use nodulus_metrics::measure;
//!
//! let prediction = Mask::from_fn([8, 8, 8], |i, j, k| i < 4 && j < 4 && k < 4);
//! let reference = Mask::from_fn([8, 8, 8], |i, j, k| i < 5 && j < 4 && k < 4);
//! let metrics = measure(&prediction, &reference, [1.0, 1.0, 1.0]);
//! assert_eq!(metrics.dice, Some(2.0 * 64.0 / (64.0 + 80.0)));
//! assert_eq!(metrics.hausdorff_95_mm, Some(1.0));
//! ```

pub mod overlap;
pub mod surface;
pub mod size;
pub mod mask_metrics;
pub mod metric;
pub mod summary;
pub mod distribution;
pub mod hu_counts;
pub mod interval;
pub mod bootstrap;
pub mod sign_flip;
pub mod holm;
pub mod paired;
pub mod fleiss;
pub mod krippendorff;
pub mod rating_agreement;
pub mod classifier;
pub mod froc;
#[cfg(test)]
mod edge_cases;
#[cfg(test)]
mod golden;

pub use distribution::{Distribution, DistributionShift, shift};
pub use hu_counts::{HuCounts, ValueRange};
pub use interval::Interval;
pub use mask_metrics::{METRIC_DEFINITION, MaskMetrics, Outcome, measure};
pub use metric::Metric;
pub use size::{MaskSize, SizeError, SizeMeasure, mask_size};
pub use summary::{MetricValue, Summary, summarise};
