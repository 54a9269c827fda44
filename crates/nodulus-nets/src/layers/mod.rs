//! Layers: operators with their parameters.

mod norm;
mod convolution;
mod addend;
mod folded;
mod pass;
mod units;
mod blocks;

pub(super) use addend::Addend;
pub(super) use blocks::{Combination, ResidualUnit, Stem, SummedPyramid, up};
pub(super) use convolution::Conv;
pub(super) use folded::FoldedNetwork;
pub(super) use norm::BatchNorm;
pub(super) use pass::Pass;
pub(super) use units::{ConvUnit, UpConv};
