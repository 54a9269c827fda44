//! Reads a file of settings, with settings of the command line in place of its own.

use super::error::Error;
use super::known::{Problem, first_problem};
use super::schema::Schema;
use super::set;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use toml::de::DeTable;
use toml::{Table, Value};

/// The JSON Schema of settings: draft 7, which editors know best.
pub fn schema_of<T: JsonSchema>() -> serde_json::Value {
    SchemaSettings::draft07().into_generator().into_root_schema_for::<T>().to_value()
}

/// Reads a file of settings as `T`, with `key=value` settings applied.
///
/// # Errors
///
/// Fails if the file cannot be read, or it or a setting is not valid for `T`.
pub fn section<T: DeserializeOwned + JsonSchema>(path: &Path, sets: &[String]) -> Result<T, Error> {
    let text = fs_err::read_to_string(path)?;
    let located = |span: Option<Range<usize>>, message: &str| located(path, &text, span, message);
    let syntax = |error: toml::de::Error| located(error.span(), error.message());
    let schema = schema_of::<T>();
    let schema = Schema::new(&schema);
    let table = DeTable::parse(&text).map_err(syntax)?;
    if let Some(Problem { span, message, .. }) = first_problem(&table, schema) {
        return Err(located(Some(span), &message));
    }
    if sets.is_empty() {
        return toml::from_str(&text).map_err(syntax);
    }
    let mut table: Table = toml::from_str(&text).map_err(syntax)?;
    for set in sets {
        set::put(&mut table, set, schema)?;
    }
    let problem = |message: &str| Error::Sets(sets.join(" --set "), message.to_owned());
    // Settings can be right each, and what they make be without a key that it needs.
    let together = table.to_string();
    let parsed = DeTable::parse(&together).map_err(|error| problem(error.message()))?;
    if let Some(found) = first_problem(&parsed, schema) {
        return Err(problem(&found.message));
    }
    T::deserialize(Value::Table(table)).map_err(|error| problem(error.message()))
}

/// An error at a place of a file, with its line.
fn located(path: &Path, text: &str, span: Option<Range<usize>>, message: &str) -> Error {
    let start = span.as_ref().map_or(0, |span| span.start.min(text.len()));
    let length = span.map_or(1, |span| span.len().max(1));
    let before = text.get(..start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |n| n + 1);
    let line_number = before.matches('\n').count() + 1;
    let line = text[line_start..].lines().next().unwrap_or_default();
    let column = text[line_start..start].chars().count();
    let carets = "^".repeat(length.min(line.chars().count().saturating_sub(column)).max(1));
    let mut excerpt = String::new();
    let margin = " ".repeat(line_number.to_string().len());
    // Writing to a string cannot fail.
    let _ = write!(
        excerpt,
        "{margin} |\n{line_number} | {line}\n{margin} | {}{carets}",
        " ".repeat(column)
    );
    Error::Parse {
        place: format!("{}:{line_number}:{}", path.display(), column + 1),
        message: message.to_owned(),
        excerpt,
    }
}
