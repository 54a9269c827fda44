//! Scans as files, in the layouts of LIDC-IDRI, LUNA16 and a clinic.

use super::config::Config;
use super::error::Error;
use super::readers::{ReaderMask, ReadersMarks};
use super::scan::{CohortStyle, SyntheticScan};
use super::seed::{stream, uid};
use super::truth::PatientTruth;
use fs_err as fs;
use ndarray::Array3;
use nodulus_formats::dicom::{self, Date, NewSeries};
use nodulus_formats::lidc_xml::{self, Annotations};
use nodulus_formats::luna_csv::{Annotation, Candidate};
use nodulus_formats::scan_geometry::NewScanGeometry;
use nodulus_formats::volume::Volume;
use nodulus_formats::{metaimage, nifti};
use rand::Rng;
use std::path::Path;

/// METHOD: LUNA16's reference is every nodule of 3 mm or more that at least 3 of 4 readers marked.
const LUNA16_READERS: usize = 3;

/// Most false candidates of a scan.
const FALSE_CANDIDATES: usize = 60;

/// Errors of the clinical reader's line: on whole nodules, and along the line.
const CLINIC_BIAS_MM: f64 = 0.2;
const CLINIC_JITTER_MM: f64 = 0.3;

/// A patient whose files are written.
#[derive(Debug)]
pub(super) struct WrittenPatient {
    pub(super) truth: PatientTruth,
    pub(super) annotations: Vec<Annotation>,
    pub(super) candidates: Vec<Candidate>,
    /// The readers' XML; `None` for a clinical patient.
    pub(super) reads: Option<Annotations>,
    slice_thickness_mm: f64,
    z_mm: Vec<f64>,
}

impl WrittenPatient {
    /// The scan's geometry, as a row of `scan-geometry.csv`.
    pub(super) fn scan_geometry(&self) -> NewScanGeometry<'_> {
        let z_mm: Vec<String> = self.z_mm.iter().map(f64::to_string).collect();
        NewScanGeometry {
            series_instance_uid: &self.truth.series_instance_uid,
            study_instance_uid: &self.truth.study_instance_uid,
            patient_id: &self.truth.patient_id,
            slice_thickness_mm: self.slice_thickness_mm,
            pixel_spacing_mm: self.truth.spacing_mm[0],
            z_positions_mm: z_mm.join(" "),
        }
    }
}

/// Height of each slice.
fn heights(scan: &SyntheticScan) -> Vec<f64> {
    let geometry = &scan.acquisition.geometry;
    (0..geometry.size()[2]).map(|k| geometry.voxel_to_patient([0.0, 0.0, k as f64])[2]).collect()
}

/// Names and identifiers of a series and its patient.
pub(super) struct SeriesNames {
    patient: String,
    birth_date: Option<Date>,
    study_date: Option<Date>,
    pub(super) study: String,
    pub(super) series: String,
    frame: String,
    slices: Vec<String>,
}

impl SeriesNames {
    /// Names for a scan; `visit` distinguishes several scans of one patient and is empty otherwise.
    pub(super) fn new(seed: u64, scan: &SyntheticScan, visit: &str) -> Self {
        let name = |part: &str| uid(seed, &[&format!("{}{visit}", scan.patient), part]);
        let n_slices = scan.volume.geometry().size()[2];
        // Invented, but of the kind that a clinic has, so that tests can check that no result contains them.
        let mut rng = stream(seed, &[&scan.patient, "person"]);
        let mut date =
            |year: i32, within: i64| Date::new(year, 1, 1)?.plus_days(rng.random_range(0..within));
        Self {
            patient: format!("Phantomas^{}", scan.patient),
            birth_date: date(1930, 25_000),
            study_date: date(2008, 4_000),
            study: name("study"),
            series: name("series"),
            frame: name("frame of reference"),
            slices: (0..n_slices).map(|k| name(&format!("slice {k}"))).collect(),
        }
    }
}

/// Writes a patient with four readers: `lidc/PATIENT/STUDY/SERIES/` and `luna16/`.
pub(super) fn lidc(out: &Path, config: &Config, index: usize) -> Result<WrittenPatient, Error> {
    let scan = SyntheticScan::draw(config, CohortStyle::Lidc, index)?;
    let names = SeriesNames::new(config.seed, &scan, "");
    let blank = Annotations {
        series_instance_uid: names.series.clone(),
        study_instance_uid: Some(names.study.clone()),
        delivered: None,
        sessions: Vec::new(),
    };
    let reading = ReadersMarks::draw(config.seed, &scan, blank, &names.slices);
    let folder = out.join("lidc").join(&scan.patient).join(&names.study).join(&names.series);
    write_series(&folder, &scan, &names, names.study_date, -1024.0)?;
    let xml = format!("{:03}.xml", index + 1);
    lidc_xml::write(&folder.join(&xml), &reading.annotations)?;

    let luna16 = out.join("luna16");
    let subset = luna16.join(format!("subset{}", index % 10));
    fs::create_dir_all(&subset)?;
    fs::create_dir_all(luna16.join("xml"))?;
    let image = subset.join(format!("{}.mhd", names.series));
    metaimage::write(&image, &scan.volume, index % 2 == 1)?;
    lidc_xml::write(&luna16.join("xml").join(&xml), &reading.annotations)?;

    let sessions: Vec<Vec<_>> =
        reading.drawn.iter().map(|drawn| drawn.iter().map(|d| d.session).collect()).collect();
    Ok(WrittenPatient {
        annotations: luna16_annotations(&scan, &names.series, &reading.drawn),
        candidates: luna16_candidates(&scan, &names.series, &reading.drawn),
        truth: PatientTruth::new(&scan, [&names.study, &names.series], &sessions, &reading.small),
        reads: Some(reading.annotations),
        slice_thickness_mm: scan.acquisition.slice_thickness_mm,
        z_mm: heights(&scan),
    })
}

/// Writes a clinical patient: `clinical/PATIENT/ct/` and `clinical/PATIENT/mask.nii.gz`.
pub(super) fn clinical(out: &Path, config: &Config, index: usize) -> Result<WrittenPatient, Error> {
    let scan = SyntheticScan::draw(config, CohortStyle::Clinical, index)?;
    let names = SeriesNames::new(config.seed, &scan, "");
    let folder = out.join("clinical").join(&scan.patient);
    write_series(&folder.join("ct"), &scan, &names, names.study_date, 0.0)?;
    let mut rng = stream(config.seed, &[&scan.patient, "reader"]);
    let mut labels = Array3::<u16>::zeros(scan.volume.voxels().dim());
    for (label, nodule) in (1..).zip(&scan.nodules) {
        let redrawn = nodule.redrawn(&mut rng, CLINIC_BIAS_MM, CLINIC_JITTER_MM);
        let mask = redrawn.mask(&scan.chest, &scan.acquisition.grid);
        for [i, j, k] in mask.mask.voxels() {
            labels[[k + mask.start[2], j + mask.start[1], i + mask.start[0]]] = label;
        }
    }
    let labels = Volume::new(scan.acquisition.geometry, labels)?;
    nifti::write_labels(&folder.join("mask.nii.gz"), &labels)?;
    let sessions = vec![vec![0]; scan.nodules.len()];
    let unmarked = vec![Vec::new(); scan.small.len()];
    Ok(WrittenPatient {
        annotations: Vec::new(),
        candidates: Vec::new(),
        truth: PatientTruth::new(&scan, [&names.study, &names.series], &sessions, &unmarked),
        reads: None,
        slice_thickness_mm: scan.acquisition.slice_thickness_mm,
        z_mm: heights(&scan),
    })
}

pub(super) fn write_series(
    folder: &Path,
    scan: &SyntheticScan,
    names: &SeriesNames,
    study_date: Option<Date>,
    rescale_intercept: f64,
) -> Result<(), Error> {
    let acquisition = &scan.acquisition;
    let (manufacturer, model) = acquisition.scanner;
    let series = NewSeries {
        series_instance_uid: &names.series,
        study_instance_uid: &names.study,
        frame_of_reference_uid: &names.frame,
        sop_instance_uids: &names.slices,
        patient_id: &scan.patient,
        patient_name: &names.patient,
        patient_birth_date: names.birth_date,
        study_date,
        slice_thickness_mm: acquisition.slice_thickness_mm,
        manufacturer,
        model,
        kernel: acquisition.kernel.name(),
        kvp: 120.0,
        tube_current: acquisition.tube_current_ma,
        rescale_slope: 1.0,
        rescale_intercept,
        numbering: acquisition.numbering,
    };
    dicom::write_series(folder, &series, &scan.volume)?;
    Ok(())
}

/// Nodules that enough readers marked, with the mean position and diameter of their masks.
fn luna16_annotations(
    scan: &SyntheticScan,
    series: &str,
    drawn: &[Vec<ReaderMask>],
) -> Vec<Annotation> {
    let geometry = &scan.acquisition.geometry;
    let mut rows = Vec::new();
    for drawn in drawn.iter().filter(|drawn| drawn.len() >= LUNA16_READERS) {
        let n = drawn.len() as f64;
        let mut ijk = [0.0; 3];
        let mut diameter_mm = 0.0;
        for mask in drawn.iter().map(|d| &d.mask) {
            for (sum, c) in ijk.iter_mut().zip(mask.centroid().unwrap_or_default()) {
                *sum += c / n;
            }
            let volume = mask.mask.count() as f64 * geometry.spacing().voxel_volume_mm3();
            diameter_mm += (6.0 / std::f64::consts::PI * volume).cbrt() / n;
        }
        let [x_mm, y_mm, z_mm] = geometry.voxel_to_patient(ijk).map(micrometres);
        let diameter_mm = micrometres(diameter_mm);
        let series_instance_uid = series.to_owned();
        rows.push(Annotation { series_instance_uid, x_mm, y_mm, z_mm, diameter_mm });
    }
    rows
}

/// Nodules that enough readers marked, and forks of vessels as false candidates.
fn luna16_candidates(
    scan: &SyntheticScan,
    series: &str,
    drawn: &[Vec<ReaderMask>],
) -> Vec<Candidate> {
    let row = |p: [f64; 3], class: u8| {
        let [x_mm, y_mm, z_mm] = scan.patient_mm(p).map(micrometres);
        Candidate { series_instance_uid: series.to_owned(), x_mm, y_mm, z_mm, class }
    };
    let marked = scan.nodules.iter().zip(drawn).filter(|(_, d)| d.len() >= LUNA16_READERS);
    let mut rows: Vec<_> = marked.map(|(n, _)| row(n.centre_mm(), 1)).collect();
    let forks = scan.forks_away_from_nodules();
    rows.extend(forks.into_iter().take(FALSE_CANDIDATES).map(|p| row(p, 0)));
    rows
}

fn micrometres(mm: f64) -> f64 {
    (mm * 1e3).round() / 1e3
}
