//! `nodulus score`.

use super::error::{Error, Outcome};
use super::format;
use super::numbers;
use super::pipeline_arguments::{PipelineArguments, TrainingPatientsArgument};
use super::printable::printable;
use super::resources;
use crate::byte_size;
use crate::near_names::near_or_all;
use crate::nightly::input::reconciliation::CandidateCounts;
use crate::nightly::run::event::RunEvent;
use crate::nightly::run::job::{self, RunOptions};
use crate::nightly::run::status::{self, JobStatus, SeriesStatus};
use crate::nightly::run::summary::{DeliveryCounts, RunSummary, StopReason};
use crate::nightly::settings::ScoreSettings;
use clap::{Args, Subcommand, ValueEnum};
use nodulus_store::{Store, clock};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::{self, Write};
use std::panic::PanicHookInfo;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

/// Most series that `status` prints of each kind.
const MAX_SERIES: usize = 20;

#[derive(Debug, Args)]
pub(super) struct ScoreArguments {
    #[command(subcommand)]
    command: Option<ScoreCommand>,
    #[command(flatten)]
    run: ScoreRunArguments,
}

#[derive(Debug, Subcommand)]
enum ScoreCommand {
    /// Print which series wait, failed or still arrive, and who holds the lock
    #[command(after_help = "Example:\n  nodulus score status pipelines/score.toml")]
    Status(ScoreStatusArguments),
}

#[derive(Debug, Args)]
struct ScoreStatusArguments {
    #[command(flatten)]
    pipeline: PipelineArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ScoreRunArguments {
    /// Nightly file
    pipeline: Option<PathBuf>,
    /// A word after the file, which was then meant to be a subcommand
    #[arg(hide = true)]
    after: Option<PathBuf>,
    /// Folder of the store; overrides the nightly file
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Setting that overrides the nightly file's; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Start no scan after this many minutes
    #[arg(long, value_name = "N", value_parser = numbers::minutes)]
    max_minutes: Option<f64>,
    /// Try unchanged series again that failed before
    #[arg(long)]
    retry_failed: bool,
    #[command(flatten)]
    training_patients: TrainingPatientsArgument,
    /// Threads; default: one for each core
    #[arg(long, value_name = "N", value_parser = numbers::whole::<u16>(1, 65_535))]
    threads: Option<u16>,
    /// Memory, half for voxels and half for the network, as in 8GiB or 900MiB; a scan that needs more fails alone
    #[arg(long, value_name = "SIZE", default_value = "2GiB", value_parser = byte_size::parse)]
    max_memory: u64,
    /// Where networks run: cpu, cuda:N for a card, or auto for the first card that works
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// How to write the log on standard error
    #[arg(long, value_enum, default_value_t = Log::Text)]
    log: Log,
    /// Print the run's summary as JSON
    #[arg(long)]
    json: bool,
}

/// Format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Log {
    /// A line of text for each event
    Text,
    /// A JSON object a line
    Json,
    /// Nothing
    None,
}

/// Runs the nightly job, or prints its status.
pub(super) fn score(arguments: &ScoreArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    match &arguments.command {
        Some(ScoreCommand::Status(arguments)) => status(arguments, out),
        None => run(&arguments.run, out),
    }
}

fn run(arguments: &ScoreRunArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let Some(file) = &arguments.pipeline else {
        return Err(Error::Usage(
            "`nodulus score` needs a nightly file, as in `nodulus score pipelines/score.toml`"
                .to_owned(),
        ));
    };
    if let Some(after) = &arguments.after {
        let word = file.to_string_lossy();
        let text = match near_or_all(&word, &["status"]) {
            near if file.exists() || near.starts_with(';') => {
                format!("unexpected `{}` after the nightly file, expected options", after.display())
            }
            near => format!("there is no subcommand `{word}` of `nodulus score`{near}"),
        };
        return Err(Error::Usage(text));
    }
    let sets = arguments.training_patients.sets(&arguments.sets, "score");
    let settings = ScoreSettings::read(file, &sets, arguments.store.as_deref())?;
    let max_time = arguments.max_minutes.map(|minutes| Duration::from_secs_f64(60.0 * minutes));
    let report = |event| log(arguments.log, &event);
    resources::start_threads(arguments.threads)?;
    let announce = |text| report(RunEvent::Device { text });
    let device = || resources::find_device(&arguments.device, &announce);
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    std::panic::set_hook(Box::new(report_panic));
    let options = RunOptions {
        device: &device,
        max_memory: arguments.max_memory,
        max_time,
        retry_failed: arguments.retry_failed,
        stop: &stop,
    };
    let (summary, result) = job::run(&settings, &options, &report);
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &summary)?;
        writeln!(out)?;
    }
    result.map_err(|_| Error::Score(summary.error.clone().unwrap_or_default()))?;
    if !arguments.json {
        write_summary(&summary, out)?;
    }
    Ok(if summary.has_failures() { Outcome::FailedCases } else { Outcome::Success })
}

/// Says where the program failed. The message of a panic is not repeated, as it may hold text of a file.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map_or(String::new(), |at| format!(" at {at}"));
    let _ = writeln!(io::stderr(), "the program itself failed{place}; please report it");
}

/// Writes an event to standard error; work goes on where it is closed.
fn log(style: Log, event: &RunEvent) {
    let time = clock::timestamp(SystemTime::now());
    let line = match style {
        Log::None => return,
        Log::Text => format!("{time} {}", printable(&text(event))),
        Log::Json => {
            let mut value = serde_json::to_value(event).unwrap_or_default();
            if let Some(object) = value.as_object_mut() {
                object.shift_insert(0, "time".to_owned(), time.into());
            }
            value.to_string()
        }
    };
    let _ = writeln!(io::stderr(), "{line}");
}

fn text(event: &RunEvent) -> String {
    match event {
        RunEvent::Device { text } => text.clone(),
        RunEvent::Listed { found, to_do } => format!("{found} series, {to_do} to process"),
        RunEvent::Scored { series, nodules, seconds } => {
            format!("{series} scored: {nodules} nodules, {seconds:.1} s")
        }
        RunEvent::Restored { series } => format!("{series} has its earlier result again"),
        RunEvent::Candidates { file, counts } => candidates_text(file.as_deref(), counts),
        RunEvent::UnreadableCandidates { file, cause } => {
            format!("candidates of {file} cannot be used: {cause}")
        }
        RunEvent::UnplacedCandidates { file, n_rows, cause } => format!(
            "{n_rows} malformed rows of {file} may be of any series, so that no result is replaced by one of other candidates; the \
             first one: {cause}"
        ),
        RunEvent::Completed { series } => format!("{series} has new files"),
        RunEvent::Failed { series, cause } => format!("{series} failed: {cause}"),
        RunEvent::SetBack { series, cause } => format!("{series} is set back: {cause}"),
        RunEvent::Excluded { series, reason, n_candidates: 0, .. } => {
            format!("{series} excluded: {reason}")
        }
        RunEvent::Excluded { series, reason, n_candidates, .. } => {
            format!("{series} excluded with {n_candidates} candidates: {reason}")
        }
        RunEvent::Waiting { series } => format!("{series} waits for candidates"),
        RunEvent::Settling { series } => format!("{series} still arrives"),
        RunEvent::Delivered { series, destination, object, was_there } => {
            let how = if *was_there { "already has" } else { "has" };
            format!("{series} delivered: {destination} {how} {object}")
        }
        RunEvent::NotDelivered { series, destination, object, cause } => {
            format!("{series} not delivered to {destination}: {object}: {cause}")
        }
        RunEvent::NotSent { destination, n } => {
            format!(
                "{n} objects are left that {destination} does not have; the next run sends them"
            )
        }
        RunEvent::Warning { text } => format!("warning: {text}"),
        RunEvent::Stopped { why: StopReason::MaxMinutes, left } => {
            format!("stopped by `--max-minutes`, {left} series remain")
        }
        RunEvent::Stopped { why: StopReason::Signal, left } => {
            format!("stopped by a signal, {left} series remain")
        }
        RunEvent::Stopped { why: StopReason::DiskFull, left } => {
            format!("stopped by a full disk, {left} series remain")
        }
        RunEvent::Stopped { why: StopReason::Error, left } => {
            format!("stopped by an error, {left} series remain")
        }
    }
}

fn candidates_text(file: Option<&str>, counts: &CandidateCounts) -> String {
    let CandidateCounts { rows, matched, outside, unknown_series, malformed, duplicate } = counts;
    let whole = file.map_or("candidates".to_owned(), |file| format!("candidates of {file}"));
    format!(
        "{whole}: {rows} rows, {matched} matched, {outside} outside their scan, {unknown_series} of unknown series, \
         {malformed} malformed, {duplicate} duplicate"
    )
}

fn write_summary(summary: &RunSummary, out: &mut dyn Write) -> Result<(), Error> {
    let counts = [
        ("found", summary.found),
        ("scored", summary.scored),
        ("superseded", summary.superseded),
        ("restored", summary.restored),
        ("completed", summary.completed),
        ("unchanged", summary.unchanged),
        ("waiting", summary.waiting),
        ("settling", summary.settling),
        ("failed", summary.failed),
        ("failed before", summary.failed_before),
        ("undone", summary.undone),
        ("never scored", summary.never_scored),
        ("records damaged", summary.damaged_records),
        ("excluded", summary.excluded),
        ("excluded before", summary.excluded_before),
        ("left", summary.left),
        ("nodules", summary.nodules),
    ];
    let rows = counts.into_iter().map(|(name, n)| vec![name.to_owned(), n.to_string()]);
    writeln!(out, "{}", format::table(&["series", "count"], rows))?;
    if !summary.deliveries.is_empty() {
        let rows = summary.deliveries.iter().map(|(name, counts)| {
            let DeliveryCounts { stored, already_there, failed, left } = counts;
            let numbers = [stored, already_there, failed, left].map(ToString::to_string);
            [name.clone()].into_iter().chain(numbers).collect()
        });
        let head = ["archive", "stored", "already there", "failed", "left"];
        writeln!(out, "\n{}", format::table(&head, rows))?;
    }
    writeln!(out, "\n{}", candidates_text(None, &summary.candidates.in_all))?;
    let n_unreadable = summary.candidates.n_unreadable_files;
    if n_unreadable > 0 {
        writeln!(out, "{n_unreadable} files of candidates cannot be read: see the log")?;
    }
    let n_unplaced = summary.candidates.n_unplaced_rows;
    if n_unplaced > 0 {
        writeln!(out, "{n_unplaced} malformed rows may be of any series: see the log")?;
    }
    for notice in &summary.notices {
        writeln!(out, "\nwarning: {notice}")?;
    }
    writeln!(out, "\n{:.1} s with {}", summary.seconds.total, summary.model_id)?;
    Ok(())
}

fn status(arguments: &ScoreStatusArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let PipelineArguments { pipeline, store, sets } = &arguments.pipeline;
    let settings = ScoreSettings::read(pipeline, sets, store.as_deref())?;
    let status = match Store::open(&settings.store) {
        Ok(store) => status::status(&store)?,
        Err(nodulus_store::Error::NoStore(_)) => JobStatus::default(),
        Err(error) => return Err(error.into()),
    };
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &status)?;
        writeln!(out)?;
        return Ok(Outcome::Success);
    }
    writeln!(out, "running     {}", status.holder.as_deref().unwrap_or("no"))?;
    match &status.last_run {
        Some(last) => {
            let how = match last.stopped {
                // As an earlier version wrote it.
                None if last.error.is_some() => "until an error",
                None => "to the end",
                Some(StopReason::DiskFull) => "until a disk was full",
                Some(StopReason::Error) => "until an error",
                Some(StopReason::MaxMinutes) => "until --max-minutes",
                Some(StopReason::Signal) => "until a signal",
            };
            writeln!(
                out,
                "last run    {} to {} {how}: {} scored, {} failed, {} left, exit status {}",
                last.started, last.ended, last.scored, last.failed, last.left, last.exit_status
            )?;
            if let Some(error) = &last.error {
                writeln!(out, "error       {error}")?;
            }
        }
        None => writeln!(out, "last run    none")?,
    }
    writeln!(out, "scored      {}", status.scored)?;
    if let Some(last) = &status.last_run {
        for (name, DeliveryCounts { failed, left, .. }) in &last.deliveries {
            writeln!(
                out,
                "delivery    {name} lacked {} objects after the last run",
                failed + left
            )?;
        }
    }
    writeln!(out, "never scored, of those failed or undone: {}", status.never_scored)?;
    for damage in &status.damaged {
        writeln!(out, "damaged     {damage}")?;
    }
    let lists = [
        ("settling", &status.settling),
        ("waiting", &status.waiting),
        ("failed", &status.failed),
        ("undone", &status.undone),
        ("excluded", &status.excluded),
        ("unreadable candidates", &status.unreadable_candidates),
        ("unplaced candidates", &status.unplaced_candidates),
        ("undelivered", &status.undelivered),
    ];
    for (name, list) in lists {
        writeln!(out, "{name:11} {}", list.len())?;
        for SeriesStatus { id, detail } in list.iter().take(MAX_SERIES) {
            writeln!(out, "  {id}{}{detail}", if detail.is_empty() { "" } else { ": " })?;
        }
        if let Some(more) = list.len().checked_sub(MAX_SERIES).filter(|more| *more > 0) {
            writeln!(out, "  and {more} more (`--json` lists all)")?;
        }
    }
    Ok(Outcome::Success)
}
