//! What `nodulus run` prints when it is done.

use super::error::{Error, Outcome};
use super::format;
use crate::byte_size;
use crate::pipeline::config::Config;
use crate::pipeline::outdated::{Outdated, in_lines, outdated};
use crate::pipeline::runner::{self, Done};
use crate::stages::{Stage, balance, evaluate};
use crate::tables::{Output, Summary, Table};
use nodulus_metrics::Metric;
use nodulus_pages::text::counted;
use nodulus_store::Store;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

/// Writes what each stage did and where the results are.
pub(super) fn write(
    config: &Config,
    store: &Store,
    done: &[Done],
    json: bool,
    out: &mut dyn Write,
) -> Result<Outcome, Error> {
    let n_failures = runner::n_failures(store)?;
    let outdated = outdated(store)?;
    let changed = changed_settings(config, store, done)?;
    let mut warnings = warnings(store)?;
    warnings.extend(balance::warnings(&config.balance, store)?);
    if json {
        write_json(store, done, n_failures, &outdated, &changed, &warnings, out)?;
    } else {
        write_text(store, done, n_failures, &outdated, &warnings, out)?;
        for stage in changed {
            writeln!(
                out,
                "the settings of {stage} are not those of its current outputs, and this run left {stage} out: \
                 `nodulus run --from {stage}` makes them anew"
            )?;
        }
    }
    Ok(if n_failures > 0 { Outcome::FailedCases } else { Outcome::Success })
}

/// The stages before those of a run whose current outputs were made with other settings. Ingest's settings are those of its
/// cohorts, which a run without it does not list.
fn changed_settings(config: &Config, store: &Store, done: &[Done]) -> Result<Vec<Stage>, Error> {
    let Some(first) = done.iter().map(|done| done.stage).min() else { return Ok(Vec::new()) };
    let mut changed = Vec::new();
    for stage in config.stages().filter(|stage| *stage > Stage::Ingest && *stage < first) {
        let spec = stage.spec();
        let Some(output) = spec.writes.first() else { continue };
        if let Some(version) = store.current(*output)?
            && version.manifest.config != (spec.settings)(config)?
        {
            changed.push(stage);
        }
    }
    Ok(changed)
}

fn write_text(
    store: &Store,
    done: &[Done],
    n_failures: u64,
    outdated: &[Outdated],
    warnings: &[String],
    out: &mut dyn Write,
) -> Result<(), Error> {
    if done.iter().all(|stage| stage.ran.is_none() && !stage.kept && !stage.switched) {
        writeln!(out, "nothing to do: everything is up to date")?;
        if done.iter().all(|stage| stage.stage != Stage::Ingest) {
            writeln!(
                out,
                "this run leaves ingest out, so that new and changed files are not looked for"
            )?;
        }
    } else {
        let head = ["stage", "time", "shards made", "rows", "failed"];
        writeln!(out, "{}", format::table(&head, done.iter().map(row)))?;
    }
    let (root, quoted) = (store.root().display(), format::shell(store.root()));
    writeln!(out, "\ntables  {root} (list them: nodulus tables --store {quoted})")?;
    if let Some(report) = report(store)? {
        writeln!(out, "report  {}", report.display())?;
    }
    for row in dice(store)? {
        writeln!(
            out,
            "Dice    {} {} [{}], {} of {} nodules measured, {} missed",
            row.model_id,
            format::number(row.mean),
            row.ci_missing_reason.clone().unwrap_or_else(|| format!(
                "{}, {}",
                format::number(row.ci_low),
                format::number(row.ci_high)
            )),
            row.n_valid,
            row.n_total,
            row.n_missed
        )?;
    }
    if !warnings.is_empty() {
        writeln!(out)?;
    }
    for warning in warnings {
        writeln!(out, "warning: {warning}")?;
    }
    if !outdated.is_empty() {
        writeln!(out)?;
    }
    for line in in_lines(outdated) {
        writeln!(out, "{line}")?;
    }
    if n_failures > 0 {
        writeln!(
            out,
            "\n{} failed: nodulus show failures --store {quoted}; `--retry-failed` tries them again{}",
            counted(n_failures, "case", "cases"),
            match runner::least_memory(store)? {
                Some(bytes) => format!(
                    ", and a larger `--max-memory` those that lacked memory, the first from {}",
                    byte_size::text(bytes)
                ),
                None => String::new(),
            }
        )?;
    }
    Ok(())
}

fn row(stage: &Done) -> Vec<String> {
    let time = match stage.ran {
        Some(time) => format!("{:.1} s", time.as_secs_f64()),
        None if stage.kept => "kept".to_owned(),
        None if stage.switched => "made before, now current".to_owned(),
        None => "up to date".to_owned(),
    };
    vec![
        stage.stage.name().to_owned(),
        time,
        format!("{} of {}", stage.n_made, stage.n_shards),
        stage.rows.to_string(),
        stage.n_failures.to_string(),
    ]
}

fn write_json(
    store: &Store,
    done: &[Done],
    n_failures: u64,
    outdated: &[Outdated],
    changed_settings: &[Stage],
    warnings: &[String],
    out: &mut dyn Write,
) -> Result<(), Error> {
    let stages: Vec<_> = done
        .iter()
        .map(|stage| {
            json!({
                "stage": stage.stage.name(),
                "seconds": stage.ran.map(|time| time.as_secs_f64()),
                "n_made": stage.n_made,
                "n_shards": stage.n_shards,
                "kept": stage.kept,
                "switched": stage.ran.is_none() && stage.switched,
                "rows": stage.rows,
                "n_failures": stage.n_failures,
            })
        })
        .collect();
    let value = json!({
        "store": store.root(),
        "stages": stages,
        "report": report(store)?,
        "dice": dice(store)?,
        "warnings": warnings,
        "outdated": outdated,
        "changed_settings": changed_settings,
        "n_failures": n_failures,
    });
    serde_json::to_writer_pretty(&mut *out, &value)?;
    writeln!(out)?;
    Ok(())
}

/// The store's current report, where there is one.
pub(super) fn report(store: &Store) -> Result<Option<PathBuf>, Error> {
    let version = store.current(Output::Report)?;
    Ok(version.map(|_| store.root().join(Output::Report.name()).join("current/report.html")))
}

/// What a reader of the store's current results has to know.
pub(super) fn warnings(store: &Store) -> Result<Vec<String>, Error> {
    let [scans, nodules, metrics] = [Table::Scans, Table::Nodules, Table::NoduleMetrics]
        .map(|table| store.current(Output::Table(table)));
    Ok(evaluate::warnings(scans?.as_ref(), nodules?.as_ref(), metrics?.as_ref())?)
}

/// Rows of `summary` with the Dice of each model over all nodules.
fn dice(store: &Store) -> Result<Vec<Summary>, Error> {
    let mut rows = Vec::new();
    if let Some(version) = store.current(Output::Table(Table::Summary))? {
        for batch in version.rows::<Summary>() {
            let dice = Metric::Dice.name();
            rows.extend(
                batch?.into_iter().filter(|row| row.metric == dice && row.subgroup == "all"),
            );
        }
    }
    Ok(rows)
}
