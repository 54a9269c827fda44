//! Rows of `outside_predictions`: masks of other programs by the rules of the network's.

use super::error::Error;
use super::mask_table::GivenSlice;
use super::{Masks, OutsideModel, plan};
use crate::stages::infer::{self, ScanSlices, Threshold, ThresholdSource};
use crate::stages::nodule_slices::{NoduleSlices, each_nodule};
use crate::stages::task::Task;
use crate::tables::{Doubt, OutsidePrediction, Roi, Table};
use nodulus_formats::volume::Mask;
use nodulus_imaging::components::ComponentRule;
use nodulus_nets as model;
use nodulus_store::FailedCase;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What a mask counts from, between 0 and 1.
const THRESHOLD: Threshold = Threshold { value: 0.5, from: ThresholdSource::Setting };

/// The rows of a shard.
#[derive(Default)]
pub(in crate::stages::evaluate) struct Predicted {
    pub(in crate::stages::evaluate) rows: Vec<OutsidePrediction>,
    pub(in crate::stages::evaluate) failures: Vec<FailedCase>,
}

/// The rows of other programs' models for the nodules of a shard that the store's models predict. A nodule whose mask cannot be
/// read, or does not fit its region, is a failure.
///
/// # Errors
///
/// Fails if tables or the files of all masks cannot be read, or the latter changed since they were opened.
pub(in crate::stages::evaluate) fn predict(
    models: &[OutsideModel],
    task: &Task<'_>,
    shard: usize,
    predicted: &BTreeSet<String>,
    (rule, reach_mm): (ComponentRule, f64),
    scan_slices: &ScanSlices,
) -> Result<Predicted, Error> {
    let mut found = Predicted::default();
    let rois = task.table(Table::Rois)?;
    let slices = if models.is_empty() { Vec::new() } else { plan::slices(rois, shard)? };
    for OutsideModel { model_id, masks, .. } in models {
        let wanted = slices.iter().filter(|slice| {
            let has = match masks {
                Masks::Table(table) => table.has(&slice.roi_id),
                Masks::Folder(folder) => folder.has(&slice.nodule_id),
            };
            has && predicted.contains(&slice.nodule_id)
        });
        let nodules: BTreeSet<String> =
            wanted.clone().map(|slice| slice.nodule_id.clone()).collect();
        if nodules.is_empty() {
            continue;
        }
        let given = match masks {
            Masks::Table(table) => table.read(wanted.map(|slice| slice.roi_id.as_str()))?,
            Masks::Folder(_) => BTreeMap::new(),
        };
        let of_nodule = |slices: &NoduleSlices<()>| {
            let masks = match masks {
                Masks::Table(_) => of_table(&given, slices)?,
                Masks::Folder(folder) => {
                    let nodule_id = slices.first().map_or("", |(roi, ())| &roi.nodule_id);
                    let mask = folder.read(nodule_id, slices.iter().map(|(roi, ())| roi))?;
                    of_mask(mask.as_ref(), slices)
                }
            };
            rows(model_id, slices, masks, (rule, reach_mm), scan_slices)
        };
        let without = |slices: &[Roi]| Ok(vec![(); slices.len()]);
        each_nodule(rois.shard_rows::<Roi>(shard), &nodules, without, |complete| {
            let results = complete.par_iter().map(|slices| (slices, of_nodule(slices)));
            for (slices, result) in results.collect::<Vec<_>>() {
                match result {
                    Ok(rows) => found.rows.extend(rows),
                    Err(error) => found.failures.extend(failed(model_id, slices, error)),
                }
            }
            Ok::<(), Error>(())
        })?;
    }
    Ok(found)
}

/// A nodule's failure.
fn failed(model_id: &str, slices: &NoduleSlices<()>, error: Error) -> Option<FailedCase> {
    let (roi, ()) = slices.first()?;
    let error = Error::Nodule { model_id: model_id.to_owned(), source: error.into() };
    Some(FailedCase::new("evaluate", &roi.nodule_id, &error, None).of_cohort(&roi.cohort))
}

/// A slice's mask, as pixels, and its probability; `None` where it has no mask.
pub(super) type MaskOfSlice = Option<(Mask, Option<f64>)>;

/// The masks of a nodule's slices in a Parquet file.
fn of_table(
    given: &BTreeMap<String, GivenSlice>,
    slices: &NoduleSlices<()>,
) -> Result<Vec<MaskOfSlice>, Error> {
    let of_slice = |(roi, ()): &(Roi, ())| -> Result<MaskOfSlice, Error> {
        let Some(given) = given.get(&roi.roi_id) else { return Ok(None) };
        let [width, height] = [roi.width, roi.height].map(|n| usize::try_from(n).unwrap_or(0));
        let mask = Mask::from_bits([width, height, 1], given.mask_bits.clone())?;
        Ok(Some((mask, given.probability)))
    };
    slices.iter().map(of_slice).collect()
}

/// The slices of a mask over the whole region.
fn of_mask(mask: Option<&Mask>, slices: &NoduleSlices<()>) -> Vec<MaskOfSlice> {
    let of_slice = |k: usize| {
        let mask = mask?;
        let [width, height, _] = mask.size();
        Some((Mask::from_fn([width, height, 1], |i, j, _| mask.get(i, j, k)), None))
    };
    (0..slices.len()).map(of_slice).collect()
}

/// The rows of a nodule, made as those of a network that is sure of each pixel.
pub(super) fn rows(
    model_id: &str,
    slices: &NoduleSlices<()>,
    masks: Vec<MaskOfSlice>,
    (rule, reach_mm): (ComponentRule, f64),
    scan_slices: &ScanSlices,
) -> Result<Vec<OutsidePrediction>, Error> {
    // A scan of unknown length may go on.
    let n_scan_slices = slices.first().map_or(i64::MAX, |(roi, ())| scan_slices.of(roi));
    let mut probabilities: BTreeMap<&str, Option<f64>> = BTreeMap::new();
    let mut of_slices = Vec::with_capacity(slices.len());
    for ((roi, ()), mask) in slices.iter().zip(masks) {
        let predicted = mask.map(|(mask, probability)| {
            probabilities.insert(&roi.roi_id, probability);
            let pixels =
                mask.to_bools().into_iter().map(|is_marked| f32::from(u8::from(is_marked)));
            model::Prediction { probability: pixels.collect(), ..model::Prediction::default() }
        });
        of_slices.push((roi.clone(), predicted));
    }
    let rows =
        infer::transform(model_id, &of_slices, None, THRESHOLD, rule, reach_mm, n_scan_slices)?;
    let row = |row: crate::tables::Prediction| {
        let mut doubts = vec![Doubt::UnlistedPatients.name().to_owned()];
        doubts.extend(row.doubts);
        OutsidePrediction {
            nodule_probability: probabilities.get(row.roi_id.as_str()).copied().flatten(),
            roi_id: row.roi_id,
            nodule_id: row.nodule_id,
            model_id: row.model_id,
            component: row.component,
            mask_bits: row.mask_bits,
            other_rule_mask_bits: row.other_rule_mask_bits,
            doubts,
        }
    };
    Ok(rows.into_iter().map(row).collect())
}
