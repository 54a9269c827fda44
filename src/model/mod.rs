//! The networks: operators, layers, training and inference.
//!
//! Images are `[B, 1, H, W]`, rows along j and columns along i, values in 0..1.

mod error;
mod device;
mod buffer;
mod tape;
mod ops;
mod config;
mod parameters;
mod layers;
mod resnet;
mod proposed;

pub use config::{Architecture, Config, Mode, Preset};
pub use device::Device;
pub use error::{Error, Result};
pub use proposed::parameter_table;
