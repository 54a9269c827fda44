//! Whose scan it is, by patient, series and image, and whether weights were trained on it.

use super::Sample;
use nodulus_formats::luna_csv::lidc_patient;
use nodulus_formats::uid;
use nodulus_nets::{IdentityKind, SeenIdentity, TrainedOn, TrainingUse};
use nodulus_store::Version;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What identifies a scan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct ScanIdentity {
    /// Patient; empty where none is known.
    pub patient_id: String,
    /// Series.
    pub series_instance_uid: String,
    /// Hash of the voxels; `None` without an image.
    pub image_sha256: Option<String>,
}

/// A scan that weights were trained on, and by what it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeenScan {
    /// What it was used for.
    pub seen: SeenIdentity,
    /// By what it was found: patient, series or image, the first that is.
    pub by: IdentityKind,
}

impl ScanIdentity {
    /// Its names: patient, the patient of LIDC-IDRI where the series is one of its, series and image.
    ///
    /// METHOD: a patient id or series may be replaced, and an image may be found in a collection that names no patient; any
    /// one of them is enough. A series that is no UID is not unique among clinics and plays no part.
    fn names(&self) -> impl Iterator<Item = (IdentityKind, &str)> {
        let series = self.series_instance_uid.as_str();
        let patient = Some(self.patient_id.as_str()).filter(|id| !id.is_empty());
        let patients = patient.into_iter().chain(lidc_patient(series));
        patients
            .map(|id| (IdentityKind::Patient, id))
            .chain(uid::is_uid(series).then_some((IdentityKind::Series, series)))
            .chain(self.image_sha256.as_deref().map(|hash| (IdentityKind::Image, hash)))
    }

    /// The scan of a sample, with its image from the identities of all scans.
    pub fn of_sample(sample: &Sample, scans: &BTreeMap<(String, String), Self>) -> Self {
        let series = (sample.cohort.clone(), sample.series_instance_uid.clone());
        Self {
            patient_id: sample.patient_id.clone(),
            image_sha256: scans.get(&series).and_then(|scan| scan.image_sha256.clone()),
            series_instance_uid: series.1,
        }
    }

    /// Adds the scan to a list.
    pub fn add_to(&self, list: &mut TrainedOn, used_for: TrainingUse) {
        for (kind, text) in self.names() {
            list.add(used_for, kind, text);
        }
    }

    /// Whether the scan is in one of the lists. With `is_own_validation_allowed`, the validation scans of the trainings
    /// themselves are not looked for.
    pub fn seen_by<'a>(
        &self,
        lists: impl IntoIterator<Item = &'a TrainedOn>,
        is_own_validation_allowed: bool,
    ) -> Option<SeenScan> {
        let is_allowed = |seen: &SeenIdentity| {
            is_own_validation_allowed
                && seen.used_for == TrainingUse::Validation
                && !seen.is_inherited
        };
        let of_list = |list: &TrainedOn| {
            let found = self.names().filter_map(|(by, text)| {
                let seen = list.find(by, text).filter(|seen| !is_allowed(seen))?;
                Some(SeenScan { seen, by })
            });
            found.min()
        };
        lists.into_iter().filter_map(of_list).min()
    }
}

impl ScanIdentity {
    /// What a training itself used the scan for, found by its series or image; `None` where it did not, even if it used
    /// another scan of the patient.
    pub fn used_by(&self, list: &TrainedOn) -> Option<TrainingUse> {
        let of_scan = self.names().filter(|(kind, _)| *kind != IdentityKind::Patient);
        of_scan.filter_map(|(kind, text)| list.find_own(kind, text)).min()
    }
}

/// The identity of every scan, by cohort and series.
///
/// # Errors
///
/// Fails if `scans` cannot be read.
pub fn identities(
    scans: &Version,
) -> Result<BTreeMap<(String, String), ScanIdentity>, nodulus_store::Error> {
    #[derive(Deserialize)]
    struct Row {
        cohort: String,
        patient_id: String,
        series_instance_uid: String,
        image_sha256: Option<String>,
    }
    let columns = ["cohort", "patient_id", "series_instance_uid", "image_sha256"];
    let mut identities = BTreeMap::new();
    for batch in scans.columns::<Row>(&columns) {
        for Row { cohort, patient_id, series_instance_uid, image_sha256 } in batch? {
            let key = (cohort, series_instance_uid.clone());
            identities.insert(key, ScanIdentity { patient_id, series_instance_uid, image_sha256 });
        }
    }
    Ok(identities)
}

/// The first of the patients that weights saw, each with that by which it was found, for a message.
pub fn named(seen: &BTreeMap<&str, IdentityKind>) -> String {
    const MOST: usize = 5;
    let one = |(patient, by): (&&str, &IdentityKind)| format!("`{patient}` (by {})", by.name());
    let first = seen.iter().take(MOST).map(one).collect::<Vec<_>>().join(", ");
    match seen.len().saturating_sub(MOST) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(patient: &str, series: &str, image: &str) -> ScanIdentity {
        ScanIdentity {
            patient_id: patient.to_owned(),
            series_instance_uid: series.to_owned(),
            image_sha256: Some(image.to_owned()),
        }
    }

    /// The first series of LIDC-IDRI.
    const FIRST: &str = "1.3.6.1.4.1.14519.5.2.1.6279.6001.179049373636438705059720603192";

    #[test]
    fn a_scan_is_found_by_patient_series_or_image() {
        let mut list = TrainedOn::new("run");
        scan("p", "1.2", "i").add_to(&mut list, TrainingUse::Training);
        scan("v", "1.3", "j").add_to(&mut list, TrainingUse::Validation);
        let by = |scan: &ScanIdentity, own: bool| scan.seen_by([&list], own).map(|seen| seen.by);
        assert_eq!(by(&scan("p", "1.9", "x"), true), Some(IdentityKind::Patient));
        assert_eq!(by(&scan("renamed", "1.2", "x"), true), Some(IdentityKind::Series));
        assert_eq!(by(&scan("renamed", "1.9", "i"), true), Some(IdentityKind::Image));
        assert_eq!(by(&scan("renamed", "1.9", "x"), false), None);
        assert_eq!(by(&scan("v", "1.9", "x"), false), Some(IdentityKind::Patient));
        assert_eq!(by(&scan("v", "1.3", "j"), true), None);
        // What the initial weights saw always counts.
        let mut next = TrainedOn::new("next");
        next.inherit(&list);
        let seen = scan("v", "1.3", "j").seen_by([&next], true).unwrap().seen;
        assert!(seen.is_inherited && seen.used_for == TrainingUse::Validation);
    }

    #[test]
    fn a_training_used_its_own_scans_and_no_later_ones_of_their_patients() {
        let mut list = TrainedOn::new("run");
        scan("p", "1.2", "i").add_to(&mut list, TrainingUse::Training);
        scan("v", "1.3", "j").add_to(&mut list, TrainingUse::Validation);
        let used = |scan: &ScanIdentity| scan.used_by(&list);
        assert_eq!(used(&scan("renamed", "1.9", "i")), Some(TrainingUse::Training));
        assert_eq!(used(&scan("v", "1.3", "changed")), Some(TrainingUse::Validation));
        assert_eq!(used(&scan("p", "1.9", "x")), None);
        let mut next = TrainedOn::new("next");
        next.inherit(&list);
        assert_eq!(scan("p", "1.2", "i").used_by(&next), None);
    }

    #[test]
    fn a_file_name_and_a_missing_patient_identify_nobody() {
        let mut list = TrainedOn::new("run");
        scan("", "ct", "i").add_to(&mut list, TrainingUse::Training);
        assert_eq!(scan("", "ct", "j").seen_by([&list], false), None);
        assert!(scan("", "ct", "i").seen_by([&list], false).is_some());
    }

    #[test]
    fn a_patient_of_luna16_is_found_in_lidc() {
        let mut list = TrainedOn::new("run");
        scan(FIRST, FIRST, "i").add_to(&mut list, TrainingUse::Training);
        let found = scan("LIDC-IDRI-0001", "1.9", "j").seen_by([&list], false).unwrap();
        assert_eq!(found.by, IdentityKind::Patient);
    }
}
