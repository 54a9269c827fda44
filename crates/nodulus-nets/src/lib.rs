//! Networks that segment nodules in slices of chest CT: building, training, checkpoints and prediction.
//!
//! Images are `[B, C, H, W]`: slices along k, one by default, rows along j, columns along i, values in 0..1. [`Config`] describes a network,
//! [`Trainer`] trains it and writes checkpoints, [`Predictor`] and [`Ensemble`] predict with them. [`Device`]
//! is the processor or an NVIDIA card.
//!
//! A tiny network, untrained, predicts a slice:
//!
//! ```
//! use nodulus_nets::{Architecture, Config, Device, Predictor, Preset, Trainer, WEIGHTS_FILE};
//!
//! let config = Config { image_size: 16, ..Config::of(Architecture::UNet, Preset::Tiny) };
//! let folder = tempfile::tempdir()?;
//! let trainer = Trainer::new(&config, 1, &Device::Cpu)?;
//! trainer.save_checkpoint(&folder.path().join(WEIGHTS_FILE), &serde_json::Value::Null)?;
//!
//! let predictor = Predictor::load(folder.path(), &Device::Cpu)?;
//! let slice = vec![0.25; 16 * 16];
//! let predictions = predictor.predict(&[slice])?;
//! assert_eq!(predictions[0].probability.len(), 16 * 16);
//! assert!(predictions[0].probability.iter().all(|p| (0.0..=1.0).contains(p)));
//! assert_eq!(predictions[0].nodule_probability, None); // U-Net has no classifier.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
mod start;
mod planes;
mod batch;
mod augment;
mod loss;
mod optim;
mod phase;
mod contract;
mod weights_file;
mod undescribed;
mod calibration;
mod checkpoint;
mod trained_on;
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

pub use augment::Augmentation;
pub use backend::Precision;
pub use batch::{IGNORED_PIXEL, TrainingSample};
pub use calibration::{Calibration, LogitCurve};
pub use checkpoint::{
    BEST_WEIGHTS_FILE, WEIGHTS_FILE, contract, described_contract, origin, weights_path,
};
pub use config::{Architecture, Config, DynamicsMode, Preset};
pub use contract::{
    Contract, HuWindow, TrainedOnSummary, TrainedPhase, TrainedRegion, TrainedSpacing,
    TrainedWindow,
};
pub use device::{Card, Device};
pub use ensemble::Ensemble;
pub use epoch::{Epoch, EpochLog};
pub use error::{Error, Result};
pub use infer::{Prediction, Predictor};
pub use network::parameter_table;
pub use phase::{Decay, Phase};
pub use planes::input_slices;
pub use profile::{
    MEAN_HU_EDGES, PROBABILITY_EDGES, PredictionProfile, TrainingProfile, VOLUME_EDGES_MM3,
    pixel_edges_hu,
};
pub use start::Start;
pub use train::{Trainer, Validation};
pub use trained_on::{IdentityKind, SeenIdentity, TrainedOn, TrainingUse};
pub use transfer::TransferReport;
