//! The state of each stage: what exists, what is stale and why.

use super::plan;
use super::runner::{self, Chosen, Error};
use super::{Config, sources};
use crate::stages::Stage;
use nodulus_store::Store;
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
    let frozen = sources::list(&config.ingest, store)?;
    // Each stage that is not current, with the first stage that has to run before it.
    let mut to_run: BTreeMap<Stage, Stage> = BTreeMap::new();
    let mut found = Vec::new();
    for stage in Stage::ALL {
        let current =
            stage.spec().writes.first().map_or(Ok(None), |output| store.current(*output))?;
        let makers = plan::reads(config, stage).into_iter().map(runner::maker);
        let first = makers.filter_map(|maker| to_run.get(&maker).copied()).min();
        let state = if !config.stages().any(|s| s == stage) {
            State::Off
        } else if let Some(earlier) = first {
            State::Waiting { stage: earlier }
        } else {
            let spec = runner::job_spec(config, store, stage, Some(&frozen), &Chosen::new())?;
            let job = store.job(spec);
            let pending = job.pending().len();
            let total = job.spec().n_shards;
            match &current {
                Some(version) if version.manifest.key == job.key() && job.is_finished() => {
                    State::Current
                }
                _ if job.is_finished() => State::Kept,
                _ if pending < total => State::Unfinished { done: total - pending, total },
                Some(version) => {
                    State::Stale { reasons: plan::differences(&version.manifest, job.spec()) }
                }
                None => State::Missing,
            }
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
            n_failures: manifest.map(|m| m.shards.iter().map(|s| s.failures.len()).sum()),
        });
    }
    Ok(found)
}
