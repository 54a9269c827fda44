//! How a key is written: an example in a message is itself valid.

use crate::schema::Schema;
use serde_json::Value as Json;

/// The language of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Toml,
    Json,
}

/// How a key of a section is written, as in `` `size = 128` `` and `` `[crop.window]` ``.
pub(crate) fn of_key(parent: Schema<'_>, section: &str, key: &str, language: Language) -> String {
    let Some(schema) = parent.key(key) else { return format!("`{key}`") };
    let value = parent
        .example_of(key)
        .or_else(|| parent.default_of(key).filter(|value| is_plain(value)))
        .cloned()
        .or_else(|| value_of(schema));
    if let Some(value) = value {
        return assignment(key, &value, language);
    }
    // A section is written by its heading, without the indices of lists.
    let steps = section.split('.').chain([key]);
    let names = steps.filter(|step| !step.is_empty() && step.parse::<usize>().is_err());
    let path = names.collect::<Vec<_>>().join(".");
    match (language, schema.alternatives().iter().any(|one| one.is("array"))) {
        (Language::Json, true) => format!("`\"{key}\": [{{…}}]`"),
        (Language::Json, false) => format!("`\"{key}\": {{…}}`"),
        (Language::Toml, true) => format!("`[[{path}]]`"),
        (Language::Toml, false) => format!("`[{path}]`"),
    }
}

/// A key and its value.
fn assignment(key: &str, value: &Json, language: Language) -> String {
    let is_bare =
        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    match language {
        Language::Json => format!("`\"{key}\": {}`", text(value)),
        Language::Toml if is_bare => format!("`{key} = {}`", text(value)),
        Language::Toml => format!("`{key:?} = {}`", text(value)),
    }
}

/// A plain value or a list of them, which TOML and JSON write alike.
fn text(value: &Json) -> String {
    match value {
        Json::Array(items) => {
            format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Whether a default shows how a key is written.
fn is_plain(value: &Json) -> bool {
    match value {
        Json::Object(_) | Json::Null => false,
        Json::Array(items) => !items.is_empty() && items.iter().all(is_plain),
        Json::String(text) => !text.is_empty(),
        Json::Bool(_) | Json::Number(_) => true,
    }
}

/// A value that a schema takes; `None` for sections.
pub(crate) fn value_of(schema: Schema<'_>) -> Option<Json> {
    let one = schema.alternatives().into_iter().next()?;
    if let Some(name) = one.names().first() {
        Some(Json::from(*name))
    } else if one.is("integer") {
        let [low, _] = one.whole_bounds();
        let number = [2, 16, low].into_iter().find(|number| one.takes_whole(*number));
        number.map(Json::from)
    } else if one.is("number") {
        let numbers = [0.5, 1.0, 100.0, 0.0];
        numbers.into_iter().find(|number| one.takes_number(*number)).map(Json::from)
    } else if one.is("boolean") {
        Some(Json::from(true))
    } else if one.is("string") {
        Some(Json::from("text"))
    } else if one.is("array") {
        let item = value_of(one.items()?)?;
        let n = one.lengths()[0].unwrap_or(1).max(1);
        Some(Json::from(vec![item; usize::try_from(n).unwrap_or(1)]))
    } else if one.is_any() {
        Some(Json::from(2))
    } else {
        None
    }
}
