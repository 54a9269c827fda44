//! Convolution of one group, with or without bias.

#[cfg(test)]
mod tests;

use super::direct::DirectConvolution;
use super::product::{Matrix, WriteMode, product};
use super::stack::ImageStack;
use super::strips::Strips;
use super::window::Window;
use crate::buffer;
use crate::error::{Error, Result};
use crate::operator::{Gradient, Operator, Step};
use crate::ops::tasks::sum_in_order;
use crate::tensors::{tensor, view};
use crate::vector;
use candle_core::Tensor;
use rayon::prelude::*;

/// `y = w * x`, or `w * x + b`; inputs `[B, C, H, W]`, `[D, C, k, k]` and maybe `[D]`.
pub(crate) struct Convolution(pub(crate) Window);

impl Operator for Convolution {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let sizes = self.sizes(inputs)?;
        let (x, weight) = (view(inputs[0])?, view(inputs[1])?);
        let bias = inputs.get(2).map(|bias| view(bias)).transpose()?;
        let kernel = Kernel::straight(&weight, &sizes);
        let y = match ImageStack::new(self.0, sizes.images, sizes.size) {
            None => sizes.run(&x, kernel, bias.as_deref())?,
            Some(stack) => {
                let stacked = stack.put(&x, sizes.channels, sizes.size[1]);
                let y = sizes.stacked(stack).run(&stacked, kernel, bias.as_deref())?;
                buffer::give(stacked);
                stack.take_output(y, sizes.images, sizes.filters, sizes.size_out[1])
            }
        };
        let [height, width] = sizes.size_out;
        tensor(y, (sizes.images, sizes.filters, height, width))
    }

    fn backward(&self, step: &Step) -> Result<Vec<Option<Gradient>>> {
        let sizes = self.sizes(step.inputs)?;
        let (x, weight) = (view(step.inputs[0])?, view(step.inputs[1])?);
        let gradient = view(step.gradient.tensor())?;
        let mut found = vec![None; step.inputs.len()];
        if step.wanted.get(2) == Some(&true) {
            let pixels_out = sizes.size_out[0] * sizes.size_out[1];
            let values = channel_sums(&gradient, sizes.filters, pixels_out);
            found[2] = Some(Gradient::new(tensor(values, sizes.filters)?));
        }
        let (of_input, of_weight) = match ImageStack::new(self.0, sizes.images, sizes.size) {
            None => (
                step.wanted[0].then(|| sizes.input_gradient(&gradient, &weight)).transpose()?,
                step.wanted[1].then(|| sizes.weight_gradient(&x, &gradient)).transpose()?,
            ),
            Some(stack) => {
                let stacked = sizes.stacked(stack);
                let gradient = stack.put_output(&gradient, sizes.filters, sizes.size_out[1]);
                let of_input = step.wanted[0]
                    .then(|| stacked.input_gradient(&gradient, &weight))
                    .transpose()?;
                let of_weight = step.wanted[1].then(|| {
                    let x = stack.put(&x, sizes.channels, sizes.size[1]);
                    let found = stacked.weight_gradient(&x, &gradient);
                    buffer::give(x);
                    found
                });
                buffer::give(gradient);
                let unstack = |g| stack.take(g, sizes.images, sizes.channels, sizes.size[1]);
                (of_input.map(unstack), of_weight.transpose()?)
            }
        };
        for (i, values) in [of_input, of_weight].into_iter().enumerate() {
            if let Some(values) = values {
                found[i] = Some(Gradient::new(tensor(values, step.inputs[i].dims())?));
            }
        }
        Ok(found)
    }
}

/// Sums over images and pixels.
fn channel_sums(values: &[f32], channels: usize, pixels: usize) -> Vec<f32> {
    let planes: Vec<f32> = values
        .par_chunks(pixels)
        .with_min_len(super::tasks::planes_per_task(pixels))
        .map(|plane| vector::moments(plane, 0.0).0)
        .collect();
    let mut sums = vec![0.0f64; channels];
    for (i, plane) in planes.iter().enumerate() {
        sums[i % channels] += f64::from(*plane);
    }
    sums.iter().map(|sum| *sum as f32).collect()
}

/// A kernel, and the order in which its elements are read.
#[derive(Clone, Copy)]
struct Kernel<'a> {
    /// `[D, C, k, k]`.
    weight: &'a [f32],
    size: usize,
    /// Its filters and channels.
    counts: [usize; 2],
    /// Whether it is flipped, with filters and channels swapped: for the backward pass at stride 1.
    turned: bool,
}

impl<'a> Kernel<'a> {
    fn straight(weight: &'a [f32], sizes: &ConvolutionShape) -> Self {
        let counts = [sizes.filters, sizes.channels];
        Self { weight, size: sizes.window.size, counts, turned: false }
    }

    fn at(self, o: usize, c: usize, ky: usize, kx: usize) -> f32 {
        let Self { weight, size, counts: [_, channels], turned } = self;
        let last = size - 1;
        let (o, c, ky, kx) = if turned { (c, o, last - ky, last - kx) } else { (o, c, ky, kx) };
        weight[((o * channels + c) * size + ky) * size + kx]
    }
}

/// A convolution's sizes.
#[derive(Clone, Copy)]
struct ConvolutionShape {
    window: Window,
    images: usize,
    channels: usize,
    filters: usize,
    size: [usize; 2],
    size_out: [usize; 2],
}

impl Convolution {
    /// Rows and columns of the output, after a check that the inputs fit.
    pub(super) fn size_out(&self, inputs: &[&Tensor]) -> Result<[usize; 2]> {
        Ok(self.sizes(inputs)?.size_out)
    }

    fn sizes(&self, inputs: &[&Tensor]) -> Result<ConvolutionShape> {
        let window = self.0;
        let wrong = || Error::Shape {
            operator: "convolution",
            problem: format!(
                "{window:?} does not fit {:?}",
                inputs.iter().map(|input| input.dims()).collect::<Vec<_>>()
            ),
        };
        let [images, channels, height, width] = *inputs[0].dims() else { return Err(wrong()) };
        let [filters, depth, kernel, kernel_columns] = *inputs[1].dims() else {
            return Err(wrong());
        };
        let bias = inputs.get(2).is_none_or(|bias| bias.dims() == [filters]);
        if depth != channels || [kernel, kernel_columns] != [window.size; 2] || !bias {
            return Err(wrong());
        }
        let output = |n| window.output(n).ok_or_else(wrong);
        let size_out = [output(height)?, output(width)?];
        Ok(ConvolutionShape { window, images, channels, filters, size: [height, width], size_out })
    }
}

impl ConvolutionShape {
    /// The shape for stacks of the images.
    fn stacked(self, stack: ImageStack) -> Self {
        let size = [stack.height(), self.size[1]];
        let height_out = self.window.output(size[0]).unwrap_or(self.size_out[0]);
        let size_out = [height_out, self.size_out[1]];
        Self { images: stack.count(self.images), size, size_out, ..self }
    }

    fn strips(&self) -> Result<Strips> {
        Strips::new(self.window, self.channels, self.size).ok_or_else(|| Error::Shape {
            operator: "convolution",
            problem: format!("{:?} does not fit {:?}", self.window, self.size),
        })
    }

    fn direct(&self) -> Option<DirectConvolution> {
        DirectConvolution::new(self.window, [self.channels, self.filters], self.size)
    }

    /// The output.
    fn run(&self, x: &[f32], kernel: Kernel, bias: Option<&[f32]>) -> Result<Vec<f32>> {
        if let Some(direct) = self.direct() {
            return Ok(direct.run(x, |o, c, ky, kx| kernel.at(o, c, ky, kx), bias));
        }
        let strips = self.strips()?;
        let packed = self.pack(&strips, kernel);
        let weights = self.matrices(&strips, kernel, &packed);
        let pixels = strips.pixels_out();
        let mut y = buffer::take(self.images * self.filters * pixels);
        y.par_chunks_exact_mut(self.filters * pixels)
            .zip(x.par_chunks_exact(self.channels * strips.pixels()))
            .for_each(|(y, x)| {
                let mut onto = WriteMode::Replace;
                if let Some(bias) = bias {
                    for (plane, bias) in y.chunks_exact_mut(pixels).zip(bias) {
                        plane.fill(*bias);
                    }
                    onto = WriteMode::Add;
                } else if weights.is_empty() {
                    y.fill(0.0);
                }
                strips.for_tiles(x, |tile| {
                    let mut onto = onto;
                    for (row, weights) in strips.rows.iter().zip(&weights) {
                        let y = &mut y[tile.start * strips.width_out..];
                        product(y, pixels, onto, *weights, strips.matrix(row, &tile));
                        onto = WriteMode::Add;
                    }
                });
            });
        packed.into_iter().for_each(buffer::give);
        Ok(y)
    }

    /// For each row of the kernel that counts, its weights as rows of a filter's `depth` values;
    /// empty for a 1 × 1 kernel, which needs no packing.
    fn pack(&self, strips: &Strips, kernel: Kernel) -> Vec<Vec<f32>> {
        if self.window.size == 1 {
            return Vec::new();
        }
        let pack = |ky: usize| {
            let mut packed = buffer::take(self.filters * strips.depth());
            let filters = packed.par_chunks_exact_mut(strips.depth()).enumerate();
            filters.with_min_len(super::tasks::planes_per_task(strips.depth())).for_each(
                |(o, packed)| {
                    let channels = packed.chunks_exact_mut(strips.columns.len()).enumerate();
                    for (c, packed) in channels {
                        for (to, &kx) in packed.iter_mut().zip(&strips.columns) {
                            *to = kernel.at(o, c, ky, kx);
                        }
                    }
                },
            );
            packed
        };
        strips.rows.iter().map(|row| pack(row.ky)).collect()
    }

    /// The packed weights as matrices of `filters` rows.
    fn matrices<'a>(
        &self,
        strips: &Strips,
        kernel: Kernel<'a>,
        packed: &'a [Vec<f32>],
    ) -> Vec<Matrix<'a>> {
        if self.window.size == 1 && strips.depth() > 0 && !strips.rows.is_empty() {
            let [filters, channels] = kernel.counts;
            let matrix = Matrix::new(kernel.weight, filters, channels, channels);
            return vec![if kernel.turned { matrix.transposed() } else { matrix }];
        }
        let depth = strips.depth();
        packed.iter().map(|packed| Matrix::new(packed, self.filters, depth, depth)).collect()
    }

    /// Gradient with respect to the weights, `[D, C, k, k]`.
    fn weight_gradient(&self, x: &[f32], gradient: &[f32]) -> Result<Vec<f32>> {
        if let Some(direct) = self.direct() {
            return Ok(direct.weight_gradient(x, gradient));
        }
        let strips = self.strips()?;
        // The number of parts depends on the shapes alone.
        let n_parts = self.images.min(4);
        let part_len = strips.rows.len() * strips.depth() * self.filters;
        let mut parts: Vec<Vec<f32>> = (0..n_parts).map(|_| buffer::take(part_len)).collect();
        let image = self.channels * strips.pixels();
        let image_out = self.filters * strips.pixels_out();
        parts.par_iter_mut().enumerate().for_each(|(p, part)| {
            let images = p * self.images / n_parts..(p + 1) * self.images / n_parts;
            let x = x[images.start * image..images.end * image].chunks_exact(image);
            let gradient = &gradient[images.start * image_out..images.end * image_out];
            let mut onto = WriteMode::Replace;
            for (x, gradient) in x.zip(gradient.chunks_exact(image_out)) {
                strips.for_tiles(x, |tile| {
                    let gradient = Matrix::new(
                        &gradient[tile.start * strips.width_out..],
                        self.filters,
                        tile.rows * strips.width_out,
                        strips.pixels_out(),
                    );
                    let parts = part.chunks_exact_mut(strips.depth() * self.filters);
                    for (row, part) in strips.rows.iter().zip(parts) {
                        let strips = strips.matrix(row, &tile);
                        product(part, self.filters, onto, strips, gradient.transposed());
                    }
                    onto = WriteMode::Add;
                });
            }
        });
        let sum = sum_in_order(parts);
        let found = self.unpack(&strips, &sum);
        buffer::give(sum);
        Ok(found)
    }

    /// Reorders sums by row, channel and column of the kernel and filter into the kernel's order.
    fn unpack(&self, strips: &Strips, sum: &[f32]) -> Vec<f32> {
        // Filters that share cache lines.
        const FILTERS: usize = 16;
        let size = self.window.size;
        let filter = self.channels * size * size;
        let pruned = strips.rows.len() * strips.columns.len() < size * size;
        let mut found = buffer::take(self.filters * filter);
        let blocks = found.par_chunks_mut(FILTERS * filter).enumerate();
        blocks.with_min_len(super::tasks::planes_per_task(FILTERS * filter)).for_each(
            |(block, found)| {
                if pruned {
                    found.fill(0.0);
                }
                let mut lines = sum.chunks_exact(self.filters);
                for row in &strips.rows {
                    for c in 0..self.channels {
                        for kx in &strips.columns {
                            let Some(line) = lines.next() else { return };
                            let at = (c * size + row.ky) * size + kx;
                            let values = &line[block * FILTERS..];
                            for (found, value) in found[at..].iter_mut().step_by(filter).zip(values)
                            {
                                *found = *value;
                            }
                        }
                    }
                }
            },
        );
        found
    }

    /// Gradient with respect to the input.
    fn input_gradient(&self, gradient: &[f32], weight: &[f32]) -> Result<Vec<f32>> {
        let Window { size, stride, padding, dilation } = self.window;
        let kernel = Kernel::straight(weight, self);
        let reach = self.window.reach();
        if stride > 1 || padding > reach {
            return self.scattered_gradient(gradient, kernel);
        }
        // At stride 1, it is a convolution with the flipped kernel.
        let back = Self {
            window: Window { size, stride, padding: reach - padding, dilation },
            channels: self.filters,
            filters: self.channels,
            size: self.size_out,
            size_out: self.size,
            ..*self
        };
        back.run(gradient, Kernel { turned: true, ..kernel }, None)
    }

    /// [`Self::input_gradient`] as the transpose of the forward pass: products into strips, and
    /// sums of strips into the input.
    fn scattered_gradient(&self, gradient: &[f32], kernel: Kernel) -> Result<Vec<f32>> {
        let strips = self.strips()?;
        let packed = self.pack(&strips, kernel);
        let weights = self.matrices(&strips, kernel, &packed);
        let pixels_out = strips.pixels_out();
        let mut found = buffer::zeros(self.images * self.channels * strips.pixels());
        found
            .par_chunks_exact_mut(self.channels * strips.pixels())
            .zip(gradient.par_chunks_exact(self.filters * pixels_out))
            .for_each(|(found, gradient)| {
                let gradient = Matrix::new(gradient, self.filters, pixels_out, pixels_out);
                strips.add_back(found, |row, to, step| {
                    product(to, step, WriteMode::Add, weights[row].transposed(), gradient);
                });
            });
        packed.into_iter().for_each(buffer::give);
        Ok(found)
    }
}
