//! Convolution, one group, with or without bias.

use super::direct::Direct;
use super::product::{Matrix, Onto, product};
use super::stack::Stack;
use super::strips::Strips;
pub(in crate::model) use super::strips::Window;
use super::{sum_in_order, tensor, vector, view};
use crate::model::buffer;
use crate::model::error::{Error, Result};
use crate::model::tape::{Gradient, Operator, Step};
use candle_core::Tensor;
use rayon::prelude::*;

/// `y = w * x`, or `w * x + b`; inputs `[B, C, H, W]`, `[D, C, k, k]` and maybe `[D]`.
pub(in crate::model) struct Convolution(pub(in crate::model) Window);

impl Operator for Convolution {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let sizes = self.sizes(inputs)?;
        let (x, weight) = (view(inputs[0])?, view(inputs[1])?);
        let bias = inputs.get(2).map(|bias| view(bias)).transpose()?;
        let kernel = Kernel::straight(&weight, &sizes);
        let y = match Stack::new(self.0, sizes.images, sizes.size) {
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
        let (of_input, of_weight) = match Stack::new(self.0, sizes.images, sizes.size) {
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
        .with_min_len(super::planes_per_task(pixels))
        .map(|plane| vector::moments(plane, 0.0).0)
        .collect();
    let mut sums = vec![0.0f64; channels];
    for (i, plane) in planes.iter().enumerate() {
        sums[i % channels] += f64::from(*plane);
    }
    sums.iter().map(|sum| *sum as f32).collect()
}

/// A kernel, and how its elements are to be taken.
#[derive(Clone, Copy)]
struct Kernel<'a> {
    /// `[D, C, k, k]`.
    weight: &'a [f32],
    size: usize,
    /// Its own filters and channels.
    counts: [usize; 2],
    /// Turned around, filters and channels changed over: for the way back at stride 1.
    turned: bool,
}

impl<'a> Kernel<'a> {
    fn straight(weight: &'a [f32], sizes: &Sizes) -> Self {
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
struct Sizes {
    window: Window,
    images: usize,
    channels: usize,
    filters: usize,
    size: [usize; 2],
    size_out: [usize; 2],
}

impl Convolution {
    /// Rows and columns of the output, once all inputs are known to fit.
    pub(super) fn size_out(&self, inputs: &[&Tensor]) -> Result<[usize; 2]> {
        Ok(self.sizes(inputs)?.size_out)
    }

    fn sizes(&self, inputs: &[&Tensor]) -> Result<Sizes> {
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
        Ok(Sizes { window, images, channels, filters, size: [height, width], size_out })
    }
}

impl Sizes {
    /// The same for stacks of the images.
    fn stacked(self, stack: Stack) -> Self {
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

    fn direct(&self) -> Option<Direct> {
        Direct::new(self.window, [self.channels, self.filters], self.size)
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
                let mut onto = Onto::Replace;
                if let Some(bias) = bias {
                    for (plane, bias) in y.chunks_exact_mut(pixels).zip(bias) {
                        plane.fill(*bias);
                    }
                    onto = Onto::Add;
                } else if weights.is_empty() {
                    y.fill(0.0);
                }
                strips.for_tiles(x, |tile| {
                    let mut onto = onto;
                    for (row, weights) in strips.rows.iter().zip(&weights) {
                        let y = &mut y[tile.start * strips.width_out..];
                        product(y, pixels, onto, *weights, strips.matrix(row, &tile));
                        onto = Onto::Add;
                    }
                });
            });
        packed.into_iter().for_each(buffer::give);
        Ok(y)
    }

    /// For each row of the kernel that counts, its weights as rows of a filter's `depth` values;
    /// empty for a 1 × 1 kernel, which lies right as it is.
    fn pack(&self, strips: &Strips, kernel: Kernel) -> Vec<Vec<f32>> {
        if self.window.size == 1 {
            return Vec::new();
        }
        let pack = |ky: usize| {
            let mut packed = buffer::take(self.filters * strips.depth());
            let filters = packed.par_chunks_exact_mut(strips.depth()).enumerate();
            filters.with_min_len(super::planes_per_task(strips.depth())).for_each(|(o, packed)| {
                let channels = packed.chunks_exact_mut(strips.columns.len()).enumerate();
                for (c, packed) in channels {
                    for (to, &kx) in packed.iter_mut().zip(&strips.columns) {
                        *to = kernel.at(o, c, ky, kx);
                    }
                }
            });
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
        // A number of parts that depends on the shapes alone.
        let n_parts = self.images.min(4);
        let part_len = strips.rows.len() * strips.depth() * self.filters;
        let mut parts: Vec<Vec<f32>> = (0..n_parts).map(|_| buffer::take(part_len)).collect();
        let image = self.channels * strips.pixels();
        let image_out = self.filters * strips.pixels_out();
        parts.par_iter_mut().enumerate().for_each(|(p, part)| {
            let images = p * self.images / n_parts..(p + 1) * self.images / n_parts;
            let x = x[images.start * image..images.end * image].chunks_exact(image);
            let gradient = &gradient[images.start * image_out..images.end * image_out];
            let mut onto = Onto::Replace;
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
                    onto = Onto::Add;
                });
            }
        });
        let sum = sum_in_order(parts);
        let found = self.unpack(&strips, &sum);
        buffer::give(sum);
        Ok(found)
    }

    /// Brings sums by row, channel and column of the kernel and filter into the kernel's order.
    fn unpack(&self, strips: &Strips, sum: &[f32]) -> Vec<f32> {
        // Filters that share lines of the cache.
        const FILTERS: usize = 16;
        let size = self.window.size;
        let filter = self.channels * size * size;
        let pruned = strips.rows.len() * strips.columns.len() < size * size;
        let mut found = buffer::take(self.filters * filter);
        let blocks = found.par_chunks_mut(FILTERS * filter).enumerate();
        blocks.with_min_len(super::planes_per_task(FILTERS * filter)).for_each(|(block, found)| {
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
                        for (found, value) in found[at..].iter_mut().step_by(filter).zip(values) {
                            *found = *value;
                        }
                    }
                }
            }
        });
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
        // At stride 1 it is a convolution with the kernel turned around.
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

    /// [`Self::input_gradient`] as the transpose of the forward pass: into strips by products, from
    /// strips to the input by adding.
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
                    product(to, step, Onto::Add, weights[row].transposed(), gradient);
                });
            });
        packed.into_iter().for_each(buffer::give);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, output, random};
    use super::*;

    /// The definition, one element at a time.
    fn reference(window: Window, x: &Tensor, w: &Tensor, bias: Option<&[f32]>) -> Vec<f32> {
        let (b, c, h, wd) = x.dims4().unwrap();
        let d = w.dims()[0];
        let (ho, wo) = (window.output(h).unwrap(), window.output(wd).unwrap());
        let (x, w) = (view(x).unwrap(), view(w).unwrap());
        let mut y = Vec::new();
        for i in 0..b * d * ho * wo {
            let (image, o, oy, ox) = (i / (d * ho * wo), i / (ho * wo) % d, i / wo % ho, i % wo);
            let mut sum = bias.map_or(0.0, |bias| f64::from(bias[o]));
            for k in 0..c * window.size * window.size {
                let (ci, ky, kx) = (
                    k / (window.size * window.size),
                    k / window.size % window.size,
                    k % window.size,
                );
                let iy = oy * window.stride + ky * window.dilation;
                let ix = ox * window.stride + kx * window.dilation;
                let inside = |i: usize, n| i >= window.padding && i < n + window.padding;
                if inside(iy, h) && inside(ix, wd) {
                    let at =
                        ((image * c + ci) * h + iy - window.padding) * wd + ix - window.padding;
                    sum += f64::from(x[at]) * f64::from(w[o * c * window.size * window.size + k]);
                }
            }
            y.push(sum as f32);
        }
        y
    }

    fn windows() -> Vec<Window> {
        let dilated = |dilation| Window { size: 3, stride: 1, padding: dilation, dilation };
        vec![
            Window::centred(3, 1),
            Window::centred(3, 2),
            Window::centred(1, 1),
            Window::centred(1, 2),
            Window::centred(7, 2),
            dilated(2),
            dilated(5),
            dilated(10),
            Window { size: 3, stride: 2, padding: 2, dilation: 2 },
            Window { size: 3, stride: 1, padding: 0, dilation: 1 },
            Window { size: 2, stride: 3, padding: 1, dilation: 1 },
            Window { size: 1, stride: 1, padding: 1, dilation: 1 },
        ]
    }

    #[test]
    fn the_output_is_the_definitions() {
        for window in windows() {
            let x = random(&[2, 3, 9, 8], 1);
            let w = random(&[4, 3, window.size, window.size], 2);
            let bias = random(&[4], 3);
            let expected = reference(window, &x, &w, Some(&view(&bias).unwrap()));
            let found = output(&Convolution(window), &[x.clone(), w.clone(), bias]);
            assert_eq!(found.len(), expected.len());
            for (f, e) in found.iter().zip(&expected) {
                assert!((f - e).abs() < 1e-5, "{window:?}: {f} {e}");
            }
            let plain = output(&Convolution(window), &[x.clone(), w.clone()]);
            let expected = reference(window, &x, &w, None);
            assert!(plain.iter().zip(&expected).all(|(f, e)| (f - e).abs() < 1e-5));
        }
    }

    #[test]
    fn gradients_are_difference_quotients() {
        for window in windows() {
            let inputs = [
                random(&[2, 3, 7, 6], 1),
                random(&[2, 3, window.size, window.size], 2),
                random(&[2], 3),
            ];
            assert_gradients(|| Box::new(Convolution(window)), &inputs, 0.5, 1e-5);
        }
    }

    #[test]
    fn wide_images_of_few_channels_make_no_difference() {
        for (channels, filters, width, dilation) in [(2, 3, 32, 1), (3, 9, 37, 2), (2, 16, 40, 5)] {
            let window = Window { size: 3, stride: 1, padding: dilation, dilation };
            let x = random(&[2, channels, 12, width], 1);
            let w = random(&[filters, channels, 3, 3], 2);
            let bias = random(&[filters], 3);
            let inputs = [x.clone(), w.clone(), bias.clone()];
            assert!(Convolution(window).sizes(&[&x, &w, &bias]).unwrap().direct().is_some());
            let expected = reference(window, &x, &w, Some(&view(&bias).unwrap()));
            let found = output(&Convolution(window), &inputs);
            assert!(found.iter().zip(&expected).all(|(f, e)| (f - e).abs() < 1e-5));
            if filters < 16 {
                assert_gradients(|| Box::new(Convolution(window)), &inputs, 0.5, 1e-5);
            }
        }
    }

    #[test]
    fn stacked_images_make_no_difference() {
        for window in windows() {
            let inputs = [
                random(&[5, 2, 5, 4], 1),
                random(&[3, 2, window.size, window.size], 2),
                random(&[3], 3),
            ];
            let [x, w, bias] = &inputs;
            let expected = reference(window, x, w, Some(&view(bias).unwrap()));
            let found = output(&Convolution(window), &inputs);
            assert!(found.iter().zip(&expected).all(|(f, e)| (f - e).abs() < 1e-5), "{window:?}");
            assert_gradients(|| Box::new(Convolution(window)), &inputs, 0.5, 1e-5);
        }
    }

    #[test]
    fn tiles_and_parts_join_without_a_seam() {
        // Deep enough for several tiles, and with weights enough for parts of several images.
        let window = Window { size: 3, stride: 1, padding: 5, dilation: 5 };
        let (x, w) = (random(&[5, 65, 40, 40], 1), random(&[128, 65, 3, 3], 2));
        let operator = Convolution(window);
        let sizes = operator.sizes(&[&x, &w]).unwrap();
        assert!(sizes.direct().is_none() && sizes.strips().unwrap().tile_rows() < 40);
        let found = output(&operator, &[x.clone(), w.clone()]);
        let expected = reference(window, &x, &w, None);
        assert!(found.iter().zip(&expected).all(|(f, e)| (f - e).abs() < 1e-3));
        // The gradient of the sum with respect to a weight is the sum of what it is multiplied by.
        let y = operator.forward(&[&x, &w]).unwrap();
        let gradient = Gradient::new(y.ones_like().unwrap());
        let step =
            Step { inputs: &[&x, &w], output: &y, gradient: &gradient, wanted: &[false, true] };
        let found = operator.backward(&step).unwrap().remove(1).unwrap();
        let (found, x) = (view(found.tensor()).unwrap(), view(&x).unwrap());
        for (c, sum) in (0..65).map(|c| {
            let plane = |b: usize| &x[(b * 65 + c) * 1600..(b * 65 + c + 1) * 1600];
            (c, (0..5).map(|b| plane(b).iter().sum::<f32>()).sum::<f32>())
        }) {
            assert!((found[(7 * 65 + c) * 9 + 4] - sum).abs() < 2e-2);
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let window = Window::centred(3, 1);
        let operator = Convolution(window);
        let bad = |x: &[usize], w: &[usize]| {
            operator.forward(&[&random(x, 1), &random(w, 2)]).unwrap_err().to_string()
        };
        assert!(bad(&[1, 2, 8, 8], &[4, 3, 3, 3]).contains("[1, 2, 8, 8], [4, 3, 3, 3]"));
        assert!(bad(&[1, 2, 8, 8], &[4, 2, 5, 5]).starts_with("convolution: Window"));
        assert!(bad(&[2, 8, 8], &[4, 2, 3, 3]).starts_with("convolution: Window"));
    }
}
