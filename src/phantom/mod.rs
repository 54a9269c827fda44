//! Seeded synthetic cohorts of chest CT, written in the real formats, with known truth.
//!
//! The seed, the cohort and the patient's number determine a patient: more patients leave the first ones as they are, and
//! neither the machine nor the number of threads matters.

mod config;
mod error;
mod seed;
mod grid;
mod texture;
mod edge;
mod chest;
mod tubes;
mod shape;
mod nodule;
mod placing;
mod noise;
mod scan;
mod outline;
mod readers;
mod truth;
mod traps;
mod cohorts;
mod follow_up;
mod folder;
mod write;

pub use config::Config;
pub use error::Error;
pub use folder::PhantomSummary;
pub use follow_up::{FollowUp, Visit, VisitNodule, write_follow_up};
pub use nodule::NoduleType;
pub use noise::Kernel;
pub use traps::TRAPS;
pub use truth::{NoduleTruth, PatientTruth, Truth};
pub use write::{FOLDER, is_written, n_cases, write};

#[cfg(test)]
mod tests;
