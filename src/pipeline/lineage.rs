//! Follows a table back to the source files, through the outputs that it was made from, in other stores too.

use super::outside_weights::described;
use crate::stages::evaluate::PredictionsNote;
use crate::stages::train::{Origin, WeightsNote};
use crate::tables::{Output, SOURCES, Table};
use nodulus_store::{Error, InputRef, ShardCase, Store, Version};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// An output and its inputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Node {
    /// Name of the output, `sources`, or the name of weights from outside the store.
    pub name: String,
    /// Key.
    pub key: String,
    /// SHA-256 of the content.
    pub content_sha256: String,
    /// Folder of the store that has it, where it is another one than that of the output above it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<PathBuf>,
    /// How it was made; `None` where it was removed or comes from outside the store.
    pub made: Option<OutputRecord>,
    /// Where weights from outside the store come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside: Option<Outside>,
    /// Where masks of another program lay when they were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masks_path: Option<PathBuf>,
    /// Whether the node stands above already, with its inputs and cases.
    pub repeated: bool,
    /// Its inputs; of weights from outside the store, the checkpoint of the store that made them.
    pub inputs: Vec<Self>,
    /// Cases, for `sources`.
    pub cases: Vec<SourceCase>,
}

/// How an output was made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutputRecord {
    /// The stage.
    pub stage: String,
    /// Version of the stage's code.
    pub stage_version: u32,
    /// Version of the program.
    pub tool_version: String,
    /// The stage's settings.
    pub config: serde_json::Value,
    /// Rows.
    pub rows: u64,
    /// The inputs of another content beside which the user kept it; often none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub newer_inputs: Vec<InputRef>,
}

/// Where weights from outside a store come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outside {
    /// The weights file when it was read; `None` where nothing tells.
    pub path: Option<PathBuf>,
    /// What the description beside the file told then; `None` for weights of another program.
    pub origin: Option<Origin>,
    /// Why the lineage ends here; `None` where it goes on in the store that made the weights.
    pub end: Option<String>,
}

/// A case of the sources.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceCase {
    /// What the store keeps of it.
    #[serde(flatten)]
    pub case: ShardCase,
    /// Its patient; `None` where it could not be read.
    pub patient_id: Option<String>,
    /// Its series; `None` where it could not be read.
    pub series_instance_uid: Option<String>,
}

/// The lineage of the current version of an output. `others` are stores that may have made weights from outside, besides
/// those in which the weights lay.
///
/// # Errors
///
/// Fails if the store does not have the output, or its records cannot be read. A lineage that cannot go on in another store
/// says so and does not fail.
pub fn lineage(store: &Store, output: Output, others: &[PathBuf]) -> Result<Node, Error> {
    let mut search = Search { others, seen: BTreeSet::new(), depth: 0 };
    search.of_version(store, &store.require(output)?)
}

/// A search through the versions of stores.
struct Search<'a> {
    others: &'a [PathBuf],
    /// The nodes that were listed, by their store, name and key.
    seen: BTreeSet<(PathBuf, String, String)>,
    /// How many versions stand above the one at hand, each made from the next.
    depth: usize,
}

/// Most versions that are made from one another: a line of stages has fewer than twenty, and weights from other stores add theirs.
const MAX_DEPTH: usize = 300;

impl Search<'_> {
    fn of_version(&mut self, store: &Store, version: &Version) -> Result<Node, Error> {
        let manifest = &version.manifest;
        let mut node = self.node(store, &manifest.as_input());
        node.made = Some(OutputRecord {
            stage: manifest.stage.clone(),
            stage_version: manifest.stage_version,
            tool_version: manifest.tool_version.clone(),
            config: manifest.config.clone(),
            rows: manifest.rows,
            newer_inputs: manifest.newer_inputs(),
        });
        if node.repeated {
            return Ok(node);
        }
        if self.depth >= MAX_DEPTH {
            let path = store.root().join(&manifest.output).join("versions");
            let found = "a folder of records of which hundreds were made one from the other";
            return Err(Error::RecordDamaged { path, found });
        }
        self.depth += 1;
        for input in &manifest.inputs {
            node.inputs.push(self.of_input(store, version, input)?);
        }
        self.depth -= 1;
        Ok(node)
    }

    fn of_input(
        &mut self,
        store: &Store,
        version: &Version,
        input: &InputRef,
    ) -> Result<Node, Error> {
        if let Some(PredictionsNote { masks_path }) = PredictionsNote::of(input) {
            return Ok(Node { masks_path: Some(masks_path), ..self.node(store, input) });
        }
        if let Some(note) = WeightsNote::of(input) {
            return Ok(self.of_weights(store, input, note));
        }
        let of_output = Output::from_name(&input.name)
            .map_or(Ok(None), |output| store.version(output, &input.key))?;
        if let Some(of_output) = of_output {
            return self.of_version(store, &of_output);
        }
        let mut node = self.node(store, input);
        if input.name == SOURCES && !node.repeated {
            node.cases = cases(store, version)?;
        }
        Ok(node)
    }

    /// Weights from outside: with the checkpoint of the store that made them, where it is found.
    fn of_weights(&mut self, store: &Store, input: &InputRef, note: WeightsNote) -> Node {
        let mut node = self.node(store, input);
        let WeightsNote { path, origin } = note;
        let mut end = None;
        if !node.repeated {
            let run_id = origin.as_ref().map(|origin| origin.run_id.as_str());
            let found = find(path.as_deref(), self.others, &input.content_sha256, run_id);
            let found = found.and_then(|(of_store, version)| {
                let node = self.of_version(&of_store, &version).map_err(|e| e.to_string())?;
                Ok(Node { store: Some(of_store.root().to_owned()), ..node })
            });
            match found {
                Ok(checkpoint) => node.inputs.push(checkpoint),
                Err(why) => {
                    // What the weights themselves tell of their inputs.
                    let inputs = origin.iter().flat_map(|origin| &origin.data);
                    node.inputs = inputs.map(|input| self.of_origin(input)).collect();
                    end = Some(why);
                }
            }
        }
        node.outside = Some(Outside { path, origin, end });
        node
    }

    /// An input of weights whose store is not there.
    fn of_origin(&mut self, input: &InputRef) -> Node {
        let nowhere = Path::new("");
        let mut node = self.listed(nowhere, input);
        let Some(WeightsNote { path, origin }) = WeightsNote::of(input) else { return node };
        if !node.repeated {
            let inputs = origin.iter().flat_map(|origin| &origin.data);
            node.inputs = inputs.map(|input| self.of_origin(input)).collect();
        }
        node.outside = Some(Outside { path, origin, end: None });
        node
    }

    fn node(&mut self, store: &Store, input: &InputRef) -> Node {
        self.listed(store.root(), input)
    }

    fn listed(&mut self, store: &Path, input: &InputRef) -> Node {
        let place = (store.to_owned(), input.name.clone(), input.key.clone());
        Node {
            name: input.name.clone(),
            key: input.key.clone(),
            content_sha256: input.content_sha256.clone(),
            store: None,
            made: None,
            outside: None,
            masks_path: None,
            repeated: !self.seen.insert(place),
            inputs: Vec::new(),
            cases: Vec::new(),
        }
    }
}

/// The store and the version of the checkpoint that has weights of this content: in the store around `path`, or in one of
/// the others. Of several such versions, that of the training. Else why there is none.
fn find(
    path: Option<&Path>,
    others: &[PathBuf],
    content_sha256: &str,
    run_id: Option<&str>,
) -> Result<(Store, Version), String> {
    let around = path
        .and_then(|path| path.ancestors().find(|folder| folder.join("store.json").exists()))
        .map(Path::to_owned);
    let mut problems = Vec::new();
    if around.is_none() {
        problems.push(match path {
            Some(path) if path.exists() => format!("`{}` is in no store", path.display()),
            Some(path) => format!("`{}` is no longer there", path.display()),
            None => "nothing tells where the weights lay".to_owned(),
        });
    }
    for root in around.iter().chain(others) {
        match Store::open(root).and_then(|store| Ok((store.versions(Output::Checkpoint)?, store))) {
            Ok((versions, store)) => {
                let mut with_weights =
                    versions.into_iter().filter(|version| holds(version, content_sha256));
                let first = with_weights.next();
                let is_of_run = |version: &Version| Some(version.manifest.key.as_str()) == run_id;
                let of_run = first.clone().into_iter().chain(with_weights).find(is_of_run);
                if let Some(version) = of_run.or(first) {
                    return Ok((store, version));
                }
                problems.push(format!("store `{}` does not have these weights", root.display()));
            }
            Err(error) => problems.push(nodulus_faults::in_words(&error)),
        }
    }
    Err(problems.join("; "))
}

/// Whether a version has weights of this content, with their description or without one.
fn holds(version: &Version, content_sha256: &str) -> bool {
    let parts = || version.manifest.shards.iter().flat_map(|shard| &shard.parts);
    parts().any(|weights| {
        let description = Path::new(&weights.file).with_extension("json");
        let description = parts().find(|part| Path::new(&part.file) == description);
        weights.content_sha256 == content_sha256
            || description.is_some_and(|description| {
                described(&weights.content_sha256, &description.content_sha256) == content_sha256
            })
    })
}

/// A scan, as far as it says whose a case is.
#[derive(Debug, Deserialize)]
struct ScanOwner {
    cohort: String,
    content_sha256: String,
    patient_id: String,
    series_instance_uid: String,
}

/// The cases that a version of an output of ingest was made from, in the order of its shards.
fn cases(store: &Store, version: &Version) -> Result<Vec<SourceCase>, Error> {
    let mut owners: BTreeMap<(String, String), (String, String)> = BTreeMap::new();
    let columns = ["cohort", "content_sha256", "patient_id", "series_instance_uid"];
    // The outputs of a stage that were made together have one key.
    if let Some(scans) = store.version(Output::Table(Table::Scans), &version.manifest.key)? {
        for batch in scans.columns::<ScanOwner>(&columns) {
            owners.extend(batch?.into_iter().map(|scan| {
                let of_case = (scan.cohort, scan.content_sha256);
                (of_case, (scan.patient_id, scan.series_instance_uid))
            }));
        }
    }
    let mut cases = Vec::new();
    for shard in 0..version.manifest.n_shards() {
        for mut case in version.shard_record(shard)?.cases {
            case.reading = None;
            let owner = owners.get(&(case.cohort.clone(), case.content_sha256.clone())).cloned();
            let (patient_id, series_instance_uid) = owner.unzip();
            cases.push(SourceCase { case, patient_id, series_instance_uid });
        }
    }
    Ok(cases)
}
