//! `nodulus metrics`.

use super::error::{Error, Outcome};
use super::format;
use super::numbers;
use super::printable::printable;
use crate::compare::masks::compare;
use clap::Args;
use serde_json::Value;
use std::io::{self, Write};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct MetricsArguments {
    /// Reference mask: NIfTI, MetaImage or DICOM SEG
    reference: PathBuf,
    /// Predicted mask: NIfTI, MetaImage or DICOM SEG
    prediction: PathBuf,
    /// Voxel value, or segment number, that makes up the masks; default: every value but 0, or every segment
    #[arg(long, value_name = "N", value_parser = numbers::whole::<u16>(1, 65_535))]
    label: Option<u16>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints every metric of a predicted mask against a reference mask.
pub(super) fn metrics(arguments: &MetricsArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let comparison = compare(&arguments.reference, &arguments.prediction, arguments.label)?;
    if let Some(label) = arguments.label
        && comparison.is_empty()
    {
        let files = [&arguments.reference, &arguments.prediction];
        let files = files.map(|file| printable(&file.to_string_lossy()).into_owned());
        // Not on standard output, which programs read.
        let _ = writeln!(
            io::stderr(),
            "neither `{}` nor `{}` has label {label}: both masks are empty",
            files[0],
            files[1]
        );
    }
    let metrics = comparison.values();
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &metrics)?;
        writeln!(out)?;
    } else {
        let rows = metrics.iter().map(|(name, value)| {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) if number.is_u64() => number.to_string(),
                value => format::number(value.as_f64()),
            };
            vec![name.clone(), text]
        });
        writeln!(out, "{}", format::table(&["metric", "value"], rows))?;
    }
    Ok(Outcome::Success)
}
