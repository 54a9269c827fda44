//! Digests of samples by cohort, split and fold, so that what is made from some patients alone depends on no others.

use super::Error;
use crate::stages::Task;
use crate::tables::{Sample, Scan, Table};
use nodulus_store::{RowSum, Version, hash};
use std::collections::BTreeMap;

/// The samples of a cohort that share a split and a fold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::stages) struct Group {
    /// The cohort.
    pub(in crate::stages) cohort: String,
    /// The split.
    pub(in crate::stages) split: String,
    /// The fold.
    pub(in crate::stages) fold: Option<i64>,
}

impl Group {
    /// The group of a sample.
    pub(in crate::stages) fn of(sample: &Sample) -> Self {
        let (cohort, split) = (sample.cohort.clone(), sample.split.clone());
        Self { cohort, split, fold: sample.fold }
    }

    /// Its name in the record of a shard.
    fn name(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&(&self.cohort, &self.split, self.fold))
    }

    fn named(name: &str) -> Option<Self> {
        let (cohort, split, fold) = serde_json::from_str(name).ok()?;
        Some(Self { cohort, split, fold })
    }
}

/// The digest of each group of a shard's samples, by the group's name: a sum over scans, of each scan's row, its samples and all
/// slices of their nodules. `nodules` are the digests of nodules' slices.
///
/// METHOD: it covers what training reads of these patients. Where files lie is no part of it, and split and fold are the
/// group's.
///
/// # Errors
///
/// Fails if a nodule has no digest, or a row has no JSON form.
pub(super) fn of_shard(
    scans: &[Scan],
    samples: &[Sample],
    nodules: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Error> {
    let sums = of_groups(scans, samples, nodules)?.into_iter();
    sums.map(|(group, sum)| Ok((group.name()?, sum.to_string()))).collect()
}

fn of_groups(
    scans: &[Scan],
    samples: &[Sample],
    nodules: &BTreeMap<String, String>,
) -> Result<BTreeMap<Group, RowSum>, Error> {
    let mut rows: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for scan in scans {
        let row = Scan { path: None, annotation_paths: Vec::new(), ..scan.clone() };
        let id = (scan.cohort.as_str(), scan.series_instance_uid.as_str());
        rows.insert(id, serde_json::to_string(&row)?);
    }
    let mut scans: BTreeMap<(Group, &str), Vec<String>> = BTreeMap::new();
    for sample in samples {
        let (series, group) = (sample.series_instance_uid.as_str(), Group::of(sample));
        let scan = rows.get(&(sample.cohort.as_str(), series)).cloned();
        let parts = scans.entry((group, series)).or_insert_with(|| vec![scan.unwrap_or_default()]);
        let slices = nodules.get(&sample.nodule_id).cloned();
        parts.push(slices.ok_or(Error::NoDigests { table: Table::Rois.name() })?);
        let row = Sample { split: String::new(), fold: None, ..sample.clone() };
        parts.push(serde_json::to_string(&row)?);
    }
    let mut sums: BTreeMap<Group, RowSum> = BTreeMap::new();
    for ((group, _), parts) in scans {
        let scan = hash::sha256_parts(parts.iter().map(String::as_str));
        sums.entry(group).or_default().add(&scan);
    }
    Ok(sums)
}

/// The digest of each group of all samples, as the shards' records have them.
///
/// # Errors
///
/// Fails if a record cannot be read, or holds no such digests. In a plan, shards that are still to be made are left out.
pub(in crate::stages) fn digests(task: &Task<'_>) -> Result<BTreeMap<Group, RowSum>, Error> {
    let samples = task.table(Table::Samples)?;
    let mut sums: BTreeMap<Group, RowSum> = BTreeMap::new();
    for shard in 0..samples.manifest.n_shards() {
        if task.is_incomplete && is_missing(samples, shard) {
            continue;
        }
        let found = samples.shard_record(shard)?.digests;
        let n_rows: u64 = samples
            .manifest
            .shards
            .get(shard)
            .into_iter()
            .flat_map(|s| &s.parts)
            .map(|part| part.rows)
            .sum();
        if found.is_empty() && n_rows > 0 {
            return Err(Error::NoDigests { table: Table::Samples.name() });
        }
        for (name, digest) in found {
            let (Some(group), Some(sum)) = (Group::named(&name), RowSum::parse(&digest)) else {
                return Err(Error::Digest { name, digest });
            };
            sums.entry(group).or_default().merge(sum);
        }
    }
    Ok(sums)
}

/// The digests of chosen scans, each as a sum over those of which some samples are chosen: one sum for each choice.
///
/// METHOD: where all scans of a group are chosen, the sum is the group's own.
///
/// # Errors
///
/// Fails if a table cannot be read, or `rois` has no digests of its nodules.
pub(in crate::stages) fn digests_of<const N: usize>(
    scans: &Version,
    rois: &Version,
    samples: &Version,
    is_chosen: &dyn Fn(&Sample) -> [bool; N],
) -> Result<[RowSum; N], Error> {
    let mut sums = [RowSum::default(); N];
    for shard in 0..samples.manifest.n_shards() {
        let mut chosen: [Vec<Sample>; N] = std::array::from_fn(|_| Vec::new());
        for batch in samples.shard_rows::<Sample>(shard) {
            for sample in batch? {
                for (chosen, is_chosen) in chosen.iter_mut().zip(is_chosen(&sample)) {
                    chosen.extend(is_chosen.then(|| sample.clone()));
                }
            }
        }
        if chosen.iter().all(Vec::is_empty) {
            continue;
        }
        let scans = scans.all_shard_rows::<Scan>(shard)?;
        let nodules = rois.shard_record(shard)?.digests;
        for (sum, chosen) in sums.iter_mut().zip(chosen) {
            of_groups(&scans, &chosen, &nodules)?.into_values().for_each(|rows| sum.merge(rows));
        }
    }
    Ok(sums)
}

/// Whether a shard of a foreseen version has no files yet.
fn is_missing(version: &Version, shard: usize) -> bool {
    version.manifest.shards.get(shard).is_none_or(|shard| shard.parts.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(scan: &str, k: usize, split: &str, fold: Option<i64>) -> Sample {
        Sample {
            roi_id: format!("{scan}-n-k{k}"),
            nodule_id: format!("{scan}-n"),
            cohort: "c".to_owned(),
            series_instance_uid: scan.to_owned(),
            patient_id: scan.to_owned(),
            role: "nodule".to_owned(),
            split_by: "patient".to_owned(),
            split: split.to_owned(),
            fold,
        }
    }

    fn scan(series: &str, kernel: &str) -> Scan {
        Scan {
            cohort: "c".to_owned(),
            series_instance_uid: series.to_owned(),
            kernel: Some(kernel.to_owned()),
            path: Some(kernel.to_owned()),
            ..Scan::default()
        }
    }

    fn nodules() -> BTreeMap<String, String> {
        ["a", "b", "t"].map(|scan| (format!("{scan}-n"), format!("digest of {scan}"))).into()
    }

    #[test]
    fn a_group_s_digest_depends_on_its_own_scans_however_shards_divide_them() {
        let scans = ["a", "b", "t"].map(|series| scan(series, "SOFT"));
        let samples = [
            sample("a", 0, "train", Some(0)),
            sample("a", 1, "train", Some(0)),
            sample("b", 0, "train", Some(0)),
            sample("t", 0, "test", None),
        ];
        let all = of_shard(&scans, &samples, &nodules()).unwrap();
        let names: Vec<&str> = all.keys().map(String::as_str).collect();
        assert_eq!(names, [r#"["c","test",null]"#, r#"["c","train",0]"#]);
        let train = |scans: &[Scan], samples: &[Sample], nodules: &BTreeMap<String, String>| {
            let digests = of_shard(scans, samples, nodules).unwrap();
            RowSum::parse(digests.get(names[1]).map_or("", String::as_str))
        };
        let expected = train(&scans, &samples, &nodules());
        // Without the test scan, and in two shards.
        assert_eq!(train(&scans[..2], &samples[..3], &nodules()), expected);
        let mut sum = train(&scans[..1], &samples[..2], &nodules()).unwrap();
        sum.merge(train(&scans[1..], &samples[2..], &nodules()).unwrap());
        assert_eq!(Some(sum), expected);

        let mut moved = scans.clone();
        moved[0].path = Some("elsewhere".to_owned());
        assert_eq!(train(&moved, &samples, &nodules()), expected);
        // Each of these is something that training reads.
        let other = [scan("a", "BONE"), scans[1].clone(), scans[2].clone()];
        assert_ne!(train(&other, &samples, &nodules()), expected);
        assert_ne!(train(&scans, &samples[1..], &nodules()), expected);
        let mut pixels = nodules();
        pixels.insert("b-n".to_owned(), "other pixels".to_owned());
        assert_ne!(train(&scans, &samples, &pixels), expected);
    }

    #[test]
    fn names_of_groups_come_back_whatever_a_cohort_is_called() {
        for cohort in ["c", "a/b", "quote \" and, comma"] {
            let group = Group { cohort: cohort.to_owned(), split: "test".to_owned(), fold: None };
            assert_eq!(Group::named(&group.name().unwrap()), Some(group));
        }
        assert_eq!(Group::named("train"), None);
    }
}
