//! Channels multiplied by the logistic function of one number each.

use super::sigmoid::sigmoid;
use super::tasks::planes_per_task;
use crate::buffer;
use crate::error::{Error, Result};
use crate::operator::{Gradient, Operator, Step};
use crate::tensors::{tensor, view};
use crate::vector;
use candle_core::Tensor;
use rayon::prelude::*;

/// `x * sigmoid(g)`; inputs `[B, C, H, W]` and `[B, C, 1, 1]`.
pub(crate) struct ChannelGate;

impl Operator for ChannelGate {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let n = pixels(inputs)?;
        let (x, g) = (view(inputs[0])?, view(inputs[1])?);
        let mut y = buffer::take(x.len());
        let planes = y.par_chunks_exact_mut(n).zip(x.par_chunks_exact(n)).zip(&*g);
        planes
            .with_min_len(planes_per_task(n))
            .for_each(|((y, x), g)| vector::affine(y, x, sigmoid(*g), 0.0));
        tensor(y, inputs[0].dims())
    }

    fn backward(&self, step: &Step) -> Result<Vec<Option<Gradient>>> {
        let n = pixels(step.inputs)?;
        let (x, g) = (view(step.inputs[0])?, view(step.inputs[1])?);
        let gradient = view(step.gradient.tensor())?;
        let of_x = || {
            let mut found = buffer::take(x.len());
            let planes = found.par_chunks_exact_mut(n).zip(gradient.par_chunks_exact(n)).zip(&*g);
            planes
                .with_min_len(planes_per_task(n))
                .for_each(|((to, from), g)| vector::affine(to, from, sigmoid(*g), 0.0));
            Ok::<_, Error>(Gradient::new(tensor(found, step.inputs[0].dims())?))
        };
        let of_g = || {
            let planes = gradient.par_chunks_exact(n).zip(x.par_chunks_exact(n)).zip(&*g);
            let found = planes.with_min_len(planes_per_task(n)).map(|((gradient, x), g)| {
                let weight = sigmoid(*g);
                vector::weighted_sums(gradient, x, None, 0.0).1 * weight * (1.0 - weight)
            });
            Ok::<_, Error>(Gradient::new(tensor(found.collect(), step.inputs[1].dims())?))
        };
        Ok(vec![step.wanted[0].then(of_x).transpose()?, step.wanted[1].then(of_g).transpose()?])
    }
}

/// Pixels of an image, after a check that the inputs fit.
pub(super) fn pixels(inputs: &[&Tensor]) -> Result<usize> {
    match (inputs[0].dims(), inputs[1].dims()) {
        (&[images, channels, height, width], &[images_too, channels_too, 1, 1])
            if [images, channels] == [images_too, channels_too] && height * width > 0 =>
        {
            Ok(height * width)
        }
        (x, g) => Err(Error::Shape {
            operator: "gate",
            problem: format!("input {x:?}, weights {g:?}, expected [B, C, 1, 1]"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, output, random};
    use super::*;

    #[test]
    fn a_channel_is_weighed_by_its_own_number() {
        let x = tensor(vec![2.0, 4.0, 6.0, 8.0], (1, 2, 1, 2)).unwrap();
        let g = tensor(vec![0.0, 3.0f32.ln()], (1, 2, 1, 1)).unwrap();
        let y = output(&ChannelGate, &[x, g]);
        let expected = [1.0, 2.0, 4.5, 6.0];
        assert!(y.iter().zip(expected).all(|(y, e)| (y - e).abs() < 1e-5), "{y:?}");
    }

    #[test]
    fn gradients_are_difference_quotients() {
        for [images, height, width] in [[2, 3, 5], [1, 1, 1]] {
            let inputs = [random(&[images, 2, height, width], 1), random(&[images, 2, 1, 1], 2)];
            assert_gradients(|| Box::new(ChannelGate), &inputs, 2e-2, 1e-3);
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let inputs = [random(&[1, 2, 3, 3], 1), random(&[1, 3, 1, 1], 2)];
        let error = ChannelGate.forward(&inputs.each_ref()).unwrap_err().to_string();
        assert!(error.starts_with("gate: input [1, 2, 3, 3], weights [1, 3, 1, 1]"), "{error}");
    }
}
