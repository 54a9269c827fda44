//! The figures of a run as a text file for Prometheus' `node_exporter` (`docs/watch.md`).

use super::error::Error;
use super::summary::{DeliveryCounts, RunSummary, StepSeconds};
use crate::nightly::input::reconciliation::Reconciliation;
use crate::nightly::settings::ScoreSettings;
use crate::tables::Drift;
use nodulus_store::{PartReader, Partitions, Row as _, Store, disk, durable};
use std::fmt::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes the file that settings name, whole or not at all.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub(super) fn write(
    settings: &ScoreSettings,
    store: Option<&Store>,
    summary: &RunSummary,
) -> Result<(), Error> {
    let Some(path) = &settings.prometheus else { return Ok(()) };
    // The run was refused for it.
    if disk::lies_in(path, &settings.input) {
        return Ok(());
    }
    let ended = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) {
        return Err(Error::NoPrometheusFolder);
    }
    let drift = store.map(|store| last_drift(store, &summary.model_id)).transpose()?;
    let text = page(summary, ended.as_secs(), &drift.unwrap_or_default());
    durable::write(path, text.as_bytes()).map_err(Error::Prometheus)
}

/// The rows of `drift` of the last night in which the model scored a nodule; empty before that.
fn last_drift(store: &Store, model_id: &str) -> Result<Vec<Drift>, Error> {
    let Some(table) = Partitions::of(store.root(), Drift::TABLE) else { return Ok(Vec::new()) };
    let nights = table.values().map_err(nodulus_store::Error::from)?;
    for night in nights.iter().rev() {
        let reader = PartReader::<Drift>::open(&table.whole_file(night)?, Drift::TABLE, None)?;
        let mut rows = reader.collect::<Result<Vec<_>, _>>()?.concat();
        rows.retain(|row| row.model_id == model_id);
        if !rows.is_empty() {
            return Ok(rows);
        }
    }
    Ok(Vec::new())
}

/// The text format of Prometheus: metrics, each with its help, type and samples.
struct MetricsText(String);

impl MetricsText {
    /// A metric; samples are labels with a value.
    fn metric<V: fmt::Display>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Vec<(&'static str, String)>, V)>,
    ) {
        // Writing to a string cannot fail.
        let _ = write!(
            self.0,
            "# HELP nodulus_score_{name} {help}\n# TYPE nodulus_score_{name} gauge\n"
        );
        for (labels, value) in samples {
            let labels: Vec<String> =
                labels.iter().map(|(key, text)| format!("{key}=\"{}\"", escaped(text))).collect();
            let labels =
                if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(self.0, "nodulus_score_{name}{labels} {value}");
        }
    }

    /// A metric without labels.
    fn number(&mut self, name: &str, help: &str, value: impl fmt::Display) {
        self.metric(name, help, [(Vec::new(), value)]);
    }
}

/// The value of a label (Prometheus' exposition formats, "Text format").
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn page(summary: &RunSummary, ended: u64, drift: &[Drift]) -> String {
    let mut text = MetricsText(String::new());
    text.number(
        "last_run_timestamp_seconds",
        "Time at which the last run ended, however it ended.",
        ended,
    );
    text.number(
        "exit_status",
        "Exit status of the last run: 0 success, 1 stopped by an error, 3 something failed.",
        summary.exit_status,
    );
    let version = vec![("version", summary.version.clone()), ("model", summary.model_id.clone())];
    text.metric("info", "Version of the program and model of the last run.", [(version, 1)]);
    text.number("found_series", "Series in the input.", summary.found);
    let outcomes = [
        ("settling", summary.settling),
        ("waiting", summary.waiting),
        ("scored", summary.scored),
        ("restored", summary.restored),
        ("completed", summary.completed),
        ("unchanged", summary.unchanged),
        ("failed", summary.failed),
        ("failed_before", summary.failed_before),
        ("excluded", summary.excluded),
        ("excluded_before", summary.excluded_before),
        ("undone", summary.undone),
        ("left", summary.left),
    ];
    let of = |label, name: &str| vec![(label, name.to_owned())];
    text.metric(
        "series",
        "Series of the last run by outcome.",
        outcomes.map(|(outcome, n)| (of("outcome", outcome), n)),
    );
    text.number(
        "never_scored_series",
        "Series among those failed or undone that have no result at all.",
        summary.never_scored,
    );
    text.number(
        "superseded_series",
        "Scored series that replace an earlier result.",
        summary.superseded,
    );
    add_candidates(&mut text, &summary.candidates);
    text.number("nodules", "Nodules scored in the last run.", summary.nodules);
    text.number("empty_nodules", "Nodules among them without a voxel.", summary.empty_masks);
    text.number(
        "seen_by_model_series",
        "Series of patients that the model was trained or validated on.",
        summary.seen_by_model,
    );
    text.number(
        "several_names_series",
        "Series scored in the last run with several names of the patient under one patient id.",
        summary.several_names,
    );
    text.number("warnings", "Warnings of the last run.", summary.warnings.len());
    let StepSeconds { model, list, read, score, write, deliver, total } = summary.seconds;
    let steps = [
        ("model", model),
        ("list", list),
        ("read", read),
        ("score", score),
        ("write", write),
        ("deliver", deliver),
        ("total", total),
    ];
    text.metric(
        "seconds",
        "Seconds of the last run by step; reading, scoring and writing overlap.",
        steps.map(|(step, seconds)| (of("step", step), seconds)),
    );
    let deliveries = summary.deliveries.iter().flat_map(|(name, counts)| {
        let DeliveryCounts { stored, already_there, failed, left } = *counts;
        let outcomes = [
            ("stored", stored),
            ("already_there", already_there),
            ("failed", failed),
            ("left", left),
        ];
        outcomes.map(|(outcome, n)| {
            (vec![("destination", name.clone()), ("outcome", outcome.to_owned())], n)
        })
    });
    text.metric(
        "deliveries",
        "Objects to be sent in the last run by archive and outcome.",
        deliveries,
    );
    add_drift(&mut text, drift);
    text.0
}

fn add_candidates(text: &mut MetricsText, candidates: &Reconciliation) {
    let rows = candidates.in_all;
    let outcomes = [
        ("matched", rows.matched),
        ("outside", rows.outside),
        ("unknown_series", rows.unknown_series),
        ("malformed", rows.malformed),
        ("duplicate", rows.duplicate),
    ];
    text.metric(
        "candidates",
        "Rows of candidates by outcome.",
        outcomes.map(|(outcome, n)| (vec![("outcome", outcome.to_owned())], n)),
    );
    text.number(
        "unreadable_candidate_files",
        "Files of candidates that cannot be read.",
        candidates.n_unreadable_files,
    );
    text.number(
        "unplaced_candidate_rows",
        "Malformed rows of candidates that may be of any series.",
        candidates.n_unplaced_rows,
    );
}

fn add_drift(text: &mut MetricsText, drift: &[Drift]) {
    let labels =
        |row: &Drift| vec![("model", row.model_id.clone()), ("quantity", row.quantity.clone())];
    text.metric(
        "drift_nodules",
        "Nodules with a value in the last night that scored any.",
        drift.iter().map(|row| (labels(row), row.n)),
    );
    text.metric(
        "drift_psi",
        "Population stability index of that night against the model's training cohort.",
        drift.iter().filter_map(|row| Some((labels(row), row.psi?))),
    );
    text.metric(
        "drift_psi_limit",
        "Limit that the index exceeds by chance alone in 5 of 100 nights.",
        drift.iter().filter_map(|row| Some((labels(row), row.psi_limit?))),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_sample_is_a_line_of_the_format() {
        let counts = DeliveryCounts { stored: 3, failed: 1, ..DeliveryCounts::default() };
        let summary = RunSummary {
            model_id: "a\"b\\c\nd".to_owned(),
            version: "0.1.0".to_owned(),
            scored: 2,
            empty_masks: 4,
            exit_status: 3,
            seconds: StepSeconds { score: 1.5, ..StepSeconds::default() },
            deliveries: BTreeMap::from([("pacs".to_owned(), counts)]),
            ..RunSummary::default()
        };
        let drift = Drift {
            model_id: "m".to_owned(),
            quantity: "mean_hu".to_owned(),
            n: 7,
            psi: Some(0.25),
            ..Drift::default()
        };
        let text = page(&summary, 1_790_000_000, &[drift]);
        for line in [
            "nodulus_score_last_run_timestamp_seconds 1790000000",
            "nodulus_score_exit_status 3",
            "nodulus_score_info{version=\"0.1.0\",model=\"a\\\"b\\\\c\\nd\"} 1",
            "nodulus_score_series{outcome=\"scored\"} 2",
            "nodulus_score_empty_nodules 4",
            "nodulus_score_seconds{step=\"score\"} 1.5",
            "nodulus_score_deliveries{destination=\"pacs\",outcome=\"failed\"} 1",
            "nodulus_score_drift_psi{model=\"m\",quantity=\"mean_hu\"} 0.25",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("drift_psi_limit{"));
        assert!(text.ends_with('\n'));
        // Each metric has its help and its type once, before its samples.
        let mut named = Vec::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..2] {
                ["#", "HELP"] => named.push(words[2]),
                ["#", "TYPE"] => assert_eq!(named.last(), Some(&words[2])),
                _ => {
                    let name = line.split(['{', ' ']).next().unwrap();
                    assert_eq!(named.last(), Some(&name), "{line}");
                    assert!(words.last().unwrap().parse::<f64>().is_ok(), "{line}");
                }
            }
        }
        let n = named.len();
        named.sort_unstable();
        named.dedup();
        assert_eq!(named.len(), n);
    }
}
