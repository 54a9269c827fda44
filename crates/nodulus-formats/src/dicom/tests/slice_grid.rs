//! Slices at rounded, drifting, jittering and repeated positions.

use super::samples::slice_at;
use crate::dicom::Tolerances;
use crate::dicom::series::slice::SliceHeader;
use crate::dicom::series::stack::{SliceStack, stack};

/// Axial slices at these heights, named by their index.
fn at_heights(heights: &[f64]) -> Vec<SliceHeader> {
    let slice = |(at, z): (usize, &f64)| slice_at(at, [-10.0, 20.0, *z]);
    heights.iter().enumerate().map(slice).collect()
}

fn grid_of(slices: &[SliceHeader]) -> SliceStack<'_> {
    stack(slices, &Tolerances::default()).unwrap()
}

fn refused(slices: &[SliceHeader]) -> String {
    stack(slices, &Tolerances::default()).unwrap_err().to_string()
}

/// Slices at these heights as they are written with so many decimals.
fn rounded(heights: impl Iterator<Item = f64>, decimals: i32) -> Vec<SliceHeader> {
    let step = 0.1f64.powi(decimals);
    let heights: Vec<f64> = heights.map(|z| (z / step).round() * step).collect();
    let mut slices = at_heights(&heights);
    for slice in &mut slices {
        slice.position_step_mm = [step; 3];
    }
    slices
}

#[test]
fn rounded_positions_make_the_grid_that_they_were_rounded_from() {
    let jitter = |k: usize| 0.001 * ((k * 7919 % 3) as f64 - 1.0);
    for (spacing, decimals, n) in [
        (0.625, 2, 300),
        (0.625, 2, 2000),
        (2.0 / 3.0, 3, 1500),
        (1.0045, 2, 300),
        (0.3125, 2, 900),
        (1.25, 1, 240),
        (0.8, 3, 2000),
    ] {
        let z = |k: usize| -1333.7 + k as f64 * spacing;
        let slices = rounded((0..n).map(|k| z(k) + jitter(k)), decimals);
        let stacked = grid_of(&slices);
        let last = stacked.geometry.voxel_to_patient([0.0, 0.0, (n - 1) as f64])[2];
        // Half a step is rounded up or down, which moves the mean.
        let step = 0.1f64.powi(decimals);
        let off = (last - z(n - 1)).abs();
        assert!(off < 0.002 + 0.2 * step, "{spacing}: {last}, expected {}", z(n - 1));
        let most = 0.7 * step + 0.003;
        assert!((0.0..most).contains(&stacked.grid_residual_mm));
        // One missing slice is found, wherever it is.
        for k in [1, n / 2, n - 2] {
            let mut slices = slices.clone();
            slices.remove(k);
            let error = refused(&slices);
            assert!(error.starts_with("1 slice is missing; the widest"), "{spacing}: {error}");
        }
    }
}

#[test]
fn rounding_hides_no_drift_and_no_gap_of_another_size() {
    // The gap grows by 0.8% from one end to the other.
    let drifting = |k: usize| k as f64 * (1.0 + 0.004 * k as f64 / 300.0);
    let error = refused(&rounded((0..300).map(drifting), 3));
    assert!(error.contains("off its position on a grid of"), "{error}");
    let error = refused(&rounded([0.0, 5.0, 10.0, 16.0, 21.0, 26.0].into_iter(), 1));
    assert!(error.starts_with("slices are unevenly spaced"), "{error}");
    // A slice between two others is none of the grid.
    let error = refused(&rounded([0.0, 1.0, 2.0, 2.5, 3.0, 4.0].into_iter(), 1));
    assert!(error.starts_with("slices are unevenly spaced"), "{error}");
}

#[test]
fn several_images_of_one_region_are_refused_by_what_differs() {
    let numbered = |heights: &[f64], of: fn(usize) -> i64| {
        let mut slices = at_heights(heights);
        for (n, slice) in slices.iter_mut().enumerate() {
            slice.labels.acquisition_number = Some(of(n));
        }
        slices
    };
    let even = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    // Interleaved: together an even grid, and still two images.
    let error = refused(&numbered(&even, |n| (n % 2) as i64 + 1));
    let expected = "the series holds 2 images of one body region, which differ in \
                    AcquisitionNumber (1: 3 slices, 2: 3 slices)";
    assert!(error.starts_with(expected), "{error}");
    // Two phases at the same positions.
    let error = refused(&numbered(&[0.0, 1.0, 2.0, 0.0, 1.0, 2.0], |n| (n / 3) as i64));
    assert!(error.starts_with("the series holds 2 images"), "{error}");
    let mut kernels = at_heights(&even);
    for (n, slice) in kernels.iter_mut().enumerate() {
        slice.kernel = Some(["B30f", "B60f"][n % 2].to_owned());
    }
    assert!(refused(&kernels).contains("ConvolutionKernel (B30f: 3 slices"));
    // Bolus tracking.
    let error = refused(&numbered(&[7.0; 4], |n| n as i64));
    assert!(error.starts_with("all 4 slices lie at one position, as in bolus"), "{error}");
    // Steps of a sequential scan, and one slice with another number.
    for of in [|n: usize| n as i64, |n| (n / 2) as i64, |n| i64::from(n == 3)] {
        assert!(stack(&numbered(&even, of), &Tolerances::default()).is_ok());
    }
}

#[test]
fn one_slice_with_more_decimals_makes_the_others_no_more_exact() {
    let mut slices = rounded((0..300).map(|k| 0.625 * f64::from(k)), 2);
    slices[150].position_step_mm = [1e-6; 3];
    assert!((grid_of(&slices).geometry.spacing().ijk()[2] - 0.625).abs() < 1e-4);
    // A step in the positions is still found, and its message says by which limit.
    for slice in &mut slices[150..] {
        slice.position_mm[2] += 0.05;
    }
    let error = refused(&slices);
    assert!(
        error.contains("to within 0.0100 mm (the greater of `tolerances.slice_gap`"),
        "{error}"
    );
}

#[test]
fn positions_that_jitter_by_less_than_a_tenth_of_a_voxel_are_read() {
    let mut slices = at_heights(&[0.0, 2.5, 5.0, 7.5]);
    // 0.05 mm is a tenth of 0.5 mm.
    for (slice, x) in slices.iter_mut().zip([-0.03, 0.03, -0.03, 0.03]) {
        slice.position_mm[0] += x;
    }
    let stacked = grid_of(&slices);
    let [x, y, z] = stacked.geometry.origin_mm();
    assert!((x + 10.0).abs() < 1e-12 && (y - 20.0).abs() < 1e-12 && z.abs() < 1e-12);
    assert!((stacked.grid_residual_mm - 0.03).abs() < 1e-9);
    slices[0].position_mm[0] -= 0.05;
    assert!(refused(&slices).contains("off the normal through"));
    // Axes may turn by as little.
    let mut slices = at_heights(&[0.0, 2.5, 5.0, 7.5]);
    slices[2].orientation = [1.0, 0.0009, 0.0, -0.0009, 1.0, 0.0];
    let stacked = grid_of(&slices);
    assert_eq!(stacked.irregularities.texts(), ["orientation_jitter: 1"]);
    slices[2].orientation = [1.0, 0.03, 0.0, -0.03, 1.0, 0.0];
    let error = refused(&slices);
    assert!(
        error.contains("off by 3.0000e-2, expected") && error.contains("to within 1.0000e-2"),
        "{error}"
    );
}
