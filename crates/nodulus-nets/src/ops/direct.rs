//! Direct 3 × 3 convolution at stride 1 of wide images with few channels. Unfolding them would
//! spend the time on copies and on matrices that are too narrow for a fast product.

use super::tasks::{sum_in_order, with_scratch};
use super::window::Window;
use crate::buffer;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Filters computed together.
const BLOCK: usize = 8;

/// Rows and columns of the kernel.
const SIZE: usize = 3;

/// Filters whose weight gradients are computed together: their sums fit into registers.
const GROUP: usize = 4;

/// Pixels of a weight gradient processed together: they fit into the fastest cache.
const CHUNK: usize = 1024;

/// Numbers in the widest vector.
const LANES: usize = 16;

/// Sizes of a convolution.
#[derive(Clone, Copy)]
pub(super) struct DirectConvolution {
    channels: usize,
    filters: usize,
    height: usize,
    width: usize,
    height_out: usize,
    width_out: usize,
    padding: usize,
    dilation: usize,
}

impl DirectConvolution {
    /// The convolution, if this method is the fastest for it.
    pub(super) fn new(
        window: Window,
        [channels, filters]: [usize; 2],
        [height, width]: [usize; 2],
    ) -> Option<Self> {
        let (height_out, width_out) = (window.output(height)?, window.output(width)?);
        let suits = window.size == SIZE
            && window.stride == 1
            && width_out >= 32
            && (2..=64).contains(&channels)
            && filters >= 2;
        let Window { padding, dilation, .. } = window;
        suits.then_some(Self {
            channels,
            filters,
            height,
            width,
            height_out,
            width_out,
            padding,
            dilation,
        })
    }

    /// Columns of a padded image.
    fn pitch(self) -> usize {
        self.width + 2 * self.padding
    }

    /// Pixels of a padded channel.
    fn plane(self) -> usize {
        (self.height + 2 * self.padding) * self.pitch()
    }

    fn image(self) -> usize {
        self.channels * self.height * self.width
    }

    fn image_out(self) -> usize {
        self.filters * self.height_out * self.width_out
    }

    /// Copies an image into a border of zeros.
    fn pad(self, x: &[f32], padded: &mut [f32]) {
        padded.fill(0.0);
        let planes = padded.chunks_exact_mut(self.plane());
        for (to, from) in planes.zip(x.chunks_exact(self.height * self.width)) {
            let rows = to.chunks_exact_mut(self.pitch()).skip(self.padding);
            for (to, from) in rows.zip(from.chunks_exact(self.width)) {
                to[self.padding..][..self.width].copy_from_slice(from);
            }
        }
    }

    /// The output, with weights given by filter, channel, row and column of the kernel.
    pub(super) fn run(
        self,
        x: &[f32],
        weight: impl Fn(usize, usize, usize, usize) -> f32,
        bias: Option<&[f32]>,
    ) -> Vec<f32> {
        let mut offsets = Vec::new();
        for c in 0..self.channels {
            for k in 0..SIZE * SIZE {
                let [row, column] = [k / SIZE, k % SIZE].map(|k| k * self.dilation);
                offsets.push(c * self.plane() + row * self.pitch() + column);
            }
        }
        // By block of filters, then by offset; missing filters have weight 0.
        let blocks: Vec<(Vec<[f32; BLOCK]>, [f32; BLOCK])> = (0..self.filters.div_ceil(BLOCK))
            .map(|block| {
                let filter = |i: usize| Some(block * BLOCK + i).filter(|o| *o < self.filters);
                let weights = (0..offsets.len()).map(|at| {
                    let (c, k) = (at / (SIZE * SIZE), at % (SIZE * SIZE));
                    let value = |o| weight(o, c, k / SIZE, k % SIZE);
                    std::array::from_fn(|i| filter(i).map_or(0.0, value))
                });
                let start = |i| filter(i).and_then(|o| bias.map(|bias| bias[o])).unwrap_or(0.0);
                (weights.collect(), std::array::from_fn(start))
            })
            .collect();
        let pixels_out = self.height_out * self.width_out;
        let images = x.len() / self.image();
        let mut y = buffer::take(images * self.image_out());
        let pairs = y.par_chunks_exact_mut(self.image_out()).zip(x.par_chunks_exact(self.image()));
        pairs.for_each(|(y, x)| {
            with_scratch(self.channels * self.plane(), |padded| {
                self.pad(x, padded);
                for row in 0..self.height_out {
                    for (block, (weights, start)) in blocks.iter().enumerate() {
                        let filters = BLOCK.min(self.filters - block * BLOCK);
                        let at = block * BLOCK * pixels_out + row * self.width_out;
                        Arch::new().dispatch(OutputRow {
                            x: &padded[row * self.pitch()..],
                            offsets: &offsets,
                            weights,
                            start,
                            y: &mut y[at..],
                            step: pixels_out,
                            width: self.width_out,
                            filters,
                        });
                    }
                }
            });
        });
        y
    }

    /// Gradient with respect to the weights, `[D, C, 3, 3]`.
    pub(super) fn weight_gradient(self, x: &[f32], gradient: &[f32]) -> Vec<f32> {
        let len = self.filters * self.channels * SIZE * SIZE;
        let images = x.len() / self.image();
        let mut parts: Vec<Vec<f32>> = (0..images).map(|_| buffer::zeros(len)).collect();
        let images =
            x.par_chunks_exact(self.image()).zip(gradient.par_chunks_exact(self.image_out()));
        parts.par_iter_mut().zip(images).for_each(|(part, (x, gradient))| {
            // Zeros after the last channel, so that no chunk of a line has a remainder.
            let padded_len = self.channels * self.plane() + CHUNK;
            let filters = self.filters.next_multiple_of(GROUP);
            let line = (self.height_out * self.pitch()).next_multiple_of(LANES);
            with_scratch(padded_len + filters * line, |scratch| {
                let (padded, lines) = scratch.split_at_mut(padded_len);
                self.pad(x, padded);
                // The gradient's rows get the pitch of the padded image, so that factors lie side
                // by side along the whole image.
                lines.fill(0.0);
                let pixels_out = self.height_out * self.width_out;
                for (line, plane) in
                    lines.chunks_exact_mut(line).zip(gradient.chunks_exact(pixels_out))
                {
                    let rows =
                        line.chunks_mut(self.pitch()).zip(plane.chunks_exact(self.width_out));
                    rows.for_each(|(to, from)| to[..self.width_out].copy_from_slice(from));
                }
                self.add_weight_gradient(padded, lines, line, part);
            });
        });
        sum_in_order(parts)
    }

    fn add_weight_gradient(self, padded: &[f32], lines: &[f32], line: usize, part: &mut [f32]) {
        for (group, lines) in lines.chunks_exact(GROUP * line).enumerate() {
            for start in (0..line).step_by(CHUNK) {
                for c in 0..self.channels {
                    for k in 0..SIZE {
                        let row = c * self.plane() + k * self.dilation * self.pitch();
                        let sums = Arch::new().dispatch(WeightGradientProduct {
                            x: &padded[row + start..],
                            dilation: self.dilation,
                            lines: &lines[start..],
                            step: line,
                            len: CHUNK.min(line - start),
                        });
                        for (o, sums) in (group * GROUP..self.filters).zip(sums) {
                            let at = ((o * self.channels + c) * SIZE + k) * SIZE;
                            part[at..at + SIZE].iter_mut().zip(sums).for_each(|(p, s)| *p += s);
                        }
                    }
                }
            }
        }
    }
}

/// A row of the output for a block of filters.
struct OutputRow<'a> {
    /// The padded image from the row's first pixel on.
    x: &'a [f32],
    /// Offset of each weight's input.
    offsets: &'a [usize],
    weights: &'a [[f32; BLOCK]],
    start: &'a [f32; BLOCK],
    y: &'a mut [f32],
    /// Step from one filter's output to the next.
    step: usize,
    width: usize,
    filters: usize,
}

impl WithSimd for OutputRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let tile = 2 * S::F32_LANES;
        let mut at = 0;
        while at < self.width {
            // The last tile may overlap the previous one.
            let start = at.min(self.width - tile);
            if S::REGISTER_COUNT >= 32 {
                self.tile::<S, BLOCK>(simd, start, 0);
            } else {
                self.tile::<S, { BLOCK / 2 }>(simd, start, 0);
                self.tile::<S, { BLOCK / 2 }>(simd, start, BLOCK / 2);
            }
            at += tile;
        }
    }
}

impl OutputRow<'_> {
    /// Two vectors of pixels for filters from `first` on: as many sums as there are registers.
    #[inline(always)]
    fn tile<S: Simd, const FILTERS: usize>(&mut self, simd: S, start: usize, first: usize) {
        let tile = 2 * S::F32_LANES;
        // Plain loops: closures called through arrays are not compiled for the processor's
        // instruction set.
        let mut sums = [[simd.splat_f32s(0.0); 2]; FILTERS];
        for (sums, start) in sums.iter_mut().zip(&self.start[first..]) {
            *sums = [simd.splat_f32s(*start); 2];
        }
        for (offset, weights) in self.offsets.iter().zip(self.weights) {
            let (x, _) = S::as_simd_f32s(&self.x[offset + start..][..tile]);
            let [a, b] = [x[0], x[1]];
            for i in 0..FILTERS {
                let weight = simd.splat_f32s(weights[first + i]);
                sums[i] = [
                    simd.mul_add_f32s(weight, a, sums[i][0]),
                    simd.mul_add_f32s(weight, b, sums[i][1]),
                ];
            }
        }
        for (i, sums) in sums.iter().enumerate().take(self.filters.saturating_sub(first)) {
            let y = &mut self.y[(first + i) * self.step + start..][..tile];
            S::as_mut_simd_f32s(y).0.copy_from_slice(sums);
        }
    }
}

/// Products of a part of a group of the gradient's lines with one of the input's lines, for a row
/// of the kernel.
struct WeightGradientProduct<'a> {
    x: &'a [f32],
    dilation: usize,
    lines: &'a [f32],
    /// Step from one line to the next.
    step: usize,
    /// A multiple of `LANES`.
    len: usize,
}

impl WithSimd for WeightGradientProduct<'_> {
    type Output = [[f32; SIZE]; GROUP];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let Self { x, dilation, lines, step, len } = self;
        let x0 = S::as_simd_f32s(&x[..len]).0;
        let x1 = S::as_simd_f32s(&x[dilation..][..len]).0;
        let x2 = S::as_simd_f32s(&x[2 * dilation..][..len]).0;
        let g0 = S::as_simd_f32s(&lines[..len]).0;
        let g1 = S::as_simd_f32s(&lines[step..][..len]).0;
        let g2 = S::as_simd_f32s(&lines[2 * step..][..len]).0;
        let g3 = S::as_simd_f32s(&lines[3 * step..][..len]).0;
        let mut sums = [[simd.splat_f32s(0.0); SIZE]; GROUP];
        let x = x0.iter().zip(x1).zip(x2);
        let g = g0.iter().zip(g1).zip(g2).zip(g3);
        for (((x0, x1), x2), (((g0, g1), g2), g3)) in x.zip(g) {
            let x = [*x0, *x1, *x2];
            let g = [*g0, *g1, *g2, *g3];
            for i in 0..GROUP {
                for k in 0..SIZE {
                    sums[i][k] = simd.mul_add_f32s(g[i], x[k], sums[i][k]);
                }
            }
        }
        let mut found = [[0.0; SIZE]; GROUP];
        for i in 0..GROUP {
            for k in 0..SIZE {
                found[i][k] = simd.reduce_sum_f32s(sums[i][k]);
            }
        }
        found
    }
}
