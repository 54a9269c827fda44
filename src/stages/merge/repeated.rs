//! Finds series that a cohort has more than once.

use nodulus_store::Version;
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The columns of `scans` that are read.
#[derive(Deserialize)]
struct ScanPath {
    cohort: String,
    series_instance_uid: String,
    path: Option<String>,
    included: bool,
}

const COLUMNS: [&str; 4] = ["cohort", "series_instance_uid", "path", "included"];

/// The key of a series in a cohort.
pub(super) fn series_key(cohort: &str, series: &str) -> String {
    format!("{cohort}/{series}")
}

/// The paths of each series that is in a cohort more than once, by its key.
///
/// METHOD: marks and nodules belong to a series, so that two scans of one series would share them, and a copy would count
/// a nodule twice. None of the scans is merged, because nothing says which one is meant.
pub(super) fn repeated(
    scans: &Version,
) -> Result<BTreeMap<String, Vec<String>>, nodulus_store::Error> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let of_shard = |shard: usize| -> Result<Vec<ScanPath>, nodulus_store::Error> {
        let mut scans_of_shard = Vec::new();
        for batch in scans.shard_columns::<ScanPath>(shard, &COLUMNS) {
            scans_of_shard.extend(batch?.into_iter().filter(|scan| scan.included));
        }
        Ok(scans_of_shard)
    };
    let shards = (0..scans.manifest.n_shards()).into_par_iter().map(of_shard);
    for scan in shards.collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
        let key = series_key(&scan.cohort, &scan.series_instance_uid);
        places.entry(key).or_default().push(scan.path.unwrap_or_default());
    }
    places.retain(|_, places| places.len() > 1);
    Ok(places)
}

/// For each shard, the keys of its series that are in a cohort more than once; null where there are none.
///
/// # Errors
///
/// Fails if `scans` cannot be read.
pub(super) fn decide(scans: &Version) -> Result<Vec<Value>, nodulus_store::Error> {
    let repeated = repeated(scans)?;
    let mut decisions = vec![Value::Null; scans.manifest.n_shards()];
    if repeated.is_empty() {
        return Ok(decisions);
    }
    for (shard, decision) in decisions.iter_mut().enumerate() {
        let mut here = BTreeSet::new();
        for batch in scans.shard_columns::<ScanPath>(shard, &COLUMNS) {
            let keys = batch?.into_iter().map(|s| series_key(&s.cohort, &s.series_instance_uid));
            here.extend(keys.filter(|key| repeated.contains_key(key)));
        }
        if !here.is_empty() {
            *decision = json!({ "repeated_series": here });
        }
    }
    Ok(decisions)
}
