//! Rows for the tests of this stage and of later ones.

use crate::tables::{Nodule, Roi};
use nodulus_formats::volume::{Geometry, Mask};

/// Asserts that numbers are equal within rounding.
pub(in crate::stages) fn close<const N: usize>(found: [f64; N], expected: [f64; N]) {
    let near = found.iter().zip(&expected).all(|(f, e)| (f - e).abs() < 1e-9);
    assert!(near, "{found:?}, expected {expected:?}");
}

/// A slice of one row of pixels, for tests of later stages; `others` are packed bits.
pub(in crate::stages) fn roi(hu: &[i16], mask: &[bool], others: &[u8]) -> Roi {
    let own = Mask::from_fn([hu.len(), 1, 1], |i, _, _| mask[i]);
    Roi {
        roi_id: "n-k0000".to_owned(),
        nodule_id: "n".to_owned(),
        cohort: "c".to_owned(),
        series_instance_uid: "1.2".to_owned(),
        patient_id: "p".to_owned(),
        slice_index: 0,
        z_mm: 0.0,
        start_i: 0.0,
        start_j: 0.0,
        n_columns: hu.len() as i64,
        n_rows: 1,
        height: 1,
        width: hu.len() as i64,
        spacing_i_mm: 1.0,
        spacing_j_mm: 1.0,
        spacing_k_mm: 1.0,
        native_spacing_i_mm: 1.0,
        native_spacing_j_mm: 1.0,
        origin_x_mm: 0.0,
        origin_y_mm: 0.0,
        origin_z_mm: 0.0,
        direction: Geometry::AXIAL.to_vec(),
        hu: hu.iter().flat_map(|v| v.to_le_bytes()).collect(),
        norm_low_hu: -1000.0,
        norm_high_hu: 400.0,
        reader_counts: if own.is_empty() {
            Vec::new()
        } else {
            mask.iter().map(|m| u8::from(*m)).collect()
        },
        n_readers: 1,
        n_mask_pixels: own.count() as i64,
        has_nodule: !own.is_empty(),
        mask_bits: own.into_bits(),
        other_mask_bits: others.to_vec(),
        neighbours: "include".to_owned(),
        n_other_nodules: i64::from(others.iter().any(|bits| *bits != 0)),
        n_cut_pixels: 0,
        oversize: None,
        distance_to_nodule_slices: 0,
        padded: false,
        n_no_data_pixels: 0,
        no_data_bits: Mask::empty([hu.len(), 1, 1]).into_bits(),
    }
}

/// A nodule with a full box of voxels.
pub(in crate::stages) fn nodule(id: &str, start: [i64; 3], size: [usize; 3]) -> Nodule {
    let mask = Mask::from_fn(size, |_, _, _| true);
    let [bbox_size_i, bbox_size_j, bbox_size_k] = size.map(|v| v as i64);
    let centre: [f64; 3] = std::array::from_fn(|a| start[a] as f64 + (size[a] as f64 - 1.0) / 2.0);
    Nodule {
        nodule_id: id.to_owned(),
        cohort: "c".to_owned(),
        series_instance_uid: "1.2".to_owned(),
        patient_id: "p".to_owned(),
        merge_rule: "linkage".to_owned(),
        n_marks: 1,
        n_readers: 1,
        centroid_i: centre[0],
        centroid_j: centre[1],
        centroid_k: centre[2],
        diameter_mm: 1.0,
        volume_mm3: 1.0,
        bbox_i: start[0],
        bbox_j: start[1],
        bbox_k: start[2],
        bbox_size_i,
        bbox_size_j,
        bbox_size_k,
        mask_bits: mask.into_bits(),
        ..Nodule::default()
    }
}
