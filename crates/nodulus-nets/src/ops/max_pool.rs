//! Maximum over windows.

use super::tasks::planes_per_task;
use super::window::Window;
use crate::buffer;
use crate::error::{Error, Result};
use crate::operator::{Gradient, Operator, Step};
use crate::tensors::{tensor, view};
use candle_core::Tensor;
use rayon::prelude::*;

/// Input `[B, C, H, W]`, output of the size of a convolution with the window. Padding never wins.
pub(crate) struct MaxPool(pub(crate) Window);

impl MaxPool {
    /// Adjacent windows of 2 × 2; an incomplete last row or column is ignored.
    pub(crate) const HALF: Self = Self(Window { size: 2, stride: 2, padding: 0, dilation: 1 });
}

impl Operator for MaxPool {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let PoolShape { planes, size: [height, width], size_out: [ho, wo] } =
            self.sizes(inputs[0])?;
        let x = view(inputs[0])?;
        let mut y = buffer::take(planes * ho * wo);
        y.par_chunks_exact_mut(ho * wo)
            .zip(x.par_chunks_exact(height * width))
            .with_min_len(planes_per_task(height * width))
            .for_each(|(y, x)| {
                for (i, y) in y.iter_mut().enumerate() {
                    *y = x[self.first_maximum(x, [height, width], [i / wo, i % wo])];
                }
            });
        let dims = inputs[0].dims();
        tensor(y, (dims[0], dims[1], ho, wo))
    }

    fn backward(&self, step: &Step) -> Result<Vec<Option<Gradient>>> {
        let sizes = self.sizes(step.inputs[0])?;
        let PoolShape { planes, size: [height, width], size_out: [ho, wo] } = sizes;
        let (x, gradient) = (view(step.inputs[0])?, view(step.gradient.tensor())?);
        let mut found = buffer::zeros(planes * height * width);
        found
            .par_chunks_exact_mut(height * width)
            .zip(x.par_chunks_exact(height * width))
            .zip(gradient.par_chunks_exact(ho * wo))
            .with_min_len(planes_per_task(height * width))
            .for_each(|((found, x), gradient)| {
                for (i, gradient) in gradient.iter().enumerate() {
                    found[self.first_maximum(x, [height, width], [i / wo, i % wo])] += gradient;
                }
            });
        Ok(vec![Some(Gradient::new(tensor(found, step.inputs[0].dims())?))])
    }
}

struct PoolShape {
    planes: usize,
    size: [usize; 2],
    size_out: [usize; 2],
}

impl MaxPool {
    /// Rows and columns of the output, after a check that the input fits.
    pub(super) fn size_out(&self, x: &Tensor) -> Result<[usize; 2]> {
        Ok(self.sizes(x)?.size_out)
    }

    fn sizes(&self, x: &Tensor) -> Result<PoolShape> {
        let window = self.0;
        let wrong = || Error::Shape {
            operator: "max-pool",
            problem: format!("{window:?} does not fit {:?}", x.dims()),
        };
        let [images, channels, height, width] = *x.dims() else { return Err(wrong()) };
        // A window contains a pixel if its padding is smaller than its size.
        let fits = height * width > 0 && window.padding < window.size && window.dilation == 1;
        let output = |n| window.output(n).filter(|_| fits).ok_or_else(wrong);
        let size_out = [output(height)?, output(width)?];
        Ok(PoolShape { planes: images * channels, size: [height, width], size_out })
    }

    /// Index of the largest value under a window; the first of several, as in `PyTorch`.
    fn first_maximum(&self, x: &[f32], [height, width]: [usize; 2], at: [usize; 2]) -> usize {
        let Window { size, stride, padding, .. } = self.0;
        let [top, left] = at.map(|at| (at * stride).saturating_sub(padding));
        let [bottom, right] = at.map(|at| at * stride + size - padding);
        let rows = top..bottom.min(height);
        let columns = left..right.min(width);
        let mut best = (f32::NEG_INFINITY, top * width + left);
        for row in rows {
            let line = &x[row * width..][..width];
            for (c, value) in line[columns.clone()].iter().enumerate() {
                best = if *value > best.0 { (*value, row * width + left + c) } else { best };
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, output, random};
    use super::*;

    const OVERLAPPING: MaxPool = MaxPool(Window { size: 3, stride: 2, padding: 1, dilation: 1 });

    #[test]
    fn windows_overlap_and_end_at_the_border() {
        let x = tensor((0..16u8).map(f32::from).collect(), (1, 1, 4, 4)).unwrap();
        assert_eq!(output(&OVERLAPPING, &[x]), [5.0, 7.0, 13.0, 15.0]);
        let x = tensor(vec![-3.0, -1.0, -2.0], (1, 1, 1, 3)).unwrap();
        assert_eq!(output(&OVERLAPPING, &[x]), [-1.0, -1.0]);
    }

    #[test]
    fn halves_leave_a_lone_row_out() {
        let x = tensor((0..15u8).map(f32::from).collect(), (1, 1, 3, 5)).unwrap();
        assert_eq!(output(&MaxPool::HALF, &[x]), [6.0, 8.0]);
        let error = MaxPool::HALF.forward(&[&random(&[1, 1, 1, 4], 1)]).unwrap_err().to_string();
        assert!(error.ends_with("does not fit [1, 1, 1, 4]"), "{error}");
    }

    #[test]
    fn gradients_are_difference_quotients() {
        for size in [[2, 3, 6, 8], [1, 2, 5, 7]] {
            assert_gradients(|| Box::new(OVERLAPPING), &[random(&size, 3)], 1e-3, 1e-2);
            assert_gradients(|| Box::new(MaxPool::HALF), &[random(&size, 3)], 1e-3, 1e-2);
        }
    }

    #[test]
    fn the_first_of_equal_values_takes_the_gradient() {
        let x = Tensor::zeros((1, 1, 2, 2), candle_core::DType::F32, &candle_core::Device::Cpu);
        let x = x.unwrap();
        let y = OVERLAPPING.forward(&[&x]).unwrap();
        let gradient = Gradient::new(y.ones_like().unwrap());
        let step = Step { inputs: &[&x], output: &y, gradient: &gradient, wanted: &[true] };
        let found = OVERLAPPING.backward(&step).unwrap().remove(0).unwrap();
        assert_eq!(view(found.tensor()).unwrap()[..], [1.0, 0.0, 0.0, 0.0]);
    }
}
