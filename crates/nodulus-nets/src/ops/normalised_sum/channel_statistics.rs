//! Mean and variance of each channel, and the scale and shift that normalise by them.

use crate::error::{Error, Result};
use crate::ops::tasks::planes_per_task;
use crate::tensors::{tensor, view};
use crate::vector;
use candle_core::Tensor;
use rayon::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

/// Added to variances before the square root: `PyTorch`'s default.
pub(in crate::ops) const EPSILON: f64 = 1e-5;

/// Mean and variance (of the population, not the sample) of each channel.
#[derive(Clone, Debug)]
pub(crate) struct ChannelStatistics {
    /// Means, `[C]`.
    pub(crate) mean: Tensor,
    /// Variances, `[C]`.
    pub(crate) variance: Tensor,
    /// Number of values averaged over; 0 for running statistics.
    pub(crate) count: usize,
}

/// Slot in which a forward pass records a batch's statistics.
pub(crate) type StatisticsSlot = Rc<RefCell<Option<ChannelStatistics>>>;

/// Scale and shift of a channel: `scale * x + shift`.
pub(crate) type ChannelAffine = (f32, f32);

pub(super) fn inverse_deviation(variance: f32) -> f64 {
    1.0 / (f64::from(variance) + EPSILON).sqrt()
}

/// Scale and shift of each channel that normalise by these statistics, then scale and shift.
pub(crate) fn affine(
    statistics: &ChannelStatistics,
    scale: &[f32],
    shift: &[f32],
) -> Result<Vec<ChannelAffine>> {
    let (mean, variance) = (view(&statistics.mean)?, view(&statistics.variance)?);
    let moments = mean.iter().zip(&*variance);
    let affine = moments.zip(scale.iter().zip(shift)).map(|((mean, variance), (scale, shift))| {
        let scale = f64::from(*scale) * inverse_deviation(*variance);
        (scale as f32, (f64::from(*shift) - f64::from(*mean) * scale) as f32)
    });
    Ok(affine.collect())
}

/// The statistics that a forward pass recorded.
pub(crate) fn recorded_statistics(found: &StatisticsSlot) -> Result<ChannelStatistics> {
    found.borrow().clone().ok_or_else(|| Error::Shape {
        operator: "normalised sum",
        problem: "no statistics: backward without forward".to_owned(),
    })
}

/// Sums by channel, over images, of the pairs that `f` computes for each plane.
pub(super) fn channel_pairs(
    [images, channels, n]: [usize; 3],
    f: impl Fn(usize, std::ops::Range<usize>) -> (f32, f32) + Sync,
) -> Vec<(f64, f64)> {
    let planes: Vec<(f32, f32)> = (0..images * channels)
        .into_par_iter()
        .with_min_len(planes_per_task(n))
        .map(|plane| f(plane % channels, plane * n..(plane + 1) * n))
        .collect();
    (0..channels)
        .map(|c| {
            let of_channel = planes.iter().skip(c).step_by(channels);
            of_channel.fold((0.0, 0.0), |sum, plane| {
                (sum.0 + f64::from(plane.0), sum.1 + f64::from(plane.1))
            })
        })
        .collect()
}

pub(super) fn statistics(x: &[f32], shape: [usize; 3]) -> Result<ChannelStatistics> {
    let [images, channels, n] = shape;
    // Differences from one of the channel's own values keep all digits where the mean is large
    // compared with the deviation.
    let pivot = |c: usize| x[c * n];
    let sums = channel_pairs(shape, |c, plane| vector::moments(&x[plane], pivot(c)));
    let count = images * n;
    let (mut mean, mut variance) = (Vec::new(), Vec::new());
    for (c, (sum, squares)) in sums.into_iter().enumerate().take(channels) {
        let shifted = sum / count as f64;
        mean.push((f64::from(pivot(c)) + shifted) as f32);
        variance.push((squares / count as f64 - shifted * shifted).max(0.0) as f32);
    }
    Ok(ChannelStatistics {
        mean: tensor(mean, channels)?,
        variance: tensor(variance, channels)?,
        count,
    })
}
