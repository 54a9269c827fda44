//! Sums up the metrics of all shards: `summary` and `comparisons`.

use super::calibration::PixelDiagrams;
use super::classifier::Judgements;
use super::config::Config;
use super::doubts::SubgroupDoubts;
use super::subgroups::{Subgroups, spacings};
use super::summaries::{self, MeasuredValue};
use super::{Region, comparisons, seeds};
use crate::stages::task::Task;
use crate::tables::{
    Comparison, Error, NoduleMetrics, ReaderMetric, Roi, SliceMetrics, SliceProbability, Summary,
    Table,
};
use nodulus_store::{Job, Version};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The columns of `rois` that describe a region and what its slices show.
#[derive(Deserialize)]
struct RegionSlice {
    roi_id: String,
    nodule_id: String,
    patient_id: String,
    height: i64,
    width: i64,
    spacing_i_mm: f64,
    spacing_j_mm: f64,
    spacing_k_mm: f64,
    has_nodule: bool,
    n_other_nodules: i64,
}

const REGION_COLUMNS: &[&str] = &[
    "roi_id",
    "nodule_id",
    "patient_id",
    "height",
    "width",
    "spacing_i_mm",
    "spacing_j_mm",
    "spacing_k_mm",
    "has_nodule",
    "n_other_nodules",
];

/// Reads the metrics of every shard and writes the summaries; a few numbers for each slice and nodule are in memory.
///
/// # Errors
///
/// Fails if the store cannot be read or written to.
pub(super) fn reduce(config: &Config, task: &Task<'_>, job: &Job) -> Result<(), Error> {
    for writer in job.work()? {
        let writer = writer?;
        let spacings = spacings(task.table(Table::Scans)?, None)?;
        let mut subgroups = Subgroups::read(task, &spacings)?;
        let mut measured = Vec::new();
        let mut judgements = Judgements::default();
        let mut pixels = PixelDiagrams::default();
        let mut doubts = SubgroupDoubts::default();
        let n_shards = task.table(Table::NoduleMetrics)?.manifest.n_shards();
        for shard in 0..n_shards {
            let sums = Sums {
                subgroups: &mut subgroups,
                judgements: &mut judgements,
                pixels: &mut pixels,
                measured: &mut measured,
            };
            read_shard(task, shard, sums)?;
            doubts.add(task, shard, &subgroups)?;
            task.cases(shard + 1, n_shards);
        }
        let means = seeds::means(&config.seed_means, &measured);
        measured.extend(means);
        doubts.add_means(&config.seed_means);
        let mut rows = summaries::summarise(&subgroups, &measured, config.seed);
        rows.extend(judgements.rows(config.seed));
        rows.extend(pixels.rows(config.seed));
        for row in &mut rows {
            row.doubts = doubts.of(row);
        }
        rows.sort_by(|a, b| {
            (&a.model_id, &a.metric, &a.subgroup).cmp(&(&b.model_id, &b.metric, &b.subgroup))
        });
        let mut summary_part = writer.part::<Summary>()?;
        summary_part.write(rows)?;
        let mut comparison_part = writer.part::<Comparison>()?;
        // A seed is compared with nothing: its row's mean is.
        measured.retain(|row| !seeds::is_of_a_mean(&config.seed_means, &row.model_id));
        let mut comparisons = comparisons::compare(&measured, config.seed);
        for row in &mut comparisons {
            row.doubts = doubts.of_comparison(row);
        }
        comparison_part.write(comparisons)?;
        writer.commit(vec![summary_part.finish()?, comparison_part.finish()?], Vec::new())?;
    }
    Ok(())
}

/// What the metrics of shards are added to.
struct Sums<'a> {
    subgroups: &'a mut Subgroups,
    judgements: &'a mut Judgements,
    pixels: &'a mut PixelDiagrams,
    measured: &'a mut Vec<MeasuredValue>,
}

/// Adds the metrics of a shard: those of nodules, of slices and of readers, the judgements of slices, and the pixels by their
/// probability.
fn read_shard(task: &Task<'_>, shard: usize, sums: Sums<'_>) -> Result<(), Error> {
    let Sums { subgroups, judgements, pixels, measured } = sums;
    let nodules: Vec<NoduleMetrics> = rows(task.table(Table::NoduleMetrics)?, shard)?;
    if nodules.is_empty() {
        return Ok(());
    }
    let probabilities = probabilities(&task.all_predictions()?, shard)?;
    let mut regions: BTreeMap<String, Region> = BTreeMap::new();
    let rois = task.table(Table::Rois)?;
    for batch in rois.shard_columns::<RegionSlice>(shard, REGION_COLUMNS) {
        for slice in batch? {
            let truth = Roi::truth(slice.has_nodule, slice.n_other_nodules);
            for (model_id, probability) in probabilities.get(&slice.roi_id).into_iter().flatten() {
                judgements.add(model_id, &slice.patient_id, truth, *probability);
            }
            let [width, height] =
                [slice.width, slice.height].map(|n| usize::try_from(n).unwrap_or(0));
            let spacing_mm = [slice.spacing_i_mm, slice.spacing_j_mm, slice.spacing_k_mm];
            let region = regions
                .entry(slice.nodule_id)
                .or_insert(Region { size: [width, height, 0], spacing_mm });
            region.size[2] += 1;
        }
    }
    for nodule in &nodules {
        pixels.add(nodule);
        if let Some(oversize) = &nodule.oversize {
            subgroups.add(&nodule.nodule_id, &format!("oversize={oversize}"));
        }
        if let Some(region) = regions.get(&nodule.nodule_id) {
            measured.extend(summaries::of_nodule(nodule, *region));
        }
    }
    for slice in rows::<SliceMetrics>(task.table(Table::SliceMetrics)?, shard)? {
        if let Some(region) = regions.get(&slice.nodule_id) {
            measured.extend(summaries::of_slice(&slice, *region));
        }
    }
    let readers = rows::<ReaderMetric>(task.table(Table::ReaderMetrics)?, shard)?;
    measured.extend(readers.iter().filter_map(summaries::of_reader));
    Ok(())
}

fn rows<R: nodulus_store::Row>(table: &Version, shard: usize) -> Result<Vec<R>, Error> {
    let mut rows = Vec::new();
    for batch in table.shard_rows::<R>(shard) {
        rows.extend(batch?);
    }
    Ok(rows)
}

/// The models' probabilities of each slice of a shard, by the slice's id.
fn probabilities(
    tables: &[&Version],
    shard: usize,
) -> Result<BTreeMap<String, Vec<(String, f64)>>, Error> {
    let mut probabilities: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
    for table in tables {
        for batch in table.shard_columns::<SliceProbability>(shard, SliceProbability::COLUMNS) {
            for row in batch? {
                if let Some(probability) = row.nodule_probability {
                    let of_slice = probabilities.entry(row.roi_id).or_default();
                    of_slice.push((row.model_id, probability));
                }
            }
        }
    }
    Ok(probabilities)
}
