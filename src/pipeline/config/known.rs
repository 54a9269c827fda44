//! Whether a file's keys and values are those of its settings: what is wrong is said in the file's own words.

use super::schema::Schema;
use crate::near_names::did_you_mean;
use serde_json::Value as Json;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Something in a file that its settings do not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Bytes of the text that are meant.
    pub(super) span: Range<usize>,
    /// What is wrong, and what to do.
    pub(super) message: String,
    /// Whether a key is missing, which is often the other half of a mistyped one.
    is_missing: bool,
}

/// The first problem of a file's table, by its place in the text.
pub(super) fn first_problem(table: &Spanned<DeTable<'_>>, schema: Schema<'_>) -> Option<Problem> {
    let mut problems = Vec::new();
    check_table(table.get_ref(), &table.span(), schema, "", &mut problems);
    problems.into_iter().min_by_key(|problem| (problem.is_missing, problem.span.start))
}

/// What is wrong with a value of a key, or of a key below it.
pub(super) fn value_problem(
    value: &DeValue<'_>,
    parent: Schema<'_>,
    path: &str,
    key: &str,
) -> Option<String> {
    let mut problems = Vec::new();
    if let Some(schema) = parent.key(key) {
        let example = Example { key, default: parent.default_of(key) };
        check_value(value, &(0..0), schema, path, example, &mut problems);
    }
    problems.into_iter().next().map(|problem| problem.message)
}

/// What to say of a key that a section does not know.
pub(super) fn unknown_key(section: &str, key: &str, schema: Schema<'_>) -> String {
    let keys = schema.keys();
    let near = did_you_mean(key, keys.iter().copied());
    let name = dotted(section, key);
    if near.is_empty() {
        let known: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
        let place = if section.is_empty() { "the file" } else { section };
        return format!("unknown key `{name}`; {place} has {}", known.join(", "));
    }
    format!("unknown key `{name}`{near}")
}

/// A key below a section.
pub(super) fn dotted(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// What an example of a key is made of.
#[derive(Clone, Copy)]
struct Example<'a> {
    key: &'a str,
    default: Option<&'a Json>,
}

fn check_table(
    table: &DeTable<'_>,
    span: &Range<usize>,
    schema: Schema<'_>,
    section: &str,
    problems: &mut Vec<Problem>,
) {
    for (key, value) in table {
        let name = key.get_ref();
        let path = dotted(section, name);
        match schema.key(name) {
            Some(inner) => {
                let example = Example { key: name, default: schema.default_of(name) };
                check_value(value.get_ref(), &value.span(), inner, &path, example, problems);
            }
            None => problems.push(Problem {
                span: key.span(),
                message: unknown_key(section, name, schema),
                is_missing: false,
            }),
        }
    }
    for key in schema.required() {
        if !table.keys().any(|name| name.get_ref() == key)
            && let Some(inner) = schema.key(key)
        {
            let path = dotted(section, key);
            let expected = expected(&inner.alternatives());
            let how = example(&inner.alternatives(), &path, Example { key, default: None });
            let message = format!("`{path}` is missing, expected {expected}, as in {how}");
            problems.push(Problem { span: span.clone(), message, is_missing: true });
        }
    }
}

fn check_value(
    value: &DeValue<'_>,
    span: &Range<usize>,
    schema: Schema<'_>,
    path: &str,
    example_of: Example<'_>,
    problems: &mut Vec<Problem>,
) {
    let all = schema.alternatives();
    if all.iter().any(|one| one.is_any()) {
        return;
    }
    let names: Vec<&str> = all.iter().flat_map(|one| one.names()).collect();
    let of = |kind: &str| all.iter().copied().find(|one| one.is(kind) && one.names().is_empty());
    match value {
        DeValue::Table(table) if of("object").is_some() => {
            let inner = of("object").unwrap_or(schema);
            check_table(table, span, inner, path, problems);
            return;
        }
        DeValue::Array(items) if of("array").is_some() => {
            if let Some(inner) = of("array").and_then(Schema::items) {
                for (n, item) in items.iter().enumerate() {
                    let path = format!("{path}.{n}");
                    let one = Example { default: None, ..example_of };
                    check_value(item.get_ref(), &item.span(), inner, &path, one, problems);
                }
            }
            return;
        }
        DeValue::Boolean(_) if of("boolean").is_some() => return,
        DeValue::Float(_) | DeValue::Integer(_) if of("number").is_some() => return,
        DeValue::Integer(number) => {
            if let Some(inner) = of("integer") {
                let digits = number.as_str().replace('_', "");
                let number = i64::from_str_radix(&digits, number.radix()).ok();
                let [low, high] = inner.bounds();
                if number.is_some_and(|n| {
                    low.is_none_or(|low| low <= n) && high.is_none_or(|high| n <= high)
                }) {
                    return;
                }
            }
        }
        DeValue::String(_) if of("string").is_some() => return,
        DeValue::String(text) if names.contains(&&**text) => return,
        _ => {}
    }
    let near = value.as_str().map(|text| did_you_mean(text, names.iter().copied()));
    let near = near.unwrap_or_default();
    let (found, expected) = (found(value), expected(&all));
    let message = if near.is_empty() {
        format!(
            "`{path}` is {found}, expected {expected}, as in {}",
            example(&all, path, example_of)
        )
    } else {
        format!("`{path}` is {found}, expected {expected}{near}")
    };
    problems.push(Problem { span: span.clone(), message, is_missing: false });
}

/// A value as the file has it; of a list or a section, what it is.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(value) => value.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a section".to_owned(),
    }
}

/// The kinds of value in plain words.
pub(super) fn expected(all: &[Schema<'_>]) -> String {
    let mut words: Vec<String> = Vec::new();
    for one in all {
        let names = one.names();
        if !names.is_empty() {
            words.extend(names.iter().map(|name| format!("{name:?}")));
        } else if one.is("integer") {
            words.push(match one.bounds() {
                [Some(low), Some(high)] => format!("a whole number from {low} to {high}"),
                [Some(low), None] => format!("a whole number, {low} or more"),
                _ => "a whole number".to_owned(),
            });
        } else if one.is("number") {
            words.push("a number".to_owned());
        } else if one.is("boolean") {
            words.push("true or false".to_owned());
        } else if one.is("string") {
            words.push("text in quotes".to_owned());
        } else if one.is("array") {
            let items = one.items().map(Schema::alternatives).unwrap_or_default();
            let of_sections = items.iter().any(|item| item.is("object"));
            words.push(if of_sections { "a list of sections" } else { "a list" }.to_owned());
        } else {
            words.push("a section".to_owned());
        }
    }
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "nothing".to_owned(),
    }
}

/// How a key is written: with its default, where that is a plain value.
fn example(all: &[Schema<'_>], path: &str, of: Example<'_>) -> String {
    let key = of.key;
    let plain = of.default.filter(|value| !value.is_object() && !value.is_array());
    if let Some(value) = plain {
        return format!("`{key} = {value}`");
    }
    let Some(one) = all.first() else { return format!("`{key}`") };
    let of_sections = || {
        one.items().is_some_and(|items| items.alternatives().iter().any(|item| item.is("object")))
    };
    if let Some(name) = one.names().first() {
        format!("`{key} = {name:?}`")
    } else if one.is("integer") {
        format!("`{key} = 2`")
    } else if one.is("number") {
        format!("`{key} = 0.5`")
    } else if one.is("boolean") {
        format!("`{key} = true`")
    } else if one.is("string") {
        format!("`{key} = \"text\"`")
    } else if one.is("array") && of_sections() {
        format!("`[[{path}]]`")
    } else if one.is("array") {
        let items = one.items().map(Schema::alternatives).unwrap_or_default();
        let of_numbers = items.iter().any(|item| item.is("number"));
        format!("`{key} = {}`", if of_numbers { "[0.5, 1.5]" } else { "[\"a\", \"b\"]" })
    } else {
        format!("`[{path}]`")
    }
}
