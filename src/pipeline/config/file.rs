//! Reads a file of settings, with settings of the command line in place of its own.

use super::error::Error;
use serde::de::DeserializeOwned;
use std::fmt::Write as _;
use std::path::Path;
use toml::{Table, Value};

/// Reads a pipeline file as `T`, which may be a part of it, with `key=value` settings applied.
///
/// # Errors
///
/// Fails if the file cannot be read, or it or a setting is not valid for `T`.
pub fn section<T: DeserializeOwned>(path: &Path, sets: &[String]) -> Result<T, Error> {
    let text = fs_err::read_to_string(path)?;
    let parsed: T = toml::from_str(&text).map_err(|error| parse_error(path, &text, &error))?;
    if sets.is_empty() {
        return Ok(parsed);
    }
    let mut table: Table =
        toml::from_str(&text).map_err(|error| parse_error(path, &text, &error))?;
    for set in sets {
        let (key, value) = set.split_once('=').ok_or_else(|| Error::Set(set.clone()))?;
        put(&mut table, key.trim(), value_of(value.trim()))
            .ok_or_else(|| Error::Set(set.clone()))?;
    }
    T::deserialize(Value::Table(table)).map_err(|error| Error::Override(error.message().to_owned()))
}

/// A value as TOML writes it, or else the text itself.
fn value_of(text: &str) -> Value {
    let parsed: Option<Table> = toml::from_str(&format!("value = {text}")).ok();
    parsed
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Sets a dotted key; a number steps into a list. `None` where a step leads through a plain value.
fn put(table: &mut Table, key: &str, value: Value) -> Option<()> {
    let Some((first, rest)) = key.split_once('.') else {
        if key.is_empty() {
            return None;
        }
        table.insert(key.to_owned(), value);
        return Some(());
    };
    match table.entry(first.to_owned()).or_insert_with(|| Value::Table(Table::new())) {
        Value::Table(inner) => put(inner, rest, value),
        Value::Array(items) => {
            let (index, rest) = rest.split_once('.')?;
            match items.get_mut(index.parse::<usize>().ok()?)? {
                Value::Table(inner) => put(inner, rest, value),
                _ => None,
            }
        }
        _ => None,
    }
}

fn parse_error(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let length = error.span().map_or(1, |span| span.len().max(1));
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
        message: error.message().to_owned(),
        excerpt,
    }
}
