//! A run of the nightly job: decides what to score, reads, scores and writes at the same time, then sends.

mod error;
pub mod event;
pub mod summary;
mod context;
mod finished;
mod triage;
mod score;
mod write;
mod deliveries;
mod prometheus;
pub mod job;
pub mod status;

pub use error::Error;
