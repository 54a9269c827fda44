//! Evaluate: `scans`, `marks`, `nodules`, `reader_agreement`, `rois`, `samples`, `predictions` →
//! `slice_metrics`, `nodule_metrics`, `summary`, `comparisons`.

pub(super) mod config;
mod classifier;
mod doubts;
mod comparisons;
mod readers;
mod reduce;
mod rows;
mod slice;
mod nodule;
mod subgroups;
mod summaries;

pub use config::Config;
pub use doubts::warnings;
pub use nodule::{MeasureError, PredictedMasks, transform};
pub use readers::READER;

use crate::stages::spec::{Reduction, StageSpec};
use crate::stages::task::Task;
use crate::tables::{
    Error, Mark, Nodule, NoduleMetrics, Output, ReaderMetric, SliceMetrics, Table, mask_box,
};
use nodulus_store::{FailedCase, Job, Version};
use rayon::prelude::*;
use serde::Deserialize;
use slice::SLICE_COLUMNS;
pub use slice::{Region, Slice};
use std::collections::{BTreeMap, BTreeSet};

/// The stage.
pub const SPEC: StageSpec = StageSpec {
    name: "evaluate",
    description: "measure each prediction",
    example: "",
    reads: &[
        Output::Table(Table::Scans),
        Output::Table(Table::Marks),
        Output::Table(Table::Nodules),
        Output::Table(Table::Rois),
        Output::Table(Table::Predictions),
    ],
    writes: &[
        Output::Table(Table::NoduleMetrics),
        Output::Table(Table::SliceMetrics),
        Output::Table(Table::ReaderMetrics),
    ],
    version: 5,
    needs_images: true,
    is_sharded: true,
    is_on: |_| true,
    settings: |_| Ok(serde_json::Value::Null),
    outside_weights: |_| None,
    decide: None,
    run: |config, task, job| {
        doubts::check(task, config.infer.allow_training_patients)?;
        Ok(run(&config.evaluate, task, job)?)
    },
    reduction: Some(Reduction {
        reads: &[
            Output::Table(Table::Scans),
            Output::Table(Table::Nodules),
            Output::Table(Table::ReaderAgreement),
            Output::Table(Table::Rois),
            Output::Table(Table::Samples),
            Output::Table(Table::Predictions),
            Output::Table(Table::NoduleMetrics),
            Output::Table(Table::SliceMetrics),
            Output::Table(Table::ReaderMetrics),
        ],
        writes: &[Output::Table(Table::Summary), Output::Table(Table::Comparisons)],
        settings: |config| serde_json::to_value(&config.evaluate),
        run: |config, task, job| Ok(reduce::reduce(&config.evaluate, task, job)?),
    }),
};

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

/// What a model predicts for a nodule.
#[derive(Debug, Default)]
struct PredictedNodule {
    masks: PredictedMasks,
    doubts: BTreeSet<String>,
}

/// Measures the predictions and the readers of every pending shard.
///
/// # Errors
///
/// Fails if the store cannot be read or written to; a nodule that cannot be measured becomes a row of `failures`.
pub fn run(_config: &Config, task: &Task<'_>, job: &Job) -> Result<(), Error> {
    let work = job.work()?;
    let total = work.n_left();
    let rois = task.table(Table::Rois)?;
    let predictions = task.inputs(Output::Table(Table::Predictions))?;
    for (n, writer) in work.enumerate() {
        let writer = writer?;
        let shard = writer.number();
        let mut nodule_part = writer.part::<NoduleMetrics>()?;
        let mut slice_part = writer.part::<SliceMetrics>()?;
        let mut reader_part = writer.part::<ReaderMetric>()?;
        let mut failures = Vec::new();
        let predicted = read_predictions(&predictions, shard)?;
        let mut regions: BTreeMap<String, Vec<Slice>> = BTreeMap::new();
        let slices =
            (!predicted.is_empty()).then(|| rois.shard_columns::<Slice>(shard, SLICE_COLUMNS));
        for batch in slices.into_iter().flatten() {
            for slice in batch? {
                regions.entry(slice.nodule_id.clone()).or_default().push(slice);
            }
        }
        let work: Vec<_> = predicted.into_iter().collect();
        let results: Vec<_> = work
            .par_iter()
            .map(|((model_id, nodule_id), PredictedNodule { masks, doubts })| {
                let none = Vec::new();
                let slices = regions.get(nodule_id).unwrap_or(&none);
                let measured = transform(model_id, slices, masks).map(|(nodule, slices)| {
                    let doubts = doubts.iter().cloned().collect();
                    (NoduleMetrics { doubts, ..nodule }, slices)
                });
                (nodule_id, measured)
            })
            .collect();
        for (nodule_id, result) in results {
            match result {
                Ok((nodule, slices)) => {
                    nodule_part.write([nodule])?;
                    slice_part.write(slices)?;
                }
                Err(error) => {
                    failures.push(FailedCase::new("evaluate", nodule_id, &error, None));
                }
            }
        }
        let wanted: BTreeSet<&str> = work.iter().map(|((_, nodule), _)| &**nodule).collect();
        for (nodule_id, result) in read_by_others(task, shard, &wanted)? {
            match result {
                Ok(rows) => reader_part.write(rows)?,
                Err(error) => {
                    failures.push(FailedCase::new("evaluate", &nodule_id, &error, None));
                }
            }
        }
        let parts = vec![nodule_part.finish()?, slice_part.finish()?, reader_part.finish()?];
        writer.commit(parts, failures)?;
        task.cases(n + 1, total);
    }
    Ok(())
}

/// Reads the predictions of a shard, by model and nodule.
fn read_predictions(
    tables: &[&Version],
    shard: usize,
) -> Result<BTreeMap<(String, String), PredictedNodule>, nodulus_store::Error> {
    let mut predicted: BTreeMap<(String, String), PredictedNodule> = BTreeMap::new();
    let batches =
        tables.iter().flat_map(|table| table.shard_columns::<Predicted>(shard, PREDICTED_COLUMNS));
    for batch in batches {
        for row in batch? {
            let nodule = predicted.entry((row.model_id, row.nodule_id)).or_default();
            nodule.masks.slices.insert(row.roi_id, [row.mask_bits, row.other_rule_mask_bits]);
            nodule.masks.components.insert(row.component);
            nodule.doubts.extend(row.doubts);
        }
    }
    Ok(predicted)
}

/// A nodule with its readers' metrics, or why they cannot be computed.
type ReadByOthers = (String, Result<Vec<ReaderMetric>, mask_box::Error>);

/// Measures the readers of a shard's nodules, each against the others.
fn read_by_others(
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
        Some((nodule.nodule_id.clone(), readers::against_the_others(nodule, &marks, spacing_mm)))
    };
    Ok(nodules.par_iter().filter_map(of_nodule).collect())
}
