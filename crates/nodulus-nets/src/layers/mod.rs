//! Layers: operators with their parameters.

mod basic;
mod blocks;
mod folded;

pub(super) use basic::{Addend, BatchNorm, Conv, ConvUnit, Pass, UpConv};
pub(super) use blocks::{Combination, Pyramid, ResidualUnit, Stem, up};
pub(super) use folded::Folded;
