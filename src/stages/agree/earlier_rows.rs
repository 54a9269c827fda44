//! Nodules that an earlier run compared, so that a shard that other scans have joined is made without comparing them again.

use super::Series;
use crate::stages::task::Task;
use crate::tables::{Error, Mark, Nodule, Output, ReaderAgreement, Scan, Table};
use nodulus_store::{Job, Version};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The tables of the current version and of what it was made from, and where its shards that are no longer have each series.
///
/// A nodule has the same row again if its own row, those of its marks, the scan's spacing and the code are the same.
pub(super) struct EarlierRows {
    scans: Version,
    marks: Version,
    nodules: Version,
    agreement: Version,
    shards: BTreeMap<Series, usize>,
}

/// A nodule as it was compared before.
pub(super) struct ComparedNodule {
    nodule: Nodule,
    marks: Vec<Mark>,
    spacing_mm: Option<[f64; 3]>,
    /// `None` where one reader alone marked it.
    pub(super) row: Option<ReaderAgreement>,
}

impl ComparedNodule {
    /// Whether a nodule with the marks that `mark` finds by their ids is this one.
    pub(super) fn is_same<'a>(
        &self,
        nodule: &Nodule,
        scan: Option<&Scan>,
        mark: impl Fn(&str) -> Option<&'a Mark>,
    ) -> bool {
        self.nodule == *nodule
            && self.spacing_mm.is_some()
            && scan.is_some_and(|scan| scan.spacing_mm() == self.spacing_mm)
            && self.marks.len() == nodule.mark_ids.len()
            && self.marks.iter().all(|before| mark(&before.mark_id) == Some(before))
    }
}

#[derive(Deserialize)]
struct ScanOwner {
    cohort: String,
    series_instance_uid: String,
}

impl EarlierRows {
    /// What can be taken over for a job; `None` where nothing can.
    ///
    /// # Errors
    ///
    /// Fails if the store's versions cannot be read.
    pub(super) fn of(task: &Task<'_>, job: &Job) -> Result<Option<Self>, Error> {
        let of_table = Output::Table(Table::ReaderAgreement);
        let Some(agreement) = task.store.current(of_table)? else { return Ok(None) };
        let made = &agreement.manifest;
        let is_same_work = made.stage_version == job.spec().stage_version
            && made.schema_version == Table::ReaderAgreement.spec().schema_version;
        let mut inputs = Vec::new();
        for table in [Table::Scans, Table::Marks, Table::Nodules] {
            let input = made.inputs.iter().find(|input| input.name == table.name());
            let Some(input) = input.filter(|_| is_same_work) else { return Ok(None) };
            let version = task.store.version(Output::Table(table), &input.key)?;
            let is_like = |version: &Version| {
                version.manifest.schema_version == table.spec().schema_version
                    && version.manifest.n_shards() == made.n_shards()
            };
            let Some(version) = version.filter(is_like) else { return Ok(None) };
            inputs.push(version);
        }
        let Ok([scans, marks, nodules]) = <[Version; 3]>::try_from(inputs) else { return Ok(None) };
        let stays: BTreeSet<&str> = job.shard_keys().iter().map(String::as_str).collect();
        let mut shards = BTreeMap::new();
        for (n, shard) in made.shards.iter().enumerate() {
            if stays.contains(&*shard.key) || shard.n_failures > 0 {
                continue;
            }
            // What cannot be read is compared again.
            for batch in scans.shard_columns::<ScanOwner>(n, &["cohort", "series_instance_uid"]) {
                let Ok(batch) = batch else { break };
                shards.extend(batch.into_iter().map(|s| ((s.cohort, s.series_instance_uid), n)));
            }
        }
        Ok(Some(Self { scans, marks, nodules, agreement, shards }))
    }

    /// The nodules of these series as they were compared, by their ids. Those that cannot be read are left out.
    pub(super) fn read<'a>(
        &self,
        series: impl Iterator<Item = &'a Series>,
    ) -> BTreeMap<String, ComparedNodule> {
        let shards: BTreeSet<usize> = series.filter_map(|s| self.shards.get(s).copied()).collect();
        let of_shards = shards.into_iter().filter_map(|shard| self.read_shard(shard));
        of_shards.flatten().map(|compared| (compared.nodule.nodule_id.clone(), compared)).collect()
    }

    fn read_shard(&self, shard: usize) -> Option<Vec<ComparedNodule>> {
        let series = |cohort: &str, uid: &str| (cohort.to_owned(), uid.to_owned());
        let scans: BTreeMap<Series, Option<[f64; 3]>> = self
            .scans
            .all_shard_rows::<Scan>(shard)
            .ok()?
            .into_iter()
            .map(|scan| (series(&scan.cohort, &scan.series_instance_uid), scan.spacing_mm()))
            .collect();
        let mut marks: BTreeMap<String, Mark> = self
            .marks
            .all_shard_rows::<Mark>(shard)
            .ok()?
            .into_iter()
            .map(|mark| (mark.mark_id.clone(), mark))
            .collect();
        let mut rows: BTreeMap<String, ReaderAgreement> = self
            .agreement
            .all_shard_rows::<ReaderAgreement>(shard)
            .ok()?
            .into_iter()
            .map(|row| (row.nodule_id.clone(), row))
            .collect();
        let compared =
            self.nodules.all_shard_rows::<Nodule>(shard).ok()?.into_iter().map(|nodule| {
                let of_scan = series(&nodule.cohort, &nodule.series_instance_uid);
                ComparedNodule {
                    marks: nodule.mark_ids.iter().filter_map(|id| marks.remove(id)).collect(),
                    spacing_mm: scans.get(&of_scan).copied().flatten(),
                    row: rows.remove(&nodule.nodule_id),
                    nodule,
                }
            });
        Some(compared.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::nodule;
    use crate::stages::ingest::tests::{mark, scan};

    #[test]
    fn a_nodule_is_the_same_only_with_the_same_marks_and_spacing() {
        let marks = [mark("a", 0, [4, 4, 0], [2, 2, 1]), mark("b", 1, [4, 4, 0], [2, 2, 1])];
        let mut of_marks = nodule("n", [0, 0, 0], [1, 1, 1]);
        of_marks.mark_ids = marks.iter().map(|mark| mark.mark_id.clone()).collect();
        let before = ComparedNodule {
            nodule: of_marks.clone(),
            marks: marks.to_vec(),
            spacing_mm: scan().spacing_mm(),
            row: None,
        };
        let is_same = |nodule: &Nodule, scan: Option<&Scan>, marks: &[Mark]| {
            before.is_same(nodule, scan, |id| marks.iter().find(|mark| mark.mark_id == id))
        };
        assert!(is_same(&of_marks, Some(&scan()), &marks));
        assert!(!is_same(&of_marks, None, &marks));
        assert!(!is_same(&of_marks, Some(&scan()), &marks[..1]));
        let wider = Scan { spacing_i_mm: 2.0 * scan().spacing_i_mm, ..scan() };
        assert!(!is_same(&of_marks, Some(&wider), &marks));
        let larger = [marks[0].clone(), mark("b", 1, [4, 4, 0], [3, 2, 1])];
        assert!(!is_same(&of_marks, Some(&scan()), &larger));
        let fewer = Nodule { mark_ids: vec!["a".to_owned()], ..of_marks };
        assert!(!is_same(&fewer, Some(&scan()), &marks));
    }
}
