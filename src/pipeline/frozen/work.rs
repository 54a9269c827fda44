//! Works by a plan: makes one shard of a stage, or commits a stage.

use super::{Causes, Error, FrozenPlan, makers};
use crate::pipeline::config::Config;
use crate::pipeline::runner::{self, ChosenVersions, Done, Options, PartOf, RunEvent, Shards};
use crate::stages::Stage;
use crate::stages::ingest::Sources;
use nodulus_faults::in_words;
use nodulus_nets::Device;
use nodulus_store::Store;
use std::collections::BTreeSet;

/// What a worker may use.
pub struct Resources<'a> {
    /// Where networks run.
    pub device: &'a Device,
    /// Bytes of memory for scans.
    pub max_memory: u64,
    /// Whether a shard with failed cases is made again.
    pub retry_failed: bool,
}

impl FrozenPlan {
    /// Makes one shard of a stage, if it is not there, from the versions that earlier stages of the plan committed.
    ///
    /// # Errors
    ///
    /// Fails if there is no such shard, an earlier stage is not committed, or the shard cannot be made; the store keeps why.
    pub fn work(
        &self,
        store: &Store,
        config: &Config,
        (stage, shard): (Stage, usize),
        resources: &Resources<'_>,
        progress: &(dyn Fn(RunEvent) + Sync),
    ) -> Result<Done, Error> {
        let n_shards = self.stage(stage)?.n_shards;
        if shard >= n_shards {
            return Err(Error::NoSuchShard { stage, shard, n_shards });
        }
        let chosen = self.committed(store, stage, makers(self, config, stage))?;
        let made = self.make_shard(store, config, (stage, shard), &chosen, resources, progress);
        let cause = made.as_ref().err().map(|error| in_words(error));
        match (self.set_cause(store, stage, shard, cause), made) {
            (_, Err(error)) => Err(error),
            (kept, Ok(done)) => kept.map(|()| done),
        }
    }

    fn make_shard(
        &self,
        store: &Store,
        config: &Config,
        (stage, shard): (Stage, usize),
        chosen: &ChosenVersions,
        resources: &Resources<'_>,
        progress: &(dyn Fn(RunEvent) + Sync),
    ) -> Result<Done, Error> {
        let sources = if stage.spec().is_sharded {
            self.sources_of(store, config, shard)?
        } else {
            Sources::default()
        };
        let (none, stages) = (BTreeSet::new(), [stage]);
        let options = options(&stages, &none, chosen, resources);
        let part = self.part_of(store, config, stage, &sources)?;
        Ok(runner::work(config, store, &options, &part, (shard, sources), progress)?)
    }

    /// A stage for the runner; only the shards of `sources` have their cases.
    fn part_of(
        &self,
        store: &Store,
        config: &Config,
        stage: Stage,
        sources: &Sources,
    ) -> Result<PartOf, Error> {
        let ingest = (stage == Stage::Ingest).then(|| self.ingest_job(config, sources));
        Ok(PartOf {
            stage,
            n_shards: self.stage(stage)?.n_shards,
            ingest: ingest.transpose()?,
            decisions: self.folder(store).join("decisions"),
        })
    }

    /// Writes the versions that list the shards of a stage, all of which were made, and sums them up.
    ///
    /// # Errors
    ///
    /// Fails if shards are missing, with the causes that workers left, or an earlier stage is not committed.
    pub fn commit(
        &self,
        store: &Store,
        config: &Config,
        stage: Stage,
        resources: &Resources<'_>,
        progress: &(dyn Fn(RunEvent) + Sync),
    ) -> Result<Done, Error> {
        let n_shards = self.stage(stage)?.n_shards;
        let chosen = self.committed(store, stage, makers(self, config, stage))?;
        let (none, stages) = (BTreeSet::new(), [stage]);
        let options = options(&stages, &none, &chosen, resources);
        let part = self.part_of(store, config, stage, &Sources::default())?;
        let (done, versions) = match runner::commit(config, store, &options, &part, progress) {
            Err(runner::Error::ShardsMissing { missing, .. }) => {
                let causes = self.causes(store, stage)?;
                let cause = |n: &usize| {
                    let cause = causes.get(n)?;
                    Some(format!("shard {n} on {} at {}: {}", cause.host, cause.at, cause.cause))
                };
                let causes = missing.iter().filter_map(cause).take(MOST_CAUSES).collect();
                return Err(Error::ShardsMissing { stage, missing, n_shards, causes });
            }
            made => made?,
        };
        self.set_committed(store, stage, &versions)?;
        Ok(done)
    }
}

/// How a stage of a plan stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StageState {
    /// A stage before it is not committed.
    Waits {
        /// The first such stage.
        on: Stage,
    },
    /// Its shards can be made, or are made.
    Open {
        /// How they stand.
        shards: Shards,
        /// Why some of those that are missing could not be made.
        causes: Causes,
    },
    /// Its tables are current, or were.
    Committed,
}

impl FrozenPlan {
    /// How each stage stands, from the store alone.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read.
    pub fn state(
        &self,
        store: &Store,
        config: &Config,
    ) -> Result<Vec<(Stage, usize, StageState)>, Error> {
        let mut states = Vec::new();
        let of_plan =
            Stage::ALL.into_iter().filter_map(|stage| Some((stage, self.stage(stage).ok()?)));
        for (stage, frozen) in of_plan {
            let state = self.state_of(store, config, stage)?;
            states.push((stage, frozen.n_shards, state));
        }
        Ok(states)
    }

    fn state_of(&self, store: &Store, config: &Config, stage: Stage) -> Result<StageState, Error> {
        if self.committed_by(store, stage)?.is_some() {
            return Ok(StageState::Committed);
        }
        let chosen = match self.committed(store, stage, makers(self, config, stage)) {
            Err(Error::NotCommitted { earlier, .. }) => {
                return Ok(StageState::Waits { on: earlier });
            }
            chosen => chosen?,
        };
        let (none, stages) = (BTreeSet::new(), [stage]);
        let resources = Resources { device: &Device::Cpu, max_memory: 0, retry_failed: false };
        let options = options(&stages, &none, &chosen, &resources);
        let part = self.part_of(store, config, stage, &Sources::default())?;
        let shards = runner::look(config, store, &options, &part)?;
        let mut causes = self.causes(store, stage)?;
        causes.retain(|shard, _| shards.pending.contains(shard));
        Ok(StageState::Open { shards, causes })
    }
}

/// Most causes that a message names.
const MOST_CAUSES: usize = 3;

const fn options<'a>(
    stages: &'a [Stage],
    none: &'a BTreeSet<Stage>,
    chosen: &'a ChosenVersions,
    resources: &Resources<'a>,
) -> Options<'a> {
    Options {
        force: none,
        stages,
        device: resources.device,
        max_memory: resources.max_memory,
        chosen,
        keep: none,
        retry_failed: resources.retry_failed,
    }
}
