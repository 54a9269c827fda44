//! Bilinear resizing of images.

use super::tasks::planes_per_task;
use crate::buffer;
use crate::error::{Error, Result};
use crate::operator::{Gradient, Operator, Step};
use crate::tensors::{tensor, view};
use candle_core::Tensor;
use rayon::prelude::*;

/// Input `[B, C, h, w]`, output `[B, C, H, W]`. Pixels are areas (`align_corners = false` in
/// `PyTorch`), the border is replicated, and there is no smoothing for a smaller output.
pub(crate) struct Bilinear {
    /// Rows and columns of the output.
    pub(crate) size: [usize; 2],
}

impl Operator for Bilinear {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let [images, channels, height, width] = self.sizes(inputs[0])?;
        let [rows, columns] = self.interpolations([height, width]);
        let x = view(inputs[0])?;
        let n_out = self.size[0] * self.size[1];
        let mut y = buffer::take(images * channels * n_out);
        let planes = y.par_chunks_exact_mut(n_out).zip(x.par_chunks_exact(height * width));
        planes.with_min_len(planes_per_task(n_out)).for_each(|(y, x)| {
            let mut line = vec![0.0; width];
            for (row, y) in rows.iter().zip(y.chunks_exact_mut(self.size[1])) {
                let [near, far] = row.at.map(|at| &x[at * width..][..width]);
                for ((line, near), far) in line.iter_mut().zip(near).zip(far) {
                    *line = row.weights[0] * near + row.weights[1] * far;
                }
                for (column, y) in columns.iter().zip(y) {
                    let [near, far] = column.at.map(|at| line[at]);
                    *y = column.weights[0] * near + column.weights[1] * far;
                }
            }
        });
        tensor(y, (images, channels, self.size[0], self.size[1]))
    }

    fn backward(&self, step: &Step) -> Result<Vec<Option<Gradient>>> {
        let [images, channels, height, width] = self.sizes(step.inputs[0])?;
        let [rows, columns] = self.interpolations([height, width]);
        let gradient = view(step.gradient.tensor())?;
        let n_out = self.size[0] * self.size[1];
        let mut found = buffer::zeros(images * channels * height * width);
        let planes =
            found.par_chunks_exact_mut(height * width).zip(gradient.par_chunks_exact(n_out));
        planes.with_min_len(planes_per_task(n_out)).for_each(|(found, gradient)| {
            let mut line = vec![0.0; width];
            for (row, gradient) in rows.iter().zip(gradient.chunks_exact(self.size[1])) {
                line.fill(0.0);
                for (column, g) in columns.iter().zip(gradient) {
                    for (at, weight) in column.at.into_iter().zip(column.weights) {
                        line[at] += weight * g;
                    }
                }
                for (at, weight) in row.at.into_iter().zip(row.weights) {
                    let to = found[at * width..][..width].iter_mut();
                    to.zip(&line).for_each(|(to, line)| *to += weight * line);
                }
            }
        });
        Ok(vec![Some(Gradient::new(tensor(found, step.inputs[0].dims())?))])
    }
}

/// The two pixels between which an output pixel lies, and their weights.
#[derive(Clone, Copy)]
pub(super) struct Interpolation {
    pub(super) at: [usize; 2],
    pub(super) weights: [f32; 2],
}

impl Bilinear {
    pub(super) fn sizes(&self, x: &Tensor) -> Result<[usize; 4]> {
        match *x.dims() {
            [images, channels, height, width]
                if height * width > 0 && self.size[0] * self.size[1] > 0 =>
            {
                Ok([images, channels, height, width])
            }
            ref found => Err(Error::Shape {
                operator: "bilinear",
                problem: format!("input {found:?} to size {:?}", self.size),
            }),
        }
    }

    pub(super) fn interpolations(&self, from: [usize; 2]) -> [Vec<Interpolation>; 2] {
        std::array::from_fn(|axis| {
            let (from, to) = (from[axis], self.size[axis]);
            let interpolation = |i: usize| {
                let at = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
                let near = (at as usize).min(from - 1);
                let far = (near + 1).min(from - 1);
                let weight = (at - near as f64) as f32;
                Interpolation { at: [near, far], weights: [1.0 - weight, weight] }
            };
            (0..to).map(interpolation).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, output, random};
    use super::*;

    #[test]
    fn a_ramp_stays_one_and_a_single_pixel_fills_the_image() {
        let x = tensor(vec![0.0, 4.0, 0.0, 4.0], (1, 1, 2, 2)).unwrap();
        let y = output(&Bilinear { size: [2, 8] }, &[x]);
        assert_eq!(y[..8], [0.0, 0.0, 0.5, 1.5, 2.5, 3.5, 4.0, 4.0]);
        assert_eq!(y[8..], y[..8]);
        let x = tensor(vec![2.5], (1, 1, 1, 1)).unwrap();
        assert_eq!(output(&Bilinear { size: [2, 3] }, &[x]), [2.5; 6]);
    }

    #[test]
    fn gradients_are_difference_quotients() {
        for (shape, size) in
            [([2, 2, 3, 5], [7, 11]), ([1, 2, 5, 7], [2, 3]), ([1, 1, 1, 1], [3, 2])]
        {
            assert_gradients(|| Box::new(Bilinear { size }), &[random(&shape, 1)], 0.5, 1e-5);
        }
    }

    #[test]
    fn no_size_is_refused() {
        let error = Bilinear { size: [0, 3] }.forward(&[&random(&[1, 1, 2, 2], 1)]).unwrap_err();
        assert_eq!(error.to_string(), "bilinear: input [1, 1, 2, 2] to size [0, 3]");
    }
}
