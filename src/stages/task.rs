//! What a stage works with.

use super::ingest::sources::{SourceCase, Sources};
use super::spec::StageError;
use crate::tables::{Error, Output, Table};
use nodulus_formats::dicom::Tolerances;
use nodulus_nets::Device;
use nodulus_store::{OutputSpec, Store, TableSpec, Version};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Progress of a stage.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Number of cases done.
    Cases {
        /// Cases done.
        done: usize,
        /// Cases in all.
        total: usize,
        /// A few words on the work in progress; often empty.
        note: String,
    },
    /// A line of text.
    Note(String),
}

/// Where each case lies now, by its cohort's name and its content.
#[derive(Debug, Default)]
pub struct Places<'a> {
    sources: Cow<'a, Sources>,
    /// The shard of each case, and its position in it.
    positions: BTreeMap<(String, String), (usize, usize)>,
}

impl<'a> Places<'a> {
    /// The places of listed cases; of several cases with one content, that of the last.
    pub fn of(sources: Cow<'a, Sources>) -> Self {
        let mut positions = BTreeMap::new();
        for (shard, cases) in sources.shards.iter().enumerate() {
            for (n, case) in cases.iter().enumerate() {
                let content = (case.cohort.clone(), case.content_sha256.clone());
                positions.insert(content, (shard, n));
            }
        }
        Self { sources, positions }
    }

    /// The case of a cohort with a content.
    pub fn find(&self, cohort: &str, content_sha256: &str) -> Option<&SourceCase> {
        let content = (cohort.to_owned(), content_sha256.to_owned());
        let (shard, n) = self.positions.get(&content)?;
        self.sources.shards.get(*shard)?.get(*n)
    }
}

/// What a stage works with: its inputs and the resources it may use.
pub struct Task<'a> {
    /// The store.
    pub store: &'a Store,
    /// The versions to work from; several of one output where the stage reads several models.
    pub inputs: &'a [Version],
    /// The list of sources; empty for every stage but ingest.
    pub sources: &'a Sources,
    /// Lists where each case lies now, which may be elsewhere than where it was read.
    pub places: &'a (dyn Fn() -> Result<Places<'a>, StageError> + Sync),
    /// Root folder of each cohort's files, by the cohort's name.
    pub roots: &'a BTreeMap<String, PathBuf>,
    /// How far slices of a DICOM series may lie off an even grid.
    pub tolerances: Tolerances,
    /// Weights from outside the store: `infer` predicts with them, `train` starts from them.
    pub weights: Option<&'a Path>,
    /// Where networks run.
    pub device: &'a Device,
    /// Bytes of memory for scans, or for the network and a batch of slices.
    pub max_memory: u64,
    /// Whether the stage is planned and not run: long work is then left out.
    pub plans_only: bool,
    /// Whether shards of the inputs are still to be made, and have no rows yet or old ones; only in a plan.
    pub is_incomplete: bool,
    /// Whether new cases are all that makes the inputs incomplete: those that the store has are read and none has changed.
    pub is_growth: bool,
    /// Receives the progress.
    pub progress: &'a (dyn Fn(Event) + Sync),
}

impl Task<'_> {
    /// An input.
    ///
    /// # Errors
    ///
    /// Fails if there is no such input.
    pub fn input(&self, output: impl Into<OutputSpec>) -> Result<&Version, Error> {
        let output = output.into();
        self.optional_input(output).ok_or_else(|| self.not_made(output))
    }

    /// All versions of an input: several models' predictions, or the weights of several folds.
    ///
    /// # Errors
    ///
    /// Fails if there is no such input.
    pub fn inputs(&self, output: impl Into<OutputSpec>) -> Result<Vec<&Version>, Error> {
        let output = output.into();
        let versions: Vec<_> =
            self.inputs.iter().filter(|version| version.output() == output).collect();
        if versions.is_empty() { Err(self.not_made(output)) } else { Ok(versions) }
    }

    /// `predictions` of every model of the store, then those of other programs, which have the columns of
    /// [`SliceProbability`](crate::tables::SliceProbability) and `mask_bits` too.
    ///
    /// # Errors
    ///
    /// Fails if there is no such input.
    pub fn all_predictions(&self) -> Result<Vec<&Version>, Error> {
        let mut versions = self.inputs(Output::Table(Table::Predictions))?;
        versions.extend(self.inputs(Output::Table(Table::OutsidePredictions))?);
        Ok(versions)
    }

    /// [`Self::input`], or `None` where the stage is run without this input.
    pub fn optional_input(&self, output: impl Into<OutputSpec>) -> Option<&Version> {
        let output = output.into();
        self.inputs.iter().find(|version| version.output() == output)
    }

    /// [`Self::input`] for a table.
    ///
    /// # Errors
    ///
    /// As [`Self::input`].
    pub fn table(&self, table: impl Into<&'static TableSpec>) -> Result<&Version, Error> {
        self.input(table.into())
    }

    fn not_made(&self, output: OutputSpec) -> Error {
        Error::NotMade { output: output.name(), store: self.store.root().to_owned() }
    }

    /// Reports the number of cases done.
    pub fn cases(&self, done: usize, total: usize) {
        (self.progress)(Event::Cases { done, total, note: String::new() });
    }
}
