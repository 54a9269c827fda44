//! `nodulus work` and `nodulus commit`: a plan's shards, made one by one on any machine, and the tables that list them.

use super::error::{Error, Outcome};
use super::progress::ProgressLine;
use super::resources::{self, ResourceArguments};
use super::run::stage;
use super::shard_index;
use crate::pipeline::frozen::{FrozenPlan, Resources, ShardList};
use crate::pipeline::runner::Done;
use crate::stages::Stage;
use clap::Args;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of both commands.
#[derive(Debug, Args)]
struct PlanArguments {
    /// File that `nodulus plan` wrote
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    /// Stage of the plan
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    stage: Stage,
    #[command(flatten)]
    resources: ResourceArguments,
}

#[derive(Debug, Args)]
pub(super) struct WorkArguments {
    #[command(flatten)]
    plan: PlanArguments,
    /// Shards of the stage, from 0, as in 7 or 0-3,7; default: the index that Slurm, Kubernetes, PBS, SGE, AWS Batch or
    /// `HyperQueue` gives the job
    #[arg(long, value_name = "N")]
    shard: Option<ShardList>,
    /// Make a shard with failed cases again
    #[arg(long)]
    retry_failed: bool,
}

#[derive(Debug, Args)]
pub(super) struct CommitArguments {
    #[command(flatten)]
    plan: PlanArguments,
}

/// Makes shards, one after the other. A shard that is left undone does not keep the others from being made.
pub(super) fn work(arguments: &WorkArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let WorkArguments { plan: PlanArguments { plan, stage, resources }, .. } = arguments;
    let (frozen, store, config) = FrozenPlan::open(plan)?;
    let shards = match &arguments.shard {
        Some(shards) => shards.clone(),
        None => ShardList::new(&[shard_index::from_environment(|name| std::env::var(name).ok())?]),
    };
    let progress = ProgressLine::new(resources.progress);
    let device = resources::start(resources, &progress)?;
    let _lock = store.share()?;
    let allowed = Resources {
        device: &device,
        max_memory: resources.max_memory,
        retry_failed: arguments.retry_failed,
    };
    let shown = |event| resources::show(&progress, event);
    let (mut outcome, mut left) = (Outcome::Success, None);
    for &shard in shards.shards() {
        match frozen.work(&store, &config, (*stage, shard), &allowed, &shown) {
            Ok(done) => {
                progress.clear();
                let verb = if done.n_made > 0 { "made" } else { "is there already" };
                let text = format!("{stage} shard {shard} of {}: {verb}", done.n_shards);
                told(&done, Some(shard), &text, resources.json, out)?;
                if done.n_failures > 0 {
                    outcome = Outcome::FailedCases;
                }
            }
            Err(error) if error.is_passing() => left = left.or(Some(error)),
            Err(error) => return Err(error.into()),
        }
    }
    progress.clear();
    left.map_or(Ok(outcome), |error| Err(error.into()))
}

/// Commits a stage.
pub(super) fn commit(arguments: &CommitArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let CommitArguments { plan: PlanArguments { plan, stage, resources } } = arguments;
    let (frozen, store, config) = FrozenPlan::open(plan)?;
    let progress = ProgressLine::new(resources.progress);
    let device = resources::start(resources, &progress)?;
    let _lock = store.share()?;
    let allowed =
        Resources { device: &device, max_memory: resources.max_memory, retry_failed: false };
    let shown = |event| resources::show(&progress, event);
    let done = frozen.commit(&store, &config, *stage, &allowed, &shown)?;
    progress.clear();
    let text = format!("{stage}: {} shards committed, {} rows", done.n_shards, done.rows);
    told(&done, None, &text, resources.json, out)?;
    Ok(if done.n_failures > 0 { Outcome::FailedCases } else { Outcome::Success })
}

fn told(
    done: &Done,
    shard: Option<usize>,
    text: &str,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Error> {
    if json {
        let value = json!({
            "stage": done.stage.name(),
            "shard": shard,
            "n_shards": done.n_shards,
            "n_made": done.n_made,
            "rows": done.rows,
            "n_failures": done.n_failures,
        });
        // A line for each shard.
        serde_json::to_writer(&mut *out, &value)?;
        writeln!(out)?;
    } else {
        let failed = match done.n_failures {
            0 => String::new(),
            n => format!(", {n} cases failed"),
        };
        writeln!(out, "{text}{failed}")?;
    }
    Ok(())
}
