//! Tests of whole cohorts.

use super::scan::{CohortStyle, SyntheticScan};
use super::{Config, Error, NoduleType, PatientTruth, Truth, write};
use fs_err as fs;
use nodulus_formats::cohort::files_below;
use nodulus_formats::volume::{PlacedMask, Slices};
use nodulus_formats::{dicom, lidc_xml, luna_csv, metaimage, nifti};
use nodulus_imaging::rasterise;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

fn small() -> Config {
    Config { seed: 7, patients: 3, clinical_patients: 2, size: 96, slices: 18, ..Config::default() }
}

/// Hash of every file by its path.
fn hashes(root: &Path) -> BTreeMap<String, [u8; 32]> {
    let files = files_below(root).unwrap();
    let name = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), Sha256::digest(fs::read(path).unwrap()).into())).collect()
}

fn written(root: &Path, config: &Config, threads: usize) -> BTreeMap<String, [u8; 32]> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| write(root, config, &|_, _| {})).unwrap();
    hashes(root)
}

#[test]
fn a_seed_gives_the_same_bytes_whatever_the_threads_and_the_other_patients() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let one = written(&at("one"), &small(), 1);
    assert_eq!(one, written(&at("four"), &small(), 4));
    let more = written(&at("more"), &Config { patients: 4, clinical_patients: 1, ..small() }, 2);
    let other = written(&at("other"), &Config { seed: 8, ..small() }, 2);
    let mut shared = 0;
    for (path, hash) in one.iter().filter(|(path, _)| path.contains('/')) {
        assert_ne!(other.get(path), Some(hash), "{path} does not follow the seed");
        let tables = path.contains(".csv") || path.contains("CLINIC-002");
        if !tables {
            shared += 1;
            assert_eq!(more.get(path), Some(hash), "{path} depends on the other patients");
        }
    }
    assert!(shared > 60, "{shared} files");
}

#[test]
fn a_complete_folder_stays_and_a_partial_one_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { patients: 1, clinical_patients: 0, ..small() };
    let first = write(folder.path(), &config, &|done, total| assert_eq!((done, total), (1, 1)));
    let before = hashes(folder.path());
    assert!(!first.unwrap().already_complete);
    let again = write(folder.path(), &config, &|_, _| panic!("nothing is to be written")).unwrap();
    assert!(again.already_complete && again.nodules > 0);

    // What a killed process leaves.
    let text = fs::read_to_string(folder.path().join("phantom.json")).unwrap();
    let partial = folder.path().join("phantom.partial.json");
    fs::write(partial, &text[..text.len() / 2]).unwrap();
    fs::remove_file(folder.path().join("phantom.json")).unwrap();
    fs::remove_file(folder.path().join("luna16/annotations.csv")).unwrap();
    assert!(!write(folder.path(), &config, &|_, _| {}).unwrap().already_complete);
    assert_eq!(hashes(folder.path()), before);
}

#[test]
fn other_folders_and_settings_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let none = Config { patients: 0, clinical_patients: 0, ..small() };
    write(folder.path(), &none, &|_, _| {}).unwrap();
    let error = write(folder.path(), &Config { seed: 9, ..none.clone() }, &|_, _| {}).unwrap_err();
    assert!(
        error.to_string().contains("phantom.json` belongs to a phantom of other settings"),
        "{error}"
    );
    fs::remove_file(folder.path().join("phantom.json")).unwrap();
    let error = write(folder.path(), &none, &|_, _| {}).unwrap_err();
    assert!(matches!(error, Error::Occupied(_)), "{error}");
    let error = write(folder.path(), &Config { size: 32, ..none }, &|_, _| {}).unwrap_err();
    assert_eq!(error.to_string(), "`phantom.size` is 32, expected 64 to 512");
}

#[test]
fn every_format_holds_the_same_scan_and_marks() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { patients: 6, ..small() };
    let summary = write(folder.path(), &config, &|_, _| {}).unwrap();
    let truth: Truth =
        serde_json::from_str(&fs::read_to_string(folder.path().join("truth.json")).unwrap())
            .unwrap();
    let luna16 = folder.path().join("luna16");
    let series = luna_csv::read_series_uids(&luna16.join("seriesuids.csv")).unwrap();
    let listed: Vec<_> = truth.lidc.iter().map(|p| p.series_instance_uid.clone()).collect();
    assert_eq!(series, listed);
    let annotations = luna_csv::read_annotations(&luna16.join("annotations.csv")).unwrap();
    assert!(!annotations.is_empty());
    let candidates = luna_csv::read_candidates(&luna16.join("candidates.csv")).unwrap();
    let hits = candidates.iter().filter(|candidate| candidate.class == 1).count();
    assert_eq!(hits, annotations.len());
    let mut nodules = 0;
    for (n, patient) in truth.lidc.iter().enumerate() {
        let scan = SyntheticScan::draw(&config, CohortStyle::Lidc, n).unwrap();
        let PatientTruth { patient_id, study_instance_uid, series_instance_uid, .. } = patient;
        let names = [patient_id, study_instance_uid, series_instance_uid];
        let below = names.iter().fold(folder.path().join("lidc"), |path, name| path.join(name));
        let found = dicom::find_series(&files_below(&below).unwrap()).unwrap();
        let ct = dicom::read_series(&found[0].files, &dicom::Tolerances::default()).unwrap();
        assert_eq!(ct.info.series_instance_uid, patient.series_instance_uid);
        assert_eq!(ct.volume, scan.volume);
        let image = format!("subset{n}/{}.mhd", patient.series_instance_uid);
        assert_eq!(metaimage::read(&luna16.join(image)).unwrap(), scan.volume);
        let xml = luna16.join(format!("xml/{:03}.xml", n + 1));
        let reads = lidc_xml::read(&xml).unwrap();
        assert_eq!(reads.series_instance_uid, patient.series_instance_uid);
        assert_eq!(reads.sessions.len(), 4);
        nodules += check_marks(&scan, &reads);
    }
    for (n, patient) in truth.clinical.iter().enumerate() {
        let scan = SyntheticScan::draw(&config, CohortStyle::Clinical, n).unwrap();
        let below = folder.path().join("clinical").join(&patient.patient_id);
        let labels = nifti::read_labels(&below.join("mask.nii.gz")).unwrap();
        let found = dicom::find_series(&files_below(&below.join("ct")).unwrap()).unwrap();
        let ct = dicom::read_series(&found[0].files, &dicom::Tolerances::default());
        assert_eq!(ct.unwrap().volume, scan.volume);
        assert!(scan.volume.voxels().iter().all(|v| (0..=1000).contains(v)));
        for (label, nodule) in (1..).zip(&scan.nodules) {
            let own = nodule.mask(&scan.chest, &scan.acquisition.grid);
            let marked = labels.voxels().iter().filter(|v| **v == label).count();
            let both = labels
                .voxels()
                .indexed_iter()
                .filter(|((k, j, i), v)| **v == label && own.get(*i, *j, *k));
            let dice = 2.0 * both.count() as f64 / (own.mask.count() + marked) as f64;
            assert!(dice > 0.6, "{} label {label}: Dice {dice}", patient.patient_id);
            nodules += 1;
        }
    }
    assert_eq!(summary.nodules, nodules);
}

/// Checks that each outlined nodule of each reader lies on one true nodule; returns the number of true nodules.
fn check_marks(scan: &SyntheticScan, reads: &lidc_xml::Annotations) -> usize {
    let grid = &scan.acquisition.grid;
    let own: Vec<_> = scan.nodules.iter().map(|n| n.mask(&scan.chest, grid)).collect();
    let mut seen = vec![0; own.len()];
    for nodule in reads.sessions.iter().flat_map(|session| &session.nodules) {
        if nodule.kind() == lidc_xml::NoduleKind::Nodule {
            let slices = Slices::of(&scan.acquisition.geometry).unwrap();
            let mark = rasterise::mark_mask(&nodule.contours, &slices).mask.unwrap();
            let (n, dice) = own
                .iter()
                .map(|own| dice(own, &mark))
                .enumerate()
                .max_by(|a, b| a.1.total_cmp(&b.1))
                .unwrap();
            assert!(dice > 0.5, "{}: Dice {dice}", scan.patient);
            assert!(dice < 1.0 || own[n].mask.count() < 40, "readers err");
            seen[n] += 1;
        }
    }
    assert!(seen.iter().all(|n| (1..=4).contains(n)), "{seen:?}");
    own.len()
}

fn dice(a: &PlacedMask, b: &PlacedMask) -> f64 {
    let [si, sj, sk] = a.start;
    let both = a.mask.voxels().filter(|[i, j, k]| b.get(si + i, sj + j, sk + k)).count();
    2.0 * both as f64 / (a.mask.count() + b.mask.count()) as f64
}

/// No threshold reaches a mean Dice of 0.2 over the slices of all nodules, where everything at or above it in a square of
/// 128 pixels around each nodule is the prediction.
#[test]
fn no_threshold_segments_the_nodules() {
    let config = Config { seed: 11, nodules_max: 4, ..Config::default() };
    let thresholds: Vec<i16> = (-18..=8).map(|t| t * 50).collect();
    let mut sums = vec![0.0; thresholds.len()];
    let mut n_slices = 0;
    let mut kinds = std::collections::BTreeSet::new();
    for patient in 0..6 {
        let scan = SyntheticScan::draw(&config, CohortStyle::Lidc, patient).unwrap();
        for nodule in &scan.nodules {
            kinds.insert(format!("{:?}", nodule.kind));
            let mask = nodule.mask(&scan.chest, &scan.acquisition.grid);
            let [i, j, _] = scan.acquisition.grid.index(nodule.centre_mm());
            let rows = j.max(64) as usize - 64..(j as usize + 64).min(256);
            let columns = i.max(64) as usize - 64..(i as usize + 64).min(256);
            for k in mask.start[2]..mask.end()[2] {
                let mut above = vec![(0usize, 0usize); thresholds.len()];
                let mut n_own = 0;
                for j in rows.clone() {
                    for i in columns.clone() {
                        let own = mask.get(i, j, k);
                        n_own += usize::from(own);
                        let hu = scan.volume.voxels()[[k, j, i]];
                        let passed = thresholds.partition_point(|t| *t <= hu);
                        for (all, hits) in &mut above[..passed] {
                            *all += 1;
                            *hits += usize::from(own);
                        }
                    }
                }
                if n_own > 0 {
                    n_slices += 1;
                    for (sum, (all, hits)) in sums.iter_mut().zip(above) {
                        *sum += 2.0 * hits as f64 / (all + n_own) as f64;
                    }
                }
            }
        }
    }
    assert_eq!(kinds.len(), NoduleType::ALL.len());
    let best = sums.iter().copied().fold(0.0, f64::max) / f64::from(n_slices);
    assert!(best < 0.2, "mean Dice {best} over {n_slices} slices");
    assert!(best > 0.01, "the nodules cannot be seen: mean Dice {best}");
}
