//! The networks: operators, layers, training and inference.
//!
//! Images are `[B, 1, H, W]`, rows along j and columns along i, values in 0..1.

mod error;
mod buffer;
mod vector;
mod tensors;
mod backend;
mod operator;
mod ops;
mod tape;
mod device;
mod config;
mod parameters;
mod layers;
mod resnet;
mod proposed;
mod unet;
mod resunet;
mod resunet_plus_plus;
mod deeplab_v3_plus;
mod network;
mod loss;
mod optim;
mod phase;
mod batch;
mod checkpoint;
mod profile;
mod transfer;
mod epoch;
mod train;
mod infer;
mod ensemble;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod bf16;

pub use backend::Precision;
pub use batch::{IGNORED_PIXEL, TrainingSample};
pub use checkpoint::{BEST_WEIGHTS_FILE, WEIGHTS_FILE, weights_path};
pub use config::{Architecture, Config, DynamicsMode, Preset};
pub use device::{Card, Device};
pub use ensemble::Ensemble;
pub use epoch::{Epoch, EpochLog};
pub use error::{Error, Result};
pub use infer::{Prediction, Predictor};
pub use network::parameter_table;
pub use phase::Phase;
pub use profile::{
    MEAN_HU_EDGES, PROBABILITY_EDGES, PredictionProfile, TrainingProfile, VOLUME_EDGES_MM3,
    pixel_edges_hu,
};
pub use train::Trainer;
pub use transfer::TransferReport;
