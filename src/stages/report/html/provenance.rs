//! Provenance of the report.

use super::{ReportPage, cell};
use crate::stages::report::content::{ReportModel, ReportSource, SourceVersion};
use maud::{Markup, html};
use nodulus_pages::Group;
use nodulus_pages::text::{NONE, integer};
use serde_json::Value;
use std::collections::BTreeSet;

impl ReportPage<'_> {
    pub(super) fn provenance(&mut self) {
        let Self { content, .. } = self;
        self.page.add(html! {
            p {
                "Made by nodulus " (content.tool_version) " as run " code { (content.run_id) }
                ", with version " (content.report_version) " of the report’s code and metrics "
                code { (content.metric_definition) }
                ". A key is a hash of a stage, its version, its settings and the content of its inputs; "
                code { "nodulus lineage" } " traces a table back to the source files."
            }
        });
        let rows = content.provenance.iter().map(source).collect();
        let model = |model: &ReportModel| {
            vec![cell(&model.label), keys(&model.predictions), keys(&model.checkpoints)]
        };
        let models = content.models.iter().map(model).collect();
        self.page.table(
            "Everything that this report was made from. Entries without a stage come from outside the store. \
             Version: of the stage’s code and of the table’s columns.",
            &["Output", "Key", "Stage", "Version", "nodulus", "Seed", "Rows", "SHA-256 of the content"],
            vec![Group { name: None, rows }],
        );
        self.page.table(
            "The models: keys of their predictions and of the weights that predicted.",
            &["Model", "Predictions", "Weights"],
            vec![Group { name: None, rows: models }],
        );
        self.kept();
        self.settings();
    }

    /// The outputs that were kept although their inputs had changed.
    fn kept(&mut self) {
        for ReportSource { name, key, made, .. } in &self.content.provenance {
            let Some(SourceVersion { stage, newer_inputs, .. }) = made else { continue };
            if newer_inputs.is_empty() {
                continue;
            }
            self.page.add(html! {
                p {
                    code { (name) " " (key) } " was kept (" code { "--keep " (stage) }
                    ") and is not made from these inputs: "
                    @for (n, input) in newer_inputs.iter().enumerate() {
                        @if n > 0 { ", " }
                        code { (input.name) " " (input.key) }
                    }
                    "."
                }
            });
        }
    }

    /// The settings of each run of a stage, folded.
    fn settings(&mut self) {
        let mut shown = BTreeSet::new();
        for ReportSource { key, made, .. } in &self.content.provenance {
            let Some(SourceVersion { stage, settings, .. }) = made else { continue };
            if !shown.insert((stage, key)) {
                continue;
            }
            let lines = leaves(settings);
            let text: Vec<String> =
                lines.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            let text = if text.is_empty() { "no settings".to_owned() } else { text.join("\n") };
            self.page.add(html! {
                details {
                    summary { "Settings of " (stage) " " code { (key) } }
                    pre { (text) }
                }
            });
        }
    }
}

fn source(source: &ReportSource) -> Vec<Markup> {
    let ReportSource { name, key, content_sha256, made } = source;
    let of = |value: &dyn Fn(&SourceVersion) -> String| {
        cell(made.as_ref().map_or_else(|| NONE.to_owned(), value))
    };
    vec![
        html! { code { (name) } },
        html! { code { (key) } },
        of(&|made| made.stage.clone()),
        of(&|made| format!("{} / {}", made.stage_version, made.schema_version)),
        of(&|made| made.tool_version.clone()),
        of(&|made| seeds(&made.settings)),
        of(&|made| integer(made.n_rows)),
        halves(content_sha256),
    ]
}

/// A key on each line.
fn keys(keys: &[String]) -> Markup {
    html! {
        @if keys.is_empty() { (NONE) }
        @for (n, key) in keys.iter().enumerate() { @if n > 0 { br; } code { (key) } }
    }
}

/// A hash on two lines.
fn halves(hash: &str) -> Markup {
    match hash.split_at_checked(hash.len() / 2) {
        Some((first, second)) if hash.len() > 32 => html! { code { (first) br; (second) } },
        _ => html! { code { (hash) } },
    }
}

/// Every seed among settings.
fn seeds(settings: &Value) -> String {
    let is_seed = |(name, value): (String, String)| {
        (name.rsplit('.').next() == Some("seed")).then_some(value)
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
        let expected = format!("<code>{}<br>{}</code>", &hash[..32], &hash[32..]);
        assert_eq!(halves(&hash).into_string(), expected);
        assert_eq!(halves("abc").into_string(), "<code>abc</code>");
    }
}
