//! A run of the nightly job: decides what to score, reads, scores and writes at the same time, then sends.

mod error;
pub mod event;
pub mod summary;
mod context;
mod finished;
mod input_checks;
mod triage;
mod score;
mod write;
mod results;
mod work;
mod deliveries;
mod prometheus;
mod reconcile;
pub mod job;
pub mod status;

pub use error::Error;
