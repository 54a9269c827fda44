//! Depthwise convolution: one 3 × 3 kernel per channel, padding 1.

use super::normalised_sum::ChannelAffine;
use super::tasks::{planes_per_task, with_scratch};
use crate::buffer;
use crate::error::{Error, Result};
use crate::operator::{Gradient, Operator, Step};
use crate::tensors::{tensor, view};
use crate::vector::{self, vectorised};
use candle_core::Tensor;
use rayon::prelude::*;

/// `y[c] = w[c] * x[c]`; inputs `[B, C, H, W]` and `[C, 1, 3, 3]`, output
/// `[B, C, ceil(H / stride), ceil(W / stride)]`.
pub(crate) struct Depthwise {
    /// Step between outputs.
    pub(crate) stride: usize,
}

/// Sizes of one plane.
///
/// A plane is copied into a border of zeros and treated as one long line: every element of the
/// kernel is then at a constant offset, and loops are as long as possible. With a stride above 1,
/// the outputs between are computed too and skipped.
#[derive(Clone, Copy)]
struct PaddedPlane {
    height: usize,
    width: usize,
    height_out: usize,
    width_out: usize,
    stride: usize,
}

impl PaddedPlane {
    fn pixels(self) -> usize {
        self.height * self.width
    }

    fn pixels_out(self) -> usize {
        self.height_out * self.width_out
    }

    /// Offset from one row to the next.
    fn pitch(self) -> usize {
        self.width + 2
    }

    /// Length of the line of outputs, including the border's columns.
    fn line(self) -> usize {
        self.height * self.pitch()
    }

    /// Length of the line of inputs.
    fn padded(self) -> usize {
        self.line() + 2 * self.pitch() + 2
    }

    /// Offset of the kernel's element `k` in the line of inputs.
    fn shift(self, k: usize) -> usize {
        k / 3 * self.pitch() + k % 3
    }

    /// Copies rows of `from` into a line of zeros; the first pixel goes to `start`, and pixels and
    /// rows are `step` apart.
    fn lay(self, from: &[f32], width: usize, start: usize, step: usize, line: &mut [f32]) {
        line.fill(0.0);
        let rows = line[start..].chunks_mut(self.pitch()).step_by(step);
        for (to, from) in rows.zip(from.chunks_exact(width)) {
            if step == 1 {
                to[..width].copy_from_slice(from);
            } else {
                to.iter_mut().step_by(step).zip(from).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

impl PaddedPlane {
    /// Replaces each pixel of a line by `max(0, scale * x + shift)`; the border stays 0.
    fn rectify(self, (scale, shift): ChannelAffine, line: &mut [f32]) {
        vectorised(
            #[inline(always)]
            || {
                for row in line[self.pitch()..].chunks_mut(self.pitch()).take(self.height) {
                    for x in &mut row[1..=self.width] {
                        *x = (scale * *x + shift).max(0.0);
                    }
                }
            },
        );
    }
}

impl Operator for Depthwise {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        self.run(inputs, None)
    }

    fn backward(&self, step: &Step) -> Result<Vec<Option<Gradient>>> {
        let (images, channels, plane) = self.sizes(step.inputs)?;
        let (x, weight) = (view(step.inputs[0])?, view(step.inputs[1])?);
        let gradient = view(step.gradient.tensor())?;
        let (n, n_out) = (plane.pixels(), plane.pixels_out());
        let mut of_input = buffer::take(images * channels * n);
        let planes = of_input.par_chunks_exact_mut(n).enumerate();
        let planes = planes.zip(x.par_chunks_exact(n).zip(gradient.par_chunks_exact(n_out)));
        let of_kernels: Vec<[f32; 9]> = planes
            .with_min_len(planes_per_task(n))
            .map(|((i, of_input), (x, gradient))| {
                with_scratch(2 * plane.padded() + plane.line(), |scratch| {
                    let (x_line, scratch) = scratch.split_at_mut(plane.padded());
                    let (line, sums) = scratch.split_at_mut(plane.padded());
                    let (start, stride) = (plane.pitch() + 1, plane.stride);
                    plane.lay(gradient, plane.width_out, start, stride, line);
                    if step.wanted[0] {
                        // The input's gradient is a convolution with the flipped kernel.
                        let mut turned = kernel(&weight, i % channels);
                        turned.reverse();
                        correlate(plane, line, &turned, sums);
                        let rows = sums.chunks_exact(plane.pitch());
                        for (to, row) in of_input.chunks_exact_mut(plane.width).zip(rows) {
                            to.copy_from_slice(&row[..to.len()]);
                        }
                    }
                    if !step.wanted[1] {
                        return [0.0; 9];
                    }
                    plane.lay(x, plane.width, start, 1, x_line);
                    kernel_gradient(plane, x_line, &line[start..][..plane.line()])
                })
            })
            .collect();
        let mut of_weight = vec![0.0; channels * 9];
        for (i, of_kernel) in of_kernels.iter().enumerate() {
            vector::add(&mut of_weight[i % channels * 9..][..9], of_kernel);
        }
        let found = [(0, of_input), (1, of_weight)];
        let gradient = |(i, values): (usize, Vec<f32>)| {
            if !step.wanted[i] {
                return Ok(None);
            }
            Ok(Some(Gradient::new(tensor(values, step.inputs[i].dims())?)))
        };
        found.into_iter().map(gradient).collect()
    }
}

impl Depthwise {
    /// The output for the input, or with `before` for `max(0, scale * x + shift)` of each channel.
    ///
    /// # Errors
    ///
    /// As the operator's.
    pub(crate) fn run(
        &self,
        inputs: &[&Tensor],
        before: Option<&[ChannelAffine]>,
    ) -> Result<Tensor> {
        let (images, channels, plane) = self.sizes(inputs)?;
        let (x, weight) = (view(inputs[0])?, view(inputs[1])?);
        if let Some(before) = before.filter(|before| before.len() != channels) {
            return Err(Error::Shape {
                operator: "depthwise convolution",
                problem: format!("{} scales for {channels} channels", before.len()),
            });
        }
        let (n, n_out) = (plane.pixels(), plane.pixels_out());
        let mut y = buffer::take(images * channels * n_out);
        let planes = y.par_chunks_exact_mut(n_out).zip(x.par_chunks_exact(n));
        planes.with_min_len(planes_per_task(n)).enumerate().for_each(|(i, (y, x))| {
            with_scratch(plane.padded() + plane.line(), |scratch| {
                let (line, sums) = scratch.split_at_mut(plane.padded());
                plane.lay(x, plane.width, plane.pitch() + 1, 1, line);
                if let Some(before) = before {
                    plane.rectify(before[i % channels], line);
                }
                correlate(plane, line, &kernel(&weight, i % channels), sums);
                let rows = sums.chunks_exact(plane.pitch()).step_by(plane.stride);
                for (y, row) in y.chunks_exact_mut(plane.width_out).zip(rows) {
                    if plane.stride == 1 {
                        y.copy_from_slice(&row[..y.len()]);
                    } else {
                        y.iter_mut()
                            .zip(row.iter().step_by(plane.stride))
                            .for_each(|(y, v)| *y = *v);
                    }
                }
            });
        });
        tensor(y, (images, channels, plane.height_out, plane.width_out))
    }

    /// Rows and columns of the output, after a check that the inputs fit.
    pub(super) fn size_out(&self, inputs: &[&Tensor]) -> Result<[usize; 2]> {
        let (_, _, plane) = self.sizes(inputs)?;
        Ok([plane.height_out, plane.width_out])
    }

    fn sizes(&self, inputs: &[&Tensor]) -> Result<(usize, usize, PaddedPlane)> {
        match (inputs[0].dims(), inputs[1].dims()) {
            (&[images, channels, height, width], &[kernels, 1, 3, 3])
                if kernels == channels && height * width > 0 =>
            {
                let stride = self.stride;
                let (height_out, width_out) = (height.div_ceil(stride), width.div_ceil(stride));
                Ok((images, channels, PaddedPlane { height, width, height_out, width_out, stride }))
            }
            (x, w) => Err(Error::Shape {
                operator: "depthwise convolution",
                problem: format!("input {x:?} and kernels {w:?}, expected [C, 1, 3, 3]"),
            }),
        }
    }
}

fn kernel(weight: &[f32], channel: usize) -> [f32; 9] {
    std::array::from_fn(|k| weight[channel * 9 + k])
}

/// Writes the sum of the elements under the kernel for each position of the line.
fn correlate(plane: PaddedPlane, line: &[f32], w: &[f32; 9], sums: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || {
            let n = sums.len();
            let x: [&[f32]; 9] = std::array::from_fn(|k| &line[plane.shift(k)..][..n]);
            // Lengths that the compiler knows to be equal need no check in the loop.
            let [a, b, c, d, e, f, g, h, i] = x.map(|x| &x[..n]);
            for (at, sum) in sums.iter_mut().enumerate() {
                let top = w[0] * a[at] + w[1] * b[at] + w[2] * c[at];
                let middle = w[3] * d[at] + w[4] * e[at] + w[5] * f[at];
                let bottom = w[6] * g[at] + w[7] * h[at] + w[8] * i[at];
                *sum = top + middle + bottom;
            }
        },
    );
}

fn kernel_gradient(plane: PaddedPlane, line: &[f32], gradient: &[f32]) -> [f32; 9] {
    // Blocks that stay in the fastest cache from element to element of the kernel.
    const BLOCK: usize = 2048;
    let mut sums = [0.0; 9];
    for (block, gradient) in gradient.chunks(BLOCK).enumerate() {
        for (k, sum) in sums.iter_mut().enumerate() {
            let x = &line[block * BLOCK + plane.shift(k)..];
            *sum += vector::weighted_sums(gradient, x, None, 0.0).1;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, output, random};
    use super::*;

    #[test]
    fn a_channel_meets_its_own_kernel() {
        // 2 × 3 pixels; the first kernel shifts to the left, the second sums the middle row.
        let x = tensor((1..13u8).map(f32::from).collect(), (1, 2, 2, 3)).unwrap();
        let mut w = vec![0.0; 18];
        w[5] = 1.0;
        w[12..15].fill(1.0);
        let w = tensor(w, (2, 1, 3, 3)).unwrap();
        let y = output(&Depthwise { stride: 1 }, &[x.clone(), w.clone()]);
        assert_eq!(y, [2.0, 3.0, 0.0, 5.0, 6.0, 0.0, 15.0, 24.0, 17.0, 21.0, 33.0, 23.0]);
        let y = output(&Depthwise { stride: 2 }, &[x, w]);
        assert_eq!(y, [2.0, 0.0, 15.0, 17.0]);
    }

    #[test]
    fn gradients_are_difference_quotients() {
        for (stride, height, width) in [(1, 5, 19), (2, 6, 8), (2, 5, 7)] {
            let inputs = [random(&[2, 3, height, width], 1), random(&[3, 1, 3, 3], 2)];
            assert_gradients(|| Box::new(Depthwise { stride }), &inputs, 0.5, 1e-5);
        }
    }
}
