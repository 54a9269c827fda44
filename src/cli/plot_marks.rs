//! `nodulus plot-marks`.

use super::error::{Error, Outcome};
use super::export::warned;
use super::montage::window;
use crate::pipeline::plot_marks::{self, PlotOptions};
use clap::Args;
use nodulus_store::Store;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct PlotMarksArguments {
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// The series
    #[arg(long, value_name = "UID")]
    series: String,
    /// Folder to write to; replaces an earlier export
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Cohort; needed where several have the series
    #[arg(long, value_name = "NAME")]
    cohort: Option<String>,
    /// Draw this nodule alone
    #[arg(long, value_name = "ID")]
    nodule: Option<String>,
    /// HU shown as black and as white; default: the window of the normalisation
    #[arg(long, value_name = "LOW,HIGH", value_parser = window, allow_hyphen_values = true)]
    window: Option<[f64; 2]>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Draws what readers marked.
pub(super) fn plot_marks(
    arguments: &PlotMarksArguments,
    out: &mut dyn Write,
) -> Result<Outcome, Error> {
    let store = Store::open(&arguments.store)?;
    let options = PlotOptions {
        cohort: arguments.cohort.as_deref(),
        series: &arguments.series,
        nodule: arguments.nodule.as_deref(),
        window_hu: arguments.window,
    };
    let record = plot_marks::plot(&store, &arguments.out, options)?;
    if warned(&store, &record, arguments.json, out)? {
        return Ok(Outcome::Success);
    }
    let plot_marks::PlotDescription { cohort, n_nodules, n_over_slice, .. } = record.about;
    writeln!(
        out,
        "cohort {cohort}: {n_nodules} nodules, {n_over_slice} of them over their slice: {} files in {}",
        record.files.len(),
        arguments.out.display()
    )?;
    Ok(Outcome::Success)
}
