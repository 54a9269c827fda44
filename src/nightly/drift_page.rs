//! The page of drift, out of the tables of a store.

use super::drift::{Measured, over_nights};
use super::page::{Content, Warned, render};
use super::view::{Error, Views};
use crate::tables::parquet::PartReader;
use crate::tables::partitions::Partitions;
use crate::tables::{Drift, Row as _, Score};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Name of the page in the store.
const PAGE: &str = "drift.html";

/// Nights that it shows, at most: the last ones.
const MOST_NIGHTS: usize = 400;

/// What of a row of `scores` the page is made of.
#[derive(Deserialize)]
struct Columns {
    series_instance_uid: String,
    probability: Option<f64>,
    volume_mm3: f64,
    mean_hu: Option<f64>,
    model_id: String,
    scan_warnings: Vec<String>,
    superseded: bool,
}

const COLUMNS: [&str; 7] = [
    "series_instance_uid",
    "probability",
    "volume_mm3",
    "mean_hu",
    "model_id",
    "scan_warnings",
    "superseded",
];

impl Views<'_> {
    /// Writes the page anew.
    pub(super) fn page(&self) -> Result<(), Error> {
        let root = self.store.root();
        let tables = Partitions::of(root, Score::TABLE).zip(Partitions::of(root, Drift::TABLE));
        let Some((scores, drift)) = tables else { return Ok(()) };
        let nights = scores.values()?;
        let (mut measured, mut rows) = (Vec::new(), Vec::new());
        let mut warned: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for night in &nights[nights.len().saturating_sub(MOST_NIGHTS)..] {
            let file = scores.file(night);
            for batch in PartReader::<Columns>::open(&file, Score::TABLE, Some(&COLUMNS))? {
                for row in batch?.into_iter().filter(|row| !row.superseded) {
                    for warning in row.scan_warnings {
                        let scans = warned.entry((night.clone(), warning)).or_default();
                        scans.insert(row.series_instance_uid.clone());
                    }
                    measured.push(Measured {
                        night: night.clone(),
                        model_id: row.model_id,
                        probability: row.probability,
                        volume_mm3: row.volume_mm3,
                        mean_hu: row.mean_hu,
                    });
                }
            }
            for batch in PartReader::<Drift>::open(&drift.file(night), Drift::TABLE, None)? {
                rows.extend(batch?);
            }
        }
        let warnings = warned.into_iter().map(|((night, warning), scans)| Warned {
            night,
            warning,
            n_scans: scans.len() as u64,
        });
        let models: BTreeSet<&String> = measured.iter().map(|nodule| &nodule.model_id).collect();
        let unknown = models.into_iter().filter(|model| !self.profiles.contains_key(*model));
        let page = render(&Content {
            nights: &rows,
            all: &over_nights(&measured, &self.profiles),
            warnings: &warnings.collect::<Vec<_>>(),
            without_profile: &unknown.cloned().collect::<Vec<_>>(),
        });
        Ok(self.store.write_text(Path::new(PAGE), &page)?)
    }
}
