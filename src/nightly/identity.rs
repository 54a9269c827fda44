//! Whom results name: the patients as they are, or pseudonyms of them.

use super::keyed_hash;
use crate::tables::hash;
use fs_err as fs;
use nodulus_formats::dicom::{Pseudonyms, shifted_date};
use nodulus_formats::uid;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;

/// `[score.deidentify]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// File with the key, 16 to 4,096 bytes besides white space at its ends. The same key gives the
    /// same pseudonyms; who has it can try which patient one stands for.
    pub key: PathBuf,
    /// What becomes of UIDs.
    #[serde(default)]
    pub uids: Uids,
}

/// What becomes of UIDs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Uids {
    /// Others take their place, the same for the same.
    #[default]
    Replace,
    /// They stay, so that results still belong to the series that they were made from.
    Keep,
}

/// The key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is too short to be one, or too long.
    #[error("`{file}` holds {found} bytes, expected a key of {} to {} bytes", LENGTHS[0], LENGTHS[1])]
    Key {
        /// The file.
        file: PathBuf,
        /// Its length without white space at its ends.
        found: usize,
    },
}

/// Bytes of a key: the shortest, 128 bits, and the longest.
const LENGTHS: [usize; 2] = [16, 4096];

/// Most days that dates are moved by: ten years.
const MOST_DAYS: u64 = 3652;

/// Whom results name.
#[derive(Clone)]
pub enum Identity {
    /// The patients as they are.
    AsIs,
    /// Pseudonyms.
    Pseudonyms {
        /// The key.
        key: Vec<u8>,
        /// What becomes of UIDs.
        uids: Uids,
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

/// Whom the results of a study name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Takes the place of `PatientID`.
    pub patient_id: String,
    /// Days that dates are moved by.
    pub shift_days: i64,
}

impl Identity {
    /// Reads the key; the patients as they are where there are no settings.
    ///
    /// # Errors
    ///
    /// Fails if the key cannot be read, or is too short or too long.
    pub fn new(settings: Option<&Settings>) -> Result<Self, Error> {
        let Some(Settings { key: file, uids }) = settings else { return Ok(Self::AsIs) };
        let key = fs::read(file)?.trim_ascii().to_vec();
        if !(LENGTHS[0]..=LENGTHS[1]).contains(&key.len()) {
            return Err(Error::Key { file: file.clone(), found: key.len() });
        }
        Ok(Self::Pseudonyms { key, uids: *uids })
    }

    /// Whether pseudonyms are named.
    pub fn is_replaced(&self) -> bool {
        matches!(self, Self::Pseudonyms { .. })
    }

    /// Whom the results of a study name.
    ///
    /// METHOD: a pseudonym is 128 bits of the keyed hash of the patient's id; the shift, 1 to 3,652
    /// days back, follows from the same, so that intervals between a patient's studies hold and no
    /// date is in the future. Where a study has no patient's id, it stands for a patient of its
    /// own.
    pub fn person(&self, patient_id: &str, study_instance_uid: &str) -> Person {
        let Self::Pseudonyms { key, .. } = self else {
            return Person { patient_id: patient_id.to_owned(), shift_days: 0 };
        };
        let whose = if patient_id.is_empty() {
            ["study", study_instance_uid]
        } else {
            ["patient", patient_id]
        };
        let of = |purpose: &str| keyed_hash::of_parts(key, &[purpose, whose[0], whose[1]]);
        let days = of("days");
        let days = u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|n: usize| days[n])) % MOST_DAYS;
        Person { patient_id: hexadecimal(&of("id")), shift_days: -(days as i64 + 1) }
    }

    /// A UID as results name it.
    pub fn uid(&self, of: &str) -> String {
        match self {
            Self::Pseudonyms { key, uids: Uids::Replace } => {
                uid::from_digest(&keyed_hash::of_parts(key, &["uid", of]))
            }
            Self::AsIs | Self::Pseudonyms { uids: Uids::Keep, .. } => of.to_owned(),
        }
    }

    /// An id of a nodule, or any other that was made from UIDs or a patient's id, as results name
    /// it.
    pub fn id(&self, of: &str) -> String {
        match self {
            Self::Pseudonyms { key, .. } => hexadecimal(&keyed_hash::of_parts(key, &["id", of])),
            Self::AsIs => of.to_owned(),
        }
    }

    /// A date `YYYYMMDD` as results name it, of this person; empty where it is none.
    pub fn date(&self, person: &Person, date: &str) -> String {
        match self {
            Self::AsIs => date.to_owned(),
            Self::Pseudonyms { .. } => shifted_date(date, person.shift_days).unwrap_or_default(),
        }
    }

    /// What DICOM objects take, with `uid` from [`Self::uid`]; `None` where patients stay as they
    /// are.
    pub(super) fn pseudonyms<'a>(
        &self,
        person: &Person,
        uid: &'a dyn Fn(&str) -> String,
    ) -> Option<Pseudonyms<'a>> {
        let Self::Pseudonyms { uids, .. } = self else { return None };
        let uid = (*uids == Uids::Replace).then_some(uid);
        Some(Pseudonyms {
            patient_id: person.patient_id.clone(),
            shift_days: person.shift_days,
            uid,
        })
    }
}

/// 128 bits.
fn hexadecimal(digest: &[u8; 32]) -> String {
    hash::hexadecimal(&digest[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_key(key: &[u8], uids: Uids) -> Result<Identity, Error> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, key).unwrap();
        Identity::new(Some(&Settings { key: file, uids }))
    }

    #[test]
    fn pseudonyms_follow_from_the_key_and_the_patient() {
        let [a, b] = [b"0123456789abcdef\n", b"0123456789abcdeg\n"]
            .map(|key| with_key(key, Uids::Replace).unwrap());
        let person = a.person("P-7", "1.2");
        assert_eq!(person, a.person("P-7", "1.3"));
        assert!(person.patient_id.len() == 32 && !person.patient_id.contains("P-7"));
        assert!((-3652..0).contains(&person.shift_days), "{person:?}");
        assert_ne!(person, b.person("P-7", "1.2"));
        assert_ne!(person, a.person("P-8", "1.2"));
        assert_ne!(a.person("", "1.2"), a.person("", "1.3"));
        assert_ne!(a.person("", "1.2"), a.person("1.2", "1.2"));
        assert!(uid::is_uid(&a.uid("1.2")) && a.uid("1.2") != a.uid("1.3"));
        assert_ne!(a.id("nod_1"), "nod_1");
        // The interval of two dates.
        let dates = ["20240101", "20240301"].map(|date| a.date(&person, date));
        assert_eq!(shifted_date(&dates[0], 60).as_ref(), Some(&dates[1]));
        assert_eq!(a.date(&person, "not a date"), "");
        let uid = |of: &str| a.uid(of);
        assert!(a.pseudonyms(&person, &uid).is_some_and(|p| p.uid.is_some()));
        assert_eq!(format!("{a:?}"), "Pseudonyms(Replace)");
    }

    #[test]
    fn what_is_kept_is_kept() {
        let keep = with_key(&[7; 64], Uids::Keep).unwrap();
        assert_eq!(keep.uid("1.2"), "1.2");
        let as_is = Identity::new(None).unwrap();
        assert_eq!(as_is.uid("1.2") + &as_is.id("n"), "1.2n");
        let person = as_is.person("P-7", "1.2");
        assert_eq!(person, Person { patient_id: "P-7".to_owned(), shift_days: 0 });
        assert_eq!(as_is.date(&person, "20240101"), "20240101");
        assert!(as_is.pseudonyms(&person, &|uid| uid.to_owned()).is_none());
    }

    #[test]
    fn a_key_has_a_length() {
        let refused = |key: &[u8]| with_key(key, Uids::Keep).unwrap_err().to_string();
        let short = refused(b"  0123456789abcde \n");
        assert!(short.ends_with("holds 15 bytes, expected a key of 16 to 4096 bytes"), "{short}");
        assert!(refused(&[1; 4097]).contains("4097"));
        let settings = Settings { key: "no such file".into(), uids: Uids::Keep };
        assert!(Identity::new(Some(&settings)).unwrap_err().to_string().contains("no such file"));
    }
}
