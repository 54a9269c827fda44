//! What `--dry-run` and `nodulus status` print about a run.

use super::error::Error;
use super::format;
use crate::byte_size;
use crate::pipeline::forecast::{
    CohortForecast, Forecast, ShardCounts, StageForecast, Starts, StepState, Training, Writes,
};
use crate::stages::Stage;
use std::io::Write;

/// What the table of stages shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    /// What the run would write.
    Bytes,
    /// The current outputs.
    Outputs,
}

/// Writes a forecast for people.
pub(super) fn write(
    forecast: &Forecast,
    columns: Columns,
    out: &mut dyn Write,
) -> Result<(), Error> {
    if !forecast.cohorts.is_empty() {
        let rows = forecast.cohorts.iter().map(cohort);
        writeln!(out, "{}\n", format::table(&["cohort", "cases", "new", "to read"], rows))?;
    }
    let (head, row): (&[&str], StageRow) = match columns {
        Columns::Bytes => (&["stage", "state", "shards to make", "to write"], with_bytes),
        Columns::Outputs => {
            (&["stage", "state", "shards to make", "rows", "failed", "key"], with_outputs)
        }
    };
    writeln!(out, "{}\n", format::table(head, forecast.stages.iter().map(row)))?;
    if let Some(training) = &forecast.training {
        writeln!(out, "training: {}", training_text(training))?;
    }
    writeln!(out, "to write: {}", writes_text(&forecast.writes))?;
    for unchecked in &forecast.unchecked {
        writeln!(out, "not checked: {unchecked}")?;
    }
    for outdated in forecast.stages.iter().flat_map(|stage| &stage.outdated) {
        writeln!(out, "{outdated}")?;
    }
    Ok(())
}

/// Makes a stage's row of a table.
type StageRow = fn(&StageForecast) -> Vec<String>;

fn cohort(cohort: &CohortForecast) -> Vec<String> {
    let count = |n: usize| {
        if cohort.is_to_be_written { format!("at most {n}") } else { n.to_string() }
    };
    let counts = [cohort.n_cases, cohort.n_new, cohort.n_to_read].map(count);
    [cohort.cohort.clone()].into_iter().chain(counts).collect()
}

fn with_bytes(stage: &StageForecast) -> Vec<String> {
    let bytes = stage.bytes.map_or("unknown".to_owned(), byte_size::text);
    vec![stage.stage.name().to_owned(), state(stage), shards(&stage.shards), bytes]
}

fn with_outputs(stage: &StageForecast) -> Vec<String> {
    let count = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
    vec![
        stage.stage.name().to_owned(),
        state(stage),
        shards(&stage.shards),
        count(stage.rows),
        count(stage.n_failures.map(|n| n as u64)),
        stage.key.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

fn state(status: &StageForecast) -> String {
    match &status.state {
        StepState::Current => "current".to_owned(),
        StepState::Complete => "complete, becomes current with the next run".to_owned(),
        StepState::Missing => "missing".to_owned(),
        StepState::Stale { reasons } => format!("stale: {}", reasons.join("; ")),
        StepState::Kept { reasons } => format!("kept although {}", reasons.join("; ")),
        StepState::Unfinished { done, total } => format!("unfinished: {done} of {total} shards"),
        StepState::Waiting { waits_for } => format!("waits for {waits_for}"),
        StepState::Off => "not in the pipeline file".to_owned(),
    }
}

fn shards(counts: &ShardCounts) -> String {
    let ShardCounts { n_shards, n_to_make, n_to_make_at_most, is_estimate } = *counts;
    if is_estimate {
        format!("at most {n_to_make_at_most}")
    } else if n_to_make < n_to_make_at_most {
        format!("{n_to_make} to {n_to_make_at_most} of {n_shards}")
    } else {
        format!("{n_to_make} of {n_shards}")
    }
}

fn training_text(training: &Training) -> String {
    let reasons = training.reasons.join("; ");
    match training.starts {
        Starts::No => "the current checkpoint stays".to_owned(),
        Starts::Kept => format!("the current checkpoint is kept although {reasons}"),
        Starts::First => "starts; there is no checkpoint yet".to_owned(),
        Starts::Again => {
            format!("starts again: {reasons} (`--keep train` goes on with the current checkpoint)")
        }
        Starts::GoesOn => "goes on where it was interrupted".to_owned(),
        Starts::IfInputsChange => format!(
            "starts again if rows of training or validation patients change: {reasons} (`--keep train` goes on with the \
             current checkpoint)"
        ),
    }
}

fn writes_text(writes: &Writes) -> String {
    let mut parts = Vec::new();
    if writes.bytes > 0 {
        parts.push(format!("about {}", byte_size::text(writes.bytes)));
    }
    if writes.working_bytes > 0 {
        let text = byte_size::text(writes.working_bytes);
        parts.push(format!("at most {text} more until training ends"));
    }
    if !writes.unknown.is_empty() {
        let stages: Vec<&str> = writes.unknown.iter().copied().map(Stage::name).collect();
        parts.push(format!("unknown before the first run of {}", stages.join(", ")));
    }
    if parts.is_empty() {
        parts.push("nothing".to_owned());
    }
    parts.extend(writes.free_bytes.map(|free| format!("{} are free", byte_size::text(free))));
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_say_what_is_certain_and_what_is_not() {
        let counts = |n_to_make, n_to_make_at_most, is_estimate| {
            shards(&ShardCounts { n_shards: 12, n_to_make, n_to_make_at_most, is_estimate })
        };
        assert_eq!(counts(2, 2, false), "2 of 12");
        assert_eq!(counts(0, 12, false), "0 to 12 of 12");
        assert_eq!(counts(1, 12, true), "at most 12");
    }

    #[test]
    fn bytes_stand_beside_the_free_ones_and_beside_what_is_unknown() {
        let text = |bytes, unknown: &[Stage], free_bytes| {
            let unknown = unknown.to_vec();
            writes_text(&Writes { bytes, working_bytes: 0, unknown, free_bytes })
        };
        assert_eq!(text(0, &[], Some(5 << 30)), "nothing; 5.0 GiB are free");
        assert_eq!(
            text(3 << 20, &[Stage::Train, Stage::Infer], None),
            "about 3.0 MiB; unknown before the first run of train, infer"
        );
        let training = Writes {
            bytes: 1 << 20,
            working_bytes: 8 << 20,
            unknown: Vec::new(),
            free_bytes: None,
        };
        assert_eq!(
            writes_text(&training),
            "about 1.0 MiB; at most 8.0 MiB more until training ends"
        );
    }
}
