//! Distance to a set of voxels.

use crate::volume::Mask;

/// Distance in millimetres from every voxel's centre to the nearest set voxel's centre, k, then j,
/// then i; 0 on the set, infinite everywhere where the mask is empty.
///
/// `spacing_mm` is along i, j, k. A mask of one slice gives the distance within the slice.
///
/// METHOD: the exact Euclidean transform by lower envelopes of parabolas, one axis after the other
/// (Felzenszwalb and Huttenlocher 2012), in 64 bits.
pub fn distance_to_set(mask: &Mask, spacing_mm: [f64; 3]) -> Vec<f64> {
    let size = mask.size();
    let mut squares: Vec<f64> =
        mask.to_bools().into_iter().map(|set| if set { 0.0 } else { f64::INFINITY }).collect();
    let mut stride = 1;
    for axis in 0..3 {
        let length = size[axis];
        let mut envelope = Envelope::new(spacing_mm[axis], length);
        for block in squares.chunks_exact_mut((stride * length).max(1)) {
            for start in 0..stride {
                envelope.transform(&mut block[start..], stride);
            }
        }
        stride *= length;
    }
    squares.into_iter().map(f64::sqrt).collect()
}

/// The lower envelope of parabolas over one line of voxels.
struct Envelope {
    spacing: f64,
    /// Squared distances of the line.
    line: Vec<f64>,
    /// Voxels whose parabolas make up the envelope, from left to right.
    apexes: Vec<usize>,
    /// Where each of them begins to be the lowest, in voxels.
    begins: Vec<f64>,
}

impl Envelope {
    fn new(spacing: f64, length: usize) -> Self {
        Self { spacing, line: vec![0.0; length], apexes: Vec::new(), begins: Vec::new() }
    }

    /// Replaces each value of a line by the least of value and squared distance over the line.
    fn transform(&mut self, values: &mut [f64], stride: usize) {
        for (value, from) in self.line.iter_mut().zip(values.iter().step_by(stride)) {
            *value = *from;
        }
        self.apexes.clear();
        self.begins.clear();
        for apex in (0..self.line.len()).filter(|n| self.line[*n] < f64::INFINITY) {
            let mut begin = f64::NEG_INFINITY;
            while let (Some(&last), Some(&last_begin)) = (self.apexes.last(), self.begins.last()) {
                begin = self.crossing(last, apex);
                if begin > last_begin {
                    break;
                }
                // The last parabola is nowhere the lowest.
                self.apexes.pop();
                self.begins.pop();
                begin = f64::NEG_INFINITY;
            }
            self.apexes.push(apex);
            self.begins.push(begin);
        }
        let mut lowest = 0;
        for (n, value) in values.iter_mut().step_by(stride).take(self.line.len()).enumerate() {
            while self.begins.get(lowest + 1).is_some_and(|begin| *begin < n as f64) {
                lowest += 1;
            }
            if let Some(&apex) = self.apexes.get(lowest) {
                let distance = n.abs_diff(apex) as f64 * self.spacing;
                *value = distance * distance + self.line[apex];
            }
        }
    }

    /// Where the parabolas of two voxels meet, in voxels; `a` lies before `b`.
    fn crossing(&self, a: usize, b: usize) -> f64 {
        let rise = (self.line[b] - self.line[a]) / (self.spacing * self.spacing);
        let (a, b) = (a as f64, b as f64);
        f64::midpoint(a, b) + rise / (2.0 * (b - a))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_distances() {
        let mut mask = Mask::empty([4, 3, 2]);
        mask.set(0, 0, 0, true);
        let distances = distance_to_set(&mask, [3.0, 4.0, 12.0]);
        assert_eq!(distances.len(), 24);
        let at = |i: usize, j: usize, k: usize| distances[(k * 3 + j) * 4 + i];
        for (found, expected) in [
            (at(0, 0, 0), 0.0),
            (at(1, 1, 0), 5.0),
            (at(1, 1, 1), 13.0),
            (at(3, 0, 0), 9.0),
            (at(0, 2, 1), 208f64.sqrt()),
        ] {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn an_empty_mask_is_infinitely_far() {
        let distances = distance_to_set(&Mask::empty([3, 2, 1]), [1.0; 3]);
        assert_eq!(distances, vec![f64::INFINITY; 6]);
        assert_eq!(distance_to_set(&Mask::empty([0, 2, 1]), [1.0; 3]), [] as [f64; 0]);
    }

    proptest! {
        #[test]
        fn every_distance_is_the_least_of_all(
            size in prop::array::uniform3(1usize..9),
            seed in prop::collection::vec(prop::bool::weighted(0.07), 8 * 8 * 8),
            spacing in prop::array::uniform3(0.3..5.0f64),
        ) {
            let [ni, nj, nk] = size;
            let mask = Mask::from_fn(size, |i, j, k| seed[(k * 8 + j) * 8 + i]);
            let distances = distance_to_set(&mask, spacing);
            prop_assert_eq!(distances.len(), ni * nj * nk);
            for (n, distance) in distances.into_iter().enumerate() {
                let voxel = [n % ni, n / ni % nj, n / (ni * nj)];
                let far = |to: [usize; 3]| {
                    let square = |a: usize| (voxel[a].abs_diff(to[a]) as f64 * spacing[a]).powi(2);
                    (0..3).map(square).sum::<f64>().sqrt()
                };
                let expected = mask.voxels().map(far).fold(f64::INFINITY, f64::min);
                prop_assert!(
                    distance.total_cmp(&expected).is_eq()
                        || (distance - expected).abs() <= 1e-12 * expected,
                    "{} {}", distance, expected
                );
            }
        }
    }
}
