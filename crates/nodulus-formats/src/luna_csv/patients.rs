//! The patients of LIDC-IDRI's series, and thus of LUNA16's, whose files name none.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Series and patients, as `data-manifests/lidc_patients.py` wrote them.
const TABLE: &str = include_str!("../../../../data-manifests/lidc-patients.csv");

static PATIENTS: LazyLock<BTreeMap<&str, &str>> =
    LazyLock::new(|| TABLE.lines().skip(1).filter_map(|line| line.split_once(',')).collect());

/// The patient of a CT series of LIDC-IDRI, among them those of LUNA16; `None` for any other series.
///
/// Its 1,018 series are of 1,010 patients, of whom eight have two; LUNA16's 888 are of 887.
pub fn lidc_patient(series_instance_uid: &str) -> Option<&'static str> {
    PATIENTS.get(series_instance_uid).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uid::is_uid;
    use std::collections::BTreeSet;

    #[test]
    fn lidc_has_1018_series_of_1010_patients() {
        assert_eq!(TABLE.lines().next(), Some("series_instance_uid,patient_id"));
        assert_eq!((TABLE.lines().count(), PATIENTS.len()), (1019, 1018));
        assert_eq!(PATIENTS.values().collect::<BTreeSet<_>>().len(), 1010);
        let is_of_lidc = |patient: &str| {
            let number = patient.strip_prefix("LIDC-IDRI-");
            number.is_some_and(|n| n.len() == 4 && n.bytes().all(|b| b.is_ascii_digit()))
        };
        assert!(PATIENTS.iter().all(|(series, patient)| is_uid(series) && is_of_lidc(patient)));
        let two = PATIENTS.values().filter(|patient| **patient == "LIDC-IDRI-0332").count();
        assert_eq!(two, 2);
        // The first scan of LIDC-IDRI.
        let first = "1.3.6.1.4.1.14519.5.2.1.6279.6001.179049373636438705059720603192";
        assert_eq!(lidc_patient(first), Some("LIDC-IDRI-0001"));
        assert_eq!(lidc_patient("1.3.6"), None);
    }
}
