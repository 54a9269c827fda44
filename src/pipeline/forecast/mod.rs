//! What a run would do: cases to read, shards to make, whether training starts again, bytes to write. Nothing is written.

mod cohorts;
mod needs;
mod patients;
mod reasons;
mod state;
mod step;
mod training;
mod work;

use super::config::Config;
use super::outdated::{Outdated, outdated};
use super::plan::Step;
use super::preprocessing::settled;
use super::runner::{self, Error, Options};
use super::sources;
use crate::phantom;
use crate::stages::Stage;
use crate::stages::ingest::{Cohort, Sources};
pub use cohorts::CohortForecast;
pub use needs::{Writes, check_device, check_report, check_room};
use nodulus_store::Store;
use serde::Serialize;
pub use state::StepState;
use std::collections::BTreeMap;
use step::Foresight;
pub use training::{Starts, Training};
pub use work::ShardCounts;

/// What a run would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// Cases of each cohort; empty where ingest does not run.
    pub cohorts: Vec<CohortForecast>,
    /// The stages, in order.
    pub stages: Vec<StageForecast>,
    /// Whether training starts again; `None` where the stage does not run.
    pub training: Option<Training>,
    /// What would be written.
    pub writes: Writes,
    /// What the plan cannot tell, and the run may fail for.
    pub unchecked: Vec<String>,
}

/// What a run would do in a stage, and the stage's current outputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageForecast {
    /// The stage.
    pub stage: Stage,
    /// The state of its outputs.
    #[serde(flatten)]
    pub state: StepState,
    /// Its shards, of all steps.
    pub shards: ShardCounts,
    /// Bytes that would be written at most, by the mean of the shards there are; `None` before the first run of the stage.
    pub bytes: Option<u64>,
    /// Key of the current outputs, where there are any.
    pub key: Option<String>,
    /// Rows of the first output.
    pub rows: Option<u64>,
    /// Number of failed cases.
    pub n_failures: Option<usize>,
    /// The stage's outputs that are older than what they were made from.
    pub outdated: Vec<Outdated>,
}

/// What a run with these options would do. `is_every_stage` adds the stages that would not run.
///
/// Headers of source files that have changed are read, and the files of a cohort that lost a case or has a changed one;
/// files of new cases are not. `progress` gets the number of listed cases and their total.
///
/// # Errors
///
/// Fails where the run would: for a cohort that cannot be listed, an input that is missing or does not belong to the
/// others, weights that cannot be loaded, inputs that the settings do not allow (not with `is_every_stage`), a phantom that cannot be written.
pub fn forecast(
    config: &Config,
    store: &Store,
    options: &Options<'_>,
    is_every_stage: bool,
    progress: &dyn Fn(usize, usize),
) -> Result<Forecast, Error> {
    let (mut cohorts, mut found) = (Vec::new(), None);
    if options.stages.contains(&Stage::Ingest) {
        let expected = expected_cases(config, store)?;
        let listed = sources::survey(&config.ingest, store, &expected, progress)?;
        let is_expected = |name: &str| {
            let cohort = config.ingest.cohorts.iter().find(|cohort| cohort.name == name);
            cohort.is_some_and(|cohort| expected(cohort).is_some())
        };
        cohorts = cohorts::counted(&listed.sources, &listed.changes, &is_expected);
        found = Some(listed);
    }
    let config = &*settled(config, options.stages)?;
    runner::check_weights(config, store, options)?;
    let mut foresight = Foresight::new(config, store, options, !is_every_stage);
    foresight.listed = found;
    foresight.is_estimate = cohorts.iter().any(|cohort| cohort.is_to_be_written);
    let outdated = outdated(store)?;
    let mut stages = Vec::new();
    // Each stage that would run, with the first one that runs before it.
    let mut first: BTreeMap<Stage, Stage> = BTreeMap::new();
    let (mut training, none) = (None, Sources::default());
    let mut working_bytes = 0;
    for stage in Stage::ALL {
        let is_run = options.stages.contains(&stage);
        if !is_run && !is_every_stage {
            continue;
        }
        let mut found = StageForecast::of(store, stage, &outdated)?;
        if is_run {
            let mut bytes = Some(0);
            let mut root = None;
            for step in Step::of(stage) {
                let step = foresight.step(stage, step)?;
                if stage == Stage::Ingest {
                    let sources = foresight.sources().unwrap_or(&none);
                    cohorts::add_cases_to_read(&mut cohorts, sources, &step.to_read);
                }
                if stage == Stage::Train {
                    training = Some(Training::of(&step));
                }
                let before = step.waits_for.iter().filter_map(|maker| first.get(maker).copied());
                let waits_for = before.min();
                root = root.into_iter().chain(waits_for).min();
                if found.state == StepState::Current {
                    found.state = state::of_step(&step, waits_for);
                }
                found.shards.add(&step.counts);
                bytes = bytes.zip(step.bytes).map(|(a, b)| a + b);
                working_bytes += step.working_bytes;
            }
            found.bytes = bytes;
            if found.shards.n_to_make_at_most > 0 {
                first.insert(stage, root.unwrap_or(stage));
            }
        } else {
            found.state = StepState::Off;
        }
        stages.push(found);
    }
    let unchecked = if is_every_stage {
        Vec::new()
    } else {
        patients::check(config, options.stages, &foresight, training.as_ref())?
    };
    let writes = Writes::of(store, &stages, working_bytes);
    Ok(Forecast { cohorts, stages, training, writes, unchecked })
}

/// The number of cases of a cohort that is part of the pipeline file's synthetic one, as long as that is not written yet.
///
/// # Errors
///
/// Fails if the synthetic cohort cannot be written.
pub fn expected_cases<'a>(
    config: &'a Config,
    store: &Store,
) -> Result<impl Fn(&Cohort) -> Option<usize> + Sync + use<'a>, Error> {
    let folder = store.root().join(phantom::FOLDER);
    let to_write = match &config.phantom {
        Some(phantom) if !phantom::is_written(&folder, phantom)? => Some(phantom),
        _ => None,
    };
    Ok(move |cohort: &Cohort| {
        let below = cohort.root.strip_prefix(&folder).ok()?;
        Some(phantom::n_cases(to_write?, below))
    })
}

impl StageForecast {
    /// A stage's current outputs.
    fn of(store: &Store, stage: Stage, outdated: &[Outdated]) -> Result<Self, Error> {
        let first = stage.spec().writes.first();
        let current = first.map_or(Ok(None), |output| store.current(*output))?;
        let manifest = current.map(|version| version.manifest);
        let of_stage = |o: &&Outdated| stage.spec().outputs().any(|out| out.name() == o.output);
        Ok(Self {
            stage,
            state: StepState::Current,
            shards: ShardCounts::default(),
            bytes: Some(0),
            rows: manifest.as_ref().map(|manifest| manifest.rows),
            n_failures: manifest.as_ref().map(nodulus_store::Manifest::n_failures),
            key: manifest.map(|manifest| manifest.key),
            outdated: outdated.iter().filter(of_stage).cloned().collect(),
        })
    }
}
