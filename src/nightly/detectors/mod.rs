//! Detections of other programs become a table of candidates.

mod error;
mod detection;
mod monai;
mod nndetection;
mod images;
mod convert;

pub use convert::{Converted, DetectionCounts, LeftOut, Request, convert};
pub use detection::{Axes, Detector};
pub use error::Error;
