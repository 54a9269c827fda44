//! Names outputs that are older than what they were made from, and tables that do not belong together.

use crate::tables::Output;
use nodulus_store::{Error, InputRef, Manifest, Store};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A current output that is older than what it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outdated {
    /// Name of the output.
    pub output: String,
    /// The stage that makes it.
    pub stage: String,
    /// The outputs of which another version is current than the one that it goes back to, in data-flow order.
    pub older_than: Vec<String>,
    /// Whether the user kept it although these changed.
    pub kept: bool,
}

impl fmt::Display for Outdated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { output, stage, older_than, kept } = self;
        let of = listed(older_than);
        if *kept {
            write!(
                f,
                "`{output}` was kept (`--keep {stage}`) and was made from other versions of {of}"
            )
        } else {
            write!(
                f,
                "`{output}` was made from other versions of {of}; `nodulus run` brings it up to date"
            )
        }
    }
}

/// Lines that say so for people: of many outputs, one line names them all.
pub fn in_lines(outdated: &[Outdated]) -> Vec<String> {
    let (kept, others): (Vec<_>, Vec<_>) = outdated.iter().partition(|outdated| outdated.kept);
    let each = |of: Vec<&Outdated>| of.into_iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut lines = each(kept);
    if others.len() <= MOST_LINES {
        lines.extend(each(others));
    } else {
        let names: Vec<String> = others.iter().map(|outdated| outdated.output.clone()).collect();
        lines.push(format!(
            "{} were made from other versions than are current; `nodulus run` brings them up to date",
            listed(&names)
        ));
    }
    lines
}

/// Most outputs that have a line each.
const MOST_LINES: usize = 2;

/// Two tables that go back to different versions of an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unlike {
    /// The two tables.
    pub tables: [String; 2],
    /// The output, which may be one of the two.
    pub of: String,
}

impl fmt::Display for Unlike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tables: [a, b], of } = self;
        if of == a || of == b {
            let made = if of == a { b } else { a };
            write!(
                f,
                "`{a}` and `{b}` do not belong together: `{made}` was made from another version of `{of}`"
            )
        } else {
            write!(
                f,
                "`{a}` and `{b}` do not belong together: they were made from different versions of `{of}`"
            )
        }
    }
}

/// Names in back quotes, joined as in a sentence.
fn listed(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

/// The current outputs that are older than what they were made from, directly or through others, in data-flow order.
///
/// An output made from several versions of an input, as the predictions of several models, is not older as long as one of
/// them is current. What is made from a kept output is not older than what that was made from.
///
/// # Errors
///
/// Fails if the store's records cannot be read.
pub fn outdated(store: &Store) -> Result<Vec<Outdated>, Error> {
    outdated_among(store, &Output::all().collect::<Vec<_>>())
}

/// As [`outdated`], of some outputs. Only their records are read, and those of what they go back to.
///
/// # Errors
///
/// Fails if one of these records cannot be read.
pub fn outdated_among(store: &Store, outputs: &[Output]) -> Result<Vec<Outdated>, Error> {
    let mut current = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut pending = outputs.to_vec();
    while let Some(output) = pending.pop() {
        if !seen.insert(output.name()) {
            continue;
        }
        let Some(version) = store.current(output)? else { continue };
        let facts = Facts::of(version.manifest);
        let beside = facts.kept_beside.iter().flatten();
        let names = facts.inputs.iter().chain(beside).filter(|input| !input.is_from_outside());
        pending.extend(names.filter_map(|input| Output::from_name(&input.name)));
        current.insert(output.name(), facts);
    }
    let mut ages = Ages { current: &current, known: BTreeMap::new() };
    let mut found = Vec::new();
    let is_asked = |output: &Output| outputs.iter().any(|asked| asked.name() == output.name());
    for output in Output::all().filter(is_asked) {
        let age = ages.of(output.name());
        if let Some(facts) = current.get(output.name()).filter(|_| !age.older_than.is_empty()) {
            found.push(Outdated {
                output: output.name().to_owned(),
                stage: facts.stage.clone(),
                older_than: in_order(&age.older_than),
                kept: age.kept,
            });
        }
    }
    Ok(found)
}

/// The part of a version's record that matters here.
struct Facts {
    stage: String,
    content_sha256: String,
    inputs: Vec<InputRef>,
    kept_beside: Option<Vec<InputRef>>,
}

impl Facts {
    fn of(manifest: Manifest) -> Self {
        let Manifest { stage, content_sha256, inputs, kept_beside, .. } = manifest;
        Self { stage, content_sha256, inputs, kept_beside }
    }
}

/// What an output is older than.
#[derive(Clone, Default)]
struct Age {
    older_than: BTreeSet<String>,
    kept: bool,
}

struct Ages<'a> {
    current: &'a BTreeMap<&'static str, Facts>,
    known: BTreeMap<String, Age>,
}

impl Ages<'_> {
    fn of(&mut self, name: &str) -> Age {
        if let Some(age) = self.known.get(name) {
            return age.clone();
        }
        let Some(facts) = self.current.get(name) else { return Age::default() };
        // Records that name each other come to an end here.
        self.known.insert(name.to_owned(), Age::default());
        let is_now = |input: &InputRef| {
            let now = self.current.get(&*input.name);
            now.is_some_and(|now| now.content_sha256 == input.content_sha256)
        };
        let inputs = facts.inputs.iter().filter(|input| !input.is_from_outside());
        let names: BTreeSet<&str> = inputs.clone().map(|input| &*input.name).collect();
        let (same, other): (Vec<&str>, Vec<&str>) = names
            .into_iter()
            .partition(|name| inputs.clone().any(|input| input.name == *name && is_now(input)));
        let was_kept_beside = |name: &&str| {
            let beside = facts.kept_beside.iter().flatten();
            beside.filter(|input| input.name == *name).any(is_now)
        };
        let mut age = Age {
            kept: facts.kept_beside.is_some() && other.iter().all(was_kept_beside),
            older_than: other.iter().map(|name| (*name).to_owned()).collect(),
        };
        if !age.kept {
            for name in same {
                let of_input = self.of(name);
                if !of_input.kept {
                    age.older_than.extend(of_input.older_than);
                }
            }
        }
        self.known.insert(name.to_owned(), age.clone());
        age
    }
}

/// Names in data-flow order.
fn in_order(names: &BTreeSet<String>) -> Vec<String> {
    let position = |name: &String| Output::all().position(|output| output.name() == name);
    let mut names: Vec<String> = names.iter().cloned().collect();
    names.sort_by_key(position);
    names
}

/// The pairs among these outputs whose current versions go back to different versions of an output, and for each pair one
/// such output: one of the two, or the first in data-flow order.
///
/// # Errors
///
/// Fails if the store's records cannot be read.
pub fn unlike(store: &Store, outputs: &[Output]) -> Result<Vec<Unlike>, Error> {
    let mut found = Vec::new();
    let mut origins: Vec<(&str, Origins)> = Vec::new();
    for output in outputs {
        let Some(version) = store.current(*output)? else { continue };
        let of_output = origins_of(store, version.manifest)?;
        for (other, of_other) in &origins {
            let common = of_output.keys().filter(|name| of_other.contains_key(*name));
            let differ = common.filter(|name| {
                let [a, b] = [&of_output, of_other].map(|o| o.get(*name));
                matches!((a, b), (Some(a), Some(b)) if a.is_disjoint(b))
            });
            let differ = in_order(&differ.cloned().collect());
            // That one was made from another version of the other says most.
            let pair = differ.iter().find(|name| [*other, output.name()].contains(&name.as_str()));
            if let Some(of) = pair.or_else(|| differ.first()).cloned() {
                let tables = [*other, output.name()].map(str::to_owned);
                found.push(Unlike { tables, of });
            }
        }
        origins.push((output.name(), of_output));
    }
    Ok(found)
}

/// The content of every version that an output goes back to, itself included, by the output's name.
type Origins = BTreeMap<String, BTreeSet<String>>;

fn origins_of(store: &Store, manifest: Manifest) -> Result<Origins, Error> {
    let mut origins = Origins::new();
    let mut seen = BTreeSet::new();
    let mut pending = vec![manifest.as_input()];
    let mut first = Some(manifest);
    while let Some(input) = pending.pop() {
        if !seen.insert((input.name.clone(), input.key.clone())) {
            continue;
        }
        origins.entry(input.name.clone()).or_default().insert(input.content_sha256);
        let manifest = match (first.take(), Output::from_name(&input.name)) {
            (Some(first), _) => Some(first),
            (None, Some(output)) => store.version(output, &input.key)?.map(|v| v.manifest),
            (None, None) => None,
        };
        let inputs = manifest.into_iter().flat_map(|manifest| manifest.inputs);
        // Weights from outside the store are no version of its checkpoint.
        pending.extend(
            inputs.filter(|i| !i.is_from_outside() || Output::from_name(&i.name).is_none()),
        );
    }
    Ok(origins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Table;
    use nodulus_store::{JobSpec, ShardInput, ShardSpec, Version};
    use serde_json::{Value, json};
    use std::sync::Arc;

    /// Makes an output current that has no rows and is made from others.
    fn make(store: &Store, table: Table, setting: i64, inputs: &[&Version]) -> Version {
        let inputs: Vec<InputRef> = inputs.iter().map(|v| v.manifest.as_input()).collect();
        let config = json!({ "setting": setting });
        let shard = ShardSpec {
            config: Arc::new(config.clone()),
            decisions: Value::Null,
            inputs: inputs.iter().map(ShardInput::from).collect(),
            cases: Vec::new(),
        };
        let job = store.job(JobSpec {
            stage: "s",
            stage_version: 1,
            // A folder of files needs no row type.
            outputs: vec![nodulus_store::OutputSpec::Files(table.name())],
            config,
            inputs,
            shards: vec![shard],
        });
        for shard in job.work().unwrap() {
            let shard = shard.unwrap();
            let folder = shard.files(nodulus_store::OutputSpec::Files(table.name())).unwrap();
            fs_err::write(folder.join("x"), format!("{table} {setting}")).unwrap();
            shard.commit(Vec::new(), Vec::new()).unwrap();
        }
        job.finish().unwrap().remove(0)
    }

    fn names(store: &Store) -> Vec<String> {
        let of = |o: Outdated| {
            format!(
                "{} < {}{}",
                o.output,
                o.older_than.join(" "),
                if o.kept { " kept" } else { "" }
            )
        };
        outdated(store).unwrap().into_iter().map(of).collect()
    }

    fn pairs(store: &Store, tables: &[Table]) -> Vec<String> {
        let outputs: Vec<Output> = tables.iter().map(|table| Output::Table(*table)).collect();
        unlike(store, &outputs).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_older_is_named_through_others_and_what_belongs_together_is_not() {
        use Table::{Marks, Nodules, Rois, Samples, Scans};
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("s")).unwrap();
        assert_eq!(names(&store), [""; 0]);
        let all = |setting| {
            let scans = make(&store, Scans, setting, &[]);
            let marks = make(&store, Marks, 0, &[]);
            let nodules = make(&store, Nodules, 0, &[&scans, &marks]);
            let rois = make(&store, Rois, setting, &[&scans, &nodules]);
            make(&store, Samples, setting, &[&scans, &rois]);
            [scans, nodules, rois]
        };
        all(0);
        assert_eq!(names(&store), [""; 0]);
        let scans = make(&store, Scans, 1, &[]);
        assert_eq!(names(&store), ["nodules < scans", "rois < scans", "samples < scans"]);
        let marks = make(&store, Marks, 0, &[]);
        let nodules = make(&store, Nodules, 1, &[&scans, &marks]);
        assert_eq!(names(&store), ["rois < scans nodules", "samples < scans nodules"]);
        assert_eq!(
            outdated(&store).unwrap()[0].to_string(),
            "`rois` was made from other versions of `scans` and `nodules`; `nodulus run` brings it up to date"
        );
        assert_eq!(pairs(&store, &[Scans, Marks, Nodules]), [""; 0]);
        assert_eq!(pairs(&store, &[Rois, Samples]), [""; 0]);
        assert_eq!(
            pairs(&store, &[Nodules, Samples]),
            [
                "`nodules` and `samples` do not belong together: `samples` was made from another version of `nodules`"
            ]
        );
        make(&store, Rois, 1, &[&scans, &nodules]);
        assert_eq!(names(&store), ["samples < scans rois"]);
        all(1);
        assert_eq!(names(&store), [""; 0]);
    }

    #[test]
    fn a_kept_output_is_named_as_long_as_it_was_kept_beside_what_is_current() {
        use Table::{Predictions, Rois, TrainingLog};
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("s")).unwrap();
        let rois = make(&store, Rois, 0, &[]);
        let log = make(&store, TrainingLog, 0, &[&rois]);
        let rois = make(&store, Rois, 1, &[]);
        assert_eq!(names(&store), ["training_log < rois"]);
        let log = store.keep(log, &[rois.manifest.as_input()]).unwrap();
        make(&store, Predictions, 0, &[&rois, &log]);
        assert_eq!(names(&store), ["training_log < rois kept"]);
        make(&store, Rois, 2, &[]);
        assert_eq!(names(&store), ["training_log < rois", "predictions < rois"]);
    }

    #[test]
    fn records_of_other_outputs_are_not_read() {
        use Table::{Marks, Nodules, Scans, TrainingLog};
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("s")).unwrap();
        let scans = make(&store, Scans, 0, &[]);
        let nodules = make(&store, Nodules, 0, &[&scans]);
        make(&store, Marks, 0, &[&nodules]);
        make(&store, Scans, 1, &[]);
        let log = make(&store, TrainingLog, 0, &[]);
        let (name, key) = (TrainingLog.name(), log.manifest.key);
        let record = store.root().join(name).join(format!("versions/{key}.json"));
        assert!(record.is_file());
        fs_err::write(record, "{").unwrap();
        assert!(outdated(&store).is_err());
        let found = outdated_among(&store, &[Output::Table(Marks)]).unwrap();
        let found: Vec<_> = found.iter().map(|o| (o.output.as_str(), &o.older_than[..])).collect();
        assert_eq!(found, [("marks", &["scans".to_owned()][..])]);
    }

    #[test]
    fn one_of_several_versions_is_enough_and_weights_from_outside_are_no_version() {
        use Table::{NoduleMetrics, Predictions};
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("s")).unwrap();
        let a = make(&store, Predictions, 0, &[]);
        let b = make(&store, Predictions, 1, &[]);
        make(&store, NoduleMetrics, 0, &[&a, &b]);
        assert_eq!(names(&store), [""; 0]);
        let outside = InputRef::outside("predictions", "0123456789abcdef0123".to_owned());
        assert!(outside.is_from_outside() && !a.manifest.as_input().is_from_outside());
        make(&store, Predictions, 2, &[]);
        assert_eq!(names(&store), ["nodule_metrics < predictions"]);
    }
}
