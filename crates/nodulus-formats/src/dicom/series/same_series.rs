//! Refuses slices that differ in what a series has once.

use super::slice::SliceHeader;
use super::tolerances::Tolerances;
use crate::dicom::error::Error;
use crate::dicom::irregularities::{Irregularities, Irregularity};

/// METHOD: scanners round direction cosines and spacings to 6 digits or fewer.
pub(crate) const ROUNDING_TOLERANCE: f64 = 1e-4;

/// METHOD: some software rounds direction cosines to 3 digits.
pub(crate) const MOST_ROUNDED: f64 = 1e-3;

/// METHOD: axes that turn by more, over half a degree, do not jitter, however small the slice.
const MOST_JITTER: f64 = 1e-2;

/// Refuses slices that differ in an attribute that a series has once.
pub(crate) fn check_same(
    first: &SliceHeader,
    slices: &[SliceHeader],
    tolerances: &Tolerances,
    irregularities: &mut Irregularities,
) -> Result<(), Error> {
    type Check = (&'static str, fn(&SliceHeader, &SliceHeader) -> bool, fn(&SliceHeader) -> String);
    let checks: [Check; 6] = [
        (
            "SeriesInstanceUID",
            |a, b| a.series_instance_uid == b.series_instance_uid,
            |slice| slice.series_instance_uid.clone(),
        ),
        (
            "StudyInstanceUID",
            |a, b| a.study_instance_uid == b.study_instance_uid,
            |slice| slice.study_instance_uid.clone(),
        ),
        (
            "FrameOfReferenceUID",
            |a, b| a.frame_of_reference_uid == b.frame_of_reference_uid,
            |slice| slice.frame_of_reference_uid.clone().unwrap_or_else(|| "missing".to_owned()),
        ),
        (
            "PatientID",
            |a, b| a.patient_id == b.patient_id,
            |slice| format!("`{}`", slice.patient_id),
        ),
        ("a size (columns, rows) of", |a, b| a.size == b.size, |slice| format!("{:?}", slice.size)),
        (
            "a spacing (columns, rows; mm) of",
            |a, b| close(&a.spacing_mm, &b.spacing_mm, ROUNDING_TOLERANCE * b.spacing_mm[0]),
            |slice| format!("{:?}", slice.spacing_mm),
        ),
    ];
    let mixed = |attribute, slice: &SliceHeader, show: fn(&SliceHeader) -> String| Error::Mixed {
        attribute,
        file: slice.name(),
        found: show(slice),
        first: first.name(),
        expected: show(first),
    };
    let jitter = angle_tolerance(first, tolerances, MOST_JITTER);
    for slice in slices {
        for (attribute, same, show) in checks {
            if !same(slice, first) {
                return Err(mixed(attribute, slice, show));
            }
        }
        if !close(&slice.orientation, &first.orientation, ROUNDING_TOLERANCE) {
            if !close(&slice.orientation, &first.orientation, jitter) {
                let pairs = slice.orientation.iter().zip(&first.orientation);
                let off = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                return Err(Error::Mixed {
                    attribute: "ImageOrientationPatient",
                    file: slice.name(),
                    found: format!("{:?}, off by {off:.4e}", slice.orientation),
                    first: first.name(),
                    expected: format!(
                        "{:?} to within {jitter:.4e} (`tolerances.off_grid` over the slice's voxels)",
                        first.orientation
                    ),
                });
            }
            irregularities.add(Irregularity::OrientationJitter, 1);
        }
    }
    Ok(())
}

/// The change of a direction cosine that moves the far end of a slice by `off_grid` voxels.
///
/// METHOD: not less than cosines are rounded by, and not more than `most`.
pub(crate) fn angle_tolerance(slice: &SliceHeader, tolerances: &Tolerances, most: f64) -> f64 {
    let voxels = slice.size[0].max(slice.size[1]).max(1) as f64;
    (tolerances.off_grid / voxels).clamp(ROUNDING_TOLERANCE, most)
}

pub(crate) fn close(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}
