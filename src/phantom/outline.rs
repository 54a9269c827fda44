//! Lines around a mask on a slice, as LIDC's readers draw them.

use nodulus_formats::volume::{Mask, PlacedMask};

/// Steps to the eight neighbours, clockwise from the right (j points down).
const STEPS: [[i64; 2]; 8] = [[1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0], [-1, -1], [0, -1], [1, -1]];

/// Closed lines just outside the mask on slice `k`, one for each 4-connected part; successive pixels are among the eight
/// neighbours of each other. There are none where the slice is empty.
///
/// METHOD: LIDC's readers drew the first pixels outside the nodule (Armato et al. 2011).
pub(super) fn outside(mask: &PlacedMask, k: usize) -> Vec<Vec<[i64; 2]>> {
    parts(mask, k).iter().map(|part| trace(&part.grown())).collect()
}

/// Lines along the outermost pixels of the mask on slice `k`, for parts of at least `least` pixels.
pub(super) fn along(mask: &PlacedMask, k: usize, least: usize) -> Vec<Vec<[i64; 2]>> {
    parts(mask, k).iter().filter(|part| part.pixels.count() >= least).map(trace).collect()
}

/// A connected part of a slice: the mask of a box whose first pixel is `corner`.
struct SlicePart {
    corner: [i64; 2],
    pixels: Mask,
}

impl SlicePart {
    fn get(&self, [i, j]: [i64; 2]) -> bool {
        let [u, v] = [i - self.corner[0], j - self.corner[1]];
        u >= 0 && v >= 0 && self.pixels.get(u as usize, v as usize, 0)
    }

    /// The part with all pixels that share an edge with one of its pixels.
    fn grown(&self) -> Self {
        let [ni, nj, _] = self.pixels.size();
        let corner = self.corner.map(|c| c - 1);
        let pixels = Mask::from_fn([ni + 2, nj + 2, 1], |u, v, _| {
            let [i, j] = [corner[0] + u as i64, corner[1] + v as i64];
            [[0, 0], STEPS[0], STEPS[2], STEPS[4], STEPS[6]]
                .iter()
                .any(|step| self.get([i + step[0], j + step[1]]))
        });
        Self { corner, pixels }
    }
}

/// The 4-connected parts of a mask's slice, in the order of their first pixels.
fn parts(mask: &PlacedMask, k: usize) -> Vec<SlicePart> {
    let [ni, nj, nk] = mask.mask.size();
    let Some(k) = k.checked_sub(mask.start[2]).filter(|k| *k < nk) else {
        return Vec::new();
    };
    let corner = [mask.start[0] as i64, mask.start[1] as i64];
    let mut left = Mask::from_fn([ni, nj, 1], |i, j, _| mask.mask.get(i, j, k));
    let mut parts = Vec::new();
    loop {
        let Some([i, j, _]) = left.voxels().next() else {
            return parts;
        };
        let mut pixels = Mask::empty([ni, nj, 1]);
        let mut open = vec![[i, j]];
        left.set(i, j, 0, false);
        while let Some([i, j]) = open.pop() {
            pixels.set(i, j, 0, true);
            for [i, j] in [[i + 1, j], [i, j + 1], [i.wrapping_sub(1), j], [i, j.wrapping_sub(1)]] {
                if left.get(i, j, 0) {
                    left.set(i, j, 0, false);
                    open.push([i, j]);
                }
            }
        }
        parts.push(SlicePart { corner, pixels });
    }
}

/// Follows the outer border of a part clockwise, back to the first pixel.
fn trace(part: &SlicePart) -> Vec<[i64; 2]> {
    let Some([i, j, _]) = part.pixels.voxels().next() else {
        return Vec::new();
    };
    let start = [part.corner[0] + i as i64, part.corner[1] + j as i64];
    let next = |at: [i64; 2], first: usize| {
        (0..8).map(|n| (first + n) % 8).find_map(|n| {
            let to = [at[0] + STEPS[n][0], at[1] + STEPS[n][1]];
            part.get(to).then_some((to, n))
        })
    };
    let mut line = vec![start];
    // No pixel lies before the first one: to the left of it or above.
    let Some((second, mut step)) = next(start, 5) else {
        return line;
    };
    let mut at = second;
    loop {
        line.push(at);
        // The search continues clockwise from the neighbour that was last seen empty.
        let Some((to, n)) = next(at, (step + if step % 2 == 0 { 7 } else { 6 }) % 8) else {
            return line;
        };
        if at == start && to == second {
            return line;
        }
        (at, step) = (to, n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn placed(rows: &[&str]) -> PlacedMask {
        let size = [rows[0].len(), rows.len(), 1];
        let inside = |i: usize, j: usize, _| rows[j].as_bytes()[i] == b'#';
        PlacedMask { start: [10, 20, 5], mask: Mask::from_fn(size, inside) }
    }

    #[test]
    fn the_line_goes_around_a_pixel() {
        let line = [[10, 19], [11, 20], [10, 21], [9, 20], [10, 19]];
        assert_eq!(outside(&placed(&["#"]), 5), [line]);
        assert_eq!(outside(&placed(&["#"]), 4), Vec::<Vec<[i64; 2]>>::new());
    }

    #[test]
    fn the_border_of_a_square_is_its_rim() {
        let square = placed(&["###", "###", "###"]);
        let rim = [
            [10, 20],
            [11, 20],
            [12, 20],
            [12, 21],
            [12, 22],
            [11, 22],
            [10, 22],
            [10, 21],
            [10, 20],
        ];
        assert_eq!(along(&square, 5, 9), [rim]);
        assert!(along(&square, 5, 10).is_empty());
        assert_eq!(along(&placed(&["#"]), 5, 1), [[[10, 20]]]);
    }

    #[test]
    fn parts_have_a_line_each() {
        assert_eq!(outside(&placed(&["#..#", "#..#"]), 5).len(), 2);
        assert_eq!(outside(&placed(&["#.", ".#"]), 5).len(), 2, "a corner does not connect");
    }

    /// Pixels that a flood fill from outside does not reach, without the line.
    fn within(line: &[[i64; 2]]) -> Vec<[i64; 2]> {
        let mut seen = vec![[0, 10]];
        let mut n = 0;
        while n < seen.len() {
            let [i, j] = seen[n];
            for [u, v] in [[i + 1, j], [i - 1, j], [i, j + 1], [i, j - 1]] {
                let on_board = (0..40).contains(&u) && (10..50).contains(&v);
                if on_board && !line.contains(&[u, v]) && !seen.contains(&[u, v]) {
                    seen.push([u, v]);
                }
            }
            n += 1;
        }
        (0..1600)
            .map(|n| [n % 40, 10 + n / 40])
            .filter(|p| !seen.contains(p) && !line.contains(p))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn an_outline_lies_just_outside_and_contains_all_pixels(
            bools in prop::collection::vec(prop::bool::weighted(0.7), 81),
        ) {
            let size = [9, 9, 1];
            let mask = Mask::from_fn(size, |i, j, _| bools[j * 9 + i]);
            let mask = PlacedMask { start: [10, 20, 0], mask };
            for (part, line) in parts(&mask, 0).iter().zip(outside(&mask, 0)) {
                prop_assert_eq!(line.first(), line.last());
                prop_assert!(line.windows(2).all(|w| w[0] != w[1]
                    && (w[0][0] - w[1][0]).abs() <= 1 && (w[0][1] - w[1][1]).abs() <= 1));
                let filled = within(&line);
                let grown = part.grown();
                for [i, j, _] in part.pixels.voxels() {
                    let p = [10 + i as i64, 20 + j as i64];
                    prop_assert!(filled.contains(&p), "{:?} is lost", p);
                }
                prop_assert!(line.iter().all(|p| grown.get(*p) && !part.get(*p)));
            }
        }

        #[test]
        fn a_disc_comes_back_from_its_outline(r in 0.6..9.0f64, x in -0.5..0.5f64, y in -0.5..0.5f64) {
            let inside = |i: usize, j: usize, _| {
                let (u, v) = (i as f64 - 9.5 - x, j as f64 - 9.5 - y);
                u * u + v * v < r * r
            };
            let mask = PlacedMask { start: [10, 20, 0], mask: Mask::from_fn([20, 20, 1], inside) };
            let lines = outside(&mask, 0);
            prop_assume!(lines.len() == 1);
            let filled = within(&lines[0]);
            prop_assert_eq!(filled.len(), mask.mask.count());
            prop_assert!(filled.iter().all(|p| mask.get(p[0] as usize, p[1] as usize, 0)));
        }
    }
}
