//! Sets of voxels, one bit each.

/// A box of bits in the order k, j, i, with i fastest, least significant bit first, as Arrow packs booleans.
///
/// The mask of a slice has one voxel along k.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    size: [usize; 3],
    bits: Vec<u8>,
}

/// Packed bits do not fit the size given with them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "mask of {size:?} voxels has {found} bytes, expected {expected} with zeros after the last voxel"
)]
pub struct BitsMismatch {
    /// Size along i, j, k.
    pub size: [usize; 3],
    /// Bytes that the size needs.
    pub expected: usize,
    /// Bytes found.
    pub found: usize,
}

impl Mask {
    /// A mask without voxels; `size` along i, j, k.
    pub fn empty(size: [usize; 3]) -> Self {
        let n: usize = size.iter().product();
        Self { size, bits: vec![0; n.div_ceil(8)] }
    }

    /// Makes a mask of packed bits.
    ///
    /// # Errors
    ///
    /// Fails if the number of bytes is not the one that the size needs, or a bit past the last voxel is set.
    pub fn from_bits(size: [usize; 3], bits: Vec<u8>) -> Result<Self, BitsMismatch> {
        let n = size.iter().try_fold(1usize, |n, &s| n.checked_mul(s));
        let expected = n.map_or(usize::MAX, |n| n.div_ceil(8));
        let tail = n.map_or(0, |n| n % 8);
        let clean = tail == 0 || bits.last().is_none_or(|last| last >> tail == 0);
        if bits.len() == expected && clean {
            Ok(Self { size, bits })
        } else {
            Err(BitsMismatch { size, expected, found: bits.len() })
        }
    }

    /// Sets the voxels for which `inside(i, j, k)` holds.
    #[inline]
    pub fn from_fn(size: [usize; 3], mut inside: impl FnMut(usize, usize, usize) -> bool) -> Self {
        let mut mask = Self::empty(size);
        let mut n = 0;
        for k in 0..size[2] {
            for j in 0..size[1] {
                for i in 0..size[0] {
                    if inside(i, j, k) {
                        mask.bits[n / 8] |= 1 << (n % 8);
                    }
                    n += 1;
                }
            }
        }
        mask
    }

    /// Number of voxels along i, j, k.
    #[inline]
    pub fn size(&self) -> [usize; 3] {
        self.size
    }

    /// The packed bits.
    #[inline]
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// The packed bits, without the size.
    pub fn into_bits(self) -> Vec<u8> {
        self.bits
    }

    /// Whether a voxel is set; false outside the box.
    #[inline]
    pub fn get(&self, i: usize, j: usize, k: usize) -> bool {
        self.index(i, j, k).is_some_and(|n| self.bits[n / 8] >> (n % 8) & 1 == 1)
    }

    /// Sets or clears a voxel; does nothing outside the box.
    #[inline]
    pub fn set(&mut self, i: usize, j: usize, k: usize, value: bool) {
        if let Some(n) = self.index(i, j, k) {
            if value {
                self.bits[n / 8] |= 1 << (n % 8);
            } else {
                self.bits[n / 8] &= !(1 << (n % 8));
            }
        }
    }

    /// Number of voxels set.
    #[inline]
    pub fn count(&self) -> usize {
        self.bits.iter().map(|b| b.count_ones() as usize).sum()
    }

    /// Whether no voxel is set.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|b| *b == 0)
    }

    /// The voxels that are set, as `[i, j, k]`, i fastest.
    #[inline]
    pub fn voxels(&self) -> impl Iterator<Item = [usize; 3]> + Clone + '_ {
        let [ni, nj, _] = self.size;
        self.bits.iter().enumerate().filter(|(_, byte)| **byte != 0).flat_map(move |(b, byte)| {
            let byte = *byte;
            (0..8).filter(move |bit| byte >> bit & 1 == 1).map(move |bit| {
                let n = 8 * b + bit;
                [n % ni, n / ni % nj, n / (ni * nj)]
            })
        })
    }

    /// Up to 64 voxels of a row: `n` voxels from (i, j, k) on, the first one in the lowest bit.
    ///
    /// Voxels outside the box are clear.
    #[inline]
    pub fn row_bits(&self, i: usize, j: usize, k: usize, n: usize) -> u64 {
        let Some(first) = self.index(i, j, k) else { return 0 };
        let n = n.min(self.size[0] - i).min(64);
        // 64 bits span at most nine bytes.
        let mut bytes = [0; 16];
        let from = &self.bits[first / 8..];
        let taken = from.len().min(9);
        bytes[..taken].copy_from_slice(&from[..taken]);
        let bits = (u128::from_le_bytes(bytes) >> (first % 8)) as u64;
        if n < 64 { bits & ((1 << n) - 1) } else { bits }
    }

    /// The smallest box that contains every voxel that is set: its first voxel and the first voxel past it, (i, j,
    /// k); `None` for an empty mask.
    pub fn bounds(&self) -> Option<[[usize; 3]; 2]> {
        let [ni, nj, _] = self.size;
        let voxel_at = |n: usize| [n % ni, n / ni % nj, n / (ni * nj)];
        let (mut low, mut high) = ([usize::MAX; 3], [0; 3]);
        let mut grow = |voxel: [usize; 3]| {
            for a in 0..3 {
                low[a] = low[a].min(voxel[a]);
                high[a] = high[a].max(voxel[a] + 1);
            }
        };
        for (at, chunk) in self.bits.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let word = u64::from_le_bytes(word);
            if word == 0 {
                continue;
            }
            let [first, last] = [word.trailing_zeros(), word.ilog2()].map(|b| 64 * at + b as usize);
            let (first, last) = (voxel_at(first), voxel_at(last));
            if first[1..] == last[1..] {
                grow(first);
                grow(last);
            } else {
                // The word spans the end of a row.
                let bits = (0..64).filter(|bit| word >> bit & 1 == 1);
                bits.for_each(|bit| grow(voxel_at(64 * at + bit)));
            }
        }
        (low[0] != usize::MAX).then_some([low, high])
    }

    /// Every voxel as a boolean, i fastest.
    pub fn to_bools(&self) -> Vec<bool> {
        let n: usize = self.size.iter().product();
        (0..n).map(|n| self.bits[n / 8] >> (n % 8) & 1 == 1).collect()
    }

    #[inline]
    fn index(&self, i: usize, j: usize, k: usize) -> Option<usize> {
        let [ni, nj, nk] = self.size;
        (i < ni && j < nj && k < nk).then(|| (k * nj + j) * ni + i)
    }
}

/// A mask, and the box of a scan that it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedMask {
    /// First voxel of the box in the scan, (i, j, k).
    pub start: [usize; 3],
    /// The voxels of the box.
    pub mask: Mask,
}

impl PlacedMask {
    /// The smallest box that contains these voxels of a scan, `[i, j, k]`; `None` for no voxels. The iterator is
    /// consumed twice.
    pub fn of_voxels(voxels: impl Iterator<Item = [usize; 3]> + Clone) -> Option<Self> {
        let mut low = [usize::MAX; 3];
        let mut high = [0; 3];
        for voxel in voxels.clone() {
            for a in 0..3 {
                low[a] = low[a].min(voxel[a]);
                high[a] = high[a].max(voxel[a] + 1);
            }
        }
        if low[0] == usize::MAX {
            return None;
        }
        let mut mask = Mask::empty(std::array::from_fn(|a| high[a] - low[a]));
        for [i, j, k] in voxels {
            mask.set(i - low[0], j - low[1], k - low[2], true);
        }
        Some(Self { start: low, mask })
    }

    /// Whether a voxel of the scan is set; false outside the box.
    #[inline]
    pub fn get(&self, i: usize, j: usize, k: usize) -> bool {
        let [si, sj, sk] = self.start;
        i >= si && j >= sj && k >= sk && self.mask.get(i - si, j - sj, k - sk)
    }

    /// First voxel past the box, (i, j, k).
    #[inline]
    pub fn end(&self) -> [usize; 3] {
        std::array::from_fn(|a| self.start[a] + self.mask.size()[a])
    }

    /// The box around several masks: its first voxel and the first voxel past it, (i, j, k); both zero for no masks.
    pub fn bounds<'a>(masks: impl Iterator<Item = &'a Self>) -> [[usize; 3]; 2] {
        let boxes = masks.map(|placed| [placed.start, placed.end()]);
        let around = boxes.reduce(|[low, high], [start, end]| {
            let low = std::array::from_fn(|a| low[a].min(start[a]));
            [low, std::array::from_fn(|a| high[a].max(end[a]))]
        });
        around.unwrap_or_default()
    }

    /// Mean index (i, j, k), in the scan, of the voxels that are set; `None` for an empty mask.
    pub fn centroid(&self) -> Option<[f64; 3]> {
        let mut sum = [0.0; 3];
        let mut n = 0usize;
        for voxel in self.mask.voxels() {
            for a in 0..3 {
                sum[a] += (voxel[a] + self.start[a]) as f64;
            }
            n += 1;
        }
        (n > 0).then(|| sum.map(|s| s / n as f64))
    }

    /// The same voxels in the smallest box that contains them; `None` for an empty mask.
    pub fn trimmed(&self) -> Option<Self> {
        Self::of_voxels(self.voxels())
    }

    /// The voxels that are set, `[i, j, k]` in the scan, i fastest.
    #[inline]
    pub fn voxels(&self) -> impl Iterator<Item = [usize; 3]> + Clone + '_ {
        self.mask.voxels().map(|voxel| std::array::from_fn(|a| voxel[a] + self.start[a]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bits_past_the_end_are_refused() {
        assert!(Mask::from_bits([3, 1, 1], vec![0b111]).is_ok());
        assert!(Mask::from_bits([3, 1, 1], vec![0b1000]).is_err());
        assert!(Mask::from_bits([3, 1, 1], vec![0, 0]).is_err());
        assert!(Mask::from_bits([usize::MAX, 3, 1], vec![]).is_err());
    }

    #[test]
    fn an_empty_mask_has_no_centroid_and_no_box() {
        let empty = PlacedMask { start: [1, 2, 3], mask: Mask::empty([2, 2, 2]) };
        assert_eq!(empty.centroid(), None);
        assert_eq!(empty.trimmed(), None);
    }

    #[test]
    fn a_box_holds_every_mask() {
        let placed = |start, size| PlacedMask { start, mask: Mask::empty(size) };
        let masks = [placed([4, 1, 7], [2, 9, 1]), placed([3, 2, 8], [1, 1, 1])];
        assert_eq!(PlacedMask::bounds(masks.iter()), [[3, 1, 7], [6, 10, 9]]);
        assert_eq!(PlacedMask::bounds([].iter()), [[0; 3]; 2]);
    }

    proptest! {
        #[test]
        fn packing_keeps_every_voxel(bools in prop::collection::vec(any::<bool>(), 60)) {
            let mask = Mask::from_fn([5, 4, 3], |i, j, k| bools[(k * 4 + j) * 5 + i]);
            prop_assert_eq!(mask.to_bools(), bools.clone());
            prop_assert_eq!(mask.count(), bools.iter().filter(|b| **b).count());
            prop_assert_eq!(mask.voxels().count(), mask.count());
            prop_assert!(mask.voxels().all(|[i, j, k]| mask.get(i, j, k)));
            prop_assert_eq!(Mask::from_bits([5, 4, 3], mask.bits().to_vec()).unwrap(), mask);
        }

        #[test]
        fn bounds_and_rows_are_those_of_the_voxels(
            size in (1..150usize, 1..5usize, 1..4usize),
            bools in prop::collection::vec(prop::bool::weighted(0.02), 150 * 5 * 4),
            at in (0..150usize, 0..5usize, 0..4usize, 0..70usize),
        ) {
            let mask = Mask::from_fn(size.into(), |i, j, k| bools[(k * 5 + j) * 150 + i]);
            let voxels: Vec<[usize; 3]> = mask.voxels().collect();
            let low = |a: usize| voxels.iter().map(|v| v[a]).min();
            let high = |a: usize| voxels.iter().map(|v| v[a] + 1).max();
            let found = mask.bounds();
            for a in 0..3 {
                prop_assert_eq!(found.map(|[start, _]| start[a]), low(a));
                prop_assert_eq!(found.map(|[_, end]| end[a]), high(a));
            }
            let (i, j, k, n) = at;
            let row = mask.row_bits(i, j, k, n);
            prop_assert!((0..64).all(|b| (row >> b & 1 == 1) == (b < n && mask.get(i + b, j, k))));
        }

        #[test]
        fn trimming_keeps_the_voxels_in_place(bools in prop::collection::vec(any::<bool>(), 60)) {
            let mask = Mask::from_fn([5, 4, 3], |i, j, k| bools[(k * 4 + j) * 5 + i]);
            let placed = PlacedMask { start: [7, 8, 9], mask };
            if let Some(trimmed) = placed.trimmed() {
                prop_assert_eq!(trimmed.mask.count(), placed.mask.count());
                prop_assert_eq!(trimmed.centroid(), placed.centroid());
                prop_assert!(trimmed.mask.voxels().all(|[i, j, k]| placed.get(
                    i + trimmed.start[0], j + trimmed.start[1], k + trimmed.start[2])));
            } else {
                prop_assert!(placed.mask.is_empty());
            }
        }
    }
}
