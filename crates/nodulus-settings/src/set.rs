//! Settings that are given beside a file, in place of its own.

use crate::error::{Error, Place};
use toml::{Table, Value};

/// A setting `key=value` beside a file, and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The setting, as in `crop.margin_slices=2`.
    pub key_value: String,
    /// Where it is written.
    pub place: Place,
}

impl Set {
    /// A setting of the command line.
    pub fn option(key_value: &str) -> Self {
        let place = Place { name: format!("`--set {key_value}`"), excerpt: None };
        Self { key_value: key_value.to_owned(), place }
    }

    /// A setting that an option of the command line of its own stands for, as in `--allow`.
    pub fn of_option(option: &str, key_value: String) -> Self {
        let place = Place { name: format!("`{option}`"), excerpt: None };
        Self { key_value, place }
    }

    /// Settings of the command line.
    pub fn options(key_values: &[String]) -> Vec<Self> {
        key_values.iter().map(|key_value| Self::option(key_value)).collect()
    }

    /// An error of this setting.
    pub(crate) fn error(&self, message: impl Into<String>) -> Error {
        Error::Invalid { place: self.place.clone(), message: message.into() }
    }

    /// The steps of the key, which may be quoted as in TOML, and the value.
    pub(crate) fn parts(&self, example: &str) -> Result<(Vec<String>, Value), Error> {
        let form = || self.error(format!("expected key=value, as in `--set {example}`"));
        let (key, text) = self.key_value.split_once('=').ok_or_else(form)?;
        let mut steps = Vec::new();
        let mut keys: Table = toml::from_str(&format!("{key} = 0")).map_err(|_| form())?;
        while let Some((step, inner)) = keys.into_iter().next() {
            steps.push(step);
            keys = match inner {
                Value::Table(table) => table,
                _ => break,
            };
        }
        Ok((steps, value_of(text.trim())))
    }

    /// Puts the setting in place of what a table has.
    pub(crate) fn put(
        &self,
        table: &mut Table,
        steps: &[String],
        value: Value,
    ) -> Result<(), Error> {
        put(table, "", steps, value).map_err(|message| self.error(message))
    }
}

/// A value as TOML writes it, or else the text itself.
fn value_of(text: &str) -> Value {
    let parsed: Option<Table> = toml::from_str(&format!("value = {text}")).ok();
    parsed
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

fn put(table: &mut Table, section: &str, steps: &[String], value: Value) -> Result<(), String> {
    let Some((first, rest)) = steps.split_first() else { return Ok(()) };
    if rest.is_empty() {
        table.insert(first.clone(), value);
        return Ok(());
    }
    let path = if section.is_empty() { first.clone() } else { format!("{section}.{first}") };
    put_below(
        table.entry(first.clone()).or_insert_with(|| Value::Table(Table::new())),
        &path,
        rest,
        value,
    )
}

/// Sets what the steps below a value lead to; a number steps into a list.
fn put_below(inner: &mut Value, path: &str, steps: &[String], value: Value) -> Result<(), String> {
    let Some((first, rest)) = steps.split_first() else {
        *inner = value;
        return Ok(());
    };
    match inner {
        Value::Table(table) => put(table, path, steps, value),
        Value::Array(items) => {
            let index = index(items, path, first, rest)?;
            put_below(&mut items[index], &format!("{path}.{index}"), rest, value)
        }
        _ => Err(format!("`{path}` is not a section, so it has no `{first}`")),
    }
}

/// The index that a step into a list stands for.
fn index(items: &[Value], path: &str, step: &str, rest: &[String]) -> Result<usize, String> {
    let n = items.len();
    let last = n.saturating_sub(1);
    let numbered = match n {
        0 => "which is empty".to_owned(),
        1 => "whose only entry is number 0".to_owned(),
        _ => format!("whose entries are numbered from 0 to {last}"),
    };
    match step.parse::<usize>() {
        Ok(index) if index < n => Ok(index),
        Ok(_) => Err(format!("there is no entry `{step}` in the list `{path}`, {numbered}")),
        Err(_) => {
            let named = |item: &Value| item.get("name").and_then(Value::as_str) == Some(step);
            let at = items.iter().position(named);
            let key: Vec<&str> = rest.iter().map(String::as_str).collect();
            let example = match at {
                Some(at) => {
                    format!("; `{step}` is number {at}: use `{path}.{at}.{}`", key.join("."))
                }
                None if n > 0 => format!(", as in `{path}.0.{}`", key.join(".")),
                None => String::new(),
            };
            let example = example.replace(".`", "`");
            Err(format!("there is no entry `{step}` in the list `{path}`, {numbered}{example}"))
        }
    }
}
