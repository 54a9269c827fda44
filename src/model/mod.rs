//! The networks: operators, layers, training and inference.
//!
//! Images are `[B, 1, H, W]`, rows along j and columns along i, values in 0..1.

mod error;
mod device;
mod buffer;
mod tape;
mod ops;

pub use device::Device;
pub use error::{Error, Result};
