//! Concatenation of channels, with optional enlargement of the first tensor.

use super::tasks::planes_per_task;
use crate::buffer;
use crate::error::{Error, Result};
use crate::operator::{Gradient, Operator, Step};
use crate::tensors::{tensor, view};
use crate::vector::vectorised;
use candle_core::Tensor;
use rayon::prelude::*;

/// Method by which a tensor is enlarged to twice its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enlargement {
    /// Each pixel repeated four times.
    Nearest,
    /// Bilinear with pixels as areas: `align_corners = false` in `PyTorch`.
    Bilinear,
}

/// Inputs `[B, C, h, w]`, `[B, D, H, W]` and so on, output `[B, C + D + ..., H, W]`.
pub(crate) struct Concatenation {
    /// Enlargement of the first tensor to twice its size; without it, all sizes are equal.
    pub(crate) enlarged: Option<Enlargement>,
}

pub(super) struct ConcatenationShape {
    images: usize,
    pub(super) channels: Vec<usize>,
    height: usize,
    width: usize,
}

impl Operator for Concatenation {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let ConcatenationShape { images, channels, height, width } = self.sizes(inputs)?;
        let values = inputs.iter().map(|input| view(input)).collect::<Result<Vec<_>>>()?;
        let values: Vec<&[f32]> = values.iter().map(|values| &**values).collect();
        let (total, n) = (channels.iter().sum(), height * width);
        let mut y = buffer::take(images * total * n);
        let planes = y.par_chunks_exact_mut(n).with_min_len(planes_per_task(n)).enumerate();
        planes.for_each(|(i, y)| {
            let (image, mut c) = (i / total, i % total);
            for (input, (values, count)) in values.iter().zip(&channels).enumerate() {
                if c >= *count {
                    c -= count;
                    continue;
                }
                let enlarged = self.enlarged.filter(|_| input == 0);
                let n_from = if enlarged.is_some() { n / 4 } else { n };
                let from = &values[(image * count + c) * n_from..][..n_from];
                match enlarged {
                    None => y.copy_from_slice(from),
                    Some(Enlargement::Nearest) => repeat(from, width / 2, y),
                    Some(Enlargement::Bilinear) => enlarge(from, width / 2, y),
                }
                return;
            }
        });
        tensor(y, (images, total, height, width))
    }

    fn backward(&self, step: &Step) -> Result<Vec<Option<Gradient>>> {
        let ConcatenationShape { images, channels, height, width } = self.sizes(step.inputs)?;
        let gradient = view(step.gradient.tensor())?;
        let (total, n): (usize, usize) = (channels.iter().sum(), height * width);
        let mut start = 0;
        let mut found = Vec::new();
        for (input, count) in channels.into_iter().enumerate() {
            let first = start;
            start += count;
            if !step.wanted[input] {
                found.push(None);
                continue;
            }
            let enlarged = self.enlarged.filter(|_| input == 0);
            let n_to = if enlarged.is_some() { n / 4 } else { n };
            let mut values = buffer::take(images * count * n_to);
            let planes = values.par_chunks_exact_mut(n_to).with_min_len(planes_per_task(n));
            planes.enumerate().for_each(|(i, to)| {
                let from = &gradient[(i / count * total + first + i % count) * n..][..n];
                match enlarged {
                    None => to.copy_from_slice(from),
                    Some(Enlargement::Nearest) => sum_squares(from, width / 2, to),
                    Some(Enlargement::Bilinear) => reduce(from, width / 2, to),
                }
            });
            let values = tensor(values, step.inputs[input].dims())?;
            found.push(Some(Gradient::new(values)));
        }
        Ok(found)
    }
}

impl Concatenation {
    pub(super) fn sizes(&self, inputs: &[&Tensor]) -> Result<ConcatenationShape> {
        let factor = if self.enlarged.is_some() { 2 } else { 1 };
        let wrong = || Error::Shape {
            operator: "concatenation",
            problem: format!(
                "{:?} do not fit, the first enlarged {factor} times",
                inputs.iter().map(|input| input.dims()).collect::<Vec<_>>()
            ),
        };
        let mut found: Option<ConcatenationShape> = None;
        for input in inputs {
            let [images, channels, mut height, mut width] = *input.dims() else {
                return Err(wrong());
            };
            let Some(sizes) = &mut found else {
                [height, width] = [height * factor, width * factor];
                found =
                    Some(ConcatenationShape { images, channels: vec![channels], height, width });
                continue;
            };
            if [images, height, width] != [sizes.images, sizes.height, sizes.width] {
                return Err(wrong());
            }
            sizes.channels.push(channels);
        }
        let has_pixels = |sizes: &ConcatenationShape| {
            sizes.height * sizes.width > 0 && sizes.channels.iter().all(|channels| *channels > 0)
        };
        found.filter(has_pixels).ok_or_else(wrong)
    }
}

/// Writes a plane of `width` columns with each pixel repeated four times.
fn repeat(from: &[f32], width: usize, to: &mut [f32]) {
    for (from, to) in from.chunks_exact(width).zip(to.chunks_exact_mut(4 * width)) {
        let (upper, lower) = to.split_at_mut(2 * width);
        let (pairs, _) = upper.as_chunks_mut::<2>();
        pairs.iter_mut().zip(from).for_each(|(to, from)| *to = [*from; 2]);
        lower.copy_from_slice(upper);
    }
}

/// The transpose of [`repeat`].
fn sum_squares(from: &[f32], width: usize, to: &mut [f32]) {
    for (from, to) in from.chunks_exact(4 * width).zip(to.chunks_exact_mut(width)) {
        let (upper, lower) = from.split_at(2 * width);
        let ((upper, _), (lower, _)) = (upper.as_chunks::<2>(), lower.as_chunks::<2>());
        for ((to, upper), lower) in to.iter_mut().zip(upper).zip(lower) {
            *to = upper[0] + upper[1] + lower[0] + lower[1];
        }
    }
}

/// The near and the far neighbour of a pixel of the enlarged axis, with weights 3/4 and 1/4.
fn neighbours(i: usize, n: usize) -> (usize, usize) {
    let near = i / 2;
    let far = if i.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(n - 1) };
    (near, far)
}

/// Writes a plane of `width` columns enlarged to twice its size.
fn enlarge(from: &[f32], width: usize, to: &mut [f32]) {
    let height = from.len() / width;
    // A row interpolated between its neighbours, with its ends replicated.
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

    const BILINEAR: Concatenation = Concatenation { enlarged: Some(Enlargement::Bilinear) };
    const NEAREST: Concatenation = Concatenation { enlarged: Some(Enlargement::Nearest) };

    #[test]
    fn enlarging_keeps_a_ramp_and_the_border() {
        let a = tensor(vec![0.0, 4.0, 8.0, 0.0, 4.0, 8.0], (1, 1, 2, 3)).unwrap();
        let b = tensor(vec![9.0; 24], (1, 1, 4, 6)).unwrap();
        let y = output(&BILINEAR, &[a, b]);
        for row in y[..24].chunks(6) {
            assert_eq!(row, [0.0, 1.0, 3.0, 5.0, 7.0, 8.0]);
        }
        assert_eq!(y[24..], [9.0; 24]);
    }

    #[test]
    fn pixels_are_repeated() {
        let a = tensor(vec![1.0, 2.0], (1, 1, 1, 2)).unwrap();
        let b = tensor(vec![9.0; 8], (1, 1, 2, 4)).unwrap();
        let y = output(&NEAREST, &[a, b]);
        assert_eq!(y[..8], [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
        assert_eq!(y[8..], [9.0; 8]);
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let (a, b) = (random(&[1, 2, 3, 4], 1), random(&[1, 2, 3, 4], 2));
        let error = NEAREST.forward(&[&a, &b]).unwrap_err().to_string();
        assert!(error.contains("[[1, 2, 3, 4], [1, 2, 3, 4]] do not fit"), "{error}");
        assert!(NEAREST.forward(&[]).is_err());
    }

    #[test]
    fn channels_follow_each_other_in_each_image() {
        let a = tensor(vec![1.0, 2.0], (2, 1, 1, 1)).unwrap();
        let b = tensor(vec![3.0, 4.0, 5.0, 6.0], (2, 2, 1, 1)).unwrap();
        let y = output(&Concatenation { enlarged: None }, &[a, b]);
        assert_eq!(y, [1.0, 3.0, 4.0, 2.0, 5.0, 6.0]);
    }

    #[test]
    fn gradients_are_difference_quotients() {
        let inputs = [random(&[2, 2, 3, 4], 1), random(&[2, 3, 6, 8], 2)];
        assert_gradients(|| Box::new(BILINEAR), &inputs, 0.5, 1e-5);
        let inputs = [random(&[2, 2, 1, 1], 1), random(&[2, 1, 2, 2], 2)];
        assert_gradients(|| Box::new(BILINEAR), &inputs, 0.5, 1e-5);
        let inputs = [random(&[1, 2, 3, 5], 1), random(&[1, 1, 6, 10], 2)];
        assert_gradients(|| Box::new(NEAREST), &inputs, 0.5, 1e-5);
        let inputs = [[2, 2, 3, 4], [2, 3, 3, 4], [2, 1, 3, 4]].map(|shape| random(&shape, 1));
        assert_gradients(|| Box::new(Concatenation { enlarged: None }), &inputs, 0.5, 1e-5);
    }
}
