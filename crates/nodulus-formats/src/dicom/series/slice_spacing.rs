//! The spacing of slices along their normal.

use super::slice::SliceHeader;
use super::tolerances::Tolerances;
use crate::dicom::error::{Error, Problem};
use dicom_dictionary_std::tags;

/// The median gap and the largest deviation from it; refuses uneven gaps.
pub(crate) fn even_spacing(
    heights: &[f64],
    slices: &[&SliceHeader],
    tolerances: &Tolerances,
) -> Result<(f64, f64), Error> {
    let gaps: Vec<f64> = heights.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let spacing_mm = median(&gaps);
    let deviation = |gap: f64| (gap - spacing_mm).abs();
    let (mut worst, mut drifted) = (0, 0);
    let drift = |at: usize| (heights[at] - heights[0] - at as f64 * spacing_mm).abs();
    for at in 0..gaps.len() {
        worst = if deviation(gaps[at]) > deviation(gaps[worst]) { at } else { worst };
        drifted = if drift(at + 1) > drift(drifted) { at + 1 } else { drifted };
    }
    let gap_mm = gaps[worst];
    if deviation(gap_mm) > tolerances.slice_gap * spacing_mm {
        let (before, after) = (slices[worst].name(), slices[worst + 1].name());
        let steps = |gap: f64| (gap / spacing_mm).round().max(1.0);
        let off_steps =
            |gap: f64| (gap - steps(gap) * spacing_mm).abs() > tolerances.slice_gap * gap;
        return Err(if gaps.iter().any(|gap| off_steps(*gap)) {
            let tolerance = tolerances.slice_gap;
            Error::UnevenSpacing { before, after, gap_mm, spacing_mm, tolerance }
        } else {
            let n_missing = gaps.iter().map(|gap| steps(*gap) as usize - 1).sum();
            Error::MissingSlices { before, after, gap_mm, spacing_mm, n_missing }
        });
    }
    if drift(drifted) > tolerances.off_grid * spacing_mm {
        let file = slices[drifted].name();
        return Err(Error::Drift { file, drift_mm: drift(drifted), spacing_mm });
    }
    Ok((spacing_mm, deviation(gap_mm)))
}

pub(crate) fn spacing_of_single(slice: &SliceHeader) -> Result<f64, Error> {
    match slice.spacing_between_slices_mm {
        Some(spacing_mm) if spacing_mm > 0.0 => Ok(spacing_mm),
        other => {
            let found = other.map_or("missing".to_owned(), |mm| mm.to_string());
            let expected = "a distance in mm, over 0, as the series has a single slice";
            let problem = Problem::value(tags::SPACING_BETWEEN_SLICES, found, expected);
            Err(Error::file(&slice.name(), problem))
        }
    }
}

/// The middle value, or the mean of the two middle values.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) }
}
