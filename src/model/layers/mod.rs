//! Layers: operators with their parameters.

mod basic;
mod blocks;
mod folded;

pub(super) use basic::{Addend, BatchNorm, Conv, Pass};
pub(super) use blocks::{Combination, Pyramid, ResidualUnit, up};
pub(super) use folded::Folded;
