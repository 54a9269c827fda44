//! What `--dry-run` prints about cohorts of volumes: which files go together.

use super::error::Error;
use super::format;
use crate::pipeline::pairs::{CohortPairs, MaskFiles, Pair, PairState};
use std::io::Write;

/// Most cases that are printed for each cohort.
const MAX_CASES: usize = 20;

/// Writes the number of cases of each cohort, and the first of them; cases that lack something come first.
pub(super) fn write(cohorts: &[CohortPairs], out: &mut dyn Write) -> Result<(), Error> {
    for cohort in cohorts {
        let name = &cohort.cohort;
        if let Some(error) = &cohort.error {
            writeln!(out, "cohort {name}: {error}\n")?;
            continue;
        }
        let count = |state| cohort.pairs.iter().filter(|pair| pair.state == state).count();
        writeln!(
            out,
            "cohort {name}: {} cases, {} paired, {} without a mask of some readers, {} without any mask, \
             {} not paired",
            cohort.pairs.len(),
            count(PairState::Paired),
            count(PairState::SomeReaders),
            count(PairState::WithoutMask),
            count(PairState::Unpaired)
        )?;
        let shown = cohort.pairs.iter().take(MAX_CASES).map(row);
        writeln!(out, "{}", format::table(&["patient", "image", "masks", "missing"], shown))?;
        if cohort.pairs.len() > MAX_CASES {
            writeln!(out, "and {} more (`--json` lists all)", cohort.pairs.len() - MAX_CASES)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn row(pair: &Pair) -> Vec<String> {
    let with_reader = |masks: &MaskFiles| {
        let files: Vec<_> = masks.files.iter().map(|file| file.display().to_string()).collect();
        let files = files.join(", ");
        match &masks.reader {
            Some(reader) if !files.is_empty() => format!("{reader}: {files}"),
            _ => files,
        }
    };
    let masks: Vec<_> =
        pair.masks.iter().map(with_reader).filter(|text| !text.is_empty()).collect();
    let or_dash = |text: Option<String>| text.filter(|t| !t.is_empty()).unwrap_or("-".to_owned());
    vec![
        or_dash(pair.patient.clone()),
        or_dash(pair.image.clone()),
        or_dash(Some(masks.join("; "))),
        or_dash(pair.problem.clone()),
    ]
}
