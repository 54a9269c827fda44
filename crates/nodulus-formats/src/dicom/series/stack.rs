//! Orders slices, and places them in the patient.

use super::acquisitions::check_single;
use super::few_positions;
use super::quantity;
use super::same_series::{MOST_ROUNDED, ROUNDING_TOLERANCE, angle_tolerance, check_same};
use super::slice::SliceHeader;
use super::slice_spacing::{EXACT_MM, EvenGrid, even_grid, spacing_of_single};
use super::tilt::{self, MOST_DEGREES, Tilt, TiltedSlices};
use super::tolerances::Tolerances;
use crate::dicom::error::{Error, Problem};
use crate::dicom::irregularities::{Irregularities, Irregularity};
use crate::volume::Geometry;
use dicom_dictionary_std::tags;

/// The slices of a volume in order.
#[derive(Debug)]
pub(crate) struct SliceStack<'a> {
    /// The geometry of the volume.
    pub(crate) geometry: Geometry,
    /// The slice at each k.
    pub(crate) slices: Vec<&'a SliceHeader>,
    /// Slices that are skipped because another one lies at their position, each with that position's k.
    pub(crate) duplicates: Vec<(&'a SliceHeader, usize)>,
    /// Largest deviation of a gap from the spacing along k.
    pub(crate) gap_max_deviation_mm: f64,
    /// Largest distance of a slice's position from its voxel on the grid; of a tilted series, from its plane.
    pub(crate) grid_residual_mm: f64,
    /// How the slices lie on the grid, where a tilted gantry shifts them.
    pub(crate) tilted: Option<TiltedSlices>,
    /// Faults that were read past.
    pub(crate) irregularities: Irregularities,
}

/// METHOD: slices closer than this lie at one position. LIDC-IDRI rounds positions to 1e-6 mm, and its closest slices
/// are 0.45 mm apart.
pub(super) const SAME_POSITION_MM: f64 = 1e-3;

/// How far a length that is computed from decimals may miss a limit: 1 - 0.999 is over 0.001 by the last digit.
const EXACT: f64 = 1e-9;

/// Orders slices along their normal, the cross product of i and j, and checks that they make up a regular grid, and one
/// image alone.
pub(crate) fn stack<'a>(
    slices: &'a [SliceHeader],
    tolerances: &Tolerances,
) -> Result<SliceStack<'a>, Error> {
    stack_by(slices, tolerances, check_single)
}

/// [`stack`] for slices that it stacked before, so that they are known to be of one image.
pub(crate) fn stack_again<'a>(
    slices: &'a [SliceHeader],
    tolerances: &Tolerances,
) -> Result<SliceStack<'a>, Error> {
    stack_by(slices, tolerances, |_, _| Ok(()))
}

fn stack_by<'a>(
    slices: &'a [SliceHeader],
    tolerances: &Tolerances,
    check_single: impl Fn(&[SliceHeader], &[f64]) -> Result<(), Error>,
) -> Result<SliceStack<'a>, Error> {
    let first = slices.first().ok_or(Error::NoSlices {
        n_files: 0,
        folder: "".into(),
        aside: Vec::new(),
    })?;
    let mut irregularities = Irregularities::default();
    // What a series is comes before the faults that its slices have.
    quantity::check(slices)?;
    few_positions::check_jitter(slices)?;
    check_same(first, slices, tolerances, &mut irregularities)?;
    let axes = axes(first, tolerances, &mut irregularities)?;
    let along = |slice: &SliceHeader| dot(slice.position_mm, axes[2]);
    check_single(slices, &slices.iter().map(along).collect::<Vec<_>>())?;
    let mut ordered: Vec<&SliceHeader> = slices.iter().collect();
    // Of two slices at one position, the one with the lesser UID is kept, whatever the order of the files.
    ordered.sort_by(|a, b| {
        let own = |slice: &'a SliceHeader| (&slice.sop_instance_uid, slice.location.number);
        along(a).total_cmp(&along(b)).then_with(|| own(a).cmp(&own(b)))
    });
    let mut kept: Vec<&SliceHeader> = Vec::new();
    let mut duplicates = Vec::new();
    for slice in &ordered {
        match kept.last() {
            Some(last) if along(slice) - along(last) < SAME_POSITION_MM => {
                duplicates.push((*slice, kept.len() - 1));
            }
            _ => kept.push(slice),
        }
    }
    let line = check_sideways(&ordered, axes[2], tolerances)?;
    let heights: Vec<f64> = kept.iter().map(|slice| along(slice)).collect();
    let grid = match (&heights[..], &kept[..]) {
        ([start_mm], [single]) => EvenGrid {
            start_mm: *start_mm,
            spacing_mm: spacing_of_single(single, ordered.len())?,
            gap_max_deviation_mm: 0.0,
        },
        _ => even_grid(&heights, &kept, last_decimal_mm(slices, axes[2]), tolerances)?,
    };
    let [si, sj] = first.spacing_mm;
    let size = [first.size[0], first.size[1], kept.len()];
    let direction = std::array::from_fn(|at| axes[at % 3][at / 3]);
    let lowest = kept[0];
    // The first slice, moved onto the line through all slices where it lies off it.
    let sideways_mm =
        if let Line::Straight { first_off_mm } = line { first_off_mm } else { [0.0; 3] };
    let off_line: [f64; 3] =
        std::array::from_fn(|a| sideways_mm[a] + (grid.start_mm - heights[0]) * axes[2][a]);
    let origin_mm = std::array::from_fn(|a| lowest.position_mm[a] + off_line[a]);
    let invalid = |error| Error::file(&lowest.name(), error);
    let geometry =
        Geometry::new(size, [si, sj, grid.spacing_mm], origin_mm, direction).map_err(invalid)?;
    let residual = |(k, slice): (usize, &&SliceHeader)| {
        let expected = geometry.voxel_to_patient([0.0, 0.0, k as f64]);
        let off: [f64; 3] = std::array::from_fn(|a| slice.position_mm[a] - expected[a]);
        match line {
            Line::Straight { .. } => dot(off, off).sqrt(),
            Line::Tilted { .. } => dot(off, axes[2]).abs(),
        }
    };
    let grid_residual_mm = kept.iter().enumerate().map(residual).fold(0.0, f64::max);
    let (geometry, tilted) = match line {
        Line::Straight { .. } => (geometry, None),
        Line::Tilted { degrees } => {
            let positions: Vec<_> = kept.iter().map(|slice| slice.position_mm).collect();
            let (wider, slices) = tilt::widen(&geometry, &positions, degrees).map_err(invalid)?;
            (wider, Some(slices))
        }
    };
    for irregular in slices.iter().flat_map(|slice| &slice.irregular) {
        irregularities.add(*irregular, 1);
    }
    let gap_max_deviation_mm = grid.gap_max_deviation_mm;
    Ok(SliceStack {
        geometry,
        slices: kept,
        duplicates,
        gap_max_deviation_mm,
        grid_residual_mm,
        tilted,
        irregularities,
    })
}

/// How much rounding in the last decimal of positions changes a height along the normal.
///
/// METHOD: the decimals that are enough for 90% of the slices: a few slices with more do not make the others more exact.
fn last_decimal_mm(slices: &[SliceHeader], normal: [f64; 3]) -> f64 {
    let step = |axis: usize| {
        let mut steps: Vec<f64> = slices.iter().map(|slice| slice.position_step_mm[axis]).collect();
        steps.sort_by(|a, b| b.total_cmp(a));
        let enough = (9 * steps.len()).div_ceil(10);
        steps[enough.saturating_sub(1)]
    };
    (0..3).map(|axis| normal[axis].abs() * step(axis)).sum()
}

/// Unit vectors of i, j and k.
///
/// METHOD: like ITK's `GDCMImageIO`, the rounded cosines are made exactly orthonormal: k is the cross product of i
/// and j, i that of j and k, j that of k and i.
fn axes(
    slice: &SliceHeader,
    tolerances: &Tolerances,
    irregularities: &mut Irregularities,
) -> Result<[[f64; 3]; 3], Error> {
    let [i0, i1, i2, j0, j1, j2] = slice.orientation;
    let (i, j) = ([i0, i1, i2], [j0, j1, j2]);
    let length = (dot(i, i).sqrt() - 1.0).abs().max((dot(j, j).sqrt() - 1.0).abs());
    let (skew, most_skew) = (dot(i, j).abs(), angle_tolerance(slice, tolerances, MOST_ROUNDED));
    if !(length <= MOST_ROUNDED + EXACT && skew <= most_skew + EXACT) {
        let deviation = length.max(skew);
        let found = format!("{:?}, off by {deviation:.4e}", slice.orientation);
        let expected = format!(
            "two unit vectors to within {MOST_ROUNDED:e}, at right angles to within {most_skew:.4e}"
        );
        let problem = Problem::value(tags::IMAGE_ORIENTATION_PATIENT, found, expected);
        return Err(Error::file(&slice.name(), problem));
    }
    if length.max(skew) > ROUNDING_TOLERANCE / 2.0 {
        irregularities.add(Irregularity::Orientation, 1);
    }
    let k = unit(cross(i, j));
    let i = unit(cross(j, k));
    Ok([i, unit(cross(k, i)), k])
}

/// The line that the slices lie on.
#[derive(Clone, Copy, Debug)]
enum Line {
    /// Along the normal.
    Straight {
        /// How far the line lies from the first slice; zero if all slices lie exactly on its own line.
        first_off_mm: [f64; 3],
    },
    /// At an angle to the normal, as with a tilted gantry.
    Tilted { degrees: f64 },
}

/// Refuses slices that do not lie on one line along their normal, or, where a tilt is resampled, on any line.
fn check_sideways(
    ordered: &[&SliceHeader],
    normal: [f64; 3],
    tolerances: &Tolerances,
) -> Result<Line, Error> {
    let straight = Line::Straight { first_off_mm: [0.0; 3] };
    let Some(first) = ordered.first() else { return Ok(straight) };
    let offset = |slice: &SliceHeader| -> ([f64; 3], f64) {
        let offset: [f64; 3] = std::array::from_fn(|a| slice.position_mm[a] - first.position_mm[a]);
        let along = dot(offset, normal);
        (std::array::from_fn(|a| offset[a] - along * normal[a]), along)
    };
    let mut centre = [0.0; 3];
    for slice in ordered {
        let (sideways, _) = offset(slice);
        centre = std::array::from_fn(|a| centre[a] + sideways[a] / ordered.len() as f64);
    }
    let from = |slice: &SliceHeader, centre: [f64; 3]| {
        let (sideways, _) = offset(slice);
        let off: [f64; 3] = std::array::from_fn(|a| sideways[a] - centre[a]);
        dot(off, off).sqrt()
    };
    let farthest = |centre| {
        let worst = ordered.iter().max_by(|a, b| from(a, centre).total_cmp(&from(b, centre)));
        worst.map_or((*first, 0.0), |slice| (*slice, from(slice, centre)))
    };
    let (slice, sideways_mm) = farthest([0.0; 3]);
    if sideways_mm <= EXACT_MM {
        return Ok(straight);
    }
    let tolerance_mm = tolerances.off_grid * first.spacing_mm[0].min(first.spacing_mm[1]);
    if farthest(centre).1 <= tolerance_mm {
        return Ok(Line::Straight { first_off_mm: centre });
    }
    let offsets: Vec<_> = ordered.iter().map(|slice| offset(slice)).collect();
    match (tolerances.tilt, tilt::line_degrees(&offsets, tolerance_mm)) {
        (Tilt::Resample, Some(degrees)) if degrees <= MOST_DEGREES => Ok(Line::Tilted { degrees }),
        (_, degrees) => {
            let (file, first, along_mm) = (slice.name(), first.name(), offset(slice).1);
            Err(Error::Tilted { file, first, sideways_mm, along_mm, tolerance_mm, degrees })
        }
    }
}

pub(crate) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn unit(a: [f64; 3]) -> [f64; 3] {
    let length = dot(a, a).sqrt();
    // Adding zero turns -0 into 0.
    a.map(|v| v / length + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::series::same_series::close;
    use crate::dicom::tests::samples::slice_at;

    /// Axial slices at these heights, named by their index.
    fn at_heights(heights: &[f64]) -> Vec<SliceHeader> {
        let slice = |(at, z): (usize, &f64)| slice_at(at, [-10.0, 20.0, *z]);
        heights.iter().enumerate().map(slice).collect()
    }

    fn turn(slices: &mut [SliceHeader], orientation: [f64; 6]) {
        for slice in slices {
            slice.orientation = orientation;
        }
    }

    fn assert_close(found: &[f64], expected: &[f64]) {
        assert!(close(found, expected, 1e-12), "{found:?}, expected {expected:?}");
    }

    fn refused(slices: &[SliceHeader]) -> String {
        stack(slices, &Tolerances::default()).unwrap_err().to_string()
    }

    #[test]
    fn slices_are_ordered_along_the_normal() {
        let slices = at_heights(&[7.5, 0.0, 2.5, 5.001]);
        let stacked = stack(&slices, &Tolerances::default()).unwrap();
        let files: Vec<_> = stacked.slices.iter().map(|s| s.file.to_str().unwrap()).collect();
        assert_eq!(files, ["1", "2", "3", "0"]);
        assert_eq!(stacked.geometry.size(), [3, 2, 4]);
        // Gaps 2.5, 2.501, 2.499: the least-squares line is 0.0001 + 2.5001 k.
        assert_close(&stacked.geometry.origin_mm(), &[-10.0, 20.0, 0.0001]);
        assert_close(&stacked.geometry.spacing().ijk(), &[0.5, 0.75, 2.5001]);
        assert!((stacked.gap_max_deviation_mm - 0.0011).abs() < 1e-12);
        assert!((stacked.grid_residual_mm - 0.0007).abs() < 1e-12);
    }

    #[test]
    fn the_normal_follows_the_orientation() {
        // Rows run to the right and columns to the front: the normal still points to the head. If only the columns
        // are reversed, it points to the feet, and k ascends that way.
        for (orientation, normal_z, first) in [
            ([-1.0, 0.0, 0.0, 0.0, -1.0, 0.0], 1.0, 0.0),
            ([1.0, 0.0, 0.0, 0.0, -1.0, 0.0], -1.0, 5.0),
        ] {
            let mut slices = at_heights(&[0.0, 2.5, 5.0]);
            turn(&mut slices, orientation);
            let geometry = stack(&slices, &Tolerances::default()).unwrap().geometry;
            assert_close(&geometry.axis(0), &[orientation[0], 0.0, 0.0]);
            assert_close(&geometry.axis(1), &[0.0, orientation[4], 0.0]);
            assert_close(&geometry.axis(2), &[0.0, 0.0, normal_z]);
            assert_close(&geometry.origin_mm(), &[-10.0, 20.0, first]);
        }
    }

    #[test]
    fn an_oblique_stack_is_measured_along_its_normal() {
        // Rotated about x by atan(3/4): j = (0, 0.8, 0.6), normal = (0, -0.6, 0.8).
        let mut slices: Vec<_> = (0..3)
            .map(|k| slice_at(k, [1.0, -0.6 * 2.0 * k as f64, 0.8 * 2.0 * k as f64]))
            .collect();
        turn(&mut slices, [1.0, 0.0, 0.0, 0.0, 0.8, 0.6]);
        let geometry = stack(&slices, &Tolerances::default()).unwrap().geometry;
        assert!((geometry.spacing().ijk()[2] - 2.0).abs() < 1e-12);
        let expected = [1.0, 0.0, 0.0, 0.0, 0.8, -0.6, 0.0, 0.6, 0.8];
        assert_close(&geometry.direction(), &expected);
    }

    #[test]
    fn rounded_cosines_are_made_orthonormal_and_a_shear_is_refused() {
        let mut slices = at_heights(&[0.0, 1.0]);
        turn(&mut slices, [0.99999, 0.0, 0.0, 1e-5, 1.0, 0.0]);
        let direction = stack(&slices, &Tolerances::default()).unwrap().geometry.direction();
        let norm: f64 = (0..3).map(|r| direction[3 * r] * direction[3 * r]).sum();
        let dot: f64 = (0..3).map(|r| direction[3 * r] * direction[3 * r + 1]).sum();
        assert!((norm - 1.0).abs() < 1e-15 && dot.abs() < 1e-15);
        // At the limit.
        turn(&mut slices, [0.999, 0.0, 0.0, 0.0, 1.001, 0.0]);
        assert!(stack(&slices, &Tolerances::default()).is_ok());
        turn(&mut slices, [1.0, 0.0, 0.0, 0.01, 1.0, 0.0]);
        assert!(refused(&slices).contains("`0`: ImageOrientationPatient"), "{}", refused(&slices));
    }

    #[test]
    fn slices_at_one_position_are_listed_as_duplicates() {
        let slices = at_heights(&[2.0, 0.0, 1.0, 2.0, 3.0]);
        let stacked = stack(&slices, &Tolerances::default()).unwrap();
        assert_eq!(stacked.slices.len(), 4);
        // Slices 0 and 3 lie at 2 mm: the least UID stays.
        let [(duplicate, k)] = stacked.duplicates[..] else { panic!() };
        assert_eq!((duplicate.file.to_str(), k), (Some("3"), 2));
    }

    #[test]
    fn holes_and_uneven_gaps_are_refused_with_their_size() {
        let hole = refused(&at_heights(&[0.0, 2.5, 10.0, 12.5, 15.0]));
        let expected = "2 slices are missing; the widest gap, between `1` and `2`, is 7.5000 mm, \
                        expected 2.5000 mm";
        assert_eq!(hole, expected);
        let holes = refused(&at_heights(&[0.0, 2.5, 7.5, 10.0, 12.5, 15.0, 20.0]));
        assert!(holes.starts_with("2 slices are missing"), "{holes}");
        // Every third one: half of the gaps are twice as wide.
        let third = refused(&at_heights(&[0.0, 1.0, 3.0, 4.0, 6.0]));
        assert!(third.starts_with("2 slices are missing"), "{third}");
        assert!(third.ends_with("is 2.0000 mm, expected 1.0000 mm"), "{third}");
        let uneven = refused(&at_heights(&[0.0, 2.5, 5.0, 7.0]));
        assert!(
            uneven.contains("`2` and `3` is 2.0000 mm, expected 2.5000 mm to within 0.0250 mm"),
            "{uneven}"
        );
        // Each gap is within 1% of the median, but the upper half drifts: 60 gaps of 1.009 after 61 of 1. NumPy's
        // polyfit has the same residual.
        let mut drifting: Vec<f64> = (0..=61).map(f64::from).collect();
        drifting.extend((1..=60).map(|k| 61.0 + 1.009 * f64::from(k)));
        let drift = refused(&at_heights(&drifting));
        assert!(drift.contains("`61` lies 0.1372 mm off its position"), "{drift}");
    }

    #[test]
    fn a_tilted_gantry_is_refused() {
        // The orientation is axial, but each slice lies 0.5 mm further to the front for 2.5 mm up: 11.3 degrees.
        let slices: Vec<_> =
            (0..5).map(|k| slice_at(k, [0.0, -0.5 * k as f64, 2.5 * k as f64])).collect();
        let tilt = refused(&slices);
        let expected = "`4` lies 2.0000 mm off the normal through `0` over 10.0000 mm along it, \
             expected at most 0.0500 mm (`tolerances.off_grid`): the gantry is tilted by 11.31 degrees; `ingest.tilt";
        assert!(tilt.starts_with(expected), "{tilt}");
    }

    #[test]
    fn a_single_slice_needs_its_spacing() {
        let mut slices = at_heights(&[4.0]);
        let error = refused(&slices);
        assert!(error.contains("SpacingBetweenSlices is missing"), "{error}");
        slices[0].spacing_between_slices_mm = Some(-1.0);
        assert!(refused(&slices).contains("is -1, expected"));
        slices[0].spacing_between_slices_mm = Some(1.5);
        assert_close(
            &stack(&slices, &Tolerances::default()).unwrap().geometry.spacing().ijk(),
            &[0.5, 0.75, 1.5],
        );
    }

    #[test]
    fn slices_that_differ_are_refused() {
        type Change = (&'static str, fn(&mut SliceHeader));
        let changes: [Change; 7] = [
            ("SeriesInstanceUID other", |s| s.series_instance_uid = "other".to_owned()),
            ("StudyInstanceUID other", |s| s.study_instance_uid = "other".to_owned()),
            ("FrameOfReferenceUID missing", |s| s.frame_of_reference_uid = None),
            ("PatientID `other`", |s| s.patient_id = "other".to_owned()),
            ("a size (columns, rows) of [2, 3]", |s| s.size = [2, 3]),
            ("a spacing (columns, rows; mm) of [0.5, 0.76]", |s| s.spacing_mm[1] = 0.76),
            ("ImageOrientationPatient [0.0, 1.0", |s| {
                s.orientation = [0.0, 1.0, 0.0, -1.0, 0.0, 0.0];
            }),
        ];
        for (expected, change) in changes {
            let mut slices = at_heights(&[0.0, 1.0, 2.0]);
            change(&mut slices[1]);
            let error = refused(&slices);
            assert!(error.starts_with(&format!("`1` has {expected}")), "{error}");
            assert!(error.ends_with("as in `0`"), "{error}");
        }
    }
}
