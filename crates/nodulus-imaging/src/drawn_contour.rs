//! A contour drawn on its slice: line, inside and outside.

use super::irregularity::Irregularity;
use nodulus_formats::lidc_xml::Contour;

/// Upper bound of the pixels of a CT slice along i and j.
///
/// METHOD: without the image its size is unknown. CT matrices have 512 to 2048 pixels, and the
/// limit keeps a wrong coordinate from exhausting memory.
const LARGEST_MATRIX: usize = 4096;

/// Class of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PixelClass {
    Inside,
    Line,
    Outside,
}

/// A drawn contour: its box with a border of one pixel.
pub(super) struct DrawnContour {
    /// Whether the contour encloses nodule.
    pub(super) inclusion: bool,
    /// Irregularities of the contour.
    pub(super) irregularities: Vec<Irregularity>,
    /// Pixel of the box's first cell inside the border.
    start: [usize; 2],
    /// Cells along i and j, with the border.
    size: [usize; 2],
    cells: Vec<PixelClass>,
}

impl DrawnContour {
    /// Draws a contour on a slice and floods around it; `None` where it has no points, or a point
    /// outside the image. `size` is the number of pixels along i and j, where known.
    pub(super) fn draw(contour: &Contour, size: Option<[usize; 2]>) -> Option<Self> {
        let pixels: Vec<_> =
            contour.points.iter().map(|point| pixel(*point, size)).collect::<Option<_>>()?;
        let (first, last) = (pixels.first()?, pixels.last()?);
        let fold = |start: usize, pick: fn(usize, usize) -> usize| {
            pixels.iter().fold((start, start), |(i, j), p| (pick(i, p.0), pick(j, p.1)))
        };
        let (low, high) = (fold(usize::MAX, usize::min), fold(0, usize::max));
        let box_size = [high.0 - low.0 + 3, high.1 - low.1 + 3];
        let mut drawn = Self {
            inclusion: contour.inclusion,
            irregularities: irregularities(&pixels),
            start: [low.0, low.1],
            size: box_size,
            cells: vec![PixelClass::Inside; box_size[0] * box_size[1]],
        };
        // METHOD: points that are not neighbours are joined by a straight line, and a contour whose
        // ends do not meet is closed by one.
        let steps = pixels.iter().zip(&pixels[1..]).chain([(last, first)]);
        for (from, to) in steps {
            for (i, j) in line(*from, *to) {
                drawn.cells[(j - low.1 + 1) * box_size[0] + (i - low.0 + 1)] = PixelClass::Line;
            }
        }
        // The border is outside.
        flood(&mut drawn.cells, box_size, 0);
        if !drawn.cells.contains(&PixelClass::Inside) && contour.inclusion {
            drawn.irregularities.push(Irregularity::NoInterior);
        }
        Some(drawn)
    }

    /// First pixel of the contour along an axis, and the first one past it.
    pub(super) fn bounds(&self, axis: usize) -> (usize, usize) {
        (self.start[axis], self.start[axis] + self.size[axis] - 2)
    }

    /// Pixels whose class is wanted; `Outside` must not be wanted.
    pub(super) fn pixels(
        &self,
        wanted: impl Fn(PixelClass) -> bool,
    ) -> impl Iterator<Item = [usize; 2]> {
        let ([si, sj], width) = (self.start, self.size[0]);
        let cells = self.cells.iter().enumerate();
        cells
            .filter(move |(_, cell)| wanted(**cell))
            .map(move |(n, _)| [si + n % width - 1, sj + n / width - 1])
    }
}

/// Floods a picture of `size` cells along i and j from a cell, which becomes outside with all that is inside and connects to
/// it over sides; a cell that is not inside floods nothing.
pub(super) fn flood(cells: &mut [PixelClass], [width, height]: [usize; 2], start: usize) {
    match cells.get_mut(start) {
        Some(class @ PixelClass::Inside) => *class = PixelClass::Outside,
        _ => return,
    }
    let mut reached = vec![start];
    while let Some(n) = reached.pop() {
        let (i, j) = (n % width, n / width);
        let neighbours = [
            (i > 0).then(|| n - 1),
            (i + 1 < width).then_some(n + 1),
            (j > 0).then(|| n - width),
            (j + 1 < height).then_some(n + width),
        ];
        for next in neighbours.into_iter().flatten() {
            if cells[next] == PixelClass::Inside {
                cells[next] = PixelClass::Outside;
                reached.push(next);
            }
        }
    }
}

/// A point as a pixel of the slice; `None` outside.
pub(super) fn pixel([i, j]: [i64; 2], size: Option<[usize; 2]>) -> Option<(usize, usize)> {
    let [ni, nj] = size.unwrap_or([LARGEST_MATRIX; 2]);
    let (i, j) = (usize::try_from(i).ok()?, usize::try_from(j).ok()?);
    (i < ni && j < nj).then_some((i, j))
}

fn irregularities(pixels: &[(usize, usize)]) -> Vec<Irregularity> {
    let apart = |a: &(usize, usize), b: &(usize, usize)| a.0.abs_diff(b.0).max(a.1.abs_diff(b.1));
    let mut found = Vec::new();
    if pixels.len() <= 2 {
        found.push(Irregularity::PointContour);
    }
    if pixels.first().zip(pixels.last()).is_some_and(|(first, last)| apart(first, last) > 1) {
        found.push(Irregularity::OpenContour);
    }
    if pixels.windows(2).any(|pair| apart(&pair[0], &pair[1]) > 1) {
        found.push(Irregularity::ContourGap);
    }
    found
}

/// Pixels of a line, with both ends: one for each step along the longer axis, rounded to the
/// nearest along the other.
pub(super) fn line(
    from: (usize, usize),
    to: (usize, usize),
) -> impl Iterator<Item = (usize, usize)> {
    let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
    // from + (to - from)·t/steps, rounded half up, without leaving the unsigned integers.
    let along = move |from: usize, to: usize, t: usize| {
        (2 * (from * (steps - t) + to * t) + steps) / (2 * steps)
    };
    (0..=steps).map(move |t| (along(from.0, to.0, t), along(from.1, to.1, t)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_line_steps_by_one_pixel_and_stays_within_half_of_straight(
            a in (0usize..40, 0usize..40), b in (0usize..40, 0usize..40),
        ) {
            let pixels: Vec<_> = line(a, b).collect();
            prop_assert_eq!((pixels[0], pixels[pixels.len() - 1]), (a, b));
            for step in pixels.windows(2) {
                prop_assert!(step[0].0.abs_diff(step[1].0) <= 1);
                prop_assert!(step[0].1.abs_diff(step[1].1) <= 1);
            }
            let (di, dj) = (b.0 as f64 - a.0 as f64, b.1 as f64 - a.1 as f64);
            let longest = di.abs().max(dj.abs());
            for (i, j) in pixels {
                let off = (i as f64 - a.0 as f64) * dj - (j as f64 - a.1 as f64) * di;
                prop_assert!(off.abs() <= longest * 0.5 + 1e-9);
            }
        }
    }
}
