//! Convolution for inference. Its weights are prepared once, and the following shift, sum and
//! rectifier are applied before its sums go to memory.

use super::packed::{BLOCK, PackedWeights, STRIP, Strip};
use super::partition::{Epilogue, Residual};
use super::partition::{WorkUnit, units};
use super::tasks::with_scratch;
use super::window::Window;
use super::winograd::Winograd;
use crate::error::{Error, Result};
use crate::vector::vectorised;
use rayon::prelude::*;

/// A convolution prepared for images of one size.
pub(crate) struct PreparedConvolution {
    window: Window,
    channels: usize,
    filters: usize,
    size: [usize; 2],
    size_out: [usize; 2],
    shift: Vec<f32>,
    algorithm: ConvolutionAlgorithm,
}

enum ConvolutionAlgorithm {
    /// Product with the unfolded input; the elements of the kernel that lie on the input anywhere.
    Unfolded(PackedWeights, Vec<[usize; 2]>),
    /// Winograd's minimal filtering.
    Winograd(Winograd),
}

/// Consecutive pixels of one output row in a strip.
struct StripRun {
    strip: usize,
    lane: usize,
    len: usize,
    image: usize,
    row: usize,
    column: usize,
}

impl PreparedConvolution {
    /// Prepares weights `[D, C, k, k]` and the shift of each filter for images of `[height,
    /// width]`.
    ///
    /// # Errors
    ///
    /// Fails if the kernel does not fit into the image.
    pub(crate) fn new(
        window: Window,
        weight: &[f32],
        shift: Vec<f32>,
        channels: usize,
        size: [usize; 2],
    ) -> Result<Self> {
        let wrong = || Error::Shape {
            operator: "convolution",
            problem: format!("{window:?} does not fit {size:?} with {channels} channels"),
        };
        let (filters, kernel) = (shift.len(), window.size);
        let output = |n| window.output(n).ok_or_else(wrong);
        let size_out = [output(size[0])?, output(size[1])?];
        if weight.len() != filters * channels * kernel * kernel {
            return Err(wrong());
        }
        let algorithm = if window == Window::centred(3, 1) && Winograd::suits(size, channels) {
            ConvolutionAlgorithm::Winograd(Winograd::new(weight, [filters, channels]))
        } else {
            let [rows, columns] = [0, 1].map(|axis| window.met(size[axis], size_out[axis]));
            let met: Vec<[usize; 2]> =
                rows.iter().flat_map(|ky| columns.iter().map(|kx| [*ky, *kx])).collect();
            let packed = PackedWeights::new(filters, channels * met.len(), |o, k| {
                let ([ky, kx], c) = (met[k % met.len()], k / met.len());
                weight[((o * channels + c) * kernel + ky) * kernel + kx]
            });
            ConvolutionAlgorithm::Unfolded(packed, met)
        };
        Ok(Self { window, channels, filters, size, size_out, shift, algorithm })
    }

    /// Shape of the output for `images` images.
    pub(crate) fn shape(&self, images: usize) -> (usize, usize, usize, usize) {
        (images, self.filters, self.size_out[0], self.size_out[1])
    }

    /// Convolves images into `y`, whose values are read if the residual is the output.
    ///
    /// # Errors
    ///
    /// Fails if the images, the output or the residual do not have the prepared size.
    pub(crate) fn run(&self, x: &[f32], epilogue: Epilogue, y: &mut [f32]) -> Result<()> {
        let (image, pixels) = (self.size[0] * self.size[1], self.size_out[0] * self.size_out[1]);
        let images = x.len() / (self.channels * image);
        let fits = match epilogue.residual {
            Residual::Other(values) => values.len() == y.len(),
            Residual::None | Residual::Output => true,
        };
        if x.len() != images * self.channels * image
            || y.len() != images * self.filters * pixels
            || !fits
        {
            return Err(Error::Shape {
                operator: "convolution",
                problem: format!(
                    "{} inputs and {} outputs for {:?} of {:?}",
                    x.len(),
                    y.len(),
                    self.window,
                    self.size
                ),
            });
        }
        match &self.algorithm {
            ConvolutionAlgorithm::Winograd(winograd) => {
                winograd.run(x, self.size, &self.shift, epilogue, y);
            }
            ConvolutionAlgorithm::Unfolded(packed, met) => {
                // If the weights do not stay in a core's cache, more columns and fewer filters.
                let large = self.channels * met.len() * self.filters >= 256 << 10;
                let strips = (2048 / (self.channels * met.len()).max(self.filters)).clamp(4, 32);
                let size = if large { [8 * STRIP, 256] } else { [strips * STRIP, self.filters] };
                let units = units(y, [self.filters, pixels], size, epilogue.residual);
                units.into_par_iter().for_each(|unit| self.unit(x, packed, met, unit, epilogue));
            }
        }
        Ok(())
    }

    fn unit(
        &self,
        x: &[f32],
        packed: &PackedWeights,
        met: &[[usize; 2]],
        mut unit: WorkUnit,
        epilogue: Epilogue,
    ) {
        let strips = unit.pixels.div_ceil(STRIP);
        let blocks = unit.filter / BLOCK..(unit.filter + unit.filters).div_ceil(BLOCK);
        let runs = self.runs(unit.pixel, unit.pixels);
        let depth = packed.parts().map(|part| part.len()).max().unwrap_or(0);
        let len = strips * (depth + blocks.len() * BLOCK) * STRIP;
        with_scratch(len, |scratch| {
            let (columns, _) = scratch.as_chunks_mut::<STRIP>();
            let (columns, sums) = columns.split_at_mut(strips * depth);
            for part in packed.parts() {
                let columns = &mut columns[..strips * part.len()];
                if !unit.pixels.is_multiple_of(STRIP) {
                    columns.fill([0.0; STRIP]);
                }
                for (n, k) in part.clone().enumerate() {
                    let ([ky, kx], c) = (met[k % met.len()], k / met.len());
                    self.unfold(x, [c, ky, kx], &runs, n, part.len(), columns);
                }
                packed.multiply(&part, blocks.clone(), columns, sums);
            }
            vectorised(
                #[inline(always)]
                || {
                    for run in &mut unit.runs {
                        let own = run.filter - blocks.start * BLOCK;
                        let first = own / BLOCK * strips * BLOCK + own % BLOCK;
                        let (mut done, mut at) = (0, run.pixel - unit.pixel);
                        while done < run.len() {
                            let len = (STRIP - at % STRIP).min(run.len() - done);
                            let sums = &sums[first + at / STRIP * BLOCK][at % STRIP..][..len];
                            run.write(done, sums, self.shift[run.filter], epilogue);
                            done += len;
                            at += len;
                        }
                    }
                },
            );
        });
    }

    /// Sizes of input and output; for 1 × 1 windows, which need no unfolding, an image is one long
    /// row.
    fn rows(&self) -> ([usize; 2], [usize; 2]) {
        if self.window == Window::centred(1, 1) {
            let pixels = self.size[0] * self.size[1];
            ([1, pixels], [1, pixels])
        } else {
            (self.size, self.size_out)
        }
    }

    fn runs(&self, first: usize, pixels: usize) -> Vec<StripRun> {
        let [height, width] = self.rows().1;
        let mut runs = Vec::new();
        let mut at = 0;
        while at < pixels {
            let pixel = first + at;
            let (image, row) = (pixel / (height * width), pixel / width % height);
            let column = pixel % width;
            let (strip, lane) = (at / STRIP, at % STRIP);
            let len = (STRIP - lane).min(width - column).min(pixels - at);
            runs.push(StripRun { strip, lane, len, image, row, column });
            at += len;
        }
        runs
    }

    /// Writes the input pixels of a channel under one element of the kernel to row `n` of the
    /// strips.
    fn unfold(
        &self,
        x: &[f32],
        [channel, ky, kx]: [usize; 3],
        runs: &[StripRun],
        n: usize,
        depth: usize,
        columns: &mut [Strip],
    ) {
        let Window { stride, padding, dilation, .. } = self.window;
        let ([height, width], _) = self.rows();
        for run in runs {
            let to = &mut columns[run.strip * depth + n][run.lane..run.lane + run.len];
            let plane = (run.image * self.channels + channel) * height * width;
            let row = run.row * stride + ky * dilation;
            let Some(row) = row.checked_sub(padding).filter(|row| *row < height) else {
                to.fill(0.0);
                continue;
            };
            let from = &x[plane + row * width..][..width];
            // Pixel `i` of the run lies on column `i * stride + shift - padding`.
            let shift = run.column * stride + kx * dilation;
            let start = padding.saturating_sub(shift).div_ceil(stride).min(run.len);
            let end =
                (width + padding).saturating_sub(shift).div_ceil(stride).clamp(start, run.len);
            to[..start].fill(0.0);
            to[end..].fill(0.0);
            if start < end {
                let from = &from[start * stride + shift - padding..];
                if stride == 1 {
                    to[start..end].copy_from_slice(&from[..end - start]);
                } else {
                    let from = from.iter().step_by(stride);
                    to[start..end].iter_mut().zip(from).for_each(|(to, v)| *to = *v);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{output, random};
    use super::super::convolution::Convolution;
    use super::*;
    use crate::tensors::view;

    fn assert_close(found: &[f32], expected: &[f32], what: &str) {
        let largest = expected.iter().fold(1.0f32, |m, e| m.max(e.abs()));
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() <= 3e-5 * largest, "{what}: {f}, expected {e}");
        }
    }

    #[test]
    fn it_is_the_convolution_and_what_follows() {
        let dilated = |dilation| Window { size: 3, stride: 1, padding: dilation, dilation };
        let windows = [
            Window::centred(1, 1),
            Window::centred(3, 1),
            Window::centred(3, 2),
            Window::centred(7, 2),
        ];
        let windows = windows.into_iter().chain([Window::centred(1, 2), dilated(5), dilated(15)]);
        for window in windows {
            for [images, channels, filters, height, width] in [
                [3, 2, 5, 8, 8],
                [2, 9, 17, 16, 8],
                [1, 33, 8, 12, 40],
                [5, 16, 24, 8, 12],
                [2, 8, 3, 7, 9],
                [1, 70, 9, 64, 4],
                [3, 520, 260, 8, 8],
            ] {
                let x = random(&[images, channels, height, width], 1);
                let weight = random(&[filters, channels, window.size, window.size], 2);
                let shift = random(&[filters], 3);
                let inputs = [x.clone(), weight.clone(), shift.clone()];
                let expected = output(&Convolution(window), &inputs);
                let (x, weight) = (view(&x).unwrap(), view(&weight).unwrap());
                let shift = view(&shift).unwrap().to_vec();
                let prepared =
                    PreparedConvolution::new(window, &weight, shift, channels, [height, width])
                        .unwrap();
                let what = format!("{window:?} {images} {channels} {filters} {height} {width}");
                let mut y = vec![7.0; expected.len()];
                let plain = Epilogue { residual: Residual::None, rectified: false };
                prepared.run(&x, plain, &mut y).unwrap();
                assert_close(&y, &expected, &what);
                let other = view(&random(&[expected.len()], 4)).unwrap().to_vec();
                let sum: Vec<f32> =
                    expected.iter().zip(&other).map(|(e, o)| (e + o).max(0.0)).collect();
                for onto in [true, false] {
                    let residual = if onto { Residual::Output } else { Residual::Other(&other) };
                    y.copy_from_slice(&other);
                    prepared.run(&x, Epilogue { residual, rectified: true }, &mut y).unwrap();
                    assert_close(&y, &sum, &what);
                }
            }
        }
    }

    #[test]
    fn other_sizes_are_refused() {
        let window = Window::centred(3, 1);
        assert!(PreparedConvolution::new(window, &[0.0; 17], vec![0.0; 2], 1, [4, 4]).is_err());
        let none = Window { padding: 0, ..window };
        assert!(PreparedConvolution::new(none, &[0.0; 18], vec![0.0; 2], 1, [2, 4]).is_err());
        let prepared =
            PreparedConvolution::new(window, &[0.0; 18], vec![0.0; 2], 1, [4, 4]).unwrap();
        let epilogue = Epilogue { residual: Residual::None, rectified: false };
        assert!(prepared.run(&[0.0; 16], epilogue, &mut [0.0; 16]).is_err());
    }
}
