//! Who trained and validated weights: keyed hashes of patients, series and images, in a file beside the weights.
//!
//! The file `model.trained-on` begins with the 20 bytes `nodulus trained-on 1`. Then come the number of sets (32 bits) and
//! the sets: the training's own, and those of the weights that it started from. A set is a key of 32 bytes and six
//! groups: patients, series and images that were learnt from, then those that epochs were chosen on. A group is
//! its number of hashes (64 bits) and the hashes, ascending. A hash is the first 16 bytes of HMAC-SHA256 with the
//! set's key over the kind (`patient`, `series` or `image`), a zero byte, and the text. Numbers are little-endian.

use super::checkpoint::{self, sha256_hex, weights_path};
use super::error::{Error, Result};
use fs_err as fs;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The first bytes of the file.
const MAGIC: &[u8] = b"nodulus trained-on 1";

/// Bytes of a hash.
const HASH_BYTES: usize = 16;

/// Extension of the file, which is named as the weights beside it.
const EXTENSION: &str = "trained-on";

/// What a text names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IdentityKind {
    /// A patient, by the id.
    Patient,
    /// A series, by its UID.
    Series,
    /// An image, by a hash of its voxels.
    Image,
}

/// What a patient, series or image was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrainingUse {
    /// The weights learnt from it.
    Training,
    /// Epochs were chosen on it.
    Validation,
}

/// A patient, series or image that is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeenIdentity {
    /// What it was used for; for both, training.
    pub used_for: TrainingUse,
    /// Whether weights used it that the training started from, and not the training itself.
    pub is_inherited: bool,
}

type Hash = [u8; HASH_BYTES];

/// The hashes of one training.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyedSet {
    key: [u8; 32],
    groups: [BTreeSet<Hash>; 6],
}

/// Who trained and validated weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainedOn {
    /// The training's own, then those of the weights that it started from.
    sets: Vec<KeyedSet>,
}

impl IdentityKind {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Series => "series",
            Self::Image => "image",
        }
    }
}

/// Position of a group in a set.
const fn group(used_for: TrainingUse, kind: IdentityKind) -> usize {
    3 * used_for as usize + kind as usize
}

impl KeyedSet {
    fn new(key: [u8; 32]) -> Self {
        Self { key, groups: Default::default() }
    }

    fn hash(&self, kind: IdentityKind, text: &str) -> Hash {
        let mut mac = with_key(&self.key);
        for part in [kind.name().as_bytes(), &[0], text.as_bytes()] {
            mac.update(part);
        }
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        std::array::from_fn(|n| digest[n])
    }

    fn find(&self, kind: IdentityKind, text: &str) -> Option<TrainingUse> {
        let hash = self.hash(kind, text);
        let uses = [TrainingUse::Training, TrainingUse::Validation];
        uses.into_iter().find(|used_for| self.groups[group(*used_for, kind)].contains(&hash))
    }
}

fn with_key(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

impl TrainedOn {
    /// An empty list, whose hashes have a key of their own.
    ///
    /// METHOD: the key is derived from the training's own key and kept in the file, so that a training that is repeated
    /// gives the same file. It keeps tables of hashes that were computed beforehand from being of use, and hashes
    /// of two trainings from being compared. It is no secret: whoever has the file can test whether an id is in it.
    pub fn new(training_key: &str) -> Self {
        let mut mac = with_key(MAGIC);
        mac.update(training_key.as_bytes());
        Self { sets: vec![KeyedSet::new(mac.finalize().into_bytes().into())] }
    }

    /// Adds a patient, series or image of the training.
    pub fn add(&mut self, used_for: TrainingUse, kind: IdentityKind, text: &str) {
        if let Some(own) = self.sets.first_mut() {
            let hash = own.hash(kind, text);
            own.groups[group(used_for, kind)].insert(hash);
        }
    }

    /// Adds all that the weights were trained on that the training starts from.
    pub fn inherit(&mut self, initial: &Self) {
        self.sets.extend(initial.sets.iter().cloned());
    }

    /// Number of patients, series or images of the training itself.
    pub fn n_own(&self, used_for: TrainingUse, kind: IdentityKind) -> u64 {
        self.sets.first().map_or(0, |own| own.groups[group(used_for, kind)].len() as u64)
    }

    /// What a patient, series or image was used for; `None` where it is not in the list.
    pub fn find(&self, kind: IdentityKind, text: &str) -> Option<SeenIdentity> {
        let of_set = |(n, set): (usize, &KeyedSet)| {
            Some(SeenIdentity { used_for: set.find(kind, text)?, is_inherited: n > 0 })
        };
        self.sets.iter().enumerate().filter_map(of_set).min()
    }

    /// What the training itself used a patient, series or image for; `None` where only weights that it started from did, or
    /// none.
    pub fn find_own(&self, kind: IdentityKind, text: &str) -> Option<TrainingUse> {
        self.sets.first()?.find(kind, text)
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend((self.sets.len() as u32).to_le_bytes());
        for set in &self.sets {
            bytes.extend(set.key);
            for group in &set.groups {
                bytes.extend((group.len() as u64).to_le_bytes());
                for hash in group {
                    bytes.extend(hash);
                }
            }
        }
        bytes
    }

    /// SHA-256 of [`Self::to_bytes`].
    pub fn sha256(&self) -> String {
        sha256_hex(&self.to_bytes())
    }

    /// Writes the file beside a weights file.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub fn write_beside(&self, weights: &Path) -> Result<()> {
        Ok(fs::write(path_beside(weights), self.to_bytes())?)
    }

    /// Who trained and validated weights: a checkpoint's folder, or a weights file. `None` where their
    /// description has no contract, or where there is no description.
    ///
    /// # Errors
    ///
    /// Fails if a file is missing, cannot be read, or is not the one that the description names.
    pub fn of_weights(path: &Path) -> Result<Option<Self>> {
        let weights = weights_path(path);
        let Some(contract) = checkpoint::contract(&weights)? else { return Ok(None) };
        let path = path_beside(&weights);
        let wrong = |problem: String| Error::Checkpoint { path: path.clone(), problem };
        let bytes = fs::read(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => wrong(
                "is missing; it lists whom the weights were trained on: copy it from the checkpoint's folder, beside \
                 the weights"
                    .to_owned(),
            ),
            _ => Error::File(error),
        })?;
        let (found, expected) = (sha256_hex(&bytes), contract.trained_on.sha256);
        if found != expected {
            return Err(wrong(format!(
                "its SHA-256 is {found}, expected {expected}, as the description beside it says; copy both from the \
                 same checkpoint"
            )));
        }
        let damaged = || wrong("is no list of patients that weights were trained on".to_owned());
        Self::from_bytes(&bytes).ok_or_else(damaged).map(Some)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let n_sets = u32::from_le_bytes(take(&mut rest)?);
        let mut sets = Vec::new();
        for _ in 0..n_sets {
            let mut set = KeyedSet::new(take(&mut rest)?);
            for group in &mut set.groups {
                let n = u64::from_le_bytes(take(&mut rest)?);
                let n_bytes = usize::try_from(n).ok()?.checked_mul(HASH_BYTES)?;
                let (hashes, after) = rest.split_at_checked(n_bytes)?;
                rest = after;
                *group = hashes.as_chunks::<HASH_BYTES>().0.iter().copied().collect();
            }
            sets.push(set);
        }
        rest.is_empty().then_some(Self { sets })
    }
}

/// The next bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

/// Path of the file beside a weights file.
fn path_beside(weights: &Path) -> PathBuf {
    weights_path(weights).with_extension(EXTENSION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use IdentityKind::{Image, Patient, Series};
    use TrainingUse::{Training, Validation};

    fn list() -> TrainedOn {
        let mut list = TrainedOn::new("run");
        list.add(Training, Patient, "p1");
        list.add(Validation, Patient, "p2");
        list.add(Validation, Series, "1.2.3");
        list.add(Training, Series, "1.2.3");
        list.add(Training, Image, "abc");
        list
    }

    const fn seen(used_for: TrainingUse, is_inherited: bool) -> SeenIdentity {
        SeenIdentity { used_for, is_inherited }
    }

    /// HMAC-SHA256 by Python's `hmac`: the key is `hmac.digest(b"nodulus trained-on 1", b"run", "sha256")`, the
    /// hash `hmac.digest(key, b"patient\0p1", "sha256").hex()[:32]`.
    #[test]
    fn hashes_are_those_of_another_program() {
        let list = list();
        let hash = list.sets[0].hash(Patient, "p1");
        assert_eq!(checkpoint::hexadecimal(&hash), "77f5a61323672658b2ea2a2b5b32424b");
    }

    #[test]
    fn whom_weights_saw_is_found_and_nobody_else() {
        let list = list();
        assert_eq!(list.find(Patient, "p1"), Some(seen(Training, false)));
        assert_eq!(list.find(Patient, "p2"), Some(seen(Validation, false)));
        assert_eq!(list.find(Series, "1.2.3"), Some(seen(Training, false)));
        assert_eq!(list.find(Image, "abc"), Some(seen(Training, false)));
        for (kind, text) in [(Patient, "p3"), (Series, "p1"), (Patient, "abc"), (Image, "")] {
            assert_eq!(list.find(kind, text), None, "{kind:?} {text}");
        }
        let mut next = TrainedOn::new("next run");
        next.add(Validation, Patient, "p1");
        next.inherit(&list);
        assert_eq!(next.find(Patient, "p1"), Some(seen(Training, true)));
        assert_eq!(next.find(Patient, "p2"), Some(seen(Validation, true)));
        assert_eq!(next.n_own(Validation, Patient), 1);
        assert_eq!(next.find_own(Patient, "p1"), Some(Validation));
        assert_eq!(next.find_own(Patient, "p2"), None);
        assert_ne!(next.sets[0].hash(Patient, "p1"), next.sets[1].hash(Patient, "p1"));
    }

    #[test]
    fn a_file_comes_back_and_a_damaged_one_does_not() {
        let mut list = list();
        list.inherit(&TrainedOn::new("before"));
        let bytes = list.to_bytes();
        assert_eq!(TrainedOn::from_bytes(&bytes), Some(list));
        for n in 0..bytes.len() {
            assert_eq!(TrainedOn::from_bytes(&bytes[..n]), None, "{n}");
        }
        let mut huge = bytes.clone();
        // The number of training patients.
        huge[MAGIC.len() + 4 + 32..][..8].fill(0xff);
        assert_eq!(TrainedOn::from_bytes(&huge), None);
        assert_eq!(TrainedOn::from_bytes(&[bytes, vec![0]].concat()), None);
    }
}
