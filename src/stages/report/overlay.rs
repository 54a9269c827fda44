//! A slice with the outlines of its masks.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nodulus_formats::volume::Mask;
use nodulus_imaging::drawing::png::{encode_grey, grey};
use std::fmt::Write as _;

/// An axial slice with its reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
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
}

/// Side of a panel, in the figure's own units.
const PANEL: f64 = 300.0;
/// The enlarged field is this many times as wide as what is outlined in it.
const FIELD: f64 = 2.0;
/// The enlarged field is never smaller.
const LEAST_FIELD_MM: f64 = 18.0;

/// A slice as SVG: whole, and its outlined part enlarged for each prediction.
pub(super) struct Panels {
    /// The whole slice, with the field that is enlarged.
    pub(super) whole: String,
    /// The field with both outlines, in the order of the predictions; all show the same millimetres.
    pub(super) enlarged: Vec<String>,
}

/// Draws a slice with predictions; `id` is unique in the page, descriptions are escaped.
///
/// # Errors
///
/// Fails if the slice has no picture: no pixels, or as many as its size does not say.
pub(super) fn panels(
    picture: &Picture,
    predictions: &[(&Mask, String)],
    id: &str,
    description: &str,
) -> Result<Panels, png::EncodingError> {
    let png = STANDARD.encode(png(picture)?);
    let size_mm = [0, 1].map(|a| picture.size[a] as f64 * picture.spacing_mm[a]);
    let [x, y, side] = field(picture, predictions);
    // A slice that is not square keeps its shape, in the middle of a square.
    let edge = size_mm[0].max(size_mm[1]);
    let start = size_mm.map(|length| (length - edge) / 2.0);
    let image = format!(
        "<image id=\"{id}\" style=\"image-rendering:pixelated\" width=\"{:.2}\" height=\"{:.2}\" \
         preserveAspectRatio=\"none\" href=\"data:image/png;base64,{png}\"/>\
         <rect class=\"field\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{side:.2}\" height=\"{side:.2}\"/>",
        size_mm[0], size_mm[1],
    );
    let whole = panel([start[0], start[1], edge], &image, "", description);
    let bar = bar(side);
    let enlarged = predictions.iter().map(|(mask, description)| {
        let drawing = format!(
            "<use href=\"#{id}\"/><path class=\"reference\" d=\"{}\"/>\
             <path class=\"prediction\" d=\"{}\"/>",
            outline(&picture.reference, picture.spacing_mm),
            outline(mask, picture.spacing_mm),
        );
        panel([x, y, side], &drawing, &bar, description)
    });
    Ok(Panels { enlarged: enlarged.collect(), whole })
}

/// A scale bar of a round length, for a field of some millimetres.
fn bar(side_mm: f64) -> String {
    let bar_mm = if side_mm > 60.0 { 20.0 } else { 5.0 };
    format!(
        "<path class=\"under\" d=\"M9 {y}h{under:.1}\"/><path class=\"bar\" d=\"M10 {y}h{length:.1}\"/><text x=\"10\" y=\"{above}\">{bar_mm} mm</text>",
        y = PANEL - 12.0,
        length = bar_mm / side_mm * PANEL,
        under = bar_mm / side_mm * PANEL + 2.0,
        above = PANEL - 19.0,
    )
}

/// A square window on millimetres of the slice, from x and y on; `over` is in the panel's own units.
fn panel([x, y, side]: [f64; 3], drawing: &str, over: &str, description: &str) -> String {
    format!(
        "<svg class=\"slice\" role=\"img\" aria-label=\"{description}\" \
         viewBox=\"0 0 {PANEL} {PANEL}\" width=\"{PANEL}\" height=\"{PANEL}\">\
         <svg width=\"{PANEL}\" height=\"{PANEL}\" viewBox=\"{x:.2} {y:.2} {side:.2} {side:.2}\">\
         {drawing}</svg>{over}</svg>"
    )
}

/// The square to enlarge, in millimetres: x, y and side; the slice's middle where nothing is outlined.
fn field(picture: &Picture, predictions: &[(&Mask, String)]) -> [f64; 3] {
    let spacing_mm = picture.spacing_mm;
    let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    let masks = predictions.iter().map(|(mask, _)| *mask).chain([&picture.reference]);
    for [i, j, _] in masks.flat_map(Mask::voxels) {
        for (a, at) in [i, j].into_iter().enumerate() {
            low[a] = low[a].min(at as f64 * spacing_mm[a]);
            high[a] = high[a].max((at + 1) as f64 * spacing_mm[a]);
        }
    }
    if low[0] > high[0] {
        let middle = [0, 1].map(|a| picture.size[a] as f64 * spacing_mm[a] / 2.0);
        (low, high) = (middle, middle);
    }
    let extent = (high[0] - low[0]).max(high[1] - low[1]);
    let side = (FIELD * extent).max(LEAST_FIELD_MM);
    let start = |a: usize| f64::midpoint(low[a], high[a]) - side / 2.0;
    [start(0), start(1), side]
}

/// The slice in 256 greys.
fn png(picture: &Picture) -> Result<Vec<u8>, png::EncodingError> {
    let pixels: Vec<u8> = picture.hu.iter().map(|hu| grey(*hu, picture.window_hu)).collect();
    encode_grey(picture.size, &pixels)
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
mod tests {
    use super::*;

    /// A bright disc on a dark gradient, and a prediction one pixel to the right.
    fn disc() -> (Picture, Mask) {
        let disc = |ci: f64| {
            Mask::from_fn([64, 48, 1], |i, j, _| {
                (i as f64 - ci).powi(2) + (j as f64 - 24.0).powi(2) < 49.0
            })
        };
        let reference = disc(30.0);
        let hu = (0..48 * 64)
            .map(|n| if reference.get(n % 64, n / 64, 0) { 40 } else { -900 + (n % 64) as i16 })
            .collect();
        let (size, window_hu) = ([64, 48], [-1000.0, 400.0]);
        (Picture { size, spacing_mm: [0.7, 0.7], hu, window_hu, reference }, disc(31.0))
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
    fn the_field_surrounds_every_mask() {
        let (picture, prediction) = disc();
        let [x, y, side] = field(&picture, &[(&prediction, String::new())]);
        // Pixels 24 to 37 and 18 to 30: 14 × 0.7 mm wide, twice that to see.
        assert!((side - 19.6).abs() < 1e-9, "{side}");
        assert!((x - (31.0 * 0.7 - 9.8)).abs() < 1e-9, "{x}");
        assert!((y - (24.5 * 0.7 - 9.8)).abs() < 1e-9, "{y}");
    }

    #[test]
    fn each_prediction_has_a_panel_of_the_same_field() {
        let (picture, prediction) = disc();
        let nothing = Mask::empty([64, 48, 1]);
        let predictions = [(&prediction, "a".to_owned()), (&nothing, "b".to_owned())];
        let Panels { whole, enlarged } = panels(&picture, &predictions, "slice-0", "w").unwrap();
        assert!(whole.contains("<image id=\"slice-0\"") && whole.contains("aria-label=\"w\""));
        assert_eq!(enlarged.len(), 2);
        for (panel, label) in enlarged.iter().zip(["a", "b"]) {
            assert!(panel.contains("<use href=\"#slice-0\"/>"), "{panel}");
            assert!(panel.contains("viewBox=\"11.90 7.35 19.60 19.60\""), "{panel}");
            assert!(panel.contains(&format!("aria-label=\"{label}\"")), "{panel}");
        }
        assert!(enlarged[1].contains("<path class=\"prediction\" d=\"\"/>"));
    }

    #[test]
    fn a_slice_without_a_picture_says_so() {
        let (mut picture, _) = disc();
        picture.hu.pop();
        assert!(panels(&picture, &[], "a", "").is_err());
        picture.size = [0, 0];
        picture.hu.clear();
        assert!(panels(&picture, &[], "a", "").is_err());
    }
}
