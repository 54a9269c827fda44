//! Marks with a mask, and their positions.

use super::MergeError;
use crate::tables::{Mark, Scan};
use nodulus_formats::volume::PlacedMask;

/// A mark that has a mask.
pub(super) struct LocatedMark<'a> {
    pub(super) mark: &'a Mark,
    pub(super) mask: PlacedMask,
    /// Mean voxel index along i, j, k.
    pub(super) centroid: [f64; 3],
    /// Position for distances to other marks, along the image's axes.
    pub(super) centre_mm: [f64; 3],
    pub(super) diameter_mm: f64,
}

/// The marks that have a mask, in their order; points and outlines without a voxel have none.
pub(super) fn locate<'a>(
    scan: &Scan,
    marks: &[&'a Mark],
) -> Result<Vec<LocatedMark<'a>>, MergeError> {
    marks.iter().filter_map(|mark| located(scan, mark).transpose()).collect()
}

fn located<'a>(scan: &Scan, mark: &'a Mark) -> Result<Option<LocatedMark<'a>>, MergeError> {
    let mask = mark.placed();
    let mask = mask.map_err(|source| MergeError::Mask { mark_id: mark.mark_id.clone(), source })?;
    let Some(mask) = mask else {
        return if mark.mask_bits.is_some() { Err(missing(mark, "bbox")) } else { Ok(None) };
    };
    let (centroid, centre_mm) = centre_mm(scan, mark)?;
    let diameter_mm = mark.diameter_mm.ok_or_else(|| missing(mark, "diameter_mm"))?;
    Ok(Some(LocatedMark { mark, mask, centroid, centre_mm, diameter_mm }))
}

fn missing(mark: &Mark, column: &'static str) -> MergeError {
    MergeError::Missing { mark_id: mark.mark_id.clone(), column }
}

/// A mark's mean voxel index, and its position for distances to other marks.
pub(super) fn centre_mm(scan: &Scan, mark: &Mark) -> Result<([f64; 3], [f64; 3]), MergeError> {
    let centroid = [
        mark.centroid_i.ok_or_else(|| missing(mark, "centroid_i"))?,
        mark.centroid_j.ok_or_else(|| missing(mark, "centroid_j"))?,
        mark.centroid_k.ok_or_else(|| missing(mark, "centroid_k"))?,
    ];
    // METHOD: millimetres along the image's own axes, where distances are the patient's. Without an image, a slice's
    // index does not give its height, because slices may be missing or unevenly spaced.
    let [i, j, k] = centroid;
    let k_mm = if scan.path.is_some() {
        k * scan
            .spacing_k_mm
            .ok_or_else(|| MergeError::NoSpacing(scan.series_instance_uid.clone()))?
    } else {
        mark.centroid_z_mm.ok_or_else(|| missing(mark, "centroid_z_mm"))?
    };
    Ok((centroid, [i * scan.spacing_i_mm, j * scan.spacing_j_mm, k_mm]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::ingest::tests::{mark, scan};

    fn each(marks: &[Mark]) -> Vec<&Mark> {
        marks.iter().collect()
    }

    #[test]
    fn heights_count_where_there_is_no_image() {
        let mut marks = [mark("a", 0, [2, 4, 1], [3, 1, 1])];
        let placed = locate(&scan(), &each(&marks)).unwrap();
        // Spacing is 0.7, 0.8 and 2.5 mm.
        let expected = [3.0 * 0.7, 4.0 * 0.8, 2.5];
        assert!((0..3).all(|a| (placed[0].centre_mm[a] - expected[a]).abs() < 1e-12));
        let without = Scan { path: None, ..scan() };
        marks[0].centroid_z_mm = Some(-117.5);
        let placed = locate(&without, &each(&marks)).unwrap();
        let expected = [3.0 * 0.7, 4.0 * 0.8, -117.5];
        assert!((0..3).all(|a| (placed[0].centre_mm[a] - expected[a]).abs() < 1e-12));
        marks[0].centroid_z_mm = None;
        assert!(locate(&scan(), &each(&marks)).is_ok());
        let error = locate(&without, &each(&marks)).err().unwrap().to_string();
        assert_eq!(error, "mark `a` has a mask but no `centroid_z_mm`");
    }

    #[test]
    fn an_outline_without_a_voxel_is_skipped_and_half_a_mask_is_an_error() {
        let mut marks = [mark("a", 0, [2, 4, 1], [3, 1, 1]), mark("b", 1, [2, 4, 1], [3, 1, 1])];
        let b = &mut marks[1];
        (b.mask_bits, b.diameter_mm, b.centroid_i) = (None, None, None);
        [b.bbox_i, b.bbox_j, b.bbox_k] = [None; 3];
        [b.bbox_size_i, b.bbox_size_j, b.bbox_size_k] = [None; 3];
        let ids = |marks: &[Mark]| -> Vec<String> {
            locate(&scan(), &each(marks))
                .unwrap()
                .iter()
                .map(|placed| placed.mark.mark_id.clone())
                .collect()
        };
        assert_eq!(ids(&marks), ["a"]);
        marks[1].mask_bits = Some(vec![7]);
        let error = locate(&scan(), &each(&marks)).err().unwrap().to_string();
        assert_eq!(error, "mark `b` has a mask but no `bbox`");
    }
}
