//! Tables of nodules with their positions.

mod error;
mod read;

use crate::near_names::near_or_all;
pub use error::Error;
pub use read::read;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A nodule and its position.
#[derive(Clone, Debug, PartialEq)]
pub struct LocatedNodule {
    /// Cohort in its store; `None` in a CSV file.
    pub cohort: Option<String>,
    /// Id in its store; `None` in a CSV file.
    pub nodule_id: Option<String>,
    /// Series of the scan.
    pub series_instance_uid: String,
    /// Centre, patient mm (x, y, z), LPS; `None` where the image's orientation is unknown.
    pub patient_mm: Option<[f64; 3]>,
    /// Centre, mm along the image's columns and rows from voxel 0, and patient z; `None` where
    /// voxel indices or the scan's spacing are unknown.
    pub image_mm: Option<[f64; 3]>,
    /// Height of the centre, patient z; `None` where it is unknown.
    pub z_mm: Option<f64>,
    /// Diameter, mm.
    pub diameter_mm: f64,
    /// Number of marks that were joined; `None` in a CSV file.
    pub n_marks: Option<i64>,
}

/// The nodules of one source.
#[derive(Clone, Debug, PartialEq)]
pub struct NoduleTable {
    /// The store, folder or file.
    pub path: PathBuf,
    /// The nodules, in the order of the source.
    pub nodules: Vec<LocatedNodule>,
}

impl NoduleTable {
    /// Whether the number of marks of any nodule is known; true for a table without nodules.
    pub fn has_marks(&self) -> bool {
        self.nodules.is_empty() || self.nodules.iter().any(|nodule| nodule.n_marks.is_some())
    }

    /// Keeps the nodules of one cohort, where the table has cohorts.
    ///
    /// # Errors
    ///
    /// Fails if the cohort has no nodules, or if two cohorts have the same series.
    pub fn select(&mut self, cohort: Option<&str>) -> Result<(), Error> {
        if let Some(cohort) = cohort {
            let names = self.nodules.iter().filter_map(|nodule| nodule.cohort.clone());
            let found: BTreeSet<String> = names.collect();
            if !found.is_empty() && !found.contains(cohort) {
                let (path, cohort) = (self.path.clone(), cohort.to_owned());
                let found: Vec<&str> = found.iter().map(String::as_str).collect();
                let near = near_or_all(&cohort, &found);
                return Err(Error::NoCohort { path, cohort, near });
            }
            self.nodules.retain(|nodule| nodule.cohort.as_deref().is_none_or(|c| c == cohort));
        }
        let mut cohorts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for nodule in &self.nodules {
            let names = cohorts.entry(&nodule.series_instance_uid).or_default();
            names.extend(nodule.cohort.as_deref());
        }
        match cohorts.into_iter().find(|(_, names)| names.len() > 1) {
            Some((series, names)) => Err(Error::Cohorts {
                path: self.path.clone(),
                series: series.to_owned(),
                cohorts: names.into_iter().map(str::to_owned).collect(),
            }),
            None => Ok(()),
        }
    }

    /// Keeps the nodules with at least `min_marks` marks, and those whose number of marks is unknown.
    pub fn keep_marked(&mut self, min_marks: i64) {
        self.nodules.retain(|nodule| nodule.n_marks.is_none_or(|n| n >= min_marks));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodule(cohort: Option<&str>, series: &str, n_marks: Option<i64>) -> LocatedNodule {
        LocatedNodule {
            cohort: cohort.map(str::to_owned),
            nodule_id: None,
            series_instance_uid: series.to_owned(),
            patient_mm: None,
            image_mm: None,
            z_mm: None,
            diameter_mm: 5.0,
            n_marks,
        }
    }

    fn table(nodules: &[LocatedNodule]) -> NoduleTable {
        NoduleTable { path: PathBuf::from("t"), nodules: nodules.to_vec() }
    }

    #[test]
    fn a_cohort_is_chosen_where_a_series_is_in_two() {
        let all = [
            nodule(Some("lidc"), "1.2", None),
            nodule(Some("luna16"), "1.2", None),
            nodule(Some("clinical"), "1.3", None),
        ];
        let mut two = table(&all);
        assert_eq!(
            two.select(None).unwrap_err().to_string(),
            "`t` has series 1.2 in several cohorts (lidc, luna16): name one with `--cohort`"
        );
        two.select(Some("luna16")).unwrap();
        assert_eq!(two.nodules, all[1..2]);
        let error = table(&all).select(Some("luna")).unwrap_err();
        assert!(error.is_choice());
        assert_eq!(
            error.to_string(),
            "`t` has no nodules of cohort `luna`: did you mean `luna16`?"
        );
        // Several cohorts with scans of their own are one table; a CSV file has no cohorts.
        let mut apart = table(&all[1..]);
        apart.select(None).unwrap();
        assert_eq!(apart.nodules.len(), 2);
        let mut csv = table(&[nodule(None, "1.2", None)]);
        csv.select(Some("luna16")).unwrap();
        assert_eq!(csv.nodules.len(), 1);
    }

    #[test]
    fn nodules_with_fewer_marks_are_left_out_where_marks_are_known() {
        let mut marked = table(&[
            nodule(None, "a", Some(2)),
            nodule(None, "b", Some(3)),
            nodule(None, "c", None),
        ]);
        assert!(marked.has_marks() && !table(&[nodule(None, "c", None)]).has_marks());
        marked.keep_marked(3);
        let series: Vec<_> =
            marked.nodules.iter().map(|n| n.series_instance_uid.as_str()).collect();
        assert_eq!(series, ["b", "c"]);
    }
}
