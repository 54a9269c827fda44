//! What a prediction is worth, and how far readers agree: masks and ratings to numbers, and numbers
//! to tables' rows. No input or output.
//!
//! Definitions carry a name, [`METRIC_DEFINITION`], that stands beside every number made by them.

pub mod overlap;
pub mod surface;
pub mod size;
pub mod score;
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

pub use distribution::{Distribution, Shift, shift};
pub use hu_counts::{HuCounts, Range};
pub use metric::Metric;
pub use score::{METRIC_DEFINITION, Outcome, Scores, score};
pub use size::{Measure, Size, SizeError, size};
pub use summary::{Case, Summary, summarise};
