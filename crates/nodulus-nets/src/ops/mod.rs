//! Operators with their gradients.
//!
//! Operators for the processor take and return contiguous `f32` tensors with axes in `PyTorch`'s
//! order (image, channel, row, column). The order of summation depends on the shapes alone, so
//! results are the same bit for bit for any number of threads.

mod tasks;
mod product;
pub(super) mod window;
mod strips;
mod stack;
mod direct;
mod packed;
pub(super) mod partition;
mod winograd;
pub(super) mod convolution;
pub(super) mod prepared_convolution;
pub(super) mod prepared_pyramid;
pub(super) mod depthwise;
pub(super) mod up_convolution;
pub(super) mod normalised_sum;
pub(super) mod max_pool;
pub(super) mod concatenation;
pub(super) mod bilinear;
pub(super) mod mean_logit;
pub(super) mod global_mean;
pub(super) mod sigmoid;
pub(super) mod channel_gate;
pub(super) mod multiplication;
pub(super) mod threshold_dynamics;
pub(super) mod composed;
pub(super) mod cuda;
#[cfg(test)]
mod check;
#[cfg(test)]
mod golden;
