//! Reads what a shard's measures need: the predicted masks, and the readers' masks of its nodules.

use super::{readers, subgroups};
use crate::stages::task::Task;
use crate::tables::{Error, Mark, Nodule, OutsidePrediction, ReaderMetric, Table, mask_box};
use nodulus_store::Version;
use rayon::prelude::*;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The columns of `predictions` that this stage reads.
#[derive(Clone, Debug, Deserialize)]
struct Predicted {
    roi_id: String,
    nodule_id: String,
    model_id: String,
    component: String,
    #[serde(with = "serde_bytes")]
    mask_bits: Vec<u8>,
    #[serde(with = "serde_bytes")]
    other_rule_mask_bits: Vec<u8>,
    doubts: Vec<String>,
}

const PREDICTED_COLUMNS: &[&str] = &[
    "roi_id",
    "nodule_id",
    "model_id",
    "component",
    "mask_bits",
    "other_rule_mask_bits",
    "doubts",
];

/// Predicted masks of a nodule's slices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PredictedMasks {
    /// Rules of components of the delivered masks; one, where all slices were predicted alike.
    pub components: BTreeSet<String>,
    /// For each slice, by its id, the bits of the delivered mask and of that by the other rule.
    pub slices: BTreeMap<String, [Vec<u8>; 2]>,
    /// Reasons to doubt the predictions.
    pub doubts: BTreeSet<String>,
}

/// Reads the predicted masks of a shard, by model and nodule.
pub(super) fn read_predictions(
    tables: &[&Version],
    shard: usize,
) -> Result<BTreeMap<(String, String), PredictedMasks>, nodulus_store::Error> {
    let mut predicted: BTreeMap<(String, String), PredictedMasks> = BTreeMap::new();
    let batches =
        tables.iter().flat_map(|table| table.shard_columns::<Predicted>(shard, PREDICTED_COLUMNS));
    for batch in batches {
        for row in batch? {
            let masks = predicted.entry((row.model_id, row.nodule_id)).or_default();
            masks.slices.insert(row.roi_id, [row.mask_bits, row.other_rule_mask_bits]);
            masks.components.insert(row.component);
            masks.doubts.extend(row.doubts);
        }
    }
    Ok(predicted)
}

/// Adds the masks of other programs.
pub(super) fn add_outside(
    predicted: &mut BTreeMap<(String, String), PredictedMasks>,
    rows: &[OutsidePrediction],
) {
    for row in rows {
        let nodule = (row.model_id.clone(), row.nodule_id.clone());
        let masks = predicted.entry(nodule).or_default();
        let bits = [row.mask_bits.clone(), row.other_rule_mask_bits.clone()];
        masks.slices.insert(row.roi_id.clone(), bits);
        masks.components.insert(row.component.clone());
        masks.doubts.extend(row.doubts.iter().cloned());
    }
}

/// A cohort and nodule with its readers' metrics, or why they cannot be computed.
pub(super) type ReadByOthers = ([String; 2], Result<Vec<ReaderMetric>, mask_box::Error>);

/// Measures the readers of a shard's nodules, each against the others.
pub(super) fn read_by_others(
    task: &Task<'_>,
    shard: usize,
    wanted: &BTreeSet<&str>,
) -> Result<Vec<ReadByOthers>, Error> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let spacings = subgroups::spacings(task.table(Table::Scans)?, Some(shard))?;
    let mut nodules: Vec<Nodule> = Vec::new();
    for batch in task.table(Table::Nodules)?.shard_rows::<Nodule>(shard) {
        nodules.extend(
            batch?.into_iter().filter(|nodule| {
                nodule.n_readers > 1 && wanted.contains(nodule.nodule_id.as_str())
            }),
        );
    }
    let ids: BTreeSet<&str> =
        nodules.iter().flat_map(|nodule| &nodule.mark_ids).map(String::as_str).collect();
    let mut marks: BTreeMap<String, Mark> = BTreeMap::new();
    for batch in task.table(Table::Marks)?.shard_rows::<Mark>(shard) {
        let batch = batch?.into_iter().filter(|mark| ids.contains(mark.mark_id.as_str()));
        marks.extend(batch.map(|mark| (mark.mark_id.clone(), mark)));
    }
    let of_nodule = |nodule: &Nodule| {
        let series = (nodule.cohort.clone(), nodule.series_instance_uid.clone());
        let spacing_mm = *spacings.get(&series)?;
        let marks: Vec<&Mark> = nodule.mark_ids.iter().filter_map(|id| marks.get(id)).collect();
        let id = [nodule.cohort.clone(), nodule.nodule_id.clone()];
        Some((id, readers::against_the_others(nodule, &marks, spacing_mm)))
    };
    Ok(nodules.par_iter().filter_map(of_nodule).collect())
}
