//! Lists the nodules that are most worth a reader's look.

use super::folder::{Folder, Record};
use super::{Error, check_cohort, check_made_of};
use crate::stages::infer::REGION_GROWING;
use crate::tables::{NoduleMetrics, Output, Table};
use fs_err::File;
use nodulus_store::{Store, Version};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Options of the list.
#[derive(Clone, Copy, Debug)]
pub struct ReviewOptions<'a> {
    /// The model; `None` for the only network with predictions.
    pub model: Option<&'a str>,
    /// The cohort; `None` for all.
    pub cohort: Option<&'a str>,
    /// Number of nodules; fewer where fewer are predicted.
    pub n: usize,
}

/// Settings and counts of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReviewDescription {
    /// The model.
    pub model_id: String,
    /// The chosen cohort, if any.
    pub cohort: Option<String>,
    /// Nodules that the model predicts.
    pub n_predicted: usize,
    /// Nodules in the list.
    pub n_listed: usize,
    /// Nodules of those predicted of which the model marks no voxel.
    pub n_without_mask: usize,
    /// Nodules of those predicted with a disagreement.
    pub n_with_disagreement: usize,
    /// Nodules of those predicted with a distance from training.
    pub n_with_distance: usize,
}

/// The columns of `predictions` that are read; the same in each slice of a nodule but for the mask.
#[derive(Deserialize)]
struct Predicted {
    nodule_id: String,
    model_id: String,
    disagreement: Option<f64>,
    training_distance: Option<f64>,
    #[serde(with = "serde_bytes")]
    mask_bits: Vec<u8>,
}

const PREDICTED_COLUMNS: [&str; 5] =
    ["nodule_id", "model_id", "disagreement", "training_distance", "mask_bits"];

/// The columns of `nodules` that are read.
#[derive(Clone, Deserialize)]
struct ListedNodule {
    nodule_id: String,
    cohort: String,
    patient_id: String,
    series_instance_uid: String,
    n_readers: i64,
    centroid_i: f64,
    centroid_j: f64,
    centroid_k: f64,
    centroid_x_mm: Option<f64>,
    centroid_y_mm: Option<f64>,
    centroid_z_mm: Option<f64>,
    diameter_mm: f64,
}

const NODULE_COLUMNS: [&str; 12] = [
    "nodule_id",
    "cohort",
    "patient_id",
    "series_instance_uid",
    "n_readers",
    "centroid_i",
    "centroid_j",
    "centroid_k",
    "centroid_x_mm",
    "centroid_y_mm",
    "centroid_z_mm",
    "diameter_mm",
];

/// What a model says of a nodule.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Doubtful {
    disagreement: Option<f64>,
    training_distance: Option<f64>,
    has_mask: bool,
}

/// A row of `review.csv`.
#[derive(Serialize)]
struct ReviewRow<'a> {
    rank: usize,
    nodule_id: &'a str,
    cohort: &'a str,
    patient_id: &'a str,
    series_instance_uid: &'a str,
    centroid_i: f64,
    centroid_j: f64,
    centroid_k: f64,
    centroid_x_mm: Option<f64>,
    centroid_y_mm: Option<f64>,
    centroid_z_mm: Option<f64>,
    diameter_mm: f64,
    n_readers: i64,
    model_id: &'a str,
    has_mask: bool,
    disagreement: Option<f64>,
    training_distance: Option<f64>,
    dice: Option<f64>,
}

/// Writes `review.csv` into a folder, which is created if necessary: the nodules by how much a reader's look is worth, most
/// first. A few numbers for each predicted nodule are in memory.
///
/// METHOD: nodules of which the model marks no voxel come first, the largest first. The others follow by the mean of their
/// places, 0 to 1, among all by `disagreement` and by `training_distance`, as far as they have them; equal ones by id. The
/// Dice, where it is known, plays no part: new scans have none.
///
/// # Errors
///
/// Fails if the store lacks a table, the cohort or the model, several networks have predictions and none is named, the
/// predictions were made from other regions, they say nothing to rank nodules by, or the folder has a file that no export wrote.
pub fn export(
    store: &Store,
    to: &Path,
    options: ReviewOptions<'_>,
) -> Result<Record<ReviewDescription>, Error> {
    let require = |table| store.require(Output::Table(table));
    let (nodules, rois) = (require(Table::Nodules)?, require(Table::Rois)?);
    let predictions = require(Table::Predictions)?;
    check_made_of(&predictions, &rois)?;
    let mut places = BTreeMap::new();
    let mut cohorts = BTreeSet::new();
    for batch in nodules.columns::<ListedNodule>(&NODULE_COLUMNS) {
        for nodule in batch? {
            cohorts.insert(nodule.cohort.clone());
            if options.cohort.is_none_or(|cohort| nodule.cohort == cohort) {
                places.insert(nodule.nodule_id.clone(), nodule);
            }
        }
    }
    check_cohort(&cohorts, options.cohort)?;
    let (model_id, predicted) = predicted(&predictions, options.model, &places)?;
    let count = |of: fn(&Doubtful) -> bool| predicted.values().filter(|found| of(found)).count();
    let about = ReviewDescription {
        model_id: model_id.clone(),
        cohort: options.cohort.map(ToOwned::to_owned),
        n_predicted: predicted.len(),
        n_listed: predicted.len().min(options.n),
        n_without_mask: count(|found| !found.has_mask),
        n_with_disagreement: count(|found| found.disagreement.is_some()),
        n_with_distance: count(|found| found.training_distance.is_some()),
    };
    if about.n_without_mask + about.n_with_disagreement + about.n_with_distance == 0 {
        return Err(Error::NothingToRankBy { model_id, n: about.n_predicted });
    }
    let mut inputs = [&nodules, &rois, &predictions].map(|of| of.manifest.as_input()).to_vec();
    let mut dice = BTreeMap::new();
    if let Some(metrics) = store.current(Output::Table(Table::NoduleMetrics))?
        && check_made_of(&metrics, &predictions).is_ok()
    {
        for batch in metrics.rows::<NoduleMetrics>() {
            let of_model = batch?.into_iter().filter(|row| row.model_id == model_id);
            dice.extend(of_model.filter_map(|row| Some((row.nodule_id, row.metrics.dice?))));
        }
        inputs.push(metrics.manifest.as_input());
    }
    let diameters =
        |id: &str| places.get(id).map_or(0.0, |nodule: &ListedNodule| nodule.diameter_mm);
    let folder = Folder::open(to)?;
    let mut writer = csv::Writer::from_writer(File::create(folder.aside().join("review.csv"))?);
    for (n, id) in ranked(&predicted, diameters).into_iter().take(options.n).enumerate() {
        let (Some(nodule), Some(found)) = (places.get(id), predicted.get(id)) else { continue };
        writer.serialize(ReviewRow {
            rank: n + 1,
            nodule_id: id,
            cohort: &nodule.cohort,
            patient_id: &nodule.patient_id,
            series_instance_uid: &nodule.series_instance_uid,
            centroid_i: nodule.centroid_i,
            centroid_j: nodule.centroid_j,
            centroid_k: nodule.centroid_k,
            centroid_x_mm: nodule.centroid_x_mm,
            centroid_y_mm: nodule.centroid_y_mm,
            centroid_z_mm: nodule.centroid_z_mm,
            diameter_mm: nodule.diameter_mm,
            n_readers: nodule.n_readers,
            model_id: &model_id,
            has_mask: found.has_mask,
            disagreement: found.disagreement,
            training_distance: found.training_distance,
            dice: dice.get(id).copied(),
        })?;
    }
    writer.flush()?;
    folder.publish("review", about, inputs)
}

/// The chosen model, or the only network, and what it says of each of these nodules.
fn predicted(
    predictions: &Version,
    asked: Option<&str>,
    nodules: &BTreeMap<String, ListedNodule>,
) -> Result<(String, BTreeMap<String, Doubtful>), Error> {
    let mut models: BTreeMap<String, BTreeMap<String, Doubtful>> = BTreeMap::new();
    for batch in predictions.columns::<Predicted>(&PREDICTED_COLUMNS) {
        for row in batch?.into_iter().filter(|row| row.model_id != REGION_GROWING) {
            let of_model = models.entry(row.model_id).or_default();
            if !nodules.contains_key(&row.nodule_id) {
                continue;
            }
            let found = of_model.entry(row.nodule_id).or_default();
            found.disagreement = row.disagreement;
            found.training_distance = row.training_distance;
            found.has_mask |= row.mask_bits.iter().any(|byte| *byte != 0);
        }
    }
    let found: Vec<String> = models.keys().cloned().collect();
    let model = match (asked, found.as_slice()) {
        (Some(asked), _) => asked.to_owned(),
        (None, [only]) => only.clone(),
        (None, _) => return Err(Error::Model { model: None, found }),
    };
    match models.remove(&model) {
        Some(nodules) => Ok((model, nodules)),
        None => Err(Error::Model { model: Some(model), found }),
    }
}

/// The nodules, those most worth a look first.
fn ranked(predicted: &BTreeMap<String, Doubtful>, diameter_mm: impl Fn(&str) -> f64) -> Vec<&str> {
    let sorted = |of: fn(&Doubtful) -> Option<f64>| {
        let mut values: Vec<f64> = predicted.values().filter_map(of).collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let disagreements = sorted(|found| found.disagreement);
    let distances = sorted(|found| found.training_distance);
    let mut rows: Vec<(f64, &str)> = predicted
        .iter()
        .map(|(id, found)| {
            let places = [
                found.disagreement.map(|value| place(&disagreements, value)),
                found.training_distance.map(|value| place(&distances, value)),
            ];
            let known: Vec<f64> = places.into_iter().flatten().collect();
            let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
            // A place is 1 at most: missed nodules come before all others.
            (if found.has_mask { mean } else { 2.0 + diameter_mm(id).max(0.0) }, id.as_str())
        })
        .collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    rows.into_iter().map(|(_, id)| id).collect()
}

/// The place of a value among sorted ones, 0 to 1: the share of them below it, with half of those that equal it.
fn place(sorted: &[f64], value: f64) -> f64 {
    let below = sorted.partition_point(|other| *other < value);
    let up_to = sorted.partition_point(|other| *other <= value);
    (below + up_to) as f64 / (2 * sorted.len()).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_nodules_come_first_and_doubtful_ones_before_others() {
        let of = |disagreement, training_distance, has_mask| Doubtful {
            disagreement,
            training_distance,
            has_mask,
        };
        let predicted: BTreeMap<String, Doubtful> = [
            ("both", of(Some(0.5), Some(0.9), true)),
            ("calm", of(Some(0.1), Some(0.2), true)),
            ("far", of(Some(0.1), Some(0.99), true)),
            ("small, missed", of(Some(0.0), None, false)),
            ("large, missed", of(None, None, false)),
            ("unknown", of(None, None, true)),
        ]
        .map(|(id, found)| (id.to_owned(), found))
        .into();
        let diameter = |id: &str| if id.starts_with("large") { 9.0 } else { 4.0 };
        let expected = ["large, missed", "small, missed", "both", "far", "calm", "unknown"];
        assert_eq!(ranked(&predicted, diameter), expected);
    }

    #[test]
    fn equal_values_share_a_place() {
        let sorted = [0.1, 0.2, 0.2, 0.9];
        for (value, expected) in [(0.1, 0.125), (0.2, 0.5), (0.9, 0.875)] {
            assert!((place(&sorted, value) - expected).abs() < 1e-12);
        }
        assert!((place(&[0.3], 0.3) - 0.5).abs() < 1e-12);
    }
}
