//! Rasterising of readers' contours to voxels.

use super::drawn_contour::{DrawnContour, PixelClass, pixel};
use super::irregularity::Irregularity;
use nodulus_formats::lidc_xml::Contour;
use nodulus_formats::volume::{Mask, PlacedMask, Slices};
use std::collections::{BTreeMap, BTreeSet};

/// A mark rasterised from its contours.
#[derive(Clone, Debug, PartialEq)]
pub struct RasterisedMark {
    /// The voxels inside, in the smallest box; `None` without any.
    pub mask: Option<PlacedMask>,
    /// Irregularities of the contours.
    pub irregularities: BTreeSet<Irregularity>,
}

/// The voxels inside a mark.
///
/// METHOD: LIDC's readers draw the line on the pixels just outside the nodule (Armato et al. 2011).
/// Inside is what a 4-connected flood from outside the line does not reach, without the line
/// itself. Inclusions of a slice are united; then each exclusion is removed together with its line.
/// A line off the scan's slices or outside the image is excluded, with an irregularity.
///
/// pylidc takes the polygon through the pixels' centres instead. Over LIDC's 6,859 rated nodules of
/// 5,952,992 voxels, the two differ by 322 in 79 nodules. 292 are only here: 282 in pockets that
/// the line encloses where it folds back on itself, outside the polygon, and 10 on the line of
/// another inclusion of the slice. 30 are only in pylidc, between two points that are not
/// neighbours.
pub fn mark_mask(contours: &[Contour], slices: &Slices) -> RasterisedMark {
    let mut irregularities = BTreeSet::new();
    let mut outlines: BTreeMap<usize, Vec<DrawnContour>> = BTreeMap::new();
    for contour in contours {
        let Ok(k) = slices.slice_at(contour.z_mm) else {
            irregularities.insert(Irregularity::OffSlice);
            continue;
        };
        let Some(drawn_contour) = DrawnContour::draw(contour, slices.size()) else {
            irregularities.insert(Irregularity::OffImage);
            continue;
        };
        irregularities.extend(&drawn_contour.irregularities);
        outlines.entry(k).or_default().push(drawn_contour);
    }
    let (mut low, mut high) = ([usize::MAX; 3], [0; 3]);
    for (&k, outlines) in &outlines {
        let inclusions = || outlines.iter().filter(|drawn_contour| drawn_contour.inclusion);
        if inclusions().count() > 1 {
            irregularities.insert(Irregularity::SeveralInclusions);
        }
        for drawn_contour in inclusions() {
            let bounds = [drawn_contour.bounds(0), drawn_contour.bounds(1), (k, k + 1)];
            for (a, (from, to)) in bounds.into_iter().enumerate() {
                low[a] = low[a].min(from);
                high[a] = high[a].max(to);
            }
        }
    }
    let size = std::array::from_fn(|a| high[a].saturating_sub(low[a]));
    let mut mask = Mask::empty(size);
    for (&k, outlines) in &outlines {
        let (inclusions, exclusions): (Vec<_>, Vec<_>) =
            outlines.iter().partition(|drawn_contour| drawn_contour.inclusion);
        for drawn_contour in inclusions {
            for [i, j] in drawn_contour.pixels(|cell| cell == PixelClass::Inside) {
                mask.set(i - low[0], j - low[1], k - low[2], true);
            }
        }
        for drawn_contour in exclusions {
            for [i, j] in drawn_contour.pixels(|cell| cell != PixelClass::Outside) {
                if i >= low[0] && j >= low[1] && k >= low[2] {
                    mask.set(i - low[0], j - low[1], k - low[2], false);
                }
            }
        }
    }
    let mask = PlacedMask { start: low, mask }.trimmed();
    if mask.is_none() {
        irregularities.insert(Irregularity::NoVoxels);
    }
    RasterisedMark { mask, irregularities }
}

/// Whether a point is a pixel of the slices, as far as their size is known.
pub fn is_pixel(point: [i64; 2], slices: &Slices) -> bool {
    pixel(point, slices.size()).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::drawn_contour::line;
    use super::*;
    use nodulus_formats::volume::Geometry;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const Z0_MM: f64 = -100.0;

    /// 40 × 30 pixels, five slices 2.5 mm apart.
    fn scan() -> Slices {
        let geometry =
            Geometry::new([40, 30, 5], [0.7, 0.7, 2.5], [5.0, 6.0, Z0_MM], Geometry::AXIAL);
        Slices::of(&geometry.unwrap()).unwrap()
    }

    fn names(outlined: &RasterisedMark) -> Vec<&'static str> {
        outlined.irregularities.iter().map(|irregularity| irregularity.name()).collect()
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
        let placed = mark_mask(contours, &scan()).mask.unwrap();
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
        let outlined = mark_mask(&[inclusion(1, &rectangle([10, 14], [20, 23]))], &scan());
        // Only the corners are drawn: the sides are gaps, and the last of them closes the line.
        assert_eq!(names(&outlined), ["open_contour", "contour_gap"]);
        let placed = outlined.mask.unwrap();
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
        for (points, expected) in [
            (&[[5, 5]][..], &["point_contour", "no_interior", "no_voxels"][..]),
            (
                &[[5, 5], [9, 5]],
                &["open_contour", "contour_gap", "point_contour", "no_interior", "no_voxels"],
            ),
            (&[[5, 5], [6, 5], [6, 6], [5, 6]], &["no_interior", "no_voxels"]),
        ] {
            let outlined = mark_mask(&[inclusion(1, points)], &scan());
            assert_eq!(outlined.mask, None);
            assert_eq!(names(&outlined), expected);
        }
        assert_eq!(names(&mark_mask(&[], &scan())), ["no_voxels"]);
        let hole = exclusion(1, &rectangle([0, 6], [0, 6]));
        assert_eq!(mark_mask(&[hole], &scan()).mask, None);
    }

    #[test]
    fn a_line_off_the_image_or_the_slices_is_left_out_and_said() {
        let square = [[3, 3], [4, 3], [5, 3], [5, 4], [5, 5], [4, 5], [3, 5], [3, 4]];
        let kept = inclusion(1, &square);
        let whole = mark_mask(std::slice::from_ref(&kept), &scan());
        assert_eq!(names(&whole), [] as [&str; 0]);
        assert_eq!(whole.mask.as_ref().map(|placed| placed.mask.count()), Some(1));
        for point in [[-1, 3], [40, 3], [3, 30], [i64::MAX, 0]] {
            let outlined = mark_mask(&[kept.clone(), inclusion(2, &[point])], &scan());
            assert_eq!(outlined.mask, whole.mask);
            assert_eq!(names(&outlined), ["off_image"]);
        }
        let outlined = mark_mask(&[inclusion(9, &square), kept.clone()], &scan());
        assert_eq!(outlined.mask, whole.mask);
        assert_eq!(names(&outlined), ["off_slice"]);
        // Without an image its size is unknown, and the point may be a pixel, but not any point.
        let unknown = Slices::at_heights(None, [0.7, 0.7], scan().z_mm().to_vec()).unwrap();
        let far = |i| mark_mask(&[kept.clone(), inclusion(2, &[[i, 0]])], &unknown);
        assert_eq!(names(&far(600)), ["point_contour", "no_interior"]);
        assert_eq!(names(&far(1 << 40)), ["off_image"]);
    }

    #[test]
    fn several_inclusions_of_a_slice_are_said() {
        let square = |i| inclusion(1, &rectangle([i, i + 2], [3, 5]));
        let outlined = mark_mask(&[square(3), square(20)], &scan());
        assert!(outlined.irregularities.contains(&Irregularity::SeveralInclusions));
        assert_eq!(outlined.mask.map(|placed| placed.mask.count()), Some(2));
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
        /// A random walk of king's moves, closed by returning the same way or by a line.
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
            match mark_mask(&[inclusion(2, &points)], &scan()).mask {
                Some(placed) => {
                    prop_assert_eq!(placed.mask.count(), expected.len());
                    for [i, j] in expected {
                        prop_assert!(placed.get(i as usize, j as usize, 2));
                    }
                }
                None => prop_assert!(expected.is_empty()),
            }
        }
    }
}
