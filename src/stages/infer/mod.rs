//! Infer: `rois`, `samples`, checkpoint → `predictions`.

pub(super) mod config;
mod error;
pub mod preprocessing;
mod doubts;
mod disagreement;
mod distance;
mod selection;
mod network;
mod region_growing;
mod nodules;
mod kept;
mod check;
mod thresholds;

use crate::stages::config::Config as Settings;
pub use crate::stages::nodule_region::RegionError;
use crate::stages::nodule_region::masks;
use crate::stages::nodule_slices::{NoduleSlices, each_nodule};
use crate::stages::spec::{OutsideWeights, StageSpec};
use crate::stages::task::{Event, Task};
use crate::tables::{Doubt, Output, Prediction, Roi, Sample, Table, leak};
use check::check_fold;
pub use check::{check_settings, check_validation, check_weights};
pub use config::{Batch, BatchName, Config, ProbabilityThreshold, ThresholdName, Weights};
pub use doubts::check_patients;
pub(in crate::stages) use doubts::{ScanSlices, scan_slices};
pub use error::Error;
use kept::Kept;
use network::Network;
use nodules::Nodules;
pub use nodules::is_of_a_fold;
use nodulus_imaging::components::ComponentRule;
use nodulus_nets::{self as model, Ensemble, PredictionProfile};
use nodulus_store::{FailedCase, Job, Version};
use rayon::prelude::*;
pub use region_growing::REGION_GROWING;
use std::path::PathBuf;

use thresholds::Thresholds;
pub use thresholds::{Threshold, ThresholdSource};

/// The stage.
pub const SPEC: StageSpec = StageSpec {
    name: "infer",
    description: "predict a mask for each slice",
    example: "",
    reads: &[
        Output::Table(Table::Scans),
        Output::Table(Table::Rois),
        Output::Table(Table::Samples),
        Output::Checkpoint,
    ],
    writes: &[Output::Table(Table::Predictions)],
    version: 10,
    needs_images: true,
    is_sharded: true,
    is_on: |_| true,
    settings: |config| serde_json::to_value(&config.infer),
    outside_weights: |config| {
        let path = config.infer.checkpoint.as_deref()?;
        Some(OutsideWeights { setting: "infer.checkpoint", input: "checkpoint", path })
    },
    outside_files: None,
    check: None,
    contents: None,
    decide: Some(|config, task| {
        let thresholds = if task.plans_only {
            let Some(known) = Thresholds::known(&config.infer, task)? else { return Ok(None) };
            known
        } else {
            Thresholds::decide(&config.infer, task)?
        };
        let n_shards = task.table(Table::Rois)?.manifest.n_shards();
        Ok(Some(vec![serde_json::json!(thresholds); n_shards]))
    }),
    run: |config, task, job| Ok(run(config, task, job)?),
    reduction: None,
};

/// Predicts the slices of every pending shard.
///
/// # Errors
///
/// Fails if a patient is in two splits, the weights were trained on a patient to predict or on regions that were made
/// otherwise and no setting allows it, the weights cannot be read, the network cannot run, or the store cannot be read
/// or written to; a slice that cannot be predicted becomes a row of `failures`.
pub fn run(settings: &Settings, task: &Task<'_>, job: &Job) -> Result<(), Error> {
    let config = &settings.infer;
    let work = job.work()?;
    let total = work.n_left();
    if total == 0 {
        return Ok(());
    }
    let (rois, samples) = (task.table(Table::Rois)?, task.table(Table::Samples)?);
    leak::check(samples.rows::<Sample>())?;
    let network = open(config, task)?;
    let doubts = doubts::doubts(settings, task, &weights(config, task)?)?;
    let scan_slices = scan_slices(task.table(Table::Scans)?)?;
    let mut found = doubts::Found::default();
    let architecture = network.predictor.config().architecture.name();
    let model_id = config.model_id.clone().unwrap_or_else(|| architecture.to_owned());
    let thresholds = Thresholds::decide(config, task)?;
    let kept = Kept::of(config, task, task.table(Table::Scans)?)?;
    let profile = network.profile()?;
    for (n, writer) in work.enumerate() {
        let writer = writer?;
        let shard = writer.number();
        let mut nodules = Nodules::default();
        for batch in samples.shard_rows::<Sample>(shard) {
            for sample in batch? {
                nodules.add(kept::uses(config, kept.as_ref(), &sample), sample);
            }
        }
        let chosen = &nodules.chosen;
        let mut predictions = writer.part::<Prediction>()?;
        let mut failures = Vec::new();
        let pixels = if chosen.is_empty() { None } else { Some(rois.shard_rows::<Roi>(shard)) };
        let mut failed_slices = Vec::new();
        let predict = |slices: &[Roi]| network.predict(slices, &mut failed_slices);
        each_nodule(pixels.into_iter().flatten(), chosen, predict, |complete| {
            let rows = complete.par_iter().map(|slices| {
                let rows = predict_nodule(
                    &model_id,
                    slices,
                    config,
                    &thresholds,
                    &nodules,
                    &scan_slices,
                    profile.as_ref(),
                );
                rows.map_err(|error| (slices, error))
            });
            for rows in rows.collect::<Vec<_>>() {
                match rows {
                    Ok(mut rows) => {
                        for row in rows.iter_mut().filter(|row| row.model_id == model_id) {
                            row.doubts.splice(..0, doubts::names(&doubts, &row.nodule_id));
                        }
                        found.add(&rows);
                        predictions.write(rows)?;
                    }
                    Err((slices, error)) => {
                        let (nodule_id, cohort) = slices
                            .first()
                            .map_or(("", ""), |(roi, _)| (&roi.nodule_id, &roi.cohort));
                        let failed = FailedCase::new("infer", nodule_id, &error, None);
                        failures.push(failed.of_cohort(cohort));
                    }
                }
            }
            Ok(())
        })?;
        failures.extend(failed_slices);
        writer.commit(vec![predictions.finish()?], failures)?;
        task.cases(n + 1, total);
    }
    for line in found.warnings() {
        (task.progress)(Event::Note(line));
    }
    Ok(())
}

/// The weights file of a checkpoint of the store.
///
/// # Errors
///
/// Fails if the settings ask for those of the best epoch, and it has none.
pub fn stored_file(config: &Config, checkpoint: &Version) -> Result<PathBuf, Error> {
    let missing = || Error::NoBest(checkpoint.manifest.key.clone());
    checkpoint.file(config.weights.file())?.ok_or_else(missing)
}

/// Loads the network.
fn open(config: &Config, task: &Task<'_>) -> Result<Network, Error> {
    let weights = weights(config, task)?;
    let device = task.device.with_precision(config.precision)?;
    let predictor = Ensemble::load(&weights, &device)?;
    check_fold(config, &predictor)?;
    let batch = match config.batch {
        Batch::Slices(slices) => slices.max(1),
        Batch::Named(BatchName::Auto) => {
            let bytes = device.free_bytes()?.unwrap_or(task.max_memory);
            predictor.batch_within(bytes)
        }
    };
    Ok(Network { batch, flips: config.flips, predictor })
}

/// The weights files that predict.
fn weights(config: &Config, task: &Task<'_>) -> Result<Vec<PathBuf>, Error> {
    match task.weights {
        Some(path) => Ok(vec![path.to_owned()]),
        None => stored_weights(config, task),
    }
}

/// The weights files of the store's checkpoints.
fn stored_weights(config: &Config, task: &Task<'_>) -> Result<Vec<PathBuf>, Error> {
    let versions = task.inputs(Output::Checkpoint)?;
    versions.into_iter().map(|version| stored_file(config, version)).collect()
}

/// The rows of a nodule's slices: those of the network, then those of the baseline.
fn predict_nodule(
    model_id: &str,
    slices: &NoduleSlices<Option<model::Prediction>>,
    config: &Config,
    thresholds: &Thresholds,
    nodules: &Nodules,
    scan_slices: &ScanSlices,
    profile: Option<&PredictionProfile>,
) -> Result<Vec<Prediction>, RegionError> {
    let (rule, reach_mm) = (config.component, config.reach_mm);
    // A scan of unknown length may go on.
    let n_scan_slices = slices.first().map_or(i64::MAX, |(roi, _)| scan_slices.of(roi));
    let threshold = thresholds.probability;
    let mut rows = transform(model_id, slices, profile, threshold, rule, reach_mm, n_scan_slices)?;
    let note_tuned = |rows: &mut [Prediction], from: ThresholdSource| {
        for row in rows.iter_mut().filter(|row| nodules.are_chosen_on(from, &row.nodule_id)) {
            row.doubts.insert(0, Doubt::TunedOnScored.name().to_owned());
        }
    };
    note_tuned(&mut rows, threshold.from);
    if let Some(growing) = thresholds.growing {
        let slices = slices.iter().map(|(roi, _)| roi);
        let mut of_baseline =
            region_growing::predict(slices, growing, rule, reach_mm, n_scan_slices)?;
        note_tuned(&mut of_baseline, growing.from);
        rows.extend(of_baseline);
    }
    Ok(rows)
}

/// The rows of a nodule's slices, ascending; a slice without a prediction has none.
///
/// The mask is what is delivered, and what `evaluate` measures; see `masks`. `n_scan_slices` is the number of the scan's
/// slices.
///
/// METHOD: only the region's slices are predicted here, while `score` follows a nodule through the scan. Where the mask
/// could be another one in more slices, the rows have [`Doubt::MaskAtRegionEnd`]: it reaches the first or last slice
/// and the scan goes on, or a slice beyond lies nearer to the centre than the mask.
///
/// # Errors
///
/// Fails if a slice between others is missing, or the slices differ in size.
pub fn transform(
    model_id: &str,
    slices: &[(Roi, Option<model::Prediction>)],
    profile: Option<&PredictionProfile>,
    threshold: Threshold,
    rule: ComponentRule,
    reach_mm: f64,
    n_scan_slices: i64,
) -> Result<Vec<Prediction>, RegionError> {
    let probabilities: Vec<(&Roi, Option<&[f32]>)> = slices
        .iter()
        .map(|(roi, predicted)| (roi, predicted.as_ref().map(|found| &*found.probability)))
        .collect();
    let (region, [delivered, other]) = masks(&probabilities, threshold.value, rule, reach_mm)?;
    let is_nearest = rule == ComponentRule::Centre;
    let may_go_on = region.is_cut(&delivered, n_scan_slices)
        || (is_nearest && region.may_miss_nearer(&delivered, n_scan_slices));
    let disagreement =
        disagreement::of_nodule(slices, &delivered, threshold.value, rule, reach_mm)?;
    let rois = slices.iter().map(|(roi, _)| roi);
    let training_distance =
        profile.and_then(|profile| distance::of_nodule(profile, rois, &delivered));
    let doubts: Vec<String> =
        may_go_on.then(|| Doubt::MaskAtRegionEnd.name().to_owned()).into_iter().collect();
    let row = |(k, (roi, predicted)): (usize, &(Roi, Option<model::Prediction>))| {
        let predicted = predicted.as_ref()?;
        let bytes = predicted.probability.iter().map(|p| (p * 255.0).round() as u8);
        Some(Prediction {
            roi_id: roi.roi_id.clone(),
            nodule_id: roi.nodule_id.clone(),
            model_id: model_id.to_owned(),
            probability: Some(bytes.collect()),
            nodule_probability: predicted.nodule_probability.map(f64::from),
            disagreement,
            training_distance,
            threshold: threshold.value,
            threshold_from: threshold.from.name().to_owned(),
            component: rule.name().to_owned(),
            mask_bits: region.slice_bits(&delivered, k),
            other_rule_mask_bits: region.slice_bits(&other, k),
            doubts: doubts.clone(),
        })
    };
    Ok(slices.iter().enumerate().filter_map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::roi;

    const THRESHOLD: Threshold = Threshold { value: 0.5, from: ThresholdSource::Setting };

    /// Rows of slices with these probabilities; none for a slice that failed.
    fn rows(
        slices: &[Option<&[f32]>],
        threshold: Threshold,
        rule: ComponentRule,
    ) -> Vec<Prediction> {
        let n_pixels = slices.iter().flatten().map(|slice| slice.len()).max().unwrap();
        let slice = |(k, probability): (usize, Option<&[f32]>)| {
            let roi = roi(&vec![0; n_pixels], &vec![true; n_pixels], &[0]);
            let predicted = probability.map(|probability| model::Prediction {
                probability: probability.to_vec(),
                nodule_probability: Some(0.25),
                ..model::Prediction::default()
            });
            (Roi { slice_index: k as i64, ..roi }, predicted)
        };
        let slices: Vec<_> = slices.iter().copied().enumerate().map(slice).collect();
        let n_slices = slices.len() as i64;
        transform("m", &slices, None, threshold, rule, 5.0, n_slices).unwrap()
    }

    #[test]
    fn a_mask_that_may_go_on_in_the_scan_is_a_doubt() {
        let slice = |k: i64, is_marked: bool| {
            let probability = vec![f32::from(u8::from(is_marked)); 3];
            let predicted = model::Prediction { probability, ..model::Prediction::default() };
            (Roi { slice_index: k, ..roi(&[0; 3], &[true; 3], &[0]) }, Some(predicted))
        };
        let doubts = |marked: [bool; 3], reach_mm: f64, rule, n_scan_slices: i64| {
            let slices: Vec<_> = (0..3).map(|k| slice(k + 4, marked[k as usize])).collect();
            let rows =
                transform("m", &slices, None, THRESHOLD, rule, reach_mm, n_scan_slices).unwrap();
            assert!(rows.iter().all(|row| row.doubts == rows[0].doubts));
            rows[0].doubts.concat()
        };
        let (centre, all) = (ComponentRule::Centre, ComponentRule::All);
        assert_eq!(doubts([false, true, false], 1.0, centre, 20), "");
        assert_eq!(doubts([false, true, true], 1.0, centre, 20), "mask_at_region_end");
        assert_eq!(doubts([false, true, true], 1.0, centre, 7), "");
        // Nothing is marked, and slice 3 or 7 may hold a voxel within reach.
        assert_eq!(doubts([false; 3], 1.0, centre, 20), "");
        assert_eq!(doubts([false; 3], 9.0, centre, 20), "mask_at_region_end");
        assert_eq!(doubts([false; 3], 9.0, all, 20), "");
    }

    #[test]
    fn probabilities_become_bytes_and_a_mask_at_one_half() {
        let probability: &[f32] = &[0.0, 0.499, 0.5, 1.0];
        let found = rows(&[Some(probability)], THRESHOLD, ComponentRule::Centre);
        let row = &found[0];
        assert_eq!(row.probability, Some(vec![0, 127, 128, 255]));
        assert_eq!(row.mask_bits, [0b1100]);
        assert_eq!((row.model_id.as_str(), row.nodule_probability), ("m", Some(0.25)));
        let lower = Threshold { value: 0.4, ..THRESHOLD };
        let lower = &rows(&[Some(probability)], lower, ComponentRule::Centre)[0];
        assert_eq!((lower.mask_bits.as_slice(), lower.threshold), (&[0b1110][..], 0.4));
    }

    #[test]
    fn the_delivered_mask_has_the_component_at_the_centre_alone() {
        // Pixel 2 is the centre; pixel 4 belongs to it through the second slice, pixel 0 does not.
        let slices: [Option<&[f32]>; 3] =
            [Some(&[0.9, 0.0, 0.9, 0.0, 0.9]), Some(&[0.0, 0.0, 0.0, 0.9, 0.0]), Some(&[0.0; 5])];
        let found = rows(&slices, THRESHOLD, ComponentRule::Centre);
        let bits = |rows: &[Prediction]| -> Vec<[u8; 2]> {
            rows.iter().map(|row| [row.mask_bits[0], row.other_rule_mask_bits[0]]).collect()
        };
        assert_eq!(bits(&found), [[0b1_0100, 0b1_0101], [0b0_1000, 0b0_1000], [0, 0]]);
        assert!(found.iter().all(|row| row.component == "centre"));
        let all = rows(&slices, THRESHOLD, ComponentRule::All);
        assert_eq!(bits(&all), [[0b1_0101, 0b1_0100], [0b0_1000, 0b0_1000], [0, 0]]);
        assert!(all.iter().all(|row| row.component == "all"));
        // A slice that failed has no row, and joins nothing.
        let failed = rows(&[slices[0], None, slices[2]], THRESHOLD, ComponentRule::Centre);
        assert_eq!(bits(&failed), [[0b0_0100, 0b1_0101], [0, 0]]);
    }
}
