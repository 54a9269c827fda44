//! Mean over pixels and weighted sum over channels: the head of a classifier.

use super::tasks::planes_per_task;
use crate::buffer;
use crate::error::{Error, Result};
use crate::operator::{Gradient, Operator, Step};
use crate::tensors::{tensor, view};
use candle_core::Tensor;
use rayon::prelude::*;

/// Inputs `[B, C, H, W]`, `[1, C]` and `[1]`, output `[B]`.
pub(crate) struct MeanLogit;

impl Operator for MeanLogit {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let [_, channels, n] = sizes(inputs)?;
        let (weight, bias) = (view(inputs[1])?, view(inputs[2])?);
        let logits = means(&view(inputs[0])?, n)
            .chunks_exact(channels)
            .map(|means| {
                let sum: f64 = means.iter().zip(&*weight).map(|(m, w)| m * f64::from(*w)).sum();
                (sum + f64::from(bias[0])) as f32
            })
            .collect::<Vec<_>>();
        let images = logits.len();
        tensor(logits, images)
    }

    fn backward(&self, step: &Step) -> Result<Vec<Option<Gradient>>> {
        let [images, channels, n] = sizes(step.inputs)?;
        let (x, weight) = (view(step.inputs[0])?, view(step.inputs[1])?);
        let gradient = view(step.gradient.tensor())?;
        let mut found = vec![None, None, None];
        if step.wanted[0] {
            let mut values = buffer::take(images * channels * n);
            for (i, plane) in values.chunks_exact_mut(n).enumerate() {
                plane.fill(gradient[i / channels] * weight[i % channels] / n as f32);
            }
            found[0] = Some(Gradient::new(tensor(values, step.inputs[0].dims())?));
        }
        if step.wanted[1] {
            let mut sums = vec![0.0f64; channels];
            for (means, g) in means(&x, n).chunks_exact(channels).zip(&*gradient) {
                for (sum, mean) in sums.iter_mut().zip(means) {
                    *sum += mean * f64::from(*g);
                }
            }
            let values = sums.iter().map(|sum| *sum as f32).collect();
            found[1] = Some(Gradient::new(tensor(values, step.inputs[1].dims())?));
        }
        if step.wanted[2] {
            let sum: f64 = gradient.iter().map(|g| f64::from(*g)).sum();
            found[2] = Some(Gradient::new(tensor(vec![sum as f32], 1)?));
        }
        Ok(found)
    }
}

pub(super) fn sizes(inputs: &[&Tensor]) -> Result<[usize; 3]> {
    match (inputs[0].dims(), inputs[1].dims(), inputs[2].dims()) {
        (&[images, channels, height, width], &[1, weights], &[1])
            if channels == weights && height * width > 0 =>
        {
            Ok([images, channels, height * width])
        }
        (x, w, b) => Err(Error::Shape {
            operator: "mean logit",
            problem: format!("input {x:?}, weight {w:?}, bias {b:?}"),
        }),
    }
}

/// Mean of each plane of `n` values.
pub(super) fn means(x: &[f32], n: usize) -> Vec<f64> {
    x.par_chunks_exact(n)
        .with_min_len(planes_per_task(n))
        .map(|plane| plane.iter().map(|v| f64::from(*v)).sum::<f64>() / n as f64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, output, random};
    use super::*;

    #[test]
    fn channels_are_averaged_and_weighed() {
        let x = tensor(vec![1.0, 3.0, 10.0, 20.0], (1, 2, 1, 2)).unwrap();
        let weight = tensor(vec![2.0, -1.0], (1, 2)).unwrap();
        let bias = tensor(vec![0.5], 1).unwrap();
        assert_eq!(output(&MeanLogit, &[x, weight, bias]), [4.0 - 15.0 + 0.5]);
    }

    #[test]
    fn gradients_are_difference_quotients() {
        let inputs = [random(&[3, 4, 2, 3], 1), random(&[1, 4], 2), random(&[1], 3)];
        assert_gradients(|| Box::new(MeanLogit), &inputs, 0.5, 1e-5);
    }
}
