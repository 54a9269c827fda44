//! Reads what the page of drift shows from the tables of a store.

use super::drift_page::{DriftContent, WarningCount, render};
use crate::nightly::follow_up::drift::{MaskRule, NoduleMeasurements, over_nights};
use crate::nightly::records::day_tables::{DayTables, Error};
use crate::nightly::records::ledger::Ledger;
use crate::tables::{Drift, Score};
use nodulus_store::{PartReader, Partitions, Row as _};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Name of the page in the store.
const PAGE: &str = "drift.html";

/// The page shows the last nights, at most this many.
const MAX_NIGHTS: usize = 400;

/// The columns of `scores` that the page needs.
#[derive(Deserialize)]
struct ScoreColumns {
    series_instance_uid: String,
    probability: Option<f64>,
    volume_mm3: f64,
    mean_hu: Option<f64>,
    model_id: String,
    threshold: Option<f64>,
    component: Option<String>,
    reach_mm: Option<f64>,
    scan_warnings: Vec<String>,
    superseded: bool,
}

const COLUMNS: [&str; 10] = [
    "series_instance_uid",
    "probability",
    "volume_mm3",
    "mean_hu",
    "model_id",
    "threshold",
    "component",
    "reach_mm",
    "scan_warnings",
    "superseded",
];

impl From<Score> for ScoreColumns {
    fn from(row: Score) -> Self {
        Self {
            series_instance_uid: row.series_instance_uid,
            probability: row.probability,
            volume_mm3: row.volume_mm3,
            mean_hu: row.mean_hu,
            model_id: row.model_id,
            threshold: row.threshold,
            component: row.component,
            reach_mm: row.reach_mm,
            scan_warnings: row.scan_warnings,
            superseded: row.superseded,
        }
    }
}

/// The rows of a file of `scores`.
fn read(file: &Path) -> Result<Vec<ScoreColumns>, Error> {
    let mut rows = Vec::new();
    for batch in PartReader::<ScoreColumns>::open(file, Score::TABLE, Some(&COLUMNS))? {
        rows.extend(batch?);
    }
    Ok(rows)
}

/// Writes the page of drift from the tables. Where rows of `scores` are of moved days, those of a night are read from
/// the records.
pub(crate) fn write_drift_page(
    tables: &DayTables<'_>,
    ledger: &Ledger,
    is_moved: bool,
) -> Result<(), Error> {
    let root = tables.store.root();
    let partitions = Partitions::of(root, Score::TABLE).zip(Partitions::of(root, Drift::TABLE));
    let Some((scores, drift)) = partitions else { return Ok(()) };
    let nights = drift.values()?;
    let (mut measured, mut rows) = (Vec::new(), Vec::new());
    let mut scans: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for night in &nights[nights.len().saturating_sub(MAX_NIGHTS)..] {
        let file = scores.file(night);
        let scored = if is_moved || !file.exists() {
            ledger.rows_of_night(night)?.into_iter().map(ScoreColumns::from).collect()
        } else {
            read(&scores.whole_file(night)?)?
        };
        for row in scored.into_iter().filter(|row| !row.superseded) {
            for warning in row.scan_warnings {
                let scans = scans.entry((night.clone(), warning)).or_default();
                scans.insert(row.series_instance_uid.clone());
            }
            measured.push(NoduleMeasurements {
                night: night.clone(),
                model_id: row.model_id,
                probability: row.probability,
                volume_mm3: row.volume_mm3,
                mean_hu: row.mean_hu,
                mask_rule: MaskRule::new(row.threshold, row.component, row.reach_mm),
            });
        }
        for batch in PartReader::<Drift>::open(&drift.whole_file(night)?, Drift::TABLE, None)? {
            rows.extend(batch?);
        }
    }
    let warnings = scans.into_iter().map(|((night, warning), scans)| WarningCount {
        night,
        warning,
        n_scans: scans.len() as u64,
    });
    let models: BTreeSet<&String> = measured.iter().map(|nodule| &nodule.model_id).collect();
    let unknown = models.into_iter().filter(|model| !tables.profiles.contains_key(*model));
    let page = render(&DriftContent {
        nights: &rows,
        all: &over_nights(&measured, &tables.profiles),
        warnings: &warnings.collect::<Vec<_>>(),
        without_profile: &unknown.cloned().collect::<Vec<_>>(),
    });
    Ok(tables.store.write_text(Path::new(PAGE), &page)?)
}
