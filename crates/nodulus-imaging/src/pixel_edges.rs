//! Outlines of a mask along the edges of its pixels.

use nodulus_formats::volume::{Mask, PlacedMask};
use std::collections::BTreeMap;

/// A corner of pixels: (i, j) is the corner of pixel (i, j) nearest to the first pixel.
type Corner = [usize; 2];

/// Steps to the next corner, each to the right of the one before it where j runs down.
const STEPS: [[isize; 2]; 4] = [[1, 0], [0, 1], [-1, 0], [0, -1]];

/// The outlines of a slice of a mask, as points (i, j) in pixels from the centre of the scan's
/// first pixel; none where the slice has no voxel.
///
/// METHOD: lines run along the edges of pixels, half a pixel from every centre, so that even-odd
/// and winding rules, with or without points on a line, give the same voxels. Pixels that share
/// only a corner have separate lines. A hole is joined to a line above it by a channel without
/// width, there and back: the keyhole of DICOM (PS3.3, C.8.8.6.3).
pub fn outlines(placed: &PlacedMask, k: usize) -> Vec<Vec<[f64; 2]>> {
    let Some(k) = k.checked_sub(placed.start[2]) else { return Vec::new() };
    let (mut outer, mut holes) = (Vec::new(), Vec::new());
    for line in closed_lines(&placed.mask, k) {
        if doubled_area(&line) > 0 { outer.push(line) } else { holes.push(line) }
    }
    // A hole joins the line above it: an outer line, or a hole whose first corner is higher.
    holes.sort_by_key(|line| first_corner(line));
    for hole in holes {
        join(&mut outer, &hole);
    }
    let centred =
        |[i, j]: Corner| [(i + placed.start[0]) as f64 - 0.5, (j + placed.start[1]) as f64 - 0.5];
    outer.iter().map(|line| corners(line).into_iter().map(centred).collect()).collect()
}

/// Every closed line between set pixels and others, with all the corners that it passes; set pixels
/// are on its right where j runs down.
fn closed_lines(mask: &Mask, k: usize) -> Vec<Vec<Corner>> {
    let [ni, nj, _] = mask.size();
    // Directions in which a line leaves a corner; two where pixels meet only at it.
    let mut leaving: BTreeMap<[usize; 2], Vec<usize>> = BTreeMap::new();
    let set = |i: Option<usize>, j: Option<usize>| i.zip(j).is_some_and(|(i, j)| mask.get(i, j, k));
    for j in 0..nj {
        for i in (0..ni).filter(|i| mask.get(*i, j, k)) {
            let (left, up) = (i.checked_sub(1), j.checked_sub(1));
            let neighbours = [
                (set(Some(i), up), [i, j], 0),
                (set(Some(i + 1), Some(j)), [i + 1, j], 1),
                (set(Some(i), Some(j + 1)), [i + 1, j + 1], 2),
                (set(left, Some(j)), [i, j + 1], 3),
            ];
            for (_, [i, j], direction) in neighbours.into_iter().filter(|(is_set, ..)| !is_set) {
                leaving.entry([j, i]).or_default().push(direction);
            }
        }
    }
    let mut lines = Vec::new();
    while let Some((&[j, i], directions)) = leaving.iter().next() {
        let Some(&first) = directions.first() else { break };
        let (mut at, mut direction) = ([i, j], first);
        let mut line = Vec::new();
        // Each edge is removed as it is passed, so the loop ends.
        while take(&mut leaving, at, direction) {
            line.push(at);
            let [di, dj] = STEPS[direction];
            at = [at[0].wrapping_add_signed(di), at[1].wrapping_add_signed(dj)];
            // The sharpest right turn stays at the same pixel where two meet at a corner.
            let turns = [1, 0, 3].map(|turn| (direction + turn) % 4);
            let next = |turn: &usize| {
                leaving.get(&[at[1], at[0]]).is_some_and(|directions| directions.contains(turn))
            };
            direction = turns.into_iter().find(next).unwrap_or(direction);
        }
        lines.push(line);
    }
    lines
}

/// Removes an edge; false where there is none.
fn take(leaving: &mut BTreeMap<[usize; 2], Vec<usize>>, [i, j]: Corner, direction: usize) -> bool {
    let Some(directions) = leaving.get_mut(&[j, i]) else { return false };
    let Some(n) = directions.iter().position(|found| *found == direction) else { return false };
    directions.remove(n);
    if directions.is_empty() {
        leaving.remove(&[j, i]);
    }
    true
}

/// Twice the area within a line; negative around a hole.
fn doubled_area(line: &[Corner]) -> i64 {
    let ends = line.iter().cycle().skip(1);
    let part = |(a, b): (&Corner, &Corner)| {
        let [ai, aj, bi, bj] = [a[0], a[1], b[0], b[1]].map(|c| c as i64);
        ai * bj - bi * aj
    };
    line.iter().zip(ends).map(part).sum()
}

/// The highest corner of a line, the leftmost of several, j first.
fn first_corner(line: &[Corner]) -> [usize; 2] {
    line.iter().map(|[i, j]| [*j, *i]).min().unwrap_or_default()
}

/// Joins a hole to the first line straight above its first corner.
fn join(outer: &mut [Vec<Corner>], hole: &[Corner]) {
    let [j, i] = first_corner(hole);
    let above = (0..j).rev().find_map(|j| {
        outer.iter().enumerate().find_map(|(n, line)| {
            line.iter().position(|corner| *corner == [i, j]).map(|at| (n, at))
        })
    });
    let from = hole.iter().position(|corner| *corner == [i, j]);
    // A hole lies within a line, so there is one above it.
    let (Some((n, at)), Some(from)) = (above, from) else { return };
    let line = &outer[n];
    let up = line[at][1];
    let down = (up + 1..j).map(|j| [i, j]);
    let around = (0..=hole.len()).map(|step| hole[(from + step) % hole.len()]);
    let back = (up..j).rev().map(|j| [i, j]);
    let joined = line[..=at].iter().copied().chain(down).chain(around).chain(back);
    outer[n] = joined.chain(line[at + 1..].iter().copied()).collect();
}

/// The corners at which a closed line turns.
fn corners(line: &[Corner]) -> Vec<Corner> {
    let n = line.len();
    let turns = |at: &usize| {
        let [before, here, after] = [line[(at + n - 1) % n], line[*at], line[(at + 1) % n]];
        let step =
            |a: Corner, b: Corner| [b[0] as isize - a[0] as isize, b[1] as isize - a[1] as isize];
        step(before, here) != step(here, after)
    };
    (0..n).filter(turns).map(|at| line[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::planar_contours::{self, ContourRules};
    use super::*;
    use nodulus_formats::volume::Geometry;
    use proptest::prelude::*;

    fn placed(rows: &[&str]) -> PlacedMask {
        let rows: Vec<&[u8]> = rows.iter().map(|row| row.as_bytes()).collect();
        let mask = Mask::from_fn([rows[0].len(), rows.len(), 1], |i, j, _| rows[j][i] == b'#');
        PlacedMask { start: [3, 2, 1], mask }
    }

    /// Winding number of the lines around a centre; shares no code with `planar_contours`.
    fn winds(lines: &[Vec<[f64; 2]>], [x, y]: [f64; 2]) -> i32 {
        let mut winding = 0;
        for line in lines {
            for (a, b) in line.iter().zip(line.iter().cycle().skip(1)) {
                let is_left = (b[0] - a[0]) * (y - a[1]) - (x - a[0]) * (b[1] - a[1]);
                if a[1] <= y && b[1] > y && is_left > 0.0 {
                    winding += 1;
                } else if a[1] > y && b[1] <= y && is_left < 0.0 {
                    winding -= 1;
                }
            }
        }
        winding
    }

    #[test]
    fn a_pixel_has_four_corners_around_its_centre() {
        let lines = outlines(&placed(&["#"]), 1);
        assert_eq!(lines, [vec![[2.5, 1.5], [3.5, 1.5], [3.5, 2.5], [2.5, 2.5]]]);
        for k in [0, 2] {
            assert_eq!(outlines(&placed(&["#"]), k), Vec::<Vec<[f64; 2]>>::new());
        }
    }

    #[test]
    fn pixels_that_meet_at_a_corner_have_lines_of_their_own() {
        assert_eq!(outlines(&placed(&["#.", ".#"]), 1).len(), 2);
        assert_eq!(outlines(&placed(&[".#", "#."]), 1).len(), 2);
        assert_eq!(outlines(&placed(&["##", "##"]), 1).len(), 1);
    }

    #[test]
    fn a_hole_is_joined_to_the_line_around_it() {
        let lines = outlines(&placed(&["###", "#.#", "###"]), 1);
        // Down from (3.5, 1.5), around the hole, and back up.
        let expected = [
            [2.5, 1.5],
            [3.5, 1.5],
            [3.5, 2.5],
            [3.5, 3.5],
            [4.5, 3.5],
            [4.5, 2.5],
            [3.5, 2.5],
            [3.5, 1.5],
            [5.5, 1.5],
            [5.5, 4.5],
            [2.5, 4.5],
        ];
        assert_eq!(lines.len(), 1);
        let has = |point: &[f64; 2]| lines[0].contains(point);
        assert!(expected.iter().all(has), "{lines:?}");
        // Two holes, one below the other, and one that touches another at a corner.
        assert_eq!(outlines(&placed(&["####", "#.##", "##.#", "#.##", "####"]), 1).len(), 1);
        // An island in a hole.
        let lines = outlines(&placed(&["#####", "#...#", "#.#.#", "#...#", "#####"]), 1);
        assert_eq!(lines.len(), 2);
    }

    proptest! {
        #[test]
        fn either_rule_gives_the_voxels_back(
            size in (1usize..12, 1usize..12, 1usize..4), bools in prop::collection::vec(any::<bool>(), 432),
        ) {
            let (ni, nj, nk) = size;
            let mask = Mask::from_fn([ni, nj, nk], |i, j, k| bools[(k * nj + j) * ni + i]);
            // Up to the image's edges.
            let placed = PlacedMask { start: [0, 0, 3], mask };
            let (s, c) = 0.4f64.sin_cos();
            let turned = [c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0];
            let image = Geometry::new([ni, nj, 8], [0.7, 0.6, 2.0], [-70.0, 3.0, -50.0], turned).unwrap();
            let mut contours = Vec::new();
            for k in 0..8 {
                let lines = outlines(&placed, k);
                for j in 0..nj {
                    for i in 0..ni {
                        let winding = winds(&lines, [i as f64, j as f64]);
                        prop_assert_eq!(winding, i32::from(placed.get(i, j, k)), "{} {} {}", i, j, k);
                    }
                }
                contours.extend(lines.into_iter().map(|line| -> Vec<[f64; 3]> {
                    let position = |ij: &[f64; 2]| image.voxel_to_patient([ij[0], ij[1], k as f64]);
                    line.iter().map(position).collect()
                }));
            }
            let back = planar_contours::mask(&contours, &image, &ContourRules::default()).unwrap().mask;
            prop_assert_eq!(back, placed.trimmed());
        }
    }
}
