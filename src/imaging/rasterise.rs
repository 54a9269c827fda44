//! Contours to voxels.

use crate::formats::lidc_xml::Contour;
use crate::volume::{Geometry, Mask, PlacedMask};
use std::collections::BTreeMap;

/// A mark could not be placed on a scan.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// There is nothing to place.
    #[error("mark has no contour")]
    NoContours,
    /// Contours that surround nothing: points, or lines without a pixel between them.
    #[error("no voxel lies inside the mark's contours")]
    Empty,
    /// A height that is no slice's.
    #[error("z = {z_mm} mm is off the scan's slices; the nearest is slice {k} at {slice_z_mm} mm")]
    OffSlice {
        /// Height of the mark.
        z_mm: f64,
        /// The nearest slice.
        k: usize,
        /// Height of that slice.
        slice_z_mm: f64,
    },
    /// A height does not tell the slice.
    #[error("slices of the scan lie along {0:?}, expected the patient's z: a height tells no slice")]
    NotAxial([f64; 3]),
    /// A point that is no pixel.
    #[error("point {point:?} (i, j) at z = {z_mm} mm is not in the slice of {size:?} pixels")]
    Outside {
        /// The point.
        point: [i64; 2],
        /// Height of its contour.
        z_mm: f64,
        /// Pixels along i and j.
        size: [usize; 2],
    },
}

/// Slices that lie along the patient's z have a normal with at least this z component (2.6°).
const AXIAL_COSINE: f64 = 0.999;

/// The slice at a height: the z of its `ImagePositionPatient`, in millimetres.
///
/// METHOD: a height is a slice's when it is less than half a slice away. Of the 77,262 heights in
/// LIDC's CT reads all but 25 are within 0.001 mm of a slice; those 25 are in one file, 11 of them
/// 0.06 slices off and 14 of them beyond the scan's end by 1.9 slices or more.
///
/// # Errors
///
/// Fails if the slices do not lie along the patient's z, or none is there.
pub fn slice_of(z_mm: f64, geometry: &Geometry) -> Result<usize, Error> {
    let normal = geometry.axis(2);
    if normal[2].abs() < AXIAL_COSINE {
        return Err(Error::NotAxial(normal));
    }
    let step = normal[2] * geometry.spacing().ijk()[2];
    let k = (z_mm - geometry.origin_mm()[2]) / step;
    let nearest = k.round().clamp(0.0, (geometry.size()[2] - 1) as f64);
    if (k - nearest).abs() < 0.5 {
        Ok(nearest as usize)
    } else {
        let slice_z_mm = geometry.origin_mm()[2] + nearest * step;
        Err(Error::OffSlice { z_mm, k: nearest as usize, slice_z_mm })
    }
}

/// The voxels inside a mark, in the smallest box.
///
/// METHOD: LIDC's readers draw the line on the pixels just outside the nodule (Armato et al. 2011).
/// Inside is what a 4-connected flood from outside the line does not reach, without the line
/// itself. Inclusions of a slice are united; then each exclusion is taken away with its line.
/// pylidc takes the polygon through the pixels' centres instead. Over LIDC's 6,859 rated nodules
/// the two differ in 79, by 322 voxels of 1 in 10,000: pockets outside the polygon that the
/// line closes where it folds back on itself (ours alone), and pixels between two points that are
/// not neighbours (theirs alone).
///
/// # Errors
///
/// Fails if a contour is off the scan's slices or has points off the image, or nothing is inside.
pub fn mark_mask(contours: &[Contour], geometry: &Geometry) -> Result<PlacedMask, Error> {
    if contours.is_empty() {
        return Err(Error::NoContours);
    }
    let [ni, nj, _] = geometry.size();
    let mut slices: BTreeMap<usize, Vec<Area>> = BTreeMap::new();
    for contour in contours {
        let k = slice_of(contour.z_mm, geometry)?;
        slices.entry(k).or_default().push(area(contour, [ni, nj])?);
    }
    let included = || slices.iter().flat_map(|(k, areas)| areas.iter().map(move |a| (*k, a)));
    let (mut low, mut high) = ([usize::MAX; 3], [0; 3]);
    for (k, area) in included().filter(|(_, area)| area.inclusion) {
        for (a, (from, to)) in [area.bounds(0), area.bounds(1), (k, k + 1)].into_iter().enumerate()
        {
            low[a] = low[a].min(from);
            high[a] = high[a].max(to);
        }
    }
    let size = std::array::from_fn(|a| high[a].saturating_sub(low[a]));
    let mut mask = Mask::empty(size);
    for (&k, areas) in &slices {
        let (inclusions, exclusions): (Vec<&Area>, Vec<&Area>) =
            areas.iter().partition(|area| area.inclusion);
        for [i, j] in inclusions.iter().flat_map(|area| area.pixels(|cell| cell == Cell::Inside)) {
            mask.set(i - low[0], j - low[1], k - low[2], true);
        }
        for [i, j] in exclusions.iter().flat_map(|area| area.pixels(|cell| cell != Cell::Outside)) {
            if i >= low[0] && j >= low[1] && k >= low[2] {
                mask.set(i - low[0], j - low[1], k - low[2], false);
            }
        }
    }
    PlacedMask { start: low, mask }.trimmed().ok_or(Error::Empty)
}

/// Where a pixel lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Inside,
    Line,
    Outside,
}

/// A drawn contour: its box with a border of one pixel.
struct Area {
    inclusion: bool,
    /// Pixel of the box's first cell that is not border.
    start: [usize; 2],
    /// Cells along i and j, with the border.
    size: [usize; 2],
    cells: Vec<Cell>,
}

impl Area {
    /// First pixel and first pixel past the contour along an axis.
    fn bounds(&self, axis: usize) -> (usize, usize) {
        (self.start[axis], self.start[axis] + self.size[axis] - 2)
    }

    fn pixels(&self, wanted: impl Fn(Cell) -> bool) -> impl Iterator<Item = [usize; 2]> {
        let ([si, sj], width) = (self.start, self.size[0]);
        let cells = self.cells.iter().enumerate();
        // The border is outside, and no caller wants outside.
        cells.filter(move |(_, cell)| wanted(**cell)).map(move |(n, _)| {
            [si + n % width - 1, sj + n / width - 1]
        })
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

/// Draws a contour and floods around it.
fn area(contour: &Contour, size: [usize; 2]) -> Result<Area, Error> {
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
    let mut area = Area {
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
            area.cells[(j - low.1 + 1) * box_size[0] + (i - low.0 + 1)] = Cell::Line;
        }
    }
    area.flood();
    Ok(area)
}

/// Pixels from one to another, both included: one for each step along the longer axis, rounded to
/// the nearest along the other.
fn line(from: (usize, usize), to: (usize, usize)) -> impl Iterator<Item = (usize, usize)> {
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
    use std::collections::BTreeSet;

    const Z0_MM: f64 = -100.0;

    /// 40 × 30 pixels, five slices 2.5 mm apart.
    fn scan(direction: [f64; 9]) -> Geometry {
        Geometry::new([40, 30, 5], [0.7, 0.7, 2.5], [5.0, 6.0, Z0_MM], direction).unwrap()
    }

    fn contour(k: usize, inclusion: bool, points: &[[i64; 2]]) -> Contour {
        let z_mm = Z0_MM + 2.5 * k as f64;
        Contour { z_mm, inclusion, points: points.to_vec(), sop_instance_uid: String::new() }
    }

    /// Corners of a rectangle, both included.
    fn rectangle(i: [i64; 2], j: [i64; 2]) -> Vec<[i64; 2]> {
        vec![[i[0], j[0]], [i[1], j[0]], [i[1], j[1]], [i[0], j[1]]]
    }

    fn voxels(contours: &[Contour]) -> BTreeSet<[usize; 3]> {
        let placed = mark_mask(contours, &scan(Geometry::AXIAL)).unwrap();
        placed.mask.voxels().map(|v| std::array::from_fn(|a| v[a] + placed.start[a])).collect()
    }

    /// Voxels of slice 1 from a picture with its first character at (0, 0).
    fn picture(rows: &[&str], wanted: &str) -> BTreeSet<[usize; 3]> {
        let pixels = rows.iter().enumerate().flat_map(|(j, row)| {
            row.chars().enumerate().map(move |(i, c)| ([i, j, 1], c))
        });
        pixels.filter(|(_, c)| wanted.contains(*c)).map(|(v, _)| v).collect()
    }

    #[test]
    fn the_line_is_not_inside() {
        let mask = mark_mask(
            &[contour(1, true, &rectangle([10, 14], [20, 23]))],
            &scan(Geometry::AXIAL),
        );
        let placed = mask.unwrap();
        assert_eq!((placed.start, placed.mask.size()), ([11, 21, 1], [3, 2, 1]));
        assert_eq!(placed.mask.count(), 6);
    }

    #[test]
    fn a_diagonal_line_holds() {
        let diamond = [[3, 1], [5, 3], [3, 5], [1, 3]];
        let inside = picture(&["", "", "  ###", "  ###", "  ###"], "#");
        let corners = BTreeSet::from([[2, 2, 1], [4, 2, 1], [2, 4, 1], [4, 4, 1]]);
        let expected: BTreeSet<_> = inside.difference(&corners).copied().collect();
        assert_eq!(voxels(&[contour(1, true, &diamond)]), expected);
    }

    #[test]
    fn inclusions_are_united_and_exclusions_taken_away_with_their_line() {
        let marks = [
            contour(1, true, &rectangle([0, 6], [0, 6])),
            contour(1, false, &rectangle([2, 4], [2, 4])),
            // Its line runs through the first, which keeps those pixels.
            contour(1, true, &rectangle([5, 9], [3, 6])),
            // An exclusion of another slice changes nothing here.
            contour(2, false, &rectangle([0, 6], [0, 6])),
        ];
        let expected = picture(
            &["", " #####", " #   #", " #   #", " #   #### ", " ########"],
            "#",
        );
        let gap = BTreeSet::from([[6, 4, 1], [6, 5, 1]]);
        let second: BTreeSet<_> = expected.iter().filter(|v| v[0] > 5).copied().collect();
        assert!(gap.is_subset(&second));
        assert_eq!(voxels(&marks), expected);
    }

    #[test]
    fn a_pocket_that_the_line_closes_is_inside() {
        // As in LIDC: the top line dips in, comes back through the pixel where it entered (4, 1),
        // and leaves the pixel (4, 2) between its arms.
        let line = [
            [3, 0], [4, 1], [3, 2], [4, 3], [5, 2], [4, 1], [5, 0], [8, 0], [8, 6], [0, 6], [0, 0],
        ];
        let expected = picture(
            &["", " ### ###", " ## # ##", " ### ###", " #######", " #######"],
            "#",
        );
        assert_eq!(voxels(&[contour(1, true, &line)]), expected);
    }

    #[test]
    fn points_and_lines_hold_nothing() {
        let geometry = scan(Geometry::AXIAL);
        for points in [&[[5, 5]][..], &[[5, 5], [9, 5]], &[[5, 5], [6, 5], [6, 6], [5, 6]]] {
            let mask = mark_mask(&[contour(1, true, points)], &geometry);
            assert_eq!(mask, Err(Error::Empty));
        }
        assert_eq!(mark_mask(&[], &geometry), Err(Error::NoContours));
        assert_eq!(mark_mask(&[contour(1, true, &[])], &geometry), Err(Error::NoContours));
        let hole = contour(1, false, &rectangle([0, 6], [0, 6]));
        assert_eq!(mark_mask(&[hole], &geometry), Err(Error::Empty));
    }

    #[test]
    fn a_point_off_the_image_is_refused() {
        for point in [[-1, 3], [40, 3], [3, 30]] {
            let mask = mark_mask(&[contour(1, true, &[point])], &scan(Geometry::AXIAL));
            assert_eq!(mask, Err(Error::Outside { point, z_mm: -97.5, size: [40, 30] }));
        }
    }

    #[test]
    fn a_height_tells_the_slice_in_either_direction() {
        let up = scan(Geometry::AXIAL);
        let down = scan([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0]);
        assert_eq!(slice_of(-92.5, &up), Ok(3));
        assert_eq!(slice_of(-92.5 + 1.24, &up), Ok(3));
        assert_eq!(slice_of(-107.5, &down), Ok(3));
        let error = slice_of(-88.7, &up).unwrap_err();
        assert_eq!(
            error.to_string(),
            "z = -88.7 mm is off the scan's slices; the nearest is slice 4 at -90 mm"
        );
        assert!(matches!(slice_of(-98.75, &up), Err(Error::OffSlice { .. })), "half-way");
        assert!(matches!(slice_of(-92.5, &down), Err(Error::OffSlice { k: 0, .. })));
        assert!(matches!(slice_of(f64::NAN, &up), Err(Error::OffSlice { .. })));
        let coronal = scan([1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0]);
        assert!(matches!(slice_of(-92.5, &coronal), Err(Error::NotAxial(_))));
    }

    /// Pixels that no path from the border reaches, by repeated sweeps.
    fn enclosed(line: &BTreeSet<[i64; 2]>, size: [i64; 2]) -> BTreeSet<[i64; 2]> {
        let border = |[i, j]: [i64; 2]| i == 0 || j == 0 || i == size[0] - 1 || j == size[1] - 1;
        let all = (0..size[1]).flat_map(|j| (0..size[0]).map(move |i| [i, j]));
        let mut left: BTreeSet<_> = all.filter(|p| !line.contains(p)).collect();
        loop {
            let reached: Vec<_> = left
                .iter()
                .copied()
                .filter(|&[i, j]| {
                    let open = |p: &[i64; 2]| !left.contains(p) && !line.contains(p);
                    let neighbours = [[i - 1, j], [i + 1, j], [i, j - 1], [i, j + 1]];
                    border([i, j]) || neighbours.iter().any(open)
                })
                .collect();
            if reached.is_empty() {
                return left;
            }
            for pixel in reached {
                left.remove(&pixel);
            }
        }
    }

    proptest! {
        /// A random walk of king's moves, closed by going back the way it came or by a line.
        #[test]
        fn inside_is_what_no_path_from_the_border_reaches(
            moves in prop::collection::vec((-1i64..=1, -1i64..=1), 1..120),
        ) {
            let mut at = [20i64, 15];
            let mut points = vec![at];
            for (di, dj) in moves {
                at = [(at[0] + di).clamp(1, 38), (at[1] + dj).clamp(1, 28)];
                points.push(at);
            }
            let index = |p: &[i64; 2]| (p[0] as usize, p[1] as usize);
            let (first, last) = (index(&points[0]), index(&at));
            let drawn = points.iter().map(index).chain(line(last, first));
            let drawn = drawn.map(|(i, j)| [i as i64, j as i64]).collect();
            let expected = enclosed(&drawn, [40, 30]);
            match mark_mask(&[contour(2, true, &points)], &scan(Geometry::AXIAL)) {
                Ok(placed) => {
                    prop_assert_eq!(placed.mask.count(), expected.len());
                    for [i, j] in expected {
                        prop_assert!(placed.get(i as usize, j as usize, 2));
                    }
                }
                Err(error) => {
                    prop_assert_eq!(error, Error::Empty);
                    prop_assert!(expected.is_empty());
                }
            }
        }

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
