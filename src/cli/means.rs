//! What a run may use, made ready.

use super::Error;
use super::arguments::MeansArguments;
use super::progress::Progress;
use crate::phantom;
use crate::pipeline::{config, runner};
use crate::stages::Event;
use crate::tables::store::Store;
use nodulus_nets::Device;
use serde::Deserialize;
use std::path::Path;

/// The part of a pipeline file that makes a synthetic cohort.
#[derive(Deserialize)]
struct PhantomSection {
    phantom: Option<phantom::Config>,
}

/// Starts the threads, and finds the device.
pub(super) fn begin(arguments: &MeansArguments, progress: &Progress) -> Result<Device, Error> {
    start(arguments.threads, &arguments.device, &|text| progress.line(&text))
}

/// Starts so many threads, or one a core, and finds the device of a name; tells what `auto` is.
pub(super) fn start(
    threads: Option<u16>,
    device: &str,
    tell: &dyn Fn(String),
) -> Result<Device, Error> {
    let threads = usize::from(threads.unwrap_or(0));
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| Error::Usage(format!("cannot start {threads} threads: {error}")))?;
    if device == "auto" {
        let (device, problem) = Device::automatic();
        let why = problem.map_or(String::new(), |problem| format!(": {problem}"));
        tell(format!("networks run on \"{}\"{why}", device.name()));
        return Ok(device);
    }
    Ok(Device::from_name(device)?)
}

/// Writes the synthetic cohort that a pipeline file asks for into the store's folder.
pub(super) fn write_phantom(
    pipeline: &Path,
    sets: &[String],
    store: &Store,
    progress: &Progress,
) -> Result<(), Error> {
    let section: PhantomSection = config::section(pipeline, sets)?;
    if let Some(phantom) = section.phantom {
        let count =
            |done: usize, total: usize| progress.count("phantom", done as u64, total as u64, "");
        phantom::write(&store.root().join("phantom"), &phantom, &count)?;
    }
    Ok(())
}

/// Shows how a run goes on.
pub(super) fn show(progress: &Progress, event: runner::Progress) {
    match event {
        runner::Progress::Sources { done, total } => {
            progress.count("sources", done as u64, total as u64, "");
        }
        runner::Progress::Begin(stage) => {
            progress.line(&format!("{stage}: {}", stage.description()));
        }
        runner::Progress::Stage(stage, Event::Cases { done, total, note }) => {
            progress.count(stage.name(), done as u64, total as u64, &note);
        }
        runner::Progress::Stage(stage, Event::Note(text)) => {
            progress.line(&format!("{stage}: {text}"));
        }
        runner::Progress::End(_) => {}
    }
}
