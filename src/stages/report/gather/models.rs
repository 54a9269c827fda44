//! The models, their weights, and the calibration of their probabilities.

use crate::stages::Task;
use crate::stages::evaluate::{READER, pixel_diagram};
use crate::stages::infer::REGION_GROWING;
use crate::stages::report::content::{Calibration, CalibrationBin, ReportModel};
use crate::stages::report::error::Error;
use crate::tables::{NoduleMetrics, Output, Roi, SliceProbability, Summary, Table};
use nodulus_metrics::classifier::{BINS, ReliabilityDiagram};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The columns of `rois` that say whether a slice shows nodule.
#[derive(Deserialize)]
struct SliceTruth {
    roi_id: String,
    has_nodule: bool,
    n_other_nodules: i64,
}

/// What the predictions say about each model.
#[derive(Debug, Default)]
pub(super) struct PredictionIndex(BTreeMap<String, ModelPredictions>);

#[derive(Debug, Default)]
struct ModelPredictions {
    predictions: Vec<String>,
    checkpoints: Vec<String>,
    reliability: ReliabilityDiagram,
}

impl PredictionIndex {
    /// Reads every version of `predictions`, a shard at a time.
    ///
    /// METHOD: the slices are those of the classifier in `summary`: see [`Roi::truth`].
    pub(super) fn read(task: &Task<'_>) -> Result<Self, Error> {
        let mut models: BTreeMap<String, ModelPredictions> = BTreeMap::new();
        let rois = task.table(Table::Rois)?;
        let versions = task.all_predictions()?;
        for shard in 0..rois.manifest.n_shards() {
            let mut truths: BTreeMap<String, Option<bool>> = BTreeMap::new();
            let columns = ["roi_id", "has_nodule", "n_other_nodules"];
            for batch in rois.shard_columns::<SliceTruth>(shard, &columns) {
                truths.extend(
                    batch?
                        .into_iter()
                        .map(|roi| (roi.roi_id, Roi::truth(roi.has_nodule, roi.n_other_nodules))),
                );
            }
            for version in &versions {
                let made_by = version.manifest.inputs.iter();
                let checkpoints: Vec<&String> = made_by
                    .filter(|input| input.name == Output::Checkpoint.name())
                    .map(|input| &input.key)
                    .collect();
                let columns = SliceProbability::COLUMNS;
                for batch in version.shard_columns::<SliceProbability>(shard, columns) {
                    for row in batch? {
                        let judgement =
                            row.nodule_probability.zip(truths.get(&row.roi_id).copied().flatten());
                        let weights =
                            if row.model_id == REGION_GROWING { &[][..] } else { &checkpoints };
                        let model = models.entry(row.model_id).or_default();
                        if !model.predictions.contains(&version.manifest.key) {
                            model.predictions.push(version.manifest.key.clone());
                        }
                        for key in weights {
                            if !model.checkpoints.contains(key) {
                                model.checkpoints.push((*key).clone());
                            }
                        }
                        if let Some((probability, truth)) = judgement {
                            model.reliability.add(probability, truth);
                        }
                    }
                }
            }
        }
        Ok(Self(models))
    }

    /// The evaluated models, region growing last, and after them the means over seeds that `summary` has.
    pub(super) fn models(
        &self,
        metrics: &[NoduleMetrics],
        summary: &[Summary],
    ) -> Vec<ReportModel> {
        let evaluated: BTreeSet<&str> = metrics.iter().map(|row| row.model_id.as_str()).collect();
        let of_summary = summary.iter().map(|row| row.model_id.as_str()).filter(|id| *id != READER);
        let mut ids: Vec<&str> = evaluated.iter().copied().chain(of_summary).collect();
        ids.sort_unstable_by_key(|id| (!evaluated.contains(id), *id == REGION_GROWING, *id));
        ids.dedup();
        let none = ModelPredictions::default();
        let model = |id: &str| {
            let predicted = self.0.get(id).unwrap_or(&none);
            let label = if id == REGION_GROWING { "region growing (baseline)" } else { id };
            ReportModel {
                model_id: id.to_owned(),
                label: label.to_owned(),
                predictions: predicted.predictions.clone(),
                checkpoints: predicted.checkpoints.clone(),
            }
        };
        ids.into_iter().map(model).collect()
    }

    /// The model that predicted with the weights of a training run; of several, the one with the fewest other
    /// weights.
    pub(super) fn model_of_run(&self, run_id: &str) -> Option<String> {
        let of_run = |(_, found): &(&String, &ModelPredictions)| {
            found.checkpoints.iter().any(|key| key == run_id)
        };
        let models = self.0.iter().filter(of_run);
        models.min_by_key(|(_, found)| found.checkpoints.len()).map(|(id, _)| id.clone())
    }

    /// The calibration of the models with probabilities, in the order of the models.
    pub(super) fn calibration(&self, models: &[ReportModel]) -> Vec<Calibration> {
        let of_model = |model: &ReportModel| {
            calibration(&model.model_id, &self.0.get(&model.model_id)?.reliability)
        };
        models.iter().filter_map(of_model).collect()
    }
}

/// The calibration of the probabilities of pixels, of the models that have them, in the order of the models.
pub(super) fn pixel_calibration(
    models: &[ReportModel],
    results: &[NoduleMetrics],
) -> Vec<Calibration> {
    let of_model = |model: &ReportModel| {
        let mut sum = ReliabilityDiagram::default();
        let of_model = results.iter().filter(|row| row.model_id == model.model_id);
        of_model.filter_map(pixel_diagram).for_each(|diagram| sum.merge(&diagram));
        calibration(&model.model_id, &sum)
    };
    models.iter().filter_map(of_model).collect()
}

/// `None` for a diagram without a case.
fn calibration(model_id: &str, diagram: &ReliabilityDiagram) -> Option<Calibration> {
    let bins = diagram.bins.iter().enumerate().map(|(place, bin)| CalibrationBin {
        low: place as f64 / BINS as f64,
        high: (place + 1) as f64 / BINS as f64,
        n: bin.n,
        mean_probability: bin.mean_probability(),
        share_with_nodule: bin.share_true(),
    });
    let n = diagram.bins.iter().map(|bin| bin.n).sum();
    (n > 0).then(|| Calibration { model_id: model_id.to_owned(), n, bins: bins.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_over_seeds_come_after_the_evaluated_models() {
        let metrics = ["m, seed 2", REGION_GROWING, "m, seed 1", "m, seed 1"]
            .map(|id| NoduleMetrics { model_id: id.to_owned(), ..NoduleMetrics::default() });
        let summary = ["m", "m, seed 1", "m, seed 2", READER, REGION_GROWING].map(|id| Summary {
            model_id: id.to_owned(),
            metric: "dice".to_owned(),
            subgroup: "all".to_owned(),
            n_total: 1,
            n_valid: 1,
            n_missed: 0,
            n_patients: 1,
            mean: Some(0.5),
            sd: None,
            median: Some(0.5),
            ci_low: None,
            ci_high: None,
            ci_missing_reason: None,
            worst_case_mean: Some(0.5),
            doubts: Vec::new(),
        });
        let models = PredictionIndex::default().models(&metrics, &summary);
        let ids: Vec<&str> = models.iter().map(|model| model.model_id.as_str()).collect();
        assert_eq!(ids, ["m, seed 1", "m, seed 2", REGION_GROWING, "m"]);
    }

    #[test]
    fn a_run_belongs_to_the_model_of_its_weights_alone() {
        let of = |keys: &[&str]| ModelPredictions {
            checkpoints: keys.iter().map(|key| (*key).to_owned()).collect(),
            ..ModelPredictions::default()
        };
        let predicted = PredictionIndex(BTreeMap::from([
            ("all folds".to_owned(), of(&["a", "b"])),
            ("one".to_owned(), of(&["a"])),
            (REGION_GROWING.to_owned(), of(&[])),
        ]));
        assert_eq!(predicted.model_of_run("a").as_deref(), Some("one"));
        assert_eq!(predicted.model_of_run("b").as_deref(), Some("all folds"));
        assert_eq!(predicted.model_of_run("c"), None);
    }
}
