//! Layers: operators with their parameters.

mod basic;
mod blocks;

pub(super) use basic::{Addend, BatchNorm, Conv, ConvUnit, Pass, UpConv};
pub(super) use blocks::{Combination, Pyramid, ResidualUnit, Stem, up};
