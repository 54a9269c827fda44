//! Depthwise convolution: one kernel for each channel, 3 × 3, padding 1.

use super::{planes_per_task, tensor, view, with_scratch};
use crate::model::buffer;
use crate::model::error::{Error, Result};
use crate::model::tape::{Gradient, Operator, Step};
use candle_core::Tensor;
use rayon::prelude::*;

/// `y[c] = w[c] * x[c]`; inputs `[B, C, H, W]` and `[C, 1, 3, 3]`, output
/// `[B, C, ceil(H / stride), ceil(W / stride)]`.
pub(in crate::model) struct Depthwise {
    /// Step between outputs.
    pub(in crate::model) stride: usize,
}

/// Sizes of one plane.
#[derive(Clone, Copy)]
struct Plane {
    height: usize,
    width: usize,
    height_out: usize,
    width_out: usize,
    stride: usize,
}

impl Plane {
    fn pixels(self) -> usize {
        self.height * self.width
    }

    fn pixels_out(self) -> usize {
        self.height_out * self.width_out
    }

    /// Columns of the input with its border of zeros.
    fn pitch(self) -> usize {
        self.width + 2
    }

    /// Copies a plane, its rows and columns `step` apart, into zeros with a border of one.
    fn pad(self, from: &[f32], from_width: usize, step: usize, padded: &mut [f32]) {
        padded.fill(0.0);
        let rows = padded.chunks_exact_mut(self.pitch()).skip(1).step_by(step);
        for (to, from) in rows.zip(from.chunks_exact(from_width)) {
            for (to, from) in to[1..].iter_mut().step_by(step).zip(from) {
                *to = *from;
            }
        }
    }

    fn padded_len(self) -> usize {
        (self.height + 2) * self.pitch()
    }

    /// The three rows under the kernel for a row of the output.
    fn rows(self, padded: &[f32], row: usize) -> [&[f32]; 3] {
        std::array::from_fn(|k| &padded[(row * self.stride + k) * self.pitch()..][..self.pitch()])
    }
}

impl Operator for Depthwise {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let (images, channels, plane) = self.sizes(inputs)?;
        let (x, weight) = (view(inputs[0])?, view(inputs[1])?);
        let n = plane.pixels_out();
        let mut y = buffer::take(images * channels * n);
        y.par_chunks_exact_mut(n).with_min_len(planes_per_task(n)).enumerate().for_each(
            |(i, y)| {
                let x = &x[i * plane.pixels()..(i + 1) * plane.pixels()];
                with_scratch(plane.padded_len(), |padded| {
                    plane.pad(x, plane.width, 1, padded);
                    correlate(plane, padded, &kernel(&weight, i % channels), y);
                });
            },
        );
        tensor(y, (images, channels, plane.height_out, plane.width_out))
    }

    fn backward(&self, step: &Step) -> Result<Vec<Option<Gradient>>> {
        let (images, channels, plane) = self.sizes(step.inputs)?;
        let (x, weight) = (view(step.inputs[0])?, view(step.inputs[1])?);
        let gradient = view(step.gradient.tensor())?;
        let n = plane.pixels();
        let mut found = vec![None, None];
        if step.wanted[0] {
            let mut values = buffer::take(images * channels * n);
            let planes =
                values.par_chunks_exact_mut(n).zip(gradient.par_chunks(plane.pixels_out()));
            planes.with_min_len(planes_per_task(n)).enumerate().for_each(|(i, (to, gradient))| {
                with_scratch(plane.padded_len(), |padded| {
                    // With zeros between its pixels, the gradient goes back by the kernel turned
                    // around, at stride 1.
                    plane.pad(gradient, plane.width_out, plane.stride, padded);
                    let mut turned = kernel(&weight, i % channels);
                    turned.reverse();
                    let whole = Plane {
                        height_out: plane.height,
                        width_out: plane.width,
                        stride: 1,
                        ..plane
                    };
                    correlate(whole, padded, &turned, to);
                });
            });
            found[0] = Some(Gradient::new(tensor(values, step.inputs[0].dims())?));
        }
        if step.wanted[1] {
            let planes: Vec<[f32; 9]> = x
                .par_chunks(n)
                .zip(gradient.par_chunks(plane.pixels_out()))
                .with_min_len(planes_per_task(n))
                .map(|(x, gradient)| {
                    with_scratch(plane.padded_len(), |padded| {
                        plane.pad(x, plane.width, 1, padded);
                        kernel_gradient(plane, padded, gradient)
                    })
                })
                .collect();
            let mut values = vec![0.0; channels * 9];
            for (i, plane) in planes.iter().enumerate() {
                let at = i % channels * 9;
                values[at..at + 9].iter_mut().zip(plane).for_each(|(sum, part)| *sum += part);
            }
            found[1] = Some(Gradient::new(tensor(values, step.inputs[1].dims())?));
        }
        Ok(found)
    }
}

impl Depthwise {
    fn sizes(&self, inputs: &[&Tensor]) -> Result<(usize, usize, Plane)> {
        match (inputs[0].dims(), inputs[1].dims()) {
            (&[images, channels, height, width], &[kernels, 1, 3, 3])
                if kernels == channels && height * width > 0 =>
            {
                let stride = self.stride;
                let (height_out, width_out) = (height.div_ceil(stride), width.div_ceil(stride));
                Ok((images, channels, Plane { height, width, height_out, width_out, stride }))
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

fn correlate(plane: Plane, padded: &[f32], w: &[f32; 9], y: &mut [f32]) {
    for (row, y) in y.chunks_exact_mut(plane.width_out).enumerate() {
        let rows = plane.rows(padded, row);
        if plane.stride == 1 {
            let n = y.len();
            let [a, b, c] = rows.map(|r| [&r[..n], &r[1..=n], &r[2..n + 2]]);
            for (i, y) in y.iter_mut().enumerate() {
                let top = w[0] * a[0][i] + w[1] * a[1][i] + w[2] * a[2][i];
                let middle = w[3] * b[0][i] + w[4] * b[1][i] + w[5] * b[2][i];
                let bottom = w[6] * c[0][i] + w[7] * c[1][i] + w[8] * c[2][i];
                *y = top + middle + bottom;
            }
        } else {
            for (i, y) in y.iter_mut().enumerate() {
                let at = i * plane.stride;
                *y = (0..9).map(|k| w[k] * rows[k / 3][at + k % 3]).sum();
            }
        }
    }
}

fn kernel_gradient(plane: Plane, padded: &[f32], gradient: &[f32]) -> [f32; 9] {
    const LANES: usize = 8;
    let mut lanes = [[0.0f32; LANES]; 9];
    for (row, g) in gradient.chunks_exact(plane.width_out).enumerate() {
        let rows = plane.rows(padded, row);
        for (k, lanes) in lanes.iter_mut().enumerate() {
            let x = &rows[k / 3][k % 3..];
            if plane.stride == 1 {
                let (g_chunks, x) = (g.chunks_exact(LANES), &x[..g.len()]);
                let rest = g.len() - g_chunks.remainder().len();
                for (g, x) in g_chunks.zip(x.chunks_exact(LANES)) {
                    for lane in 0..LANES {
                        lanes[lane] += g[lane] * x[lane];
                    }
                }
                for (lane, (g, x)) in g[rest..].iter().zip(&x[rest..]).enumerate() {
                    lanes[lane] += g * x;
                }
            } else {
                for (i, (g, x)) in g.iter().zip(x.iter().step_by(plane.stride)).enumerate() {
                    lanes[i % LANES] += g * x;
                }
            }
        }
    }
    lanes.map(|lanes| lanes.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, output, random};
    use super::*;

    #[test]
    fn a_channel_meets_its_own_kernel() {
        // 2 × 3 pixels; the first kernel shifts to the left, the second adds up the middle row.
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
