//! Plans the job of a stage from its settings and its inputs.

use super::Config;
use super::sources;
use crate::stages::Stage;
use crate::tables::Output;
use nodulus_store::{InputRef, JobSpec, Manifest};
use serde_json::Value;

/// The inputs of a stage, without the outputs of stages that the pipeline file does not ask for.
pub fn reads(config: &Config, stage: Stage) -> Vec<Output> {
    let off = Stage::ALL.into_iter().map(Stage::spec).filter(|spec| !(spec.is_on)(config));
    let missing: Vec<&Output> = off.flat_map(|spec| spec.writes).collect();
    stage.spec().reads.iter().filter(|output| !missing.contains(output)).copied().collect()
}

/// The job of a stage with these inputs. `n_source_shards` is the number of shards of the frozen list of sources.
///
/// # Errors
///
/// Fails if a setting has no JSON form.
pub fn job(
    config: &Config,
    stage: Stage,
    inputs: Vec<InputRef>,
    n_source_shards: usize,
) -> Result<JobSpec, serde_json::Error> {
    let spec = stage.spec();
    Ok(JobSpec {
        stage: spec.name,
        stage_version: spec.version,
        outputs: spec.writes.iter().map(|output| output.spec()).collect(),
        config: (spec.settings)(config)?,
        inputs,
        n_shards: if spec.is_sharded { n_source_shards } else { 1 },
    })
}

/// The number of shards of a number of cases: at least one, so that each table has a part.
pub fn n_shards(config: &Config, cases: usize) -> usize {
    cases.div_ceil(config.ingest.shard_size.max(1)).max(1)
}

/// How an output differs from what a job would make: each difference in a few words.
pub fn differences(made: &Manifest, wanted: &JobSpec) -> Vec<String> {
    let mut found = Vec::new();
    if made.stage_version != wanted.stage_version {
        found.push(format!("made by version {} of the stage", made.stage_version));
    }
    let output = wanted.outputs.iter().find(|output| output.name() == made.output);
    if output.is_some_and(|output| output.schema_version() != made.schema_version) {
        found.push(format!("made with version {} of its columns", made.schema_version));
    }
    changed_settings("", &made.config, &wanted.config, &mut found);
    for input in &wanted.inputs {
        match made.inputs.iter().find(|other| other.name == input.name) {
            Some(other) if other.content_sha256 != input.content_sha256 => {
                let what = if input.name == sources::NAME { "source files" } else { &input.name };
                found.push(format!("{what} changed"));
            }
            Some(_) => {}
            None => found.push(format!("made without {}", input.name)),
        }
    }
    for input in &made.inputs {
        if !wanted.inputs.iter().any(|other| other.name == input.name) {
            found.push(format!("made with {}", input.name));
        }
    }
    if found.is_empty() && made.n_shards() != wanted.n_shards {
        found.push(format!("made in {} shards, now {}", made.n_shards(), wanted.n_shards));
    }
    found
}

/// Adds the settings that differ, each by its full key.
fn changed_settings(prefix: &str, made: &Value, wanted: &Value, found: &mut Vec<String>) {
    let (Value::Object(a), Value::Object(b)) = (made, wanted) else {
        if made != wanted {
            found.push(format!("{prefix} was {made}, now {wanted}"));
        }
        return;
    };
    let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let null = Value::Null;
        changed_settings(&name, a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null), found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Table;
    use serde_json::json;

    fn spec(config: Value, content: &str) -> JobSpec {
        JobSpec {
            stage: "crop",
            stage_version: 1,
            outputs: vec![Table::Rois.spec().into()],
            config,
            inputs: vec![InputRef {
                name: "nodules".to_owned(),
                key: "k".to_owned(),
                content_sha256: content.to_owned(),
            }],
            n_shards: 2,
        }
    }

    fn made(spec: &JobSpec) -> Manifest {
        Manifest {
            output: Table::Rois.name().to_owned(),
            key: spec.key(),
            schema_version: Table::Rois.spec().schema_version,
            tool_version: "0".to_owned(),
            stage: spec.stage.to_owned(),
            stage_version: spec.stage_version,
            config: spec.config.clone(),
            inputs: spec.inputs.clone(),
            rows: 0,
            content_sha256: "c".to_owned(),
            shards: Vec::new(),
        }
    }

    #[test]
    fn a_changed_setting_is_named_with_both_values() {
        let before = spec(json!({"size": 128, "window": {"low_hu": -1000.0}}), "a");
        let after = spec(json!({"size": 128, "window": {"low_hu": -900.0}}), "a");
        assert_ne!(before.key(), after.key());
        assert_eq!(differences(&made(&before), &after), ["window.low_hu was -1000.0, now -900.0"]);
    }

    #[test]
    fn a_changed_input_is_named_and_its_key_does_not_matter() {
        let before = spec(json!({}), "a");
        assert_eq!(differences(&made(&before), &spec(json!({}), "b")), ["nodules changed"]);
        let mut renamed = before.clone();
        renamed.inputs[0].key = "other".to_owned();
        assert_eq!(renamed.key(), before.key());
    }
}
