//! The even grid of slices along their normal.

use super::slice::SliceHeader;
use super::tolerances::Tolerances;
use crate::dicom::error::Error;

/// METHOD: if the median gap places every slice to within this, it is the spacing, so that 2.5 mm stay 2.5 mm. Scanners
/// write positions with 6 decimals at most.
pub(crate) const EXACT_MM: f64 = 1e-6;

/// METHOD: the share of a position by which it changes as a real of 32 bits, 6e-8, rounded up.
pub(crate) const FLOAT_NOISE: f64 = 1e-7;

/// METHOD: greatest part of a gap by which rounded positions may change it; beyond, no rounding tells gaps apart.
const MOST_ROUNDING: f64 = 0.25;

/// An even grid: slice k lies at `start_mm + k * spacing_mm` along the normal.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::struct_field_names, reason = "`mm` is the unit")]
pub(crate) struct EvenGrid {
    pub(crate) start_mm: f64,
    pub(crate) spacing_mm: f64,
    /// Largest deviation of a gap from the spacing.
    pub(crate) gap_max_deviation_mm: f64,
}

/// Fits an even grid to slices at ascending heights; refuses uneven gaps. `step_mm` is the last decimal of the heights.
///
/// METHOD: positions are rounded when they are written, so that gaps of 0.625 mm alternate between 0.62 and 0.63 mm, and no
/// single gap is the spacing. It is the slope of a least-squares line through all heights. A gap may then differ from the
/// median gap by one step in the last decimal, as both of its ends are rounded.
pub(crate) fn even_grid(
    heights: &[f64],
    slices: &[&SliceHeader],
    step_mm: f64,
    tolerances: &Tolerances,
) -> Result<EvenGrid, Error> {
    let gaps: Vec<f64> = heights.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let median_mm = median(&gaps);
    let farthest_mm = heights.iter().fold(0.0, |most: f64, height| most.max(height.abs()));
    let noise_mm = EXACT_MM + 2.0 * FLOAT_NOISE * farthest_mm;
    let rounding_mm = step_mm.min(MOST_ROUNDING * median_mm) + noise_mm;
    let is_off = |gap: f64, n_steps: f64| {
        let expected = n_steps * median_mm;
        // Several steps of a rounded median add up.
        (gap - expected).abs() > (tolerances.slice_gap * expected).max(n_steps * rounding_mm)
    };
    let n_steps = |gap: f64| {
        if is_off(gap, 1.0) { (gap / median_mm).round().max(1.0) } else { 1.0 }
    };
    let farthest = |off: &dyn Fn(f64) -> f64| {
        let numbered = gaps.iter().map(|gap| off(*gap)).enumerate();
        numbered.fold((0, 0.0), |worst, gap| if gap.1 > worst.1 { gap } else { worst }).0
    };
    let neighbours = |at: usize| (slices[at].name(), slices[at + 1].name());
    if gaps.iter().any(|gap| is_off(*gap, n_steps(*gap))) {
        let off = |gap: f64| if is_off(gap, n_steps(gap)) { (gap - median_mm).abs() } else { 0.0 };
        let worst = farthest(&off);
        let (before, after) = neighbours(worst);
        let (gap_mm, spacing_mm) = (gaps[worst], median_mm);
        let limit_mm = rounding_mm.max(tolerances.slice_gap * median_mm);
        return Err(Error::UnevenSpacing { before, after, gap_mm, spacing_mm, limit_mm });
    }
    let mut indices = vec![0.0];
    for gap in &gaps {
        indices.push(indices[indices.len() - 1] + n_steps(*gap));
    }
    let (start_mm, spacing_mm) = line(&indices, heights, median_mm);
    let n_missing = indices[gaps.len()] as usize - gaps.len();
    if n_missing > 0 {
        let widest = farthest(&|gap| gap);
        let (before, after) = neighbours(widest);
        return Err(Error::MissingSlices {
            before,
            after,
            gap_mm: gaps[widest],
            spacing_mm,
            n_missing,
        });
    }
    let mut drifted = (0, 0.0);
    for (k, height) in heights.iter().enumerate() {
        let off = (height - start_mm - k as f64 * spacing_mm).abs();
        drifted = if off > drifted.1 { (k, off) } else { drifted };
    }
    let limit_mm = tolerances.off_grid * spacing_mm;
    if drifted.1 > limit_mm {
        let (file, drift_mm) = (slices[drifted.0].name(), drifted.1);
        return Err(Error::Drift { file, drift_mm, spacing_mm, limit_mm });
    }
    let deviations = gaps.iter().map(|gap| (gap - spacing_mm).abs());
    let gap_max_deviation_mm = deviations.fold(0.0, f64::max);
    Ok(EvenGrid { start_mm, spacing_mm, gap_max_deviation_mm })
}

/// Start and slope of the line through heights at these indices: that of the first height and the median gap if it holds
/// for all of them, else the least-squares line.
fn line(indices: &[f64], heights: &[f64], median_mm: f64) -> (f64, f64) {
    let first = heights[0];
    let mut points = indices.iter().zip(heights);
    if points.all(|(index, height)| (height - first - index * median_mm).abs() <= EXACT_MM) {
        return (first, median_mm);
    }
    let n = indices.len() as f64;
    // Heights from the first one, so that no digits are lost.
    let mean_index = indices.iter().sum::<f64>() / n;
    let mean_height = heights.iter().map(|height| height - first).sum::<f64>() / n;
    let (mut products, mut squares) = (0.0, 0.0);
    for (index, height) in indices.iter().zip(heights) {
        products += (index - mean_index) * (height - first - mean_height);
        squares += (index - mean_index) * (index - mean_index);
    }
    let slope = products / squares;
    (first + mean_height - slope * mean_index, slope)
}

/// The spacing of a series with a single slice, or with several at its position.
pub(crate) fn spacing_of_single(slice: &SliceHeader, n_slices: usize) -> Result<f64, Error> {
    match slice.spacing_between_slices_mm {
        Some(spacing_mm) if spacing_mm > 0.0 => Ok(spacing_mm),
        _ if n_slices > 1 => Err(Error::OnePosition { n_slices }),
        other => Err(Error::SingleSlice {
            file: slice.name(),
            spacing: other.map_or("missing".to_owned(), |mm| mm.to_string()),
        }),
    }
}

/// The middle gap, or the mean of the two middle gaps.
///
/// METHOD: of two middle gaps that differ by more than rounding, the lesser: the wider one lacks slices, and the mean is no gap.
/// Of two or three gaps, none is the rule.
fn median(gaps: &[f64]) -> f64 {
    let mut sorted = gaps.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let upper = sorted[half];
    let lower = if sorted.len() % 2 == 1 { upper } else { sorted[half - 1] };
    let are_unlike = sorted.len() > 3 && upper - lower > MOST_ROUNDING * upper;
    if are_unlike { lower } else { f64::midpoint(lower, upper) }
}
