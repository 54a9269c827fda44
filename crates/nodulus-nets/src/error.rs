//! What can go wrong in a network.

use std::path::PathBuf;

/// A network cannot be built, trained, run, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A device that cannot be used.
    #[error("device \"{found}\": {problem}")]
    Device {
        /// The name asked for.
        found: String,
        /// Why it cannot be used.
        problem: String,
    },
    /// A configuration that makes no network.
    #[error("model configuration: {0}")]
    Config(String),
    /// A phase that cannot be trained.
    #[error("training schedule: {0}")]
    Phase(String),
    /// Tensors that do not fit together.
    #[error("{operator}: {problem}")]
    Shape {
        /// The operator that met them.
        operator: &'static str,
        /// Shapes found and expected.
        problem: String,
    },
    /// An example whose image or mask is not of the network's size.
    #[error("example {example}: {what} has {found} pixels, expected {expected}")]
    Example {
        /// Its name, or its place in the batch from 0.
        example: String,
        /// `image` or `mask`.
        what: &'static str,
        /// Pixels found.
        found: usize,
        /// Pixels expected.
        expected: usize,
    },
    /// A loss that is not a number.
    #[error(
        "epoch {epoch}, batch {batch}: the loss is {loss} on {}; look at these images, or lower the \
         learning rate or set clip_norm",
        examples.join(", ")
    )]
    Diverged {
        /// Epoch, as given.
        epoch: usize,
        /// Batch of the epoch, from 0.
        batch: usize,
        /// The loss.
        loss: f64,
        /// Names of the batch's images.
        examples: Vec<String>,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// A weights file that does not hold what the network needs.
    #[error("{}: {problem}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        problem: String,
    },
    /// The tensor library failed.
    #[error("tensor library: {0}")]
    Tensor(#[from] candle_core::Error),
}

/// A result of this layer.
pub type Result<T> = std::result::Result<T, Error>;
