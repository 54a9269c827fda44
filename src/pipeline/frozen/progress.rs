//! What was done by a plan: the versions that its stages committed, and why shards could not be made.

use super::{Error, FrozenPlan};
use crate::pipeline::runner::ChosenVersions;
use crate::stages::Stage;
use crate::tables::Output;
use nodulus_store::{InputRef, Store, Version, clock, durable, record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

/// The outputs of a stage that were committed.
#[derive(Serialize, Deserialize)]
struct Committed {
    outputs: Vec<InputRef>,
}

/// Why a shard could not be made the last time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// What stopped it.
    pub cause: String,
    /// The machine.
    pub host: String,
    /// When, in UTC.
    pub at: String,
}

/// The causes of a stage, by shard.
pub type Causes = BTreeMap<usize, Cause>;

impl FrozenPlan {
    /// Keeps which versions a stage committed.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn set_committed(
        &self,
        store: &Store,
        stage: Stage,
        versions: &[Version],
    ) -> Result<(), Error> {
        let outputs = versions.iter().map(|version| version.manifest.as_input()).collect();
        fs_err::create_dir_all(self.folder(store).join("committed"))?;
        Ok(record::write(&self.committed_path(store, stage), &Committed { outputs })?)
    }

    /// The versions that stages committed.
    ///
    /// # Errors
    ///
    /// Fails if a stage has committed none, or its record cannot be read.
    pub fn committed(
        &self,
        store: &Store,
        stage: Stage,
        makers: impl IntoIterator<Item = Stage>,
    ) -> Result<ChosenVersions, Error> {
        let mut chosen = ChosenVersions::new();
        for earlier in makers {
            let committed = self.committed_by(store, earlier)?;
            for input in committed.ok_or(Error::NotCommitted { stage, earlier })? {
                if let Some(output) = Output::from_name(&input.name) {
                    chosen.insert(output, vec![input]);
                }
            }
        }
        Ok(chosen)
    }

    /// The versions that a stage committed, if it has.
    ///
    /// # Errors
    ///
    /// Fails if its record cannot be read.
    pub fn committed_by(
        &self,
        store: &Store,
        stage: Stage,
    ) -> Result<Option<Vec<InputRef>>, Error> {
        let committed: Option<Committed> = record::read(&self.committed_path(store, stage))?;
        Ok(committed.map(|committed| committed.outputs))
    }

    /// Keeps why a shard could not be made, or that nothing stops it any more.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn set_cause(
        &self,
        store: &Store,
        stage: Stage,
        shard: usize,
        cause: Option<String>,
    ) -> Result<(), Error> {
        let folder = self.causes_folder(store, stage);
        let path = folder.join(format!("{shard}.json"));
        let Some(cause) = cause else {
            return Ok(durable::remove(&path)?);
        };
        fs_err::create_dir_all(&folder)?;
        let host = fs_err::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let cause =
            Cause { cause, host: host.trim().to_owned(), at: clock::timestamp(SystemTime::now()) };
        Ok(record::write(&path, &cause)?)
    }

    /// Why shards could not be made.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read.
    pub fn causes(&self, store: &Store, stage: Stage) -> Result<Causes, Error> {
        let mut causes = Causes::new();
        let folder = self.causes_folder(store, stage);
        if !folder.exists() {
            return Ok(causes);
        }
        for entry in fs_err::read_dir(&folder)? {
            let path = entry?.path();
            let number = path.file_stem().and_then(|name| name.to_str()?.parse().ok());
            if let (Some(number), Some(cause)) = (number, record::read(&path)?) {
                causes.insert(number, cause);
            }
        }
        Ok(causes)
    }

    fn committed_path(&self, store: &Store, stage: Stage) -> PathBuf {
        self.folder(store).join("committed").join(format!("{stage}.json"))
    }

    fn causes_folder(&self, store: &Store, stage: Stage) -> PathBuf {
        self.folder(store).join("causes").join(stage.name())
    }
}
