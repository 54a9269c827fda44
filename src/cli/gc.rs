//! `nodulus gc`.

use super::error::{Error, Outcome};
use super::format;
use super::numbers;
use crate::byte_size;
use clap::Args;
use nodulus_store::Store;
use nodulus_store::gc::{self, Garbage};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct GcArguments {
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Versions of each table to keep beside the current one, the newest first
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = numbers::whole::<usize>(0, 1_000_000))]
    keep: usize,
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
    let keep = arguments.keep;
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
        let head = ["table", "version", "made by", "shards", "bytes"];
        writeln!(out, "{}", format::table(&head, versions.chain(loose)))?;
        writeln!(
            out,
            "\n{} {} versions, {} shards and {} unfinished files: {} ({} bytes); {} versions stay",
            if dry_run { "would remove" } else { "removed" },
            garbage.versions.len(),
            garbage.n_shards(),
            garbage.n_unfinished,
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
            "{shards} shards of an interrupted run stay ({}): the next `nodulus run` goes on with them",
            byte_size::text(bytes)
        )?;
    }
    Ok(())
}
