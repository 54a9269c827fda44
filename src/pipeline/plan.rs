//! Plans the jobs of a stage from its settings and its inputs.

use super::Config;
use crate::stages::Stage;
use crate::stages::ingest::{self, Sources};
use crate::stages::spec::{Reduction, RunStep, Settings};
use crate::tables::{Output, SOURCES};
use nodulus_store::{
    CaseReading, InputRef, JobSpec, ShardCase, ShardInput, ShardSpec, ShardSummary, Version, hash,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A step of a stage: its shards, or the reduction that sums them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The outputs of the shards; the only one of most stages.
    Shards,
    /// The outputs that sum up all shards.
    Reduction,
}

impl Step {
    /// The steps of a stage.
    pub fn of(stage: Stage) -> impl Iterator<Item = Self> {
        let reduction = stage.spec().reduction.as_ref().map(|_| Self::Reduction);
        std::iter::once(Self::Shards).chain(reduction)
    }

    /// The stage's reduction, where this is the step.
    fn reduction(self, stage: Stage) -> Option<&'static Reduction> {
        stage.spec().reduction.as_ref().filter(|_| self == Self::Reduction)
    }

    /// What the step reads.
    fn reads(self, stage: Stage) -> &'static [Output] {
        self.reduction(stage).map_or(stage.spec().reads, |reduction| reduction.reads)
    }

    /// What the step writes.
    pub fn writes(self, stage: Stage) -> &'static [Output] {
        self.reduction(stage).map_or(stage.spec().writes, |reduction| reduction.writes)
    }

    /// The settings that the step depends on.
    fn settings(self, stage: Stage) -> Settings {
        self.reduction(stage).map_or(stage.spec().settings, |reduction| reduction.settings)
    }

    /// Makes the shards of the step's job.
    pub fn run(self, stage: Stage) -> RunStep {
        self.reduction(stage).map_or(stage.spec().run, |reduction| reduction.run)
    }

    /// Whether the step works on the shards that ingest cut.
    pub fn is_sharded(self, stage: Stage) -> bool {
        self == Self::Shards && stage.spec().is_sharded
    }
}

/// The inputs of a step, without the outputs of stages that the pipeline file does not ask for.
pub fn reads(config: &Config, stage: Stage, step: Step) -> Vec<Output> {
    let off = Stage::ALL.into_iter().map(Stage::spec).filter(|spec| !(spec.is_on)(config));
    let missing: Vec<Output> = off.flat_map(crate::stages::StageSpec::outputs).collect();
    step.reads(stage).iter().filter(|output| !missing.contains(output)).copied().collect()
}

/// Whether an output has the shards that ingest cut.
pub fn is_sharded(output: Output) -> bool {
    Stage::ALL.into_iter().any(|stage| {
        Step::of(stage).any(|step| step.is_sharded(stage) && step.writes(stage).contains(&output))
    })
}

/// The job of ingest: a shard for each shard of the sources, and one for series of the list that no cohort has.
///
/// # Errors
///
/// Fails if a setting has no JSON form.
pub fn ingest_job(config: &Config, sources: &Sources) -> Result<JobSpec, serde_json::Error> {
    let mut shards: Vec<ListedShard<'_>> = sources.shards.iter().map(ListedShard::of).collect();
    let not_found = ingest::series_not_found(&config.ingest, sources);
    if !not_found.is_empty() {
        shards.push(ListedShard {
            cohort: String::new(),
            content_sha256: hash::sha256_parts(not_found),
            cases: &[],
        });
    }
    ingest_job_of(config, series_list_sha256(sources), &shards)
}

/// A shard of the list of sources.
pub struct ListedShard<'a> {
    /// Its cohort; empty for the shard of the series that no cohort has.
    pub cohort: String,
    /// SHA-256 over the content of its cases.
    pub content_sha256: String,
    /// Its cases, for its record; empty where it is not made here.
    pub cases: &'a [ingest::SourceCase],
}

impl<'a> ListedShard<'a> {
    fn of(cases: &'a Vec<ingest::SourceCase>) -> Self {
        let contents = cases.iter().map(|case| case.content_sha256.as_str());
        Self {
            cohort: cases.first().map_or_else(String::new, |case| case.cohort.clone()),
            content_sha256: hash::sha256_parts(contents),
            cases,
        }
    }
}

/// SHA-256 over the series of `ingest.series_list`, where it is given.
pub fn series_list_sha256(sources: &Sources) -> Option<String> {
    sources.series_list.as_ref().map(|list| hash::sha256_parts(list.iter().map(String::as_str)))
}

/// The job of ingest for shards that are listed; what their cases are is no part of their keys, but for their content.
///
/// # Errors
///
/// Fails if a setting has no JSON form.
pub fn ingest_job_of(
    config: &Config,
    series_list_sha256: Option<String>,
    listed: &[ListedShard<'_>],
) -> Result<JobSpec, serde_json::Error> {
    let spec = Stage::Ingest.spec();
    let mut common = ingest_settings(&config.ingest)?;
    if let Some(digest) = series_list_sha256 {
        common["series_list_sha256"] = digest.into();
    }
    let mut of_cohorts: BTreeMap<&str, Arc<Value>> = BTreeMap::new();
    for cohort in &config.ingest.cohorts {
        let mut settings = common.clone();
        settings["cohort"] = serde_json::to_value(cohort)?;
        of_cohorts.insert(&cohort.name, Arc::new(settings));
    }
    let none = Arc::new(Value::Null);
    let shard = |listed: &ListedShard<'_>| {
        let name = if listed.cohort.is_empty() { SERIES_NOT_FOUND } else { SOURCES };
        ShardSpec {
            config: of_cohorts.get(&*listed.cohort).unwrap_or(&none).clone(),
            decisions: Value::Null,
            inputs: vec![ShardInput {
                name: name.to_owned(),
                content_sha256: listed.content_sha256.clone(),
            }],
            cases: listed.cases.iter().map(shard_case).collect(),
        }
    };
    let contents = listed.iter().map(|shard| shard.content_sha256.as_str());
    let content_sha256 = hash::sha256_parts(contents);
    Ok(JobSpec {
        stage: spec.name,
        stage_version: spec.version,
        outputs: spec.writes.iter().map(|output| output.spec()).collect(),
        config: (spec.settings)(config)?,
        inputs: vec![InputRef::outside(SOURCES, content_sha256)],
        shards: listed.iter().map(shard).collect(),
    })
}

/// The input of the shard of the series that no cohort has.
const SERIES_NOT_FOUND: &str = "series not found";

/// The settings that every shard depends on: without the cohorts, and without the size of the shards.
fn ingest_settings(config: &ingest::Config) -> Result<Value, serde_json::Error> {
    let mut settings = serde_json::to_value(config)?;
    if let Some(settings) = settings.as_object_mut() {
        settings.shift_remove("cohorts");
        settings.shift_remove("shard_size");
    }
    Ok(settings)
}

fn shard_case(source: &ingest::SourceCase) -> ShardCase {
    ShardCase {
        cohort: source.cohort.clone(),
        case_id: source.case.case_id.clone(),
        n_files: source.case.images.len() + source.case.annotations.len(),
        content_sha256: source.content_sha256.clone(),
        reading: Some(CaseReading {
            places_sha256: source.places_sha256.clone(),
            rows: Vec::new(),
        }),
    }
}

/// The job of a step of any other stage. `decisions` are those of [`crate::stages::StageSpec::decide`], `weights` the
/// weights from outside the store, `contents` those of [`crate::stages::StageSpec::contents`], in place of the inputs as a whole.
///
/// # Errors
///
/// Fails if a setting has no JSON form.
pub fn job(
    config: &Config,
    stage: Stage,
    step: Step,
    inputs: &[Version],
    weights: Option<InputRef>,
    decisions: Option<Vec<Value>>,
    contents: Option<&[ShardInput]>,
) -> Result<JobSpec, serde_json::Error> {
    let spec = stage.spec();
    let settings = step.settings(stage)(config)?;
    // A reduction sums up what the shards already hold.
    let weights = weights.filter(|_| step == Step::Shards);
    let shared = Arc::new(settings.clone());
    let sharded = |version: &Version| {
        step.is_sharded(stage) && Output::from_name(version.output().name()).is_some_and(is_sharded)
    };
    let n_shards = inputs.iter().filter(|version| sharded(version)).map(|v| v.manifest.n_shards());
    let n_shards = n_shards.max().unwrap_or(1);
    let mut decisions = decisions.unwrap_or_default().into_iter();
    let shards = (0..n_shards)
        .map(|shard| {
            let of_input = |version: &Version| {
                if !sharded(version) {
                    return ShardInput::from(&version.manifest.as_input());
                }
                let summary = version.manifest.shards.get(shard);
                ShardInput {
                    name: version.manifest.output.clone(),
                    content_sha256: summary.map_or(String::new(), ShardSummary::content_sha256),
                }
            };
            let mut of_shard = match contents {
                Some(contents) => contents.to_vec(),
                None => inputs.iter().map(of_input).collect(),
            };
            of_shard.extend(weights.as_ref().map(ShardInput::from));
            ShardSpec {
                config: shared.clone(),
                decisions: decisions.next().unwrap_or(Value::Null),
                inputs: of_shard,
                cases: Vec::new(),
            }
        })
        .collect();
    Ok(JobSpec {
        stage: spec.name,
        stage_version: spec.version,
        outputs: step.writes(stage).iter().map(|output| output.spec()).collect(),
        config: settings,
        inputs: input_refs(inputs, weights),
        shards,
    })
}

/// The inputs of a step: versions, and weights from outside the store.
pub fn input_refs(inputs: &[Version], weights: Option<InputRef>) -> Vec<InputRef> {
    inputs.iter().map(|version| version.manifest.as_input()).chain(weights).collect()
}

/// The first pair of inputs of which one was made from another version of the other: the two names. Their rows would
/// not belong together. Outputs over the whole cohort that the user kept beside just these inputs are no such pair.
pub fn mixed(inputs: &[Version]) -> Option<(Output, Output)> {
    let name = |version: &Version| Output::from_name(version.output().name());
    for made in inputs {
        for of in inputs {
            let now = of.manifest.as_input();
            let is_same = |input: &InputRef| input.content_sha256 == now.content_sha256;
            let then = made.manifest.inputs.iter().find(|input| input.name == now.name);
            if then.is_none_or(is_same) || is_one_of_several(of, inputs) {
                continue;
            }
            let mut beside = made.manifest.kept_beside.iter().flatten();
            let was_kept = beside.any(|input| input.name == now.name && is_same(input));
            if !was_kept || name(made).is_some_and(is_sharded) {
                return Some((name(made)?, name(of)?));
            }
        }
    }
    None
}

/// Whether a stage reads several versions of an output, as the predictions of several models.
fn is_one_of_several(version: &Version, inputs: &[Version]) -> bool {
    inputs.iter().filter(|other| other.output() == version.output()).count() > 1
}
