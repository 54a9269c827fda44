//! Settings of the command line, in place of a file's own.

use super::error::Error;
use super::known::{dotted, unknown_key, value_problem};
use super::schema::Schema;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

/// Puts `key=value` in place of what a table has.
///
/// # Errors
///
/// Fails if the settings have no such key, or it takes no such value.
pub(super) fn put(table: &mut Table, set: &str, schema: Schema<'_>) -> Result<(), Error> {
    let form = || Error::Set(set.to_owned());
    let (key, text) = set.split_once('=').ok_or_else(form)?;
    let (key, text) = (key.trim(), text.trim());
    if key.split('.').any(str::is_empty) {
        return Err(form());
    }
    let placed = check(key, text, schema).and_then(|()| put_at(table, "", key, value_of(text)));
    placed.map_err(|problem| Error::Sets(set.to_owned(), problem))
}

/// A value as TOML writes it, or else the text itself.
fn value_of(text: &str) -> Value {
    let parsed: Option<Table> = toml::from_str(&format!("value = {text}")).ok();
    parsed
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Whether the settings have the key, and take the value.
fn check(key: &str, text: &str, schema: Schema<'_>) -> Result<(), String> {
    let (mut schema, mut section) = (schema, String::new());
    let mut steps = key.split('.').peekable();
    while let Some(step) = steps.next() {
        let all = schema.alternatives();
        let is_index = step.parse::<usize>().is_ok();
        let list = all.iter().copied().find(|one| one.is("array")).filter(|_| is_index);
        let inner = if let Some(list) = list {
            schema = list;
            list.items()
        } else {
            let object = all.iter().copied().find(|one| one.is("object"));
            let Some(object) = object else {
                return Err(format!("`{section}` is not a section, so it has no `{step}`"));
            };
            schema = object;
            object.key(step)
        };
        let inner = inner.ok_or_else(|| unknown_key(&section, step, schema))?;
        let path = dotted(&section, step);
        if steps.peek().is_none() && list.is_none() {
            let written = format!("value = {text}");
            let parsed = DeTable::parse(&written).ok();
            let value = parsed.as_ref().and_then(|table| table.get_ref().get("value"));
            let as_text = DeValue::String(text.into());
            let value = value.map_or(&as_text, |value| value.get_ref());
            return value_problem(value, schema, &path, step).map_or(Ok(()), Err);
        }
        (schema, section) = (inner, path);
    }
    Ok(())
}

/// Sets a dotted key; a number steps into a list.
fn put_at(table: &mut Table, section: &str, key: &str, value: Value) -> Result<(), String> {
    let Some((first, rest)) = key.split_once('.') else {
        table.insert(key.to_owned(), value);
        return Ok(());
    };
    let path = dotted(section, first);
    match table.entry(first.to_owned()).or_insert_with(|| Value::Table(Table::new())) {
        Value::Table(inner) => put_at(inner, &path, rest, value),
        Value::Array(items) => {
            let n = items.len();
            let (index, rest) = rest.split_once('.').unwrap_or((rest, ""));
            let item = index.parse().ok().and_then(|index: usize| items.get_mut(index));
            match item {
                Some(Value::Table(inner)) if !rest.is_empty() => {
                    put_at(inner, &dotted(&path, index), rest, value)
                }
                Some(item) if rest.is_empty() => {
                    *item = value;
                    Ok(())
                }
                Some(_) => Err(format!("`{path}.{index}` is not a section")),
                None => {
                    Err(format!("`{path}` has no entry `{index}`: it has {n}, numbered from 0"))
                }
            }
        }
        _ => Err(format!("`{path}` is not a section")),
    }
}
