//! Who results name: the patients as they are, or pseudonyms.

mod keyed_hash;

use nodulus_faults::{fs, quoted};
use nodulus_formats::dicom::{Date, Pseudonyms, shifted_date};
use nodulus_formats::uid;
use nodulus_store::hash;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;

/// Settings: `[score.deidentify]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeidentifySettings {
    /// File with the key: 16 to 4,096 bytes, not counting white space at its ends. The same key gives the
    /// same pseudonyms; whoever has it can test which patient a pseudonym stands for.
    pub key: PathBuf,
    /// Whether UIDs are replaced or kept.
    #[serde(default)]
    pub uids: UidPolicy,
}

/// What happens to UIDs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UidPolicy {
    /// Each UID is replaced, always by the same one.
    #[default]
    Replace,
    /// UIDs stay, so that results still belong to the series that they were made from.
    Keep,
}

/// The key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{}", quoted::io(.0))]
    Io(#[from] io::Error),
    /// It is too short or too long.
    #[error(
        "{file} holds {found} bytes, expected a key of {} to {} bytes",
        KEY_BYTES[0],
        KEY_BYTES[1],
        file = quoted::path(file)
    )]
    Key {
        /// The file.
        file: PathBuf,
        /// Its length without white space at its ends.
        found: usize,
    },
}

/// Bytes of a key: at least 128 bits, and at most.
const KEY_BYTES: [usize; 2] = [16, 4096];

/// The most days that dates are moved by: ten years.
const MAX_DAYS: u64 = 3652;

/// Who results name.
#[derive(Clone)]
pub enum Identity {
    /// The patients as they are.
    AsIs,
    /// Pseudonyms.
    Pseudonyms {
        /// The key.
        key: Vec<u8>,
        /// What happens to UIDs.
        uids: UidPolicy,
    },
}

impl std::fmt::Debug for Identity {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AsIs => f.write_str("AsIs"),
            Self::Pseudonyms { uids, .. } => write!(f, "Pseudonyms({uids:?})"),
        }
    }
}

/// Who the results of a study name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatientIdentity {
    /// Takes the place of `PatientID`.
    pub patient_id: String,
    /// Days that dates are moved by.
    pub shift_days: i64,
}

impl Identity {
    /// Reads the key. Without settings, results name the patients as they are.
    ///
    /// # Errors
    ///
    /// Fails if the key cannot be read, or is too short or too long.
    pub fn new(settings: Option<&DeidentifySettings>) -> Result<Self, Error> {
        let Some(DeidentifySettings { key: file, uids }) = settings else { return Ok(Self::AsIs) };
        let key = fs::read(file)?.trim_ascii().to_vec();
        if !(KEY_BYTES[0]..=KEY_BYTES[1]).contains(&key.len()) {
            return Err(Error::Key { file: file.clone(), found: key.len() });
        }
        Ok(Self::Pseudonyms { key, uids: *uids })
    }

    /// Whether results name pseudonyms.
    pub fn is_replaced(&self) -> bool {
        matches!(self, Self::Pseudonyms { .. })
    }

    /// Who the results of a study name.
    ///
    /// METHOD: a pseudonym is 128 bits of the keyed hash of the patient id. The shift, 1 to 3,652 days
    /// back, follows from the same hash, so that the intervals between a patient's studies stay and no
    /// date lies in the future. A study without a patient id counts as a patient of its own.
    pub fn patient(&self, patient_id: &str, study_instance_uid: &str) -> PatientIdentity {
        let Self::Pseudonyms { key, .. } = self else {
            return PatientIdentity { patient_id: patient_id.to_owned(), shift_days: 0 };
        };
        let subject = if patient_id.is_empty() {
            ["study", study_instance_uid]
        } else {
            ["patient", patient_id]
        };
        let hash = |purpose: &str| keyed_hash::of_parts(key, &[purpose, subject[0], subject[1]]);
        let days = hash("days");
        let days = u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|n: usize| days[n])) % MAX_DAYS;
        PatientIdentity { patient_id: hexadecimal(&hash("id")), shift_days: -(days as i64 + 1) }
    }

    /// A UID as results write it.
    pub fn uid(&self, uid: &str) -> String {
        match self {
            // A text that is no UID may name the patient.
            Self::Pseudonyms { key, uids } if *uids == UidPolicy::Replace || !uid::is_uid(uid) => {
                uid::from_digest(&keyed_hash::of_parts(key, &["uid", uid]))
            }
            Self::AsIs | Self::Pseudonyms { .. } => uid.to_owned(),
        }
    }

    /// An id that was made from UIDs or a patient id, such as a nodule's, as results write it.
    pub fn id(&self, id: &str) -> String {
        match self {
            Self::Pseudonyms { key, .. } => hexadecimal(&keyed_hash::of_parts(key, &["id", id])),
            Self::AsIs => id.to_owned(),
        }
    }

    /// Whom results name, for messages.
    pub(super) fn in_words(&self) -> &'static str {
        match self {
            Self::AsIs => "the patients as they are",
            Self::Pseudonyms { uids: UidPolicy::Replace, .. } => "pseudonyms with replaced UIDs",
            Self::Pseudonyms { uids: UidPolicy::Keep, .. } => "pseudonyms with their own UIDs",
        }
    }

    /// The key of the names of files; `None` where patients stay as they are.
    pub(super) fn file_key(&self) -> Option<FileKey> {
        match self {
            Self::Pseudonyms { key, .. } => Some(FileKey(keyed_hash::of_parts(key, &["files"]))),
            Self::AsIs => None,
        }
    }

    /// What tells whether two identities name everything alike. The key does not follow from it.
    pub fn fingerprint(&self) -> String {
        self.id("recipe") + &self.uid("1.2.3")
    }

    /// A date `YYYYMMDD` of a patient as results write it; empty where it is not a date.
    pub fn date(&self, patient: &PatientIdentity, date: &str) -> String {
        match self {
            Self::AsIs => date.to_owned(),
            Self::Pseudonyms { .. } => shifted_date(date, patient.shift_days).unwrap_or_default(),
        }
    }

    /// The day of a time in UTC, `2026-11-24T12:52:27Z`, as results of a patient write it.
    pub(super) fn day(patient: &PatientIdentity, time: &str) -> String {
        let day = time.split('T').next().unwrap_or_default();
        let moved = Date::from_iso(day).and_then(|day| day.plus_days(patient.shift_days));
        moved.map_or(day.to_owned(), |day| day.to_string())
    }

    /// The days by which the results of a series move that name no patient.
    ///
    /// METHOD: those of a patient of its own, as nothing of the patient is read of a series that a rule excludes.
    pub(super) fn of_series(&self, series: &str) -> PatientIdentity {
        self.patient("", series)
    }

    /// A series as results and logs name it: by its UID, or by one that is made of an id that is none and may name the
    /// patient.
    pub(super) fn series(&self, id: &str) -> String {
        if uid::is_uid(id) {
            return self.uid(id);
        }
        self.uid(&uid::from_parts([b"series".as_slice(), id.as_bytes()]))
    }

    /// What DICOM objects replace, with `uid` from [`Self::uid`]; `None` where patients stay as they are.
    pub(super) fn pseudonyms<'a>(
        &self,
        patient: &PatientIdentity,
        uid: &'a dyn Fn(&str) -> String,
    ) -> Option<Pseudonyms<'a>> {
        let Self::Pseudonyms { uids, .. } = self else { return None };
        let uid = (*uids == UidPolicy::Replace).then_some(uid);
        Some(Pseudonyms {
            patient_id: patient.patient_id.clone(),
            shift_days: patient.shift_days,
            uid,
        })
    }
}

/// The key of the redacted names of files: made from the key of pseudonyms, which does not follow from it.
#[derive(Clone, PartialEq, Eq)]
pub struct FileKey([u8; 32]);

impl FileKey {
    /// 64 bits of the keyed hash of a path.
    pub(super) fn digits(&self, path: &str) -> String {
        hash::hexadecimal(&keyed_hash::of_parts(&self.0, &[path])[..8])
    }
}

impl std::fmt::Debug for FileKey {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileKey")
    }
}

/// The first 128 bits of a digest.
fn hexadecimal(digest: &[u8; 32]) -> String {
    hash::hexadecimal(&digest[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_key(key: &[u8], uids: UidPolicy) -> Result<Identity, Error> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs_err::write(&file, key).unwrap();
        Identity::new(Some(&DeidentifySettings { key: file, uids }))
    }

    #[test]
    fn pseudonyms_follow_from_the_key_and_the_patient() {
        let [a, b] = [b"0123456789abcdef\n", b"0123456789abcdeg\n"]
            .map(|key| with_key(key, UidPolicy::Replace).unwrap());
        let patient = a.patient("P-7", "1.2");
        assert_eq!(patient, a.patient("P-7", "1.3"));
        assert!(patient.patient_id.len() == 32 && !patient.patient_id.contains("P-7"));
        assert!((-3652..0).contains(&patient.shift_days), "{patient:?}");
        assert_ne!(patient, b.patient("P-7", "1.2"));
        assert_ne!(patient, a.patient("P-8", "1.2"));
        assert_ne!(a.patient("", "1.2"), a.patient("", "1.3"));
        assert_ne!(a.patient("", "1.2"), a.patient("1.2", "1.2"));
        assert!(uid::is_uid(&a.uid("1.2")) && a.uid("1.2") != a.uid("1.3"));
        assert_ne!(a.id("nod_1"), "nod_1");
        let [of_a, of_b] =
            [&a, &b].map(|identity| identity.file_key().unwrap().digits("DOE/1.dcm"));
        assert!(of_a.len() == 16 && of_a != of_b);
        assert_eq!(Identity::AsIs.file_key(), None);
        // The interval between two dates stays.
        let dates = ["20240101", "20240301"].map(|date| a.date(&patient, date));
        assert_eq!(shifted_date(&dates[0], 60).as_ref(), Some(&dates[1]));
        assert_eq!(a.date(&patient, "not a date"), "");
        // Days of scoring move as the patient's dates do.
        let day = Identity::day(&patient, "2024-01-01T12:00:00Z");
        assert_eq!(day.replace('-', ""), dates[0]);
        assert_ne!(a.of_series("1.2"), a.of_series("1.3"));
        assert!(uid::is_uid(&a.series("DOE")) && a.series("1.2") == a.uid("1.2"));
        let uid = |uid: &str| a.uid(uid);
        assert!(a.pseudonyms(&patient, &uid).is_some_and(|p| p.uid.is_some()));
        assert_eq!(format!("{a:?}"), "Pseudonyms(Replace)");
    }

    #[test]
    fn uids_and_patients_can_be_kept() {
        let keep = with_key(&[7; 64], UidPolicy::Keep).unwrap();
        assert_eq!(keep.uid("1.2"), "1.2");
        assert!(uid::is_uid(&keep.uid("DOE^JOHN")));
        let as_is = Identity::new(None).unwrap();
        assert!(uid::is_uid(&as_is.series("DOE^JOHN")));
        let as_is = Identity::new(None).unwrap();
        assert_eq!(as_is.uid("1.2") + &as_is.id("n"), "1.2n");
        let patient = as_is.patient("P-7", "1.2");
        assert_eq!(patient, PatientIdentity { patient_id: "P-7".to_owned(), shift_days: 0 });
        assert_eq!(as_is.date(&patient, "20240101"), "20240101");
        assert!(as_is.pseudonyms(&patient, &|uid| uid.to_owned()).is_none());
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        let refused = |key: &[u8]| with_key(key, UidPolicy::Keep).unwrap_err().to_string();
        let short = refused(b"  0123456789abcde \n");
        assert!(short.ends_with("holds 15 bytes, expected a key of 16 to 4096 bytes"), "{short}");
        assert!(refused(&[1; 4097]).contains("4097"));
        let settings = DeidentifySettings { key: "no such file".into(), uids: UidPolicy::Keep };
        assert!(Identity::new(Some(&settings)).unwrap_err().to_string().contains("no such file"));
    }
}
