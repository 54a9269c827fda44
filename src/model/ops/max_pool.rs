//! Maximum over 3 × 3 windows, stride 2, padding 1.

use super::{planes_per_task, tensor, view};
use crate::model::buffer;
use crate::model::error::{Error, Result};
use crate::model::tape::{Gradient, Operator, Step};
use candle_core::Tensor;
use rayon::prelude::*;

/// Input `[B, C, H, W]`, output `[B, C, ceil(H / 2), ceil(W / 2)]`.
pub(in crate::model) struct MaxPool;

impl Operator for MaxPool {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let [planes, height, width] = sizes(inputs[0])?;
        let (ho, wo) = (height.div_ceil(2), width.div_ceil(2));
        let x = view(inputs[0])?;
        let mut y = buffer::take(planes * ho * wo);
        y.par_chunks_exact_mut(ho * wo)
            .zip(x.par_chunks_exact(height * width))
            .with_min_len(planes_per_task(height * width))
            .for_each(|(y, x)| {
                for (i, y) in y.iter_mut().enumerate() {
                    *y = x[first_maximum(x, height, width, i / wo, i % wo)];
                }
            });
        let dims = inputs[0].dims();
        tensor(y, (dims[0], dims[1], ho, wo))
    }

    fn backward(&self, step: &Step) -> Result<Vec<Option<Gradient>>> {
        let [planes, height, width] = sizes(step.inputs[0])?;
        let (ho, wo) = (height.div_ceil(2), width.div_ceil(2));
        let (x, gradient) = (view(step.inputs[0])?, view(step.gradient.tensor())?);
        let mut found = buffer::zeros(planes * height * width);
        found
            .par_chunks_exact_mut(height * width)
            .zip(x.par_chunks_exact(height * width))
            .zip(gradient.par_chunks_exact(ho * wo))
            .with_min_len(planes_per_task(height * width))
            .for_each(|((found, x), gradient)| {
                for (i, gradient) in gradient.iter().enumerate() {
                    found[first_maximum(x, height, width, i / wo, i % wo)] += gradient;
                }
            });
        Ok(vec![Some(Gradient::new(tensor(found, step.inputs[0].dims())?))])
    }
}

fn sizes(x: &Tensor) -> Result<[usize; 3]> {
    match *x.dims() {
        [images, channels, height, width] if height * width > 0 => {
            Ok([images * channels, height, width])
        }
        ref found => Err(Error::Shape {
            operator: "max-pool",
            problem: format!("input {found:?}, expected [B, C, H, W]"),
        }),
    }
}

/// Where the largest value under a window lies; the first of several, as in `PyTorch`.
fn first_maximum(x: &[f32], height: usize, width: usize, row: usize, column: usize) -> usize {
    let top = (2 * row).saturating_sub(1);
    let left = (2 * column).saturating_sub(1);
    let rows = (2 * row + 2).min(height) - top;
    let columns = (2 * column + 2).min(width) - left;
    let mut best = (f32::NEG_INFINITY, top * width + left);
    for at in (0..rows).map(|r| (top + r) * width + left) {
        for (c, value) in x[at..at + columns].iter().enumerate() {
            best = if *value > best.0 { (*value, at + c) } else { best };
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, output, random};
    use super::*;

    #[test]
    fn windows_overlap_and_end_at_the_border() {
        let x = tensor((0..16u8).map(f32::from).collect(), (1, 1, 4, 4)).unwrap();
        assert_eq!(output(&MaxPool, &[x]), [5.0, 7.0, 13.0, 15.0]);
        let x = tensor(vec![-3.0, -1.0, -2.0], (1, 1, 1, 3)).unwrap();
        assert_eq!(output(&MaxPool, &[x]), [-1.0, -1.0]);
    }

    #[test]
    fn gradients_are_difference_quotients() {
        for size in [[2, 3, 6, 8], [1, 2, 5, 7]] {
            assert_gradients(|| Box::new(MaxPool), &[random(&size, 3)], 1e-3, 1e-2);
        }
    }

    #[test]
    fn the_first_of_equal_values_takes_the_gradient() {
        let x = Tensor::zeros((1, 1, 2, 2), candle_core::DType::F32, &candle_core::Device::Cpu);
        let x = x.unwrap();
        let y = MaxPool.forward(&[&x]).unwrap();
        let gradient = Gradient::new(y.ones_like().unwrap());
        let step = Step { inputs: &[&x], output: &y, gradient: &gradient, wanted: &[true] };
        let found = MaxPool.backward(&step).unwrap().remove(0).unwrap();
        assert_eq!(view(found.tensor()).unwrap()[..], [1.0, 0.0, 0.0, 0.0]);
    }
}
