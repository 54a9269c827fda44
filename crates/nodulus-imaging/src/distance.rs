//! Distances between sets of voxels.

use rayon::prelude::*;

/// Voxels of a box from which its slices are divided among threads; one thread is faster for fewer.
const SHARED_FROM: usize = 1 << 16;
/// Queried voxels on a line up to which each searches for its nearest voxel alone.
const FEW: u32 = 4;

/// Squared distances, mm², from the centre of each voxel of a set to the nearest centre of another
/// set in the same box, in the order of `from`; infinite where `to` is empty.
///
/// Sets are ascending indices into the box, whose `size` and `spacing_mm` are along i, j, k and
/// whose voxels are counted k, then j, then i. A box of one slice gives distances within the slice.
///
/// METHOD: the exact Euclidean transform by lower envelopes of parabolas, one axis after the other
/// (Felzenszwalb and Huttenlocher 2012), in 64 bits and linear time. Along the first axis, the
/// envelope is that of a row's voxels themselves. Along the last axis, only lines with voxels of
/// `from` are computed; on a line with four of them or fewer, each searches outwards until no
/// farther voxel can be nearer.
pub fn squared_distances(
    from: &[usize],
    to: &[usize],
    size: [usize; 3],
    spacing_mm: [f64; 3],
) -> Vec<f64> {
    let [ni, nj, nk] = size;
    let last = if nk > 1 { 2 } else { 1 };
    let n_voxels = ni * nj * nk;
    if to.is_empty() || from.is_empty() {
        return vec![f64::INFINITY; from.len()];
    }
    let shared = n_voxels >= SHARED_FROM;
    let mut squares = vec![f64::INFINITY; n_voxels];
    let steps = squares_of_steps(spacing_mm[0], ni);
    let fill = |columns: &mut Envelope, k: usize, plane: &mut [f64]| {
        let start = k * ni * nj;
        let of_slice =
            to.partition_point(|v| *v < start)..to.partition_point(|v| *v < start + ni * nj);
        if of_slice.is_empty() {
            return;
        }
        along_rows(plane, to[of_slice].iter().map(|v| v - start), ni, &steps);
        if last == 2 {
            (0..ni).for_each(|i| columns.transform(&mut plane[i..], ni));
        }
    };
    let columns = || Envelope::new(spacing_mm[1], nj);
    if shared {
        let planes = squares.par_chunks_mut(ni * nj).enumerate();
        planes.for_each_init(columns, |columns, (k, plane)| fill(columns, k, plane));
    } else {
        let mut columns = columns();
        let planes = squares.chunks_mut(ni * nj).enumerate();
        for (k, plane) in planes {
            fill(&mut columns, k, plane);
        }
    }

    let stride = n_voxels / size[last];
    let mut n_asked = vec![0u32; stride];
    for voxel in from {
        n_asked[voxel % stride] += 1;
    }
    let mut line = Envelope::new(spacing_mm[last], size[last]);
    for start in (0..stride).filter(|start| n_asked[*start] > FEW) {
        line.transform(&mut squares[start..], stride);
    }
    let nearest = |voxel: &usize| {
        let (position, start) = (voxel / stride, voxel % stride);
        if n_asked[start] > FEW {
            return squares[*voxel];
        }
        outwards(&squares[start..], stride, position, &line.steps)
    };
    if shared {
        from.par_iter().with_min_len(1024).map(nearest).collect()
    } else {
        from.iter().map(nearest).collect()
    }
}

/// Squares of 0, 1, 2, … steps of a spacing.
fn squares_of_steps(spacing: f64, n: usize) -> Vec<f64> {
    (0..n).map(|step| (step as f64 * spacing).powi(2)).collect()
}

/// Squared distances within each row that has a voxel of the set; its voxels are ascending.
fn along_rows(plane: &mut [f64], set: impl Iterator<Item = usize>, ni: usize, steps: &[f64]) {
    let mut before: Option<usize> = None;
    for voxel in set {
        let row = voxel - voxel % ni;
        if let Some(before) = before.filter(|before| *before >= row) {
            // Up to the middle, the previous voxel is nearer.
            let middle = before.midpoint(voxel);
            plane[before..=middle].copy_from_slice(&steps[..=middle - before]);
            fill_up_to(plane, middle + 1, voxel, steps);
        } else {
            if let Some(before) = before {
                fill_from(plane, before, ni, steps);
            }
            fill_up_to(plane, row, voxel, steps);
        }
        before = Some(voxel);
    }
    if let Some(before) = before {
        fill_from(plane, before, ni, steps);
    }
}

fn fill_up_to(plane: &mut [f64], first: usize, voxel: usize, steps: &[f64]) {
    plane[first..=voxel].iter_mut().rev().zip(steps).for_each(|(square, step)| *square = *step);
}

/// Fills the rest of a voxel's row.
fn fill_from(plane: &mut [f64], voxel: usize, ni: usize, steps: &[f64]) {
    let n = ni - voxel % ni;
    plane[voxel..voxel + n].copy_from_slice(&steps[..n]);
}

/// The minimum over a line of value plus squared distance from one position.
fn outwards(line: &[f64], stride: usize, position: usize, steps: &[f64]) -> f64 {
    let mut least = line[position * stride];
    for (step, square) in steps.iter().enumerate().skip(1) {
        if *square >= least {
            break;
        }
        if let Some(low) = position.checked_sub(step) {
            least = least.min(line[low * stride] + square);
        }
        if position + step < steps.len() {
            least = least.min(line[(position + step) * stride] + square);
        }
    }
    least
}

/// The lower envelope of parabolas over a line of voxels.
struct Envelope {
    /// Squares of 0, 1, 2, … steps along the line, mm².
    steps: Vec<f64>,
    /// Half the inverse of the squared spacing divided by 0 (which is never read), 1, 2, …
    inverses: Vec<f64>,
    /// Parabolas of the envelope, from left to right.
    parabolas: Vec<Parabola>,
}

#[derive(Clone, Copy)]
struct Parabola {
    apex: usize,
    height: f64,
    /// Position from which it is the lowest, in voxels.
    begin: f64,
}

impl Envelope {
    fn new(spacing: f64, length: usize) -> Self {
        let inverse = |n: usize| 0.5 / (n as f64 * spacing * spacing);
        Self {
            steps: squares_of_steps(spacing, length),
            inverses: (0..length).map(inverse).collect(),
            parabolas: Vec::with_capacity(length),
        }
    }

    /// Replaces each value of a line by the minimum over the line of value plus squared distance.
    fn transform(&mut self, values: &mut [f64], stride: usize) {
        let length = self.steps.len();
        self.parabolas.clear();
        for (apex, height) in values.iter().step_by(stride).take(length).enumerate() {
            if *height == f64::INFINITY {
                continue;
            }
            let mut begin = f64::NEG_INFINITY;
            while let Some(last) = self.parabolas.last() {
                // Position at which the two meet; the last one is lower before it.
                begin = 0.5 * (last.apex + apex) as f64
                    + (height - last.height) * self.inverses[apex - last.apex];
                if begin > last.begin {
                    break;
                }
                // The last one is the lowest nowhere.
                self.parabolas.pop();
                begin = f64::NEG_INFINITY;
            }
            self.parabolas.push(Parabola { apex, height: *height, begin });
        }
        let mut rest = self.parabolas.iter();
        let Some(mut lowest) = rest.next() else { return };
        let mut next = rest.next();
        for (n, value) in values.iter_mut().step_by(stride).take(length).enumerate() {
            while let Some(parabola) = next.filter(|parabola| parabola.begin < n as f64) {
                lowest = parabola;
                next = rest.next();
            }
            *value = self.steps[n.abs_diff(lowest.apex)] + lowest.height;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Distances of every voxel of a box.
    fn of_all(to: &[usize], size: [usize; 3], spacing_mm: [f64; 3]) -> Vec<f64> {
        let all: Vec<usize> = (0..size.iter().product()).collect();
        let squares = squared_distances(&all, to, size, spacing_mm);
        squares.into_iter().map(f64::sqrt).collect()
    }

    #[test]
    fn known_distances() {
        let distances = of_all(&[0], [4, 3, 2], [3.0, 4.0, 12.0]);
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
    fn an_empty_set_is_infinitely_far() {
        assert_eq!(of_all(&[], [3, 2, 1], [1.0; 3]), vec![f64::INFINITY; 6]);
        assert_eq!(of_all(&[], [0, 2, 1], [1.0; 3]), [] as [f64; 0]);
        assert_eq!(squared_distances(&[], &[1], [3, 2, 1], [1.0; 3]), [] as [f64; 0]);
    }

    #[test]
    fn threads_change_nothing() {
        // Above the size from which slices are divided among threads: a few voxels of a box of 48 ×
        // 40 × 40.
        let size = [48, 40, 40];
        let n: usize = size.iter().product();
        assert!(n >= SHARED_FROM);
        let to: Vec<usize> = (0..n).step_by(7919).collect();
        let from: Vec<usize> = (0..n).step_by(501).collect();
        let found = squared_distances(&from, &to, size, [0.7, 0.8, 2.5]);
        for (voxel, found) in from.iter().zip(found) {
            let expected = least(*voxel, &to, size, [0.7, 0.8, 2.5]);
            assert!((found.sqrt() - expected).abs() < 1e-12, "{found}, expected {expected}");
        }
    }

    /// The smallest distance of a voxel to a set, over all pairs.
    fn least(voxel: usize, to: &[usize], [ni, nj, _]: [usize; 3], spacing: [f64; 3]) -> f64 {
        let position = |n: usize| [n % ni, n / ni % nj, n / (ni * nj)];
        let far = |to: &usize| {
            let (a, b) = (position(voxel), position(*to));
            (0..3).map(|x| (a[x].abs_diff(b[x]) as f64 * spacing[x]).powi(2)).sum::<f64>().sqrt()
        };
        to.iter().map(far).fold(f64::INFINITY, f64::min)
    }

    proptest! {
        #[test]
        fn every_distance_is_the_least_of_all(
            size in prop::array::uniform3(1usize..9),
            seed in prop::collection::vec(prop::bool::weighted(0.07), 8 * 8 * 8),
            asked in prop::collection::vec(prop::bool::weighted(0.4), 8 * 8 * 8),
            spacing in prop::array::uniform3(0.3..5.0f64),
        ) {
            let n: usize = size.iter().product();
            let to: Vec<usize> = (0..n).filter(|v| seed[*v]).collect();
            let from: Vec<usize> = (0..n).filter(|v| asked[*v]).collect();
            let found = squared_distances(&from, &to, size, spacing);
            prop_assert_eq!(found.len(), from.len());
            for (voxel, found) in from.iter().zip(found) {
                let (found, expected) = (found.sqrt(), least(*voxel, &to, size, spacing));
                prop_assert!(
                    found.total_cmp(&expected).is_eq()
                        || (found - expected).abs() <= 1e-12 * expected,
                    "{} {}", found, expected
                );
            }
        }
    }
}
