//! A patient with two scans, from files to growth.

use nodulus::nightly::Identity;
use nodulus::nightly::follow_up::growth::{MatchingRule, compare};
use nodulus::nightly::follow_up::scan::FollowUpScan;
use nodulus::nightly::scan::scored::{ScoredNodule, ScoredScan, ScoringModel};
use nodulus::nightly::scan::training_range::{ScanCharacteristics, warnings};
use nodulus::phantom::{FollowUp, Visit, write_follow_up};
use nodulus::tables::Growth;
use nodulus_formats::dicom::{Date, SeriesInfo, Tolerances, find_series, read_series, read_slices};
use nodulus_formats::volume::SliceRanges;
use nodulus_imaging::lungs::{self, LungBox};
use nodulus_metrics::{HuCounts, mask_size};
use nodulus_nets::TrainingProfile;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn plan(seed: u64) -> FollowUp {
    FollowUp {
        seed,
        size: 128,
        slices: 64,
        date: Date::from_iso("2025-11-20").unwrap(),
        days: 120,
        growth: 2.0,
        shift_mm: [7.3, -12.8, 315.5],
        view: [3.0, -2.0, 2.0],
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// What the nightly job would know about a scan if it segmented the nodules exactly.
fn scored(files: &[PathBuf], made: &Visit) -> ScoredScan {
    let series = read_series(files, &Tolerances::default()).unwrap();
    let geometry = *series.volume.geometry();
    let nodule = |(at, nodule): (usize, &nodulus::phantom::VisitNodule)| {
        let measured = mask_size(&nodule.mask.mask, geometry.spacing().ijk());
        ScoredNodule {
            number: at as u16 + 1,
            nodule_id: format!("{}-{at}", made.study_date),
            earlier_id: None,
            candidate_mm: nodule.centre_mm,
            candidate_confidence: None,
            probability: Some(0.9),
            centroid_mm: geometry.voxel_to_patient(nodule.mask.centroid().unwrap()),
            mask: Some(nodule.mask.clone()),
            volume_mm3: measured.volume_mm3,
            equivalent_diameter_mm: measured.equivalent_diameter_mm,
            axial_diameter_mm: Some(measured.long_axis_mm),
            axial_short_diameter_mm: Some(measured.short_axis_mm),
            disagreement: None,
            training_distance: None,
            mean_hu: Some(0.0),
            warnings: Vec::new(),
        }
    };
    let info: SeriesInfo = series.info;
    ScoredScan {
        series_instance_uid: info.series_instance_uid.clone(),
        info: Some(info),
        files: files.to_vec(),
        sop_instance_uids: series.sop_instance_uids,
        geometry,
        model: ScoringModel {
            id: "proposed-0123456789ab".to_owned(),
            name: "proposed".to_owned(),
            version: "0".to_owned(),
        },
        scored_at: "2026-11-24T12:52:27Z".to_owned(),
        nodules: made.nodules.iter().enumerate().map(nodule).collect(),
        warnings: Vec::new(),
    }
}

/// Both visits of a patient.
fn visits(seed: u64) -> ([FollowUpScan; 2], [Visit; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let made = write_follow_up(folder.path(), &plan(seed)).unwrap();
    let visit = |(name, made): (&str, &Visit)| {
        let files = files(&folder.path().join(name));
        let scan = scored(&files, made);
        let needed = lungs::slices_needed(&scan.geometry);
        let slices = read_slices(&files, &Tolerances::default(), &needed).unwrap();
        FollowUpScan::of(&scan, lungs::lung_box(&slices), None, &Identity::AsIs)
    };
    let [first, second] = &made;
    ([visit(("earlier", first)), visit(("later", second))], made)
}

#[test]
fn a_grown_nodule_is_matched_and_has_its_doubling_time() {
    for seed in [2, 3, 4] {
        let ([earlier, later], made) = visits(seed);
        let rows = compare(&MatchingRule::default(), &earlier, &later, &[]);
        assert_eq!(rows.len(), made[0].nodules.len(), "seed {seed}: {rows:?}");
        for (n, row) in rows.iter().enumerate() {
            assert!(row.matched, "seed {seed}: {row:?}");
            assert_eq!(row.nodule_id, Some(format!("2026-03-20-{n}")));
            assert_eq!(row.earlier_nodule_id, Some(format!("2025-11-20-{n}")));
            assert_eq!((row.days, row.patient_id.as_str()), (Some(120), "FOLLOW-UP-1"));
            let shift = [row.shift_x_mm, row.shift_y_mm, row.shift_z_mm].map(Option::unwrap);
            for (found, expected) in shift.into_iter().zip(plan(seed).shift_mm) {
                assert!((found - expected).abs() <= 5.0, "seed {seed}: {row:?}");
            }
        }
        // Voxels are 2 to 3 mm wide, so the volume in voxels is not exactly twice as large.
        let Growth { doubling_days, shrunk, significant, change_percent, .. } = &rows[0];
        let doubling_days = doubling_days.unwrap();
        assert!((95.0..160.0).contains(&doubling_days), "seed {seed}: {doubling_days}");
        assert_eq!((*shrunk, *significant), (Some(false), Some(true)));
        let ratio = 1.0 + change_percent.unwrap() / 100.0;
        assert!((doubling_days * ratio.ln() - 120.0 * 2f64.ln()).abs() < 1e-9);
        for row in &rows[1..] {
            assert_eq!((row.change_mm3, row.doubling_days), (Some(0.0), None));
            assert_eq!((row.shrunk, row.significant), (Some(false), Some(false)));
        }
    }
}

#[test]
fn a_scan_of_part_of_the_lungs_is_not_matched() {
    let ([earlier, mut later], _) = visits(2);
    // The upper end of the lungs is in neither scan, the lower end in one.
    let cut = |visit: &FollowUpScan, end: usize| {
        let mut visit = visit.clone();
        visit.lungs.as_mut().unwrap().cut[2][end] = true;
        visit
    };
    let growth = compare(&MatchingRule::default(), &cut(&earlier, 0), &cut(&later, 1), &[]);
    let n_nodules = earlier.nodules.len() + later.nodules.len();
    assert_eq!(growth.len(), n_nodules);
    for row in &growth {
        assert_eq!(row.reason.as_deref(), Some("no end of the lungs along z is in both scans"));
    }
    later.lungs = None;
    let growth = compare(&MatchingRule::default(), &earlier, &later, &[]);
    assert_eq!(growth.len(), n_nodules);
    assert!(growth.iter().all(|row| !row.matched && row.reason.is_some()), "{growth:?}");
}

/// `tests/golden/lung_box.py` applies the same rule with scipy.
#[test]
fn the_lungs_of_two_real_scans_agree_with_scipy() {
    let Some(scans) = crate::fixture::real_scans() else { return };
    let text = include_str!("../golden/lung_box.json");
    let golden: BTreeMap<String, LungBox> = serde_json::from_str(text).unwrap();
    assert_eq!(golden.len(), 2);
    for (patient, expected) in golden {
        let series = find_series(&below(&scans.join(&patient))).unwrap().remove(0);
        let geometry = {
            let none = SliceRanges::default();
            *read_slices(&series.files, &Tolerances::default(), &none).unwrap().geometry()
        };
        let needed = lungs::slices_needed(&geometry);
        let slices = read_slices(&series.files, &Tolerances::default(), &needed).unwrap();
        let found = lungs::lung_box(&slices).unwrap();
        assert_eq!(found.cut, expected.cut, "{patient}");
        for (found, expected) in
            [(found.low_mm, expected.low_mm), (found.high_mm, expected.high_mm)]
        {
            let pairs = found.iter().zip(expected);
            assert!(pairs.fold(0.0, |most, (f, e)| (f - e).abs().max(most)) < 1e-6, "{patient}");
        }
    }
}

/// Every file below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect()
}

#[test]
fn a_scan_is_compared_with_the_training_cohort_of_the_model() {
    let folder = tempfile::tempdir().unwrap();
    write_follow_up(folder.path(), &plan(2)).unwrap();
    let files = files(&folder.path().join("earlier"));
    let series = read_series(&files, &Tolerances::default()).unwrap();
    let mut regions = HuCounts::default();
    regions.add(series.volume.voxels().as_slice().unwrap());
    // Clinical phantoms have intensities from 0 to 1000.
    let store = crate::fixture::finished().join("store");
    let json = crate::fixture::current(&store, "checkpoint").join("model.json");
    let json: serde_json::Value = serde_json::from_slice(&fs_err::read(json).unwrap()).unwrap();
    let profile = TrainingProfile::of(&json["metadata"]).unwrap().unwrap();
    let found = |kernel| ScanCharacteristics {
        spacing_mm: series.volume.geometry().spacing().ijk(),
        slice_thickness_mm: Some(7.5),
        kernel,
        regions: &regions,
    };
    let texts = warnings(&profile, &found(Some("B30f")));
    let has = |start: &str| texts.iter().any(|warning| warning.starts_with(start));
    assert!(has("slice thickness 7.5 mm is outside the training cohort's "), "{texts:?}");
    assert!(has("kernel B30f is not among the training cohort's: LUNG ("), "{texts:?}");
    assert!(has("mean intensity of the regions -"), "{texts:?}");
    assert!(texts.iter().any(|warning| warning.contains("% of the regions' pixels are outside ")));
    assert!(!warnings(&profile, &found(Some("LUNG"))).iter().any(|w| w.starts_with("kernel")));
}
