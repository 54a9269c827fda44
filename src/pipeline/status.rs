//! The state of each stage: what exists, what is stale and why.

use super::outside_weights::outside_weights;
use super::plan::{self, Step};
use super::runner::{self, Chosen, Error};
use super::{Config, sources};
use crate::stages::ingest::Sources;
use crate::stages::{Places, Stage, Task};
use nodulus_nets::Device;
use nodulus_store::{Job, Store, Version};
use serde::Serialize;
use std::collections::BTreeMap;

/// State of a stage's outputs, compared with what the pipeline file asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// The current outputs are up to date.
    Current,
    /// Outputs for these inputs and settings exist under another key; the next run makes them current without work.
    Kept,
    /// There are no outputs yet.
    Missing,
    /// The outputs were made from other inputs or settings.
    Stale {
        /// Each difference.
        reasons: Vec<String>,
        /// Shards to make, and shards in all; unknown before a decision that takes long.
        shards: Option<(usize, usize)>,
    },
    /// A run was interrupted.
    Unfinished {
        /// Committed shards.
        done: usize,
        /// Shards in all.
        total: usize,
    },
    /// An earlier stage has to run first.
    Waiting {
        /// That stage.
        stage: Stage,
    },
    /// The pipeline file does not ask for the stage.
    Off,
}

/// A stage and its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StageStatus {
    /// The stage.
    pub stage: Stage,
    /// The state of its outputs.
    #[serde(flatten)]
    pub state: State,
    /// Key of the current outputs, where there are any.
    pub key: Option<String>,
    /// Rows of the first output.
    pub rows: Option<u64>,
    /// Number of failed cases.
    pub n_failures: Option<usize>,
}

/// The state of every stage. Nothing is written; source files that have changed are read and hashed.
///
/// # Errors
///
/// Fails if the sources cannot be listed or the store cannot be read.
pub fn status(config: &Config, store: &Store) -> Result<Vec<StageStatus>, Error> {
    let sources = sources::look(&config.ingest, Some(store))?;
    // Each stage that is not current, with the first stage that has to run before it.
    let mut to_run: BTreeMap<Stage, Stage> = BTreeMap::new();
    let mut found = Vec::new();
    for stage in Stage::ALL {
        let current =
            stage.spec().writes.first().map_or(Ok(None), |output| store.current(*output))?;
        let makers = plan::reads(config, stage, Step::Shards).into_iter().map(runner::maker);
        let first = makers.filter_map(|maker| to_run.get(&maker).copied()).min();
        let state = if !config.stages().any(|s| s == stage) {
            State::Off
        } else if let Some(earlier) = first {
            State::Waiting { stage: earlier }
        } else {
            state(config, store, stage, &sources, current.as_ref())?
        };
        if !matches!(state, State::Current | State::Off) {
            to_run.insert(stage, first.unwrap_or(stage));
        }
        let manifest = current.as_ref().map(|version| &version.manifest);
        found.push(StageStatus {
            stage,
            state,
            key: manifest.map(|m| m.key.clone()),
            rows: manifest.map(|m| m.rows),
            n_failures: manifest.map(nodulus_store::Manifest::n_failures),
        });
    }
    Ok(found)
}

/// The state of a stage whose inputs are up to date.
fn state(
    config: &Config,
    store: &Store,
    stage: Stage,
    sources: &Sources,
    current: Option<&Version>,
) -> Result<State, Error> {
    let mut state = State::Current;
    for step in Step::of(stage) {
        let first = step.writes(stage).first();
        let made = first.map_or(Ok(None), |output| store.current(*output))?;
        let Some(job) = job(config, store, stage, step, sources)? else {
            return Ok(match current {
                Some(_) => {
                    State::Stale { reasons: vec!["inputs changed".to_owned()], shards: None }
                }
                None => State::Missing,
            });
        };
        let (pending, total) = (job.pending().len(), job.n_shards());
        let is_current = made.as_ref().is_some_and(|made| made.manifest.key == job.key());
        state = match &made {
            Some(_) if is_current && pending == 0 => state,
            _ if pending == 0 => State::Kept,
            Some(made) => State::Stale {
                reasons: plan::differences(&made.manifest, job.spec()),
                shards: Some((pending, total)),
            },
            None if pending < total => State::Unfinished { done: total - pending, total },
            None => State::Missing,
        };
        if state != State::Current {
            return Ok(state);
        }
    }
    Ok(state)
}

/// The job of a step, as a run would plan it; `None` where the plan needs long work first.
pub(super) fn job(
    config: &Config,
    store: &Store,
    stage: Stage,
    step: Step,
    sources: &Sources,
) -> Result<Option<Job>, Error> {
    let inputs = runner::inputs(config, store, stage, step, &Chosen::new(), &[])?;
    let roots = runner::roots(config);
    let weights = outside_weights(config, stage)?;
    let task = Task {
        store,
        inputs: &inputs,
        sources,
        places: &|| Ok(Places::new()),
        roots: &roots,
        tolerances: config.ingest.tolerances,
        weights: weights.as_ref().map(|(path, _)| path.as_path()),
        device: &Device::Cpu,
        max_memory: 0,
        plans_only: true,
        progress: &|_| {},
    };
    let weights = weights.as_ref().map(|(_, input)| input.clone());
    let spec = runner::job_spec(config, stage, step, &task, weights)?;
    Ok(spec.map(|spec| store.job(spec)))
}
