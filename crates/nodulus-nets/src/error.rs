//! Errors of this crate.

use std::path::PathBuf;

/// A network cannot be built, trained, run, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A device cannot be used.
    #[error("device `{found}`: {problem}")]
    Device {
        /// The requested name.
        found: String,
        /// Why it cannot be used.
        problem: String,
    },
    /// The configuration describes no network.
    #[error("model configuration: {0}")]
    Config(String),
    /// The training schedule is invalid.
    #[error("training schedule: {0}")]
    Phase(String),
    /// Tensors do not fit each other.
    #[error("{operator}: {problem}")]
    Shape {
        /// The operator.
        operator: &'static str,
        /// Shapes found and expected.
        problem: String,
    },
    /// A sample's image or mask does not have the network's size.
    #[error("sample {sample}: the {what} has {found} pixels, expected {expected}")]
    Sample {
        /// Name of the sample, or its index in the batch from 0.
        sample: String,
        /// `image`, `mask` or `soft mask`, with the number of slices where it has several.
        what: String,
        /// Pixels found.
        found: usize,
        /// Pixels expected.
        expected: usize,
    },
    /// The loss is not a number.
    #[error(
        "epoch {epoch}, batch {batch}: the loss is {loss} on {}; check these images, lower \
         `learning_rate` or set `clip_norm`",
        samples.join(", ")
    )]
    Diverged {
        /// Epoch, from 1.
        epoch: usize,
        /// Batch of the epoch, from 0.
        batch: usize,
        /// The loss.
        loss: f64,
        /// Names of the batch's samples.
        samples: Vec<String>,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// A weights file does not hold what the network needs.
    #[error("{}: {problem}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        problem: String,
    },
    /// The points of a calibration make no curve.
    #[error(
        "the points of a calibration, expected as many logits as calibrated logits, both rising, and 0 at 0"
    )]
    Calibration,
    /// The tensor library failed.
    #[error("tensor library: {0}")]
    Tensor(#[from] candle_core::Error),
}

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
