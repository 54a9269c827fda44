//! A run of the nightly job: decides what to score, then reads, scores and writes at the same time.

mod error;
pub mod event;
pub mod summary;
mod context;
mod finished;
mod input_checks;
mod triage;
mod score;
mod write;
mod reconcile;
pub mod job;
pub mod status;

pub use error::Error;
