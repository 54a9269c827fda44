//! All cohorts of a phantom, below one folder.

use super::cohorts::{self, WrittenPatient};
use super::config::Config;
use super::error::Error;
use super::folder::{self, PhantomSummary};
use super::traps;
use super::truth::Truth;
use fs_err as fs;
use nodulus_formats::scan_geometry::{self, NewScanGeometry};
use nodulus_formats::{lidc_xml, luna_csv};
use rayon::prelude::*;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Name of the folder below a store in which a run writes the phantom of its pipeline file.
pub const FOLDER: &str = "phantom";

/// Writes a phantom's cohorts below a folder, and creates the folder if needed.
///
/// - `lidc/PATIENT/STUDY/SERIES/`: DICOM slices and the readers' XML.
/// - `luna16/`: the same scans as MetaImage in `subset0` to `subset9`, `annotations.csv`,
///   `candidates.csv`, `seriesuids.csv`, and the XML in `xml/`.
/// - `lidc-annotations/`: the same XML without images in `xml/`, the geometry of the scans in `scan-geometry.csv`, and one
///   file for each of [`TRAPS`](super::TRAPS) in `xml/traps/`.
/// - `clinical/PATIENT/`: DICOM slices in `ct/`, one reader's nodules in `mask.nii.gz`.
/// - `truth.json`: the true values of every nodule ([`Truth`]).
/// - `phantom.json`: the settings, written last.
///
/// A folder with the whole phantom of these settings stays as it is; one with a part of it is written again. At most one
/// scan for each thread of the pool is in memory. `progress` gets the number of patients written so far and their total. A
/// cohort of zero patients has no folder; LUNA16's tables then have no rows.
///
/// # Errors
///
/// Fails if a setting is out of range, the folder holds anything else, or a file cannot be written.
pub fn write(
    out: &Path,
    config: &Config,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<PhantomSummary, Error> {
    config.check()?;
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
    // A thread that waits for a series' files may start another patient; a batch bounds the memory of that.
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

/// Whether a folder holds the whole phantom of these settings already; nothing is changed.
///
/// # Errors
///
/// Fails as [`write()`] would before its first file: for a setting out of range, or a folder that holds anything else.
pub fn is_written(out: &Path, config: &Config) -> Result<bool, Error> {
    config.check()?;
    Ok(matches!(folder::look(out, config)?, folder::Found::Whole(_)))
}

/// Number of cases of a cohort that [`write()`] writes below a folder, given the cohort's folder relative to it.
pub fn n_cases(config: &Config, cohort: &Path) -> usize {
    match cohort.iter().next().and_then(|name| name.to_str()) {
        Some("clinical") => config.clinical_patients,
        Some("lidc-annotations") => config.patients + traps::TRAPS.len(),
        _ => config.patients,
    }
}

fn luna16_tables(folder: &Path, written: &[WrittenPatient]) -> Result<(), Error> {
    fs::create_dir_all(folder)?;
    let annotations: Vec<_> = written.iter().flat_map(|w| w.annotations.clone()).collect();
    let candidates: Vec<_> = written.iter().flat_map(|w| w.candidates.clone()).collect();
    let series: Vec<_> = written.iter().map(|w| w.truth.series_instance_uid.clone()).collect();
    luna_csv::write_annotations(&folder.join("annotations.csv"), &annotations)?;
    luna_csv::write_candidates(&folder.join("candidates.csv"), &candidates)?;
    luna_csv::write_series_uids(&folder.join("seriesuids.csv"), &series)?;
    Ok(())
}

/// Writes the XML of LIDC-IDRI without images, and the geometry of the scans.
fn annotations(folder: &Path, seed: u64, written: &[WrittenPatient]) -> Result<(), Error> {
    let xml = folder.join("xml");
    fs::create_dir_all(&xml)?;
    for (n, written) in written.iter().enumerate() {
        if let Some(reads) = &written.reads {
            lidc_xml::write(&xml.join(format!("{:03}.xml", n + 1)), reads)?;
        }
    }
    let traps = traps::write(&xml.join("traps"), seed)?;
    let mut rows: Vec<NewScanGeometry<'_>> =
        written.iter().map(WrittenPatient::scan_geometry).collect();
    rows.extend(traps.iter().map(|(series, study)| traps::geometry(series, study)));
    scan_geometry::write_csv(&folder.join("scan-geometry.csv"), &rows)?;
    Ok(())
}
