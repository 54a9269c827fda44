//! `nodulus status`, and what `--dry-run` prints about stages.

use super::error::{Error, Outcome};
use super::format;
use super::pipeline_arguments::PipelineArguments;
use crate::pipeline::Config;
use crate::pipeline::status::{StageStatus, State, status as status_of};
use clap::Args;
use nodulus_store::Store;
use std::io::Write;

#[derive(Debug, Args)]
pub(super) struct StatusArguments {
    #[command(flatten)]
    pipeline: PipelineArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the state of every stage.
pub(super) fn status(arguments: &StatusArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let pipeline = &arguments.pipeline;
    let config = Config::read(&pipeline.pipeline, &pipeline.sets, pipeline.store.as_deref())?;
    write(&config, arguments.json, out)?;
    Ok(Outcome::Success)
}

/// State of every stage; `None` where there is no store, so that every stage would run.
pub(super) fn stages(config: &Config) -> Result<Option<Vec<StageStatus>>, Error> {
    match Store::open(&config.store) {
        Ok(store) => Ok(Some(status_of(config, &store)?)),
        Err(nodulus_store::Error::NoStore(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes the state of every stage.
pub(super) fn write(config: &Config, json: bool, out: &mut dyn Write) -> Result<(), Error> {
    let stages = stages(config)?;
    if json {
        serde_json::to_writer_pretty(&mut *out, &stages.unwrap_or_default())?;
        writeln!(out)?;
        return Ok(());
    }
    let Some(stages) = stages else {
        let store = config.store.display();
        writeln!(out, "there is no store at `{store}` yet: every stage would run")?;
        return Ok(());
    };
    let count = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
    let rows = stages.iter().map(|stage| {
        vec![
            stage.stage.name().to_owned(),
            describe(stage),
            count(stage.rows),
            count(stage.n_failures.map(|n| n as u64)),
            stage.key.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    });
    writeln!(out, "{}", format::table(&["stage", "state", "rows", "failed", "key"], rows))?;
    Ok(())
}

fn describe(status: &StageStatus) -> String {
    match &status.state {
        State::Current => "current".to_owned(),
        State::Kept => "complete, becomes current with the next run".to_owned(),
        State::Missing => "missing".to_owned(),
        State::Stale { reasons, shards } => {
            let shards = shards
                .map_or(String::new(), |(made, all)| format!(" ({made} of {all} shards to make)"));
            format!("stale: {}{shards}", reasons.join("; "))
        }
        State::Unfinished { done, total } => format!("unfinished: {done} of {total} shards"),
        State::Waiting { stage } => format!("waits for {stage}"),
        State::Off => "not in the pipeline file".to_owned(),
    }
}
