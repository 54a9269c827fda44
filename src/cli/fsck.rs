//! `nodulus fsck`.

use super::error::{Error, Outcome};
use super::format;
use crate::byte_size;
use crate::nightly::records::output_files;
use crate::tables::Output;
use clap::Args;
use nodulus_store::fsck::{self, Checked, Repair};
use nodulus_store::{OutputSpec, Store};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct FsckArguments {
    /// Folder of the store
    #[arg(value_name = "STORE")]
    store: PathBuf,
    /// Set damaged files aside, in STORE/damaged, so that the next run makes them again
    #[arg(long)]
    repair: bool,
    /// Folder of a nightly job's outputs, where the nightly file names one; default: STORE/output
    #[arg(long, value_name = "DIR")]
    outputs: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Compares every file of a store with its record.
pub(super) fn fsck(arguments: &FsckArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let repair = if arguments.repair { Repair::Yes } else { Repair::No };
    let outputs: Vec<OutputSpec> = Output::all().map(Output::spec).collect();
    let mut checked = fsck::check(&arguments.store, &outputs, repair)?;
    // Without a readable `store.json` and without a repair there is no more to look at.
    if let Ok(store) = Store::open(&arguments.store) {
        let base = arguments.outputs.clone().unwrap_or_else(|| arguments.store.join("output"));
        output_files::check(&store, &base, repair, &mut checked)?;
    }
    if arguments.json {
        let mut value = serde_json::to_value(&checked)?;
        value["repaired"] = json!(arguments.repair);
        serde_json::to_writer_pretty(&mut *out, &value)?;
        writeln!(out)?;
    } else {
        write(&checked, arguments, out)?;
    }
    let is_whole = checked.damage.is_empty();
    Ok(if is_whole { Outcome::Success } else { Outcome::FailedCases })
}

fn write(checked: &Checked, arguments: &FsckArguments, out: &mut dyn Write) -> Result<(), Error> {
    for damage in &checked.damage {
        writeln!(out, "{damage}")?;
    }
    let (n, bytes) = (checked.n_files, byte_size::text(checked.n_bytes));
    if checked.damage.is_empty() {
        writeln!(out, "{n} files ({bytes}) are as their records say")?;
        return Ok(());
    }
    let n_damaged = checked.damage.len();
    writeln!(out, "\n{n_damaged} faults in {n} files ({bytes})")?;
    if arguments.repair {
        let text = "the next `nodulus run`, or `nodulus score`, makes again what is missing now; look at what was set aside in";
        writeln!(
            out,
            "{text} `{}`, which `nodulus gc` removes",
            arguments.store.join("damaged").display()
        )?;
    } else {
        let store = format::shell(&arguments.store);
        writeln!(
            out,
            "`nodulus fsck --repair {store}` sets damaged files aside, and the next run makes them again"
        )?;
    }
    Ok(())
}
