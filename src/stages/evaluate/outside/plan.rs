//! Which nodules of other programs' masks each shard measures, and the digest of exactly these masks.

use super::error::Error;
use super::{Masks, OutsideModel, open};
use crate::stages::config::Config as Settings;
use crate::stages::task::Task;
use crate::tables::{Output, Table};
use nodulus_store::{Version, hash};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The columns of `rois` that say which slices there are.
#[derive(Deserialize)]
pub(super) struct RegionSlice {
    pub(super) roi_id: String,
    pub(super) nodule_id: String,
    width: i64,
    height: i64,
}

const REGION_SLICE: &[&str] = &["roi_id", "nodule_id", "width", "height"];

/// The columns of `predictions` that say whom a model predicts.
#[derive(Deserialize)]
struct PredictedBy {
    nodule_id: String,
    model_id: String,
}

/// What a shard measures of a model, and what it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OfModel {
    /// The model.
    pub(super) model_id: String,
    /// SHA-256 of the masks of the measured nodules.
    masks_sha256: String,
    /// Nodules that are measured.
    n_nodules: u64,
    /// Nodules that the model has, and no model of the store predicts.
    n_left_aside: u64,
    /// Nodules that a model of the store predicts, and this one lacks.
    n_missing: u64,
}

/// What a shard's key holds of other programs' masks.
#[derive(Serialize, Deserialize)]
struct Decisions {
    /// Rule of components by which the masks are delivered.
    component: String,
    reach_mm: f64,
    models: Vec<OfModel>,
}

impl OfModel {
    /// Adds the counts of another shard.
    pub(super) fn add(&mut self, other: &Self) {
        self.n_nodules += other.n_nodules;
        self.n_left_aside += other.n_left_aside;
        self.n_missing += other.n_missing;
    }

    /// A sentence about nodules that the model has more, and about those that it lacks.
    pub(super) fn warnings(&self, model_id: &str) -> Vec<String> {
        let Self { n_nodules, n_left_aside, n_missing, .. } = self;
        let (n_own, n_others) = (n_nodules + n_left_aside, n_nodules + n_missing);
        let more = format!(
            "`{model_id}`: {n_left_aside} of its {n_own} nodules are left aside, because no model of the store predicts them \
             (`infer.splits`, `infer.cohorts`)"
        );
        let fewer = format!(
            "`{model_id}`: it has no mask of {n_missing} of the {n_others} nodules that models of the store predict, so that its rows \
             of `summary` are of fewer nodules; `comparisons` are over the nodules of both"
        );
        let told = [(*n_left_aside, more), (*n_missing, fewer)];
        told.into_iter().filter(|(n, _)| *n > 0).map(|(_, text)| text).collect()
    }
}

/// What the record of a shard says of each model.
pub(super) fn of_record(decisions: &Value) -> Vec<OfModel> {
    let decisions: Option<Decisions> = serde_json::from_value(decisions.clone()).ok();
    decisions.map_or_else(Vec::new, |decisions| decisions.models)
}

/// For each shard what it measures of the models that the settings name; null where it has nothing of them. `None` where the
/// tables are still to be made.
///
/// METHOD: the nodules that are measured are those that a model of the store predicts, so that the models are compared on
/// nodules of the same patients: a mask of a training patient would be counted beside those of test patients.
///
/// # Errors
///
/// Fails if masks cannot be read, are of slices that `rois` does not have or of another size, or of no nodule that the store's
/// models predict; or if such a model has the name of a model of the store.
pub(in crate::stages::evaluate) fn decide(
    settings: &Settings,
    task: &Task<'_>,
) -> Result<Option<Vec<Value>>, Error> {
    if settings.evaluate.predictions.is_empty() {
        return Ok(Some(Vec::new()));
    }
    if task.is_incomplete {
        return Ok(None);
    }
    let mut models = open(&settings.evaluate)?;
    let rois = task.table(Table::Rois)?;
    let predictions = task.inputs(Output::Table(Table::Predictions))?;
    let mut totals = vec![OfModel::default(); models.len()];
    let mut decisions = Vec::new();
    for shard in 0..rois.manifest.n_shards() {
        let predicted = predicted(&predictions, shard, &models)?;
        let mut of_shard = Vec::new();
        let slices = slices(rois, shard)?;
        for (model, total) in models.iter_mut().zip(&mut totals) {
            let found = of_model(model, &slices, &predicted)?;
            total.add(&found);
            if found.n_nodules + found.n_left_aside + found.n_missing > 0 {
                of_shard.push(found);
            }
        }
        let decided = Decisions {
            component: settings.infer.component.name().to_owned(),
            reach_mm: settings.infer.reach_mm,
            models: of_shard,
        };
        decisions.push(if decided.models.is_empty() { Value::Null } else { json!(decided) });
    }
    for (model, total) in models.iter().zip(&totals) {
        match &model.masks {
            Masks::Table(table) => table.check_known()?,
            Masks::Folder(folder) => folder.check_known()?,
        }
        if total.n_nodules == 0 {
            let n_nodules = usize::try_from(total.n_left_aside).unwrap_or(usize::MAX);
            return Err(Error::NoneMeasured { path: model.path.clone(), n_nodules });
        }
    }
    Ok(Some(decisions))
}

/// The slices of a shard of `rois`.
pub(super) fn slices(rois: &Version, shard: usize) -> Result<Vec<RegionSlice>, Error> {
    let mut slices = Vec::new();
    for batch in rois.shard_columns::<RegionSlice>(shard, REGION_SLICE) {
        slices.extend(batch?);
    }
    Ok(slices)
}

/// The nodules of a shard that the models of the store predict.
fn predicted(
    predictions: &[&Version],
    shard: usize,
    models: &[OutsideModel],
) -> Result<BTreeSet<String>, Error> {
    let mut nodules = BTreeSet::new();
    for version in predictions {
        for batch in version.shard_columns::<PredictedBy>(shard, &["nodule_id", "model_id"]) {
            for PredictedBy { nodule_id, model_id } in batch? {
                if models.iter().any(|model| model.model_id == model_id) {
                    return Err(Error::Taken { model_id });
                }
                nodules.insert(nodule_id);
            }
        }
    }
    Ok(nodules)
}

/// What a shard measures of a model.
fn of_model(
    model: &mut OutsideModel,
    slices: &[RegionSlice],
    predicted: &BTreeSet<String>,
) -> Result<OfModel, Error> {
    // The digests of each nodule's masks, by the id of the slice or nodule.
    let mut nodules: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    for RegionSlice { roi_id, nodule_id, width, height } in slices {
        let (id, digest) = match &mut model.masks {
            Masks::Table(table) => (roi_id, table.find(roi_id, [*width, *height])?),
            Masks::Folder(folder) => (nodule_id, folder.find(nodule_id)),
        };
        if let Some(digest) = digest {
            nodules.entry(nodule_id).or_default().insert(id, digest);
        }
    }
    let (measured, left_aside): (Vec<_>, Vec<_>) =
        nodules.into_iter().partition(|(nodule_id, _)| predicted.contains(*nodule_id));
    let digests = measured.iter().flat_map(|(_, digests)| digests);
    let parts = digests.flat_map(|(id, digest)| [*id, digest.as_str()]);
    Ok(OfModel {
        model_id: model.model_id.clone(),
        masks_sha256: hash::sha256_parts(parts),
        n_nodules: measured.len() as u64,
        n_left_aside: left_aside.len() as u64,
        n_missing: (predicted.len() - measured.len()) as u64,
    })
}
