//! One contour drawn on its slice: line, inside, outside.

use super::rasterise::Error;
use crate::formats::lidc_xml::Contour;

/// Where a pixel lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Inside,
    Line,
    Outside,
}

/// A drawn contour: its box with a border of one pixel.
pub(super) struct Outline {
    /// Whether the line surrounds nodule.
    pub(super) inclusion: bool,
    /// Pixel of the box's first cell that is not border.
    start: [usize; 2],
    /// Cells along i and j, with the border.
    size: [usize; 2],
    cells: Vec<Cell>,
}

impl Outline {
    /// Draws a contour on a slice of `size` pixels along i and j, and floods around it.
    pub(super) fn draw(contour: &Contour, size: [usize; 2]) -> Result<Self, Error> {
        let z_mm = contour.z_mm;
        let pixel = |point: &[i64; 2]| {
            let inside = |a: usize| usize::try_from(point[a]).ok().filter(|v| *v < size[a]);
            inside(0).zip(inside(1)).ok_or(Error::Outside { point: *point, z_mm, size })
        };
        let pixels = contour.points.iter().map(pixel).collect::<Result<Vec<_>, _>>()?;
        let (Some(first), Some(last)) = (pixels.first(), pixels.last()) else {
            return Err(Error::NoContours);
        };
        let fold = |start: usize, pick: fn(usize, usize) -> usize| {
            pixels.iter().fold((start, start), |(i, j), p| (pick(i, p.0), pick(j, p.1)))
        };
        let (low, high) = (fold(usize::MAX, usize::min), fold(0, usize::max));
        let box_size = [high.0 - low.0 + 3, high.1 - low.1 + 3];
        let mut outline = Self {
            inclusion: contour.inclusion,
            start: [low.0, low.1],
            size: box_size,
            cells: vec![Cell::Inside; box_size[0] * box_size[1]],
        };
        // METHOD: points that are not neighbours are joined by a straight line, and a contour whose
        // ends do not meet is closed by one (of 41,500 contours, 409 have such steps, 76 are open).
        let steps = pixels.iter().zip(&pixels[1..]).chain([(last, first)]);
        for (from, to) in steps {
            for (i, j) in line(*from, *to) {
                outline.cells[(j - low.1 + 1) * box_size[0] + (i - low.0 + 1)] = Cell::Line;
            }
        }
        outline.flood();
        Ok(outline)
    }

    /// First pixel and first pixel past the contour along an axis.
    pub(super) fn bounds(&self, axis: usize) -> (usize, usize) {
        (self.start[axis], self.start[axis] + self.size[axis] - 2)
    }

    /// Pixels whose cell is wanted, which must not be `Outside`.
    pub(super) fn pixels(&self, wanted: impl Fn(Cell) -> bool) -> impl Iterator<Item = [usize; 2]> {
        let ([si, sj], width) = (self.start, self.size[0]);
        let cells = self.cells.iter().enumerate();
        cells
            .filter(move |(_, cell)| wanted(**cell))
            .map(move |(n, _)| [si + n % width - 1, sj + n / width - 1])
    }

    /// Floods from the border, which is outside.
    fn flood(&mut self) {
        let [width, height] = self.size;
        let mut reached = vec![0];
        if let Some(corner) = self.cells.first_mut() {
            *corner = Cell::Outside;
        }
        while let Some(n) = reached.pop() {
            let (i, j) = (n % width, n / width);
            let neighbours = [
                (i > 0).then(|| n - 1),
                (i + 1 < width).then_some(n + 1),
                (j > 0).then(|| n - width),
                (j + 1 < height).then_some(n + width),
            ];
            for next in neighbours.into_iter().flatten() {
                if self.cells[next] == Cell::Inside {
                    self.cells[next] = Cell::Outside;
                    reached.push(next);
                }
            }
        }
    }
}

/// Pixels from one to another, both included: one for each step along the longer axis, rounded to
/// the nearest along the other.
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
