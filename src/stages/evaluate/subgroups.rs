//! The subgroups of each nodule.

use crate::stages::Task;
use crate::tables::{Error, Table};
use nodulus_store::Version;
use serde::Deserialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The columns of `nodules` that decide subgroups.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Facts {
    pub(super) nodule_id: String,
    pub(super) cohort: String,
    pub(super) series_instance_uid: String,
    pub(super) diameter_mm: f64,
    pub(super) n_readers: i64,
    pub(super) texture_type: Option<String>,
    /// Marks with a rating of calcification, and those among them that rate it absent.
    pub(super) calcification_n: i64,
    pub(super) calcification_n_6: i64,
}

const FACTS: &[&str] = &[
    "nodule_id",
    "cohort",
    "series_instance_uid",
    "diameter_mm",
    "n_readers",
    "texture_type",
    "calcification_n",
    "calcification_n_6",
];

/// The columns of `scans` with the spacing.
#[derive(Deserialize)]
struct ScanSpacing {
    cohort: String,
    series_instance_uid: String,
    spacing_i_mm: f64,
    spacing_j_mm: f64,
    spacing_k_mm: Option<f64>,
}

const SPACING: &[&str] =
    &["cohort", "series_instance_uid", "spacing_i_mm", "spacing_j_mm", "spacing_k_mm"];

#[derive(Deserialize)]
struct Fold {
    nodule_id: String,
    fold: Option<i64>,
}

#[derive(Deserialize)]
struct Agreement {
    nodule_id: String,
    dice_mean: f64,
}

/// Spacing of each scan along i, j, k, by cohort and series.
pub(super) type Spacings = BTreeMap<(String, String), [f64; 3]>;

/// Reads the spacings of the scans of a shard, or of all; scans without a spacing along k are skipped.
///
/// # Errors
///
/// Fails if `scans` cannot be read.
pub(super) fn spacings(scans: &Version, shard: Option<usize>) -> Result<Spacings, Error> {
    let mut spacings = Spacings::new();
    let shards = shard.map_or(0..scans.manifest.n_shards(), |shard| shard..shard + 1);
    for batch in shards.flat_map(|shard| scans.shard_columns::<ScanSpacing>(shard, SPACING)) {
        spacings.extend(batch?.into_iter().filter_map(|scan| {
            let spacing_mm = [scan.spacing_i_mm, scan.spacing_j_mm, scan.spacing_k_mm?];
            Some(((scan.cohort, scan.series_instance_uid), spacing_mm))
        }));
    }
    Ok(spacings)
}

/// Names of each nodule's subgroups, without `all`.
#[derive(Debug, Default)]
pub(super) struct Subgroups(BTreeMap<String, Vec<String>>);

impl Subgroups {
    /// Reads the tables that decide subgroups.
    ///
    /// # Errors
    ///
    /// Fails if a table cannot be read.
    pub(super) fn read(task: &Task<'_>, spacings: &Spacings) -> Result<Self, Error> {
        let mut folds: BTreeMap<String, i64> = BTreeMap::new();
        for batch in task.table(Table::Samples)?.columns::<Fold>(&["nodule_id", "fold"]) {
            folds.extend(batch?.into_iter().filter_map(|row| Some((row.nodule_id, row.fold?))));
        }
        let mut dice: BTreeMap<String, f64> = BTreeMap::new();
        let columns = ["nodule_id", "dice_mean"];
        for batch in task.table(Table::ReaderAgreement)?.columns::<Agreement>(&columns) {
            dice.extend(batch?.into_iter().map(|row| (row.nodule_id, row.dice_mean)));
        }
        let mut subgroups = BTreeMap::new();
        for batch in task.table(Table::Nodules)?.columns::<Facts>(FACTS) {
            for facts in batch? {
                let series = (facts.cohort.clone(), facts.series_instance_uid.clone());
                let spacing_k_mm = spacings.get(&series).map(|spacing| spacing[2]);
                let (fold, dice) = (folds.get(&facts.nodule_id), dice.get(&facts.nodule_id));
                let names = names(&facts, spacing_k_mm, fold.copied(), dice.copied());
                subgroups.insert(facts.nodule_id, names);
            }
        }
        Ok(Self(subgroups))
    }

    /// Adds a nodule to one more subgroup, once.
    pub(super) fn add(&mut self, nodule_id: &str, subgroup: &str) {
        if let Some(subgroups) = self.0.get_mut(nodule_id)
            && subgroups.iter().all(|name| name != subgroup)
        {
            subgroups.push(subgroup.to_owned());
        }
    }

    /// A nodule's subgroups, `all` first.
    pub(super) fn of(&self, nodule_id: &str) -> impl Iterator<Item = &str> {
        let names = self.0.get(nodule_id).map(|names| names.iter().map(String::as_str));
        std::iter::once("all").chain(names.into_iter().flatten())
    }
}

/// METHOD: bands of the diameter are those of the Fleischner Society's 2017 guideline (6 and 8 mm). Bands of the spacing
/// along k are the guideline's limit for thin slices (1.5 mm) and LUNA16's limit (2.5 mm). Bands of the mean Dice between
/// a nodule's readers are 0.7 and 0.8, about thirds of LIDC-IDRI. Calcification is present where more marks rate it in any
/// category other than absent than rate it absent.
fn names(
    facts: &Facts,
    spacing_k_mm: Option<f64>,
    fold: Option<i64>,
    dice: Option<f64>,
) -> Vec<String> {
    let diameter = match facts.diameter_mm {
        d if d < 6.0 => "under_6",
        d if d <= 8.0 => "6_to_8",
        _ => "over_8",
    };
    let spacing = match spacing_k_mm {
        None => "unknown",
        Some(s) if s <= 1.5 => "up_to_1.5",
        Some(s) if s <= 2.5 => "1.5_to_2.5",
        Some(_) => "over_2.5",
    };
    let dice = dice.map(|dice| match dice {
        d if d < 0.7 => "under_0.7",
        d if d <= 0.8 => "0.7_to_0.8",
        _ => "over_0.8",
    });
    let texture = facts.texture_type.as_deref().unwrap_or("unknown");
    let n_present = facts.calcification_n - facts.calcification_n_6;
    let calcification = match n_present.cmp(&facts.calcification_n_6) {
        _ if facts.calcification_n == 0 => "unknown",
        Ordering::Less => "absent",
        Ordering::Equal => "tied",
        Ordering::Greater => "present",
    };
    let mut names = vec![
        format!("cohort={}", facts.cohort),
        format!("diameter_mm={diameter}"),
        format!("texture_type={texture}"),
        format!("calcification={calcification}"),
        format!("n_readers={}", facts.n_readers),
        format!("spacing_k_mm={spacing}"),
    ];
    names.extend(dice.map(|dice| format!("reader_dice={dice}")));
    names.extend(fold.map(|fold| format!("fold={fold}")));
    names
}

#[cfg(test)]
impl Subgroups {
    /// Subgroups of nodules without scan, fold and agreement.
    pub(super) fn of_facts(facts: &[Facts]) -> Self {
        let of = |facts: &Facts| (facts.nodule_id.clone(), names(facts, None, None, None));
        Self(facts.iter().map(of).collect())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::stages::evaluate) fn facts(nodule_id: &str, diameter_mm: f64) -> Facts {
        Facts {
            nodule_id: nodule_id.to_owned(),
            cohort: "c".to_owned(),
            series_instance_uid: "s".to_owned(),
            diameter_mm,
            n_readers: 3,
            texture_type: None,
            calcification_n: 0,
            calcification_n_6: 0,
        }
    }

    #[test]
    fn bands_include_their_upper_limits() {
        let mut solid = facts("n", 8.0);
        solid.texture_type = Some("solid".to_owned());
        (solid.calcification_n, solid.calcification_n_6) = (4, 1);
        assert_eq!(
            names(&solid, Some(2.5), Some(4), Some(0.8)),
            [
                "cohort=c",
                "diameter_mm=6_to_8",
                "texture_type=solid",
                "calcification=present",
                "n_readers=3",
                "spacing_k_mm=1.5_to_2.5",
                "reader_dice=0.7_to_0.8",
                "fold=4"
            ]
        );
        let other = names(&facts("n", 5.9), None, None, None);
        assert_eq!(other[1..3], ["diameter_mm=under_6", "texture_type=unknown"]);
        assert_eq!((other.len(), other[5].as_str()), (6, "spacing_k_mm=unknown"));
        for (n, absent, expected) in
            [(0, 0, "unknown"), (3, 3, "absent"), (4, 2, "tied"), (3, 2, "absent")]
        {
            solid.calcification_n = n;
            solid.calcification_n_6 = absent;
            assert_eq!(names(&solid, None, None, None)[3], format!("calcification={expected}"));
        }
    }
}
