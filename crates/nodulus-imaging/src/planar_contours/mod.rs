//! Voxels inside closed lines in patient coordinates.

#[cfg(test)]
mod tests;

use super::irregularity::Irregularity;
use super::regrid::SLICE_TOLERANCE;
use nodulus_formats::limits::decimals_over;
use nodulus_formats::mask_file::PixelEdge;
use nodulus_formats::volume::{Geometry, PlacedMask};
use std::collections::{BTreeMap, BTreeSet};

/// Distance up to which a voxel's centre lies on a line.
const LINE_TOLERANCE_MM: f64 = 1e-3;

/// Heights of contours that belong to one plane differ by no more than this share of the gap between slices.
///
/// METHOD: contours of one slice lie within a tenth of the gap on either side of it.
const SAME_PLANE: f64 = 2.0 * SLICE_TOLERANCE;

/// How contours become voxels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ContourRules {
    /// Share of the gap between slices by which a point may lie off the plane of its contour's slice.
    pub off_plane: f64,
    /// Which pixels a contour encloses where it runs through their centres.
    pub edge: PixelEdge,
}

impl Default for ContourRules {
    fn default() -> Self {
        Self { off_plane: SLICE_TOLERANCE, edge: PixelEdge::Inside }
    }
}

/// The voxels inside contours.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnclosedVoxels {
    /// The voxels, in the smallest box; `None` without any.
    pub mask: Option<PlacedMask>,
    /// What was put right.
    pub irregularities: BTreeSet<Irregularity>,
}

/// A contour does not lie on the image.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ContourOffImage {
    /// A point lies past the first or last slice.
    #[error(
        "point {point_mm:?} mm lies {beyond_mm:.4} mm past {end} of the image's {n_slices} slices: the contour belongs \
         to another series, or slices are missing"
    )]
    PastStack {
        /// The point.
        point_mm: [f64; 3],
        /// Distance from the plane of the first or last slice.
        beyond_mm: f64,
        /// Which of them: `the first` or `the last`.
        end: &'static str,
        /// Number of slices.
        n_slices: usize,
    },
    /// A point lies in no slice's plane.
    #[error(
        "point {point_mm:?} mm lies {distance_mm:.n$} mm off the plane of slice {k}, which its contour \
         is nearest to, expected at most {tolerance_mm:.n$} mm; `masks.off_plane` is {off_plane} of the gap \
         between slices, and 0.5 takes the nearest one", n = decimals_over(*distance_mm, *tolerance_mm, 4)
    )]
    Slice {
        /// The point.
        point_mm: [f64; 3],
        /// The slice nearest to the contour's first point.
        k: usize,
        /// Distance from that slice's plane.
        distance_mm: f64,
        /// Allowed distance.
        tolerance_mm: f64,
        /// Allowed distance as a share of the gap between slices.
        off_plane: f64,
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

/// A contour on a slice.
struct SliceContour {
    /// Mean height of its points above the slice's plane, as a share of the gap between slices.
    height: f64,
    /// Its points, in millimetres from the first pixel's centre.
    line: Vec<[f64; 2]>,
}

/// The voxels inside closed lines.
///
/// METHOD: each line belongs to the slice whose plane its points lie in, within `off_plane` of the
/// distance between slices. Where lines of two planes come to one slice, those of the nearer plane
/// count; a line that is there twice counts once. A voxel is inside where its centre is enclosed by
/// an odd number of its slice's lines, so a line within another one is a hole (`CLOSEDPLANAR_XOR`
/// says so, and `CLOSED_PLANAR` is read likewise), and a keyhole's channel counts twice, which has
/// no effect. A centre on a line (within 0.001 mm) is inside: lines drawn from voxel to voxel, as
/// from a mask, then give that mask back. With `PixelEdge::HalfOpen`, a centre on a line is inside
/// where the area is on the side of lesser i or of greater j, as plastimatch's scan conversion has
/// it. LIDC's lines, which run outside their nodules, are different: see `rasterise`.
///
/// # Errors
///
/// Fails if a point lies in no slice, or outside the image.
pub fn mask(
    contours: &[Vec<[f64; 3]>],
    image: &Geometry,
    rules: &ContourRules,
) -> Result<EnclosedVoxels, ContourOffImage> {
    let [si, sj, _] = image.spacing().ijk();
    let mut slices: BTreeMap<usize, Vec<SliceContour>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut irregularities = BTreeSet::new();
    for contour in contours {
        let mut line = Vec::with_capacity(contour.len());
        let (mut slice, mut height) = (None, 0.0);
        for point in contour {
            let ijk = on_slice(*point, image, rules, &mut slice)?;
            let above = ijk[2] - slice.unwrap_or_default() as f64;
            if above.abs() > SLICE_TOLERANCE {
                irregularities.insert(Irregularity::OffPlane);
            }
            height += above / contour.len() as f64;
            line.push([ijk[0] * si, ijk[1] * sj]);
        }
        let Some(k) = slice else { continue };
        if seen.insert((k, canonical(&line))) {
            slices.entry(k).or_default().push(SliceContour { height, line });
        } else {
            irregularities.insert(Irregularity::DuplicateContour);
        }
    }
    let mut voxels = Vec::new();
    for (k, mut contours) in slices {
        let nearest = contours.iter().map(|c| c.height).min_by(|a, b| a.abs().total_cmp(&b.abs()));
        let n = contours.len();
        contours
            .retain(|c| nearest.is_some_and(|nearest| (c.height - nearest).abs() <= SAME_PLANE));
        if contours.len() < n {
            irregularities.insert(Irregularity::OtherPlane);
        }
        let lines: Vec<_> = contours.into_iter().map(|contour| contour.line).collect();
        voxels.extend(inside(&lines, [si, sj], rules.edge).into_iter().map(|[i, j]| [i, j, k]));
    }
    let mask = PlacedMask::of_voxels(voxels.iter().copied());
    Ok(EnclosedVoxels { mask, irregularities })
}

/// The points of a closed line, rounded to 0.001 mm, from its least point in its lesser direction: the same for one line
/// wherever and whichever way round it begins, with or without its first point repeated at the end.
fn canonical(line: &[[f64; 2]]) -> Vec<[i64; 2]> {
    // Casts of floats to integers saturate.
    let mut points: Vec<[i64; 2]> =
        line.iter().map(|point| point.map(|mm| (mm / LINE_TOLERANCE_MM).round() as i64)).collect();
    points.dedup();
    while points.len() > 1 && points.first() == points.last() {
        points.pop();
    }
    let from_least = |points: &[[i64; 2]]| -> Vec<[i64; 2]> {
        let least = points.iter().min();
        let starts = (0..points.len()).filter(|n| points.get(*n) == least);
        let turned = |n: usize| [&points[n..], &points[..n]].concat();
        starts.map(turned).min().unwrap_or_default()
    };
    let forwards = from_least(&points);
    points.reverse();
    forwards.min(from_least(&points))
}

/// Position of a point on the grid, checked to be in the slice of the previous points.
fn on_slice(
    point_mm: [f64; 3],
    image: &Geometry,
    rules: &ContourRules,
    slice: &mut Option<usize>,
) -> Result<[f64; 3], ContourOffImage> {
    let ijk = image.patient_to_voxel(point_mm);
    let [.., step_mm] = image.spacing().ijk();
    let [.., n_slices] = image.size();
    let nearest = slice.map_or(ijk[2].round(), |k| k as f64);
    if !(0.0..n_slices as f64).contains(&nearest) {
        let last = (n_slices - 1) as f64;
        let (end, beyond) =
            if nearest < 0.0 { ("the first", -ijk[2]) } else { ("the last", ijk[2] - last) };
        let beyond_mm = beyond * step_mm;
        return Err(ContourOffImage::PastStack { point_mm, beyond_mm, end, n_slices });
    }
    let k = nearest as usize;
    let distance = (ijk[2] - nearest).abs();
    if distance > rules.off_plane {
        let off_plane = rules.off_plane;
        let (distance_mm, tolerance_mm) = (distance * step_mm, off_plane * step_mm);
        return Err(ContourOffImage::Slice { point_mm, k, distance_mm, tolerance_mm, off_plane });
    }
    // The outermost pixels reach half a pixel past their centres.
    let on_image = (0..2).all(|a| {
        let near = 0.5 + LINE_TOLERANCE_MM / image.spacing().ijk()[a];
        (-near..=image.size()[a] as f64 - 1.0 + near).contains(&ijk[a])
    });
    if !on_image {
        return Err(ContourOffImage::Edge { point_mm, ijk, size: image.size() });
    }
    *slice = Some(k);
    Ok(ijk)
}

/// Pixels (i, j) inside lines whose points are in millimetres from the first pixel's centre; some
/// occur twice.
fn inside(lines: &[Vec<[f64; 2]>], [si, sj]: [f64; 2], edge: PixelEdge) -> Vec<[usize; 2]> {
    // Moved a little along i, a line has centres on its upper side inside and those on its lower side outside. Along j, a
    // row is crossed where the line begins on it, and not where it ends there.
    let half_open = |[x, y]: [f64; 2]| {
        let row = (y / sj).round() * sj;
        [x + LINE_TOLERANCE_MM, if (y - row).abs() <= LINE_TOLERANCE_MM { row } else { y }]
    };
    let mut pixels = Vec::new();
    let mut crossings: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for line in lines {
        let line: Vec<[f64; 2]> = match edge {
            PixelEdge::Inside => line.clone(),
            PixelEdge::HalfOpen => line.iter().copied().map(half_open).collect(),
        };
        let ends = line.iter().cycle().skip(1);
        for (a, b) in line.iter().zip(ends) {
            // A row is crossed where one end is at or above it and the other below: a corner on a
            // row counts once or twice, as the line passes through or turns back.
            let (low, high) = if a[1] <= b[1] { (a, b) } else { (b, a) };
            // A little more than the rows between the ends, as division rounds; each is then compared exactly.
            for j in rows(low[1] / sj - 1e-9, high[1] / sj + 1e-9) {
                let y = j as f64 * sj;
                if low[1] <= y && y < high[1] {
                    let t = (y - low[1]) / (high[1] - low[1]);
                    crossings.entry(j).or_default().push(low[0] + t * (high[0] - low[0]));
                }
            }
            if edge == PixelEdge::Inside {
                pixels.extend(on_line(*a, *b, [si, sj]));
            }
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
