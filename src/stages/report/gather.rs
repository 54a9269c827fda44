//! Reads what a report is made from, a batch of rows at a time.

use super::content::{
    Cohort, Content, Count, Epoch, Evaluation, Example, Model, NoduleScore, Quantity, Source,
    SplitCount, StageFailures,
};
use super::histogram::histograms;
use super::overlay::Slice;
use super::{Config, Error, Pick, readers};
use crate::metrics::METRIC_DEFINITION;
use crate::stages::Task;
use crate::stages::infer::THRESHOLD;
use crate::tables::{
    Comparison, Exclusion, NoduleMetrics, Output, Oversize, Prediction, Roi, Role, Sample, Scan,
    Summary, Table, TrainingLog, leak,
};
use crate::volume::Mask;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The columns of `rois` that counting needs.
#[derive(Deserialize)]
struct RoiCount {
    cohort: String,
    nodule_id: String,
    n_other_nodules: i64,
    oversize: Option<String>,
}

/// The columns of `nodules` that tell about scored nodules.
#[derive(Deserialize)]
struct Facts {
    nodule_id: String,
    diameter_mm: f64,
    n_readers: i64,
}

/// The columns of `marks` that counting needs.
#[derive(Deserialize)]
struct MarkKindOf {
    cohort: String,
    kind: String,
}

/// The columns of `nodules` that counting needs.
#[derive(Deserialize)]
struct NoduleCount {
    cohort: String,
    more_marks_than_readers: bool,
    diameter_mm: f64,
}

/// Sets that a cohort's counts come from.
#[derive(Default)]
struct Tally {
    layout: String,
    patients: BTreeSet<String>,
    n_scans: u64,
    n_excluded: u64,
    exclusions: BTreeMap<String, u64>,
    left_out: BTreeMap<String, u64>,
    marks: BTreeMap<String, u64>,
    n_nodules: u64,
    n_more_marks_than_readers: u64,
    resampled: BTreeSet<String>,
    cropped: BTreeSet<String>,
    n_roi_slices: u64,
    n_shared_slices: u64,
    split_by: BTreeSet<String>,
    samples: BTreeMap<String, Learnt>,
    /// Values of [`QUANTITIES`].
    values: [Vec<Option<f64>>; QUANTITIES.len()],
}

/// What a split holds of a cohort.
#[derive(Default)]
struct Learnt {
    patients: BTreeSet<String>,
    nodules: BTreeSet<String>,
    n_slices: u64,
    n_empty_slices: u64,
}

/// What histograms are drawn of: three of the scans that later stages use, one of the nodules.
const QUANTITIES: [Quantity; 4] =
    [Quantity::SliceSpacing, Quantity::PixelSpacing, Quantity::SliceThickness, Quantity::Diameter];

/// Everything but examples.
pub(super) fn counts(config: &Config, task: &Task<'_>) -> Result<Content, Error> {
    let scores = scores(task)?;
    let mut summary = Vec::new();
    for batch in task.table(Table::Summary)?.rows::<Summary>() {
        summary.extend(batch?);
    }
    let mut comparisons = Vec::new();
    for batch in task.table(Table::Comparisons)?.rows::<Comparison>() {
        comparisons.extend(batch?);
    }
    let facts = facts(task, &scores)?;
    let patients: BTreeSet<&str> = scores.iter().map(|row| row.patient_id.as_str()).collect();
    let nodules: BTreeSet<&str> = scores.iter().map(|row| row.nodule_id.as_str()).collect();
    let (cohorts, splits) = cohorts(task, &nodules)?;
    let n_several_readers = facts.values().filter(|nodule| nodule.n_readers > 1).count();
    let pairs = readers::pairs(task)?;
    Ok(Content {
        title: config.title.clone(),
        run_id: task.job.key().to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        metric_definition: METRIC_DEFINITION.to_owned(),
        sources: sources(task),
        readers: readers::of_cohorts(&cohorts, &pairs, &readers::ratings(task)?, config.seed),
        cohorts,
        failures: failures(task)?,
        training: training(task)?,
        evaluation: Evaluation {
            split: splits.into_iter().collect::<Vec<_>>().join(", "),
            n_patients: patients.len() as u64,
            n_nodules: nodules.len() as u64,
        },
        models: models(&scores),
        summary,
        ceiling: readers::ceiling(&nodules, n_several_readers, &pairs, config.seed),
        comparisons,
        nodules: scores
            .iter()
            .map(|row| NoduleScore {
                nodule_id: row.nodule_id.clone(),
                model_id: row.model_id.clone(),
                outcome: row.outcome.clone(),
                diameter_mm: diameter_mm(&facts, &row.nodule_id),
                dice: row.dice,
            })
            .collect(),
        examples: Vec::new(),
    })
}

/// Every row of `nodule_metrics`.
pub(super) fn scores(task: &Task<'_>) -> Result<Vec<NoduleMetrics>, Error> {
    let mut scores = Vec::new();
    for batch in task.table(Table::NoduleMetrics)?.rows::<NoduleMetrics>() {
        scores.extend(batch?);
    }
    Ok(scores)
}

fn sources(task: &Task<'_>) -> Vec<Source> {
    let inputs = task.job.spec().inputs.iter();
    inputs
        .filter_map(|input| {
            let output = Output::from_name(&input.name)?;
            let version = task.store.version(output, &input.key).ok()??;
            Some(Source {
                table: input.name.clone(),
                key: input.key.clone(),
                path: format!("{}/{}/{}", input.name, input.key, output.files_folder()),
                n_rows: version.manifest.rows,
            })
        })
        .collect()
}

fn failures(task: &Task<'_>) -> Result<Vec<StageFailures>, Error> {
    let mut stages: Vec<(String, BTreeMap<String, u64>)> = Vec::new();
    for input in &task.job.spec().inputs {
        let Some(output) = Output::from_name(&input.name) else { continue };
        let Some(version) = task.store.version(output, &input.key)? else { continue };
        for failure in version.manifest.shards.iter().flat_map(|shard| &shard.failures) {
            if stages.last().is_none_or(|(stage, _)| *stage != failure.stage) {
                stages.push((failure.stage.clone(), BTreeMap::new()));
            }
            if let Some((_, causes)) = stages.last_mut() {
                *causes.entry(failure.cause.clone()).or_default() += 1;
            }
        }
    }
    Ok(stages
        .into_iter()
        .map(|(stage, causes)| {
            let n = causes.values().sum();
            let mut causes = counted(causes);
            causes.sort_by(|a, b| b.n.cmp(&a.n).then(a.name.cmp(&b.name)));
            StageFailures { stage, n, causes }
        })
        .collect())
}

fn training(task: &Task<'_>) -> Result<Vec<Epoch>, Error> {
    let Some(version) = task.optional_input(Output::Table(Table::TrainingLog))? else {
        return Ok(Vec::new());
    };
    let mut epochs = Vec::new();
    for batch in version.rows::<TrainingLog>() {
        epochs.extend(batch?.into_iter().map(|row| Epoch {
            run_id: row.run_id,
            phase: row.phase,
            epoch: row.epoch.unsigned_abs(),
            fold: row.fold.map(i64::unsigned_abs),
            learning_rate: row.learning_rate,
            loss: row.loss,
            dice: row.dice,
            validation_dice: row.validation_dice,
        }));
    }
    Ok(epochs)
}

/// Counts of each cohort in the order of the scans, and the splits of the evaluated nodules.
fn cohorts(
    task: &Task<'_>,
    evaluated: &BTreeSet<&str>,
) -> Result<(Vec<Cohort>, BTreeSet<String>), Error> {
    let mut order: Vec<String> = Vec::new();
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for batch in task.table(Table::Scans)?.rows::<Scan>() {
        for scan in batch? {
            if !order.contains(&scan.cohort) {
                order.push(scan.cohort.clone());
            }
            let tally = tallies.entry(scan.cohort).or_default();
            tally.layout = scan.source;
            tally.patients.insert(scan.patient_id);
            tally.n_scans += 1;
            tally.n_excluded += u64::from(!scan.included);
            if scan.included {
                let [spacing_k, spacing_i, thickness, _] = &mut tally.values;
                spacing_k.push(scan.spacing_k_mm);
                spacing_i.push(Some(scan.spacing_i_mm));
                thickness.push(scan.slice_thickness_mm);
            }
            for reason in scan.exclusion_reasons {
                *tally.exclusions.entry(reason).or_default() += 1;
            }
        }
    }
    for batch in task.table(Table::Exclusions)?.rows::<Exclusion>() {
        for exclusion in batch? {
            let Some(cohort) = exclusion.cohort else { continue };
            let tally = tallies.entry(cohort).or_default();
            *tally.left_out.entry(exclusion.rule).or_default() += 1;
        }
    }
    let marks = task.table(Table::Marks)?;
    for batch in marks.columns::<MarkKindOf>(Table::Marks, &["cohort", "kind"]) {
        for mark in batch? {
            *tallies.entry(mark.cohort).or_default().marks.entry(mark.kind).or_default() += 1;
        }
    }
    let nodules = task.table(Table::Nodules)?;
    let columns = ["cohort", "more_marks_than_readers", "diameter_mm"];
    for batch in nodules.columns::<NoduleCount>(Table::Nodules, &columns) {
        for nodule in batch? {
            let tally = tallies.entry(nodule.cohort).or_default();
            tally.n_nodules += 1;
            tally.n_more_marks_than_readers += u64::from(nodule.more_marks_than_readers);
            tally.values[3].push(Some(nodule.diameter_mm));
        }
    }
    let columns = ["cohort", "nodule_id", "n_other_nodules", "oversize"];
    for batch in task.table(Table::Rois)?.columns::<RoiCount>(Table::Rois, &columns) {
        for roi in batch? {
            let tally = tallies.entry(roi.cohort).or_default();
            tally.n_roi_slices += 1;
            tally.n_shared_slices += u64::from(roi.n_other_nodules > 0);
            match roi.oversize.as_deref() {
                Some(name) if name == Oversize::Resampled.name() => {
                    tally.resampled.insert(roi.nodule_id);
                }
                Some(_) => {
                    tally.cropped.insert(roi.nodule_id);
                }
                None => {}
            }
        }
    }
    leak::check(task.table(Table::Samples)?.rows::<Sample>())?;
    let mut splits = BTreeSet::new();
    for batch in task.table(Table::Samples)?.rows::<Sample>() {
        for sample in batch? {
            if evaluated.contains(sample.nodule_id.as_str()) {
                splits.insert(sample.split.clone());
            }
            let tally = tallies.entry(sample.cohort).or_default();
            tally.split_by.insert(sample.split_by);
            let learnt = tally.samples.entry(sample.split).or_default();
            learnt.patients.insert(sample.patient_id);
            learnt.nodules.insert(sample.nodule_id);
            learnt.n_slices += 1;
            learnt.n_empty_slices += u64::from(sample.role == Role::AdjacentEmpty.name());
        }
    }
    let mut values = [const { Vec::new() }; QUANTITIES.len()];
    let mut cohorts = Vec::new();
    for name in order {
        let Some(mut tally) = tallies.remove(&name) else { continue };
        for (all, own) in values.iter_mut().zip(&mut tally.values) {
            all.push(std::mem::take(own));
        }
        cohorts.push(cohort(tally, name));
    }
    for (quantity, values) in QUANTITIES.into_iter().zip(&values) {
        for (cohort, histogram) in cohorts.iter_mut().zip(histograms(quantity, values)) {
            cohort.histograms.push(histogram);
        }
    }
    Ok((cohorts, splits))
}

fn cohort(tally: Tally, name: String) -> Cohort {
    let split = |(split, learnt): (String, Learnt)| SplitCount {
        split,
        n_patients: learnt.patients.len() as u64,
        n_nodules: learnt.nodules.len() as u64,
        n_slices: learnt.n_slices,
        n_empty_slices: learnt.n_empty_slices,
    };
    Cohort {
        name,
        layout: tally.layout,
        n_patients: tally.patients.len() as u64,
        n_scans: tally.n_scans,
        n_excluded: tally.n_excluded,
        exclusions: counted(tally.exclusions),
        left_out: counted(tally.left_out),
        marks: counted(tally.marks),
        n_nodules: tally.n_nodules,
        n_more_marks_than_readers: tally.n_more_marks_than_readers,
        n_resampled: tally.resampled.len() as u64,
        n_cropped: tally.cropped.len() as u64,
        n_roi_slices: tally.n_roi_slices,
        n_shared_slices: tally.n_shared_slices,
        split_by: tally.split_by.into_iter().collect(),
        samples: tally.samples.into_iter().map(split).collect(),
        histograms: Vec::new(),
    }
}

fn counted(counts: BTreeMap<String, u64>) -> Vec<Count> {
    counts.into_iter().map(|(name, n)| Count { name, n }).collect()
}

/// Models, the threshold last.
fn models(scores: &[NoduleMetrics]) -> Vec<Model> {
    let mut ids: Vec<&str> = scores.iter().map(|row| row.model_id.as_str()).collect();
    ids.sort_unstable_by_key(|id| (*id == THRESHOLD, *id));
    ids.dedup();
    let label = |id: &str| if id == THRESHOLD { "best single threshold" } else { id }.to_owned();
    ids.into_iter().map(|id| Model { model_id: id.to_owned(), label: label(id) }).collect()
}

/// Facts about every scored nodule, by its id.
fn facts(task: &Task<'_>, scores: &[NoduleMetrics]) -> Result<BTreeMap<String, Facts>, Error> {
    let wanted: BTreeSet<&str> = scores.iter().map(|row| row.nodule_id.as_str()).collect();
    let mut facts = BTreeMap::new();
    let columns = ["nodule_id", "diameter_mm", "n_readers"];
    for batch in task.table(Table::Nodules)?.columns::<Facts>(Table::Nodules, &columns) {
        let batch = batch?.into_iter().filter(|nodule| wanted.contains(nodule.nodule_id.as_str()));
        facts.extend(batch.map(|nodule| (nodule.nodule_id.clone(), nodule)));
    }
    Ok(facts)
}

fn diameter_mm(facts: &BTreeMap<String, Facts>, nodule_id: &str) -> f64 {
    facts.get(nodule_id).map_or(f64::NAN, |nodule| nodule.diameter_mm)
}

/// The picked nodules, each on the slice where its mask is largest.
pub(super) fn examples(
    task: &Task<'_>,
    scores: &[NoduleMetrics],
    picks: &[Pick],
) -> Result<Vec<Example>, Error> {
    let facts = facts(task, scores)?;
    let mut slices: BTreeMap<String, Roi> = BTreeMap::new();
    if !picks.is_empty() {
        for batch in task.table(Table::Rois)?.rows::<Roi>() {
            for roi in
                batch?.into_iter().filter(|roi| picks.iter().any(|p| p.nodule_id == roi.nodule_id))
            {
                let larger = slices
                    .get(&roi.nodule_id)
                    .is_none_or(|held| held.n_mask_pixels < roi.n_mask_pixels);
                if larger {
                    slices.insert(roi.nodule_id.clone(), roi);
                }
            }
        }
    }
    let mut predicted: BTreeMap<(String, String), Vec<u8>> = BTreeMap::new();
    if !picks.is_empty() {
        for batch in task.table(Table::Predictions)?.rows::<Prediction>() {
            let batch = batch?
                .into_iter()
                .filter(|row| slices.values().any(|roi| roi.roi_id == row.roi_id));
            predicted.extend(batch.map(|row| ((row.roi_id, row.model_id), row.mask_bits)));
        }
    }
    let mut examples = Vec::new();
    for pick in picks {
        let Some(roi) = slices.get(&pick.nodule_id) else { continue };
        let score = scores
            .iter()
            .find(|row| row.nodule_id == pick.nodule_id && row.model_id == pick.model_id);
        let bits = predicted.get(&(roi.roi_id.clone(), pick.model_id.clone()));
        let Some(slice) = bits.and_then(|bits| slice(roi, bits)) else { continue };
        examples.push(Example {
            rank: pick.rank.to_owned(),
            nodule_id: pick.nodule_id.clone(),
            model_id: pick.model_id.clone(),
            dice: score.and_then(|score| score.dice),
            hausdorff_95_mm: score.and_then(|score| score.hausdorff_95_mm),
            diameter_mm: diameter_mm(&facts, &pick.nodule_id),
            z_mm: roi.z_mm,
            slice,
        });
    }
    Ok(examples)
}

fn slice(roi: &Roi, predicted: &[u8]) -> Option<Slice> {
    let size = [roi.width, roi.height].map(|v| usize::try_from(v).ok());
    let [Some(width), Some(height)] = size else { return None };
    let mask = |bits: Vec<u8>| Mask::from_bits([width, height, 1], bits).ok();
    Some(Slice {
        size: [width, height],
        spacing_mm: [roi.spacing_i_mm, roi.spacing_j_mm],
        hu: roi.pixels_hu()?,
        window_hu: [roi.norm_low_hu, roi.norm_high_hu],
        reference: mask(roi.mask_bits.clone())?,
        prediction: mask(predicted.to_vec())?,
    })
}
