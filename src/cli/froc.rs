//! `nodulus froc`.

use super::arguments::FrocArguments;
use super::{Ending, Error, format};
use crate::pipeline::detections::{Files, evaluate};
use serde_json::json;
use std::io::Write;

pub(super) fn froc(arguments: &FrocArguments, out: &mut dyn Write) -> Result<Ending, Error> {
    let files = Files {
        annotations: &arguments.reference,
        excluded: arguments.excluded.as_deref(),
        series: &arguments.seriesuids,
        detections: &arguments.candidates,
    };
    let found = evaluate(&files, arguments.seed)?;
    if arguments.json {
        let points: Vec<_> = found
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
            "n_scans": found.n_scans,
            "n_nodules": found.n_nodules,
            "n_detected": found.n_detected,
            "n_detections": found.n_detections,
            "n_false_positives": found.n_false_positives,
            "n_ignored": found.n_ignored,
            "n_repeated": found.n_repeated,
            "score": found.mean_sensitivity,
            "points": points,
        });
        serde_json::to_writer_pretty(&mut *out, &document)?;
        writeln!(out)?;
        return Ok(Ending::Well);
    }
    writeln!(
        out,
        "{} scans, {} nodules, of which {} detected; {} detections, of which {} hit nothing, {} another finding, \
         {} a nodule again",
        found.n_scans,
        found.n_nodules,
        found.n_detected,
        found.n_detections,
        found.n_false_positives,
        found.n_ignored,
        found.n_repeated
    )?;
    let rows = found.points.iter().map(|point| {
        let [low, high] = [0, 1].map(|end| point.interval.map(|interval| interval[end]));
        let values = [Some(point.sensitivity), point.resampled_mean, low, high];
        std::iter::once(point.rate.to_string()).chain(values.map(format::number)).collect()
    });
    let head = ["false positives a scan", "sensitivity", "resampled mean", "2.5%", "97.5%"];
    writeln!(
        out,
        "\n{}\n\nmean sensitivity {:.4}",
        format::table(&head, rows),
        found.mean_sensitivity
    )?;
    Ok(Ending::Well)
}
