//! `nodulus schema`.

use super::error::{Error, Outcome};
use super::format;
use crate::nightly::run::summary::RunSummary;
use crate::settings_reference;
use crate::tables::Table;
use clap::Args;
use nodulus_nets::{self as model, Architecture, Preset};
use nodulus_store::{durable, schema::describe};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct SchemaArguments {
    /// Table; default: all
    table: Option<String>,
    /// Write into a folder: `TABLE.json` for each table, and the JSON Schemas of the files of settings and of a run's summary
    #[arg(long, value_name = "DIR", conflicts_with = "table")]
    write: Option<PathBuf>,
    /// Print the settings reference, as in docs/settings.md
    #[arg(long, conflicts_with_all = ["table", "write", "json"])]
    settings: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints or writes the columns of tables and the settings.
pub(super) fn schema(arguments: &SchemaArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    if let Some(folder) = &arguments.write {
        for (name, text) in files()? {
            durable::write(&folder.join(&name), text.as_bytes())?;
            writeln!(out, "{}", folder.join(&name).display())?;
        }
        return Ok(Outcome::Success);
    }
    if arguments.settings {
        write!(out, "{}", settings_reference::page())?;
        return Ok(Outcome::Success);
    }
    let chosen: Vec<Table> = match &arguments.table {
        Some(name) => vec![super::tables::table(name)?],
        None => Table::ALL.to_vec(),
    };
    let schemas: Vec<Value> = chosen.into_iter().map(|table| describe(table.spec())).collect();
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &schemas)?;
        writeln!(out)?;
        return Ok(Outcome::Success);
    }
    for schema in &schemas {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        writeln!(out, "{}: {}\n", text(&schema["table"]), text(&schema["row"]))?;
        let columns = schema["columns"].as_array().into_iter().flatten().map(|column| {
            let null = if column["nullable"] == json!(true) { "or null" } else { "" };
            vec![
                text(&column["name"]),
                text(&column["type"]),
                null.to_owned(),
                text(&column["description"]),
            ]
        });
        writeln!(out, "{}\n", format::table(&["column", "type", "", "description"], columns))?;
    }
    Ok(Outcome::Success)
}

/// The files of `schemas/`: one for each table, one for each kind of file with settings, one for the summary of a nightly run, and
/// one with the names and shapes of each network's parameters, at the widths of its paper.
fn files() -> Result<Vec<(String, String)>, Error> {
    let mut files = Vec::new();
    for table in Table::ALL {
        files.push((format!("{table}.json"), pretty(&describe(table.spec()))?));
    }
    for (name, schema) in settings_reference::schemas() {
        files.push((name.to_owned(), pretty(&schema)?));
    }
    files.push(("run-summary.schema.json".to_owned(), pretty(&RunSummary::schema())?));
    let mut parameters = serde_json::Map::new();
    for architecture in Architecture::ALL {
        let config = model::Config::of(architecture, Preset::Paper);
        let table: serde_json::Map<String, Value> = model::parameter_table(&config)?
            .into_iter()
            .map(|(name, shape)| (name, json!(shape)))
            .collect();
        parameters.insert(architecture.name().to_owned(), Value::Object(table));
    }
    files.push(("model-parameters.json".to_owned(), pretty(&Value::Object(parameters))?));
    Ok(files)
}

fn pretty(value: &Value) -> Result<String, Error> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}
