//! `nodulus plan`: freezes cases and shards for work on several machines.

use super::error::{Error, Outcome};
use super::pipeline_arguments::{PipelineArguments, TrainingPatientsArgument};
use super::progress::{ProgressLine, ProgressStyle};
use super::resources;
use super::run::{between, stage};
use crate::byte_size;
use crate::pipeline::Config;
use crate::pipeline::frozen::{FrozenPlan, Request};
use crate::stages::Stage;
use clap::Args;
use nodulus_pages::text::counted;
use nodulus_store::Store;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    #[command(flatten)]
    pipeline: PipelineArguments,
    /// File of the plan
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Last stage of the plan
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    to: Option<Stage>,
    #[command(flatten)]
    training_patients: TrainingPatientsArgument,
    /// How to show progress on standard error
    #[arg(long, value_enum, default_value = "auto")]
    progress: ProgressStyle,
}

/// Lists the sources and writes the plan.
pub(super) fn plan(arguments: &PlanArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let PlanArguments { pipeline, training_patients, .. } = arguments;
    let sets = training_patients.sets(&pipeline.sets, "infer");
    let config = Config::read(&pipeline.pipeline, &sets, pipeline.store.as_deref())?;
    let stages = between(&config, None, arguments.to)?;
    let progress = ProgressLine::new(arguments.progress);
    let store = Store::create(&config.store)?;
    let _lock = store.share()?;
    resources::write_phantom(config.phantom.as_ref(), &store, &progress)?;
    let request =
        Request { pipeline: &pipeline.pipeline, sets: &sets, stages: &stages, out: &arguments.out };
    let listing = |done, total| progress.count("sources", done as u64, total as u64, "");
    let plan = FrozenPlan::make(&request, &config, &store, &listing)?;
    progress.clear();
    let shards = &plan.frozen.shards;
    let n_cases: usize = shards.iter().map(|shard| shard.n_cases).sum();
    let bytes: u64 = shards.iter().map(|shard| shard.bytes).sum();
    writeln!(
        out,
        "plan {} of {}, about {} in memory, for store {}",
        plan.key,
        counted(n_cases as u64, "case", "cases"),
        byte_size::text(bytes),
        store.root().display()
    )?;
    for stage in &plan.frozen.stages {
        writeln!(out, "{:<9} {}", stage.stage, counted(stage.n_shards as u64, "shard", "shards"))?;
    }
    Ok(Outcome::Success)
}
