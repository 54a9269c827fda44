//! `nodulus gc`.

use super::error::{Error, Outcome};
use super::format;
use super::numbers;
use crate::byte_size;
use clap::Args;
use nodulus_store::Store;
use nodulus_store::gc::{self, Garbage, Keep};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct GcArguments {
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Versions of each table to keep beside the current one, the newest first
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = numbers::whole::<usize>(0, 1_000_000))]
    keep: usize,
    /// Days that the work of an interrupted run stays after it was last written to; work of a living process always stays
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = numbers::whole::<u64>(0, 100_000))]
    interrupted_days: u64,
    /// Print what would be removed; change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Removes versions and shards that nothing needs.
pub(super) fn gc(arguments: &GcArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let store = Store::open(&arguments.store)?;
    let interrupted = Duration::from_hours(24 * arguments.interrupted_days);
    let keep = Keep { versions: arguments.keep, interrupted };
    let garbage =
        if arguments.dry_run { gc::look(&store, keep)? } else { gc::collect(&store, keep)? };
    if arguments.json {
        let mut value = serde_json::to_value(&garbage)?;
        value["n_shards"] = json!(garbage.n_shards());
        value["dry_run"] = json!(arguments.dry_run);
        serde_json::to_writer_pretty(&mut *out, &value)?;
        writeln!(out)?;
    } else {
        write(&garbage, arguments.dry_run, out)?;
    }
    Ok(Outcome::Success)
}

fn write(garbage: &Garbage, dry_run: bool, out: &mut dyn Write) -> Result<(), Error> {
    if garbage.is_empty() {
        writeln!(out, "nothing to remove: {} versions stay", garbage.n_kept_versions)?;
    } else {
        let row = |output: &str, version: &str, stage: &str, shards: usize, bytes: u64| {
            let texts = [output, version, stage].map(str::to_owned).into_iter();
            texts.chain([shards.to_string(), byte_size::text(bytes)]).collect::<Vec<_>>()
        };
        let versions =
            garbage.versions.iter().map(|v| row(&v.output, &v.key, &v.stage, v.n_shards, v.bytes));
        let loose = garbage
            .loose_shards
            .iter()
            .map(|shards| row(&shards.output, "in no version", "-", shards.n_shards, shards.bytes));
        let abandoned = garbage.abandoned.iter().map(|work| {
            let what = format!("unfinished {}, last written {} days ago", work.key, work.days);
            row(&work.output, &what, "-", 0, work.bytes)
        });
        let head = ["table", "version", "made by", "shards", "bytes"];
        let rows = versions.chain(loose).chain(abandoned);
        writeln!(out, "{}", format::table(&head, rows))?;
        writeln!(
            out,
            "\n{} {} versions, {} shards, {} unfinished files and the metrics of {} trainings: {} ({} bytes); {} versions stay",
            if dry_run { "would remove" } else { "removed" },
            garbage.versions.len(),
            garbage.n_shards(),
            garbage.n_unfinished,
            garbage.n_metrics,
            byte_size::text(garbage.bytes),
            garbage.bytes,
            garbage.n_kept_versions
        )?;
    }
    if !garbage.interrupted.is_empty() {
        let shards: usize = garbage.interrupted.iter().map(|shards| shards.n_shards).sum();
        let bytes: u64 = garbage.interrupted.iter().map(|shards| shards.bytes).sum();
        writeln!(
            out,
            "{shards} shards of an interrupted run stay ({}): the next `nodulus run` goes on with them; what nothing is \
             written to for some days goes (`--interrupted-days`)",
            byte_size::text(bytes)
        )?;
    }
    Ok(())
}
