//! Plans the jobs of a stage from its settings and its inputs.

use super::Config;
use crate::stages::Stage;
use crate::stages::ingest::{self, Sources};
use crate::stages::spec::{Reduction, RunStep, Settings};
use crate::tables::{Output, SOURCES};
use nodulus_store::{
    CaseReading, InputRef, JobSpec, Manifest, ShardCase, ShardInput, ShardSpec, ShardSummary,
    Version, hash,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A step of a stage: its shards, or the reduction that sums them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The outputs of the shards; the only one of most stages.
    Shards,
    /// The outputs that sum up all shards.
    Reduction,
}

impl Step {
    /// The steps of a stage.
    pub fn of(stage: Stage) -> impl Iterator<Item = Self> {
        let reduction = stage.spec().reduction.as_ref().map(|_| Self::Reduction);
        std::iter::once(Self::Shards).chain(reduction)
    }

    /// The stage's reduction, where this is the step.
    fn reduction(self, stage: Stage) -> Option<&'static Reduction> {
        stage.spec().reduction.as_ref().filter(|_| self == Self::Reduction)
    }

    /// What the step reads.
    fn reads(self, stage: Stage) -> &'static [Output] {
        self.reduction(stage).map_or(stage.spec().reads, |reduction| reduction.reads)
    }

    /// What the step writes.
    pub fn writes(self, stage: Stage) -> &'static [Output] {
        self.reduction(stage).map_or(stage.spec().writes, |reduction| reduction.writes)
    }

    /// The settings that the step depends on.
    fn settings(self, stage: Stage) -> Settings {
        self.reduction(stage).map_or(stage.spec().settings, |reduction| reduction.settings)
    }

    /// Makes the shards of the step's job.
    pub fn run(self, stage: Stage) -> RunStep {
        self.reduction(stage).map_or(stage.spec().run, |reduction| reduction.run)
    }

    /// Whether the step works on the shards that ingest cut.
    pub fn is_sharded(self, stage: Stage) -> bool {
        self == Self::Shards && stage.spec().is_sharded
    }
}

/// The inputs of a step, without the outputs of stages that the pipeline file does not ask for.
pub fn reads(config: &Config, stage: Stage, step: Step) -> Vec<Output> {
    let off = Stage::ALL.into_iter().map(Stage::spec).filter(|spec| !(spec.is_on)(config));
    let missing: Vec<Output> = off.flat_map(crate::stages::StageSpec::outputs).collect();
    step.reads(stage).iter().filter(|output| !missing.contains(output)).copied().collect()
}

/// Whether an output has the shards that ingest cut.
pub fn is_sharded(output: Output) -> bool {
    Stage::ALL.into_iter().any(|stage| {
        Step::of(stage).any(|step| step.is_sharded(stage) && step.writes(stage).contains(&output))
    })
}

/// The job of ingest: a shard for each shard of the sources, and one for series of the list that no cohort has.
///
/// # Errors
///
/// Fails if a setting has no JSON form.
pub fn ingest_job(config: &Config, sources: &Sources) -> Result<JobSpec, serde_json::Error> {
    let spec = Stage::Ingest.spec();
    let mut common = ingest_settings(&config.ingest)?;
    if let Some(list) = &sources.series_list {
        let digest = hash::sha256_parts(list.iter().map(String::as_str));
        common["series_list_sha256"] = digest.into();
    }
    let mut of_cohorts: BTreeMap<&str, Arc<Value>> = BTreeMap::new();
    for cohort in &config.ingest.cohorts {
        let mut settings = common.clone();
        settings["cohort"] = serde_json::to_value(cohort)?;
        of_cohorts.insert(&cohort.name, Arc::new(settings));
    }
    let none = Arc::new(Value::Null);
    let shard = |cases: &Vec<ingest::SourceCase>| {
        let cohort = cases.first().map_or("", |case| &case.cohort);
        let cases: Vec<ShardCase> = cases.iter().map(shard_case).collect();
        let content_sha256 = hash::sha256_parts(cases.iter().map(|c| c.content_sha256.as_str()));
        ShardSpec {
            config: of_cohorts.get(cohort).unwrap_or(&none).clone(),
            decisions: Value::Null,
            inputs: vec![ShardInput { name: SOURCES.to_owned(), content_sha256 }],
            cases,
        }
    };
    let mut shards: Vec<ShardSpec> = sources.shards.iter().map(shard).collect();
    let not_found = ingest::series_not_found(&config.ingest, sources);
    if !not_found.is_empty() {
        let content_sha256 = hash::sha256_parts(not_found);
        shards.push(ShardSpec {
            config: none.clone(),
            decisions: Value::Null,
            inputs: vec![ShardInput { name: "series not found".to_owned(), content_sha256 }],
            cases: Vec::new(),
        });
    }
    let contents = shards.iter().flat_map(|s| &s.inputs).map(|i| i.content_sha256.as_str());
    let content_sha256 = hash::sha256_parts(contents);
    Ok(JobSpec {
        stage: spec.name,
        stage_version: spec.version,
        outputs: spec.writes.iter().map(|output| output.spec()).collect(),
        config: (spec.settings)(config)?,
        inputs: vec![InputRef::outside(SOURCES, content_sha256)],
        shards,
    })
}

/// The settings that every shard depends on: without the cohorts, and without the size of the shards.
fn ingest_settings(config: &ingest::Config) -> Result<Value, serde_json::Error> {
    let mut settings = serde_json::to_value(config)?;
    if let Some(settings) = settings.as_object_mut() {
        settings.shift_remove("cohorts");
        settings.shift_remove("shard_size");
    }
    Ok(settings)
}

fn shard_case(source: &ingest::SourceCase) -> ShardCase {
    ShardCase {
        cohort: source.cohort.clone(),
        case_id: source.case.case_id.clone(),
        n_files: source.case.images.len() + source.case.annotations.len(),
        content_sha256: source.content_sha256.clone(),
        reading: Some(CaseReading { files_sha256: source.files_sha256.clone(), rows: Vec::new() }),
    }
}

/// The job of a step of any other stage. `decisions` are those of [`crate::stages::StageSpec::decide`], `weights` the
/// weights from outside the store, `contents` those of [`crate::stages::StageSpec::contents`], in place of the inputs as a whole.
///
/// # Errors
///
/// Fails if a setting has no JSON form.
pub fn job(
    config: &Config,
    stage: Stage,
    step: Step,
    inputs: &[Version],
    weights: Option<InputRef>,
    decisions: Option<Vec<Value>>,
    contents: Option<&[ShardInput]>,
) -> Result<JobSpec, serde_json::Error> {
    let spec = stage.spec();
    let settings = step.settings(stage)(config)?;
    // A reduction sums up what the shards already hold.
    let weights = weights.filter(|_| step == Step::Shards);
    let shared = Arc::new(settings.clone());
    let sharded = |version: &Version| {
        step.is_sharded(stage) && Output::from_name(version.output().name()).is_some_and(is_sharded)
    };
    let n_shards = inputs.iter().filter(|version| sharded(version)).map(|v| v.manifest.n_shards());
    let n_shards = n_shards.max().unwrap_or(1);
    let mut decisions = decisions.unwrap_or_default().into_iter();
    let shards = (0..n_shards)
        .map(|shard| {
            let of_input = |version: &Version| {
                if !sharded(version) {
                    return ShardInput::from(&version.manifest.as_input());
                }
                let summary = version.manifest.shards.get(shard);
                ShardInput {
                    name: version.manifest.output.clone(),
                    content_sha256: summary.map_or(String::new(), ShardSummary::content_sha256),
                }
            };
            let mut of_shard = match contents {
                Some(contents) => contents.to_vec(),
                None => inputs.iter().map(of_input).collect(),
            };
            of_shard.extend(weights.as_ref().map(ShardInput::from));
            ShardSpec {
                config: shared.clone(),
                decisions: decisions.next().unwrap_or(Value::Null),
                inputs: of_shard,
                cases: Vec::new(),
            }
        })
        .collect();
    Ok(JobSpec {
        stage: spec.name,
        stage_version: spec.version,
        outputs: step.writes(stage).iter().map(|output| output.spec()).collect(),
        config: settings,
        inputs: input_refs(inputs, weights),
        shards,
    })
}

/// The inputs of a step: versions, and weights from outside the store.
pub fn input_refs(inputs: &[Version], weights: Option<InputRef>) -> Vec<InputRef> {
    inputs.iter().map(|version| version.manifest.as_input()).chain(weights).collect()
}

/// How an output differs from what a job would make: each difference in a few words.
pub fn differences(made: &Manifest, wanted: &JobSpec) -> Vec<String> {
    let mut found = changed_work(made, wanted);
    let changed = changed_inputs(made, wanted).into_iter();
    found.extend(changed.map(|name| format!("{} changed", in_words(&name))));
    found.extend(other_inputs(made, wanted));
    found
}

/// The name of an input, for people.
pub fn in_words(input: &str) -> &str {
    if input == SOURCES { "source files" } else { input }
}

/// How the stage's code, columns or settings differ from those that made an output.
pub fn changed_work(made: &Manifest, wanted: &JobSpec) -> Vec<String> {
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
pub fn changed_inputs(made: &Manifest, wanted: &JobSpec) -> Vec<String> {
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
pub fn other_inputs(made: &Manifest, wanted: &JobSpec) -> Vec<String> {
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

/// The first pair of inputs of which one was made from another version of the other: the two names. Their rows would
/// not belong together. Outputs over the whole cohort that the user kept beside just these inputs are no such pair.
pub fn mixed(inputs: &[Version]) -> Option<(Output, Output)> {
    let name = |version: &Version| Output::from_name(version.output().name());
    for made in inputs {
        for of in inputs {
            let now = of.manifest.as_input();
            let is_same = |input: &InputRef| input.content_sha256 == now.content_sha256;
            let then = made.manifest.inputs.iter().find(|input| input.name == now.name);
            if then.is_none_or(is_same) || is_one_of_several(of, inputs) {
                continue;
            }
            let mut beside = made.manifest.kept_beside.iter().flatten();
            let was_kept = beside.any(|input| input.name == now.name && is_same(input));
            if !was_kept || name(made).is_some_and(is_sharded) {
                return Some((name(made)?, name(of)?));
            }
        }
    }
    None
}

/// Whether a stage reads several versions of an output, as the predictions of several models.
fn is_one_of_several(version: &Version, inputs: &[Version]) -> bool {
    inputs.iter().filter(|other| other.output() == version.output()).count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Table;
    use serde_json::json;

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
