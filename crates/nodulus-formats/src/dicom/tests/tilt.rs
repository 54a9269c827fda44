//! Scans of a tilted gantry, whose values are a linear field: linear interpolation brings it back exactly.

use super::samples;
use crate::dicom::{Error, Tilt, Tolerances, read_series, read_slices};
use crate::volume::{Geometry, SliceRanges, Volume};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use ndarray::Array3;
use std::path::{Path, PathBuf};

const SIZE: [usize; 3] = [12, 10, 5];
const RESAMPLE: Tolerances = Tolerances {
    slice_gap: 0.01,
    off_grid: 0.1,
    tilt: Tilt::Resample,
    image_files: crate::image_file::ImageRules {
        round_hu: false,
        nan_hu: None,
        clamp_hu: false,
        unplaced: false,
    },
};

fn field([x, y, z]: [f64; 3]) -> f64 {
    2.0 * x + 4.0 * y + 10.0 * z
}

/// Writes slices of the field whose first voxels lie at these positions, with the axes of `direction`.
fn write(folder: &Path, direction: [f64; 9], positions: &[[f64; 3]]) -> Vec<PathBuf> {
    let size = [SIZE[0], SIZE[1], positions.len()];
    let even = Geometry::new(size, [1.0, 1.0, 2.0], [0.0; 3], direction).unwrap();
    let hu = |(k, j, i): (usize, usize, usize)| {
        let at = even.voxel_to_patient([i as f64, j as f64, 0.0]);
        field(std::array::from_fn(|a| at[a] + positions[k][a])).round() as i16
    };
    let voxels = Array3::from_shape_fn((size[2], size[1], size[0]), hu);
    let files = samples::write(folder, &Volume::new(even, voxels).unwrap());
    for (file, position) in files.iter().zip(positions) {
        let text = position.map(|v| format!("{v:.6}")).join("\\");
        samples::edit(file, |object| {
            let tag = tags::IMAGE_POSITION_PATIENT;
            object.put_element(DataElement::new(tag, VR::DS, PrimitiveValue::from(text)));
        });
    }
    files
}

/// Checks every voxel against the field, or -1024 HU where no slice reaches.
fn check(files: &[PathBuf], size: [usize; 3], degrees: f64, most_off: f64) {
    let series = read_series(files, &RESAMPLE).unwrap();
    let geometry = *series.volume.geometry();
    assert_eq!(geometry.size(), size);
    assert!((series.info.tilt_deg.unwrap() - degrees).abs() < 1e-3);
    assert!(series.info.grid_residual_mm.unwrap() < 1e-5);
    let mut n_inside = 0;
    for ((k, j, i), hu) in series.volume.voxels().indexed_iter() {
        let expected = field(geometry.voxel_to_patient([i as f64, j as f64, k as f64]));
        let off = (f64::from(*hu) - expected).abs();
        n_inside += usize::from(off <= most_off);
        assert!(off <= most_off || *hu == -1024, "{i}, {j}, {k}: {hu}, expected {expected}");
    }
    // Between its voxels, a slice loses a row and a column at most.
    let at_least = (SIZE[0] - 1) * (SIZE[1] - 1) * size[2];
    assert!((at_least..=SIZE[0] * SIZE[1] * size[2]).contains(&n_inside), "{n_inside}");
    let some =
        read_slices(files, &RESAMPLE, &std::iter::once(1..3).collect::<SliceRanges>()).unwrap();
    for k in 1..3 {
        assert_eq!(some.slice(k), series.volume.slice(k));
    }
}

#[test]
fn slices_that_are_shifted_along_a_line_are_moved_onto_an_even_grid() {
    let folder = tempfile::tempdir().unwrap();
    let positions: Vec<_> =
        (0..5).map(f64::from).map(|k| [3.0, -7.0 + 0.75 * k, 2.0 * k]).collect();
    let files = write(folder.path(), Geometry::AXIAL, &positions);
    check(&files, [12, 13, 5], 0.375f64.atan().to_degrees(), 0.0);

    // The other way, and along x too.
    let folder = tempfile::tempdir().unwrap();
    let positions: Vec<_> = (0..5).map(f64::from).map(|k| [-0.5 * k, 4.0 - k, 2.0 * k]).collect();
    let files = write(folder.path(), Geometry::AXIAL, &positions);
    check(&files, [14, 14, 5], (1.25f64.sqrt() / 2.0).atan().to_degrees(), 0.0);
}

#[test]
fn slices_of_a_tilted_gantry_keep_their_planes() {
    let folder = tempfile::tempdir().unwrap();
    let (sin, cos) = 20f64.to_radians().sin_cos();
    // j and k turn about x; the table moves along z.
    let direction = [1.0, 0.0, 0.0, 0.0, cos, -sin, 0.0, sin, cos];
    let positions: Vec<_> = (0..5).map(f64::from).map(|k| [1.0, 2.0, 2.0 * k]).collect();
    let files = write(folder.path(), direction, &positions);
    check(&files, [12, 13, 5], 20.0, 1.0);
    let series = read_series(&files, &RESAMPLE).unwrap();
    let geometry = series.volume.geometry();
    assert!((geometry.spacing().ijk()[2] - 2.0 * cos).abs() < 1e-6);
    for (k, position) in positions.iter().enumerate() {
        assert!((geometry.patient_to_voxel(*position)[2] - k as f64).abs() < 1e-5);
    }
}

#[test]
fn what_is_no_tilt_is_refused() {
    let refused = |positions: &[[f64; 3]], tolerances: &Tolerances| {
        let folder = tempfile::tempdir().unwrap();
        let files = write(folder.path(), Geometry::AXIAL, positions);
        match read_series(&files, tolerances).unwrap_err() {
            Error::Refused { reason, .. } => reason.to_string(),
            other => other.to_string(),
        }
    };
    let along = |slope: f64| -> Vec<[f64; 3]> {
        (0..5).map(f64::from).map(|k| [0.0, slope * 2.0 * k, 2.0 * k]).collect()
    };
    // By default, with the setting that admits it.
    let text = refused(&along(0.375), &Tolerances::default());
    assert!(text.contains("tilted by 20.56 degrees; `ingest.tilt = \"resample\"`"), "{text}");
    // Steeper than any gantry; one slice beside the line; wider than memory is planned for.
    let no_line = "not along one line as with a tilted gantry";
    let steep = refused(&along(0.8), &RESAMPLE);
    assert!(
        steep.contains("at 38.66 degrees to the normal, and a gantry tilts by 35 at"),
        "{steep}"
    );
    let mut jagged = along(0.375);
    jagged[2][0] += 0.3;
    assert!(refused(&jagged, &RESAMPLE).contains(no_line));
    let long: Vec<_> = (0..40).map(f64::from).map(|k| [0.0, k, 2.0 * k]).collect();
    assert!(refused(&long, &RESAMPLE).contains("49"), "{}", refused(&long, &RESAMPLE));
    // A straight series is read alike.
    let folder = tempfile::tempdir().unwrap();
    let files = write(folder.path(), Geometry::AXIAL, &along(0.0));
    let series = read_series(&files, &RESAMPLE).unwrap();
    assert_eq!(series.info.tilt_deg, None);
    assert_eq!(series.volume, read_series(&files, &Tolerances::default()).unwrap().volume);
}
