//! How an output differs from what a job would make, in words.

use crate::tables::SOURCES;
use nodulus_store::{InputRef, JobSpec, Manifest};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The name of an input, for people.
pub(super) fn in_words(input: &str) -> &str {
    if input == SOURCES { "source files" } else { input }
}

/// How the stage's code, columns or settings differ from those that made an output.
pub(super) fn changed_work(made: &Manifest, wanted: &JobSpec) -> Vec<String> {
    let mut found = Vec::new();
    if made.stage_version != wanted.stage_version {
        found.push(format!("made by version {} of the stage", made.stage_version));
    }
    let output = wanted.outputs.iter().find(|output| output.name() == made.output);
    if output.is_some_and(|output| output.schema_version() != made.schema_version) {
        found.push(format!("made with version {} of its columns", made.schema_version));
    }
    changed_settings("", &made.config, &wanted.config, &mut found);
    found
}

/// The names of the inputs that an output was made from with another content.
pub(super) fn changed_inputs(made: &Manifest, wanted: &JobSpec) -> Vec<String> {
    let names: BTreeSet<&str> = wanted.inputs.iter().map(|input| &*input.name).collect();
    let differs = |name: &&str| {
        let then: Vec<&str> = contents(&made.inputs, name);
        !then.is_empty() && then != contents(&wanted.inputs, name)
    };
    names.into_iter().filter(differs).map(str::to_owned).collect()
}

fn contents<'a>(inputs: &'a [InputRef], name: &str) -> Vec<&'a str> {
    let of_name = inputs.iter().filter(|input| input.name == name);
    of_name.map(|input| &*input.content_sha256).collect()
}

/// The inputs that an output was made with and would be made without, or the other way round.
pub(super) fn other_inputs(made: &Manifest, wanted: &JobSpec) -> Vec<String> {
    let only = |a: &[InputRef], b: &[InputRef], text: &str| -> Vec<String> {
        let missing = a.iter().filter(|i| !b.iter().any(|other| other.name == i.name));
        missing.map(|input| format!("{text} {}", input.name)).collect()
    };
    let mut found = only(&wanted.inputs, &made.inputs, "made without");
    found.extend(only(&made.inputs, &wanted.inputs, "made with"));
    found
}

/// Adds the settings that differ, each by its full key.
fn changed_settings(prefix: &str, made: &Value, wanted: &Value, found: &mut Vec<String>) {
    let (Value::Object(a), Value::Object(b)) = (made, wanted) else {
        if made != wanted {
            found.push(changed_value(prefix, made, wanted));
        }
        return;
    };
    let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let null = Value::Null;
        changed_settings(&name, a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null), found);
    }
}

/// Most characters of a value that a reason shows.
const LONGEST_VALUE: usize = 60;

/// How a value differs: both values, or the names in a list that were added, removed or changed where it is long.
fn changed_value(key: &str, made: &Value, wanted: &Value) -> String {
    let [was, now] = [made, wanted].map(Value::to_string);
    if was.chars().count().max(now.chars().count()) <= LONGEST_VALUE {
        return format!("{key} was {was}, now {now}");
    }
    let (Some(was), Some(now)) = (named(made), named(wanted)) else {
        return format!("{key} changed");
    };
    let names = |text: &str, is_listed: &dyn Fn(&str) -> bool| {
        let of_both = was.keys().chain(now.keys().filter(|name| !was.contains_key(*name)));
        let names: Vec<String> =
            of_both.filter(|name| is_listed(name)).map(|name| format!("`{name}`")).collect();
        (!names.is_empty()).then(|| format!("{text} {}", names.join(", ")))
    };
    let parts: Vec<String> = [
        names("with", &|name| !was.contains_key(name)),
        names("without", &|name| !now.contains_key(name)),
        names("with other settings of", &|name| {
            was.get(name).zip(now.get(name)).is_some_and(|(was, now)| was != now)
        }),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() {
        format!("{key} in another order")
    } else {
        format!("{key} {}", parts.join(" and "))
    }
}

/// The values of a list by their `name`; `None` where one has none, or two have the same.
fn named(list: &Value) -> Option<BTreeMap<&str, &Value>> {
    let list = list.as_array()?;
    let named: Option<BTreeMap<&str, &Value>> =
        list.iter().map(|value| Some((value.get("name")?.as_str()?, value))).collect();
    named.filter(|named| named.len() == list.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Table;
    use nodulus_store::{ShardInput, ShardSpec};
    use serde_json::json;
    use std::sync::Arc;

    /// Each difference in a few words.
    fn differences(made: &Manifest, wanted: &JobSpec) -> Vec<String> {
        let mut found = changed_work(made, wanted);
        let changed = changed_inputs(made, wanted).into_iter();
        found.extend(changed.map(|name| format!("{} changed", in_words(&name))));
        found.extend(other_inputs(made, wanted));
        found
    }

    fn spec(config: Value, content: &str) -> JobSpec {
        let input = InputRef {
            name: "nodules".to_owned(),
            key: "k".to_owned(),
            content_sha256: content.to_owned(),
            note: None,
        };
        let shard = ShardSpec {
            config: Arc::new(config.clone()),
            decisions: Value::Null,
            inputs: vec![ShardInput::from(&input)],
            cases: Vec::new(),
        };
        JobSpec {
            stage: "crop",
            stage_version: 1,
            outputs: vec![Table::Rois.spec().into()],
            config,
            inputs: vec![input],
            shards: vec![shard],
        }
    }

    fn made(spec: &JobSpec) -> Manifest {
        Manifest {
            output: Table::Rois.name().to_owned(),
            key: "k".to_owned(),
            schema_version: Table::Rois.spec().schema_version,
            tool_version: "0".to_owned(),
            stage: spec.stage.to_owned(),
            stage_version: spec.stage_version,
            config: spec.config.clone(),
            inputs: spec.inputs.clone(),
            kept_beside: None,
            rows: 0,
            content_sha256: "c".to_owned(),
            shards: Vec::new(),
        }
    }

    #[test]
    fn a_changed_setting_is_named_with_both_values() {
        let before = spec(json!({"size": 128, "window": {"low_hu": -1000.0}}), "a");
        let after = spec(json!({"size": 128, "window": {"low_hu": -900.0}}), "a");
        assert_ne!(before.shard_keys(), after.shard_keys());
        assert_eq!(differences(&made(&before), &after), ["window.low_hu was -1000.0, now -900.0"]);
    }

    #[test]
    fn long_lists_are_told_apart_by_their_names() {
        let cohort = |name: &str, root: &str| json!({"name": name, "root": root, "source": "luna16_annotations"});
        let reasons = |was: Value, now: Value| {
            differences(
                &made(&spec(json!({"cohorts": was}), "a")),
                &spec(json!({"cohorts": now}), "a"),
            )
        };
        let (a, b) = (cohort("a", "data/of-a"), cohort("b", "data/of-b"));
        let moved = cohort("a", "data/elsewhere");
        assert_eq!(reasons(json!([a]), json!([a, b])), ["cohorts with `b`"]);
        assert_eq!(reasons(json!([a, b]), json!([a])), ["cohorts without `b`"]);
        assert_eq!(
            reasons(json!([a]), json!([moved, b])),
            ["cohorts with `b` and with other settings of `a`"]
        );
        assert_eq!(reasons(json!([a, b]), json!([b, a])), ["cohorts in another order"]);
        assert_eq!(reasons(json!([a, a]), json!([a])), ["cohorts changed"]);
        assert_eq!(reasons(json!("x".repeat(70)), json!("y")), ["cohorts changed"]);
        assert_eq!(
            reasons(json!(["a"]), json!(["a", "b"])),
            [r#"cohorts was ["a"], now ["a","b"]"#]
        );
    }

    #[test]
    fn a_changed_input_is_named_and_its_key_does_not_matter() {
        let before = spec(json!({}), "a");
        assert_eq!(differences(&made(&before), &spec(json!({}), "b")), ["nodules changed"]);
        let mut renamed = before.clone();
        renamed.inputs[0].key = "other".to_owned();
        assert_eq!(renamed.shard_keys(), before.shard_keys());
    }
}
