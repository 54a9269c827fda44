//! The slices of the shown nodules.

use crate::stages::Task;
use crate::stages::report::content::{CasePrediction, ReportContent, ShownCase, SlicePicture};
use crate::stages::report::error::Error;
use crate::stages::report::picked_nodule::PickedNodule;
use crate::tables::{Roi, Table};
use nodulus_formats::volume::Mask;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The columns of `predictions` that hold a mask.
#[derive(Deserialize)]
struct PredictedMask {
    roi_id: String,
    model_id: String,
    #[serde(with = "serde_bytes")]
    mask_bits: Vec<u8>,
}

/// The picked nodules, each on the slice with its largest mask, with the prediction of each model.
pub(in crate::stages::report) fn cases(
    task: &Task<'_>,
    content: &ReportContent,
    picks: &[PickedNodule],
) -> Result<Vec<ShownCase>, Error> {
    if picks.is_empty() {
        return Ok(Vec::new());
    }
    let slices = largest_slices(task, picks)?;
    let mut masks: BTreeMap<(String, String), Vec<u8>> = BTreeMap::new();
    for version in task.all_predictions()? {
        let columns = ["roi_id", "model_id", "mask_bits"];
        for batch in version.columns::<PredictedMask>(&columns) {
            let batch = batch?
                .into_iter()
                .filter(|row| slices.values().any(|roi| roi.roi_id == row.roi_id));
            masks.extend(batch.map(|row| ((row.roi_id, row.model_id), row.mask_bits)));
        }
    }
    let case = |pick: &PickedNodule| {
        let roi = slices.get(&pick.nodule_id)?;
        let (picture, size) = picture(roi)?;
        let of_nodule = || content.nodules.iter().filter(|n| n.row.nodule_id == pick.nodule_id);
        let prediction = |model_id: &String| {
            let row = &of_nodule().find(|result| result.row.model_id == *model_id)?.row;
            let bits = masks.get(&(roi.roi_id.clone(), model_id.clone()))?;
            Some(CasePrediction {
                model_id: model_id.clone(),
                dice: row.metrics.dice,
                hausdorff_mm: row.metrics.hausdorff_mm,
                hausdorff_95_mm: row.metrics.hausdorff_95_mm,
                assd_mm: row.metrics.assd_mm,
                predicted_volume_mm3: row.predicted_volume_mm3,
                reference_volume_mm3: row.reference_volume_mm3,
                mask: Mask::from_bits(size, bits.clone()).ok()?,
            })
        };
        let models = content.models.iter().map(|model| &model.model_id);
        Some(ShownCase {
            rank: pick.rank.to_owned(),
            ranked_by: pick.model_id.clone(),
            nodule_id: pick.nodule_id.clone(),
            diameter_mm: of_nodule().next().map_or(f64::NAN, |result| result.diameter_mm),
            z_mm: roi.z_mm,
            predictions: models.filter_map(prediction).collect(),
            picture,
        })
    };
    Ok(picks.iter().filter_map(case).collect())
}

/// The slice of each picked nodule with its largest mask; the first of several.
fn largest_slices(task: &Task<'_>, picks: &[PickedNodule]) -> Result<BTreeMap<String, Roi>, Error> {
    let mut slices: BTreeMap<String, Roi> = BTreeMap::new();
    for batch in task.table(Table::Rois)?.rows::<Roi>() {
        let picked = |roi: &Roi| picks.iter().any(|pick| pick.nodule_id == roi.nodule_id);
        for roi in batch?.into_iter().filter(picked) {
            let largest = slices.get(&roi.nodule_id);
            if largest.is_none_or(|largest| largest.n_mask_pixels < roi.n_mask_pixels) {
                slices.insert(roi.nodule_id.clone(), roi);
            }
        }
    }
    Ok(slices)
}

/// A slice with its reference, and the size of its masks.
fn picture(roi: &Roi) -> Option<(SlicePicture, [usize; 3])> {
    let size = [roi.width, roi.height].map(|n| usize::try_from(n).ok());
    let [Some(width), Some(height)] = size else { return None };
    let size = [width, height, 1];
    let picture = SlicePicture {
        size: [width, height],
        spacing_mm: [roi.spacing_i_mm, roi.spacing_j_mm],
        hu: roi.pixels_hu()?,
        window_hu: [roi.norm_low_hu, roi.norm_high_hu],
        reference: Mask::from_bits(size, roi.mask_bits.clone()).ok()?,
    };
    Some((picture, size))
}
