//! What a run may use: threads, memory and a device; and how it shows progress.

use super::error::Error;
use super::numbers;
use super::progress::{ProgressLine, ProgressStyle};
use crate::byte_size;
use crate::phantom;
use crate::pipeline::runner;
use crate::stages::Event;
use clap::Args;
use fs_err::OpenOptions;
use nodulus_nets::Device;
use nodulus_store::Store;
use std::io;

/// Bytes that `--max-memory` stands for where it is not given.
pub(super) const DEFAULT_MAX_MEMORY: u64 = 4 << 30;

#[derive(Debug, Args)]
pub(super) struct ResourceArguments {
    /// Threads; default: one for each core
    #[arg(long, value_name = "N", value_parser = numbers::whole::<u16>(1, 65_535))]
    threads: Option<u16>,
    /// Memory for the voxels of the scans that are in memory at once, as in 8GiB or 900MiB; a scan that needs more
    /// fails alone
    #[arg(long, value_name = "SIZE", default_value = "4GiB", value_parser = byte_size::parse)]
    pub(super) max_memory: u64,
    /// Where networks run: cpu, cuda:N for a card, or auto for the first card that works
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    /// How to show progress on standard error
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) progress: ProgressStyle,
}

/// Starts the threads and finds the device that the arguments name.
pub(super) fn start(
    arguments: &ResourceArguments,
    progress: &ProgressLine,
) -> Result<Device, Error> {
    start_threads(arguments.threads)?;
    Ok(find_device(&arguments.device, &|text| progress.line(&text))?)
}

/// Starts threads, by default one for each core.
pub(super) fn start_threads(threads: Option<u16>) -> Result<(), Error> {
    let threads = usize::from(threads.unwrap_or(0));
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| Error::Usage(format!("cannot start {threads} threads: {error}")))
}

/// The device with a name; `announce` gets the device that `auto` stands for.
pub(super) fn find_device(name: &str, announce: &dyn Fn(String)) -> nodulus_nets::Result<Device> {
    if name != "auto" {
        return Device::from_name(name);
    }
    let (device, problem) = Device::automatic();
    let why = problem.map_or(String::new(), |problem| format!(": {problem}"));
    announce(format!("networks run on \"{}\"{why}", device.name()));
    Ok(device)
}

/// Writes the synthetic cohort that a pipeline file asks for into the store's folder. Of several processes one writes, and
/// the others wait for it.
pub(super) fn write_phantom(
    phantom: Option<&phantom::Config>,
    store: &Store,
    progress: &ProgressLine,
) -> Result<(), Error> {
    if let Some(phantom) = phantom {
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(store.root().join("phantom.lock"))?;
        match lock.file().lock() {
            // Without locks, several processes write the same bytes.
            Err(error) if error.kind() != io::ErrorKind::Unsupported => return Err(error.into()),
            _ => {}
        }
        let count =
            |done: usize, total: usize| progress.count("phantom", done as u64, total as u64, "");
        phantom::write(&store.root().join(phantom::FOLDER), phantom, &count)?;
    }
    Ok(())
}

/// Shows the progress of a run.
pub(super) fn show(progress: &ProgressLine, event: runner::RunEvent) {
    match event {
        runner::RunEvent::Sources { done, total } => {
            progress.count("sources", done as u64, total as u64, "");
        }
        runner::RunEvent::Begin(stage) => {
            progress.line(&format!("{stage}: {}", stage.spec().description));
        }
        runner::RunEvent::Stage(stage, Event::Cases { done, total, note }) => {
            progress.count(stage.name(), done as u64, total as u64, &note);
        }
        runner::RunEvent::Stage(stage, Event::Note(text)) => {
            progress.line(&format!("{stage}: {text}"));
        }
        runner::RunEvent::End(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        resources: ResourceArguments,
    }

    #[test]
    fn the_default_memory_is_that_of_the_option() {
        let resources = Arguments::parse_from(["x"]).resources;
        assert_eq!(resources.max_memory, DEFAULT_MAX_MEMORY);
    }
}
