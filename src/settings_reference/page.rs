//! The settings reference as Markdown: a table for each section.

use super::{FILES, SettingsFile};
use nodulus_settings::Schema;
use serde_json::Value;
use std::fmt::Write as _;

/// Units by the last part of a key.
const UNITS: [(&str, &str); 8] = [
    ("mm", "mm"),
    ("mm3", "mm³"),
    ("hu", "HU"),
    ("seconds", "s"),
    ("minutes", "min"),
    ("hours", "h"),
    ("slices", "slices"),
    ("kvp", "kV"),
];

const HEAD: &str = "# Settings

Look up a key of a pipeline file, a nightly file or an experiment file here. To try a setting without editing the
file, give it on the command line:

    nodulus run pipelines/demo.toml --set crop.margin_slices=2 --dry-run

`nodulus schema --settings` prints this page from the program's own types. The files in `schemas/` hold the same as
JSON Schema, with which editors complete keys and check values; a file names its schema in its first line, as in
`#:schema ../schemas/pipeline.schema.json`.

A file must have the keys that are *required*. Every other key is optional, and its default holds without it; *none* as a
default means that nothing is set.
";

/// The page.
pub(super) fn page() -> String {
    let mut out = HEAD.to_owned();
    for file in &FILES {
        let SettingsFile { title, about, schema_name, schema } = file;
        // Writing to a string cannot fail.
        let _ = write!(out, "\n## {title}\n\n{about} Schema: `schemas/{schema_name}`.\n");
        let schema = schema();
        section(&mut out, "", "", Schema::new(&schema));
    }
    out
}

/// A part of a file that has keys of its own.
struct Section<'a> {
    /// Its name, as it stands in brackets.
    name: String,
    is_list: bool,
    description: &'a str,
    schema: Schema<'a>,
}

fn section(out: &mut String, name: &str, heading: &str, schema: Schema<'_>) {
    let mut below = Vec::new();
    let mut rows = Vec::new();
    for key in schema.keys() {
        let Some(value) = schema.key(key) else { continue };
        let path = if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
        let description = schema.description_of(key);
        let inner = part(&path, description, value);
        // Sections of a file's top level have headings of their own.
        if inner.is_none() || !name.is_empty() {
            rows.push(row(schema, key, value, inner.as_ref()));
        }
        below.extend(inner);
    }
    if !heading.is_empty() {
        let _ = write!(out, "\n{heading}\n");
    }
    if !rows.is_empty() {
        out.push_str("\n| key | type | unit | default | meaning |\n|---|---|---|---|---|\n");
        out.extend(rows);
    }
    for Section { name, is_list, description, schema } in below {
        let brackets = if is_list { format!("[[{name}]]") } else { format!("[{name}]") };
        let heading = format!("### `{brackets}`\n\n{}", sentence(description));
        section(out, &name, &heading, schema);
    }
}

/// The section that a key holds, if it holds one.
fn part<'a>(path: &str, description: &'a str, value: Schema<'a>) -> Option<Section<'a>> {
    let all = value.alternatives();
    let list = all.iter().find(|one| one.is("array"));
    let items = list.and_then(|list| list.items()).map(Schema::alternatives).unwrap_or_default();
    let of_items = items.into_iter().find(|one| !one.keys().is_empty());
    if let Some(schema) = of_items {
        return Some(Section { name: path.to_owned(), is_list: true, description, schema });
    }
    let object = all.into_iter().find(|one| one.is("object"))?;
    if !object.keys().is_empty() {
        return Some(Section {
            name: path.to_owned(),
            is_list: false,
            description,
            schema: object,
        });
    }
    let free = object.free()?.alternatives().into_iter().find(|one| !one.keys().is_empty())?;
    let name = format!("{path}.NAME");
    Some(Section { name, is_list: false, description, schema: free })
}

fn row(schema: Schema<'_>, key: &str, value: Schema<'_>, inner: Option<&Section<'_>>) -> String {
    let all = value.alternatives();
    let kind = match inner {
        Some(Section { name, is_list: true, .. }) => format!("sections `[[{name}]]`"),
        Some(Section { name, .. }) => format!("section `[{name}]`"),
        None => kinds(&all),
    };
    let default = match schema.default_of(key) {
        _ if schema.required().contains(&key) => "*required*".to_owned(),
        Some(value) if is_nothing(value) => "none".to_owned(),
        Some(value) => format!("`{}`", toml(value)),
        None => "none".to_owned(),
    };
    let last = key.rsplit('_').next().unwrap_or_default();
    let unit = UNITS.iter().find(|(end, _)| *end == last).map_or("", |(_, unit)| unit);
    let mut meaning = sentence(schema.description_of(key));
    for one in &all {
        for name in one.names() {
            let about = one.description();
            if !about.is_empty() {
                let _ = write!(meaning, " `\"{name}\"`: {}", sentence(about));
            }
        }
    }
    format!("| `{key}` | {kind} | {unit} | {default} | {} |\n", meaning.replace('|', "\\|"))
}

/// What a key takes, in plain words.
fn kinds(all: &[Schema<'_>]) -> String {
    let mut words: Vec<String> = Vec::new();
    for one in all {
        let names = one.names();
        if !names.is_empty() {
            words.extend(names.iter().map(|name| format!("`\"{name}\"`")));
        } else if one.is("integer") {
            words.push(with_range("whole number", *one));
        } else if one.is("number") {
            words.push(with_range("number", *one));
        } else if one.is("boolean") {
            words.push("`true` or `false`".to_owned());
        } else if one.is("string") {
            words.push("text".to_owned());
        } else if one.is("array") {
            let items = one.items().map(Schema::alternatives).unwrap_or_default();
            let n = match one.lengths() {
                [Some(least), Some(most)] if least == most => format!("{least} × "),
                _ => String::new(),
            };
            words.push(format!("list of {n}{}", kinds(&items)));
        } else if one.is("object") {
            words.push("keys and values".to_owned());
        } else {
            words.push("any value".to_owned());
        }
    }
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// A kind of number with those that a key takes; a whole number without a greatest value is any.
fn with_range(kind: &str, one: Schema<'_>) -> String {
    match one.range() {
        range if range.is_empty() || range.ends_with(&i64::MAX.to_string()) => kind.to_owned(),
        range if range.starts_with("a multiple") => range.trim_start_matches("a ").to_owned(),
        range => format!("{kind} {range}"),
    }
}

/// A description as one line.
fn sentence(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => value.is_null(),
    }
}

/// A value as TOML writes it.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let set = map.iter().filter(|(_, value)| !is_nothing(value));
            let parts: Vec<String> =
                set.map(|(key, value)| format!("{key} = {}", toml(value))).collect();
            if parts.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", parts.join(", ")) }
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
