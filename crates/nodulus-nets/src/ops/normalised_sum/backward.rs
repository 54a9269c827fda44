//! The backward pass of one normalised term.

use super::channel_statistics::{ChannelAffine, channel_pairs, inverse_deviation};
use crate::buffer;
use crate::error::Result;
use crate::operator::Gradient;
use crate::ops::tasks::planes_per_task;
use crate::tensors::{tensor, view};
use crate::vector::{self, ReluGate};
use candle_core::Tensor;
use rayon::prelude::*;

/// The backward pass of one normalised term.
pub(super) struct NormBackward<'a> {
    pub(super) g: &'a [f32],
    /// Whether the gradient counts only where the normalised input is positive.
    pub(super) gated: bool,
    pub(super) shape: [usize; 3],
    pub(super) mean: &'a [f32],
    pub(super) variance: &'a [f32],
    pub(super) of_batch: bool,
}

impl NormBackward<'_> {
    pub(super) fn run(
        &self,
        inputs: &[&Tensor],
        wanted: &[bool],
        affine: &[ChannelAffine],
    ) -> Result<[Option<Gradient>; 3]> {
        let (x, scale) = (view(inputs[0])?, view(inputs[1])?);
        let [images, channels, n] = self.shape;
        let gates: Vec<Option<ReluGate>> = affine
            .iter()
            .map(|&(scale, shift)| self.gated.then_some(ReluGate { scale, shift }))
            .collect();
        let sums = if self.of_batch && wanted[0] || wanted[1] || wanted[2] {
            self.sums(&x, &gates)
        } else {
            vec![(0.0, 0.0); channels]
        };
        let mut found = [None, None, None];
        if wanted[1] {
            let values = sums.iter().zip(self.variance);
            let values = values.map(|((_, q), v)| (q * inverse_deviation(*v)) as f32).collect();
            found[1] = Some(Gradient::new(tensor(values, channels)?));
        }
        if wanted[2] {
            let values = sums.iter().map(|(s, _)| *s as f32).collect();
            found[2] = Some(Gradient::new(tensor(values, channels)?));
        }
        if wanted[0] {
            let count = if self.of_batch { (images * n) as f64 } else { f64::INFINITY };
            let factors: Vec<[f32; 3]> = (0..channels)
                .map(|c| {
                    let inverse = inverse_deviation(self.variance[c]);
                    let of_g = f64::from(scale[c]) * inverse;
                    let of_x = -of_g * inverse * inverse * sums[c].1 / count;
                    let mean = f64::from(self.mean[c]);
                    let constant = -of_g * sums[c].0 / count - of_x * mean;
                    [of_g as f32, of_x as f32, constant as f32]
                })
                .collect();
            let values = self.input_gradient(&x, &gates, &factors);
            found[0] = Some(Gradient::new(tensor(values, inputs[0].dims())?));
        }
        Ok(found)
    }

    /// Sums of `g` and of `g * (x - mean)` for each channel.
    fn sums(&self, x: &[f32], gates: &[Option<ReluGate>]) -> Vec<(f64, f64)> {
        channel_pairs(self.shape, |c, plane| {
            let mean = self.mean[c];
            vector::weighted_sums(&self.g[plane.clone()], &x[plane], gates[c], mean)
        })
    }

    fn input_gradient(
        &self,
        x: &[f32],
        gates: &[Option<ReluGate>],
        factors: &[[f32; 3]],
    ) -> Vec<f32> {
        let [_, channels, n] = self.shape;
        let mut found = buffer::take(x.len());
        let planes = found.par_chunks_mut(n).with_min_len(planes_per_task(n)).enumerate();
        planes.for_each(|(plane, found)| {
            let at = plane * n..(plane + 1) * n;
            let (g, x, c) = (&self.g[at.clone()], &x[at], plane % channels);
            vector::combine(found, g, x, gates[c], factors[c]);
        });
        found
    }
}
