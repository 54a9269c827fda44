//! `nodulus phantom`.

use super::error::{Error, Outcome};
use super::numbers;
use super::progress::{ProgressLine, ProgressStyle};
use crate::phantom;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct PhantomArguments {
    /// Folder to write to
    out: PathBuf,
    /// Seed; the same seed gives the same bytes
    #[arg(long, default_value_t = 1, value_parser = numbers::whole::<u64>(0, u64::MAX))]
    seed: u64,
    /// Patients in the LIDC-style and LUNA16-style parts, which have the same scans
    #[arg(long, default_value_t = 8, value_parser = numbers::whole::<usize>(0, 9999))]
    patients: usize,
    /// Patients in the clinical part
    #[arg(long, default_value_t = 4, value_parser = numbers::whole::<usize>(0, 9999))]
    clinical_patients: usize,
    /// Columns and rows of a slice
    #[arg(long, value_parser = numbers::whole::<usize>(64, 512))]
    size: Option<usize>,
    /// How to show progress on standard error
    #[arg(long, value_enum, default_value = "auto")]
    progress: ProgressStyle,
}

/// Writes a synthetic cohort.
pub(super) fn phantom(arguments: &PhantomArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let mut config = phantom::Config {
        seed: arguments.seed,
        patients: arguments.patients,
        clinical_patients: arguments.clinical_patients,
        ..phantom::Config::default()
    };
    if let Some(size) = arguments.size {
        config.size = size;
    }
    let progress = ProgressLine::new(arguments.progress);
    let summary = phantom::write(&arguments.out, &config, &|done, total| {
        progress.count("phantom", done as u64, total as u64, "");
    })?;
    progress.clear();
    let phantom::PhantomSummary { patients, clinical_patients, nodules, already_complete } =
        summary;
    let state = if already_complete { "already complete" } else { "written" };
    let folder = arguments.out.display();
    writeln!(
        out,
        "{folder}: {state}, {patients} patients with four readers, {clinical_patients} clinical patients, {nodules} nodules of 3 mm or more"
    )?;
    Ok(Outcome::Success)
}
