//! `nodulus run`, and the command of each stage.

use super::error::{Error, Outcome};
use super::forecast::{self, Columns};
use super::header_check::write as write_headers;
use super::pipeline_arguments::{PipelineArguments, TrainingPatientsArgument};
use super::progress::ProgressLine;
use super::resources::ResourceArguments;
use super::run_outcome;
use super::unknown_name::unknown_name;
use super::{pairs, resources};
use crate::pipeline::forecast::{
    check_device, check_report, check_room, expected_cases, forecast as forecast_of,
};
use crate::pipeline::runner::{self, ChosenVersions, Options, can_be_kept};
use crate::pipeline::{Config, header_check, pairs as pairing};
use crate::stages::Stage;
use crate::stages::evaluate::OutsidePredictions;
use clap::Args;
use nodulus_settings::Set;
use nodulus_store::{Store, disk};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write;
use toml::Value;

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    pipeline: PipelineArguments,
    /// First stage to run
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    from: Option<Stage>,
    /// Last stage to run
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    to: Option<Stage>,
    /// Stage to go on with as it is, though its inputs or settings changed: train, report or ingest; repeatable
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    keep: Vec<Stage>,
    #[command(flatten)]
    work: WorkArguments,
}

/// Arguments of the command of a stage.
#[derive(Debug, Args)]
pub(super) struct StageArguments {
    #[command(flatten)]
    pipeline: PipelineArguments,
    #[command(flatten)]
    work: WorkArguments,
}

/// What is done, and with what.
#[derive(Debug, Args)]
struct WorkArguments {
    /// Stage to run again even if nothing changed; repeatable
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    force: Vec<Stage>,
    /// Try failed cases again; those that lacked memory are always tried again once --max-memory is enough
    #[arg(long)]
    retry_failed: bool,
    /// Print what would be read, made and written, and fail on what would fail later; change nothing
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run, read the headers of all scans and masks and print why some would be refused
    #[arg(long, requires = "dry_run")]
    check: bool,
    /// Masks of a model of another program to measure beside the network's, in place of `evaluate.predictions`: a Parquet file,
    /// or a folder of NIfTI files or DICOM SEG (docs/metrics.md); repeatable
    #[arg(id = PREDICTIONS, long, value_name = "MODEL=PATH", value_parser = of_model)]
    predictions: Vec<OutsidePredictions>,
    #[command(flatten)]
    training_patients: TrainingPatientsArgument,
    #[command(flatten)]
    resources: ResourceArguments,
}

/// The option for masks of other programs, which only `evaluate` reads.
pub(super) const PREDICTIONS: &str = "predictions";

/// Runs the stages of a pipeline file.
pub(super) fn run(arguments: &RunArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let config = read(&arguments.pipeline, &arguments.work)?;
    let stages = between(&config, arguments.from, arguments.to)?;
    let work = &arguments.work;
    for (option, chosen) in [("--keep", &arguments.keep), ("--force", &work.force)] {
        if let Some(stage) = chosen.iter().find(|stage| !stages.contains(stage)) {
            is_asked_for(&config, *stage)?;
            let text = format!(
                "`{option} {stage}`: this run leaves {stage} out, because of `--from` or `--to`"
            );
            return Err(Error::Usage(text));
        }
    }
    if let Some(stage) = arguments.keep.iter().find(|stage| !can_be_kept(**stage)) {
        let kept = Stage::ALL.into_iter().filter(|stage| can_be_kept(*stage)).map(Stage::name);
        let kept = kept.collect::<Vec<_>>().join(", ");
        let text = format!(
            "`--keep {stage}`: expected one of {kept}; older outputs of other stages would be joined with other scans"
        );
        return Err(Error::Usage(text));
    }
    if let Some(stage) = arguments.keep.iter().find(|stage| work.force.contains(stage)) {
        return Err(Error::Usage(format!(
            "`--keep {stage}` and `--force {stage}` contradict each other"
        )));
    }
    work_on(&config, &stages, &arguments.keep.iter().copied().collect(), work, out)
}

/// Runs one stage of a pipeline file.
pub(super) fn run_stage(
    arguments: &StageArguments,
    stage: Stage,
    out: &mut dyn Write,
) -> Result<Outcome, Error> {
    let config = read(&arguments.pipeline, &arguments.work)?;
    is_asked_for(&config, stage)?;
    if let Some(other) = arguments.work.force.iter().find(|forced| **forced != stage) {
        return Err(Error::Usage(format!("`--force {other}`: this command runs {stage} alone")));
    }
    work_on(&config, &[stage], &BTreeSet::new(), &arguments.work, out)
}

fn read(pipeline: &PipelineArguments, work: &WorkArguments) -> Result<Config, Error> {
    let mut sets = Set::options(&work.training_patients.sets(&pipeline.sets, "infer"));
    sets.extend(predictions(&work.predictions));
    Ok(Config::read_with(&pipeline.pipeline, &sets, pipeline.store.as_deref())?)
}

/// The setting that `--predictions` stands for; none without it.
fn predictions(models: &[OutsidePredictions]) -> Option<Set> {
    let of_model = |OutsidePredictions { model, path }: &OutsidePredictions| {
        let path = path.to_string_lossy().into_owned();
        let keys = [("model", model.clone()), ("path", path)];
        Value::Table(
            keys.map(|(key, value)| (key.to_owned(), Value::String(value))).into_iter().collect(),
        )
    };
    let list = Value::Array(models.iter().map(of_model).collect());
    let set =
        || Set::of_option(&format!("--{PREDICTIONS}"), format!("evaluate.predictions={list}"));
    (!models.is_empty()).then(set)
}

/// A model and where its masks are.
fn of_model(text: &str) -> Result<OutsidePredictions, String> {
    let (model, path) = text
        .split_once('=')
        .filter(|(model, path)| !model.is_empty() && !path.is_empty())
        .ok_or("expected a model and the path of its masks, as in `nnunet=out/nnunet.parquet`")?;
    Ok(OutsidePredictions { model: model.to_owned(), path: path.into() })
}

/// The stages from one to another, both included.
pub(super) fn between(
    config: &Config,
    from: Option<Stage>,
    to: Option<Stage>,
) -> Result<Vec<Stage>, Error> {
    for stage in [from, to].into_iter().flatten() {
        is_asked_for(config, stage)?;
    }
    if let (Some(from), Some(to)) = (from, to)
        && to < from
    {
        let order = Stage::ALL.map(Stage::name).join(", ");
        let text = format!(
            "`--from {from} --to {to}` is no stage: {to} comes before {from}; the order is {order}"
        );
        return Err(Error::Usage(text));
    }
    let is_between =
        |stage: &Stage| from.is_none_or(|from| *stage >= from) && to.is_none_or(|to| *stage <= to);
    Ok(config.stages().filter(is_between).collect())
}

/// Fails for a stage that a pipeline file does not ask for.
fn is_asked_for(config: &Config, stage: Stage) -> Result<(), Error> {
    if config.stages().any(|asked| asked == stage) {
        return Ok(());
    }
    Err(Error::Usage(if (stage.spec().is_on)(config) {
        format!("{stage} needs images, and the pipeline file's cohorts have none")
    } else {
        format!("the pipeline file has no `[{stage}]` section")
    }))
}

fn work_on(
    config: &Config,
    stages: &[Stage],
    keep: &BTreeSet<Stage>,
    arguments: &WorkArguments,
    out: &mut dyn Write,
) -> Result<Outcome, Error> {
    let WorkArguments { resources, .. } = arguments;
    if !arguments.predictions.is_empty() && !stages.contains(&Stage::Evaluate) {
        let text = format!(
            "`--{PREDICTIONS}`: this run leaves {} out, which measures them",
            Stage::Evaluate
        );
        return Err(Error::Usage(text));
    }
    let progress = ProgressLine::new(resources.progress);
    let device = resources::start(resources, &progress)?;
    let force: BTreeSet<Stage> = arguments.force.iter().copied().collect();
    let options = Options {
        force: &force,
        stages,
        device: &device,
        max_memory: resources.max_memory,
        chosen: &ChosenVersions::new(),
        keep,
        retry_failed: arguments.retry_failed,
    };
    if arguments.dry_run {
        return dry_run(config, &options, arguments, &progress, out);
    }
    let store = Store::create(&config.store)?;
    let _lock = store.share()?;
    if stages.contains(&Stage::Ingest) {
        resources::write_phantom(config.phantom.as_ref(), &store, &progress)?;
    }
    let done = runner::run(config, &store, &options, &|event| resources::show(&progress, event))?;
    progress.clear();
    run_outcome::write(config, &store, &done, resources.json, out)
}

/// Prints what a run would do, and fails where it would.
fn dry_run(
    config: &Config,
    options: &Options<'_>,
    arguments: &WorkArguments,
    progress: &ProgressLine,
    out: &mut dyn Write,
) -> Result<Outcome, Error> {
    let store = Store::look(&config.store)?;
    disk::check_writable(store.root())?;
    let json = arguments.resources.json;
    let (mut pairs, mut headers) = (Vec::new(), None);
    if options.stages.contains(&Stage::Ingest) {
        let expected = expected_cases(config, &store)?;
        let mut written = config.ingest.clone();
        written.cohorts.retain(|cohort| expected(cohort).is_none());
        pairs = pairing::list(&written);
        let checked = arguments.check.then(|| header_check::check(&written)).transpose();
        headers = checked.map_err(runner::Error::from)?;
    }
    if !json {
        pairs::write(&pairs, out)?;
        if let Some(headers) = &headers {
            write_headers(headers, out)?;
        }
    }
    let listing = |done, total| progress.count("sources", done as u64, total as u64, "");
    let forecast = forecast_of(config, &store, options, false, &listing)?;
    progress.clear();
    if json {
        let mut value = serde_json::to_value(&forecast)?;
        value["pairs"] = json!(pairs);
        if let Some(headers) = headers {
            value["headers"] = json!(headers);
        }
        serde_json::to_writer_pretty(&mut *out, &value)?;
        writeln!(out)?;
    } else {
        forecast::write(&forecast, Columns::Bytes, out)?;
    }
    check_room(&store, &forecast.writes)?;
    check_device(config, &forecast, options.device)?;
    check_report(config, &store)?;
    Ok(Outcome::Success)
}

pub(super) fn stage(name: &str) -> Result<Stage, String> {
    let names = Stage::ALL.map(Stage::name);
    Stage::from_name(name).ok_or_else(|| unknown_name("stage", name, &names))
}
