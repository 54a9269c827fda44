//! `nodulus verify`.

use super::error::{Error, Outcome};
use super::progress::{ProgressLine, ProgressStyle};
use clap::Args;
use nodulus_formats::data_manifest;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    /// Data manifest
    manifest: PathBuf,
    /// Folder with the files
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// How to show progress on standard error
    #[arg(long, value_enum, default_value = "auto")]
    progress: ProgressStyle,
}

/// Checks files against a data manifest.
pub(super) fn verify(arguments: &VerifyArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let manifest = data_manifest::read(&arguments.manifest)?;
    let progress = ProgressLine::new(arguments.progress);
    let report = data_manifest::verify(&manifest, &arguments.root, &|done, total| {
        progress.count("verify", done, total, "");
    })?;
    progress.clear();
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &report)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{report}")?;
    }
    Ok(if report.is_well() { Outcome::Success } else { Outcome::FailedCases })
}
