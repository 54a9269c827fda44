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

/// METHOD: scans of perfusion repeat the rows of a detector three times and more. Together they cover 80 mm at most, which
/// no lung of an adult fits into.
const MOST_ROWS: usize = 32;
const MOST_ROWS_MM: f64 = 80.0;
const LEAST_REPEATS: usize = 3;

/// METHOD: scout views are two as a rule, and some scanners repeat one.
const MOST_VIEWS: usize = 4;

/// METHOD: cosine of 45 degrees; scout views are at right angles.
const OTHER_SIDE: f64 = 0.7;

/// Where an image lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct ImagePlace {
    pub(super) position_mm: [f64; 3],
    /// Unit vectors of i, then of j.
    pub(super) orientation: [f64; 6],
    pub(super) thickness_mm: Option<f64>,
}

impl ImagePlace {
    fn of(slice: &SliceHeader) -> Self {
        let SliceHeader { position_mm, orientation, thickness_mm, .. } = *slice;
        Self { position_mm, orientation, thickness_mm }
    }
}

/// Refuses slices whose positions differ by less than slices of a scan do. Slices at exactly one position may be copies
/// of one, which only their voxels tell.
pub(super) fn check_jitter(slices: &[SliceHeader]) -> Result<(), Error> {
    let places: Vec<ImagePlace> = slices.iter().map(ImagePlace::of).collect();
    if covered_mm(&places) >= SAME_POSITION_MM && are_still(&places) {
        return Err(Error::OnePosition { n_slices: slices.len() });
    }
    Ok(())
}

/// Whether images lie at one position, but for how a table drifts.
fn are_still(places: &[ImagePlace]) -> bool {
    let covered_mm = covered_mm(places);
    let n_gaps = places.len().saturating_sub(1).max(1) as f64;
    let thickness_mm = places.iter().filter_map(|place| place.thickness_mm).reduce(f64::min);
    let is_close = thickness_mm.is_some_and(|mm| covered_mm / n_gaps <= CLOSE * mm);
    covered_mm <= STILL_MM || covered_mm <= DRIFT_MM && is_close
}

/// The diagonal of the box about the positions of images.
fn covered_mm(places: &[ImagePlace]) -> f64 {
    let along = |axis: usize| {
        let positions = || places.iter().map(|place| place.position_mm[axis]);
        let (least, most) = (positions().reduce(f64::min), positions().reduce(f64::max));
        least.zip(most).map_or(0.0, |(least, most)| most - least)
    };
    (0..3).map(|axis| along(axis).powi(2)).sum::<f64>().sqrt()
}

/// The reason for which slices are refused: that they are no scan at all, where they are none, or the given one.
pub(super) fn instead_of(reason: Error, slices: &[SliceHeader]) -> Error {
    let places: Vec<ImagePlace> = slices.iter().map(ImagePlace::of).collect();
    match &reason {
        Error::Mixed { .. } if are_views(&places) => {
            return Error::SeveralViews { n_slices: slices.len() };
        }
        Error::Mixed { .. }
        | Error::SeveralImages { .. }
        | Error::Conflict { .. }
        | Error::UnlikeCopies { .. }
        | Error::MissingSlices { .. }
        | Error::UnevenSpacing { .. }
        | Error::Drift { .. }
        | Error::Tilted { .. } => {}
        _ => return reason,
    }
    few_positions(&places).unwrap_or(reason)
}

/// Why images are no scan, by where they lie alone.
pub(super) fn no_scan(places: &[ImagePlace]) -> Option<Error> {
    let n_slices = places.len();
    if are_views(places) {
        return Some(Error::SeveralViews { n_slices });
    }
    let is_one = n_slices > 1 && are_still(places);
    if is_one { Some(Error::OnePosition { n_slices }) } else { few_positions(places) }
}

/// The error of images that were made again and again at one or a few positions.
fn few_positions(places: &[ImagePlace]) -> Option<Error> {
    let n_slices = places.len();
    match n_of_few_positions(places)? {
        1 => Some(Error::OnePosition { n_slices }),
        n_positions => Some(Error::FewPositions { n_slices, n_positions }),
    }
}

/// The number of positions, if they are few and images were made again and again at one of them, or at most of them.
fn n_of_few_positions(places: &[ImagePlace]) -> Option<usize> {
    let mut positions: Vec<([f64; 3], usize)> = Vec::new();
    for place in places {
        let at = |position: &[f64; 3]| {
            let pairs = position.iter().zip(place.position_mm);
            pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt() <= STILL_MM
        };
        match positions.iter_mut().find(|(position, _)| at(position)) {
            Some((_, n)) => *n += 1,
            None => positions.push((place.position_mm, 1)),
        }
        if positions.len() > MOST_ROWS {
            return None;
        }
    }
    let n_positions = positions.len();
    let most = positions.iter().map(|(_, n)| *n).max()?;
    // Two phases of three slices are two scans of a small object.
    let is_repeated = most >= n_positions.max(3) || n_positions == 1 && most > 1;
    let is_perfusion =
        || places.len() >= LEAST_REPEATS * n_positions && covered_mm(places) <= MOST_ROWS_MM;
    let is_few = n_positions <= MOST_POSITIONS && is_repeated || n_positions > 1 && is_perfusion();
    is_few.then_some(n_positions)
}

/// Whether there are a few images that look from different sides.
fn are_views(places: &[ImagePlace]) -> bool {
    let normal = |place: &ImagePlace| {
        let [i0, i1, i2, j0, j1, j2] = place.orientation;
        [i1 * j2 - i2 * j1, i2 * j0 - i0 * j2, i0 * j1 - i1 * j0]
    };
    let is_other_side = |a: &ImagePlace, b: &ImagePlace| {
        let cosine: f64 = normal(a).iter().zip(normal(b)).map(|(a, b)| a * b).sum();
        cosine.abs() < OTHER_SIDE
    };
    let mut pairs = places.windows(2);
    (2..=MOST_VIEWS).contains(&places.len()) && pairs.any(|pair| is_other_side(&pair[0], &pair[1]))
}
