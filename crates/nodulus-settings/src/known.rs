//! Whether keys and values are those of a schema: what is wrong is said in the file's own words.

use crate::error::Fault;
use crate::example::{self, Language};
use crate::near_names::did_you_mean;
use crate::node::{Entry, Node, NodeValue};
use crate::schema::Schema;
use serde_json::Value as Json;
use std::ops::Range;

/// Something that the settings do not know or take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Bytes of the text that are meant.
    pub(crate) span: Range<usize>,
    pub(crate) fault: Fault,
    /// Whether a key is missing, which is often the other half of a mistyped one.
    is_missing: bool,
}

/// Fails at the first key or value of JSON that a schema does not know or take; `section` is the key that the JSON is
/// the value of, and may be empty.
///
/// # Errors
///
/// Names the key, what was found, what is expected and an example.
pub fn check_json(json: &Json, schema: &Json, section: &str) -> Result<(), Fault> {
    Schema::new(schema).check(json, section)
}

/// The first problem of a section, by its position in the text.
pub(crate) fn first_problem(
    node: &Node,
    schema: Schema<'_>,
    section: &str,
    language: Language,
) -> Option<Problem> {
    let mut check = Check { language, problems: Vec::new() };
    check.value(node, schema, section, "");
    check.problems.into_iter().min_by_key(|problem| (problem.is_missing, problem.span.start))
}

/// A key below a section.
fn dotted(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

struct Check {
    language: Language,
    problems: Vec<Problem>,
}

impl Check {
    fn add(&mut self, span: &Range<usize>, key: &str, message: String) {
        let fault = Fault::new(key, message);
        self.problems.push(Problem { span: span.clone(), fault, is_missing: false });
    }

    /// The entries of a section.
    fn section(
        &mut self,
        entries: &[Entry],
        span: &Range<usize>,
        schema: Schema<'_>,
        section: &str,
    ) {
        for Entry { key, key_span, value } in entries {
            let path = dotted(section, key);
            let Some(inner) = schema.key(key) else {
                self.add(key_span, &path, unknown_key(section, key, schema));
                continue;
            };
            let example = example::of_key(schema, section, key, self.language);
            let before = self.problems.len();
            self.value(value, inner, &path, &example);
            if !schema.keys().contains(&key.as_str()) {
                // A name of the user's own: what is missing in its section may stand under a near name.
                let others =
                    entries.iter().map(|entry| entry.key.as_str()).filter(|name| name != key);
                let near = did_you_mean(key, others);
                for problem in
                    self.problems[before..].iter_mut().filter(|problem| problem.is_missing)
                {
                    if !near.is_empty() {
                        problem.fault.message = format!("there is no `{path}`{near}");
                    }
                }
            }
        }
        for key in schema.required() {
            if let Some(inner) = schema.key(key)
                && !entries.iter().any(|entry| entry.key == key)
            {
                let path = dotted(section, key);
                let expected = expected(inner);
                let example = example::of_key(schema, section, key, self.language);
                let message = format!("`{path}` is missing, expected {expected}, as in {example}");
                let fault = Fault::new(path, message).or(section);
                self.problems.push(Problem { span: span.clone(), fault, is_missing: true });
            }
        }
    }

    fn value(&mut self, node: &Node, schema: Schema<'_>, path: &str, example: &str) {
        let all = schema.alternatives();
        let is_null = matches!(node.value, NodeValue::Nothing) && schema.takes_null();
        if is_null || all.iter().any(|one| one.is_any()) {
            return;
        }
        let of =
            |kind: &str| all.iter().copied().find(|one| one.is(kind) && one.names().is_empty());
        match &node.value {
            NodeValue::Section(entries) => {
                if let Some(inner) = of("object") {
                    return self.section(entries, &node.span, inner, path);
                }
            }
            NodeValue::List(items) => {
                let n = items.len() as u64;
                let fits = |list: &Schema<'_>| {
                    let [least, most] = list.lengths();
                    least.is_none_or(|least| least <= n) && most.is_none_or(|most| n <= most)
                };
                if let Some(list) = of("array").filter(fits) {
                    let Some(inner) = list.items() else { return };
                    for (index, item) in items.iter().enumerate() {
                        self.value(item, inner, &dotted(path, &index.to_string()), example);
                    }
                    return;
                }
            }
            value => {
                if all.iter().any(|one| takes(*one, value)) {
                    return;
                }
            }
        }
        let names: Vec<&str> = all.iter().flat_map(|one| one.names()).collect();
        let near = match &node.value {
            NodeValue::Text(text) => did_you_mean(text, names),
            _ => String::new(),
        };
        let rest = match (near.is_empty(), example.is_empty()) {
            (false, _) => near,
            (true, false) => format!(", as in {example}"),
            (true, true) => String::new(),
        };
        let message = format!("`{path}` is {}, expected {}{rest}", node.found(), expected(schema));
        self.add(&node.span, path, message);
    }
}

/// Whether one kind of value takes a value that is no list and no section.
fn takes(one: Schema<'_>, value: &NodeValue) -> bool {
    let names = one.names();
    match value {
        NodeValue::Text(text) if !names.is_empty() => names.contains(&text.as_str()),
        NodeValue::Text(text) => {
            one.is("string") && text.trim().chars().count() as u64 >= one.least_characters()
        }
        NodeValue::Whole(_, Some(number)) if one.is("integer") => one.takes_whole(*number),
        NodeValue::Whole(text, _) => {
            one.is("number") && text.parse().is_ok_and(|number| one.takes_number(number))
        }
        NodeValue::Real(number) => one.is("number") && one.takes_number(*number),
        NodeValue::Boolean(_) => one.is("boolean"),
        NodeValue::Date(_) | NodeValue::Nothing | NodeValue::List(_) | NodeValue::Section(_) => {
            false
        }
    }
}

/// What to say of a key that a section does not know.
fn unknown_key(section: &str, key: &str, schema: Schema<'_>) -> String {
    let keys = schema.keys();
    let name = dotted(section, key);
    let near = did_you_mean(key, keys.iter().copied());
    if near.is_empty() {
        let known: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
        let place = if section.is_empty() { "the file" } else { section };
        return format!("unknown key `{name}`; {place} has {}", known.join(", "));
    }
    format!("unknown key `{name}`{near}")
}

/// The kinds of value in plain words, as in `a whole number from 1 to 4096 or "auto"`.
pub(crate) fn expected(schema: Schema<'_>) -> String {
    either(&schema.alternatives().into_iter().flat_map(words).collect::<Vec<_>>())
}

fn words(one: Schema<'_>) -> Vec<String> {
    let names = one.names();
    if !names.is_empty() {
        return names.iter().map(|name| format!("{name:?}")).collect();
    }
    let range = one.range();
    let number = |kind: &str| match range.as_str() {
        "" => kind.to_owned(),
        range if range.starts_with("a multiple") => range.to_owned(),
        range => format!("{kind} {range}"),
    };
    vec![if one.is("integer") {
        number("a whole number")
    } else if one.is("number") {
        number("a number")
    } else if one.is("boolean") {
        "true or false".to_owned()
    } else if one.is("string") && one.least_characters() > 0 {
        "text in quotes that is not empty".to_owned()
    } else if one.is("string") {
        "text in quotes".to_owned()
    } else if one.is("array") {
        list(one)
    } else {
        "a section".to_owned()
    }]
}

/// A list in plain words, as in `a list of 2 numbers from 0 to 1`.
fn list(one: Schema<'_>) -> String {
    let items = one.items().map(Schema::alternatives).unwrap_or_default();
    let plural = |item: Schema<'_>| {
        let words = words(item);
        if item.names().is_empty() {
            let text = words.join(" or ");
            let text = text.replacen("a whole number", "whole numbers", 1);
            let text = text.replacen("a number", "numbers", 1);
            let text = text.replacen("a multiple", "multiples", 1);
            let text = text.replacen("text in quotes that is", "texts in quotes that are", 1);
            let text = text.replacen("text in quotes", "texts in quotes", 1);
            vec![text.replacen("a section", "sections", 1)]
        } else {
            words
        }
    };
    let of = either(&items.into_iter().flat_map(plural).collect::<Vec<_>>());
    match one.lengths() {
        [Some(least), Some(most)] if least == most => format!("a list of {least} {of}"),
        [Some(least), Some(most)] => format!("a list of {least} to {most} {of}"),
        [Some(1), None] => format!("a list of {of} that is not empty"),
        [Some(least), None] => format!("a list of {least} or more {of}"),
        [None, Some(most)] => format!("a list of up to {most} {of}"),
        [None, None] => format!("a list of {of}"),
    }
}

fn either(words: &[String]) -> String {
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "nothing".to_owned(),
    }
}
