//! Blur and noise of a scanner.

use super::seed::stream;
use ndarray::{Array2, Array3, ArrayViewMut2, Axis};
use rand::Rng;
use serde::{Deserialize, Serialize};

/// Reconstruction kernel of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    /// Blurred edges, coarse noise.
    Soft,
    /// Between the two.
    Standard,
    /// Sharp edges, fine and strong noise.
    Sharp,
}

/// Half of a symmetric one-dimensional filter, from its middle outwards; the whole filter sums to one.
type HalfFilter = [f32; 4];

const POINT: HalfFilter = [1.0, 0.0, 0.0, 0.0];
const NARROW: HalfFilter = [0.8, 0.1, 0.0, 0.0];
const BINOMIAL_2: HalfFilter = [0.5, 0.25, 0.0, 0.0];
const BINOMIAL_4: HalfFilter = [0.375, 0.25, 0.0625, 0.0];
const BINOMIAL_6: HalfFilter = [0.3125, 0.234_375, 0.09375, 0.015_625];

/// Share of a slice's noise that comes from the slice below.
///
/// METHOD: neighbouring slices share projections in a helical scan, so their noise is correlated.
const FROM_BELOW: f32 = 0.3;

impl Kernel {
    /// Name as scanners write it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Soft => "SOFT",
            Self::Standard => "STANDARD",
            Self::Sharp => "LUNG",
        }
    }

    fn blur(self) -> HalfFilter {
        match self {
            Self::Soft => BINOMIAL_2,
            Self::Standard => NARROW,
            Self::Sharp => POINT,
        }
    }

    /// Narrow filter, wide filter and share: noise is white noise through the narrow filter, minus the share of white noise
    /// through the wide filter.
    ///
    /// METHOD: CT noise has little power at low frequencies, because of the ramp filter, and little
    /// at high ones, because of the kernel's roll-off; a difference of two Gaussians has that
    /// shape, and binomial filters approximate Gaussians.
    fn noise(self) -> (HalfFilter, HalfFilter, f32) {
        match self {
            Self::Soft => (BINOMIAL_4, BINOMIAL_6, 0.5),
            Self::Standard => (BINOMIAL_2, BINOMIAL_6, 0.6),
            Self::Sharp => (NARROW, BINOMIAL_4, 0.8),
        }
    }
}

/// Blurs every slice of a scan, indexed `[k, j, i]`.
pub(super) fn blur(hu: &mut Array3<f32>, kernel: Kernel) {
    let half = kernel.blur();
    if half[0] < 1.0 {
        for mut slice in hu.axis_iter_mut(Axis(0)) {
            let blurred = filtered(&slice.to_owned(), half);
            slice.assign(&blurred);
        }
    }
}

/// Adds noise of mean standard deviation `sd_hu` to a scan, indexed `[k, j, i]`.
pub(super) fn add(hu: &mut Array3<f32>, kernel: Kernel, sd_hu: f32, seed: u64, patient: &str) {
    let (_, rows, columns) = hu.dim();
    let mut below: Option<Array2<f32>> = None;
    for (k, mut slice) in hu.axis_iter_mut(Axis(0)).enumerate() {
        let mut fresh = correlated(seed, patient, k, (rows, columns), kernel);
        if let Some(below) = below {
            let kept = (1.0 - FROM_BELOW * FROM_BELOW).sqrt();
            fresh.zip_mut_with(&below, |new, old| *new = kept * *new + FROM_BELOW * old);
        }
        add_slice(&mut slice, &fresh, sd_hu);
        below = Some(fresh);
    }
}

/// METHOD: noise is strongest in the middle of the body, where rays pass the most tissue.
fn add_slice(slice: &mut ArrayViewMut2<'_, f32>, noise: &Array2<f32>, sd_hu: f32) {
    let (rows, columns) = slice.dim();
    let middle = [(rows as f32 - 1.0) / 2.0, (columns as f32 - 1.0) / 2.0];
    for ((j, i), value) in slice.indexed_iter_mut() {
        let (v, u) = ((j as f32 - middle[0]) / middle[0], (i as f32 - middle[1]) / middle[1]);
        let strength = 1.25 - 0.5 * (u * u + v * v).min(1.0);
        *value += sd_hu * strength * noise[[j, i]];
    }
}

/// Noise of a slice with mean 0 and standard deviation 1.
fn correlated(
    seed: u64,
    patient: &str,
    k: usize,
    size: (usize, usize),
    kernel: Kernel,
) -> Array2<f32> {
    let mut rng = stream(seed, &[patient, "noise", &k.to_string()]);
    let white = Array2::from_shape_simple_fn(size, || nearly_normal(rng.random()));
    let (narrow, wide, share) = kernel.noise();
    let mut noise = filtered(&white, narrow);
    let low = filtered(&white, wide);
    let square = |a: HalfFilter, b: HalfFilter| {
        let line = a[0] * b[0] + 2.0 * (a[1] * b[1] + a[2] * b[2] + a[3] * b[3]);
        line * line
    };
    let variance = square(narrow, narrow) - 2.0 * share * square(narrow, wide)
        + share * share * square(wide, wide);
    let scale = 1.0 / variance.sqrt();
    noise.zip_mut_with(&low, |n, l| *n = (*n - share * l) * scale);
    noise
}

/// METHOD: the sum of four uniform numbers is close to normal (kurtosis 2.7), and closer still
/// after filtering; unlike an exact normal it needs no logarithm, which differs between machines.
fn nearly_normal(bits: u64) -> f32 {
    let sum: u32 = (0..4).map(|n| (bits >> (16 * n) & 0xffff) as u32).sum();
    // A 16-bit uniform number has variance (2^32 - 1) / 12; four have standard deviation 37837.23.
    (f64::from(sum) - 131_070.0) as f32 / 37_837.23
}

/// Filters a slice along both axes; the nearest pixel is repeated past the edge.
fn filtered(slice: &Array2<f32>, half: HalfFilter) -> Array2<f32> {
    let (rows, columns) = slice.dim();
    let reach = half.iter().rposition(|w| *w > 0.0).unwrap_or(0);
    let mut along = Array2::zeros((rows, columns));
    let mut padded = vec![0.0; columns + 2 * reach];
    for (from, mut to) in slice.rows().into_iter().zip(along.rows_mut()) {
        for (n, value) in padded.iter_mut().enumerate() {
            *value = from[n.saturating_sub(reach).min(columns - 1)];
        }
        for (i, value) in to.iter_mut().enumerate() {
            let middle = i + reach;
            let sides = (1..=reach).map(|d| half[d] * (padded[middle - d] + padded[middle + d]));
            *value = half[0] * padded[middle] + sides.sum::<f32>();
        }
    }
    let mut out = Array2::zeros((rows, columns));
    for (j, mut to) in out.rows_mut().into_iter().enumerate() {
        for d in 0..=reach {
            let (above, below) = (along.row(j.saturating_sub(d)), along.row((j + d).min(rows - 1)));
            let weight = if d == 0 { half[0] / 2.0 } else { half[d] };
            for ((value, a), b) in to.iter_mut().zip(above).zip(below) {
                *value += weight * (a + b);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_keep_the_mean_and_spread_a_point() {
        let mut point = Array2::zeros((9, 9));
        point[[4, 4]] = 16.0;
        let spread = filtered(&point, BINOMIAL_2);
        assert!((spread[[4, 4]] - 4.0).abs() < 1e-6);
        assert!((spread[[3, 4]] - 2.0).abs() < 1e-6);
        assert!((spread[[3, 3]] - 1.0).abs() < 1e-6);
        for half in [POINT, NARROW, BINOMIAL_2, BINOMIAL_4, BINOMIAL_6] {
            let flat = filtered(&Array2::from_elem((8, 8), 3.0), half);
            assert!(flat.iter().all(|v| (v - 3.0).abs() < 1e-5));
        }
    }

    #[test]
    fn noise_has_unit_deviation_and_a_scanners_correlation() {
        for (kernel, neighbours) in
            [(Kernel::Soft, 0.3..0.9), (Kernel::Standard, 0.2..0.8), (Kernel::Sharp, -0.3..0.2)]
        {
            let noise = correlated(1, "p", 0, (128, 128), kernel);
            let n = noise.len() as f32;
            let mean = noise.sum() / n;
            let variance = noise.iter().map(|v| v * v).sum::<f32>() / n;
            let beside: f32 =
                noise.windows((1, 2)).into_iter().map(|w| w[[0, 0]] * w[[0, 1]]).sum();
            assert!(mean.abs() < 0.05, "{kernel:?} mean {mean}");
            assert!((variance - 1.0).abs() < 0.08, "{kernel:?} variance {variance}");
            let correlation = beside / n / variance;
            assert!(neighbours.contains(&correlation), "{kernel:?} correlation {correlation}");
        }
    }

    #[test]
    fn slices_share_noise() {
        let mut hu = Array3::zeros((40, 64, 64));
        add(&mut hu, Kernel::Standard, 20.0, 1, "p");
        let pairs = hu.index_axis(Axis(0), 0).len() as f32 * 39.0;
        let (mut between, mut within) = (0.0, 0.0);
        for k in 0..39 {
            let (a, b) = (hu.index_axis(Axis(0), k), hu.index_axis(Axis(0), k + 1));
            between += a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>() / pairs;
            within += a.iter().map(|a| a * a).sum::<f32>() / pairs;
        }
        assert!((between / within - 0.3).abs() < 0.04, "{}", between / within);
        assert!((15.0..27.0).contains(&within.sqrt()), "{}", within.sqrt());
    }
}
