//! Layers: operators with their parameters.

mod basic;
mod blocks;

pub(super) use basic::{Addend, BatchNorm, Conv, Pass};
pub(super) use blocks::{Combination, Pyramid, ResidualUnit, up};
