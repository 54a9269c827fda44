//! `nodulus status`.

use super::error::{Error, Outcome};
use super::forecast::{self, Columns};
use super::plan_status::plan_status;
use super::progress::{ProgressLine, ProgressStyle};
use super::resources;
use crate::pipeline::Config;
use crate::pipeline::forecast::forecast as forecast_of;
use crate::pipeline::runner::{ChosenVersions, Options};
use crate::stages::{Stage, balance};
use clap::Args;
use nodulus_nets::Device;
use nodulus_store::Store;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct StatusArguments {
    /// Pipeline file
    #[arg(required_unless_present = "plan")]
    pipeline: Option<PathBuf>,
    /// Folder of the store; overrides the pipeline file
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Setting that overrides the pipeline file's; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Plan whose stages and shards are told, from the store alone
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pipeline", "store", "sets"])]
    plan: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// How to show progress on standard error
    #[arg(long, value_enum, default_value = "auto")]
    progress: ProgressStyle,
}

/// Prints the state of every stage, and what a run would do.
pub(super) fn status(arguments: &StatusArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let pipeline = match (&arguments.pipeline, &arguments.plan) {
        (_, Some(plan)) => return plan_status(plan, arguments.json, out),
        (Some(pipeline), None) => pipeline,
        (None, None) => {
            return Err(Error::Usage("expected a pipeline file or `--plan`".to_owned()));
        }
    };
    let config = Config::read(pipeline, &arguments.sets, arguments.store.as_deref())?;
    let store = Store::look(&config.store)?;
    let stages: Vec<Stage> = config.stages().collect();
    let options = Options {
        force: &BTreeSet::new(),
        stages: &stages,
        device: &Device::Cpu,
        max_memory: resources::DEFAULT_MAX_MEMORY,
        chosen: &ChosenVersions::new(),
        keep: &BTreeSet::new(),
        retry_failed: false,
    };
    let progress = ProgressLine::new(arguments.progress);
    let listing = |done, total| progress.count("sources", done as u64, total as u64, "");
    let forecast = forecast_of(&config, &store, &options, true, &listing)?;
    progress.clear();
    let warnings = balance::warnings(&config.balance, &store)?;
    if arguments.json {
        let mut value = serde_json::to_value(&forecast)?;
        value["warnings"] = json!(warnings);
        serde_json::to_writer_pretty(&mut *out, &value)?;
        writeln!(out)?;
    } else {
        forecast::write(&forecast, Columns::Outputs, out)?;
        for warning in warnings {
            writeln!(out, "warning: {warning}")?;
        }
    }
    Ok(Outcome::Success)
}
