//! The files of a scored scan: DICOM SEG, RTSTRUCT, NIfTI, PNG and JSON; `docs/outputs.md`.

mod document;
mod error;
mod labels;
mod objects;
mod overlay;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use overlay::slices_needed;

use super::identity::{Identity, Person};
use super::scored::ScoredScan;
use crate::tables::{durable, hash};
use nodulus_formats::uid;
use nodulus_formats::volume::LoadedSlices;
use objects::Objects;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// DICOM SEG.
    Seg,
    /// DICOM RTSTRUCT.
    Rtstruct,
    /// Labels as NIfTI, a nodule's number in its voxels.
    Nifti,
    /// A sheet of the nodules' middle slices.
    Png,
    /// All that is known of the scan.
    Json,
}

impl Output {
    /// What a file's name ends with.
    const fn ending(self) -> &'static str {
        match self {
            Self::Seg => "segmentation.dcm",
            Self::Rtstruct => "structure_set.dcm",
            Self::Nifti => "labels.nii.gz",
            Self::Png => "overlay.png",
            Self::Json => "nodules.json",
        }
    }
}

/// What became of a file that was wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It is there.
    Written {
        /// Which it is.
        output: Output,
        /// Where it is.
        path: PathBuf,
        /// Its length.
        n_bytes: u64,
        /// SHA-256 of its bytes.
        sha256: String,
    },
    /// The scan has nothing that it could hold, say no nodule.
    Empty {
        /// Which it is.
        output: Output,
        /// Why.
        reason: String,
    },
    /// It cannot be made of such a scan: worth a warning.
    Unavailable {
        /// Which it is.
        output: Output,
        /// Why.
        reason: String,
    },
}

/// What is made of a scan, before it is written.
enum Made {
    File(Vec<u8>),
    Empty(String),
    Unavailable(String),
}

/// A scan and whom its files name.
struct Case<'a> {
    scan: &'a ScoredScan,
    identity: &'a Identity,
    person: Person,
}

/// Writes the files that are wanted of a scan into a folder, which is made if need be: each beside
/// its place, synced and renamed. `hu` are slices of the scan, of which the overlay needs
/// [`slices_needed`].
///
/// Names are the series' UID, or one made from its name where that is none, and a fixed word;
/// nothing of the patient. A file that is there is replaced. The same scan gives the same bytes.
///
/// # Errors
///
/// Fails if a DICOM file of the scan cannot be read again, `scored_at` is no time, a mask reaches
/// off the scan, or a file cannot be written.
pub fn deliver(
    scan: &ScoredScan,
    hu: &LoadedSlices<i16>,
    wanted: &BTreeSet<Output>,
    identity: &Identity,
    folder: &Path,
) -> Result<Vec<Delivered>, Error> {
    let study = scan.info.as_ref().map_or("", |info| info.study_instance_uid.as_str());
    let patient_id = scan.info.as_ref().map_or("", |info| info.patient_id.as_str());
    // A scan without a header is of nobody, and each of somebody else.
    let study = if study.is_empty() { scan.series_instance_uid.as_str() } else { study };
    let case = Case { scan, identity, person: identity.person(patient_id, study) };
    case.check()?;
    let of_dicom = |output: &Output| matches!(output, Output::Seg | Output::Rtstruct);
    let objects = wanted.iter().any(of_dicom).then(|| Objects::new(&case)).transpose()?;
    let mut delivered = Vec::new();
    // In their order, which has the document last, as it lists the others.
    for output in wanted {
        let made = match (output, &objects) {
            (Output::Seg, Some(objects)) => objects.segmentation()?,
            (Output::Rtstruct, Some(objects)) => objects.structure_set()?,
            (Output::Seg | Output::Rtstruct, None) => continue,
            (Output::Nifti, _) => Made::File(labels::bytes(scan)?),
            (Output::Png, _) => overlay::made(&case, hu)?,
            (Output::Json, _) => Made::File(document::bytes(&case, &delivered)?),
        };
        delivered.push(written(&case, *output, made, folder)?);
    }
    Ok(delivered)
}

fn written(case: &Case<'_>, output: Output, made: Made, folder: &Path) -> Result<Delivered, Error> {
    Ok(match made {
        Made::Empty(reason) => Delivered::Empty { output, reason },
        Made::Unavailable(reason) => Delivered::Unavailable { output, reason },
        Made::File(bytes) => {
            let path = folder.join(format!("{}_{}", case.series_uid(), output.ending()));
            durable::write(&path, &bytes)?;
            let (n_bytes, sha256) = (bytes.len() as u64, hash::sha256(&bytes));
            Delivered::Written { output, path, n_bytes, sha256 }
        }
    })
}

impl Case<'_> {
    /// The series as its files name it.
    fn series_uid(&self) -> String {
        let own = &self.scan.series_instance_uid;
        if uid::is_uid(own) {
            return self.identity.uid(own);
        }
        // A name may tell of the patient.
        self.identity.uid(&uid::from_parts([b"series".as_slice(), own.as_bytes()]))
    }

    /// Refuses what none of the files could hold.
    fn check(&self) -> Result<(), Error> {
        self.date_and_time()?;
        let size = self.scan.geometry.size();
        for nodule in &self.scan.nodules {
            let Some(end) = nodule.mask.as_ref().map(nodulus_formats::volume::PlacedMask::end)
            else {
                continue;
            };
            if (0..3).any(|a| end[a] > size[a]) {
                let (series, number) = (self.series_uid(), nodule.number);
                return Err(Error::OffScan { series, number, end, size });
            }
        }
        Ok(())
    }

    /// When the scan was scored, `YYYYMMDD` and `HHMMSS`.
    fn date_and_time(&self) -> Result<[String; 2], Error> {
        let text = &self.scan.scored_at;
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let shape: String =
            text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        let date = digits.get(..8).unwrap_or_default();
        let is_date = nodulus_formats::dicom::shifted_date(date, 0).is_some();
        if shape != "0000-00-00T00:00:00Z" || !is_date {
            return Err(Error::ScoredAt { found: text.clone() });
        }
        Ok([date.to_owned(), digits[8..].to_owned()])
    }
}

impl Delivered {
    /// Which file it is.
    pub fn output(&self) -> Output {
        match self {
            Self::Written { output, .. }
            | Self::Empty { output, .. }
            | Self::Unavailable { output, .. } => *output,
        }
    }

    /// What is worth a warning.
    pub fn warning(&self) -> Option<String> {
        match self {
            Self::Written { .. } | Self::Empty { .. } => None,
            Self::Unavailable { output, reason } => {
                Some(format!("no {}: {reason}", output.ending()))
            }
        }
    }
}
