//! Follows a table back to the source files, through the outputs that it was made from.

use crate::tables::{Output, SOURCES};
use nodulus_store::{InputRef, ShardCase, Store, Version};
use serde::Serialize;

/// An output and its inputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Node {
    /// Name of the output, `sources`, or `checkpoint` for weights from outside the store.
    pub name: String,
    /// Key.
    pub key: String,
    /// SHA-256 of the content.
    pub content_sha256: String,
    /// How it was made; `None` where it was removed or comes from outside the store.
    pub made: Option<OutputRecord>,
    /// Its inputs.
    pub inputs: Vec<Self>,
    /// Cases, for `sources`.
    pub cases: Vec<ShardCase>,
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

/// The lineage of the current version of an output.
///
/// # Errors
///
/// Fails if the store does not have the output, or its records cannot be read.
pub fn lineage(store: &Store, output: Output) -> Result<Node, nodulus_store::Error> {
    of_version(store, &store.require(output)?)
}

fn of_version(store: &Store, version: &Version) -> Result<Node, nodulus_store::Error> {
    let manifest = &version.manifest;
    let mut inputs = Vec::new();
    for input in &manifest.inputs {
        let mut node = Node {
            name: input.name.clone(),
            key: input.key.clone(),
            content_sha256: input.content_sha256.clone(),
            made: None,
            inputs: Vec::new(),
            cases: Vec::new(),
        };
        if input.name == SOURCES {
            node.cases = cases(version)?;
        } else if let Some(output) = Output::from_name(&input.name)
            && let Some(version) = store.version(output, &input.key)?
        {
            node = of_version(store, &version)?;
        }
        inputs.push(node);
    }
    Ok(Node {
        name: manifest.output.clone(),
        key: manifest.key.clone(),
        content_sha256: manifest.content_sha256.clone(),
        made: Some(OutputRecord {
            stage: manifest.stage.clone(),
            stage_version: manifest.stage_version,
            tool_version: manifest.tool_version.clone(),
            config: manifest.config.clone(),
            rows: manifest.rows,
            newer_inputs: manifest.newer_inputs(),
        }),
        inputs,
        cases: Vec::new(),
    })
}

/// The cases that a version was made from, in the order of its shards.
fn cases(version: &Version) -> Result<Vec<ShardCase>, nodulus_store::Error> {
    let mut cases = Vec::new();
    for shard in 0..version.manifest.n_shards() {
        cases.extend(version.shard_record(shard)?.cases);
    }
    Ok(cases)
}
