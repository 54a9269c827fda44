//! `nodulus score`.

use super::arguments::{PipelineArguments, bytes};
use super::{Ending, Error, format};
use crate::nightly::run::event::RunEvent;
use crate::nightly::run::job::{self, RunOptions};
use crate::nightly::run::status::{self, JobStatus, SeriesStatus};
use crate::nightly::run::summary::{RunSummary, StopReason};
use crate::nightly::settings::ScoreSettings;
use crate::tables::clock;
use crate::tables::store::{self, Store};
use clap::{Args, Subcommand, ValueEnum};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

/// Series that `status` names of each kind.
const MOST_LISTED: usize = 20;

#[derive(Debug, Args)]
pub(super) struct ScoreArguments {
    #[command(subcommand)]
    command: Option<ScoreCommand>,
    #[command(flatten)]
    run: ScoreRunArguments,
}

#[derive(Debug, Subcommand)]
enum ScoreCommand {
    /// Say what waits, what failed, what still arrives, and who holds the lock
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
    /// File of the job
    pipeline: Option<PathBuf>,
    /// Folder of the store, in place of the file's
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// A setting in place of the file's; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Begin no scan later than this
    #[arg(long, value_name = "N")]
    max_minutes: Option<f64>,
    /// Try again what failed before and has not changed
    #[arg(long)]
    retry_failed: bool,
    /// Threads; all cores where not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Memory for voxels and for the network: half of it each; a scan that needs more fails alone
    #[arg(long, value_name = "SIZE", default_value = "2GiB", value_parser = bytes)]
    max_memory: u64,
    /// Where networks run
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// How to write the log on standard error
    #[arg(long, value_enum, default_value_t = Log::Text)]
    log: Log,
    /// Print the run's summary as JSON
    #[arg(long)]
    json: bool,
}

/// How a log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Log {
    /// A line of text for each event
    Text,
    /// A JSON object a line
    Json,
    /// Nothing
    None,
}

pub(super) fn score(arguments: &ScoreArguments, out: &mut dyn Write) -> Result<Ending, Error> {
    match &arguments.command {
        Some(ScoreCommand::Status(arguments)) => status(arguments, out),
        None => run(&arguments.run, out),
    }
}

fn run(arguments: &ScoreRunArguments, out: &mut dyn Write) -> Result<Ending, Error> {
    let Some(file) = &arguments.pipeline else {
        return Err(Error::Usage("`nodulus score` needs the file of the job".to_owned()));
    };
    let settings = ScoreSettings::read(file, &arguments.sets, arguments.store.as_deref())?;
    let max_time = match arguments.max_minutes.map(|minutes| 60.0 * minutes) {
        Some(seconds) => Some(Duration::try_from_secs_f64(seconds).map_err(|error| {
            Error::Usage(format!("`--max-minutes {}`: {error}", seconds / 60.0))
        })?),
        None => None,
    };
    let tell = |event| log(arguments.log, &event);
    let told = |text| tell(RunEvent::Device { text });
    let device = super::means::start(arguments.threads, &arguments.device, &told)?;
    let store = Store::create(&settings.store)?;
    let _lock = store.lock()?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let options = RunOptions {
        device,
        max_memory: arguments.max_memory,
        max_time,
        retry_failed: arguments.retry_failed,
        stop: &stop,
    };
    let (summary, result) = job::run(&settings, &store, &options, &tell);
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &summary)?;
        writeln!(out)?;
    }
    result?;
    if !arguments.json {
        write_summary(&summary, out)?;
    }
    Ok(if summary.failed > 0 { Ending::FailedCases } else { Ending::Well })
}

/// Work does not stop because nobody can read the log.
fn log(style: Log, event: &RunEvent) {
    let time = clock::timestamp(SystemTime::now());
    let line = match style {
        Log::None => return,
        Log::Text => format!("{time} {}", text(event)),
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
        RunEvent::Listed { found, to_do } => format!("{found} series, {to_do} to look at"),
        RunEvent::Scored { series, nodules, seconds } => {
            format!("{series} scored: {nodules} nodules, {seconds:.1} s")
        }
        RunEvent::Completed { series } => format!("{series} has files that it had not"),
        RunEvent::Failed { series, cause } => format!("{series} failed: {cause}"),
        RunEvent::Waiting { series } => format!("{series} waits for candidates"),
        RunEvent::Settling { series } => format!("{series} still arrives"),
        RunEvent::Warning { text } => format!("warning: {text}"),
        RunEvent::Stopped { why: StopReason::MaxMinutes, left } => {
            format!("stopped by --max-minutes, {left} series are left")
        }
        RunEvent::Stopped { why: StopReason::Signal, left } => {
            format!("stopped by a signal, {left} series are left")
        }
    }
}

fn write_summary(summary: &RunSummary, out: &mut dyn Write) -> Result<(), Error> {
    let counts = [
        ("found", summary.found),
        ("scored", summary.scored),
        ("superseded", summary.superseded),
        ("completed", summary.completed),
        ("unchanged", summary.unchanged),
        ("waiting", summary.waiting),
        ("settling", summary.settling),
        ("failed", summary.failed),
        ("failed before", summary.failed_before),
        ("left", summary.left),
        ("nodules", summary.nodules),
    ];
    let rows = counts.into_iter().map(|(name, n)| vec![name.to_owned(), n.to_string()]);
    writeln!(out, "{}", format::table(&["series", "count"], rows))?;
    writeln!(out, "\n{:.1} s with {}", summary.seconds.total, summary.model_id)?;
    Ok(())
}

fn status(arguments: &ScoreStatusArguments, out: &mut dyn Write) -> Result<Ending, Error> {
    let PipelineArguments { pipeline, store, sets } = &arguments.pipeline;
    let settings = ScoreSettings::read(pipeline, sets, store.as_deref())?;
    let status = match Store::open(&settings.store) {
        Ok(store) => status::status(&store)?,
        Err(store::Error::Missing(_)) => JobStatus::default(),
        Err(error) => return Err(error.into()),
    };
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &status)?;
        writeln!(out)?;
        return Ok(Ending::Well);
    }
    writeln!(out, "running   {}", status.holder.as_deref().unwrap_or("no"))?;
    match &status.last_run {
        Some(last) => {
            let how = match last.stopped {
                None => "to its end",
                Some(StopReason::MaxMinutes) => "until --max-minutes",
                Some(StopReason::Signal) => "until a signal",
            };
            writeln!(
                out,
                "last run  {} to {} {how}: {} scored, {} failed, {} left, exit status {}",
                last.started, last.ended, last.scored, last.failed, last.left, last.exit_status
            )?;
        }
        None => writeln!(out, "last run  none")?,
    }
    writeln!(out, "scored    {}", status.scored)?;
    let lists =
        [("settling", &status.settling), ("waiting", &status.waiting), ("failed", &status.failed)];
    for (name, list) in lists {
        writeln!(out, "{name:9} {}", list.len())?;
        for SeriesStatus { id, detail } in list.iter().take(MOST_LISTED) {
            writeln!(out, "  {id}{}{detail}", if detail.is_empty() { "" } else { ": " })?;
        }
        if let Some(more) = list.len().checked_sub(MOST_LISTED).filter(|more| *more > 0) {
            writeln!(out, "  and {more} more (--json lists all)")?;
        }
    }
    Ok(Ending::Well)
}
