//! What a step starts from: its inputs, weights and job.

use super::{ChosenVersions, Error, Options};
use crate::pipeline::config::Config;
use crate::pipeline::outside_weights::outside_weights;
use crate::pipeline::plan::{self, Step};
use crate::pipeline::{patients, preprocessing, sources};
use crate::stages::ingest::Sources;
use crate::stages::spec::Decide;
use crate::stages::{Places, Stage, StageError, Task, evaluate, infer, train};
use crate::tables::Output;
use nodulus_store::{InputRef, JobSpec, Store, Version, hash, record};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where each case lies, as listed by this run or now.
pub(in crate::pipeline) fn places<'a>(
    config: &Config,
    store: &Store,
    listed: Option<&'a Sources>,
) -> Result<Places<'a>, StageError> {
    let sources = match listed {
        Some(sources) => Cow::Borrowed(sources),
        None => Cow::Owned(sources::look(&config.ingest, store)?),
    };
    if let Some(fault) = sources.faults().next() {
        let cause = format!("`{}`: {}", fault.case_id, fault.cause);
        return Err(sources::Error::Fault { cause }.into());
    }
    Ok(Places::of(sources))
}

/// The root of each cohort.
pub(in crate::pipeline) fn roots(config: &Config) -> BTreeMap<String, PathBuf> {
    config.ingest.cohorts.iter().map(|c| (c.name.clone(), c.root.clone())).collect()
}

/// The inputs of a step: chosen versions, else those of this run, else the current ones.
///
/// # Errors
///
/// Fails if an input is missing, cannot be read, or was made from another version of another input.
pub(in crate::pipeline) fn inputs(
    config: &Config,
    store: &Store,
    stage: Stage,
    step: Step,
    chosen: &ChosenVersions,
    made: &[Version],
) -> Result<Vec<Version>, Error> {
    let mut inputs = Vec::new();
    for output in plan::reads(config, stage, step) {
        let missing = || Error::InputMissing {
            stage,
            output,
            store: store.root().to_owned(),
            maker: maker(output),
        };
        if output == Output::Checkpoint && (stage.spec().outside_weights)(config).is_some() {
            continue;
        }
        if let Some(versions) = chosen.get(&output) {
            for version in versions {
                inputs.push(store.version(output, &version.key)?.ok_or_else(missing)?);
            }
            continue;
        }
        let of_run = made.iter().rev().find(|version| version.output() == output.into());
        let version = match of_run {
            Some(version) => version.clone(),
            None => store.current(output)?.ok_or_else(missing)?,
        };
        inputs.push(version);
    }
    match plan::mixed(&inputs) {
        Some((made, of)) => Err(Error::Mixed { stage, made, of }),
        None => Ok(inputs),
    }
}

/// The job of a step, with the decisions that a folder keeps, if there is one; `None` where a plan would have to decide
/// something first that takes long.
///
/// # Errors
///
/// Fails if a decision over the cohort fails, or a setting has no JSON form.
pub(in crate::pipeline) fn job_spec(
    config: &Config,
    stage: Stage,
    step: Step,
    task: &Task<'_>,
    weights: Option<InputRef>,
    kept: Option<&Path>,
) -> Result<Option<JobSpec>, Error> {
    let settings = |source| Error::Settings { stage, source };
    if stage == Stage::Ingest {
        return plan::ingest_job(config, task.sources).map(Some).map_err(settings);
    }
    let decide = stage.spec().decide.filter(|_| step == Step::Shards);
    let decided = |decide: Decide| {
        let anew = || decide(config, task).map_err(|source| Error::Stage { stage, source });
        match kept {
            None => anew(),
            Some(folder) => {
                let mut inputs = plan::input_refs(task.inputs, weights.clone());
                if let Some(files) = stage.spec().outside_files {
                    inputs.extend(files(config).map_err(|source| Error::Stage { stage, source })?);
                }
                kept_decisions(folder, stage, &inputs, anew)
            }
        }
    };
    let decisions = match decide.map(decided).transpose()? {
        Some(None) => return Ok(None),
        decisions => decisions.flatten(),
    };
    let contents = stage.spec().contents.filter(|_| step == Step::Shards);
    let contents = contents.map(|contents| contents(config, task)).transpose();
    let contents = contents.map_err(|source| Error::Stage { stage, source })?;
    let job = plan::job(config, stage, step, task.inputs, weights, decisions, contents.as_deref());
    Ok(Some(with_outside_files(config, stage, step, job.map_err(settings)?)?))
}

/// A job with the files from outside the store among its inputs. They are in the keys of its shards by the stage's decisions
/// alone.
///
/// # Errors
///
/// Fails if a file cannot be read.
pub(in crate::pipeline) fn with_outside_files(
    config: &Config,
    stage: Stage,
    step: Step,
    mut job: JobSpec,
) -> Result<JobSpec, Error> {
    if let Some(files) = stage.spec().outside_files.filter(|_| step == Step::Shards) {
        job.inputs.extend(files(config).map_err(|source| Error::Stage { stage, source })?);
    }
    Ok(job)
}

/// The decisions of a stage as `folder` has them; it gets those that are made anew. One who makes a shard of many need not
/// look at the whole cohort for it.
fn kept_decisions(
    folder: &Path,
    stage: Stage,
    inputs: &[InputRef],
    anew: impl FnOnce() -> Result<Option<Vec<Value>>, Error>,
) -> Result<Option<Vec<Value>>, Error> {
    let contents = inputs.iter().flat_map(|input| [&*input.name, &*input.content_sha256]);
    let path = folder.join(format!("{}.json", hash::id(&format!("{stage}-"), contents)));
    if let Some(KeptDecisions { of_shards }) = record::read(&path)? {
        return Ok(Some(of_shards));
    }
    let decisions = anew()?;
    if let Some(of_shards) = &decisions {
        fs_err::create_dir_all(folder)?;
        record::write(&path, &KeptDecisions { of_shards: of_shards.clone() })?;
    }
    Ok(decisions)
}

/// Decisions over the whole cohort, by shard.
#[derive(Serialize, Deserialize)]
struct KeptDecisions {
    of_shards: Vec<Value>,
}

/// Fails if the settings do not allow what a stage's inputs are.
///
/// # Errors
///
/// As the stage's own check.
pub(in crate::pipeline) fn check(
    config: &Config,
    stage: Stage,
    step: Step,
    task: &Task<'_>,
) -> Result<(), Error> {
    match stage.spec().check.filter(|_| step == Step::Shards) {
        Some(check) => check(config, task).map_err(|source| Error::Stage { stage, source }),
        None => Ok(()),
    }
}

/// Fails if masks of other programs are not there, `infer` has no weights, the settings exclude what a stage needs, or
/// weights that stages read cannot be loaded or were
/// trained on other regions, before any stage works for hours.
///
/// # Errors
///
/// Fails if nothing gives `infer` its weights, a file cannot be read, its network cannot be loaded, or the settings contradict
/// each other or a checkpoint that is kept.
pub(in crate::pipeline) fn check_weights(
    config: &Config,
    store: &Store,
    options: &Options<'_>,
) -> Result<(), Error> {
    let stages = options.stages;
    if stages.contains(&Stage::Infer) && config.train.is_none() && config.infer.checkpoint.is_none()
    {
        return Err(Error::NoWeights);
    }
    if stages.contains(&Stage::Evaluate) {
        let stage = Stage::Evaluate;
        evaluate::check_settings(&config.evaluate)
            .map_err(|source| Error::Stage { stage, source: source.into() })?;
    }
    let is_kept = options.keep.contains(&Stage::Train);
    patients::check_settings(config, stages, stages.contains(&Stage::Train) && !is_kept)?;
    for &stage in stages {
        let Some((file, _)) = outside_weights(config, stage)? else { continue };
        let checked = match (stage, &config.train) {
            (Stage::Train, Some(train)) => train::check_weights(train, &file),
            (Stage::Infer, _) => infer::check_weights(&config.infer, &file),
            _ => Ok(()),
        };
        checked.map_err(|source| Error::Stage { stage, source })?;
    }
    if is_kept && stages.contains(&Stage::Infer) && config.infer.checkpoint.is_none() {
        check_kept(config, store)?;
    }
    Ok(())
}

/// Fails if the checkpoint that is kept cannot predict, or was trained on regions that are made otherwise. Without one, the
/// run says so where it would keep it.
fn check_kept(config: &Config, store: &Store) -> Result<(), Error> {
    let Some(checkpoint) = store.current(Output::Checkpoint)? else { return Ok(()) };
    let stage = Stage::Infer;
    let file = infer::stored_file(&config.infer, &checkpoint)
        .map_err(|error| Error::Stage { stage, source: error.into() })?;
    infer::check_weights(&config.infer, &file).map_err(|source| Error::Stage { stage, source })?;
    Ok(preprocessing::check_kept(config, &file)?)
}

/// The stage that writes an output; `failures` come from every stage.
pub(in crate::pipeline) fn maker(output: Output) -> Stage {
    Stage::ALL
        .into_iter()
        .find(|stage| stage.spec().outputs().any(|written| written == output))
        .unwrap_or(Stage::Ingest)
}
