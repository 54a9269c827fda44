//! `nodulus run`, and the command of each stage.

use super::error::{Error, Outcome};
use super::pipeline_arguments::PipelineArguments;
use super::progress::Progress;
use super::resources::ResourceArguments;
use super::unknown_name::unknown_name;
use super::{format, pairs, resources, status};
use crate::pipeline::runner::{self, Chosen};
use crate::pipeline::{Config, pairs as pairing};
use crate::stages::Stage;
use crate::tables::{Output, Summary, Table};
use clap::Args;
use nodulus_metrics::Metric;
use nodulus_store::Store;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    pipeline: PipelineArguments,
    /// Stage to run again even if nothing changed; repeatable
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    force: Vec<Stage>,
    /// Print which stages would run and which files of volumes go together; change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    resources: ResourceArguments,
}

/// Runs one stage, or all stages of a pipeline file.
pub(super) fn run(
    arguments: &RunArguments,
    stage: Option<Stage>,
    out: &mut dyn Write,
) -> Result<Outcome, Error> {
    let pipeline = &arguments.pipeline;
    let config = Config::read(&pipeline.pipeline, &pipeline.sets, pipeline.store.as_deref())?;
    let stages: Vec<Stage> = match stage {
        Some(stage) if !config.stages().any(|s| s == stage) => {
            let why = if (stage.spec().is_on)(&config) {
                format!("{stage} needs images, and the pipeline file's cohorts have none")
            } else {
                format!("the pipeline file has no `[{stage}]` section")
            };
            return Err(Error::Usage(why));
        }
        Some(stage) => vec![stage],
        None => config.stages().collect(),
    };
    if arguments.dry_run {
        let ingests = stages.contains(&Stage::Ingest);
        let cohorts = if ingests { pairing::list(&config.ingest) } else { Vec::new() };
        if arguments.resources.json {
            let stages = status::stages(&config)?.unwrap_or_default();
            serde_json::to_writer_pretty(&mut *out, &json!({"stages": stages, "pairs": cohorts}))?;
            writeln!(out)?;
        } else {
            pairs::write(&cohorts, out)?;
            status::write(&config, false, out)?;
        }
        return Ok(Outcome::Success);
    }
    let progress = Progress::new(arguments.resources.progress);
    let device = resources::start(&arguments.resources, &progress)?;
    let store = Store::create(&config.store)?;
    let _lock = store.share()?;
    if stages.contains(&Stage::Ingest) {
        resources::write_phantom(config.phantom.as_ref(), &store, &progress)?;
    }
    let force: BTreeSet<Stage> = arguments.force.iter().copied().collect();
    let options = runner::Options {
        force: &force,
        stages: &stages,
        device: &device,
        max_memory: arguments.resources.max_memory,
        chosen: &Chosen::new(),
        keep: &BTreeSet::new(),
        retry_failed: false,
    };
    let done = runner::run(&config, &store, &options, &|event| resources::show(&progress, event))?;
    progress.clear();
    let n_failures = runner::n_failures(&store)?;
    if arguments.resources.json {
        write_json(&store, &done, n_failures, out)?;
    } else {
        write_text(&store, &done, n_failures, out)?;
    }
    Ok(if n_failures > 0 { Outcome::FailedCases } else { Outcome::Success })
}

fn write_text(
    store: &Store,
    done: &[runner::Done],
    n_failures: u64,
    out: &mut dyn Write,
) -> Result<(), Error> {
    if done.iter().all(|stage| stage.ran.is_none()) {
        writeln!(out, "nothing to do: everything is up to date")?;
    } else {
        let rows = done.iter().map(|stage| {
            let time = stage
                .ran
                .map_or("up to date".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()));
            vec![
                stage.stage.name().to_owned(),
                time,
                stage.rows.to_string(),
                stage.n_failures.to_string(),
            ]
        });
        writeln!(out, "{}", format::table(&["stage", "time", "rows", "failed"], rows))?;
    }
    let root = store.root().display();
    writeln!(out, "\ntables  {root} (list them: nodulus tables --store {root})")?;
    if let Some(report) = report(store)? {
        writeln!(out, "report  {}", report.display())?;
    }
    for row in dice(store)? {
        writeln!(
            out,
            "Dice    {} {} [{}, {}], {} of {} nodules measured, {} missed",
            row.model_id,
            format::number(row.mean),
            format::number(row.ci_low),
            format::number(row.ci_high),
            row.n_valid,
            row.n_total,
            row.n_missed
        )?;
    }
    if n_failures > 0 {
        writeln!(out, "\n{n_failures} cases failed: nodulus show failures --store {root}")?;
    }
    Ok(())
}

fn write_json(
    store: &Store,
    done: &[runner::Done],
    n_failures: u64,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let stages: Vec<_> = done
        .iter()
        .map(|stage| {
            json!({
                "stage": stage.stage.name(),
                "seconds": stage.ran.map(|time| time.as_secs_f64()),
                "rows": stage.rows,
                "n_failures": stage.n_failures,
            })
        })
        .collect();
    let value = json!({
        "store": store.root(),
        "stages": stages,
        "report": report(store)?,
        "dice": dice(store)?,
        "n_failures": n_failures,
    });
    serde_json::to_writer_pretty(&mut *out, &value)?;
    writeln!(out)?;
    Ok(())
}

/// The store's current report, where there is one.
pub(super) fn report(store: &Store) -> Result<Option<PathBuf>, Error> {
    let version = store.current(Output::Report)?;
    Ok(version.map(|_| store.root().join(Output::Report.name()).join("current/report.html")))
}

/// Rows of `summary` with the Dice of each model over all nodules.
fn dice(store: &Store) -> Result<Vec<Summary>, Error> {
    let mut rows = Vec::new();
    if let Some(version) = store.current(Output::Table(Table::Summary))? {
        for batch in version.rows::<Summary>() {
            let dice = Metric::Dice.name();
            rows.extend(
                batch?.into_iter().filter(|row| row.metric == dice && row.subgroup == "all"),
            );
        }
    }
    Ok(rows)
}

fn stage(name: &str) -> Result<Stage, String> {
    let names = Stage::ALL.map(Stage::name);
    Stage::from_name(name).ok_or_else(|| unknown_name("stage", name, &names))
}
