//! The overlay of a scan: the middle slice of each nodule, with outlines and numbers.

use super::delivery::Delivery;
use super::error::Error;
use super::output::FileContent;
use crate::nightly::scan::scored::{ScoredNodule, ScoredScan};
use ndarray::{Array2, s};
use nodulus_formats::volume::{LoadedSlices, SliceRanges};
use nodulus_imaging::drawing::canvas::{Canvas, Colour, text_width};
use nodulus_imaging::drawing::slice::{self, MaskOutline};
use std::collections::BTreeSet;
use std::ops::Range;

const PAPER: Colour = [0x14, 0x17, 0x1a];
const INK: Colour = [0xe4, 0xe6, 0xe8];
const SOFT: Colour = [0xa2, 0xa9, 0xb1];
/// Colours of the nodule itself and of others, as in contact sheets.
const OWN: Colour = [0x56, 0xc8, 0xff];
const OTHERS: Colour = [0xff, 0x7a, 0xc6];

/// METHOD: air to bone, as regions are normalised for the network.
const WINDOW_HU: [f64; 2] = [-1000.0, 400.0];

/// METHOD: side of the shown square, twice the largest size of a nodule by definition (3 cm); a larger mask
/// enlarges it.
const SIDE_MM: f64 = 60.0;

/// Pixels of a tile, of the margin around it, and of a line of text.
const TILE: usize = 256;
const MARGIN: usize = 12;
const LINE: usize = 11;
/// Scale of the captions, and their lines.
const SCALE: usize = 2;
const CAPTION_LINES: usize = 3;
/// The most tiles in a row and in all: a sheet of 1,084 × 17,250 pixels.
const COLUMNS: usize = 4;
const MAX_TILES: usize = 200;

/// The slice that is shown of a nodule: the one with the most voxels, of several the middle one; without a
/// mask, the candidate's. `None` where that is off the scan.
fn shown(scan: &ScoredScan, nodule: &ScoredNodule) -> Option<usize> {
    let Some(placed) = nodule.mask.as_ref().filter(|placed| !placed.mask.is_empty()) else {
        let voxel = scan.geometry.patient_to_voxel(nodule.candidate_mm);
        return scan.geometry.nearest_voxel(voxel).map(|[_, _, k]| k);
    };
    let mut n_voxels = vec![0usize; placed.mask.size()[2]];
    for [_, _, k] in placed.mask.voxels() {
        n_voxels[k] += 1;
    }
    let most = n_voxels.iter().max()?;
    let widest: Vec<usize> = (0..n_voxels.len()).filter(|k| n_voxels[*k] == *most).collect();
    widest.get((widest.len() - 1) / 2).map(|k| k + placed.start[2])
}

/// The slices that the overlay of a scan shows.
pub fn slices_needed(scan: &ScoredScan) -> SliceRanges {
    let slices = scan.nodules.iter().take(MAX_TILES).filter_map(|nodule| shown(scan, nodule));
    slices.map(|k| k..k + 1).collect()
}

/// The overlay of a scan.
pub(super) enum Overlay {
    /// The picture, and the slices that it shows.
    Drawn { canvas: Canvas, slices: Vec<usize> },
    /// The scan has nothing to show.
    Empty(String),
    /// A slice is missing.
    Unavailable(String),
}

pub(super) fn content(
    delivery: &Delivery<'_>,
    hu: &LoadedSlices<i16>,
) -> Result<FileContent, Error> {
    Ok(match draw(delivery, hu) {
        Overlay::Drawn { canvas, .. } => FileContent::Bytes(canvas.to_png()?),
        Overlay::Empty(reason) => FileContent::Empty(reason),
        Overlay::Unavailable(reason) => FileContent::Unavailable(reason),
    })
}

pub(super) fn draw(delivery: &Delivery<'_>, hu: &LoadedSlices<i16>) -> Overlay {
    let scan = delivery.scan;
    if scan.nodules.is_empty() {
        return Overlay::Empty("the scan has no nodules".to_owned());
    }
    let nodules = &scan.nodules[..scan.nodules.len().min(MAX_TILES)];
    let columns = nodules.len().min(COLUMNS);
    let cell = [TILE + MARGIN, TILE + (LINE * CAPTION_LINES + 4) * SCALE + MARGIN];
    let head = head(delivery, nodules.len());
    let top = MARGIN + head.len() * LINE * SCALE + MARGIN;
    let rows = nodules.len().div_ceil(columns);
    let widest = head.iter().map(|line| text_width(line, SCALE)).max().unwrap_or_default();
    let width = (columns * cell[0]).max(widest + MARGIN) + MARGIN;
    let mut canvas = Canvas::new([width, top + rows * cell[1]], PAPER);
    for (n, line) in head.iter().enumerate() {
        canvas.text([MARGIN, MARGIN + n * LINE * SCALE], line, SCALE, INK);
    }
    for (n, nodule) in nodules.iter().enumerate() {
        let at = [MARGIN + n % columns * cell[0], top + n / columns * cell[1]];
        if !tile(&mut canvas, at, scan, nodule, hu) {
            let slice = shown(scan, nodule).map_or("off the scan".to_owned(), |k| format!("{k}"));
            let reason = format!("slice {slice} of nodule {} was not loaded", nodule.number);
            return Overlay::Unavailable(reason);
        }
    }
    let slices: BTreeSet<usize> = nodules.iter().filter_map(|of| shown(scan, of)).collect();
    Overlay::Drawn { canvas, slices: slices.into_iter().collect() }
}

fn head(delivery: &Delivery<'_>, n_shown: usize) -> Vec<String> {
    let (scan, [low, high]) = (delivery.scan, WINDOW_HU);
    let all = scan.nodules.len();
    let nodules =
        if n_shown < all { format!("first {n_shown} of {all}") } else { format!("{all}") };
    vec![
        format!("series {}", delivery.series_uid()),
        format!("model {}  nodules {nodules}", scan.model.id),
        format!("window {low} to {high} HU"),
    ]
}

/// Draws the slice of a nodule with its caption; false where the slice was not loaded.
fn tile(
    canvas: &mut Canvas,
    [x, y]: [usize; 2],
    scan: &ScoredScan,
    nodule: &ScoredNodule,
    hu: &LoadedSlices<i16>,
) -> bool {
    let Some(k) = shown(scan, nodule) else { return false };
    let Some(slice) = hu.slice(k) else { return false };
    let [i, j] = shown_pixels(scan, nodule);
    let crop = slice.slice(s![j.clone(), i.clone()]);
    // The outline of the nodule itself is drawn last, over the others.
    let mut others: Vec<&ScoredNodule> = scan.nodules.iter().collect();
    others.sort_by_key(|other| other.number == nodule.number);
    let masks: Vec<(&ScoredNodule, Array2<u8>)> = others
        .into_iter()
        .filter_map(|other| {
            let placed = other.mask.as_ref()?;
            let mask = Array2::from_shape_fn(crop.dim(), |(row, column)| {
                u8::from(placed.get(i.start + column, j.start + row, k))
            });
            mask.iter().any(|set| *set != 0).then_some((other, mask))
        })
        .collect();
    let colour = |other: &ScoredNodule| if other.number == nodule.number { OWN } else { OTHERS };
    let outlines: Vec<MaskOutline<'_>> = masks
        .iter()
        .map(|(other, mask)| MaskOutline {
            mask: mask.view(),
            colour: colour(other),
            dashed: false,
        })
        .collect();
    slice::draw(canvas, [x, y], TILE, &crop, WINDOW_HU, &outlines);
    let longest = i.len().max(j.len()).max(1);
    for (other, mask) in &masks {
        // Below the lower right corner of its outline.
        let set = mask.indexed_iter().filter(|(_, set)| **set != 0);
        let [column, row] =
            set.fold([0, 0], |[i, j], ((row, column), _)| [i.max(column + 1), j.max(row + 1)]);
        let text = other.number.to_string();
        let [right, bottom] = [TILE - text_width(&text, SCALE), TILE - LINE * SCALE];
        let at = [column * TILE / longest + 4, row * TILE / longest + 4];
        canvas.text([x + at[0].min(right), y + at[1].min(bottom)], &text, SCALE, colour(other));
    }
    for (n, (colour, text)) in caption(nodule, k).into_iter().enumerate() {
        canvas.text([x, y + TILE + (4 + n * LINE) * SCALE], &text, SCALE, colour);
    }
    true
}

fn caption(nodule: &ScoredNodule, k: usize) -> [(Colour, String); CAPTION_LINES] {
    let probability = nodule.probability.map_or(String::new(), |p| format!("  p {p:.2}"));
    let size = match &nodule.mask {
        None => "no voxels".to_owned(),
        Some(_) => format!("{:.1} mm  {:.0} mm3", nodule.equivalent_diameter_mm, nodule.volume_mm3),
    };
    let hu = nodule.mean_hu.map_or(String::new(), |hu| format!("  {hu:.0} HU"));
    [
        (INK, format!("nodule {}{probability}", nodule.number)),
        (INK, size),
        (SOFT, format!("k {k}{hu}")),
    ]
}

/// The shown pixels along i and j: a square around the nodule, cut off at the border of the slice.
fn shown_pixels(scan: &ScoredScan, nodule: &ScoredNodule) -> [Range<usize>; 2] {
    let (size, spacing) = (scan.geometry.size(), scan.geometry.spacing().ijk());
    let placed = nodule.mask.as_ref().filter(|placed| !placed.mask.is_empty());
    let centre = placed.map_or_else(
        || scan.geometry.patient_to_voxel(nodule.candidate_mm),
        |placed| {
            let end = placed.end();
            std::array::from_fn(|a| (placed.start[a] + end[a]) as f64 / 2.0 - 0.5)
        },
    );
    let extent = |a: usize| placed.map_or(0.0, |p| p.mask.size()[a] as f64 * spacing[a]);
    let extent_mm = extent(0).max(extent(1));
    let side_mm = SIDE_MM.max(extent_mm * 1.5);
    std::array::from_fn(|a| {
        let n = ((side_mm / spacing[a]).ceil() as usize).clamp(1, size[a]);
        let start = (centre[a] - n as f64 / 2.0 + 0.5).round().max(0.0) as usize;
        let start = start.min(size[a] - n);
        start..start + n
    })
}
