//! A slice with the outlines of its masks.

use super::text::escape;
use crate::drawing::png::{encode_grey, grey};
use crate::volume::Mask;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::fmt::Write as _;

/// An axial slice with a reference and a prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// Pixels along i and j.
    pub size: [usize; 2],
    /// Distance between pixel centres along i and j.
    pub spacing_mm: [f64; 2],
    /// Hounsfield units, row by row.
    pub hu: Vec<i16>,
    /// Values shown as black and as white.
    pub window_hu: [f64; 2],
    /// Mask of the readers.
    pub reference: Mask,
    /// Mask of the model.
    pub prediction: Mask,
}

/// Side of a panel, in the figure's own units.
const PANEL: f64 = 300.0;
/// Space between the panels.
const GAP: f64 = 12.0;
/// The enlarged field is this many times as wide as what is outlined in it.
const FIELD: f64 = 2.0;
/// The enlarged field is never smaller.
const LEAST_FIELD_MM: f64 = 18.0;

/// Draws the whole slice, and beside it the outlined part enlarged; `id` is unique in the page.
///
/// A slice that has no picture (no pixels, or as many as its size does not say) becomes a sentence.
pub(super) fn figure(slice: &Slice, id: &str, description: &str) -> String {
    let png = match png(slice) {
        Ok(png) => STANDARD.encode(png),
        Err(error) => {
            return format!("<p>The slice cannot be shown: {}.</p>", escape(&error.to_string()));
        }
    };
    let size_mm = [0, 1].map(|a| slice.size[a] as f64 * slice.spacing_mm[a]);
    let whole = [0.0, 0.0, size_mm[0], size_mm[1]];
    let [x, y, side] = field(slice);
    let bar_mm = if side > 60.0 { 20.0 } else { 5.0 };
    let bar = bar_mm / side * PANEL;
    let (left, right) = (PANEL + GAP + 10.0, PANEL + GAP + 10.0 + bar);
    let mut svg = format!(
        "<svg class=\"slice\" role=\"img\" aria-label=\"{label}\" viewBox=\"0 0 {width} {PANEL}\" \
         width=\"{width}\" height=\"{PANEL}\">\n",
        label = escape(description),
        width = 2.0 * PANEL + GAP,
    );
    panel(&mut svg, 0.0, whole, |svg| {
        let _ = write!(
            svg,
            "<image id=\"{id}\" style=\"image-rendering:pixelated\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" \
             href=\"data:image/png;base64,{png}\"/>\
             <rect class=\"field\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{side:.2}\" height=\"{side:.2}\"/>",
            size_mm[0], size_mm[1],
        );
    });
    panel(&mut svg, PANEL + GAP, [x, y, side, side], |svg| {
        let _ = write!(
            svg,
            "<use href=\"#{id}\"/><path class=\"reference\" d=\"{}\"/>\
             <path class=\"prediction\" d=\"{}\"/>",
            outline(&slice.reference, slice.spacing_mm),
            outline(&slice.prediction, slice.spacing_mm),
        );
    });
    let _ = write!(
        svg,
        "<path class=\"bar\" d=\"M{left:.1} {y}H{right:.1}\"/>\
         <text class=\"bar\" x=\"{left:.1}\" y=\"{above}\">{bar_mm} mm</text></svg>",
        y = PANEL - 12.0,
        above = PANEL - 19.0,
    );
    svg
}

/// A square window on millimetres of the slice: `[x, y, width, height]`.
fn panel(svg: &mut String, at: f64, view: [f64; 4], draw: impl FnOnce(&mut String)) {
    let [x, y, width, height] = view;
    let _ = write!(
        svg,
        "<svg x=\"{at}\" y=\"0\" width=\"{PANEL}\" height=\"{PANEL}\" \
         viewBox=\"{x:.2} {y:.2} {width:.2} {height:.2}\">",
    );
    draw(svg);
    svg.push_str("</svg>\n");
}

/// The square to enlarge, in millimetres: x, y and side; the slice's middle where nothing is outlined.
fn field(slice: &Slice) -> [f64; 3] {
    let [dx, dy] = slice.spacing_mm;
    let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for [i, j, _] in slice.reference.voxels().chain(slice.prediction.voxels()) {
        for (a, first) in [i as f64 * dx, j as f64 * dy].into_iter().enumerate() {
            low[a] = low[a].min(first);
            high[a] = high[a].max(first + slice.spacing_mm[a]);
        }
    }
    if low[0] > high[0] {
        let whole = [0, 1].map(|a| slice.size[a] as f64 * slice.spacing_mm[a]);
        (low, high) = ([whole[0] / 2.0, whole[1] / 2.0], [whole[0] / 2.0, whole[1] / 2.0]);
    }
    let extent = (high[0] - low[0]).max(high[1] - low[1]);
    let side = (FIELD * extent).max(LEAST_FIELD_MM);
    let start = |a: usize| f64::midpoint(low[a], high[a]) - side / 2.0;
    [start(0), start(1), side]
}

/// The slice in 256 greys.
fn png(slice: &Slice) -> Result<Vec<u8>, png::EncodingError> {
    let pixels: Vec<u8> = slice.hu.iter().map(|hu| grey(*hu, slice.window_hu)).collect();
    encode_grey(slice.size, &pixels)
}

/// The line around a mask of one slice, along the pixels' edges, as an SVG path in millimetres.
fn outline(mask: &Mask, spacing_mm: [f64; 2]) -> String {
    let [ni, nj, _] = mask.size();
    let mut path = String::new();
    // An edge runs where a pixel and the one before it differ; runs of edges become one line.
    for j in 0..=nj {
        let edge = |i: usize| mask.get(i, j, 0) != mask.get(i, j.wrapping_sub(1), 0);
        for (start, end) in runs(ni, edge) {
            let (x, length) = (start as f64 * spacing_mm[0], (end - start) as f64 * spacing_mm[0]);
            let _ = write!(path, "M{x:.2} {:.2}h{length:.2}", j as f64 * spacing_mm[1]);
        }
    }
    for i in 0..=ni {
        let edge = |j: usize| mask.get(i, j, 0) != mask.get(i.wrapping_sub(1), j, 0);
        for (start, end) in runs(nj, edge) {
            let (y, length) = (start as f64 * spacing_mm[1], (end - start) as f64 * spacing_mm[1]);
            let _ = write!(path, "M{:.2} {y:.2}v{length:.2}", i as f64 * spacing_mm[0]);
        }
    }
    path
}

/// Runs of consecutive numbers below `n` for which `holds`: first, and first past the end.
fn runs(n: usize, holds: impl Fn(usize) -> bool) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for at in (0..n).filter(|at| holds(*at)) {
        match runs.last_mut() {
            Some((_, end)) if *end == at => *end += 1,
            _ => runs.push((at, at + 1)),
        }
    }
    runs
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A bright disc on a dark gradient, with a prediction one pixel to the right.
    pub(in super::super) fn disc() -> Slice {
        let disc = |ci: f64| {
            Mask::from_fn([64, 48, 1], |i, j, _| {
                (i as f64 - ci).powi(2) + (j as f64 - 24.0).powi(2) < 49.0
            })
        };
        let reference = disc(30.0);
        let hu = (0..48 * 64)
            .map(|n| if reference.get(n % 64, n / 64, 0) { 40 } else { -900 + (n % 64) as i16 })
            .collect();
        Slice {
            size: [64, 48],
            spacing_mm: [0.7, 0.7],
            hu,
            window_hu: [-1000.0, 400.0],
            reference,
            prediction: disc(31.0),
        }
    }

    #[test]
    fn an_outline_runs_along_the_edges() {
        let mask = Mask::from_fn([4, 4, 1], |i, j, _| (1..3).contains(&i) && j == 3);
        assert_eq!(
            outline(&mask, [0.5, 2.0]),
            "M0.50 6.00h1.00M0.50 8.00h1.00M0.50 6.00v2.00M1.50 6.00v2.00"
        );
        assert_eq!(outline(&Mask::empty([4, 4, 1]), [1.0; 2]), "");
    }

    #[test]
    fn the_field_surrounds_both_masks() {
        let [x, y, side] = field(&disc());
        // Pixels 24 to 37 and 18 to 30: 14 × 0.7 mm wide, twice that to see.
        assert!((side - 19.6).abs() < 1e-9, "{side}");
        assert!((x - (31.0 * 0.7 - 9.8)).abs() < 1e-9, "{x}");
        assert!((y - (24.5 * 0.7 - 9.8)).abs() < 1e-9, "{y}");
    }

    #[test]
    fn a_slice_without_a_picture_says_so() {
        let mut slice = disc();
        slice.hu.pop();
        assert!(figure(&slice, "a", "").contains("cannot be shown"));
        slice.size = [0, 0];
        slice.hu.clear();
        assert!(figure(&slice, "a", "").contains("cannot be shown"));
    }
}
