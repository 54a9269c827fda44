//! The settings reference and the JSON Schemas of the files of settings, from the settings' own types.

mod page;

use crate::nightly;
use crate::pipeline::experiment::Experiment;
use crate::stages::config::Config;
use nodulus_settings::schema_of;
use serde_json::Value;

/// A kind of file with settings.
struct SettingsFile {
    /// Heading on the page.
    title: &'static str,
    /// Name of its schema in `schemas/`.
    schema_name: &'static str,
    /// What reads it, and how.
    about: &'static str,
    /// Its JSON Schema.
    schema: fn() -> Value,
}

/// Every kind of file with settings.
const FILES: [SettingsFile; 3] = [
    SettingsFile {
        title: "Pipeline files",
        schema_name: "pipeline.schema.json",
        about: "`nodulus run pipelines/demo.toml` and the commands of the stages read them. Paths are relative \
                to the folder that the command runs in.",
        schema: schema_of::<Config>,
    },
    SettingsFile {
        title: "Nightly files",
        schema_name: "score.schema.json",
        about: "`nodulus score pipelines/score.toml` reads them. Paths are relative to the file's folder.",
        schema: schema_of::<nightly::settings::ScoreFile>,
    },
    SettingsFile {
        title: "Experiment files",
        schema_name: "experiment.schema.json",
        about: "`nodulus experiment pipelines/table1.toml` reads them. The pipeline file's path is relative to \
                the experiment file's folder.",
        schema: schema_of::<Experiment>,
    },
];

/// The JSON Schemas, each with its file's name.
pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    FILES.iter().map(|file| (file.schema_name, (file.schema)())).collect()
}

/// The settings reference as Markdown.
pub(crate) fn page() -> String {
    page::page()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodulus_settings::{Schema, check_json};
    use serde_json::json;

    /// Calls `visit` with every section of a schema, each with its name.
    fn sections(schema: Schema<'_>, name: &str, visit: &mut impl FnMut(&str, Schema<'_>)) {
        visit(name, schema);
        for key in schema.keys() {
            let path = format!("{name}.{key}");
            for one in schema.key(key).into_iter().flat_map(Schema::alternatives) {
                let items = one.items().map(Schema::alternatives).unwrap_or_default();
                let free = one.free().map(Schema::alternatives).unwrap_or_default();
                for inner in [one].into_iter().chain(items).chain(free) {
                    if !inner.keys().is_empty() {
                        sections(inner, &path, visit);
                    }
                }
            }
        }
    }

    #[test]
    fn a_key_without_a_default_is_required_or_may_hold_nothing() {
        for file in FILES {
            let schema = (file.schema)();
            sections(Schema::new(&schema), "", &mut |section, schema| {
                for key in schema.keys() {
                    let is_scalar = |one: &Schema<'_>| {
                        one.is("number") || one.is("integer") || !one.names().is_empty()
                    };
                    let all = schema.key(key).unwrap().alternatives();
                    let is_optional =
                        schema.default_of(key).is_none() && !schema.required().contains(&key);
                    if is_optional && all.iter().any(is_scalar) {
                        let takes_null = schema.key(key).unwrap().takes_null();
                        assert!(takes_null, "{section}.{key} shows no default");
                    }
                }
            });
        }
    }

    #[test]
    fn every_default_and_example_is_valid() {
        for file in FILES {
            let schema = (file.schema)();
            sections(Schema::new(&schema), "", &mut |section, schema| {
                for key in schema.keys() {
                    let inner = schema.key(key).unwrap();
                    for value in
                        [schema.default_of(key), schema.example_of(key)].into_iter().flatten()
                    {
                        assert_eq!(inner.check(value, &format!("{section}.{key}")), Ok(()));
                    }
                }
            });
        }
    }

    #[test]
    fn the_schemas_refuse_what_the_program_refuses() {
        let schema = schema_of::<Config>();
        let refused = |change: &dyn Fn(&mut Value)| {
            let mut file = json!({
                "store": "s",
                "ingest": {"cohorts": [{"name": "a", "source": "lidc", "root": "x"}]},
                "train": {"phases": [{"name": "p", "cohorts": ["a"], "schedule": {}}]},
            });
            change(&mut file);
            check_json(&file, &schema, "").map_err(|fault| fault.message)
        };
        assert_eq!(refused(&|_| ()), Ok(()));
        let set = |pointer: &'static str, value: Value| {
            let (section, key) = pointer.rsplit_once('/').unwrap();
            refused(&move |file| {
                let mut part = &mut *file;
                for step in section.split('/').skip(1) {
                    part = match step.parse::<usize>() {
                        Ok(index) => &mut part[index],
                        Err(_) => &mut part[step],
                    };
                }
                part[key] = value.clone();
            })
        };
        for (pointer, value) in [
            ("/ingest/cohorts", json!([])),
            ("/ingest/shard_size", json!(0)),
            ("/ingest/cohorts/0/name", json!("")),
            ("/train/phases", json!([])),
            ("/train/phases/0/patience", json!(0)),
            ("/train/phases/0/schedule/batch", json!(0)),
            ("/train/phases/0/schedule/learning_rate", json!(-1)),
            ("/train/model/width", json!(100_000)),
            ("/crop/size", json!(100)),
            ("/phantom/patients", json!(10_000)),
            ("/phantom/size", json!(7)),
            ("/merge/consensus_level", json!(2)),
            ("/infer/batch", json!(0)),
            ("/infer/probability_threshold", json!(2)),
            ("/infer/splits", json!([])),
        ] {
            let message = set(pointer, value).unwrap_err();
            assert!(
                message.starts_with(&format!("`{}` is ", pointer[1..].replace('/', "."))),
                "{message}"
            );
        }
    }
}
