//! 3 × 3 convolution at stride 1 by Winograd's minimal filtering (Lavin and Gray, CVPR 2016): for tiles
//! of 4 × 4 outputs 36 products in place of 144.
// METHOD: points 0, 3/4, -3/4, 3/2, -3/2 in place of Lavin and Gray's 0, 1, -1, 2, -2: over 64 and
// 512 channels of rectified normal values, the largest error is 4 times smaller, and the root mean
// square error is twice that of the plain convolution in 32 bits.

use super::packed::{BLOCK, PackedWeights, STRIP, Strip};
use super::partition::{Epilogue, PixelRun, WorkUnit, units};
use super::tasks::with_scratch;
use crate::buffer;
use crate::vector::vectorised;
use rayon::prelude::*;

/// Rows and columns of a tile of outputs.
const OUT: usize = 4;

/// Rows and columns of the input for a tile of outputs.
const IN: usize = OUT + 2;

/// The points other than 0 and infinity are these and their negatives.
const A: f32 = 0.75;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;

/// Products for each tile, channel and filter.
const POINTS: usize = IN * IN;

/// Weights for the 36 points of a tile.
pub(super) struct Winograd {
    channels: usize,
    filters: usize,
    points: Vec<PackedWeights>,
}

/// An image's sizes in tiles.
#[derive(Clone, Copy)]
struct TileGrid {
    width: usize,
    rows: usize,
    columns: usize,
}

impl Winograd {
    /// Whether images of this size divide into enough tiles for it to pay.
    pub(super) fn suits([height, width]: [usize; 2], channels: usize) -> bool {
        let whole = height.is_multiple_of(OUT) && width.is_multiple_of(OUT);
        whole && height >= 2 * OUT && width >= 2 * OUT && channels >= BLOCK
    }

    /// Transforms weights `[D, C, 3, 3]`.
    pub(super) fn new(weight: &[f32], [filters, channels]: [usize; 2]) -> Self {
        // By filter, channel and point.
        let mut transformed = buffer::take(filters * channels * POINTS);
        let kernels = weight.par_chunks_exact(9).with_min_len(256);
        transformed.par_chunks_exact_mut(POINTS).zip(kernels).for_each(|(to, kernel)| {
            let rows: [[f64; IN]; 3] = std::array::from_fn(|row| {
                points(std::array::from_fn(|column| f64::from(kernel[row * 3 + column])))
            });
            for column in 0..IN {
                let line = points(std::array::from_fn(|row| rows[row][column]));
                for (row, value) in line.into_iter().enumerate() {
                    to[row * IN + column] = value as f32;
                }
            }
        });
        let points = (0..POINTS).map(|p| {
            PackedWeights::new(filters, channels, |o, c| {
                transformed[(o * channels + c) * POINTS + p]
            })
        });
        let points = points.collect();
        buffer::give(transformed);
        Self { channels, filters, points }
    }

    /// Convolves images of `[height, width]` into `y`; `shift` has a number for each filter.
    pub(super) fn run(
        &self,
        x: &[f32],
        [height, width]: [usize; 2],
        shift: &[f32],
        epilogue: Epilogue,
        y: &mut [f32],
    ) {
        let tiles = TileGrid { width, rows: height / OUT, columns: width / OUT };
        let images = x.len() / (self.channels * height * width);
        // Tiles whose transforms stay in a core's cache; if the weights do not, more tiles and
        // fewer filters.
        let large = self.channels * self.filters >= 256 * 256;
        let (count, filters) = if large { (8 * STRIP, 256) } else { (2 * STRIP, self.filters) };
        let rows = (count / tiles.columns).clamp(1, images * tiles.rows);
        let size = [rows * OUT * width, filters];
        let units = units(y, [self.filters, height * width], size, epilogue.residual);
        units.into_par_iter().for_each(|unit| self.unit(x, tiles, unit, shift, epilogue));
    }

    fn unit(
        &self,
        x: &[f32],
        tiles: TileGrid,
        mut unit: WorkUnit,
        shift: &[f32],
        epilogue: Epilogue,
    ) {
        let of_row = OUT * tiles.width;
        let rows = unit.pixel / of_row..(unit.pixel + unit.pixels) / of_row;
        let strips = (rows.len() * tiles.columns).div_ceil(STRIP);
        let blocks = unit.filter / BLOCK..(unit.filter + unit.filters).div_ceil(BLOCK);
        let len_in = strips * self.channels;
        let len_out = blocks.len() * strips * BLOCK;
        let line = (tiles.columns + 1) * OUT;
        let scratch = POINTS * (len_in + len_out) + strips * POINTS + strips * OUT * OUT;
        with_scratch(scratch * STRIP + IN * line, |scratch| {
            let (inputs, rest) = scratch.split_at_mut(POINTS * len_in * STRIP);
            let (sums, rest) = rest.split_at_mut(POINTS * len_out * STRIP);
            let (gathered, rest) = rest.split_at_mut(strips * POINTS * STRIP);
            let (outputs, lines) = rest.split_at_mut(strips * OUT * OUT * STRIP);
            let (inputs, sums) = (strips_of(inputs), strips_of(sums));
            let (gathered, outputs) = (strips_of(gathered), strips_of(outputs));
            gathered.fill([0.0; STRIP]);
            vectorised(
                #[inline(always)]
                || {
                    for c in 0..self.channels {
                        self.gather(x, c, tiles, rows.clone(), lines, gathered);
                        for (strip, from) in gathered.chunks_exact(POINTS).enumerate() {
                            into_points(from, |p, values| {
                                let at = self.points[p].index(c, strip, strips);
                                inputs[p * len_in + at] = *values;
                            });
                        }
                    }
                },
            );
            let pairs = inputs.chunks_exact(len_in).zip(sums.chunks_exact_mut(len_out));
            for (packed, (inputs, sums)) in self.points.iter().zip(pairs) {
                packed.multiply_all(&blocks, inputs, sums);
            }
            vectorised(
                #[inline(always)]
                || {
                    for runs in unit.runs.chunk_by_mut(|a, b| a.filter == b.filter) {
                        let filter = runs[0].filter;
                        let own = filter - blocks.start * BLOCK;
                        let first = own / BLOCK * strips * BLOCK + own % BLOCK;
                        for (strip, to) in outputs.chunks_exact_mut(OUT * OUT).enumerate() {
                            let at = first + strip * BLOCK;
                            from_points(|p| &sums[p * len_out + at], to);
                        }
                        for run in runs {
                            let start = (run.pixel - unit.pixel) / of_row;
                            write(run, start, tiles, outputs, (shift[filter], epilogue), lines);
                        }
                    }
                },
            );
        });
    }

    /// Gathers the inputs of the tiles of some rows in a channel, `[strip][row][column]`.
    #[inline(always)]
    fn gather(
        &self,
        x: &[f32],
        channel: usize,
        tiles: TileGrid,
        rows: std::ops::Range<usize>,
        lines: &mut [f32],
        gathered: &mut [Strip],
    ) {
        let TileGrid { width, rows: per_image, columns } = tiles;
        let height = per_image * OUT;
        let line = (columns + 1) * OUT;
        for (n, row) in rows.enumerate() {
            let (image, row) = (row / per_image, row % per_image);
            let plane = &x[(image * self.channels + channel) * height * width..][..height * width];
            for (i, to) in lines.chunks_exact_mut(line).take(IN).enumerate() {
                // A row and a column of zeros before the image.
                match (row * OUT + i).checked_sub(1).filter(|y| *y < height) {
                    Some(y) => {
                        to[0] = 0.0;
                        to[1..=width].copy_from_slice(&plane[y * width..][..width]);
                        to[width + 1..].fill(0.0);
                    }
                    None => to.fill(0.0),
                }
            }
            let mut done = 0;
            while done < columns {
                let (strip, lane) = ((n * columns + done) / STRIP, (n * columns + done) % STRIP);
                let len = (STRIP - lane).min(columns - done);
                let to = &mut gathered[strip * POINTS..][..POINTS];
                for (to, from) in to.chunks_exact_mut(IN).zip(lines.chunks_exact(line)) {
                    let (from, _) = from[done * OUT..].as_chunks::<OUT>();
                    for (j, to) in to.iter_mut().enumerate() {
                        let from = from[j / OUT..].iter();
                        for (to, from) in to[lane..lane + len].iter_mut().zip(from) {
                            *to = from[j % OUT];
                        }
                    }
                }
                done += len;
            }
        }
    }
}

fn strips_of(values: &mut [f32]) -> &mut [Strip] {
    values.as_chunks_mut().0
}

/// The matrix `G` of F(4 × 4, 3 × 3) times three weights.
fn points([a, b, c]: [f64; 3]) -> [f64; IN] {
    let [point_a, point_b, a2, b2] = [A, B, A2, B2].map(f64::from);
    let (scale_a, scale_b) = (2.0 * a2 * (a2 - b2), 2.0 * b2 * (b2 - a2));
    let (even_a, odd_a) = (a + a2 * c, point_a * b);
    let (even_b, odd_b) = (a + b2 * c, point_b * b);
    [
        a / (a2 * b2),
        (even_a + odd_a) / scale_a,
        (even_a - odd_a) / scale_a,
        (even_b + odd_b) / scale_b,
        (even_b - odd_b) / scale_b,
        c,
    ]
}

/// The matrix `Bᵀ` of F(4 × 4, 3 × 3) times six inputs.
#[inline(always)]
fn input([a, b, c, d, e, f]: [f32; IN]) -> [f32; IN] {
    let (even_a, odd_a) = (e - B2 * c, A * (d - B2 * b));
    let (even_b, odd_b) = (e - A2 * c, B * (d - A2 * b));
    [
        A2 * B2 * a - (A2 + B2) * c + e,
        even_a + odd_a,
        even_a - odd_a,
        even_b + odd_b,
        even_b - odd_b,
        A2 * B2 * b - (A2 + B2) * d + f,
    ]
}

/// The matrix `Aᵀ` of F(4 × 4, 3 × 3) times six products.
#[inline(always)]
fn output([a, b, c, d, e, f]: [f32; IN]) -> [f32; OUT] {
    let (even_a, odd_a, even_b, odd_b) = (b + c, A * (b - c), d + e, B * (d - e));
    [a + even_a + even_b, odd_a + odd_b, A2 * even_a + B2 * even_b, A2 * odd_a + B2 * odd_b + f]
}

/// Transforms a strip of gathered inputs; `to` receives the values of each point.
#[inline(always)]
fn into_points(from: &[Strip], mut to: impl FnMut(usize, &Strip)) {
    let mut half = [[0.0f32; STRIP]; POINTS];
    for column in 0..IN {
        for i in 0..STRIP {
            let line = input([
                from[column][i],
                from[IN + column][i],
                from[2 * IN + column][i],
                from[3 * IN + column][i],
                from[4 * IN + column][i],
                from[5 * IN + column][i],
            ]);
            for row in 0..IN {
                half[row * IN + column][i] = line[row];
            }
        }
    }
    for row in 0..IN {
        let from = &half[row * IN..(row + 1) * IN];
        let mut whole = [[0.0f32; STRIP]; IN];
        for i in 0..STRIP {
            let line =
                input([from[0][i], from[1][i], from[2][i], from[3][i], from[4][i], from[5][i]]);
            for column in 0..IN {
                whole[column][i] = line[column];
            }
        }
        for (column, values) in whole.iter().enumerate() {
            to(row * IN + column, values);
        }
    }
}

/// Transforms a strip of products to outputs, `[row][column]`.
#[inline(always)]
fn from_points<'a>(from: impl Fn(usize) -> &'a Strip, to: &mut [Strip]) {
    let mut half = [[0.0f32; STRIP]; OUT * IN];
    for column in 0..IN {
        let lines: [&Strip; IN] = [
            from(column),
            from(IN + column),
            from(2 * IN + column),
            from(3 * IN + column),
            from(4 * IN + column),
            from(5 * IN + column),
        ];
        for i in 0..STRIP {
            let line = output([
                lines[0][i],
                lines[1][i],
                lines[2][i],
                lines[3][i],
                lines[4][i],
                lines[5][i],
            ]);
            for row in 0..OUT {
                half[row * IN + column][i] = line[row];
            }
        }
    }
    for row in 0..OUT {
        let from = &half[row * IN..(row + 1) * IN];
        let mut whole = [[0.0f32; STRIP]; OUT];
        for i in 0..STRIP {
            let line =
                output([from[0][i], from[1][i], from[2][i], from[3][i], from[4][i], from[5][i]]);
            for column in 0..OUT {
                whole[column][i] = line[column];
            }
        }
        to[row * OUT..(row + 1) * OUT].copy_from_slice(&whole);
    }
}

/// Writes a filter's tiles, from tile row `first` of the unit on, to their rows of the image.
#[inline(always)]
fn write(
    run: &mut PixelRun,
    first: usize,
    tiles: TileGrid,
    outputs: &[Strip],
    (shift, epilogue): (f32, Epilogue),
    line: &mut [f32],
) {
    let TileGrid { width, columns, .. } = tiles;
    for n in 0..run.len() / (OUT * width) {
        let tile = (first + n) * columns;
        for row in 0..OUT {
            let mut done = 0;
            while done < columns {
                let (strip, lane) = ((tile + done) / STRIP, (tile + done) % STRIP);
                let len = (STRIP - lane).min(columns - done);
                let from = &outputs[strip * OUT * OUT + row * OUT..][..OUT];
                let (to, _) = line[done * OUT..].as_chunks_mut::<OUT>();
                for (i, to) in (lane..lane + len).zip(to) {
                    *to = [from[0][i], from[1][i], from[2][i], from[3][i]];
                }
                done += len;
            }
            run.write((n * OUT + row) * width, &line[..width], shift, epilogue);
        }
    }
}
