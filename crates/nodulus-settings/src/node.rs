//! A value of a file of settings, from TOML or JSON, with its place in the text.

use serde_json::Value as Json;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value with the bytes of the text that it is written in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) value: NodeValue,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NodeValue {
    Text(String),
    /// A whole number as it is written, and its value unless it is too large.
    Whole(String, Option<i64>),
    Real(f64),
    Boolean(bool),
    Date(String),
    Nothing,
    List(Vec<Node>),
    Section(Vec<Entry>),
}

/// A key of a section with its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: Node,
}

impl Node {
    /// A TOML file.
    pub(crate) fn of_toml(table: &Spanned<DeTable<'_>>) -> Self {
        Self { span: table.span(), value: NodeValue::Section(entries(table.get_ref())) }
    }

    fn of_value(value: &Spanned<DeValue<'_>>) -> Self {
        let span = value.span();
        let value = match value.get_ref() {
            DeValue::String(text) => NodeValue::Text(text.to_string()),
            DeValue::Integer(number) => {
                let digits = number.as_str().replace('_', "");
                let whole = i64::from_str_radix(&digits, number.radix()).ok();
                NodeValue::Whole(number.to_string(), whole)
            }
            DeValue::Float(number) => {
                NodeValue::Real(number.as_str().replace('_', "").parse().unwrap_or(f64::NAN))
            }
            DeValue::Boolean(value) => NodeValue::Boolean(*value),
            DeValue::Datetime(date) => NodeValue::Date(date.to_string()),
            DeValue::Array(items) => NodeValue::List(items.iter().map(Self::of_value).collect()),
            DeValue::Table(table) => NodeValue::Section(entries(table)),
        };
        Self { span, value }
    }

    /// A JSON value, without places.
    pub(crate) fn of_json(value: &Json) -> Self {
        let value = match value {
            Json::Null => NodeValue::Nothing,
            Json::Bool(value) => NodeValue::Boolean(*value),
            Json::Number(number) if number.is_f64() => {
                NodeValue::Real(number.as_f64().unwrap_or(f64::NAN))
            }
            Json::Number(number) => NodeValue::Whole(number.to_string(), number.as_i64()),
            Json::String(text) => NodeValue::Text(text.clone()),
            Json::Array(items) => NodeValue::List(items.iter().map(Self::of_json).collect()),
            Json::Object(map) => NodeValue::Section(
                map.iter()
                    .map(|(key, value)| Entry {
                        key: key.clone(),
                        key_span: 0..0,
                        value: Self::of_json(value),
                    })
                    .collect(),
            ),
        };
        Self { span: 0..0, value }
    }

    /// The value of a key of a section, or of a list's index.
    pub(crate) fn step(&self, step: &str) -> Option<&Self> {
        match &self.value {
            NodeValue::Section(entries) => {
                entries.iter().find(|entry| entry.key == step).map(|entry| &entry.value)
            }
            NodeValue::List(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// What stands there: a value as it is written; of a list or a section, what it is.
    pub(crate) fn found(&self) -> String {
        match &self.value {
            NodeValue::Text(text) => format!("{text:?}"),
            NodeValue::Whole(text, _) => text.clone(),
            NodeValue::Real(number) if number.is_nan() => "nan".to_owned(),
            NodeValue::Real(number) => number.to_string(),
            NodeValue::Boolean(value) => value.to_string(),
            NodeValue::Date(date) => format!("the date {date}"),
            NodeValue::Nothing => "null".to_owned(),
            NodeValue::List(items) if items.is_empty() => "an empty list".to_owned(),
            NodeValue::List(items) => format!("a list of {}", items.len()),
            NodeValue::Section(_) => "a section".to_owned(),
        }
    }

    /// The keys and indices that lead to the innermost value around a byte of the text; a section's own span is that of its
    /// heading alone.
    pub(crate) fn path_at(&self, at: usize) -> Option<Vec<String>> {
        let children: Vec<(String, &Self)> = match &self.value {
            NodeValue::Section(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), &entry.value)).collect()
            }
            NodeValue::List(items) => {
                items.iter().enumerate().map(|(n, item)| (n.to_string(), item)).collect()
            }
            _ => Vec::new(),
        };
        children.into_iter().find_map(|(step, child)| {
            let below = child.path_at(at);
            let own = child.span.contains(&at).then(Vec::new);
            below.or(own).map(|below| [vec![step], below].concat())
        })
    }
}

fn entries(table: &DeTable<'_>) -> Vec<Entry> {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| Entry {
        key: AsRef::<str>::as_ref(key.get_ref()).to_owned(),
        key_span: key.span(),
        value: Node::of_value(value),
    };
    table.iter().map(entry).collect()
}
