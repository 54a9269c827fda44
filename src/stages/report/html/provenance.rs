//! What the report rests on.

use super::Page;
use super::table::Group;
use crate::stages::report::content::{Made, Model, Source};
use crate::stages::report::text::{NONE, escape, integer};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

impl Page<'_> {
    pub(super) fn provenance(&mut self) {
        let Self { content, .. } = self;
        let _ = writeln!(
            self.html,
            "<p>Made by nodulus {} as run <code>{}</code>, with version {} of the report’s code and \
             metrics <code>{}</code>. A key is a hash of a stage, its version, its settings and the content \
             of its inputs; <code>nodulus lineage</code> leads from a table to the files.</p>",
            escape(&content.tool_version),
            escape(&content.run_id),
            content.report_version,
            escape(&content.metric_definition),
        );
        let rows = content.provenance.iter().map(source).collect();
        let keys = |keys: &[String]| {
            let keys: Vec<String> = keys.iter().map(|key| code(key)).collect();
            if keys.is_empty() { NONE.to_owned() } else { keys.join("<br/>") }
        };
        let model = |model: &Model| {
            vec![escape(&model.label), keys(&model.predictions), keys(&model.checkpoints)]
        };
        let models = content.models.iter().map(model).collect();
        self.table(
            "Everything that this report was made from; what has no stage came from outside the store. \
             Version: of the stage’s code, and of the table’s columns.",
            &["Output", "Key", "Stage", "Version", "nodulus", "Seed", "Rows", "SHA-256 of the content"],
            vec![Group { name: None, rows }],
        );
        self.table(
            "The models: keys of their predictions and of the weights that made them.",
            &["Model", "Predictions", "Weights"],
            vec![Group { name: None, rows: models }],
        );
        self.settings();
    }

    /// The settings of every stage's every run, folded away.
    fn settings(&mut self) {
        let mut shown = BTreeSet::new();
        for Source { key, made, .. } in &self.content.provenance {
            let Some(Made { stage, settings, .. }) = made else { continue };
            if !shown.insert((stage, key)) {
                continue;
            }
            let lines = leaves(settings);
            let text: Vec<String> =
                lines.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            let text = if text.is_empty() { "no settings".to_owned() } else { text.join("\n") };
            let _ = writeln!(
                self.html,
                "<details><summary>Settings of {} {}</summary><pre>{}</pre></details>",
                escape(stage),
                code(key),
                escape(&text),
            );
        }
    }
}

fn source(source: &Source) -> Vec<String> {
    let Source { name, key, content_sha256, made } = source;
    let none = || NONE.to_owned();
    let of = |value: &dyn Fn(&Made) -> String| made.as_ref().map_or_else(none, value);
    vec![
        code(name),
        code(key),
        of(&|made| escape(&made.stage)),
        of(&|made| format!("{} / {}", made.stage_version, made.schema_version)),
        of(&|made| escape(&made.tool_version)),
        of(&|made| seeds(&made.settings)),
        of(&|made| integer(made.n_rows)),
        halves(content_sha256),
    ]
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escape(text))
}

/// A hash on two lines.
fn halves(hash: &str) -> String {
    match hash.split_at_checked(hash.len() / 2) {
        Some((first, second)) if hash.len() > 32 => {
            format!("<code>{}<br/>{}</code>", escape(first), escape(second))
        }
        _ => code(hash),
    }
}

/// Every seed among settings.
fn seeds(settings: &Value) -> String {
    let is_seed = |(name, value): (String, String)| {
        (name.rsplit('.').next() == Some("seed")).then(|| escape(&value))
    };
    let seeds: Vec<String> = leaves(settings).into_iter().filter_map(is_seed).collect();
    if seeds.is_empty() { NONE.to_owned() } else { seeds.join(", ") }
}

/// Settings by their dotted names, as JSON; lists of plain values are one.
fn leaves(settings: &Value) -> Vec<(String, String)> {
    fn collect(name: &str, value: &Value, found: &mut Vec<(String, String)>) {
        let below =
            |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(key, value)| collect(&below(key), value, found));
            }
            Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
                for (n, item) in items.iter().enumerate() {
                    collect(&below(&n.to_string()), item, found);
                }
            }
            value => found.push((name.to_owned(), value.to_string())),
        }
    }
    let mut found = Vec::new();
    if !settings.is_null() {
        collect("", settings, &mut found);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_named_by_their_path() {
        let settings =
            json!({"seed": 7, "phases": [{"seed": 8, "cohorts": ["a", "b"]}], "fold": null});
        let expected = [
            ("seed", "7"),
            ("phases.0.seed", "8"),
            ("phases.0.cohorts", "[\"a\",\"b\"]"),
            ("fold", "null"),
        ];
        let found = leaves(&settings);
        let found: Vec<_> = found.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(found, expected);
        assert_eq!(seeds(&settings), "7, 8");
        assert_eq!(
            (seeds(&Value::Null), seeds(&json!({"seeds": 1}))),
            ("–".to_owned(), "–".to_owned())
        );
    }

    #[test]
    fn a_hash_is_on_two_lines() {
        let hash = "0123456789abcdef".repeat(4);
        assert_eq!(halves(&hash), format!("<code>{}<br/>{}</code>", &hash[..32], &hash[32..]));
        assert_eq!(halves("abc"), "<code>abc</code>");
    }
}
