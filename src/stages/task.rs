//! What a stage works with.

use super::ingest::sources::Sources;
use crate::tables::Error;
use nodulus_formats::dicom::Tolerances;
use nodulus_nets::Device;
use nodulus_store::{InputRef, Job, OutputSpec, Store, TableSpec, Version};
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

/// A stage's work: its inputs, its outputs and the resources it may use.
pub struct Task<'a> {
    /// The store.
    pub store: &'a Store,
    /// The outputs to make, and the inputs to make them from.
    pub job: &'a Job,
    /// The frozen list of sources; empty for every stage but ingest.
    pub sources: &'a Sources,
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
    /// Receives the progress.
    pub progress: &'a (dyn Fn(Event) + Sync),
}

impl Task<'_> {
    /// The version of an input that the job was planned with.
    ///
    /// # Errors
    ///
    /// Fails if the job has no such input, or the store cannot be read.
    pub fn input(&self, output: impl Into<OutputSpec>) -> Result<Version, Error> {
        let output = output.into();
        self.optional_input(output)?.ok_or_else(|| self.not_made(output))
    }

    /// All versions of an input that the job was planned with: several models' predictions, or the weights of several
    /// folds.
    ///
    /// # Errors
    ///
    /// Fails if the job has no such input, or the store cannot be read.
    pub fn inputs(&self, output: impl Into<OutputSpec>) -> Result<Vec<Version>, Error> {
        let output = output.into();
        let missing = || self.not_made(output);
        let inputs = self.job.spec().inputs.iter().filter(|input| input.name == output.name());
        let version =
            |input: &InputRef| self.store.version(output, &input.key)?.ok_or_else(missing);
        let versions = inputs.map(version).collect::<Result<Vec<_>, _>>()?;
        if versions.is_empty() { Err(missing()) } else { Ok(versions) }
    }

    /// [`Self::input`], or `None` where the job was planned without this input.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read.
    pub fn optional_input(&self, output: impl Into<OutputSpec>) -> Result<Option<Version>, Error> {
        let output = output.into();
        let input = self.job.spec().inputs.iter().find(|input| input.name == output.name());
        input.map_or(Ok(None), |input| self.store.version(output, &input.key))
    }

    /// [`Self::input`] for a table.
    ///
    /// # Errors
    ///
    /// As [`Self::input`].
    pub fn table(&self, table: impl Into<&'static TableSpec>) -> Result<Version, Error> {
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
