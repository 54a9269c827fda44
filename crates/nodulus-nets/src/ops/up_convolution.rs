//! Transposed convolution of 2 × 2 kernels at stride 2: each pixel becomes a square of four.

use super::product::{Matrix, WriteMode, product};
use super::tasks::{planes_per_task, sum_in_order, with_scratch};
use crate::buffer;
use crate::error::{Error, Result};
use crate::operator::{Gradient, Operator, Step};
use crate::tensors::{tensor, view};
use crate::vector;
use candle_core::Tensor;
use rayon::prelude::*;

/// Inputs `[B, C, H, W]`, `[C, D, 2, 2]` and `[D]`, output `[B, D, 2 H, 2 W]`.
pub(crate) struct UpConvolution;

impl Operator for UpConvolution {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let sizes = UpConvolutionShape::new(inputs)?;
        let (x, weight, bias) = (view(inputs[0])?, view(inputs[1])?, view(inputs[2])?);
        let weights = sizes.weights(&weight).transposed();
        let mut y = buffer::take(sizes.images * sizes.image_out());
        let images = y.par_chunks_exact_mut(sizes.image_out());
        images.zip(x.par_chunks_exact(sizes.image())).for_each(|(y, x)| {
            for tile in sizes.tiles() {
                with_scratch(sizes.depth() * tile.pixels, |parts| {
                    let x = sizes.pixels(x, sizes.channels, tile);
                    product(parts, tile.pixels, WriteMode::Replace, weights, x);
                    sizes.spread(parts, &bias, tile, y);
                });
            }
        });
        let UpConvolutionShape { images, filters, height, width, .. } = sizes;
        tensor(y, (images, filters, 2 * height, 2 * width))
    }

    fn backward(&self, step: &Step) -> Result<Vec<Option<Gradient>>> {
        let sizes = UpConvolutionShape::new(step.inputs)?;
        let (x, weight) = (view(step.inputs[0])?, view(step.inputs[1])?);
        let gradient = view(step.gradient.tensor())?;
        let found = [
            step.wanted[0].then(|| sizes.input_gradient(&gradient, &weight)),
            step.wanted[1].then(|| sizes.weight_gradient(&x, &gradient)),
            step.wanted[2].then(|| sizes.bias_gradient(&gradient)),
        ];
        let found = found.into_iter().zip(step.inputs).map(|(values, input)| {
            values
                .map(|values| Ok::<_, Error>(Gradient::new(tensor(values, input.dims())?)))
                .transpose()
        });
        found.collect()
    }
}

#[derive(Clone, Copy)]
pub(super) struct UpConvolutionShape {
    pub(super) images: usize,
    pub(super) channels: usize,
    pub(super) filters: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

/// Rows of the input whose products stay in a core's cache.
#[derive(Clone, Copy)]
struct RowBlock {
    row: usize,
    rows: usize,
    pixels: usize,
}

impl UpConvolutionShape {
    pub(super) fn new(inputs: &[&Tensor]) -> Result<Self> {
        match (inputs[0].dims(), inputs[1].dims(), inputs[2].dims()) {
            (&[images, channels, height, width], &[depth, filters, 2, 2], &[biases])
                if depth == channels
                    && biases == filters
                    && images * channels * filters * height * width > 0 =>
            {
                Ok(Self { images, channels, filters, height, width })
            }
            (x, w, b) => Err(Error::Shape {
                operator: "transposed convolution",
                problem: format!("input {x:?}, kernels {w:?} and biases {b:?}, expected 2 × 2"),
            }),
        }
    }

    fn image(self) -> usize {
        self.channels * self.height * self.width
    }

    fn image_out(self) -> usize {
        4 * self.filters * self.height * self.width
    }

    /// Numbers computed from each pixel.
    fn depth(self) -> usize {
        4 * self.filters
    }

    fn weights(self, weight: &[f32]) -> Matrix<'_> {
        Matrix::new(weight, self.channels, self.depth(), self.depth())
    }

    fn tiles(self) -> impl Iterator<Item = RowBlock> {
        const CACHE: usize = 64 << 10;
        let step = (CACHE / (self.depth() * self.width)).max(1);
        (0..self.height).step_by(step).map(move |row| {
            let rows = step.min(self.height - row);
            RowBlock { row, rows, pixels: rows * self.width }
        })
    }

    /// An image's pixels in a tile, one row per channel.
    fn pixels(self, x: &[f32], channels: usize, tile: RowBlock) -> Matrix<'_> {
        let plane = self.height * self.width;
        Matrix::new(&x[tile.row * self.width..], channels, tile.pixels, plane)
    }

    /// Calls `f` for each pair of lines in a tile's parts, for even and for odd columns, with the
    /// filter and the start of the output row that they form.
    fn lines(self, tile: RowBlock, mut f: impl FnMut([usize; 2], usize, usize)) {
        let plane_out = 4 * self.height * self.width;
        for part in 0..2 * self.filters {
            let (filter, odd) = (part / 2, part % 2);
            for row in 0..tile.rows {
                let even_columns = 2 * part * tile.pixels + row * self.width;
                let row_out = 2 * (tile.row + row) + odd;
                let at = filter * plane_out + row_out * 2 * self.width;
                f([even_columns, even_columns + tile.pixels], filter, at);
            }
        }
    }

    /// Writes parts (filter, row and column of the square; pixel) to their positions in the output.
    fn spread(self, parts: &[f32], bias: &[f32], tile: RowBlock, y: &mut [f32]) {
        self.lines(tile, |from, filter, at| {
            let [even, odd] = from.map(|from| &parts[from..][..self.width]);
            let (y, _) = y[at..at + 2 * self.width].as_chunks_mut::<2>();
            for ((y, even), odd) in y.iter_mut().zip(even).zip(odd) {
                *y = [even + bias[filter], odd + bias[filter]];
            }
        });
    }

    /// Reads parts from their positions: the transpose of [`Self::spread`].
    fn gather(self, gradient: &[f32], tile: RowBlock, parts: &mut [f32]) {
        self.lines(tile, |to, _, at| {
            let (from, _) = gradient[at..at + 2 * self.width].as_chunks::<2>();
            for (column, to) in to.into_iter().enumerate() {
                let line = parts[to..to + self.width].iter_mut();
                line.zip(from).for_each(|(to, from)| *to = from[column]);
            }
        });
    }

    fn input_gradient(self, gradient: &[f32], weight: &[f32]) -> Vec<f32> {
        let weights = self.weights(weight);
        let mut found = buffer::take(self.images * self.image());
        let images = found.par_chunks_exact_mut(self.image());
        images.zip(gradient.par_chunks_exact(self.image_out())).for_each(|(found, gradient)| {
            for tile in self.tiles() {
                with_scratch(self.depth() * tile.pixels, |parts| {
                    self.gather(gradient, tile, parts);
                    let parts = Matrix::new(parts, self.depth(), tile.pixels, tile.pixels);
                    let found = &mut found[tile.row * self.width..];
                    product(found, self.height * self.width, WriteMode::Replace, weights, parts);
                });
            }
        });
        found
    }

    fn weight_gradient(self, x: &[f32], gradient: &[f32]) -> Vec<f32> {
        // The number of parts depends on the shapes alone.
        let n_parts = self.images.min(4);
        let len = self.channels * self.depth();
        let mut sums: Vec<Vec<f32>> = (0..n_parts).map(|_| buffer::take(len)).collect();
        sums.par_iter_mut().enumerate().for_each(|(p, sum)| {
            let mut onto = WriteMode::Replace;
            for image in p * self.images / n_parts..(p + 1) * self.images / n_parts {
                let x = &x[image * self.image()..][..self.image()];
                let gradient = &gradient[image * self.image_out()..][..self.image_out()];
                for tile in self.tiles() {
                    with_scratch(self.depth() * tile.pixels, |parts| {
                        self.gather(gradient, tile, parts);
                        let parts = Matrix::new(parts, self.depth(), tile.pixels, tile.pixels);
                        let x = self.pixels(x, self.channels, tile);
                        product(sum, self.depth(), onto, x, parts.transposed());
                    });
                    onto = WriteMode::Add;
                }
            }
        });
        sum_in_order(sums)
    }

    fn bias_gradient(self, gradient: &[f32]) -> Vec<f32> {
        let plane = 4 * self.height * self.width;
        let planes: Vec<f32> = gradient
            .par_chunks_exact(plane)
            .with_min_len(planes_per_task(plane))
            .map(|plane| vector::moments(plane, 0.0).0)
            .collect();
        let sum = |filter| {
            planes.iter().skip(filter).step_by(self.filters).map(|v| f64::from(*v)).sum::<f64>()
        };
        (0..self.filters).map(|filter| sum(filter) as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, output, random};
    use super::*;

    #[test]
    fn a_pixel_becomes_its_kernel() {
        let x = tensor(vec![1.0, 10.0], (1, 1, 1, 2)).unwrap();
        let weight = tensor(vec![1.0, 2.0, 3.0, 4.0], (1, 1, 2, 2)).unwrap();
        let y = output(&UpConvolution, &[x, weight, tensor(vec![0.5], 1).unwrap()]);
        assert_eq!(y, [1.5, 2.5, 10.5, 20.5, 3.5, 4.5, 30.5, 40.5]);
    }

    #[test]
    fn gradients_are_difference_quotients() {
        for [images, height, width] in [[1, 3, 5], [6, 2, 3], [2, 1, 1]] {
            let inputs =
                [random(&[images, 3, height, width], 1), random(&[3, 2, 2, 2], 2), random(&[2], 3)];
            assert_gradients(|| Box::new(UpConvolution), &inputs, 0.5, 1e-5);
        }
    }

    #[test]
    fn tiles_join_without_a_seam() {
        let inputs = [random(&[1, 2, 40, 40], 1), random(&[2, 64, 2, 2], 2), random(&[64], 3)];
        let sizes = UpConvolutionShape::new(&inputs.each_ref()).unwrap();
        assert!(sizes.tiles().count() > 3);
        let y = output(&UpConvolution, &inputs);
        let [x, w, b] = inputs.each_ref().map(|input| view(input).unwrap().to_vec());
        for (i, y) in y.iter().enumerate() {
            let (filter, row, column) = (i / 6400, i / 80 % 80, i % 80);
            let at = (row / 2) * 40 + column / 2;
            let k = filter * 4 + row % 2 * 2 + column % 2;
            let expected = x[at] * w[k] + x[1600 + at] * w[256 + k] + b[filter];
            assert!((y - expected).abs() < 1e-5);
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let inputs = [random(&[1, 2, 3, 3], 1), random(&[3, 2, 2, 2], 2), random(&[2], 3)];
        let error = UpConvolution.forward(&inputs.each_ref()).unwrap_err().to_string();
        assert!(error.contains("input [1, 2, 3, 3], kernels [3, 2, 2, 2]"), "{error}");
    }
}
