//! The line around the pixels of a mask.

use std::fmt::Write as _;

/// The line along the edges of the pixels that are set, row by row, as an SVG path in millimetres.
pub(crate) fn outline([width, height]: [usize; 2], pixel_mm: [f64; 2], pixels: &[bool]) -> String {
    let holds = |i: usize, j: usize| {
        i < width && j < height && pixels.get(j * width + i).is_some_and(|is_set| *is_set)
    };
    let mut path = String::new();
    // An edge runs where a pixel and the one before it differ; runs of edges become one line.
    for j in 0..=height {
        let is_edge = |i: usize| holds(i, j) != holds(i, j.wrapping_sub(1));
        for (start, end) in runs(width, is_edge) {
            let (x, length) = (start as f64 * pixel_mm[0], (end - start) as f64 * pixel_mm[0]);
            let _ = write!(path, "M{x:.2} {:.2}h{length:.2}", j as f64 * pixel_mm[1]);
        }
    }
    for i in 0..=width {
        let is_edge = |j: usize| holds(i, j) != holds(i.wrapping_sub(1), j);
        for (start, end) in runs(height, is_edge) {
            let (y, length) = (start as f64 * pixel_mm[1], (end - start) as f64 * pixel_mm[1]);
            let _ = write!(path, "M{:.2} {y:.2}v{length:.2}", i as f64 * pixel_mm[0]);
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

    #[test]
    fn an_outline_runs_along_the_edges() {
        let pixels: Vec<bool> = (0..16).map(|n| n == 13 || n == 14).collect();
        assert_eq!(
            outline([4, 4], [0.5, 2.0], &pixels),
            "M0.50 6.00h1.00M0.50 8.00h1.00M0.50 6.00v2.00M1.50 6.00v2.00"
        );
        assert_eq!(outline([4, 4], [1.0; 2], &[]), "");
    }
}
