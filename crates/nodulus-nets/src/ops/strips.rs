//! Strips: for each column of a kernel, a copy of the input that is shifted, subsampled by the
//! stride and cut to the width of the output. Each row of the kernel is then a matrix product with
//! the same strips, starting at another row, with a third of the copying that a full unfolding of a
//! 3 × 3 kernel takes.

use super::product::Matrix;
use super::tasks::with_scratch;
use super::window::Window;
use std::ops::Range;

/// A row of the kernel that lies on the input somewhere.
pub(super) struct KernelRow {
    /// Row of the kernel.
    pub(super) ky: usize,
    /// Index of the phase that its input rows belong to.
    phase: usize,
    /// Its first row among the rows of that phase.
    start: usize,
}

/// Sizes of a convolution, and the parts of its kernel that lie on the input.
pub(super) struct Strips {
    pub(super) window: Window,
    pub(super) channels: usize,
    height: usize,
    width: usize,
    pub(super) height_out: usize,
    pub(super) width_out: usize,
    /// Rows of the kernel that lie on the input.
    pub(super) rows: Vec<KernelRow>,
    /// Columns of the kernel that lie on the input.
    pub(super) columns: Vec<usize>,
    /// Remainders of the input's rows by the stride; rows with the same remainder are adjacent.
    phases: Vec<usize>,
    /// First row of each phase that any row of the kernel needs.
    first: usize,
    /// Rows of a phase beyond those of the output.
    extra: usize,
}

/// Strips of some rows of the output.
pub(super) struct StripTile<'a> {
    /// First row.
    pub(super) start: usize,
    /// Number of rows.
    pub(super) rows: usize,
    strips: &'a [f32],
    phase_rows: usize,
}

impl Strips {
    /// The strips of a convolution; `None` where the kernel does not fit into the image.
    pub(super) fn new(window: Window, channels: usize, size: [usize; 2]) -> Option<Self> {
        let [height, width] = size;
        let (height_out, width_out) = (window.output(height)?, window.output(width)?);
        let met = window.met(height, height_out);
        let phase_and_start = |ky: &usize| {
            (ky * window.dilation % window.stride, ky * window.dilation / window.stride)
        };
        let mut phases: Vec<usize> = met.iter().map(|ky| phase_and_start(ky).0).collect();
        phases.sort_unstable();
        phases.dedup();
        let starts = || met.iter().map(|ky| phase_and_start(ky).1);
        let first = starts().min().unwrap_or(0);
        let extra = starts().max().unwrap_or(0) - first;
        let row = |ky: &usize| KernelRow {
            ky: *ky,
            phase: phases.partition_point(|phase| *phase < phase_and_start(ky).0),
            start: phase_and_start(ky).1 - first,
        };
        let rows = met.iter().map(row).collect();
        let columns = window.met(width, width_out);
        Some(Self {
            window,
            channels,
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

    /// Pixels of an image.
    pub(super) fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Pixels of its output.
    pub(super) fn pixels_out(&self) -> usize {
        self.height_out * self.width_out
    }

    /// Number of strips that an output pixel depends on for one row of the kernel.
    pub(super) fn depth(&self) -> usize {
        self.channels * self.columns.len()
    }

    /// Whether the kernel is 1 × 1 and takes every pixel, so that the input is its own strips.
    fn is_input(&self) -> bool {
        let Window { size, stride, padding, .. } = self.window;
        [size, stride, padding] == [1, 1, 0]
    }

    /// Rows of the output whose strips stay in a core's cache.
    pub(super) fn tile_rows(&self) -> usize {
        const CACHE: usize = 256 << 10;
        let line = self.depth() * self.phases.len() * self.width_out;
        (CACHE / line.max(1)).saturating_sub(self.extra).clamp(8, self.height_out.max(8))
    }

    /// Calls `f` for tiles that cover an image's output.
    pub(super) fn for_tiles(&self, x: &[f32], mut f: impl FnMut(StripTile)) {
        if self.is_input() {
            let rows = self.height_out;
            f(StripTile { start: 0, rows, strips: x, phase_rows: rows });
            return;
        }
        let tile = self.tile_rows();
        for start in (0..self.height_out).step_by(tile) {
            let rows = tile.min(self.height_out - start);
            let phase_rows = rows + self.extra;
            with_scratch(self.len(phase_rows), |strips| {
                self.fill(x, start, phase_rows, strips);
                f(StripTile { start, rows, strips, phase_rows });
            });
        }
    }

    fn len(&self, phase_rows: usize) -> usize {
        self.depth() * self.phases.len() * phase_rows * self.width_out
    }

    /// The strips for a row of the kernel, as a matrix of `depth` rows.
    pub(super) fn matrix<'a>(&self, row: &KernelRow, tile: &StripTile<'a>) -> Matrix<'a> {
        let step = self.phases.len() * tile.phase_rows * self.width_out;
        let start = (row.phase * tile.phase_rows + row.start) * self.width_out;
        Matrix::new(&tile.strips[start..], self.depth(), tile.rows * self.width_out, step)
    }

    /// Input row of row `q` of a phase, in a tile that starts at row `start`.
    fn input_row(&self, phase: usize, start: usize, q: usize) -> Option<usize> {
        let row = (start + q + self.first) * self.window.stride + phase;
        row.checked_sub(self.window.padding).filter(|&row| row < self.height)
    }

    /// Calls `f` for the strips' lines in order, with the channel, the outputs for which the column
    /// lies on the input, and the index in the channel of the first of them if the row lies on the
    /// input.
    fn for_lines(
        &self,
        start: usize,
        phase_rows: usize,
        mut f: impl FnMut(usize, Range<usize>, Option<usize>),
    ) {
        let Window { stride, padding, dilation, .. } = self.window;
        for channel in 0..self.channels {
            for &kx in &self.columns {
                let valid = self.window.valid(kx, self.width, self.width_out);
                let from = valid.start * stride + kx * dilation - padding;
                for &phase in &self.phases {
                    for q in 0..phase_rows {
                        let row = self.input_row(phase, start, q);
                        f(channel, valid.clone(), row.map(|row| row * self.width + from));
                    }
                }
            }
        }
    }

    fn fill(&self, x: &[f32], start: usize, phase_rows: usize, strips: &mut [f32]) {
        let stride = self.window.stride;
        let mut lines = strips.chunks_exact_mut(self.width_out);
        self.for_lines(start, phase_rows, |channel, valid, from| {
            let Some(line) = lines.next() else { return };
            let Some(from) = from else {
                line.fill(0.0);
                return;
            };
            line[..valid.start].fill(0.0);
            line[valid.end..].fill(0.0);
            let source = &x[channel * self.pixels() + from..];
            let line = &mut line[valid];
            if stride == 1 {
                line.copy_from_slice(&source[..line.len()]);
            } else {
                line.iter_mut().zip(source.iter().step_by(stride)).for_each(|(to, v)| *to = *v);
            }
        });
    }

    /// Adds to an image what `f` writes to zeroed strips of the whole output: the transpose of
    /// filling them. For each row of the kernel, `f` receives the row's index, the strips from its
    /// first on, and the step between strips.
    pub(super) fn add_back(&self, x: &mut [f32], mut f: impl FnMut(usize, &mut [f32], usize)) {
        let phase_rows = self.height_out + self.extra;
        let step = self.phases.len() * phase_rows * self.width_out;
        with_scratch(self.len(phase_rows), |strips| {
            strips.fill(0.0);
            for (index, row) in self.rows.iter().enumerate() {
                let start = (row.phase * phase_rows + row.start) * self.width_out;
                f(index, &mut strips[start..], step);
            }
            let mut lines = strips.chunks_exact(self.width_out);
            self.for_lines(0, phase_rows, |channel, valid, to| {
                let (Some(line), Some(to)) = (lines.next(), to) else { return };
                let target = x[channel * self.pixels() + to..].iter_mut();
                let pairs = target.step_by(self.window.stride).zip(&line[valid]);
                pairs.for_each(|(to, v)| *to += v);
            });
        });
    }
}
