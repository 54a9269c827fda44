//! Tells images at one position, at a few or from different sides from the slices of a scan.

use super::slice::SliceHeader;
use super::stack::SAME_POSITION_MM;
use crate::dicom::error::Error;

/// METHOD: a table that stands still is written with positions that differ by up to 0.1 mm on either side. Slices that
/// cover no more together are at one position.
const STILL_MM: f64 = 0.25;

/// METHOD: positions may drift with time. Slices that cover less than this, and lie closer than a tenth of their
/// thickness, are at one position: no scanner reconstructs slices so close.
const DRIFT_MM: f64 = 1.0;
const CLOSE: f64 = 0.1;

/// METHOD: the rows of a detector, or the positions of a table that moves to and fro, that bolus tracking has at most.
/// No lung fits into four slices.
const MOST_POSITIONS: usize = 4;

/// METHOD: scout views are two as a rule, and some scanners repeat one.
const MOST_VIEWS: usize = 4;

/// METHOD: cosine of 45 degrees; scout views are at right angles.
const OTHER_SIDE: f64 = 0.7;

/// Refuses slices whose positions differ by less than slices of a scan do. Slices at exactly one position may be copies
/// of one, which only their voxels tell.
pub(super) fn check_jitter(slices: &[SliceHeader]) -> Result<(), Error> {
    let covered_mm = covered_mm(slices);
    let n_gaps = slices.len().saturating_sub(1).max(1) as f64;
    let thickness_mm = slices.iter().filter_map(|slice| slice.thickness_mm).reduce(f64::min);
    let is_close = thickness_mm.is_some_and(|mm| covered_mm / n_gaps <= CLOSE * mm);
    let is_still = covered_mm <= STILL_MM || covered_mm <= DRIFT_MM && is_close;
    if covered_mm >= SAME_POSITION_MM && is_still {
        return Err(Error::OnePosition { n_slices: slices.len() });
    }
    Ok(())
}

/// The diagonal of the box about the positions of slices.
fn covered_mm(slices: &[SliceHeader]) -> f64 {
    let along = |axis: usize| {
        let positions = || slices.iter().map(|slice| slice.position_mm[axis]);
        let (least, most) = (positions().reduce(f64::min), positions().reduce(f64::max));
        least.zip(most).map_or(0.0, |(least, most)| most - least)
    };
    (0..3).map(|axis| along(axis).powi(2)).sum::<f64>().sqrt()
}

/// The reason for which slices are refused: that they are no scan at all, where they are none, or the given one.
pub(super) fn instead_of(reason: Error, slices: &[SliceHeader]) -> Error {
    let n_slices = slices.len();
    match &reason {
        Error::Mixed { .. } if are_views(slices) => return Error::SeveralViews { n_slices },
        Error::Mixed { .. }
        | Error::SeveralImages { .. }
        | Error::Conflict { .. }
        | Error::MissingSlices { .. }
        | Error::UnevenSpacing { .. }
        | Error::Drift { .. }
        | Error::Tilted { .. } => {}
        _ => return reason,
    }
    match n_of_few_positions(slices) {
        Some(1) => Error::OnePosition { n_slices },
        Some(n_positions) => Error::FewPositions { n_slices, n_positions },
        None => reason,
    }
}

/// The number of positions, if they are few and images were made again and again at one of them.
fn n_of_few_positions(slices: &[SliceHeader]) -> Option<usize> {
    let mut positions: Vec<([f64; 3], usize)> = Vec::new();
    for slice in slices {
        let at = |position: &[f64; 3]| {
            let pairs = position.iter().zip(slice.position_mm);
            pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt() <= STILL_MM
        };
        match positions.iter_mut().find(|(position, _)| at(position)) {
            Some((_, n)) => *n += 1,
            None => positions.push((slice.position_mm, 1)),
        }
        if positions.len() > MOST_POSITIONS {
            return None;
        }
    }
    let most = positions.iter().map(|(_, n)| *n).max()?;
    // Two phases of three slices are two scans of a small object.
    let is_repeated = most >= positions.len().max(3) || positions.len() == 1 && most > 1;
    is_repeated.then_some(positions.len())
}

/// Whether there are a few images that look from different sides.
fn are_views(slices: &[SliceHeader]) -> bool {
    let normal = |slice: &SliceHeader| {
        let [i0, i1, i2, j0, j1, j2] = slice.orientation;
        [i1 * j2 - i2 * j1, i2 * j0 - i0 * j2, i0 * j1 - i1 * j0]
    };
    let is_other_side = |a: &SliceHeader, b: &SliceHeader| {
        let cosine: f64 = normal(a).iter().zip(normal(b)).map(|(a, b)| a * b).sum();
        cosine.abs() < OTHER_SIDE
    };
    let mut pairs = slices.windows(2);
    (2..=MOST_VIEWS).contains(&slices.len()) && pairs.any(|pair| is_other_side(&pair[0], &pair[1]))
}
