//! The versions of a job's outputs: as they would be, and written once all shards are committed.

use crate::claim::Claim;
use crate::job;
use crate::seal::{self, is_sealed};
use crate::shard_record::{ShardRecord, record_path};
use crate::version::{self, Manifest, ShardSummary, manifest_path};
use crate::{Error, InputRef, Job, OutputSpec, Version, durable, record, view};
use fs_err as fs;
use std::collections::BTreeMap;
use std::path::Path;

/// What a shard without a record is in a version.
#[derive(Clone, Copy)]
enum Missing {
    /// A fault.
    Fails,
    /// A shard without files.
    IsEmpty,
}

impl Job {
    /// The versions as they would be: a shard that is still to be made for the first time has no files, and one that is
    /// made again has its old ones. Nothing is written.
    ///
    /// # Errors
    ///
    /// Fails if the records cannot be read.
    pub fn foreseen(&self) -> Result<Vec<Version>, Error> {
        let of_output = |output: &OutputSpec| {
            let folder = self.folder(*output);
            let manifest = self.manifest(*output, &self.known(*output)?, Missing::IsEmpty)?;
            Ok(Version::new(&folder, *output, manifest))
        };
        self.spec().outputs.iter().map(of_output).collect()
    }

    /// Writes the versions and makes them the current ones.
    ///
    /// # Errors
    ///
    /// Fails if a shard is not committed, its record cannot be read, or the store cannot be written to.
    pub fn finish(&self) -> Result<Vec<Version>, Error> {
        let mut versions = Vec::new();
        let mut unwritten = Vec::new();
        let mut is_replaced = !self.redone.is_empty();
        let mut is_synced = false;
        for output in &self.spec().outputs {
            let folder = self.folder(*output);
            let path = manifest_path(&folder, self.key());
            let known = self.known(*output)?;
            let mut manifest = self.manifest(*output, &known, Missing::Fails)?;
            let is_new = |key: &&String| !known.contains_key(*key) && !is_sealed(&folder, key);
            for key in self.shard_keys.iter().filter(is_new) {
                if !is_synced {
                    durable::sync_all_below(&self.store)?;
                    is_synced = true;
                }
                seal::seal(&folder, key)?;
            }
            // One that is damaged is written anew.
            let earlier = record::read::<Manifest>(&path).or_else(|error| match error {
                Error::Record { .. } | Error::RecordDamaged { .. } => Ok(None),
                error => Err(error),
            })?;
            match earlier {
                Some(earlier) if is_as(&earlier, &manifest) => manifest = earlier,
                earlier => {
                    is_replaced |= earlier.is_some_and(|e| e.shards != manifest.shards);
                    unwritten.push(versions.len());
                }
            }
            versions.push(Version::new(&folder, *output, manifest));
        }
        durable::at_once(&unwritten, |n| {
            let version = &versions[*n];
            version.manifest.write(&self.folder(version.output()))
        })?;
        durable::at_once(&versions, |version| {
            let folder = self.folder(version.output());
            if is_replaced {
                remove_broken_versions(&folder, &version.manifest)?;
            }
            view::show(&folder, version, is_replaced)?;
            let current = folder.join("CURRENT");
            let line = format!("{}\n", self.key());
            if fs::read_to_string(&current).ok().as_deref() != Some(&line) {
                durable::write(&current, line.as_bytes())?;
            }
            Ok::<(), Error>(())
        })?;
        self.remove_states()?;
        Ok(versions)
    }

    /// Removes the states of finished shards, but not of one that another process makes again.
    fn remove_states(&self) -> Result<(), Error> {
        let claims = self.claims()?;
        if !claims.join("unfinished").exists() {
            return Ok(());
        }
        for key in &self.shard_keys {
            let state = self.unfinished(key)?;
            if !state.exists() {
                continue;
            }
            if let Some(claim) = Claim::try_take(&claims, key)? {
                durable::remove(&state)?;
                claim.finish()?;
            }
        }
        Ok(())
    }

    fn manifest(
        &self,
        output: OutputSpec,
        known: &BTreeMap<String, ShardSummary>,
        missing: Missing,
    ) -> Result<Manifest, Error> {
        let folder = self.folder(output);
        let mut shards = Vec::with_capacity(self.n_shards());
        for key in &self.shard_keys {
            if let Some(known) = known.get(key) {
                shards.push(known.clone());
                continue;
            }
            let path = record_path(&folder, key);
            let record: Option<ShardRecord> = record::read(&path)?;
            shards.push(match (record, missing) {
                (Some(record), _) => ShardSummary::of(&record),
                (None, Missing::IsEmpty) => ShardSummary::empty(key),
                (None, Missing::Fails) => return Err(Error::ShardMissing { path }),
            });
        }
        let spec = self.spec();
        Ok(Manifest {
            output: output.name().to_owned(),
            key: self.key().to_owned(),
            schema_version: output.schema_version(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            stage: spec.stage.to_owned(),
            stage_version: spec.stage_version,
            config: spec.config.clone(),
            inputs: spec.inputs.clone(),
            kept_beside: None,
            rows: shards.iter().flat_map(|s| &s.parts).map(|p| p.rows).sum(),
            content_sha256: version::content_of(&shards),
            shards,
        })
    }

    /// The shards of the output's current version that were not made again since, by their keys: their records need not be
    /// read. One that an interrupted run made again has no seal yet.
    pub(crate) fn known(
        &self,
        output: OutputSpec,
    ) -> Result<BTreeMap<String, ShardSummary>, Error> {
        let current = job::current(&self.store, output)?;
        let mut shards: Vec<ShardSummary> =
            current.map_or_else(Vec::new, |version| version.manifest.shards);
        let folder = self.folder(output);
        shards.retain(|shard| !self.redone.contains(&shard.key) && is_sealed(&folder, &shard.key));
        Ok(shards.into_iter().map(|shard| (shard.key.clone(), shard)).collect())
    }
}

/// Whether a version says what it would say now. One that was kept beside other inputs, or has the same shards of other
/// inputs, does not.
fn is_as(earlier: &Manifest, now: &Manifest) -> bool {
    earlier.kept_beside.is_none()
        && earlier.shards == now.shards
        && InputRef::are_same(&earlier.inputs, &now.inputs)
}

/// Removes the records of versions that list a shard of this one with other files, which are gone.
fn remove_broken_versions(folder: &Path, of: &Manifest) -> Result<(), Error> {
    let now: BTreeMap<&str, &ShardSummary> =
        of.shards.iter().map(|shard| (&*shard.key, shard)).collect();
    for entry in durable::entries(&folder.join("versions"))? {
        let path = entry?.path();
        if path == manifest_path(folder, &of.key) || path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        // A damaged record is left to `fsck`.
        let Ok(Some(other)) = record::read::<Manifest>(&path) else { continue };
        let is_broken =
            |shard: &ShardSummary| now.get(&*shard.key).is_some_and(|now| *now != shard);
        if other.shards.iter().any(is_broken) {
            durable::remove(&path)?;
        }
    }
    Ok(())
}
