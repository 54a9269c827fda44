//! Mean over pixels.

use super::tasks::planes_per_task;
use crate::buffer;
use crate::error::{Error, Result};
use crate::operator::{Gradient, Operator, Step};
use crate::ops::mean_logit::means;
use crate::tensors::{tensor, view};
use candle_core::Tensor;
use rayon::prelude::*;

/// Input `[B, C, H, W]`, output `[B, C, 1, 1]`.
pub(crate) struct GlobalMean;

impl Operator for GlobalMean {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let [images, channels, n] = sizes(inputs[0])?;
        let means = means(&view(inputs[0])?, n).into_iter().map(|mean| mean as f32).collect();
        tensor(means, (images, channels, 1, 1))
    }

    fn backward(&self, step: &Step) -> Result<Vec<Option<Gradient>>> {
        let [images, channels, n] = sizes(step.inputs[0])?;
        let gradient = view(step.gradient.tensor())?;
        let mut found = buffer::take(images * channels * n);
        let planes = found.par_chunks_exact_mut(n).zip(&*gradient);
        planes.with_min_len(planes_per_task(n)).for_each(|(found, g)| found.fill(g / n as f32));
        Ok(vec![Some(Gradient::new(tensor(found, step.inputs[0].dims())?))])
    }
}

pub(super) fn sizes(x: &Tensor) -> Result<[usize; 3]> {
    match *x.dims() {
        [images, channels, height, width] if height * width > 0 => {
            Ok([images, channels, height * width])
        }
        ref found => Err(Error::Shape {
            operator: "global mean",
            problem: format!("input {found:?}, expected [B, C, H, W]"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, output, random};
    use super::*;

    #[test]
    fn each_channel_of_each_image_has_its_own() {
        let x = tensor(vec![1.0, 3.0, 10.0, 20.0], (2, 1, 1, 2)).unwrap();
        assert_eq!(output(&GlobalMean, &[x]), [2.0, 15.0]);
    }

    #[test]
    fn gradients_are_difference_quotients() {
        for shape in [[2, 3, 3, 5], [1, 1, 1, 1]] {
            assert_gradients(|| Box::new(GlobalMean), &[random(&shape, 1)], 0.5, 1e-5);
        }
    }

    #[test]
    fn an_image_without_pixels_is_refused() {
        let error = GlobalMean.forward(&[&random(&[1, 1, 0, 2], 1)]).unwrap_err().to_string();
        assert_eq!(error, "global mean: input [1, 1, 0, 2], expected [B, C, H, W]");
    }
}
