//! A Parquet file with a row for each slice.

use super::error::Error;
use nodulus_store::{foreign, hash};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const NEEDED: &[&str] = &["roi_id", "mask_bits"];
const WANTED: &[&str] = &["nodule_probability"];

/// A row; null stands for what is not there.
#[derive(Deserialize)]
struct Row {
    roi_id: Option<String>,
    #[serde(with = "serde_bytes")]
    mask_bits: Option<Vec<u8>>,
    #[serde(default)]
    nodule_probability: Option<f64>,
}

/// What a slice is given as.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GivenSlice {
    /// Packed mask.
    pub(super) mask_bits: Vec<u8>,
    /// Probability that the slice shows the nodule, where the file has one.
    pub(super) probability: Option<f64>,
}

/// Where a slice's row is, and what it holds.
struct Entry {
    position: u64,
    n_bytes: u64,
    digest: [u8; 16],
    /// Whether `rois` has the slice.
    is_known: bool,
}

/// The file, read once: some 80 bytes for each slice are in memory.
pub(super) struct MaskTable {
    path: PathBuf,
    slices: BTreeMap<String, Entry>,
}

impl MaskTable {
    /// Reads the file once, some rows at a time.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read, has no rows, a value is missing, a slice is there twice, or a probability is none.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let mut slices = BTreeMap::new();
        let mut position = 0;
        foreign::each_batch(path, NEEDED, WANTED, None, |rows: Vec<Row>| {
            for row in rows {
                let (roi_id, given) = checked(path, position, row)?;
                let entry = Entry {
                    position,
                    n_bytes: given.mask_bits.len() as u64,
                    digest: digest(&given),
                    is_known: false,
                };
                if slices.contains_key(&roi_id) {
                    return Err(Error::Twice { path: path.to_owned(), what: "slice", id: roi_id });
                }
                slices.insert(roi_id, entry);
                position += 1;
            }
            Ok(())
        })?;
        if slices.is_empty() {
            return Err(Error::Empty { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), slices })
    }

    /// A digest of a slice's row, where there is one. The slice is known from then on.
    ///
    /// # Errors
    ///
    /// Fails if its mask does not have the slice's size.
    pub(super) fn find(
        &mut self,
        roi_id: &str,
        [width, height]: [i64; 2],
    ) -> Result<Option<String>, Error> {
        let Some(entry) = self.slices.get_mut(roi_id) else { return Ok(None) };
        entry.is_known = true;
        let n_pixels = width.saturating_mul(height);
        let expected = u64::try_from(n_pixels).unwrap_or(0).div_ceil(8);
        if entry.n_bytes != expected {
            let (path, roi_id) = (self.path.clone(), roi_id.to_owned());
            return Err(Error::Bytes {
                path,
                roi_id,
                found: entry.n_bytes,
                expected,
                width,
                height,
            });
        }
        Ok(Some(hash::hexadecimal(&entry.digest)))
    }

    pub(super) fn has(&self, roi_id: &str) -> bool {
        self.slices.contains_key(roi_id)
    }

    /// Fails if `rois` does not have every slice.
    pub(super) fn check_known(&self) -> Result<(), Error> {
        let ids = self.slices.iter().map(|(id, entry)| (id, entry.is_known));
        Error::check_known(&self.path, "slices", ids)
    }

    /// Reads the masks of some slices.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or is no longer as it was when it was opened.
    pub(super) fn read<'a>(
        &self,
        roi_ids: impl Iterator<Item = &'a str>,
    ) -> Result<BTreeMap<String, GivenSlice>, Error> {
        let mut positions: Vec<u64> =
            roi_ids.filter_map(|id| self.slices.get(id)).map(|entry| entry.position).collect();
        positions.sort_unstable();
        let mut found = BTreeMap::new();
        let mut at = positions.iter();
        let changed = || Error::Changed { path: self.path.clone() };
        foreign::each_batch(&self.path, NEEDED, WANTED, Some(&positions), |rows: Vec<Row>| {
            for row in rows {
                let position = *at.next().ok_or_else(changed)?;
                let (roi_id, given) = checked(&self.path, position, row)?;
                let entry = self.slices.get(&roi_id).ok_or_else(changed)?;
                if entry.position != position || entry.digest != digest(&given) {
                    return Err(changed());
                }
                found.insert(roi_id, given);
            }
            Ok(())
        })?;
        if found.len() == positions.len() { Ok(found) } else { Err(changed()) }
    }
}

/// A row without missing values.
fn checked(path: &Path, position: u64, row: Row) -> Result<(String, GivenSlice), Error> {
    let row_number = position + 1;
    let null = |column| Error::Null { path: path.to_owned(), row: row_number, column };
    let roi_id = row.roi_id.ok_or_else(|| null("roi_id"))?;
    let mask_bits = row.mask_bits.ok_or_else(|| null("mask_bits"))?;
    match row.nodule_probability {
        Some(found) if !(0.0..=1.0).contains(&found) => {
            Err(Error::Probability { path: path.to_owned(), row: row_number, found })
        }
        probability => Ok((roi_id, GivenSlice { mask_bits, probability })),
    }
}

/// The first half of the SHA-256 of what a row says of its slice.
fn digest(given: &GivenSlice) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(&given.mask_bits);
    // Not a number stands for no probability; the file has no such number.
    hash.update(given.probability.unwrap_or(f64::NAN).to_le_bytes());
    let mut digest = [0; 16];
    for (to, from) in digest.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    digest
}
