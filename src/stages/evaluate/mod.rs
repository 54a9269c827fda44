//! Evaluate: `nodules`, `rois`, `predictions` → `slice_metrics`, `nodule_metrics`, `summary`.

mod summaries;

use super::Task;
use crate::metrics::{METRIC_DEFINITION, Scores, score};
use crate::tables::{
    Failure, Nodule, NoduleMetrics, Output, SliceMetrics, Summary, Table, parquet, shard, store,
};
use crate::volume::{BitsMismatch, Mask};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use summaries::{Scored, Subgroups};

/// Outputs read.
pub const READS: &[Output] =
    &[Output::Table(Table::Nodules), Output::Table(Table::Rois), Output::Table(Table::Predictions)];
/// Outputs written.
pub const WRITES: &[Output] = &[
    Output::Table(Table::NoduleMetrics),
    Output::Table(Table::SliceMetrics),
    Output::Table(Table::Summary),
];
/// Raised when the stage's results change.
pub const VERSION: u32 = 2;

/// Settings: `[evaluate]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Decides the bootstrap's resamples.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { seed: 1 }
    }
}

/// The columns of `rois` that scoring needs.
#[derive(Clone, Debug, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the columns of the table")]
pub struct Slice {
    roi_id: String,
    nodule_id: String,
    patient_id: String,
    slice_index: i64,
    height: i64,
    width: i64,
    spacing_i_mm: f64,
    spacing_j_mm: f64,
    spacing_k_mm: f64,
    native_spacing_i_mm: f64,
    native_spacing_j_mm: f64,
    n_cut_pixels: i64,
    oversize: Option<String>,
    #[serde(with = "serde_bytes")]
    mask_bits: Vec<u8>,
    #[serde(with = "serde_bytes")]
    other_mask_bits: Vec<u8>,
}

const SLICE_COLUMNS: &[&str] = &[
    "roi_id",
    "nodule_id",
    "patient_id",
    "slice_index",
    "height",
    "width",
    "spacing_i_mm",
    "spacing_j_mm",
    "spacing_k_mm",
    "native_spacing_i_mm",
    "native_spacing_j_mm",
    "n_cut_pixels",
    "oversize",
    "mask_bits",
    "other_mask_bits",
];

/// The columns of `predictions` that scoring needs.
#[derive(Clone, Debug, Deserialize)]
struct Predicted {
    roi_id: String,
    nodule_id: String,
    model_id: String,
    #[serde(with = "serde_bytes")]
    mask_bits: Vec<u8>,
}

const PREDICTED_COLUMNS: &[&str] = &["roi_id", "nodule_id", "model_id", "mask_bits"];

/// Predicted masks of a nodule's slices, by the slice.
pub type PredictedMasks = BTreeMap<String, Vec<u8>>;

/// Scores every prediction, a shard of them at a time.
///
/// # Errors
///
/// Fails if the store cannot be read or written to; a nodule that cannot be scored becomes a row
/// of `failures`.
pub fn run(config: &Config, task: &Task<'_>) -> Result<(), Error> {
    let mut subgroups = Subgroups::of(task.table(Table::Nodules)?.rows::<Nodule>())?;
    let (rois, predictions) = (task.table(Table::Rois)?, task.table(Table::Predictions)?);
    for shard in task.job.pending() {
        let writer = task.job.shard(shard)?;
        let mut nodule_part = writer.part::<NoduleMetrics>()?;
        let mut slice_part = writer.part::<SliceMetrics>()?;
        let mut summary_part = writer.part::<Summary>()?;
        let mut failures = Vec::new();
        let mut scored = Vec::new();
        let total = rois.manifest.n_shards();
        for source in 0..total {
            let mut predicted: BTreeMap<(String, String), PredictedMasks> = BTreeMap::new();
            for batch in predictions.shard_columns::<Predicted>(
                source,
                Table::Predictions,
                PREDICTED_COLUMNS,
            ) {
                for row in batch? {
                    let masks = predicted.entry((row.model_id, row.nodule_id)).or_default();
                    masks.insert(row.roi_id, row.mask_bits);
                }
            }
            let mut regions: BTreeMap<String, Vec<Slice>> = BTreeMap::new();
            if !predicted.is_empty() {
                for batch in rois.shard_columns::<Slice>(source, Table::Rois, SLICE_COLUMNS) {
                    for slice in batch? {
                        regions.entry(slice.nodule_id.clone()).or_default().push(slice);
                    }
                }
            }
            let work: Vec<_> = predicted.into_iter().collect();
            let results: Vec<_> = work
                .par_iter()
                .map(|((model_id, nodule_id), masks)| {
                    let none = Vec::new();
                    let slices = regions.get(nodule_id).unwrap_or(&none);
                    (nodule_id, transform(model_id, slices, masks))
                })
                .collect();
            for (nodule_id, result) in results {
                match result {
                    Ok((nodule, slices, region)) => {
                        if let Some(oversize) = &nodule.oversize {
                            subgroups.add(&nodule.nodule_id, &format!("oversize={oversize}"));
                        }
                        scored.extend(summaries::of_nodule(&nodule, region));
                        scored.extend(
                            slices.iter().flat_map(|slice| summaries::of_slice(slice, region)),
                        );
                        nodule_part.write([nodule])?;
                        slice_part.write(slices)?;
                    }
                    Err(error) => failures.push(Failure::new("evaluate", nodule_id, &error, None)),
                }
            }
            task.cases(source + 1, total);
        }
        summary_part.write(summarise(config, &subgroups, &scored))?;
        let parts = vec![nodule_part.finish()?, slice_part.finish()?, summary_part.finish()?];
        writer.commit(parts, failures)?;
    }
    Ok(())
}

fn summarise(config: &Config, subgroups: &Subgroups, scored: &[Scored]) -> Vec<Summary> {
    summaries::summarise(subgroups, scored, config.seed)
}

/// Size and spacing of a nodule's region.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// Voxels along i, j, k.
    pub size: [usize; 3],
    /// Spacing along i, j, k.
    pub spacing_mm: [f64; 3],
}

/// Scores of one nodule under one model: in 3D over its region, and in 2D on each slice.
///
/// METHOD: voxels of the scan's other nodules are no error of this one: they are taken out of the
/// prediction before it is scored.
///
/// METHOD: a nodule larger than its region is scored on what the network saw: on pixels of the
/// region's spacing where it was resampled, against the part of its mask in the region where it was
/// cropped. `oversize` and `cut_volume_mm3` say so, and `summary` has a subgroup for each.
///
/// # Errors
///
/// Fails if a slice has no prediction, slices are not next to each other, or a mask does not have
/// its shape.
pub fn transform(
    model_id: &str,
    slices: &[Slice],
    predicted: &PredictedMasks,
) -> Result<(NoduleMetrics, Vec<SliceMetrics>, Region), ScoreError> {
    let mut slices: Vec<&Slice> = slices.iter().collect();
    slices.sort_by_key(|slice| slice.slice_index);
    let first = slices.first().ok_or(ScoreError::NoSlices)?;
    let (n_predicted, n_slices) = (predicted.len(), slices.len());
    let spacing_mm = [first.spacing_i_mm, first.spacing_j_mm, first.spacing_k_mm];
    let [width, height] = [first.width, first.height].map(|v| usize::try_from(v).unwrap_or(0));
    let region = Region { size: [width, height, n_slices], spacing_mm };
    let mut reference = Mask::empty(region.size);
    let mut prediction = Mask::empty(region.size);
    let mut rows = Vec::with_capacity(n_slices);
    for (k, slice) in slices.iter().enumerate() {
        if slice.slice_index != first.slice_index + k as i64 {
            return Err(ScoreError::Gap { missing: first.slice_index + k as i64 });
        }
        let bits = predicted
            .get(&slice.roi_id)
            .ok_or(ScoreError::Unpredicted { n_predicted, n_slices })?;
        let size = [width, height, 1];
        let own = Mask::from_bits(size, slice.mask_bits.clone())?;
        let others = Mask::from_bits(size, slice.other_mask_bits.clone())?;
        let bits = Mask::from_bits(size, bits.clone())?;
        let kept = Mask::from_fn(size, |i, j, _| {
            bits.get(i, j, 0) && (own.get(i, j, 0) || !others.get(i, j, 0))
        });
        own.voxels().for_each(|[i, j, _]| reference.set(i, j, k, true));
        kept.voxels().for_each(|[i, j, _]| prediction.set(i, j, k, true));
        rows.push(slice_row(model_id, slice, &score(&kept, &own, spacing_mm), &region));
    }
    let scores = score(&prediction, &reference, spacing_mm);
    let nodule = NoduleMetrics {
        cut_volume_mm3: slices.iter().map(|slice| cut_volume_mm3(slice)).sum(),
        ..nodule_row(model_id, first, &scores, &region)
    };
    Ok((nodule, rows, region))
}

/// Volume of the nodule that a slice of the region leaves out.
fn cut_volume_mm3(slice: &Slice) -> f64 {
    let pixel_mm2 = slice.native_spacing_i_mm * slice.native_spacing_j_mm;
    slice.n_cut_pixels as f64 * pixel_mm2 * slice.spacing_k_mm
}

/// Volumes of prediction and reference.
fn volumes(scores: &Scores, region: &Region) -> [f64; 2] {
    let voxel_mm3: f64 = region.spacing_mm.iter().product();
    [
        (scores.true_positive + scores.false_positive) as f64 * voxel_mm3,
        (scores.true_positive + scores.false_negative) as f64 * voxel_mm3,
    ]
}

fn nodule_row(model_id: &str, slice: &Slice, scores: &Scores, region: &Region) -> NoduleMetrics {
    let [predicted_volume_mm3, reference_volume_mm3] = volumes(scores, region);
    NoduleMetrics {
        nodule_id: slice.nodule_id.clone(),
        patient_id: slice.patient_id.clone(),
        model_id: model_id.to_owned(),
        n_slices: region.size[2] as i64,
        true_positive: scores.true_positive as i64,
        false_positive: scores.false_positive as i64,
        false_negative: scores.false_negative as i64,
        precision: scores.precision,
        sensitivity: scores.sensitivity,
        dice: scores.dice,
        iou: scores.iou,
        hausdorff_mm: scores.hausdorff_mm,
        hausdorff_95_mm: scores.hausdorff_95_mm,
        assd_mm: scores.assd_mm,
        masd_mm: scores.masd_mm,
        surface_dice_1mm: scores.surface_dice_1mm,
        predicted_volume_mm3,
        reference_volume_mm3,
        cut_volume_mm3: 0.0,
        oversize: slice.oversize.clone(),
        outcome: scores.outcome.name().to_owned(),
        metric_definition: METRIC_DEFINITION.to_owned(),
    }
}

fn slice_row(model_id: &str, slice: &Slice, scores: &Scores, region: &Region) -> SliceMetrics {
    let [predicted_volume_mm3, reference_volume_mm3] = volumes(scores, region);
    SliceMetrics {
        roi_id: slice.roi_id.clone(),
        nodule_id: slice.nodule_id.clone(),
        patient_id: slice.patient_id.clone(),
        model_id: model_id.to_owned(),
        true_positive: scores.true_positive as i64,
        false_positive: scores.false_positive as i64,
        false_negative: scores.false_negative as i64,
        precision: scores.precision,
        sensitivity: scores.sensitivity,
        dice: scores.dice,
        iou: scores.iou,
        hausdorff_mm: scores.hausdorff_mm,
        hausdorff_95_mm: scores.hausdorff_95_mm,
        assd_mm: scores.assd_mm,
        masd_mm: scores.masd_mm,
        surface_dice_1mm: scores.surface_dice_1mm,
        predicted_volume_mm3,
        reference_volume_mm3,
        outcome: scores.outcome.name().to_owned(),
        metric_definition: METRIC_DEFINITION.to_owned(),
    }
}

/// One nodule could not be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// `rois` has no slices of it.
    #[error("`rois` has no slices of the nodule")]
    NoSlices,
    /// A slice is missing between others.
    #[error("slice {missing} of the nodule's region is missing")]
    Gap {
        /// Its index.
        missing: i64,
    },
    /// Not every slice was predicted.
    #[error("{n_predicted} of the region's {n_slices} slices are predicted")]
    Unpredicted {
        /// Slices predicted.
        n_predicted: usize,
        /// Slices in all.
        n_slices: usize,
    },
    /// A mask does not have its shape.
    #[error(transparent)]
    Bits(#[from] BitsMismatch),
}

/// The stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part could not be read.
    #[error(transparent)]
    Parquet(#[from] parquet::Error),
    /// A part could not be written.
    #[error(transparent)]
    Shard(#[from] shard::Error),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] store::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(k: i64, mask: u8, others: u8) -> Slice {
        Slice {
            roi_id: format!("r{k}"),
            nodule_id: "n".to_owned(),
            patient_id: "p".to_owned(),
            slice_index: k,
            height: 2,
            width: 4,
            spacing_i_mm: 0.5,
            spacing_j_mm: 0.5,
            spacing_k_mm: 2.0,
            native_spacing_i_mm: 0.25,
            native_spacing_j_mm: 0.25,
            n_cut_pixels: 0,
            oversize: None,
            mask_bits: vec![mask],
            other_mask_bits: vec![others],
        }
    }

    #[test]
    fn counts_are_over_the_region_and_other_nodules_are_no_error() {
        let slices = [slice(8, 0b0011, 0), slice(7, 0b0011, 0b1_0000)];
        let predicted = PredictedMasks::from([
            ("r7".to_owned(), vec![0b1_0001]),
            ("r8".to_owned(), vec![0b0111]),
        ]);
        let (nodule, rows, region) = transform("m", &slices, &predicted).unwrap();
        let counts = (nodule.true_positive, nodule.false_positive, nodule.false_negative);
        assert_eq!(counts, (3, 1, 1));
        assert_eq!(nodule.dice, Some(6.0 / 8.0));
        assert!((nodule.reference_volume_mm3 - 4.0 * 0.5).abs() < 1e-12);
        assert_eq!(rows.iter().map(|r| r.roi_id.as_str()).collect::<Vec<_>>(), ["r7", "r8"]);
        assert_eq!((rows[0].false_positive, rows[1].false_positive), (0, 1));
        assert_eq!(region.size, [4, 2, 2]);
    }

    #[test]
    fn what_was_cut_off_is_told_and_not_scored() {
        let cut = |n_cut_pixels, slice: Slice| Slice {
            n_cut_pixels,
            oversize: Some("cropped".to_owned()),
            ..slice
        };
        let slices = [cut(3, slice(7, 0b1111, 0)), cut(5, slice(8, 0, 0))];
        let predicted =
            PredictedMasks::from([("r7".to_owned(), vec![0b1111]), ("r8".to_owned(), vec![0])]);
        let (nodule, _, _) = transform("m", &slices, &predicted).unwrap();
        // Eight of the scan's pixels of 0.25 × 0.25 × 2 mm beside four of 0.5 × 0.5 × 2 mm.
        assert!((nodule.cut_volume_mm3 - 8.0 * 0.125).abs() < 1e-12);
        assert!((nodule.reference_volume_mm3 - 4.0 * 0.5).abs() < 1e-12);
        assert_eq!((nodule.dice, nodule.oversize.as_deref()), (Some(1.0), Some("cropped")));
    }

    #[test]
    fn a_nodule_that_was_not_wholly_predicted_is_not_scored() {
        let predicted = PredictedMasks::from([("r7".to_owned(), vec![0])]);
        let error = transform("m", &[slice(7, 1, 0), slice(8, 1, 0)], &predicted).unwrap_err();
        assert_eq!(error.to_string(), "1 of the region's 2 slices are predicted");
        let error = transform("m", &[slice(7, 1, 0), slice(9, 1, 0)], &predicted).unwrap_err();
        assert_eq!(error.to_string(), "slice 8 of the nodule's region is missing");
    }
}
