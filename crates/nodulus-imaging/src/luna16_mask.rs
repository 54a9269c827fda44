//! A mark's mask as LUNA16 drew it: all points of a slice together, and no line between them.

use super::drawn_contour::{PixelClass, flood, pixel};
use nodulus_formats::lidc_xml::Contour;
use nodulus_formats::volume::{Mask, PlacedMask, Slices};
use std::collections::BTreeMap;

/// A contour as pixels.
struct ContourPixels {
    inclusion: bool,
    pixels: Vec<(usize, usize)>,
}

/// The pixels (i, j) of one slice that LUNA16's mask holds; `None` where a point is outside the image, or a contour has no
/// points. `size` is the number of pixels along i and j, where known.
///
/// METHOD: the listed points of all contours of the slice, those of exclusions too, are drawn into one picture. Points that are
/// not neighbours are not joined, so that a flood gets in through a gap. Inside is what a 4-connected flood from outside does not
/// reach, without the points. Then each exclusion removes the region that a flood from the mean of its points fills; the mean is
/// that of the points as the file lists them, rounded to the nearest pixel, and where it lies on a point or outside, nothing is
/// removed. LUNA16 says none of this: the rule was found from its files. In its 888 scans the flood from the mean leaves
/// something of an exclusion in 4 of 210 marks with exclusions (in LIDC-IDRI-0066, 0523, 0636 and 0702), and the gaps change
/// 54 of the 36,378 rows; no other rule explained these.
pub fn luna16_pixels(contours: &[&Contour], size: Option<[usize; 2]>) -> Option<Vec<[usize; 2]>> {
    let drawn: Vec<ContourPixels> =
        contours.iter().map(|contour| contour_pixels(contour, size)).collect::<Option<_>>()?;
    Some(inside(&drawn))
}

/// The voxels of a mark by [`luna16_pixels`], in the smallest box; `None` without any. Contours off the slices or the image
/// are left out, as in [`mark_mask`](super::rasterise::mark_mask).
pub fn luna16_mask(contours: &[Contour], slices: &Slices) -> Option<PlacedMask> {
    let mut by_slice: BTreeMap<usize, Vec<ContourPixels>> = BTreeMap::new();
    for contour in contours {
        let Ok(k) = slices.slice_at(contour.z_mm) else { continue };
        if let Some(pixels) = contour_pixels(contour, slices.size()) {
            by_slice.entry(k).or_default().push(pixels);
        }
    }
    let voxels: Vec<[usize; 3]> = by_slice
        .into_iter()
        .flat_map(|(k, drawn)| inside(&drawn).into_iter().map(move |[i, j]| [i, j, k]))
        .collect();
    let mut low = *voxels.first()?;
    let mut high = low;
    for voxel in &voxels {
        low = std::array::from_fn(|a| low[a].min(voxel[a]));
        high = std::array::from_fn(|a| high[a].max(voxel[a]));
    }
    let mut mask = Mask::empty(std::array::from_fn(|a| high[a] - low[a] + 1));
    for [i, j, k] in voxels {
        mask.set(i - low[0], j - low[1], k - low[2], true);
    }
    Some(PlacedMask { start: low, mask })
}

fn contour_pixels(contour: &Contour, size: Option<[usize; 2]>) -> Option<ContourPixels> {
    let pixels: Vec<_> =
        contour.points.iter().map(|point| pixel(*point, size)).collect::<Option<_>>()?;
    (!pixels.is_empty()).then_some(ContourPixels { inclusion: contour.inclusion, pixels })
}

/// The pixels that the contours of a slice surround, row by row.
fn inside(drawn: &[ContourPixels]) -> Vec<[usize; 2]> {
    let all = || drawn.iter().flat_map(|contour| &contour.pixels);
    let Some(first) = all().next() else { return Vec::new() };
    let fold = |pick: fn(usize, usize) -> usize| {
        all().fold(*first, |(i, j), point| (pick(i, point.0), pick(j, point.1)))
    };
    let (low, high) = (fold(usize::min), fold(usize::max));
    // A border of one pixel is outside.
    let (width, height) = (high.0 - low.0 + 3, high.1 - low.1 + 3);
    let cell = |(i, j): (usize, usize)| (j - low.1 + 1) * width + (i - low.0 + 1);
    let mut cells = vec![PixelClass::Inside; width * height];
    for ContourPixels { pixels, .. } in drawn {
        for point in pixels {
            cells[cell(*point)] = PixelClass::Line;
        }
    }
    flood(&mut cells, [width, height], 0);
    for ContourPixels { pixels, .. } in drawn.iter().filter(|contour| !contour.inclusion) {
        // The mean lies in the box of the points.
        flood(&mut cells, [width, height], cell(mean(pixels)));
    }
    let held = cells.iter().enumerate().filter(|(_, class)| **class == PixelClass::Inside);
    held.map(|(n, _)| [low.0 + n % width - 1, low.1 + n / width - 1]).collect()
}

/// The mean of points, rounded half up.
fn mean(points: &[(usize, usize)]) -> (usize, usize) {
    let n = points.len();
    let rounded = |sum: usize| (2 * sum + n) / (2 * n);
    (rounded(points.iter().map(|p| p.0).sum()), rounded(points.iter().map(|p| p.1).sum()))
}

#[cfg(test)]
mod tests {
    use super::super::rasterise::mark_mask;
    use super::*;

    fn contour(inclusion: bool, points: &[[i64; 2]]) -> Contour {
        Contour { z_mm: 2.0, inclusion, points: points.to_vec(), sop_instance_uid: String::new() }
    }

    /// The pixels of a line through corners along the axes, as LIDC lists them.
    fn stroke(corners: &[[i64; 2]]) -> Vec<[i64; 2]> {
        let mut points = vec![corners[0]];
        for to in &corners[1..] {
            while let Some([i, j]) = points.last().copied().filter(|last| last != to) {
                points.push([i + (to[0] - i).signum(), j + (to[1] - j).signum()]);
            }
        }
        points
    }

    /// The line of a rectangle; its first point comes last again, as LIDC closes its lines.
    fn rectangle(i: [i64; 2], j: [i64; 2]) -> Vec<[i64; 2]> {
        stroke(&[[i[0], j[0]], [i[1], j[0]], [i[1], j[1]], [i[0], j[1]], [i[0], j[0]]])
    }

    fn picture(contours: &[Contour], size: [usize; 2]) -> Vec<String> {
        let pixels = luna16_pixels(&contours.iter().collect::<Vec<_>>(), None).unwrap();
        let row =
            |j| (0..size[0]).map(|i| if pixels.contains(&[i, j]) { '#' } else { '.' }).collect();
        (0..size[1]).map(row).collect()
    }

    #[test]
    fn lines_of_a_slice_are_drawn_together() {
        // The line of one inclusion cuts the other; what lies between two lines that meet is inside.
        let cut =
            [contour(true, &rectangle([0, 4], [0, 4])), contour(true, &rectangle([2, 6], [0, 4]))];
        let expected = [".......", ".#.#.#.", ".#.#.#.", ".#.#.#.", "......."];
        assert_eq!(picture(&cut, [7, 5]), expected);
        let u = stroke(&[[0, 0], [0, 4], [4, 4], [4, 0], [4, 4], [0, 4], [0, 0]]);
        let lid = [contour(true, &u), contour(true, &stroke(&[[0, 0], [4, 0], [0, 0]]))];
        assert_eq!(picture(&lid, [5, 5]), [".....", ".###.", ".###.", ".###.", "....."]);
        // Each alone surrounds nothing.
        let slices = Slices::at_heights(None, [1.0; 2], vec![0.0, 2.0]).unwrap();
        assert_eq!(mark_mask(&lid, &slices).mask, None);
        let placed = luna16_mask(&lid, &slices).unwrap();
        assert_eq!(
            (placed.start, placed.mask.size(), placed.mask.count()),
            ([1, 1, 1], [3, 3, 1], 9)
        );
    }

    #[test]
    fn a_gap_in_a_line_lets_the_flood_in() {
        let mut open = rectangle([0, 5], [0, 4]);
        open.retain(|point| *point != [3, 0]);
        let open = [contour(true, &open)];
        assert_eq!(picture(&open, [6, 5]), ["......"; 5]);
        // The rule that closes gaps fills it.
        let slices = Slices::at_heights(None, [1.0; 2], vec![0.0, 2.0]).unwrap();
        assert_eq!(luna16_mask(&open, &slices), None);
        assert_eq!(mark_mask(&open, &slices).mask.unwrap().mask.count(), 12);
        // The points of another line close the gap.
        let closed = [open[0].clone(), contour(true, &rectangle([2, 4], [0, 2]))];
        let expected = ["......", ".#.#..", ".#....", ".####.", "......"];
        assert_eq!(picture(&closed, [6, 5]), expected);
        // Points that meet at a corner are no gap.
        let diamond = contour(true, &[[1, 0], [2, 1], [1, 2], [0, 1]]);
        assert_eq!(picture(&[diamond], [3, 3]), ["...", ".#.", "..."]);
    }

    #[test]
    fn an_exclusion_removes_the_region_of_its_mean() {
        let outer = contour(true, &rectangle([0, 8], [0, 6]));
        let hole = contour(false, &rectangle([2, 4], [2, 4]));
        let expected = [
            ".........",
            ".#######.",
            ".#...###.",
            ".#...###.",
            ".#...###.",
            ".#######.",
            ".........",
        ];
        assert_eq!(picture(&[outer.clone(), hole], [9, 7]), expected);
        // The mean of an L lies on its line or outside it: the wrong region goes, or none.
        let ell = stroke(&[[2, 1], [2, 5], [6, 5], [6, 3], [4, 3], [4, 1], [2, 1]]);
        let pixels: Vec<_> = ell.iter().map(|[i, j]| (*i as usize, *j as usize)).collect();
        assert_eq!(mean(&pixels), (4, 3));
        let kept = [
            ".........",
            ".#...###.",
            ".#.#.###.",
            ".#.#...#.",
            ".#.###.#.",
            ".#.....#.",
            ".........",
        ];
        assert_eq!(picture(&[outer.clone(), contour(false, &ell)], [9, 7]), kept);
        // Here the mean lies to the right of the line, and the region there goes.
        let corner = contour(false, &stroke(&[[2, 1], [2, 5], [6, 5], [2, 5]]));
        let swapped = picture(&[outer, corner], [9, 7]);
        let left = [
            ".........",
            ".#.......",
            ".#.......",
            ".#.......",
            ".#.......",
            ".#.......",
            ".........",
        ];
        assert_eq!(swapped, left);
    }

    #[test]
    fn what_cannot_be_drawn_is_none() {
        let square = contour(true, &rectangle([0, 4], [0, 4]));
        assert_eq!(luna16_pixels(&[&square], Some([4, 9])), None);
        assert_eq!(luna16_pixels(&[&contour(true, &[])], None), None);
        assert_eq!(luna16_pixels(&[&contour(true, &[[-1, 0]])], None), None);
        assert_eq!(luna16_pixels(&[], None), Some(Vec::new()));
        let slices = Slices::at_heights(Some([4, 9]), [1.0; 2], vec![0.0, 2.0]).unwrap();
        assert_eq!(luna16_mask(&[square], &slices), None);
    }
}
