//! Everything that a report rests on, back to the files.

use crate::stages::report::Error;
use crate::stages::report::content::{Made, Source};
use crate::stages::{Stage, Task};
use crate::tables::Output;
use crate::tables::manifest::InputRef;
use std::collections::BTreeMap;

/// Where an output stands: by its stage and table, none of what came from outside, its name and key.
type Place = (Option<(Stage, Output)>, String, String);

/// What the report was made from, what that was made from, and what was made together with it; by the
/// order of the stages and of the tables. What came from outside the store comes first.
pub(super) fn provenance(task: &Task<'_>) -> Result<Vec<Source>, Error> {
    let mut found: BTreeMap<Place, Source> = BTreeMap::new();
    let mut waiting: Vec<InputRef> = task.job.spec().inputs.clone();
    while let Some(input) = waiting.pop() {
        let stage_and_output = Output::from_name(&input.name).and_then(|output| {
            let stage = Stage::ALL.into_iter().find(|stage| stage.writes().contains(&output))?;
            Some((stage, output))
        });
        let place = (stage_and_output, input.name.clone(), input.key.clone());
        if found.contains_key(&place) {
            continue;
        }
        let version = match stage_and_output {
            Some((_, output)) => task.store.version(output, &input.key)?,
            None => None,
        };
        let made = version.map(|version| {
            let manifest = version.manifest;
            waiting.extend(manifest.inputs);
            let output = manifest.output;
            Made {
                path: format!("{output}/{}/{}", manifest.key, output.files_folder()),
                n_rows: manifest.rows,
                stage: manifest.stage,
                stage_version: manifest.stage_version,
                schema_version: manifest.schema_version,
                tool_version: manifest.tool_version,
                settings: manifest.config,
            }
        });
        // A stage's outputs have one key.
        if let (Some((stage, _)), Some(_)) = (stage_and_output, &made) {
            for sibling in stage.writes() {
                if let Some(version) = task.store.version(*sibling, &input.key)? {
                    waiting.push(version.manifest.as_input());
                }
            }
        }
        let InputRef { name, key, content_sha256 } = input;
        found.insert(place, Source { name, key, content_sha256, made });
    }
    Ok(found.into_values().collect())
}
