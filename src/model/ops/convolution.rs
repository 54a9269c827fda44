//! Convolution, one group, with or without bias.
//!
//! For each column of the kernel the input is copied once, shifted and cut to the width of the
//! output ("strips"). Then each row of the kernel is a product with the same strips from another
//! row on: a third of the copying that a full unfolding of a 3 × 3 kernel takes.

use super::direct::Direct;
use super::product::{Matrix, Onto, product};
use super::{sum_in_order, tensor, view, with_scratch};
use crate::model::buffer;
use crate::model::error::{Error, Result};
use crate::model::tape::{Gradient, Operator, Step};
use candle_core::Tensor;
use rayon::prelude::*;

/// A square kernel and how it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) struct Window {
    /// Rows and columns of the kernel.
    pub(in crate::model) size: usize,
    /// Step between outputs.
    pub(in crate::model) stride: usize,
    /// Zeros around the input.
    pub(in crate::model) padding: usize,
    /// Step between the kernel's elements.
    pub(in crate::model) dilation: usize,
}

impl Window {
    /// A kernel of odd size that keeps the image's size at stride 1.
    pub(in crate::model) fn centred(size: usize, stride: usize) -> Self {
        Self { size, stride, padding: size / 2, dilation: 1 }
    }

    /// Pixels along an axis of the output, `None` where the kernel does not fit.
    pub(super) fn output(self, input: usize) -> Option<usize> {
        let reach = self.dilation * (self.size - 1) + 1;
        (input + 2 * self.padding).checked_sub(reach).map(|room| room / self.stride + 1)
    }

    /// Places along an axis at which the kernel's element `k` meets the input.
    fn valid(self, k: usize, input: usize, output: usize) -> std::ops::Range<usize> {
        let shift = k * self.dilation;
        let start = self.padding.saturating_sub(shift).div_ceil(self.stride);
        let end = (input + self.padding).saturating_sub(shift).div_ceil(self.stride);
        start.min(output)..end.clamp(start.min(output), output)
    }
}

/// `y = w * x`, or `w * x + b`; inputs `[B, C, H, W]`, `[D, C, k, k]` and maybe `[D]`.
pub(in crate::model) struct Convolution(pub(in crate::model) Window);

impl Operator for Convolution {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let plan = Plan::new(self.0, inputs)?;
        let (x, weight) = (view(inputs[0])?, view(inputs[1])?);
        let bias = inputs.get(2).map(|bias| view(bias)).transpose()?;
        let at = |o: usize, c: usize, ky: usize, kx: usize| {
            weight[((o * plan.channels + c) * plan.window.size + ky) * plan.window.size + kx]
        };
        let y = match plan.direct() {
            Some(direct) => direct.run(&x, at, bias.as_deref()),
            None => plan.run(&x, &plan.pack(at), bias.as_deref()),
        };
        tensor(y, (plan.images, plan.filters, plan.height_out, plan.width_out))
    }

    fn backward(&self, step: &Step) -> Result<Vec<Option<Gradient>>> {
        let plan = Plan::new(self.0, step.inputs)?;
        let (x, weight) = (view(step.inputs[0])?, view(step.inputs[1])?);
        let gradient = view(step.gradient.tensor())?;
        let mut found = vec![None; step.inputs.len()];
        if step.wanted[0] {
            let values = plan.input_gradient(&gradient, &weight)?;
            found[0] = Some(Gradient::new(tensor(values, step.inputs[0].dims())?));
        }
        if step.wanted[1] {
            let values = match plan.direct() {
                Some(direct) => direct.weight_gradient(&x, &gradient),
                None => plan.weight_gradient(&x, &gradient),
            };
            found[1] = Some(Gradient::new(tensor(values, step.inputs[1].dims())?));
        }
        if step.wanted.get(2) == Some(&true) {
            let values = channel_sums(&gradient, plan.filters, plan.pixels_out());
            found[2] = Some(Gradient::new(tensor(values, plan.filters)?));
        }
        Ok(found)
    }
}

/// Sums over images and pixels.
fn channel_sums(values: &[f32], channels: usize, pixels: usize) -> Vec<f32> {
    let planes: Vec<f64> = values
        .par_chunks(pixels)
        .with_min_len(super::planes_per_task(pixels))
        .map(|plane| plane.chunks(256).map(|c| f64::from(c.iter().sum::<f32>())).sum())
        .collect();
    let mut sums = vec![0.0f64; channels];
    for (i, plane) in planes.iter().enumerate() {
        sums[i % channels] += plane;
    }
    sums.iter().map(|sum| *sum as f32).collect()
}

/// A row of the kernel that meets the input somewhere.
struct KernelRow {
    /// Row of the kernel.
    ky: usize,
    /// Which of the plan's phases its rows of the input belong to.
    phase: usize,
    /// Its first row among the rows of that phase.
    start: usize,
}

/// One convolution's sizes, and the parts of its kernel that meet the input.
struct Plan {
    window: Window,
    images: usize,
    channels: usize,
    filters: usize,
    height: usize,
    width: usize,
    height_out: usize,
    width_out: usize,
    rows: Vec<KernelRow>,
    columns: Vec<usize>,
    /// Remainders of the input's rows by the stride; rows of one remainder follow each other.
    phases: Vec<usize>,
    /// First row of each phase that any kernel row needs.
    first: usize,
    /// Rows that a phase has beyond those of the output.
    extra: usize,
}

impl Plan {
    fn new(window: Window, inputs: &[&Tensor]) -> Result<Self> {
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
        Self::sized(window, [images, channels, filters], [height, width]).ok_or_else(wrong)
    }

    fn sized(window: Window, counts: [usize; 3], size: [usize; 2]) -> Option<Self> {
        let [images, channels, filters] = counts;
        let [height, width] = size;
        let (height_out, width_out) = (window.output(height)?, window.output(width)?);
        let met = |input, output| {
            (0..window.size).filter(move |&k| !window.valid(k, input, output).is_empty())
        };
        let mut phases: Vec<usize> =
            met(height, height_out).map(|ky| ky * window.dilation % window.stride).collect();
        phases.sort_unstable();
        phases.dedup();
        let starts = || met(height, height_out).map(|ky| ky * window.dilation / window.stride);
        let first = starts().min().unwrap_or(0);
        let extra = starts().max().unwrap_or(0) - first;
        let rows = met(height, height_out)
            .map(|ky| KernelRow {
                ky,
                phase: phases
                    .partition_point(|&phase| phase < ky * window.dilation % window.stride),
                start: ky * window.dilation / window.stride - first,
            })
            .collect();
        let columns = met(width, width_out).collect();
        Some(Self {
            window,
            images,
            channels,
            filters,
            height,
            width,
            height_out,
            width_out,
            rows,
            columns,
            phases,
            first,
            extra,
        })
    }

    /// The same convolution the direct way, where that is better.
    fn direct(&self) -> Option<Direct> {
        Direct::new(self.window, [self.channels, self.filters], [self.height, self.width])
    }

    fn pixels(&self) -> usize {
        self.height * self.width
    }

    fn pixels_out(&self) -> usize {
        self.height_out * self.width_out
    }

    /// Strips that one pixel of the output depends on for a row of the kernel.
    fn depth(&self) -> usize {
        self.channels * self.columns.len()
    }

    /// A 1 × 1 kernel that takes every pixel: the input is its own strips.
    fn is_pointwise(&self) -> bool {
        self.window == Window { size: 1, stride: 1, padding: 0, dilation: self.window.dilation }
    }

    /// For each row of the kernel that counts, the weights as rows of a filter's `depth` values.
    fn pack(&self, weight: impl Fn(usize, usize, usize, usize) -> f32) -> Vec<Vec<f32>> {
        let pack = |row: &KernelRow| {
            let mut packed = Vec::with_capacity(self.filters * self.depth());
            for o in 0..self.filters {
                for c in 0..self.channels {
                    packed.extend(self.columns.iter().map(|&kx| weight(o, c, row.ky, kx)));
                }
            }
            packed
        };
        self.rows.iter().map(pack).collect()
    }

    /// Rows of the output whose strips stay in a core's cache.
    fn tile_rows(&self) -> usize {
        const CACHE: usize = 256 << 10;
        let line = self.depth() * self.phases.len() * self.width_out;
        (CACHE / line.max(1)).saturating_sub(self.extra).clamp(8, self.height_out.max(8))
    }

    /// Calls `f(first row, rows, strips, rows of a phase)` for tiles of the output's rows.
    fn for_tiles(&self, x: &[f32], mut f: impl FnMut(usize, usize, &[f32], usize)) {
        if self.is_pointwise() {
            f(0, self.height_out, x, self.height_out);
            return;
        }
        let tile = self.tile_rows();
        for start in (0..self.height_out).step_by(tile) {
            let rows = tile.min(self.height_out - start);
            let phase_rows = rows + self.extra;
            let len = self.depth() * self.phases.len() * phase_rows * self.width_out;
            with_scratch(len, |strips| {
                self.fill_strips(x, start, phase_rows, strips);
                f(start, rows, strips, phase_rows);
            });
        }
    }

    /// Row of the input that is row `q` of a phase, in a tile that starts at row `start`.
    fn input_row(&self, phase: usize, start: usize, q: usize) -> Option<usize> {
        let row = (start + q + self.first) * self.window.stride + phase;
        row.checked_sub(self.window.padding).filter(|&row| row < self.height)
    }

    fn fill_strips(&self, x: &[f32], start: usize, phase_rows: usize, strips: &mut [f32]) {
        let Window { stride, padding, dilation, .. } = self.window;
        let width = self.width_out;
        let mut lines = strips.chunks_exact_mut(width);
        for plane in x.chunks_exact(self.pixels()) {
            for &kx in &self.columns {
                let valid = self.window.valid(kx, self.width, width);
                let from = valid.start * stride + kx * dilation - padding;
                for &phase in &self.phases {
                    for q in 0..phase_rows {
                        let Some(line) = lines.next() else { return };
                        let Some(row) = self.input_row(phase, start, q) else {
                            line.fill(0.0);
                            continue;
                        };
                        let source = &plane[row * self.width + from..(row + 1) * self.width];
                        line[..valid.start].fill(0.0);
                        line[valid.end..].fill(0.0);
                        let line = &mut line[valid.clone()];
                        if stride == 1 {
                            line.copy_from_slice(&source[..line.len()]);
                        } else {
                            for (to, from) in line.iter_mut().zip(source.iter().step_by(stride)) {
                                *to = *from;
                            }
                        }
                    }
                }
            }
        }
    }

    /// The strips that a row of the kernel takes, as a matrix of `depth` rows.
    fn strip_matrix<'a>(
        &self,
        row: &KernelRow,
        rows: usize,
        phase_rows: usize,
        strips: &'a [f32],
    ) -> Matrix<'a> {
        let step = self.phases.len() * phase_rows * self.width_out;
        let start = (row.phase * phase_rows + row.start) * self.width_out;
        Matrix::new(&strips[start..], self.depth(), rows * self.width_out, step)
    }

    /// The output, given the packed weights.
    fn run(&self, x: &[f32], weights: &[Vec<f32>], bias: Option<&[f32]>) -> Vec<f32> {
        let pixels = self.pixels_out();
        let mut y = buffer::take(self.images * self.filters * pixels);
        y.par_chunks_exact_mut(self.filters * pixels)
            .zip(x.par_chunks_exact(self.channels * self.pixels()))
            .for_each(|(y, x)| {
                let mut onto = Onto::Replace;
                if let Some(bias) = bias {
                    for (plane, bias) in y.chunks_exact_mut(pixels).zip(bias) {
                        plane.fill(*bias);
                    }
                    onto = Onto::Add;
                } else if self.rows.is_empty() {
                    y.fill(0.0);
                }
                self.for_tiles(x, |start, rows, strips, phase_rows| {
                    let mut onto = onto;
                    for (row, weights) in self.rows.iter().zip(weights) {
                        product(
                            &mut y[start * self.width_out..],
                            pixels,
                            onto,
                            Matrix::new(weights, self.filters, self.depth(), self.depth()),
                            self.strip_matrix(row, rows, phase_rows, strips),
                        );
                        onto = Onto::Add;
                    }
                });
            });
        y
    }

    /// Gradient with respect to the weights, `[D, C, k, k]`.
    fn weight_gradient(&self, x: &[f32], gradient: &[f32]) -> Vec<f32> {
        // Small gradients one for each image, large ones for a quarter of the images each: a
        // number of parts that depends on the shapes alone.
        let part_len = self.rows.len() * self.depth() * self.filters;
        let images_per_part = if part_len <= 1 << 14 { 1 } else { self.images.div_ceil(4).max(1) };
        let n_parts = self.images.div_ceil(images_per_part);
        let mut parts: Vec<Vec<f32>> = (0..n_parts).map(|_| buffer::zeros(part_len)).collect();
        let image = self.channels * self.pixels();
        let image_out = self.filters * self.pixels_out();
        parts
            .par_iter_mut()
            .zip(x.par_chunks(image * images_per_part))
            .zip(gradient.par_chunks(image_out * images_per_part))
            .for_each(|((part, x), gradient)| {
                for (x, gradient) in x.chunks_exact(image).zip(gradient.chunks_exact(image_out)) {
                    self.for_tiles(x, |start, rows, strips, phase_rows| {
                        let gradient = Matrix::new(
                            &gradient[start * self.width_out..],
                            self.filters,
                            rows * self.width_out,
                            self.pixels_out(),
                        );
                        let parts = part.chunks_exact_mut(self.depth() * self.filters);
                        for (row, part) in self.rows.iter().zip(parts) {
                            product(
                                part,
                                self.filters,
                                Onto::Add,
                                self.strip_matrix(row, rows, phase_rows, strips),
                                gradient.transposed(),
                            );
                        }
                    });
                }
            });
        let sum = sum_in_order(parts);
        let size = self.window.size;
        let mut found = buffer::zeros(self.filters * self.channels * size * size);
        let mut values = sum.iter();
        for row in &self.rows {
            for c in 0..self.channels {
                for kx in &self.columns {
                    for o in 0..self.filters {
                        if let Some(value) = values.next() {
                            found[((o * self.channels + c) * size + row.ky) * size + kx] = *value;
                        }
                    }
                }
            }
        }
        buffer::give(sum);
        found
    }

    /// Gradient with respect to the input.
    fn input_gradient(&self, gradient: &[f32], weight: &[f32]) -> Result<Vec<f32>> {
        let Window { size, stride, padding, dilation } = self.window;
        let at = |o: usize, c: usize, ky: usize, kx: usize| {
            weight[((o * self.channels + c) * size + ky) * size + kx]
        };
        let reach = dilation * (size - 1);
        if stride > 1 || padding > reach {
            return Ok(self.scattered_gradient(gradient, &self.pack(at)));
        }
        // At stride 1 it is a convolution with the kernel turned around.
        let window = Window { size, stride: 1, padding: reach - padding, dilation };
        let counts = [self.images, self.filters, self.channels];
        let plan =
            Self::sized(window, counts, [self.height_out, self.width_out]).ok_or_else(|| {
                Error::Shape {
                    operator: "convolution",
                    problem: format!("{window:?} does not fit its own output"),
                }
            })?;
        let turned = |c, o, ky, kx| at(o, c, size - 1 - ky, size - 1 - kx);
        Ok(match plan.direct() {
            Some(direct) => direct.run(gradient, turned, None),
            None => plan.run(gradient, &plan.pack(turned), None),
        })
    }

    /// [`Self::input_gradient`] as the transpose of the forward pass: into strips by products, from
    /// strips to the input by adding.
    fn scattered_gradient(&self, gradient: &[f32], weights: &[Vec<f32>]) -> Vec<f32> {
        let mut found = buffer::zeros(self.images * self.channels * self.pixels());
        let phase_rows = self.height_out + self.extra;
        let step = self.phases.len() * phase_rows * self.width_out;
        found
            .par_chunks_exact_mut(self.channels * self.pixels())
            .zip(gradient.par_chunks_exact(self.filters * self.pixels_out()))
            .for_each(|(found, gradient)| {
                with_scratch(self.depth() * step, |strips| {
                    strips.fill(0.0);
                    for (row, weights) in self.rows.iter().zip(weights) {
                        let start = (row.phase * phase_rows + row.start) * self.width_out;
                        product(
                            &mut strips[start..],
                            step,
                            Onto::Add,
                            Matrix::new(weights, self.filters, self.depth(), self.depth())
                                .transposed(),
                            Matrix::new(
                                gradient,
                                self.filters,
                                self.pixels_out(),
                                self.pixels_out(),
                            ),
                        );
                    }
                    self.add_strips(strips, phase_rows, found);
                });
            });
        found
    }

    fn add_strips(&self, strips: &[f32], phase_rows: usize, x: &mut [f32]) {
        let Window { stride, padding, dilation, .. } = self.window;
        let mut lines = strips.chunks_exact(self.width_out);
        for plane in x.chunks_exact_mut(self.pixels()) {
            for &kx in &self.columns {
                let valid = self.window.valid(kx, self.width, self.width_out);
                let from = valid.start * stride + kx * dilation - padding;
                for &phase in &self.phases {
                    for q in 0..phase_rows {
                        let Some(line) = lines.next() else { return };
                        let Some(row) = self.input_row(phase, 0, q) else { continue };
                        let target = &mut plane[row * self.width + from..(row + 1) * self.width];
                        let target = target.iter_mut().step_by(stride);
                        for (to, from) in target.zip(&line[valid.clone()]) {
                            *to += from;
                        }
                    }
                }
            }
        }
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
            assert!(Plan::new(window, &[&x, &w, &bias]).unwrap().direct().is_some());
            let expected = reference(window, &x, &w, Some(&view(&bias).unwrap()));
            let found = output(&Convolution(window), &inputs);
            assert!(found.iter().zip(&expected).all(|(f, e)| (f - e).abs() < 1e-5));
            if filters < 16 {
                assert_gradients(|| Box::new(Convolution(window)), &inputs, 0.5, 1e-5);
            }
        }
    }

    #[test]
    fn tiles_and_parts_join_without_a_seam() {
        // Deep enough for several tiles, and with weights enough for parts of several images.
        let window = Window { size: 3, stride: 1, padding: 5, dilation: 5 };
        let (x, w) = (random(&[5, 64, 40, 40], 1), random(&[128, 64, 3, 3], 2));
        let operator = Convolution(window);
        let plan = Plan::new(window, &[&x, &w]).unwrap();
        assert!(plan.tile_rows() < 40);
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
        for (c, sum) in (0..64).map(|c| {
            let plane = |b: usize| &x[(b * 64 + c) * 1600..(b * 64 + c + 1) * 1600];
            (c, (0..5).map(|b| plane(b).iter().sum::<f32>()).sum::<f32>())
        }) {
            assert!((found[(7 * 64 + c) * 9 + 4] - sum).abs() < 2e-2);
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
