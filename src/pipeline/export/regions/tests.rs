//! Slices put together, and slices that are not one region.

use super::*;
use proptest::prelude::*;

const PLACE: ([f64; 3], [f64; 9]) =
    ([-10.0, 20.0, 30.0], [0.6, -0.8, 0.0, 0.8, 0.6, 0.0, 0.0, 0.0, -1.0]);

fn facts() -> ShardFacts {
    ShardFacts {
        cohorts: BTreeSet::from(["c".to_owned()]),
        diameters_mm: BTreeMap::from([("n".to_owned(), 7.5)]),
        splits: BTreeMap::from([("n".to_owned(), ("train".to_owned(), Some(2)))]),
    }
}

/// Slice k of a region of 3 columns and 2 rows; a pixel's value is 100 k + its number.
fn slice(k: i64) -> Roi {
    let (origin_mm, direction) = PLACE;
    let scan = Geometry::new([9, 9, 9], [0.75, 0.5, 2.5], origin_mm, direction).unwrap();
    let [origin_x_mm, origin_y_mm, origin_z_mm] = scan.voxel_to_patient([-1.0, 4.0, k as f64]);
    Roi {
        roi_id: format!("n-k{k:04}"),
        nodule_id: "n".to_owned(),
        cohort: "c".to_owned(),
        series_instance_uid: "1.2".to_owned(),
        patient_id: "p".to_owned(),
        slice_index: k,
        z_mm: 30.0 - 2.5 * k as f64,
        start_i: -1.0,
        start_j: 4.0,
        n_columns: 9,
        n_rows: 9,
        height: 2,
        width: 3,
        spacing_i_mm: 0.75,
        spacing_j_mm: 0.5,
        spacing_k_mm: 2.5,
        native_spacing_i_mm: 0.75,
        native_spacing_j_mm: 0.5,
        origin_x_mm,
        origin_y_mm,
        origin_z_mm,
        direction: direction.to_vec(),
        hu: (0..6).flat_map(|n| (100 * k as i16 + n).to_le_bytes()).collect(),
        norm_low_hu: -1000.0,
        norm_high_hu: 400.0,
        mask_bits: vec![0b00_0100],
        other_mask_bits: vec![0b10_0000],
        neighbours: "include".to_owned(),
        n_other_nodules: 1,
        n_mask_pixels: 1,
        n_cut_pixels: 0,
        oversize: None,
        has_nodule: true,
        distance_to_nodule_slices: 0,
        padded: true,
        reader_counts: vec![0, 0, 1, 0, 0, 0],
        n_readers: 1,
        n_no_data_pixels: 0,
        no_data_bits: vec![0],
    }
}

#[test]
fn slices_become_a_volume_in_the_scans_frame() {
    let region = facts().region(&[slice(5), slice(6)], 0).unwrap();
    assert_eq!(region.hu.voxels().dim(), (2, 2, 3));
    assert_eq!([region.hu.voxels()[[0, 1, 0]], region.hu.voxels()[[1, 0, 2]]], [503, 602]);
    assert_eq!([region.mask[[0, 0, 2]], region.mask.sum(), region.others[[1, 1, 2]]], [1, 2, 1]);
    let (origin_mm, direction) = PLACE;
    let scan = Geometry::new([9, 9, 9], [0.75, 0.5, 2.5], origin_mm, direction).unwrap();
    for [i, j, k] in [[0.0, 0.0, 0.0], [2.0, 1.0, 1.0]] {
        let found = region.hu.geometry().voxel_to_patient([i, j, k]);
        let expected = scan.voxel_to_patient([i - 1.0, j + 4.0, k + 5.0]);
        assert!((0..3).all(|a| (found[a] - expected[a]).abs() < 1e-9), "{found:?} {expected:?}");
    }
    assert_eq!((region.split.as_deref(), region.fold), (Some("train"), Some(2)));
    assert_eq!(region.first_slice, 5);
    assert!((region.diameter_mm - 7.5).abs() < 1e-9);
}

#[test]
fn what_is_not_one_region_is_refused_by_name() {
    type Case = (&'static str, fn(&mut Roi));
    let cases: [Case; 8] = [
        ("index of a slice is 8, expected 6", |roi| roi.slice_index = 8),
        ("first pixel of a slice in mm is [", |roi| roi.origin_z_mm = 31.0),
        ("frame of a slice", |roi| roi.start_i = 0.0),
        ("frame of a slice", |roi| roi.spacing_j_mm = 0.6),
        ("neighbours of a slice", |roi| roi.neighbours = "ignore".to_owned()),
        ("bytes of a slice is 11, expected 12", |roi| roi.hu.truncate(11)),
        ("mask of a slice", |roi| roi.mask_bits.push(0)),
        ("mask of a slice", |roi| roi.other_mask_bits = vec![0xff]),
    ];
    for (expected, change) in cases {
        let mut changed = slice(6);
        change(&mut changed);
        let error = facts().region(&[slice(5), changed], 0).unwrap_err().to_string();
        assert!(error.starts_with(&format!("nodule `n`: {expected}")), "{error}");
    }
    let elsewhere = Roi { direction: vec![1.0], ..slice(5) };
    let error = facts().region(&[elsewhere], 0).unwrap_err().to_string();
    assert!(error.contains("direction is [1.0], expected \"9 numbers\""), "{error}");
    let unknown = Roi { neighbours: "both".to_owned(), ..slice(5) };
    let error = facts().region(&[unknown], 0).unwrap_err().to_string();
    assert!(error.contains("neighbours is \"both\", expected \"include or ignore\""), "{error}");
    assert!(facts().region(&[], 0).is_err());
}

proptest! {
    #[test]
    fn no_row_makes_it_panic(
        size in prop::array::uniform2(prop_oneof![-2..4i64, Just(i64::MAX), Just(i64::MIN)]),
        k in prop_oneof![0..9i64, Just(i64::MAX), Just(i64::MIN)],
        bytes in prop::collection::vec(any::<u8>(), 0..20),
        spacing_mm in prop_oneof![Just(f64::NAN), Just(0.0), 0.1..2.0f64],
    ) {
        let [width, height] = size;
        let row = Roi {
            width, height, slice_index: k, hu: bytes.clone(), mask_bits: bytes,
            spacing_i_mm: spacing_mm, ..slice(5)
        };
        let _ = facts().region(&[row.clone(), row], 0);
    }
}
