//! Voxels inside closed lines in patient coordinates.

use super::regrid::SLICE_TOLERANCE;
use nodulus_formats::volume::{Geometry, PlacedMask};
use std::collections::BTreeMap;

/// Distance up to which a voxel's centre lies on a line.
const LINE_TOLERANCE_MM: f64 = 1e-3;

/// A contour does not lie on the image.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ContourOffImage {
    /// A point lies in no slice's plane.
    #[error(
        "point {point_mm:?} mm lies {distance_mm:.4} mm off the plane of slice {k}, which its contour \
         is nearest to, expected at most {tolerance_mm:.4} mm among {n_slices} slices from 0"
    )]
    Slice {
        /// The point.
        point_mm: [f64; 3],
        /// The slice nearest to the contour's first point; it need not exist.
        k: i64,
        /// Distance from that slice's plane.
        distance_mm: f64,
        /// Allowed distance: a tenth of the distance between slices.
        tolerance_mm: f64,
        /// Number of slices.
        n_slices: usize,
    },
    /// A point lies beyond the edge of the slices.
    #[error("point {point_mm:?} mm is at {ijk:?} (i, j, k), off the image of {size:?} voxels")]
    Edge {
        /// The point.
        point_mm: [f64; 3],
        /// Its position on the image's grid.
        ijk: [f64; 3],
        /// The image's size.
        size: [usize; 3],
    },
}

/// The voxels inside closed lines, in the smallest box; `None` without any.
///
/// METHOD: each line belongs to the slice whose plane its points lie in, within a tenth of the
/// distance between slices. A voxel is inside where its centre is enclosed by an odd number of its
/// slice's lines, so a line within another one is a hole, and a keyhole's channel counts twice,
/// which has no effect. A centre on a line (within 0.001 mm) is inside: lines drawn from voxel to
/// voxel, as from a mask, then give that mask back. LIDC's lines, which run outside their nodules,
/// are different: see `rasterise`.
///
/// # Errors
///
/// Fails if a point lies in no slice, or outside the image.
pub fn mask(
    contours: &[Vec<[f64; 3]>],
    image: &Geometry,
) -> Result<Option<PlacedMask>, ContourOffImage> {
    let [si, sj, _] = image.spacing().ijk();
    let mut slices: BTreeMap<usize, Vec<Vec<[f64; 2]>>> = BTreeMap::new();
    for contour in contours {
        let mut line = Vec::with_capacity(contour.len());
        let mut slice = None;
        for point in contour {
            let ijk = on_slice(*point, image, &mut slice)?;
            line.push([ijk[0] * si, ijk[1] * sj]);
        }
        if let Some(k) = slice {
            slices.entry(k).or_default().push(line);
        }
    }
    let mut voxels = Vec::new();
    for (k, lines) in slices {
        voxels.extend(inside(&lines, [si, sj]).into_iter().map(|[i, j]| [i, j, k]));
    }
    Ok(PlacedMask::of_voxels(voxels.iter().copied()))
}

/// Position of a point on the grid, checked to be in the slice of the previous points.
fn on_slice(
    point_mm: [f64; 3],
    image: &Geometry,
    slice: &mut Option<usize>,
) -> Result<[f64; 3], ContourOffImage> {
    let ijk = image.patient_to_voxel(point_mm);
    let k = slice.map_or(ijk[2].round(), |k| k as f64);
    let [.., step_mm] = image.spacing().ijk();
    let (distance_mm, tolerance_mm) = ((ijk[2] - k).abs() * step_mm, SLICE_TOLERANCE * step_mm);
    // The outermost pixels reach half a pixel past their centres.
    let on_image = (0..2).all(|a| {
        let near = 0.5 + LINE_TOLERANCE_MM / image.spacing().ijk()[a];
        (-near..=image.size()[a] as f64 - 1.0 + near).contains(&ijk[a])
    });
    let [.., n_slices] = image.size();
    if distance_mm > tolerance_mm || !(0.0..n_slices as f64).contains(&k) {
        let k = k as i64;
        return Err(ContourOffImage::Slice { point_mm, k, distance_mm, tolerance_mm, n_slices });
    }
    if !on_image {
        return Err(ContourOffImage::Edge { point_mm, ijk, size: image.size() });
    }
    *slice = Some(k as usize);
    Ok(ijk)
}

/// Pixels (i, j) inside lines whose points are in millimetres from the first pixel's centre; some
/// occur twice.
fn inside(lines: &[Vec<[f64; 2]>], [si, sj]: [f64; 2]) -> Vec<[usize; 2]> {
    let mut pixels = Vec::new();
    let mut crossings: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for line in lines {
        let ends = line.iter().cycle().skip(1);
        for (a, b) in line.iter().zip(ends) {
            // A row is crossed where one end is at or above it and the other below: a corner on a
            // row counts once or twice, as the line passes through or turns back.
            let (low, high) = if a[1] <= b[1] { (a, b) } else { (b, a) };
            for j in rows(low[1] / sj, high[1] / sj) {
                let y = j as f64 * sj;
                if low[1] <= y && y < high[1] {
                    let t = (y - low[1]) / (high[1] - low[1]);
                    crossings.entry(j).or_default().push(low[0] + t * (high[0] - low[0]));
                }
            }
            pixels.extend(on_line(*a, *b, [si, sj]));
        }
    }
    for (j, mut xs) in crossings {
        xs.sort_by(f64::total_cmp);
        for pair in xs.as_chunks::<2>().0 {
            pixels.extend(rows(pair[0] / si, pair[1] / si).map(|i| [i, j]));
        }
    }
    pixels
}

/// Pixels (i, j) whose centres are on a straight line.
fn on_line(a: [f64; 2], b: [f64; 2], [si, sj]: [f64; 2]) -> Vec<[usize; 2]> {
    let d = [b[0] - a[0], b[1] - a[1]];
    let length2 = d[0] * d[0] + d[1] * d[1];
    let distance2 = |p: [f64; 2]| {
        let along = (p[0] - a[0]) * d[0] + (p[1] - a[1]) * d[1];
        let t = if length2 > 0.0 { (along / length2).clamp(0.0, 1.0) } else { 0.0 };
        (p[0] - a[0] - t * d[0]).powi(2) + (p[1] - a[1] - t * d[1]).powi(2)
    };
    let mut pixels = Vec::new();
    let near = LINE_TOLERANCE_MM;
    let (low, high) = (a[1].min(b[1]) - near, a[1].max(b[1]) + near);
    for j in rows(low / sj, high / sj) {
        let y = j as f64 * sj;
        // The part of the line near the row.
        let ts = [y - near, y + near].map(|y| ((y - a[1]) / d[1]).clamp(0.0, 1.0));
        let xs = if d[1].abs() <= near { [a[0], b[0]] } else { ts.map(|t| a[0] + t * d[0]) };
        let (low, high) = (xs[0].min(xs[1]) - near, xs[0].max(xs[1]) + near);
        let on = rows(low / si, high / si)
            .filter(|i| distance2([*i as f64 * si, y]) <= near * near)
            .map(|i| [i, j]);
        pixels.extend(on);
    }
    pixels
}

/// Whole numbers from `low` to `high`, without those below 0.
fn rows(low: f64, high: f64) -> std::ops::Range<usize> {
    // Casts of floats to integers saturate; both are on the image, or a pixel beside it.
    low.ceil().max(0.0) as usize..(high.floor() + 1.0).max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// 20 × 16 pixels of 0.5 × 0.8 mm, turned in their plane, and 4 slices.
    fn image() -> Geometry {
        let (s, c) = 0.4f64.sin_cos();
        let turned = [c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0];
        Geometry::new([20, 16, 4], [0.5, 0.8, 2.0], [-7.0, 3.0, -50.0], turned).unwrap()
    }

    /// A line on slice 2 by its points in pixels.
    fn line(points: &[[f64; 2]]) -> Vec<[f64; 3]> {
        points.iter().map(|[i, j]| image().voxel_to_patient([*i, *j, 2.0])).collect()
    }

    fn pixels(lines: &[Vec<[f64; 3]>]) -> BTreeSet<[usize; 3]> {
        mask(lines, &image()).unwrap().iter().flat_map(PlacedMask::voxels).collect()
    }

    fn rectangle(i: [f64; 2], j: [f64; 2]) -> Vec<[f64; 2]> {
        vec![[i[0], j[0]], [i[1], j[0]], [i[1], j[1]], [i[0], j[1]]]
    }

    fn boxed(i: std::ops::Range<usize>, j: std::ops::Range<usize>) -> BTreeSet<[usize; 3]> {
        j.flat_map(|j| i.clone().map(move |i| [i, j, 2])).collect()
    }

    #[test]
    fn centres_inside_and_on_the_line_count() {
        assert_eq!(pixels(&[line(&rectangle([2.1, 5.9], [3.4, 6.2]))]), boxed(3..6, 4..7));
        assert_eq!(pixels(&[line(&rectangle([2.0, 5.0], [3.0, 6.0]))]), boxed(2..6, 3..7));
        // A point, a line forth and back, and nothing.
        assert_eq!(pixels(&[line(&[[4.0, 5.0]])]), boxed(4..5, 5..6));
        assert_eq!(pixels(&[line(&[[4.0, 5.0], [7.0, 5.0]])]), boxed(4..8, 5..6));
        assert_eq!(pixels(&[line(&[[4.2, 5.2], [4.8, 5.2], [4.5, 5.9]])]), BTreeSet::new());
        assert_eq!(pixels(&[]), BTreeSet::new());
        assert_eq!(pixels(&[Vec::new()]), BTreeSet::new());
    }

    #[test]
    fn a_line_within_another_is_a_hole_and_so_is_a_keyhole() {
        let outer = rectangle([1.5, 9.5], [1.5, 9.5]);
        let inner = rectangle([3.5, 6.5], [3.5, 6.5]);
        let ring: BTreeSet<_> =
            boxed(2..10, 2..10).difference(&boxed(4..7, 4..7)).copied().collect();
        assert_eq!(pixels(&[line(&outer), line(&inner)]), ring);
        // In along a channel between two rows of pixels, round the hole, and out again.
        let mut keyhole = vec![[1.5, 4.5], [3.5, 4.5]];
        keyhole.extend([[3.5, 6.5], [6.5, 6.5], [6.5, 3.5], [3.5, 3.5], [3.5, 4.5], [1.5, 4.5]]);
        keyhole.extend([[1.5, 1.5], [9.5, 1.5], [9.5, 9.5], [1.5, 9.5]]);
        assert_eq!(pixels(&[line(&keyhole)]), ring);
        // Two lines beside each other are both inside.
        let beside =
            [line(&rectangle([1.5, 3.5], [1.5, 3.5])), line(&rectangle([5.5, 7.5], [1.5, 3.5]))];
        assert_eq!(pixels(&beside), boxed(2..4, 2..4).union(&boxed(6..8, 2..4)).copied().collect());
    }

    #[test]
    fn what_is_off_the_image_is_refused() {
        let refused = |points: Vec<[f64; 3]>| mask(&[points], &image()).unwrap_err();
        let at = |ijk: [f64; 3]| image().voxel_to_patient(ijk);
        let square = [[3.0, 3.0], [6.0, 3.0], [6.0, 6.0]];
        let on = |k: f64| square.map(|[i, j]| at([i, j, k])).to_vec();
        assert!(mask(&[on(2.09)], &image()).is_ok());
        let error = refused(on(2.11)).to_string();
        assert!(error.contains("lies 0.2200 mm off the plane of slice 2"), "{error}");
        assert!(error.ends_with("expected at most 0.2000 mm among 4 slices from 0"), "{error}");
        assert!(matches!(refused(on(4.0)), ContourOffImage::Slice { k: 4, .. }));
        assert!(matches!(refused(on(-1.0)), ContourOffImage::Slice { k: -1, .. }));
        let mut oblique = on(2.0);
        oblique[2] = at([6.0, 6.0, 3.0]);
        assert!(matches!(refused(oblique), ContourOffImage::Slice { k: 2, .. }));
        let mut far = on(1.0);
        far[0] = at([-0.6, 3.0, 1.0]);
        assert!(matches!(refused(far.clone()), ContourOffImage::Edge { .. }));
        far[0] = [f64::MAX; 3];
        refused(far);
    }

    /// Whether a point is inside, by the sum of the angles under which it sees the line.
    fn winds(line: &[[f64; 2]], p: [f64; 2]) -> bool {
        let sum: f64 = (0..line.len())
            .map(|n| {
                let [a, b] =
                    [line[n], line[(n + 1) % line.len()]].map(|q| [q[0] - p[0], q[1] - p[1]]);
                (a[0] * b[1] - a[1] * b[0]).atan2(a[0] * b[0] + a[1] * b[1])
            })
            .sum();
        (sum / std::f64::consts::TAU).round() as i64 % 2 != 0
    }

    proptest! {
        /// Lines may cross themselves: an odd number of turns about a centre is inside.
        #[test]
        fn inside_is_an_odd_number_of_turns(
            points in prop::collection::vec([0.0..19.0f64, 0.0..15.0f64], 3..12),
        ) {
            let found = pixels(&[line(&points)]);
            for n in 0..20 * 16 {
                let [i, j] = [n % 20, n / 20];
                let p = [i as f64, j as f64];
                // Too near the line to tell.
                let near = on_line_tolerant(&points, p);
                prop_assert!(near || found.contains(&[i, j, 2]) == winds(&points, p), "{:?}", p);
            }
        }
    }

    fn on_line_tolerant(line: &[[f64; 2]], p: [f64; 2]) -> bool {
        (0..line.len()).any(|n| {
            let (a, b) = (line[n], line[(n + 1) % line.len()]);
            let d = [b[0] - a[0], b[1] - a[1]];
            let length2 = (d[0] * d[0] + d[1] * d[1]).max(1e-12);
            let t = (((p[0] - a[0]) * d[0] + (p[1] - a[1]) * d[1]) / length2).clamp(0.0, 1.0);
            (p[0] - a[0] - t * d[0]).hypot(p[1] - a[1] - t * d[1]) < 0.01
        })
    }
}
