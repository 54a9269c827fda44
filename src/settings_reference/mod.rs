//! The settings reference and the JSON Schemas of the files of settings, from the settings' own types.

mod page;

use crate::nightly;
use crate::pipeline::config::schema_of;
use crate::pipeline::experiment::Experiment;
use crate::stages::config::Config;
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
