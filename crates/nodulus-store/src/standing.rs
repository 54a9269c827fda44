//! How the shards of a job stand in the store: which are committed and whole, and which are still to be made.

use crate::claim::Claim;
use crate::damage::{self, Damage};
use crate::seal::{self, Found, Seal, Trust};
use crate::shard_record::{record_path, shard_folder};
use crate::version::ShardSummary;
use crate::{Error, Job, OutputSpec, durable, job, record};
use std::collections::BTreeMap;
use std::path::Path;

/// How the shards of a job stand; see [`Job::standing`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The shards by position, as a version would list them; `None` where none is committed, or it was not looked at.
    pub committed: Vec<Option<ShardSummary>>,
    /// The positions of the shards that are still to be made, ascending: also those of which a file is missing, or not as its
    /// record says.
    pub pending: Vec<usize>,
}

impl Standing {
    /// Number of cases that failed, in the shards that are committed.
    pub fn n_failures(&self) -> usize {
        self.committed.iter().flatten().map(|shard| shard.n_failures).sum()
    }
}

/// What is done about a shard that is not as its record says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnDamage {
    /// It is noted.
    Note,
    /// It is set aside as well, so that it can be made again.
    SetAside,
}

impl Job {
    /// Looks at the shards, each once. What is damaged is noted.
    ///
    /// # Errors
    ///
    /// Fails if the records cannot be read.
    pub fn standing(&self) -> Result<Standing, Error> {
        self.stand(OnDamage::Note)
    }

    /// Looks at the shards, for the [`work`](Self::work) that follows. Those that are not as their records say are made again:
    /// one of an interrupted run, whose machine may have stopped before it was safe on disk, is removed, any other is set aside
    /// and noted.
    ///
    /// # Errors
    ///
    /// Fails if a shard cannot be read, moved or removed.
    pub fn check_shards(&mut self) -> Result<Standing, Error> {
        let standing = self.stand(OnDamage::SetAside)?;
        self.checked = Some(standing.pending.clone());
        Ok(standing)
    }

    /// The positions of the shards that are still to be made, as they were when the shards were checked.
    pub(crate) fn to_make(&self) -> Result<Vec<usize>, Error> {
        let Some(checked) = &self.checked else {
            return Ok(self.stand(OnDamage::SetAside)?.pending);
        };
        let mut pending = checked.clone();
        pending.extend((0..self.n_shards()).filter(|n| self.is_redone(*n)));
        pending.sort_unstable();
        pending.dedup();
        Ok(pending)
    }

    fn stand(&self, on_damage: OnDamage) -> Result<Standing, Error> {
        let is_looked_at =
            |key: &&String| self.only.as_ref().is_none_or(|only| only.contains(*key));
        let keys = self.shard_keys.iter().filter(is_looked_at);
        let mut is_made: BTreeMap<&str, bool> =
            keys.map(|key| (&**key, !self.redone.contains(key))).collect();
        let mut summaries: Option<BTreeMap<&str, ShardSummary>> = None;
        for output in &self.spec().outputs {
            let folder = self.folder(*output);
            let current = job::current(&self.store, *output)?;
            let listed = current.map_or_else(Vec::new, |version| version.manifest.shards);
            let listed: BTreeMap<&str, &ShardSummary> =
                listed.iter().map(|shard| (&*shard.key, shard)).collect();
            let mut of_output = BTreeMap::new();
            for (key, is_made) in &mut is_made {
                let seal = Seal::read(&folder, key);
                // One that an interrupted run made again has no seal yet.
                let listed = listed.get(key).filter(|_| seal.is_some()).copied();
                let listed = listed.filter(|_| !self.redone.contains(*key));
                let found = self.look(*output, &folder, key, listed, seal.as_ref(), on_damage);
                let is_whole = match (found, on_damage) {
                    (Ok(is_whole), _) => is_whole,
                    (Err(error), OnDamage::SetAside) => return Err(error),
                    // What reads it says why it cannot be read.
                    (Err(_), OnDamage::Note) => true,
                };
                *is_made &= is_whole;
                if summaries.is_none() && is_whole {
                    let summary = match listed {
                        Some(listed) => Some(listed.clone()),
                        None => {
                            record::read(&record_path(&folder, key))?.as_ref().map(ShardSummary::of)
                        }
                    };
                    of_output.extend(summary.map(|summary| (*key, summary)));
                }
            }
            summaries.get_or_insert(of_output);
        }
        let summaries = summaries.unwrap_or_default();
        let keys = || self.shard_keys.iter().map(String::as_str);
        Ok(Standing {
            committed: keys().map(|key| summaries.get(key).cloned()).collect(),
            pending: keys()
                .enumerate()
                .filter(|(_, key)| is_made.get(key) == Some(&false))
                .map(|(n, _)| n)
                .collect(),
        })
    }

    /// Whether a shard is committed and whole. `listed` is it as the output's current version lists it.
    fn look(
        &self,
        output: OutputSpec,
        folder: &Path,
        key: &str,
        listed: Option<&ShardSummary>,
        seal: Option<&Seal>,
        on_damage: OnDamage,
    ) -> Result<bool, Error> {
        let shard = shard_folder(folder, key);
        if seal.is_none() && !shard.exists() {
            return Ok(false);
        }
        let parts = listed.map(|shard| &shard.parts[..]);
        let trust = seal.map_or(Trust::Nothing, Trust::Stamps);
        match (seal::look(folder, key, output, parts, trust)?, on_damage) {
            (Found::AsSealed, _) => Ok(true),
            (Found::Whole, _) => {
                // The next run need not read it again.
                if seal.is_some() && on_damage == OnDamage::SetAside {
                    seal::seal(folder, key)?;
                }
                Ok(true)
            }
            (Found::Damaged(damage), OnDamage::Note) => {
                damage.note();
                Ok(false)
            }
            (Found::Damaged(_), OnDamage::SetAside) if seal.is_none() => {
                durable::remove(&shard)?;
                Ok(false)
            }
            (Found::Damaged(damage), OnDamage::SetAside) => {
                // Another process may have made it again in the meantime.
                let Some(claim) = Claim::try_take(&self.claims()?, key)? else { return Ok(false) };
                if let Some(damage) = seal::look(folder, key, output, parts, trust)?.damage() {
                    let set_aside = damage::set_aside(&self.store, &shard)?;
                    Damage { set_aside, ..damage }.note();
                } else {
                    damage.note();
                }
                claim.finish()?;
                Ok(false)
            }
        }
    }
}
