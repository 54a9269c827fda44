//! `nodulus froc`.

use super::error::{Error, Outcome};
use super::format;
use super::numbers;
use crate::compare::detections::{Files, evaluate};
use clap::Args;
use nodulus_metrics::froc::MIN_SCANS;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct FrocArguments {
    /// Nodules, as LUNA16's `annotations.csv`
    #[arg(long, value_name = "FILE")]
    reference: PathBuf,
    /// Other findings, as LUNA16's `annotations_excluded.csv`; detections that hit one are ignored
    #[arg(long, value_name = "FILE")]
    excluded: Option<PathBuf>,
    /// Scans, as LUNA16's `seriesuids.csv`
    #[arg(long, value_name = "FILE")]
    seriesuids: PathBuf,
    /// Submission: seriesuid, coordX, coordY, coordZ, probability
    #[arg(long, value_name = "FILE")]
    candidates: PathBuf,
    /// Seed of the bootstrap's resamples
    #[arg(long, default_value_t = 1, value_parser = numbers::whole::<u64>(0, u64::MAX))]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Measures a detector as LUNA16 does.
pub(super) fn froc(arguments: &FrocArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let files = Files {
        annotations: &arguments.reference,
        excluded: arguments.excluded.as_deref(),
        series: &arguments.seriesuids,
        detections: &arguments.candidates,
    };
    let curve = evaluate(&files, arguments.seed)?;
    if arguments.json {
        let points: Vec<_> = curve
            .points
            .iter()
            .map(|point| {
                json!({
                    "false_positives_per_scan": point.rate,
                    "sensitivity": point.sensitivity,
                    "resampled_mean": point.resampled_mean,
                    "ci_low": point.interval.map(|interval| interval[0]),
                    "ci_high": point.interval.map(|interval| interval[1]),
                })
            })
            .collect();
        let document = json!({
            "n_scans": curve.n_scans,
            "n_nodules": curve.n_nodules,
            "n_detected": curve.n_detected,
            "n_detections": curve.n_detections,
            "n_false_positives": curve.n_false_positives,
            "n_ignored": curve.n_ignored,
            "n_repeated": curve.n_repeated,
            "score": curve.mean_sensitivity,
            "ci_missing_reason": (curve.n_scans < MIN_SCANS)
                .then(|| format!("fewer than {MIN_SCANS} scans")),
            "points": points,
        });
        serde_json::to_writer_pretty(&mut *out, &document)?;
        writeln!(out)?;
        return Ok(Outcome::Success);
    }
    writeln!(
        out,
        "{} scans, {} nodules, of which {} detected; {} detections, of which {} hit nothing, {} hit another finding, \
         {} hit a nodule again",
        curve.n_scans,
        curve.n_nodules,
        curve.n_detected,
        curve.n_detections,
        curve.n_false_positives,
        curve.n_ignored,
        curve.n_repeated
    )?;
    let rows = curve.points.iter().map(|point| {
        let [low, high] = [0, 1].map(|end| point.interval.map(|interval| interval[end]));
        let values = [Some(point.sensitivity), point.resampled_mean, low, high];
        std::iter::once(point.rate.to_string()).chain(values.map(format::number)).collect()
    });
    if curve.n_scans < MIN_SCANS {
        writeln!(out, "no intervals: fewer than {MIN_SCANS} scans")?;
    }
    let head = ["false positives a scan", "sensitivity", "resampled mean", "2.5%", "97.5%"];
    writeln!(
        out,
        "\n{}\n\nmean sensitivity {:.4}",
        format::table(&head, rows),
        curve.mean_sensitivity
    )?;
    Ok(Outcome::Success)
}
