//! The part of a slice that a picture shows, and the shapes on it.

use super::shapes::{Dashes, Grey, Picture, Shape, TEXT};
use super::{DrawnMark, RegionSlice, ShownNodule};
use crate::tables::MarkKind;
use nodulus_imaging::drawing::canvas::Colour;
use nodulus_imaging::drawing::png::grey;
use std::collections::BTreeSet;

/// Longer side of the part that is shown, in pixels of the picture.
const SIDE: f64 = 640.0;
/// What is shown about the outlines.
const MARGIN_MM: f64 = 6.0;
/// Pixels between the edges, the slice and the legend.
const PAD: usize = 12;
/// Pixels of a line of the legend.
const LINE: usize = 14;
/// Width of the legend.
const LEGEND: usize = 300;
/// Distance of the lines of a blank grid, in pixels of the scan.
const GRID: i64 = 10;

/// Colours of the reading sessions: Okabe and Ito's, which the colour-blind can tell apart.
const COLOURS: [Colour; 8] = [
    [0, 114, 178],
    [213, 94, 0],
    [0, 158, 115],
    [204, 121, 167],
    [230, 159, 0],
    [86, 180, 233],
    [120, 120, 120],
    [150, 120, 0],
];
const BLACK: Colour = [0; 3];
const PALE: Colour = [225; 3];

/// The line of the nodule that is shown.
const SOLID: Dashes = &[];
/// The lines of the other nodules, by turns: long dashes, dashes and dots, and short dashes.
const OTHERS: [Dashes; 3] = [&[16.0, 6.0], &[16.0, 5.0, 2.0, 5.0], &[6.0, 6.0]];
/// The line of marks in no nodule: dots.
const DOTS: Dashes = &[2.0, 6.0];

/// A slice with its marks.
pub(super) struct View<'a> {
    pub(super) series: &'a str,
    pub(super) z_mm: f64,
    /// Spacing along i and j.
    pub(super) spacing_mm: [f64; 2],
    /// The nodule that is shown, then others that have a mark on the slice.
    pub(super) nodules: Vec<&'a ShownNodule>,
    /// Marks with a line or point on the slice.
    pub(super) marks: Vec<&'a DrawnMark>,
    /// The slice's pixels.
    pub(super) region: Option<&'a RegionSlice>,
    /// Hounsfield units of black and white.
    pub(super) window_hu: Option<[f64; 2]>,
    /// Most distance of a line from the slice.
    pub(super) reach_mm: f64,
}

/// The part of the slice: its first pixel (i, j), and pixels of the picture for each of the scan along both axes.
struct Part {
    low: [f64; 2],
    high: [f64; 2],
    scale: [f64; 2],
}

impl Part {
    fn at(&self, [i, j]: [f64; 2]) -> [f64; 2] {
        [
            (i - self.low[0]) * self.scale[0] + PAD as f64,
            (j - self.low[1]) * self.scale[1] + TOP as f64,
        ]
    }

    fn holds(&self, point: [f64; 2]) -> bool {
        (0..2).all(|a| point[a] >= self.low[a] && point[a] <= self.high[a])
    }

    fn size(&self) -> [usize; 2] {
        std::array::from_fn(|a| ((self.high[a] - self.low[a]) * self.scale[a]).round() as usize)
    }
}

/// Rows above the slice, for two lines of text.
const TOP: usize = PAD + 2 * LINE;

impl View<'_> {
    /// The picture; `None` where the nodule has no line on the slice.
    pub(super) fn picture(&self) -> Option<Picture> {
        let part = self.part()?;
        Some(self.within(&part).picture_of(&part))
    }

    /// The view without the marks that the part leaves out, and without the other nodules that then have none: a legend that
    /// named them would speak of this nodule.
    fn within(&self, part: &Part) -> View<'_> {
        let is_drawn = |mark: &&&DrawnMark| !self.mark(part, mark).is_empty();
        let marks: Vec<&DrawnMark> = self.marks.iter().filter(is_drawn).copied().collect();
        let is_there = |(n, nodule): &(usize, &&ShownNodule)| {
            *n == 0 || marks.iter().any(|mark| nodule.mark_ids.contains(&mark.mark_id))
        };
        let nodules = self.nodules.iter().enumerate().filter(is_there).map(|(_, nodule)| *nodule);
        View { nodules: nodules.collect(), marks, ..*self }
    }

    fn picture_of(&self, part: &Part) -> Picture {
        let [width, height] = part.size();
        let legend = TOP + LINE * (self.marks.len() + self.nodules.len() + 6);
        let size = [PAD + width + PAD + LEGEND, (TOP + height + PAD).max(legend)];
        let slice = self.slice(part);
        let mut shapes = Vec::new();
        if slice.is_none() {
            shapes.extend(grid(part));
        }
        for mark in &self.marks {
            shapes.extend(self.mark(part, mark));
        }
        shapes.extend(self.head());
        shapes.extend(self.legend([PAD + width + PAD, TOP]));
        shapes.extend(self.bar(part));
        Picture { size, slice, shapes }
    }

    fn on_slice<'m>(&self, mark: &'m DrawnMark) -> impl Iterator<Item = &'m Vec<[i64; 2]>> {
        let (z, reach) = (self.z_mm, self.reach_mm);
        let near =
            move |contour: &&crate::tables::marks::MarkContour| (contour.z_mm - z).abs() < reach;
        mark.contours.iter().filter(near).map(|contour| &contour.points)
    }

    /// The part about the nodule's lines, and about all lines that come into it: those of lesions that a reader joined.
    fn part(&self) -> Option<Part> {
        let own = self.nodules.first()?;
        let members = self.marks.iter().filter(|mark| own.mark_ids.contains(&mark.mark_id));
        let of_nodule = self.around(members.flat_map(|mark| self.on_slice(mark)))?;
        let enters = |line: &&Vec<[i64; 2]>| {
            line.iter().any(|point| of_nodule.holds(point.map(|v| v as f64)))
        };
        self.around(self.marks.iter().flat_map(|mark| self.on_slice(mark)).filter(enters))
    }

    /// The part about lines; `None` without lines.
    fn around<'m>(&self, lines: impl Iterator<Item = &'m Vec<[i64; 2]>>) -> Option<Part> {
        let points: Vec<[f64; 2]> = lines.flatten().map(|point| point.map(|v| v as f64)).collect();
        let first = *points.first()?;
        let margin = self.spacing_mm.map(|mm| MARGIN_MM / mm);
        let ends = |pick: fn(f64, f64) -> f64| {
            points.iter().fold(first, |end, point| std::array::from_fn(|a| pick(end[a], point[a])))
        };
        let (low, high) = (ends(f64::min), ends(f64::max));
        let low: [f64; 2] = std::array::from_fn(|a| (low[a] - margin[a]).floor());
        let high: [f64; 2] = std::array::from_fn(|a| (high[a] + margin[a]).ceil());
        let longest = (0..2).map(|a| (high[a] - low[a]) * self.spacing_mm[a]).fold(0.0, f64::max);
        Some(Part { low, high, scale: self.spacing_mm.map(|mm| mm * SIDE / longest) })
    }

    /// The slice's pixels in the part; those outside the region are white.
    fn slice(&self, part: &Part) -> Option<Grey> {
        let region = self.region?;
        let window = self.window_hu.unwrap_or(region.window_hu);
        let [width, height] = part.size();
        let value = |n: usize| {
            let picture = [(n % width) as f64 + 0.5, (n / width) as f64 + 0.5];
            let pixel = std::array::from_fn(|a| part.low[a] + picture[a] / part.scale[a]);
            region.hu_at(pixel).map_or(255, |hu| grey(hu, window))
        };
        let values = (0..width * height).map(value).collect();
        Some(Grey { at: [PAD, TOP], size: [width, height], values })
    }

    fn colour(mark: &DrawnMark) -> Colour {
        COLOURS[usize::try_from(mark.reading_session).unwrap_or_default() % COLOURS.len()]
    }

    /// The line of the nth nodule.
    fn style(n: usize) -> Dashes {
        n.checked_sub(1).map_or(SOLID, |n| OTHERS[n % OTHERS.len()])
    }

    fn dashes(&self, mark: &DrawnMark) -> Dashes {
        let own = self.nodules.iter().position(|nodule| nodule.mark_ids.contains(&mark.mark_id));
        own.map_or(DOTS, Self::style)
    }

    fn mark(&self, part: &Part, mark: &DrawnMark) -> Vec<Shape> {
        let (colour, dashes) = (Self::colour(mark), self.dashes(mark));
        let mut shapes = Vec::new();
        for points in self.on_slice(mark) {
            let points: Vec<[f64; 2]> =
                points.iter().map(|point| point.map(|v| v as f64)).collect();
            if !points.iter().any(|point| part.holds(*point)) {
                continue;
            }
            if let [point] = points[..] {
                let [x, y] = part.at(point);
                if mark.kind == MarkKind::NonNodule.name() {
                    for [dx, dy] in [[6.0, 6.0], [6.0, -6.0]] {
                        let points = vec![[x - dx, y - dy], [x + dx, y + dy]];
                        shapes.push(Shape::Line { points, colour, dashes: SOLID });
                    }
                } else {
                    shapes.push(Shape::Ring { centre: [x, y], radius: 6.0, colour });
                }
                continue;
            }
            // Steps out of the part are left out.
            let closed: Vec<[f64; 2]> = points.iter().chain(points.first()).copied().collect();
            for run in closed.chunk_by(|a, b| part.holds(*a) && part.holds(*b)) {
                if run.len() > 1 {
                    let points = run.iter().map(|point| part.at(*point)).collect();
                    shapes.push(Shape::Line { points, colour, dashes });
                }
            }
        }
        shapes
    }

    fn head(&self) -> [Shape; 2] {
        let own = self.nodules.first().map_or("", |nodule| nodule.nodule_id.as_str());
        let lines =
            [self.series.to_owned(), format!("slice at z = {:.3} mm, nodule {own}", self.z_mm)];
        let mut y = PAD as f64;
        lines.map(|text| {
            let at = [PAD as f64, y];
            y += LINE as f64;
            Shape::Text { at, text, colour: BLACK }
        })
    }

    fn legend(&self, [x, y]: [usize; 2]) -> Vec<Shape> {
        let mut shapes = Vec::new();
        let mut y = y as f64;
        let x = x as f64;
        let mut line = |sample: Option<(Colour, Dashes)>, text: String| {
            if let Some((colour, dashes)) = sample {
                let middle = y + TEXT as f64 / 2.0;
                let points = vec![[x, middle], [x + 40.0, middle]];
                shapes.push(Shape::Line { points, colour, dashes });
            }
            shapes.push(Shape::Text { at: [x + 48.0, y], text, colour: BLACK });
            y += LINE as f64;
        };
        let readers: BTreeSet<i64> = self.marks.iter().map(|mark| mark.reading_session).collect();
        for session in readers {
            let own = || self.marks.iter().filter(|mark| mark.reading_session == session);
            let name = own().find_map(|mark| mark.reader.clone());
            let kinds: BTreeSet<&str> = own().map(|mark| mark.kind.as_str()).collect();
            let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
            let reader = name
                .map_or(format!("reader {session}"), |name| format!("reader {session}, {name}"));
            let colour = own().next().map_or(BLACK, |mark| Self::colour(mark));
            line(Some((colour, SOLID)), format!("{reader}: {kinds}"));
        }
        for (n, nodule) in self.nodules.iter().enumerate() {
            let count = nodule.mark_ids.len();
            line(
                Some((BLACK, Self::style(n))),
                format!("nodule {}: {count} marks", nodule.nodule_id),
            );
        }
        line(Some((BLACK, DOTS)), "in no nodule".to_owned());
        line(None, "o under 3 mm   x no nodule".to_owned());
        shapes
    }

    /// A bar of 10 mm, or of 5 or 1 where the part is small.
    fn bar(&self, part: &Part) -> [Shape; 2] {
        let [width, height] = part.size();
        let per_mm = part.scale[0] / self.spacing_mm[0];
        let longest = 0.4 * width as f64 / per_mm;
        let mm = [10.0, 5.0].into_iter().find(|mm| *mm <= longest).unwrap_or(1.0);
        // At the right, as the numbers of a blank grid are at the left and on top.
        let (x, y) = ((PAD + width) as f64 - 8.0 - mm * per_mm, (TOP + height) as f64 - 8.0);
        let colour = if self.region.is_some() { [255, 220, 0] } else { BLACK };
        let points = vec![[x, y], [x + mm * per_mm, y]];
        let text = Shape::Text { at: [x, y - 14.0], text: format!("{mm} mm"), colour };
        [Shape::Line { points, colour, dashes: SOLID }, text]
    }
}

/// Pale lines with the pixel's number, for a slice without an image.
fn grid(part: &Part) -> Vec<Shape> {
    let mut shapes = Vec::new();
    for axis in 0..2 {
        let first = (part.low[axis] as i64).div_euclid(GRID) * GRID;
        let numbers = (first..=part.high[axis] as i64).step_by(GRID as usize);
        for number in numbers.filter(|n| *n as f64 >= part.low[axis]) {
            let (mut from, mut to) = (part.low, part.high);
            (from[axis], to[axis]) = (number as f64, number as f64);
            let (from, to) = (part.at(from), part.at(to));
            shapes.push(Shape::Line { points: vec![from, to], colour: PALE, dashes: SOLID });
            let at = [from[0] + 3.0, from[1] + 2.0];
            shapes.push(Shape::Text { at, text: number.to_string(), colour: [150; 3] });
        }
    }
    shapes
}
