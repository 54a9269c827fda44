//! Finds images that lie under the names of two patients.

use super::error::Error;
use super::units::{Lesion, persons};
use nodulus_store::Version;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The columns of `scans` that tell whose image it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct ScanImage {
    cohort: String,
    patient_id: String,
    series_instance_uid: String,
    image_sha256: Option<String>,
}

const COLUMNS: &[&str] = &["cohort", "patient_id", "series_instance_uid", "image_sha256"];

/// Fails if scans with regions have one image and belong to two persons.
///
/// METHOD: one of the names is wrong, and nothing says which. As two patients they could be learnt from and tested, and as one
/// their nodules would count twice. Scans of one person, as of a series that two collections have, are no such pair.
///
/// # Errors
///
/// Fails at such scans, naming both, or if `scans` cannot be read.
pub(super) fn check<'a>(
    scans: &Version,
    lesions: impl Iterator<Item = &'a Lesion> + Clone,
) -> Result<(), Error> {
    let mut images = Vec::new();
    for batch in scans.columns::<ScanImage>(COLUMNS) {
        images.extend(batch?);
    }
    refuse_shared(&images, lesions)
}

fn refuse_shared<'a>(
    scans: &[ScanImage],
    lesions: impl Iterator<Item = &'a Lesion> + Clone,
) -> Result<(), Error> {
    let persons = persons(lesions.clone());
    let of_lesion = |lesion: &'a Lesion| (&*lesion.cohort, &*lesion.series_instance_uid);
    let with_regions: BTreeSet<(&str, &str)> = lesions.map(of_lesion).collect();
    let mut first: BTreeMap<&str, &ScanImage> = BTreeMap::new();
    let mut shared: Vec<[&ScanImage; 2]> = Vec::new();
    for scan in scans {
        let Some(image) = &scan.image_sha256 else { continue };
        if !with_regions.contains(&(&*scan.cohort, &*scan.series_instance_uid)) {
            continue;
        }
        let one = *first.entry(image).or_insert(scan);
        let person = |scan: &ScanImage| persons.get(&*scan.patient_id);
        if one.patient_id != scan.patient_id && person(one) != person(scan) {
            shared.push([one, scan]);
        }
    }
    match shared.first() {
        None => Ok(()),
        Some([one, other]) => Err(Error::SharedImage {
            one: one.to_string(),
            other: other.to_string(),
            more: match shared.len() - 1 {
                0 => String::new(),
                n => format!(", and {n} more such scans"),
            },
        }),
    }
}

impl std::fmt::Display for ScanImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cohort, patient_id, series_instance_uid, .. } = self;
        write!(f, "patient `{patient_id}` of cohort `{cohort}` (series `{series_instance_uid}`)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(cohort: &str, patient: &str, series: &str, image: Option<&str>) -> (ScanImage, Lesion) {
        let [cohort, patient_id, series_instance_uid] =
            [cohort, patient, series].map(str::to_owned);
        let lesion = Lesion {
            cohort: cohort.clone(),
            patient_id: patient_id.clone(),
            series_instance_uid: series_instance_uid.clone(),
        };
        let image_sha256 = image.map(str::to_owned);
        (ScanImage { cohort, patient_id, series_instance_uid, image_sha256 }, lesion)
    }

    fn found(scans: &[(ScanImage, Lesion)]) -> String {
        let images: Vec<ScanImage> = scans.iter().map(|(image, _)| image.clone()).collect();
        let checked = refuse_shared(&images, scans.iter().map(|(_, lesion)| lesion));
        checked.err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn one_image_of_two_persons_is_named_with_both() {
        let one = scan("a", "p", "1.1", Some("i"));
        let message = found(&[one.clone(), scan("b", "q", "1.2", Some("i"))]);
        for part in [
            "patient `p` of cohort `a` (series `1.1`)",
            "patient `q` of cohort `b` (series `1.2`)",
            "leave one of them out, or give both the same patient id",
        ] {
            assert!(message.contains(part), "{message}");
        }
        assert!(!message.contains("more such"), "{message}");
        let third = scan("c", "r", "1.3", Some("i"));
        let message = found(&[one.clone(), scan("b", "q", "1.2", Some("i")), third]);
        assert!(message.contains(", and 1 more such scans"), "{message}");
    }

    #[test]
    fn one_person_may_have_an_image_twice() {
        let one = scan("a", "p", "1.1", Some("i"));
        // The same patient; a patient that is only named by the series; no image; another image.
        assert_eq!(found(&[one.clone(), scan("b", "p", "1.2", Some("i"))]), "");
        assert_eq!(found(&[one.clone(), scan("b", "1.1", "1.1", Some("i"))]), "");
        assert_eq!(found(&[one.clone(), scan("b", "q", "1.2", None)]), "");
        assert_eq!(found(&[one.clone(), scan("b", "q", "1.2", Some("j"))]), "");
        // A scan without regions is neither learnt from nor tested.
        let (image, _) = scan("b", "q", "1.2", Some("i"));
        assert!(refuse_shared(&[one.0, image], std::iter::once(&one.1)).is_ok());
    }
}
