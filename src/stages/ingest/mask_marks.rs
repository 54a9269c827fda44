//! Masks on the image's grid to rows of `marks`.

use super::frame::Frame;
use crate::imaging::components;
use crate::tables::{Mark, MarkKind, Scan, hash};
use crate::volume::{Geometry, Mask, PlacedMask, Volume};
use std::collections::BTreeMap;

/// Grids further apart than this, in millimetres at any corner, are not the same.
///
/// METHOD: NIfTI keeps its affine in 32 bits, which moves a corner by up to about 1e-4 mm.
const GRID_TOLERANCE_MM: f64 = 1e-3;

/// A mask's grid is not its image's.
#[derive(Debug, thiserror::Error)]
#[error(
    "mask lies on another grid than its image: size {mask_size:?}, spacing {mask_spacing:?} mm, origin {mask_origin:?} mm; \
     image size {size:?}, spacing {spacing:?} mm, origin {origin:?} mm; corners differ by {deviation_mm:.4} mm"
)]
pub(super) struct OtherGrid {
    mask_size: [usize; 3],
    mask_spacing: [f64; 3],
    mask_origin: [f64; 3],
    size: [usize; 3],
    spacing: [f64; 3],
    origin: [f64; 3],
    deviation_mm: f64,
}

/// One mark for each label, or for each connected component where there is one label alone.
///
/// METHOD: a mask of one value is binary, and its nodules are its 26-connected components; several
/// values name the nodules themselves.
///
/// # Errors
///
/// Fails if the mask does not lie on the image's grid.
pub(super) fn marks(
    scan: &Scan,
    frame: &Frame,
    labels: &Volume<u16>,
    path: &str,
) -> Result<Vec<Mark>, OtherGrid> {
    if let Some(error) = frame.geometry().and_then(|image| other_grid(image, labels.geometry())) {
        return Err(error);
    }
    let mark = |(label, placed): (u16, PlacedMask)| {
        let label = label.to_string();
        let parts = [scan.series_instance_uid.as_str(), "0", &label, path];
        let mut mark = blank(scan, hash::id("m-", parts), 0, &label, path);
        frame.place_mask(&mut mark, placed);
        mark
    };
    Ok(nodule_masks(labels).into_iter().map(mark).collect())
}

/// A mark without position or ratings.
pub(super) fn blank(scan: &Scan, mark_id: String, session: usize, id: &str, path: &str) -> Mark {
    Mark {
        mark_id,
        cohort: scan.cohort.clone(),
        series_instance_uid: scan.series_instance_uid.clone(),
        patient_id: scan.patient_id.clone(),
        reading_session: session as i64,
        reader_nodule_id: id.to_owned(),
        kind: MarkKind::Nodule.name().to_owned(),
        centroid_i: None,
        centroid_j: None,
        centroid_k: None,
        centroid_x_mm: None,
        centroid_y_mm: None,
        centroid_z_mm: None,
        n_voxels: None,
        volume_mm3: None,
        diameter_mm: None,
        subtlety: None,
        internal_structure: None,
        calcification: None,
        sphericity: None,
        margin: None,
        lobulation: None,
        spiculation: None,
        texture: None,
        malignancy: None,
        contours: Vec::new(),
        bbox_i: None,
        bbox_j: None,
        bbox_k: None,
        bbox_size_i: None,
        bbox_size_j: None,
        bbox_size_k: None,
        mask_bits: None,
        irregularities: Vec::new(),
        source_path: path.to_owned(),
    }
}

fn nodule_masks(labels: &Volume<u16>) -> Vec<(u16, PlacedMask)> {
    let mut boxes: BTreeMap<u16, ([usize; 3], [usize; 3])> = BTreeMap::new();
    for ((k, j, i), &label) in labels.voxels().indexed_iter() {
        if label > 0 {
            let (low, high) = boxes.entry(label).or_insert(([usize::MAX; 3], [0; 3]));
            for (a, v) in [i, j, k].into_iter().enumerate() {
                low[a] = low[a].min(v);
                high[a] = high[a].max(v + 1);
            }
        }
    }
    let cut = |label: u16, low: [usize; 3], high: [usize; 3]| {
        let size = std::array::from_fn(|a| high[a] - low[a]);
        let inside = |i, j, k| labels.voxels()[[k + low[2], j + low[1], i + low[0]]] == label;
        PlacedMask { start: low, mask: Mask::from_fn(size, inside) }
    };
    let single = boxes.len() == 1;
    boxes
        .into_iter()
        .flat_map(|(label, (low, high))| {
            let whole = cut(label, low, high);
            if single {
                (1..).zip(components::split(&whole)).collect()
            } else {
                vec![(label, whole)]
            }
        })
        .collect()
}

fn other_grid(image: &Geometry, mask: &Geometry) -> Option<OtherGrid> {
    let far = image.size().map(|n| n.saturating_sub(1) as f64);
    let deviation_mm = [[0.0; 3], far, [far[0], 0.0, 0.0], [0.0, far[1], 0.0]]
        .iter()
        .flat_map(|corner| {
            let (a, b) = (image.voxel_to_patient(*corner), mask.voxel_to_patient(*corner));
            (0..3).map(move |axis| (a[axis] - b[axis]).abs())
        })
        .fold(0.0, f64::max);
    (image.size() != mask.size() || deviation_mm > GRID_TOLERANCE_MM).then(|| OtherGrid {
        mask_size: mask.size(),
        mask_spacing: mask.spacing().ijk(),
        mask_origin: mask.origin_mm(),
        size: image.size(),
        spacing: image.spacing().ijk(),
        origin: image.origin_mm(),
        deviation_mm,
    })
}
