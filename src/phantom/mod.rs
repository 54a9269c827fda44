//! Seeded synthetic cohorts of chest CT, written in the real formats, with known truth.
//!
//! A patient follows from the seed, the cohort and the patient's number alone: more patients leave
//! the first ones as they are, and neither the machine nor the number of threads matters.

mod seed;
mod grid;
mod texture;
mod edge;
mod chest;
mod tubes;
mod shape;
mod nodule;
mod placing;
mod noise;
mod scan;
mod outline;
mod readers;
mod truth;
mod traps;
mod cohorts;
mod follow_up;
mod folder;

pub use folder::Summary;
pub use follow_up::{FollowUp, Visit, VisitNodule, write_follow_up};
pub use nodule::NoduleType;
pub use noise::Kernel;
pub use traps::TRAPS;
pub use truth::{NoduleTruth, PatientTruth, Truth};

use cohorts::Written;
use fs_err as fs;
use nodulus_formats::scan_geometry::{self, NewScanGeometry};
use nodulus_formats::volume::{InvalidGeometry, ShapeMismatch};
use nodulus_formats::{dicom, lidc_xml, luna_csv};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Everything follows from it.
    pub seed: u64,
    /// Patients with four readers, written as LIDC-IDRI and as LUNA16, up to 9,999.
    pub patients: usize,
    /// Patients of the clinic, with one reader, up to 9,999.
    pub clinical_patients: usize,
    /// Columns and rows of a slice, 64 to 512.
    pub size: usize,
    /// Slices of a scan, 16 to 400; a patient's scan has up to an eighth more or fewer.
    pub slices: usize,
    /// Least number of nodules of 3 mm or more that a patient is meant to have, 1 to 8.
    pub nodules_min: usize,
    /// Greatest number of them, up to 8; one that finds no room is left out.
    pub nodules_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            patients: 24,
            clinical_patients: 12,
            size: 256,
            slices: 44,
            nodules_min: 2,
            nodules_max: 5,
        }
    }
}

/// A phantom could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A setting is out of its range.
    #[error("phantom's `{key}` is {found}, expected {expected}")]
    Setting {
        /// Name of the setting.
        key: &'static str,
        /// Its value.
        found: usize,
        /// Values that it may have.
        expected: String,
    },
    /// The folder holds something else.
    #[error("`{0}` is not empty and holds no phantom; name an empty folder")]
    Occupied(PathBuf),
    /// The folder holds the phantom of another configuration or program.
    #[error("`{path}` is a phantom of another making: found {found}, expected {expected}")]
    OtherPhantom {
        /// The file that tells.
        path: PathBuf,
        /// What the file says.
        found: String,
        /// What it would say.
        expected: String,
    },
    /// A JSON file of the phantom could not be made.
    #[error("`{path}` cannot be written as JSON")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A scan's geometry is none.
    #[error(transparent)]
    Geometry(#[from] InvalidGeometry),
    /// A scan's voxels do not fit its geometry.
    #[error(transparent)]
    Shape(#[from] ShapeMismatch),
    /// A DICOM series could not be written.
    #[error(transparent)]
    Dicom(#[from] dicom::Error),
    /// A table of scan geometry could not be written.
    #[error(transparent)]
    ScanGeometry(#[from] scan_geometry::Error),
    /// A table of LUNA16 could not be written.
    #[error(transparent)]
    LunaCsv(#[from] luna_csv::Error),
}

/// Writes a phantom's cohorts below a folder, which is made if need be.
///
/// - `lidc/PATIENT/STUDY/SERIES/`: DICOM slices and the readers' XML.
/// - `luna16/`: the same scans as MetaImage in `subset0` to `subset9`, `annotations.csv`,
///   `candidates.csv`, `seriesuids.csv`, and the XML in `xml/`.
/// - `lidc-annotations/`: the same XML without images in `xml/`, `scan-geometry.csv`, and one file for
///   each of [`TRAPS`] in `xml/traps/`.
/// - `clinical/PATIENT/`: DICOM slices in `ct/`, one reader's nodules in `mask.nii.gz`.
/// - `truth.json`: what is true of every nodule ([`Truth`]).
/// - `phantom.json`: the configuration, put there last.
///
/// A folder with the whole phantom of this configuration is left as it is; one with a part of it
/// is written anew. At most one scan for each thread of the pool is in memory. `progress` is told
/// the number of patients that are written and that there will be; a cohort of zero patients has
/// no folder (LUNA16's tables then have no rows).
///
/// # Errors
///
/// Fails if a setting is out of range, the folder holds anything else, or a file cannot be written.
pub fn write(
    out: &Path,
    config: &Config,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Summary, Error> {
    check(config)?;
    if let Some(summary) = folder::open(out, config)? {
        return Ok(summary);
    }
    let total = config.patients + config.clinical_patients;
    let done = AtomicUsize::new(0);
    let patient = |n: usize| {
        let written = match n.checked_sub(config.patients) {
            None => cohorts::lidc(out, config, n),
            Some(n) => cohorts::clinical(out, config, n),
        };
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
        written
    };
    let mut lidc = Vec::with_capacity(total);
    // A thread that waits for a series' files may take up another patient; a batch bounds that.
    let batch = rayon::current_num_threads();
    for first in (0..total).step_by(batch) {
        let last = total.min(first + batch);
        let written: Vec<_> = (first..last).into_par_iter().map(patient).collect();
        for one in written {
            lidc.push(one?);
        }
    }
    let clinical = lidc.split_off(config.patients);
    luna16_tables(&out.join("luna16"), &lidc)?;
    annotations(&out.join("lidc-annotations"), config.seed, &lidc)?;
    let truth = Truth::new(
        lidc.into_iter().map(|written| written.truth).collect(),
        clinical.into_iter().map(|written| written.truth).collect(),
    );
    let path = out.join("truth.json");
    fs::write(&path, folder::json(&path, &truth)?)?;
    folder::close(out, config, &truth)
}

fn luna16_tables(folder: &Path, written: &[Written]) -> Result<(), Error> {
    fs::create_dir_all(folder)?;
    let annotations: Vec<_> = written.iter().flat_map(|w| w.annotations.clone()).collect();
    let candidates: Vec<_> = written.iter().flat_map(|w| w.candidates.clone()).collect();
    let series: Vec<_> = written.iter().map(|w| w.truth.series_instance_uid.clone()).collect();
    luna_csv::write_annotations(&folder.join("annotations.csv"), &annotations)?;
    luna_csv::write_candidates(&folder.join("candidates.csv"), &candidates)?;
    luna_csv::write_series_uids(&folder.join("seriesuids.csv"), &series)?;
    Ok(())
}

/// What LIDC-IDRI is without its images.
fn annotations(folder: &Path, seed: u64, written: &[Written]) -> Result<(), Error> {
    let xml = folder.join("xml");
    fs::create_dir_all(&xml)?;
    for (n, written) in written.iter().enumerate() {
        if let Some(reads) = &written.reads {
            lidc_xml::write(&xml.join(format!("{:03}.xml", n + 1)), reads)?;
        }
    }
    let traps = traps::write(&xml.join("traps"), seed)?;
    let mut rows: Vec<NewScanGeometry<'_>> = written.iter().map(Written::scan_geometry).collect();
    rows.extend(traps.iter().map(|(series, study)| traps::geometry(series, study)));
    scan_geometry::write_csv(&folder.join("scan-geometry.csv"), &rows)?;
    Ok(())
}

fn check(config: &Config) -> Result<(), Error> {
    let most = config.nodules_max.min(8);
    for (key, found, low, high) in [
        ("patients", config.patients, 0, 9999),
        ("clinical_patients", config.clinical_patients, 0, 9999),
        ("size", config.size, 64, 512),
        ("slices", config.slices, 16, 400),
        ("nodules_max", config.nodules_max, 1, 8),
        ("nodules_min", config.nodules_min, 1, most),
    ] {
        if !(low..=high).contains(&found) {
            return Err(Error::Setting { key, found, expected: format!("{low} to {high}") });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
