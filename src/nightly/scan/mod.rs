//! A series of the input becomes a scan with scored nodules: read, segment, merge and measure.

pub(super) mod memory;
pub(super) mod result_inputs;
pub(super) mod files;
pub mod model;
pub(super) mod contract;
pub(super) mod segment;
mod region;
pub(super) mod exclusion;
pub(super) mod read;
pub mod scored;
pub(super) mod nodules;
pub mod training_range;
