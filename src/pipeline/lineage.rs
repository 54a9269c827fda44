//! Follows a table back to the source files, through the outputs that it was made from.

use super::sources;
use crate::stages::ingest::Sources;
use crate::tables::Output;
use nodulus_store::{Manifest, Store};
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
    pub cases: Vec<SourceNode>,
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
}

/// A case of the sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceNode {
    /// Name of the cohort.
    pub cohort: String,
    /// Path below the cohort's root.
    pub case_id: String,
    /// Number of files.
    pub n_files: usize,
    /// SHA-256 of their names and content.
    pub content_sha256: String,
}

/// The lineage of the current version of an output.
///
/// # Errors
///
/// Fails if the store does not have the output, or its records cannot be read.
pub fn lineage(store: &Store, output: Output) -> Result<Node, nodulus_store::Error> {
    of_manifest(store, &store.require(output)?.manifest)
}

fn of_manifest(store: &Store, manifest: &Manifest) -> Result<Node, nodulus_store::Error> {
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
        if input.name == sources::NAME {
            let sources: Option<Sources> = store.read_record(&sources::record_path(&input.key))?;
            node.cases = sources.unwrap_or_default().cases.into_iter().map(case).collect();
        } else if let Some(output) = Output::from_name(&input.name)
            && let Some(version) = store.version(output, &input.key)?
        {
            node = of_manifest(store, &version.manifest)?;
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
        }),
        inputs,
        cases: Vec::new(),
    })
}

fn case(source: crate::stages::ingest::SourceCase) -> SourceNode {
    SourceNode {
        cohort: source.cohort,
        case_id: source.case.case_id,
        n_files: source.case.images.len() + source.case.annotations.len(),
        content_sha256: source.content_sha256,
    }
}
