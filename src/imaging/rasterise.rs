//! Contours to voxels.

use super::outline::{Cell, Outline};
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
    #[error(
        "slices of the scan lie along {0:?}, expected the patient's z: a height tells no slice"
    )]
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
///
/// pylidc takes the polygon through the pixels' centres instead. Over LIDC's 6,859 rated nodules
/// of 5,952,992 voxels the two differ by 322 in 79 nodules. 292 are ours alone: 282 in pockets that
/// the line closes where it folds back on itself, outside the polygon, and 10 on the line of
/// another inclusion of the slice. 30 are theirs alone, between two points that are not neighbours.
///
/// # Errors
///
/// Fails if a contour is off the scan's slices or has points off the image, or nothing is inside.
pub fn mark_mask(contours: &[Contour], geometry: &Geometry) -> Result<PlacedMask, Error> {
    if contours.is_empty() {
        return Err(Error::NoContours);
    }
    let [ni, nj, _] = geometry.size();
    let mut slices: BTreeMap<usize, Vec<Outline>> = BTreeMap::new();
    for contour in contours {
        let k = slice_of(contour.z_mm, geometry)?;
        slices.entry(k).or_default().push(Outline::draw(contour, [ni, nj])?);
    }
    let (mut low, mut high) = ([usize::MAX; 3], [0; 3]);
    for (&k, outlines) in &slices {
        for outline in outlines.iter().filter(|outline| outline.inclusion) {
            let bounds = [outline.bounds(0), outline.bounds(1), (k, k + 1)];
            for (a, (from, to)) in bounds.into_iter().enumerate() {
                low[a] = low[a].min(from);
                high[a] = high[a].max(to);
            }
        }
    }
    let size = std::array::from_fn(|a| high[a].saturating_sub(low[a]));
    let mut mask = Mask::empty(size);
    for (&k, outlines) in &slices {
        let (inclusions, exclusions): (Vec<_>, Vec<_>) =
            outlines.iter().partition(|outline| outline.inclusion);
        for outline in inclusions {
            for [i, j] in outline.pixels(|cell| cell == Cell::Inside) {
                mask.set(i - low[0], j - low[1], k - low[2], true);
            }
        }
        for outline in exclusions {
            for [i, j] in outline.pixels(|cell| cell != Cell::Outside) {
                if i >= low[0] && j >= low[1] && k >= low[2] {
                    mask.set(i - low[0], j - low[1], k - low[2], false);
                }
            }
        }
    }
    PlacedMask { start: low, mask }.trimmed().ok_or(Error::Empty)
}

#[cfg(test)]
mod tests {
    use super::super::outline::line;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const Z0_MM: f64 = -100.0;

    /// 40 × 30 pixels, five slices 2.5 mm apart.
    fn scan(direction: [f64; 9]) -> Geometry {
        Geometry::new([40, 30, 5], [0.7, 0.7, 2.5], [5.0, 6.0, Z0_MM], direction).unwrap()
    }

    fn inclusion(k: usize, points: &[[i64; 2]]) -> Contour {
        let (z_mm, points) = (Z0_MM + 2.5 * k as f64, points.to_vec());
        Contour { z_mm, inclusion: true, points, sop_instance_uid: String::new() }
    }

    fn exclusion(k: usize, points: &[[i64; 2]]) -> Contour {
        Contour { inclusion: false, ..inclusion(k, points) }
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
        let pixels = rows
            .iter()
            .enumerate()
            .flat_map(|(j, row)| row.chars().enumerate().map(move |(i, c)| ([i, j, 1], c)));
        pixels.filter(|(_, c)| wanted.contains(*c)).map(|(v, _)| v).collect()
    }

    #[test]
    fn the_line_is_not_inside() {
        let mask =
            mark_mask(&[inclusion(1, &rectangle([10, 14], [20, 23]))], &scan(Geometry::AXIAL));
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
        assert_eq!(voxels(&[inclusion(1, &diamond)]), expected);
    }

    #[test]
    fn inclusions_are_united_and_exclusions_taken_away_with_their_line() {
        let marks = [
            inclusion(1, &rectangle([0, 6], [0, 6])),
            exclusion(1, &rectangle([2, 4], [2, 4])),
            // Its line runs through the first, which keeps those pixels.
            inclusion(1, &rectangle([5, 9], [3, 6])),
            // An exclusion of another slice changes nothing here.
            exclusion(2, &rectangle([0, 6], [0, 6])),
        ];
        let expected = picture(&["", " #####", " #   #", " #   #", " #   #### ", " ########"], "#");
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
            [3, 0],
            [4, 1],
            [3, 2],
            [4, 3],
            [5, 2],
            [4, 1],
            [5, 0],
            [8, 0],
            [8, 6],
            [0, 6],
            [0, 0],
        ];
        let expected =
            picture(&["", " ### ###", " ## # ##", " ### ###", " #######", " #######"], "#");
        assert_eq!(voxels(&[inclusion(1, &line)]), expected);
    }

    #[test]
    fn points_and_lines_hold_nothing() {
        let geometry = scan(Geometry::AXIAL);
        for points in [&[[5, 5]][..], &[[5, 5], [9, 5]], &[[5, 5], [6, 5], [6, 6], [5, 6]]] {
            let mask = mark_mask(&[inclusion(1, points)], &geometry);
            assert_eq!(mask, Err(Error::Empty));
        }
        assert_eq!(mark_mask(&[], &geometry), Err(Error::NoContours));
        assert_eq!(mark_mask(&[inclusion(1, &[])], &geometry), Err(Error::NoContours));
        let hole = exclusion(1, &rectangle([0, 6], [0, 6]));
        assert_eq!(mark_mask(&[hole], &geometry), Err(Error::Empty));
    }

    #[test]
    fn a_point_off_the_image_is_refused() {
        for point in [[-1, 3], [40, 3], [3, 30]] {
            let mask = mark_mask(&[inclusion(1, &[point])], &scan(Geometry::AXIAL));
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
            match mark_mask(&[inclusion(2, &points)], &scan(Geometry::AXIAL)) {
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
    }
}
