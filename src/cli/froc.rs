//! `nodulus froc`.

use super::error::{Error, Outcome};
use super::format;
use super::numbers;
use crate::compare::detections::{Evaluation, Files, evaluate};
use clap::Args;
use nodulus_metrics::froc::{MAX_PER_SCAN, MIN_SCANS};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;

/// Unlisted series that are named; JSON has all.
const UNLISTED_NAMED: usize = 5;

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
    let evaluation = evaluate(&files, arguments.seed)?;
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &document(&evaluation))?;
        writeln!(out)?;
        return Ok(Outcome::Success);
    }
    let curve = &evaluation.curve;
    writeln!(
        out,
        "{} scans, {} nodules, of which {} detected\n",
        curve.n_scans, curve.n_nodules, curve.n_detected
    )?;
    let rows = outcomes(&evaluation).into_iter();
    let rows = rows.map(|(n, outcome)| vec![n.to_string(), outcome]);
    writeln!(out, "{}", format::table(&["detections", "outcome"], rows))?;
    let notes = notes(&evaluation);
    if !notes.is_empty() {
        writeln!(out, "\n{}", notes.join("\n"))?;
    }
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

fn document(evaluation: &Evaluation) -> Value {
    let curve = &evaluation.curve;
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
    let unlisted: Vec<_> = evaluation
        .unlisted
        .iter()
        .map(|unlisted| {
            json!({
                "series": unlisted.series,
                "n_detections": unlisted.n_detections,
                "listed_without_spaces": unlisted.listed,
            })
        })
        .collect();
    let counts = curve.detections;
    let [worst, best] = curve.mean_sensitivity_of_ties;
    let [nodules, excluded] = evaluation.n_unlisted_findings;
    json!({
        "n_scans": curve.n_scans,
        "ci_missing_reason": (curve.n_scans < MIN_SCANS)
            .then(|| format!("fewer than {MIN_SCANS} scans")),
        "n_nodules": curve.n_nodules,
        "n_detected": curve.n_detected,
        "n_rows": evaluation.n_rows,
        "n_unlisted": evaluation.n_unlisted(),
        "n_unlisted_series": evaluation.unlisted.len(),
        "unlisted": unlisted,
        "n_unlisted_nodules": nodules,
        "n_unlisted_excluded": excluded,
        "n_repeated_positions": evaluation.n_repeated_positions,
        "n_detections": counts.n_all,
        "n_scans_over_limit": counts.n_scans_over_limit,
        "n_over_limit": counts.n_over_limit,
        "n_over_limit_tied": counts.n_over_limit_tied,
        "n_missed_by_limit": curve.n_missed_by_limit,
        "n_hits": counts.n_hits,
        "n_shared": counts.n_shared,
        "n_repeated": counts.n_repeated,
        "n_ignored": counts.n_ignored,
        "n_false_positives": counts.n_false_positives,
        "n_tied": curve.n_tied,
        "score": curve.mean_sensitivity,
        "score_of_ties_low": worst,
        "score_of_ties_high": best,
        "points": points,
    })
}

/// The number of rows with each outcome, which add up to all rows.
fn outcomes(evaluation: &Evaluation) -> Vec<(usize, String)> {
    let counts = evaluation.curve.detections;
    let all = [
        (counts.n_hits, "hit a nodule".to_owned()),
        (counts.n_false_positives, "hit nothing: false positives".to_owned()),
        (counts.n_ignored, "hit an excluded finding: they do not count".to_owned()),
        (
            counts.n_over_limit,
            format!("beyond {MAX_PER_SCAN} in a scan: they do not count, as in LUNA16"),
        ),
        (evaluation.n_unlisted(), "of series that are not listed: they do not count".to_owned()),
    ];
    all.into_iter().chain([(evaluation.n_rows, "all".to_owned())]).collect()
}

/// What else a reader of the numbers must know.
fn notes(evaluation: &Evaluation) -> Vec<String> {
    let curve = &evaluation.curve;
    let counts = curve.detections;
    let mut notes = Vec::new();
    if !evaluation.unlisted.is_empty() {
        let first = evaluation.unlisted.iter().take(UNLISTED_NAMED).map(|unlisted| {
            let spaces = match &unlisted.listed {
                Some(listed) => format!(", which is the listed `{listed}` but for spaces"),
                None => String::new(),
            };
            format!("`{}` ({}{spaces})", unlisted.series, unlisted.n_detections)
        });
        let first: Vec<String> = first.collect();
        let others = evaluation.unlisted.len().saturating_sub(UNLISTED_NAMED);
        let rest = if others > 0 { format!(" and {others} more") } else { String::new() };
        notes.push(format!(
            "{} series of detections are not listed: {}{rest}; correct the series, or list them",
            evaluation.unlisted.len(),
            first.join(", ")
        ));
    }
    if let [nodules, excluded] = evaluation.n_unlisted_findings
        && nodules + excluded > 0
    {
        notes.push(format!(
            "{nodules} nodules and {excluded} excluded findings are of series that are not listed; they do not count"
        ));
    }
    if counts.n_scans_over_limit > 0 {
        notes.push(format!(
            "scans with more than {MAX_PER_SCAN} detections: {}; of each, those count whose confidence is above that of \
             number {}; {} of the first {MAX_PER_SCAN} tie with it and do not count; {} nodules are missed only because their \
             detections do not count",
            counts.n_scans_over_limit,
            MAX_PER_SCAN + 1,
            counts.n_over_limit_tied,
            curve.n_missed_by_limit
        ));
    }
    if counts.n_repeated > 0 {
        let n = counts.n_repeated;
        notes.push(format!("{n} hits are of a nodule that a more confident detection hits"));
    }
    if counts.n_shared > 0 {
        notes.push(format!("{} detections hit several nodules at once", counts.n_shared));
    }
    if evaluation.n_repeated_positions > 0 {
        let n = evaluation.n_repeated_positions;
        notes.push(format!(
            "{n} rows repeat the position of an earlier row of their series; each counts like any other"
        ));
    }
    if curve.n_tied > 0 {
        let [worst, best] = curve.mean_sensitivity_of_ties;
        notes.push(format!(
            "{} detected nodules tie with a false positive; the curve passes ties on a straight line, as in LUNA16; the order of \
             the rows would give a mean sensitivity from {worst:.4} to {best:.4}",
            curve.n_tied
        ));
    }
    notes
}
