//! Everything that a report is made from, back to the source files.

use crate::stages::report::content::{ReportSource, SourceVersion};
use crate::stages::report::error::Error;
use crate::stages::{Stage, Task};
use crate::tables::Output;
use nodulus_store::{InputRef, Job};
use std::collections::BTreeMap;

/// Order of an output: its stage and table (none for what comes from outside the store), name and key.
type SourceOrder = (Option<(Stage, Output)>, String, String);

/// What the report was made from, what that was made from, and what was made together with it, in the
/// order of the stages and tables. What comes from outside the store is first.
pub(super) fn provenance(task: &Task<'_>, job: &Job) -> Result<Vec<ReportSource>, Error> {
    let mut sources: BTreeMap<SourceOrder, ReportSource> = BTreeMap::new();
    let mut pending: Vec<InputRef> = job.spec().inputs.clone();
    while let Some(input) = pending.pop() {
        let stage_and_output = Output::from_name(&input.name).and_then(|output| {
            let stage = Stage::ALL
                .into_iter()
                .find(|stage| stage.spec().outputs().any(|written| written == output))?;
            Some((stage, output))
        });
        let order = (stage_and_output, input.name.clone(), input.key.clone());
        if sources.contains_key(&order) {
            continue;
        }
        let version = match stage_and_output {
            Some((_, output)) => task.store.version(output, &input.key)?,
            None => None,
        };
        let made = version.map(|version| {
            let output = version.output();
            let manifest = version.manifest;
            let newer_inputs = manifest.newer_inputs();
            pending.extend(manifest.inputs);
            SourceVersion {
                path: format!("{}/versions/{}.json", output.name(), manifest.key),
                n_rows: manifest.rows,
                stage: manifest.stage,
                stage_version: manifest.stage_version,
                schema_version: manifest.schema_version,
                tool_version: manifest.tool_version,
                settings: manifest.config,
                newer_inputs,
            }
        });
        // All outputs of one step of a stage have the same key.
        if let (Some((stage, _)), Some(_)) = (stage_and_output, &made) {
            for sibling in stage.spec().outputs() {
                if let Some(version) = task.store.version(sibling, &input.key)? {
                    pending.push(version.manifest.as_input());
                }
            }
        }
        let InputRef { name, key, content_sha256, note: _ } = input;
        sources.insert(order, ReportSource { name, key, content_sha256, made });
    }
    Ok(sources.into_values().collect())
}
