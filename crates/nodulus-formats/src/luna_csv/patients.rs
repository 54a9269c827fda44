//! The patients of LUNA16's series, whose files name none.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Series and patients, as `data-manifests/luna16_patients.py` wrote them.
const TABLE: &str = include_str!("../../../../data-manifests/luna16-patients.csv");

static PATIENTS: LazyLock<BTreeMap<&str, &str>> =
    LazyLock::new(|| TABLE.lines().skip(1).filter_map(|line| line.split_once(',')).collect());

/// The patient of a series of LUNA16, an id of LIDC-IDRI; `None` for any other series.
///
/// Its 888 series are of 887 patients: LIDC-IDRI-0332 has two.
pub fn luna16_patient(series_instance_uid: &str) -> Option<&'static str> {
    PATIENTS.get(series_instance_uid).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uid::is_uid;
    use std::collections::BTreeSet;

    #[test]
    fn luna16_has_888_series_of_887_patients() {
        assert_eq!(TABLE.lines().next(), Some("series_instance_uid,patient_id"));
        assert_eq!((TABLE.lines().count(), PATIENTS.len()), (889, 888));
        assert_eq!(PATIENTS.values().collect::<BTreeSet<_>>().len(), 887);
        let is_of_lidc = |patient: &str| {
            let number = patient.strip_prefix("LIDC-IDRI-");
            number.is_some_and(|n| n.len() == 4 && n.bytes().all(|b| b.is_ascii_digit()))
        };
        assert!(PATIENTS.iter().all(|(series, patient)| is_uid(series) && is_of_lidc(patient)));
        let two = PATIENTS.values().filter(|patient| **patient == "LIDC-IDRI-0332").count();
        assert_eq!(two, 2);
        // The first scan of LIDC-IDRI.
        let first = "1.3.6.1.4.1.14519.5.2.1.6279.6001.179049373636438705059720603192";
        assert_eq!(luna16_patient(first), Some("LIDC-IDRI-0001"));
        assert_eq!(luna16_patient("1.3.6"), None);
    }
}
