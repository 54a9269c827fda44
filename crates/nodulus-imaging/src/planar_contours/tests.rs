//! Lines drawn on a small, turned image.

use super::*;
use proptest::prelude::*;

/// 20 × 16 pixels of 0.5 × 0.8 mm, turned in their plane, and 4 slices.
fn image() -> Geometry {
    let (s, c) = 0.4f64.sin_cos();
    let turned = [c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0];
    Geometry::new([20, 16, 4], [0.5, 0.8, 2.0], [-7.0, 3.0, -50.0], turned).unwrap()
}

fn rules() -> ContourRules {
    ContourRules::default()
}

/// A line on slice 2 by its points in pixels.
fn line(points: &[[f64; 2]]) -> Vec<[f64; 3]> {
    points.iter().map(|[i, j]| image().voxel_to_patient([*i, *j, 2.0])).collect()
}

fn pixels(lines: &[Vec<[f64; 3]>]) -> BTreeSet<[usize; 3]> {
    pixels_by(lines, PixelEdge::Inside)
}

fn pixels_by(lines: &[Vec<[f64; 3]>], edge: PixelEdge) -> BTreeSet<[usize; 3]> {
    let found = mask(lines, &image(), &ContourRules { edge, ..rules() }).unwrap();
    found.mask.iter().flat_map(PlacedMask::voxels).collect()
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
    let ring: BTreeSet<_> = boxed(2..10, 2..10).difference(&boxed(4..7, 4..7)).copied().collect();
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
    let refused = |points: Vec<[f64; 3]>| mask(&[points], &image(), &rules()).unwrap_err();
    let at = |ijk: [f64; 3]| image().voxel_to_patient(ijk);
    let square = [[3.0, 3.0], [6.0, 3.0], [6.0, 6.0]];
    let on = |k: f64| square.map(|[i, j]| at([i, j, k])).to_vec();
    assert!(mask(&[on(2.09)], &image(), &rules()).is_ok());
    let error = refused(on(2.11)).to_string();
    assert!(error.contains("lies 0.2200 mm off the plane of slice 2"), "{error}");
    let expected = "expected at most 0.2000 mm; `masks.off_plane` is 0.1 of the gap between slices, and 0.5 takes \
                    the nearest one";
    assert!(error.ends_with(expected), "{error}");
    for (k, expected) in [
        (4.0, "2.0000 mm past the last of the image's 4 slices"),
        (-1.5, "3.0000 mm past the first"),
    ] {
        let error = refused(on(k)).to_string();
        assert!(error.contains(expected), "{error}");
    }
    let mut oblique = on(2.0);
    oblique[2] = at([6.0, 6.0, 3.0]);
    assert!(matches!(refused(oblique), ContourOffImage::Slice { k: 2, .. }));
    let mut far = on(1.0);
    far[0] = at([-0.6, 3.0, 1.0]);
    assert!(matches!(refused(far.clone()), ContourOffImage::Edge { .. }));
    far[0] = [f64::MAX; 3];
    refused(far);
}

#[test]
fn half_open_lines_share_no_pixel() {
    let square = |i, j| line(&rectangle(i, j));
    let half = |lines: &[Vec<[f64; 3]>]| pixels_by(lines, PixelEdge::HalfOpen);
    assert_eq!(half(&[square([2.0, 5.0], [3.0, 6.0])]), boxed(3..6, 3..6));
    // Rounding to 6 decimals moves no pixel over the line.
    let rounded: Vec<[f64; 3]> = square([2.0, 5.0], [3.0, 6.0])
        .iter()
        .map(|point| point.map(|mm| (mm * 1e4).round() / 1e4))
        .collect();
    assert_eq!(half(&[rounded]), boxed(3..6, 3..6));
    let left = half(&[square([2.0, 5.0], [3.0, 6.0])]);
    let right = half(&[square([5.0, 9.0], [3.0, 6.0])]);
    assert!(left.is_disjoint(&right));
    assert_eq!(left.union(&right).copied().collect::<BTreeSet<_>>(), boxed(3..10, 3..6));
    // A diamond through centres: the rows of plastimatch 1.10, from its second corner's row on.
    let diamond = half(&[line(&[[10.0, 2.0], [15.0, 7.0], [10.0, 12.0], [5.0, 7.0]])]);
    let row = |j: usize| {
        let of_row = diamond.iter().filter(|[_, row, _]| *row == j);
        of_row.map(|[i, ..]| *i).collect::<Vec<_>>()
    };
    assert!(row(2).is_empty() && row(12).is_empty());
    assert_eq!([row(3), row(11)], [vec![10, 11], vec![10, 11]]);
    assert_eq!(row(7), (6..16).collect::<Vec<_>>());
    assert_eq!(diamond.len(), 50);
    // Between centres both rules agree.
    let between = [square([1.5, 9.5], [1.5, 9.5]), square([3.5, 6.5], [3.5, 6.5])];
    assert_eq!(half(&between), pixels(&between));
    assert_eq!(half(&[line(&[[4.0, 5.0], [7.0, 5.0]])]), BTreeSet::new());
}

#[test]
fn a_contour_that_is_there_twice_counts_once() {
    let points = rectangle([2.1, 5.9], [3.4, 6.2]);
    let mut turned = points.clone();
    turned.rotate_left(2);
    let mut back = points.clone();
    back.reverse();
    let closed = [&points[..], &points[..1]].concat();
    for other in [points.clone(), turned, back, closed] {
        let both = [line(&points), line(&other)];
        let found = mask(&both, &image(), &rules()).unwrap();
        assert_eq!(found.irregularities, BTreeSet::from([Irregularity::DuplicateContour]));
        assert_eq!(pixels(&both), boxed(3..6, 4..7));
    }
    // The same points on another slice, or others on the same, are other contours.
    let above: Vec<_> =
        points.iter().map(|[i, j]| image().voxel_to_patient([*i, *j, 3.0])).collect();
    let found = mask(&[line(&points), above], &image(), &rules()).unwrap();
    assert_eq!(found.mask.unwrap().mask.count(), 18);
    assert!(found.irregularities.is_empty());
}

#[test]
fn the_nearest_slice_takes_the_nearest_plane() {
    let at = |k: f64, i: f64| -> Vec<[f64; 3]> {
        let points = rectangle([i, i + 1.9], [3.4, 6.2]);
        points.iter().map(|[i, j]| image().voxel_to_patient([*i, *j, k])).collect()
    };
    let nearest = ContourRules { off_plane: 0.5, ..rules() };
    let found = mask(&[at(1.6, 2.1)], &image(), &nearest).unwrap();
    assert_eq!(found.irregularities, BTreeSet::from([Irregularity::OffPlane]));
    assert_eq!(found.mask.unwrap().start[2], 2);
    // Planes at 1.7 and 2.1 both come to slice 2: the second is nearer.
    let found = mask(&[at(1.7, 2.1), at(2.1, 9.1)], &image(), &nearest).unwrap();
    let expected = [Irregularity::OffPlane, Irregularity::OtherPlane];
    assert_eq!(found.irregularities, BTreeSet::from(expected));
    assert_eq!(found.mask.unwrap().start, [10, 4, 2]);
    assert!(mask(&[at(1.7, 2.1)], &image(), &rules()).is_err());
}

/// Whether a point is inside, by the sum of the angles under which it sees the line.
fn winds(line: &[[f64; 2]], p: [f64; 2]) -> bool {
    let sum: f64 = (0..line.len())
        .map(|n| {
            let [a, b] = [line[n], line[(n + 1) % line.len()]].map(|q| [q[0] - p[0], q[1] - p[1]]);
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
