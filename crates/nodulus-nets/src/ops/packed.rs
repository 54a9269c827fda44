//! Matrix products with weights that are packed once and used many times.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Rows of weights computed together.
pub(super) const BLOCK: usize = 8;

/// Columns computed together.
pub(super) const STRIP: usize = 32;

/// Adjacent columns.
pub(super) type Strip = [f32; STRIP];

/// Depth summed before sums go back to memory: the weights of a block and a strip of columns stay
/// in the two fastest caches.
const PART: usize = 512;

/// Weights as a matrix of `filters` rows and `depth` columns, in the order in which they are read:
/// parts of the depth, blocks of filters, depth, filters of the block. Missing filters have weight
/// 0.
pub(super) struct PackedWeights {
    blocks: usize,
    depth: usize,
    values: Vec<[f32; BLOCK]>,
}

impl PackedWeights {
    /// Packs weights, given by filter and depth.
    pub(super) fn new(
        filters: usize,
        depth: usize,
        weight: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Self {
        let blocks = filters.div_ceil(BLOCK);
        let mut values = vec![[0.0; BLOCK]; blocks * depth];
        let mut rest = values.as_mut_slice();
        for part in parts(depth) {
            let (own, others) = rest.split_at_mut(blocks * part.len());
            rest = others;
            own.par_chunks_exact_mut(part.len()).enumerate().for_each(|(block, values)| {
                for (k, values) in part.clone().zip(values) {
                    for (filter, value) in (block * BLOCK..filters).zip(values) {
                        *value = weight(filter, k);
                    }
                }
            });
        }
        Self { blocks, depth, values }
    }

    /// Parts of the depth, from the first to the last.
    pub(super) fn parts(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        parts(self.depth)
    }

    /// Index of value `k` of the depth among the columns of all parts.
    #[inline(always)]
    pub(super) fn index(&self, k: usize, strip: usize, strips: usize) -> usize {
        let start = k / PART * PART;
        start * strips + strip * PART.min(self.depth - start) + k - start
    }

    /// [`Self::multiply`] for all parts, one after the other.
    pub(super) fn multiply_all(
        &self,
        blocks: &Range<usize>,
        columns: &[Strip],
        sums: &mut [Strip],
    ) {
        let strips = columns.len() / self.depth;
        for part in self.parts() {
            let columns = &columns[part.start * strips..part.end * strips];
            self.multiply(&part, blocks.clone(), columns, sums);
        }
    }

    /// Products of one part of some blocks of filters with columns, `[strip][depth of the part]`.
    /// They replace `sums`, `[block][strip][filter of the block]`; from the second part on they are
    /// added.
    pub(super) fn multiply(
        &self,
        part: &Range<usize>,
        blocks: Range<usize>,
        columns: &[Strip],
        sums: &mut [Strip],
    ) {
        let depth = part.len();
        let strips = columns.len() / depth;
        let first = part.start * self.blocks;
        for (block, sums) in blocks.zip(sums.chunks_exact_mut(strips * BLOCK)) {
            let weights = &self.values[first + block * depth..][..depth];
            for (columns, sums) in columns.chunks_exact(depth).zip(sums.chunks_exact_mut(BLOCK)) {
                Arch::new().dispatch(BlockProduct { weights, columns, sums, onto: part.start > 0 });
            }
        }
    }
}

fn parts(depth: usize) -> impl Iterator<Item = Range<usize>> {
    (0..depth).step_by(PART).map(move |start| start..depth.min(start + PART))
}

/// A block of weights times a strip of columns.
struct BlockProduct<'a> {
    weights: &'a [[f32; BLOCK]],
    columns: &'a [Strip],
    /// One strip per filter.
    sums: &'a mut [Strip],
    /// Whether the products are added to the sums.
    onto: bool,
}

impl WithSimd for BlockProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for start in (0..STRIP).step_by(2 * S::F32_LANES) {
            if S::REGISTER_COUNT >= 32 {
                self.tile::<S, BLOCK>(simd, start, 0);
            } else {
                self.tile::<S, { BLOCK / 2 }>(simd, start, 0);
                self.tile::<S, { BLOCK / 2 }>(simd, start, BLOCK / 2);
            }
        }
    }
}

impl BlockProduct<'_> {
    /// Two vectors of columns for filters from `first` on: as many sums as there are registers.
    #[inline(always)]
    fn tile<S: Simd, const FILTERS: usize>(&mut self, simd: S, start: usize, first: usize) {
        let tile = 2 * S::F32_LANES;
        // Plain loops: closures called through arrays are not compiled for the processor's
        // instruction set.
        let mut sums = [[simd.splat_f32s(0.0); 2]; FILTERS];
        for (columns, weights) in self.columns.iter().zip(self.weights) {
            let (x, _) = S::as_simd_f32s(&columns[start..start + tile]);
            let [a, b] = [x[0], x[1]];
            for i in 0..FILTERS {
                let weight = simd.splat_f32s(weights[first + i]);
                sums[i] = [
                    simd.mul_add_f32s(weight, a, sums[i][0]),
                    simd.mul_add_f32s(weight, b, sums[i][1]),
                ];
            }
        }
        for (to, [a, b]) in self.sums[first..].iter_mut().zip(sums) {
            let (to, _) = S::as_mut_simd_f32s(&mut to[start..start + tile]);
            let [before_a, before_b] = [to[0], to[1]];
            if self.onto {
                to[0] = simd.add_f32s(before_a, a);
                to[1] = simd.add_f32s(before_b, b);
            } else {
                to[0] = a;
                to[1] = b;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "sums of small whole numbers are exact")]
    fn every_part_and_block_counts() {
        let (filters, depth) = (11, PART + 5);
        let weight = |o: usize, k: usize| ((o * 3 + k) % 5) as f32;
        let value = |k: usize, n: usize| ((k + 2 * n) % 7) as f32;
        let packed = PackedWeights::new(filters, depth, weight);
        let strips = 2;
        // Only the second block of filters.
        let mut sums = vec![[9.0; STRIP]; strips * BLOCK];
        for part in packed.parts() {
            let columns: Vec<Strip> = (0..strips)
                .flat_map(|s| part.clone().map(move |k| (s, k)))
                .map(|(s, k)| std::array::from_fn(|i| value(k, s * STRIP + i)))
                .collect();
            packed.multiply(&part, 1..2, &columns, &mut sums);
        }
        for (n, o) in [(0, 8), (31, 9), (32, 10), (63, 8), (40, 11)] {
            let terms = (0..depth).map(|k| weight(o, k) * value(k, n));
            let expected = if o < filters { terms.sum() } else { 0.0 };
            assert_eq!(sums[n / STRIP * BLOCK + o - BLOCK][n % STRIP], expected, "{n} {o}");
        }
    }
}
