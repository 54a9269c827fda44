//! Rows of cases that an earlier run read, so that a shard that others have joined is made without reading them again.

use super::case_rows::CaseRows;
use super::config::Config;
use super::sources::SourceCase;
use crate::tables::{Exclusion, Mark, PassedOverFile, Scan, Table};
use nodulus_store::{Error, Job, ShardCase, ShardRecord, Store, Version};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The tables of the stage, in the order of its outputs.
const TABLES: [Table; 4] = [Table::Scans, Table::Marks, Table::Exclusions, Table::PassedOver];

/// The shards of the current version that the new one lists no longer, with their cases.
///
/// A case has the same rows again if its content, the place of its files, the settings and the code are the same. What any case
/// of another shard says does not matter.
#[derive(Default)]
pub(crate) struct EarlierRows {
    /// The current versions, in the order of [`TABLES`]; empty where nothing can be taken over.
    versions: Vec<Version>,
    /// The records of `scans`' shards, by their positions.
    records: BTreeMap<usize, ShardRecord>,
    /// The position of each case: shard, and case in the shard, by cohort and case.
    cases: BTreeMap<(String, String), (usize, usize)>,
}

impl EarlierRows {
    /// What can be taken over for a job.
    ///
    /// # Errors
    ///
    /// Fails if the store's versions cannot be read. A record that cannot be read costs time and no result.
    pub(crate) fn of(config: &Config, store: &Store, job: &Job) -> Result<Self, Error> {
        let mut found = Self::default();
        // Whether a scan is the thinnest of its study depends on the other cases of its shard.
        if config.inclusion.thinnest_of_study {
            return Ok(found);
        }
        let mut versions = Vec::new();
        for table in TABLES {
            let Some(version) = store.current(crate::tables::Output::Table(table))? else {
                return Ok(found);
            };
            versions.push(version);
        }
        let made = &versions[0].manifest;
        let is_same_work = versions.iter().zip(TABLES).all(|(version, table)| {
            version.manifest.key == made.key
                && version.manifest.schema_version == table.spec().schema_version
        }) && made.stage_version == job.spec().stage_version
            && without_shard_size(&made.config) == without_shard_size(&job.spec().config);
        if !is_same_work {
            return Ok(found);
        }
        let stays: BTreeSet<&str> = job.shard_keys().iter().map(String::as_str).collect();
        for (n, shard) in made.shards.iter().enumerate().filter(|(_, s)| !stays.contains(&*s.key)) {
            let Ok(record) = versions[0].shard_record(n) else { continue };
            let n_rows: Vec<u64> = versions
                .iter()
                .map(|version| {
                    let parts = version.manifest.shards.get(n).map(|shard| shard.parts.iter());
                    parts.into_iter().flatten().map(|part| part.rows).sum()
                })
                .collect();
            if shard.key != record.key || rows_of(&record).as_deref() != Some(&n_rows) {
                continue;
            }
            for (at, case) in record.cases.iter().enumerate() {
                found.cases.insert((case.cohort.clone(), case.case_id.clone()), (n, at));
            }
            found.records.insert(n, record);
        }
        found.versions = versions;
        Ok(found)
    }

    /// Whether the rows of a case of the job's shard at this position can be taken over.
    pub(crate) fn has(&self, job: &Job, shard: usize, source: &SourceCase) -> bool {
        self.position(job, shard, source).is_some()
    }

    fn position(&self, job: &Job, shard: usize, source: &SourceCase) -> Option<(usize, usize)> {
        if self.cases.is_empty() || job.is_redone(shard) {
            return None;
        }
        let id = (source.cohort.clone(), source.case.case_id.clone());
        let position = *self.cases.get(&id)?;
        let record = self.records.get(&position.0)?;
        let case = record.cases.get(position.1)?;
        let reading = case.reading.as_ref()?;
        let is_same = record.config == *job.spec().shards.get(shard)?.config
            && record.stage_version == job.spec().stage_version
            && case.content_sha256 == source.content_sha256
            && reading.places_sha256 == source.places_sha256;
        // A case that failed is read again.
        (is_same && reading.rows.last() == Some(&0)).then_some(position)
    }

    /// The rows of those cases that can be taken over, by their positions among `cases`, which are those of the job's shard.
    /// Rows that cannot be read are left out, so that their cases are read.
    pub(super) fn read(
        &self,
        job: &Job,
        shard: usize,
        cases: &[SourceCase],
    ) -> BTreeMap<usize, CaseRows> {
        let mut wanted: BTreeMap<usize, BTreeMap<usize, usize>> = BTreeMap::new();
        for (n, source) in cases.iter().enumerate() {
            if let Some((earlier, at)) = self.position(job, shard, source) {
                wanted.entry(earlier).or_default().insert(at, n);
            }
        }
        let mut found = BTreeMap::new();
        for (earlier, of_shard) in wanted {
            if let Some(rows) = self.rows_of_shard(earlier) {
                let rows = rows.into_iter().enumerate();
                found.extend(rows.filter_map(|(at, rows)| Some((*of_shard.get(&at)?, rows))));
            }
        }
        found
    }

    /// The rows of each case of an earlier shard; `None` where they cannot be read.
    fn rows_of_shard(&self, shard: usize) -> Option<Vec<CaseRows>> {
        let [scans, marks, exclusions, passed_over] = &self.versions[..] else { return None };
        let mut scans = scans.all_shard_rows::<Scan>(shard).ok()?.into_iter();
        let mut marks = marks.all_shard_rows::<Mark>(shard).ok()?.into_iter();
        let mut exclusions = exclusions.all_shard_rows::<Exclusion>(shard).ok()?.into_iter();
        let mut passed_over = passed_over.all_shard_rows::<PassedOverFile>(shard).ok()?.into_iter();
        let of_case = |case: &ShardCase| {
            let [n_scans, n_marks, n_exclusions, n_passed_over, _] =
                <[u64; 5]>::try_from(case.reading.as_ref()?.rows.as_slice()).ok()?;
            Some(CaseRows {
                scans: scans.by_ref().take(usize::try_from(n_scans).ok()?).collect(),
                marks: marks.by_ref().take(usize::try_from(n_marks).ok()?).collect(),
                exclusions: exclusions.by_ref().take(usize::try_from(n_exclusions).ok()?).collect(),
                passed_over: passed_over
                    .by_ref()
                    .take(usize::try_from(n_passed_over).ok()?)
                    .collect(),
                failures: Vec::new(),
            })
        };
        self.records.get(&shard)?.cases.iter().map(of_case).collect()
    }
}

/// Number of rows in each table, summed up over the cases of a shard; `None` where a case does not tell.
fn rows_of(record: &ShardRecord) -> Option<Vec<u64>> {
    let mut sums = vec![0; TABLES.len()];
    for case in &record.cases {
        let rows = &case.reading.as_ref()?.rows;
        if rows.len() != TABLES.len() + 1 {
            return None;
        }
        sums.iter_mut().zip(rows).for_each(|(sum, rows)| *sum += rows);
    }
    Some(sums)
}

fn without_shard_size(config: &Value) -> Value {
    let mut config = config.clone();
    if let Some(settings) = config.as_object_mut() {
        settings.shift_remove("shard_size");
    }
    config
}
