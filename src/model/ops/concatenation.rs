//! Channels of one tensor after those of another, the first enlarged on the way where asked for.

use super::vector::vectorised;
use super::{planes_per_task, tensor, view};
use crate::model::buffer;
use crate::model::error::{Error, Result};
use crate::model::tape::{Gradient, Operator, Step};
use candle_core::Tensor;
use rayon::prelude::*;

/// Inputs `[B, C, h, w]` and `[B, D, H, W]`, output `[B, C + D, H, W]`.
pub(in crate::model) struct Concatenation {
    /// Whether the first tensor is enlarged to twice its size (bilinear, pixels as areas: what
    /// `PyTorch` calls `align_corners = false`); otherwise the sizes are equal.
    pub(in crate::model) enlarged: bool,
}

struct Sizes {
    images: usize,
    first: usize,
    second: usize,
    height: usize,
    width: usize,
}

impl Operator for Concatenation {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let sizes = self.sizes(inputs)?;
        let (a, b) = (view(inputs[0])?, view(inputs[1])?);
        let Sizes { images, first, second, height, width } = sizes;
        let (channels, n) = (first + second, height * width);
        let n_first = if self.enlarged { n / 4 } else { n };
        let mut y = buffer::take(images * channels * n);
        let planes = y.par_chunks_exact_mut(n).with_min_len(planes_per_task(n)).enumerate();
        planes.for_each(|(i, y)| {
            let (image, c) = (i / channels, i % channels);
            if c >= first {
                let at = (image * second + c - first) * n;
                y.copy_from_slice(&b[at..at + n]);
                return;
            }
            let a = &a[(image * first + c) * n_first..][..n_first];
            if self.enlarged {
                enlarge(a, width / 2, y);
            } else {
                y.copy_from_slice(a);
            }
        });
        tensor(y, (images, channels, height, width))
    }

    fn backward(&self, step: &Step) -> Result<Vec<Option<Gradient>>> {
        let Sizes { images, first, second, height, width } = self.sizes(step.inputs)?;
        let gradient = view(step.gradient.tensor())?;
        let (channels, n) = (first + second, height * width);
        let part = |wanted: bool, start: usize, count: usize, reduced: bool| {
            if !wanted {
                return Ok(None);
            }
            let n_part = if reduced { n / 4 } else { n };
            let mut values = buffer::take(images * count * n_part);
            let planes = values.par_chunks_exact_mut(n_part).with_min_len(planes_per_task(n));
            planes.enumerate().for_each(|(i, to)| {
                let from = (i / count * channels + start + i % count) * n;
                let from = &gradient[from..from + n];
                if reduced {
                    reduce(from, width / 2, to);
                } else {
                    to.copy_from_slice(from);
                }
            });
            let size = if reduced { [height / 2, width / 2] } else { [height, width] };
            let shape = (images, count, size[0], size[1]);
            Ok::<_, Error>(Some(Gradient::new(tensor(values, shape)?)))
        };
        Ok(vec![
            part(step.wanted[0], 0, first, self.enlarged)?,
            part(step.wanted[1], first, second, false)?,
        ])
    }
}

impl Concatenation {
    fn sizes(&self, inputs: &[&Tensor]) -> Result<Sizes> {
        let factor = if self.enlarged { 2 } else { 1 };
        match (inputs[0].dims(), inputs[1].dims()) {
            (&[images, first, h, w], &[images_too, second, height, width])
                if images == images_too && [h * factor, w * factor] == [height, width] =>
            {
                Ok(Sizes { images, first, second, height, width })
            }
            (a, b) => Err(Error::Shape {
                operator: "concatenation",
                problem: format!("{a:?} enlarged {factor} times does not fit {b:?}"),
            }),
        }
    }
}

/// The near and the far neighbour of a pixel of the enlarged axis; they weigh 3/4 and 1/4.
fn neighbours(i: usize, n: usize) -> (usize, usize) {
    let near = i / 2;
    let far = if i.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(n - 1) };
    (near, far)
}

/// Writes a plane of `width` columns at twice its size.
fn enlarge(from: &[f32], width: usize, to: &mut [f32]) {
    let height = from.len() / width;
    // A row between its neighbours, its ends repeated.
    let mut line = vec![0.0; width + 2];
    for (row, to) in to.chunks_exact_mut(2 * width).enumerate() {
        let (near, far) = neighbours(row, height);
        let (near, far) = (&from[near * width..][..width], &from[far * width..][..width]);
        vectorised(
            #[inline(always)]
            || {
                for ((line, near), far) in line[1..].iter_mut().zip(near).zip(far) {
                    *line = 0.75 * near + 0.25 * far;
                }
                line[0] = line[1];
                line[width + 1] = line[width];
                let (left, right) = (&line[..width], &line[2..]);
                let (to, _) = to.as_chunks_mut::<2>();
                for (((to, middle), left), right) in
                    to.iter_mut().zip(&line[1..]).zip(left).zip(right)
                {
                    *to = [0.75 * middle + 0.25 * left, 0.75 * middle + 0.25 * right];
                }
            },
        );
    }
}

/// The transpose of [`enlarge`].
fn reduce(from: &[f32], width: usize, to: &mut [f32]) {
    to.fill(0.0);
    let height = to.len() / width;
    let mut line = vec![0.0; width];
    for (row, from) in from.chunks_exact(2 * width).enumerate() {
        let (near, far) = neighbours(row, height);
        vectorised(
            #[inline(always)]
            || {
                let (from, _) = from.as_chunks::<2>();
                for (line, from) in line.iter_mut().zip(from) {
                    *line = 0.75 * (from[0] + from[1]);
                }
                for (line, from) in line.iter_mut().zip(&from[1..]) {
                    *line += 0.25 * from[0];
                }
                for (line, from) in line[1..].iter_mut().zip(from) {
                    *line += 0.25 * from[1];
                }
                line[0] += 0.25 * from[0][0];
                line[width - 1] += 0.25 * from[width - 1][1];
                for (to, line) in to[near * width..].iter_mut().zip(&line) {
                    *to += 0.75 * line;
                }
                for (to, line) in to[far * width..].iter_mut().zip(&line) {
                    *to += 0.25 * line;
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, output, random};
    use super::*;

    #[test]
    fn enlarging_keeps_a_ramp_and_the_border() {
        let a = tensor(vec![0.0, 4.0, 8.0, 0.0, 4.0, 8.0], (1, 1, 2, 3)).unwrap();
        let b = tensor(vec![9.0; 24], (1, 1, 4, 6)).unwrap();
        let y = output(&Concatenation { enlarged: true }, &[a, b]);
        for row in y[..24].chunks(6) {
            assert_eq!(row, [0.0, 1.0, 3.0, 5.0, 7.0, 8.0]);
        }
        assert_eq!(y[24..], [9.0; 24]);
    }

    #[test]
    fn channels_follow_each_other_in_each_image() {
        let a = tensor(vec![1.0, 2.0], (2, 1, 1, 1)).unwrap();
        let b = tensor(vec![3.0, 4.0, 5.0, 6.0], (2, 2, 1, 1)).unwrap();
        let y = output(&Concatenation { enlarged: false }, &[a, b]);
        assert_eq!(y, [1.0, 3.0, 4.0, 2.0, 5.0, 6.0]);
    }

    #[test]
    fn gradients_are_difference_quotients() {
        let inputs = [random(&[2, 2, 3, 4], 1), random(&[2, 3, 6, 8], 2)];
        assert_gradients(|| Box::new(Concatenation { enlarged: true }), &inputs, 0.5, 1e-5);
        let inputs = [random(&[2, 2, 1, 1], 1), random(&[2, 1, 2, 2], 2)];
        assert_gradients(|| Box::new(Concatenation { enlarged: true }), &inputs, 0.5, 1e-5);
        let inputs = [random(&[2, 2, 3, 4], 1), random(&[2, 3, 3, 4], 2)];
        assert_gradients(|| Box::new(Concatenation { enlarged: false }), &inputs, 0.5, 1e-5);
    }
}
