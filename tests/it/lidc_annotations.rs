//! All 1,318 files of LIDC's XML, without images.

use crate::annotations::{assert_each_file_once, run_well};
use crate::{fixture, python};
use nodulus::tables::{Exclusion, Failure, Mark, Nodule, Scan};
use nodulus_formats::{luna_csv, scan_geometry};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// The expected counts come from `tests/golden/lidc_marks.py`, which shares no code with nodulus.
#[test]
fn all_of_lidc_is_read_without_loss() {
    let Some((xml, data)) = fixture::real_annotations() else { return };
    let golden: Value = serde_json::from_str(include_str!("../golden/lidc_marks.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let table = data.join("lidc-scan-geometry.csv.xz");
    run_well(&store, &xml, &table, &[]);
    assert_eq!(fixture::rows::<Failure>(&store), []);
    assert_each_file_once(&store, &xml);
    let exclusions = fixture::rows::<Exclusion>(&store);
    for rule in ["chest_x_ray", "repeated_reads"] {
        let n = exclusions.iter().filter(|exclusion| exclusion.rule == rule).count();
        assert_eq!(n, golden["files"][rule].as_u64().unwrap() as usize, "{rule}");
    }
    let marks = fixture::rows::<Mark>(&store);
    assert_eq!(marks.len(), 41_759);
    assert_eq!(counted(&marks), without_sessions(&golden["all"]));
    let mut lines: Vec<String> = marks
        .iter()
        .filter(|mark| mark.kind == "nodule")
        .map(|m| format!("{} {} {}", m.series_instance_uid, m.reading_session, m.n_voxels.unwrap()))
        .collect();
    lines.sort();
    assert_eq!(sha256(&lines.join("\n")), golden["voxels_sha256"].as_str().unwrap());
    let scans = fixture::rows::<Scan>(&store);
    assert_eq!(scans.len(), 1018);
    let sessions: i64 = scans.iter().map(|scan| scan.n_reading_sessions).sum();
    assert_eq!(Some(sessions), golden["all"]["sessions"].as_i64());
    // Three scans have slices at uneven heights, one of them with missing slices; a fourth has a gap.
    let uneven: Vec<_> = scans
        .iter()
        .filter(|scan| scan.slice_gap_max_deviation_mm.unwrap() > 0.02 * scan.spacing_k_mm.unwrap())
        .map(|scan| (scan.patient_id.as_str(), scan.n_missing_slices.unwrap()))
        .collect();
    let mut uneven_sorted = uneven.clone();
    uneven_sorted.sort_unstable();
    assert_eq!(
        uneven_sorted,
        [
            ("LIDC-IDRI-0123", 0),
            ("LIDC-IDRI-0267", 0),
            ("LIDC-IDRI-0514", 18),
            ("LIDC-IDRI-0672", 3)
        ]
    );
    let nodules: Value = serde_json::from_str(include_str!("../golden/lidc_nodules.json")).unwrap();
    assert_eq!(serde_json::json!(at_least(&store)), nodules["split"]);
    let other = exclusions.iter().filter(|exclusion| exclusion.rule == "other_scan").count();
    assert_eq!(golden["all"]["other_scan"], other);
    check_ratings(&store);
    check_points(&store);

    let listed = fs_err::read_to_string(data.join("luna16-seriesuids.csv")).unwrap();
    let listed: BTreeSet<&str> = listed.lines().collect();
    // LUNA16 kept 888. It excluded five more for duplicate slices, which are not in the table.
    run_well(&store, &xml, &table, &["ingest.inclusion.preset=luna16"]);
    let scans = fixture::rows::<Scan>(&store);
    let kept: Vec<_> = scans.iter().filter(|scan| scan.included).collect();
    let of_luna16 = kept.iter().filter(|scan| listed.contains(scan.series_instance_uid.as_str()));
    assert_eq!((kept.len(), of_luna16.count()), (893, 887));

    let list = format!("ingest.series_list={}", data.join("luna16-seriesuids.csv").display());
    run_well(&store, &xml, &table, &[&list]);
    assert_eq!(fixture::rows::<Scan>(&store).iter().filter(|scan| scan.included).count(), 888);
    let marks = fixture::rows::<Mark>(&store);
    assert_eq!(marks.len(), 36_378);
    assert_eq!(counted(&marks), without_sessions(&golden["luna16"]));
    let sum: f64 = marks.iter().filter_map(|mark| mark.diameter_mm).sum();
    let golden_sum = golden["luna16_sum_of_diameters_mm"].as_f64().unwrap();
    assert!((sum - golden_sum).abs() < 1e-6, "{sum}, {golden_sum}");
    assert_eq!(serde_json::json!(at_least(&store)), nodules["split_of_luna16"]);
    run_well(&store, &xml, &table, &[&list, "merge.chains=flag"]);
    assert_eq!(serde_json::json!(at_least(&store)), nodules["linkage_of_luna16"]);

    // The counts that LUNA16 published (Setio et al. 2017), and rows of its annotations.csv.
    run_well(&store, &xml, &table, &[&list, "merge.rule=luna16"]);
    assert_eq!(at_least(&store), [2290, 1602, 1186, 777]);
    let nodules = fixture::rows::<Nodule>(&store);
    for (series, z_mm, diameter_mm) in LUNA16_ROWS {
        let series = format!("1.3.6.1.4.1.14519.5.2.1.6279.6001.{series}");
        let found = nodules.iter().any(|nodule| {
            nodule.series_instance_uid == series
                && nodule.n_marks >= 3
                && (nodule.centroid_z_mm.unwrap() - z_mm).abs() < 1e-6
                && (nodule.diameter_mm / diameter_mm - 1.0).abs() < 2e-6
        });
        assert!(found, "{series} at {z_mm} mm");
    }
    check_published(folder.path(), &xml, &table, &list);
    run_well(&store, &xml, &table, &[&list, "merge.rule=overlap", "merge.chains=flag"]);
    assert_eq!(at_least(&store), [2283, 1598, 1185, 777]);
}

/// LUNA16's two files of marks, whose rows `tests/golden/luna16_published.py` counts and hashes, and rows of its annotations.csv.
/// The table has no x and y, so that the origin is set to 0.
fn check_published(folder: &Path, xml: &Path, table: &Path, list: &str) {
    let golden: Value =
        serde_json::from_str(include_str!("../golden/luna16_published.json")).unwrap();
    let placed = folder.join("placed.csv");
    let mut text = "series_instance_uid,study_instance_uid,patient_id,slice_thickness_mm,pixel_spacing_mm,z_positions_mm,\
                    origin_x_mm,origin_y_mm,direction\n"
        .to_owned();
    for (series, scan) in scan_geometry::read(table).unwrap() {
        let heights: Vec<_> = scan.slices.z_mm().iter().map(f64::to_string).collect();
        let (pixel_mm, heights) = (scan.slices.spacing().ijk()[0], heights.join(" "));
        writeln!(text, "{series},,,,{pixel_mm},{heights},0,0,1 0 0 0 1 0 0 0 1").unwrap();
    }
    fs_err::write(&placed, text).unwrap();
    let (store, to) = (folder.join("placed"), folder.join("published"));
    run_well(&store, xml, &placed, &[list]);
    let [store, out] = [&store, &to].map(|path| path.to_str().unwrap());
    fixture::run_well(&["export", "luna16", "--store", store, "--out", out, "--as-published"]);
    let read = |file: &str| fs_err::read_to_string(to.join(file)).unwrap();
    let files = [read("annotations.csv"), read("annotations_excluded.csv")];
    let rows = files.each_ref().map(|file| file.lines().skip(1).map(of_line).collect::<Vec<_>>());
    assert_eq!(rows.each_ref().map(Vec::len), [1186, 35_192]);
    assert_eq!(golden["rows"], serde_json::json!(rows.each_ref().map(Vec::len)));
    for (series, z_mm, diameter_mm) in LUNA16_PRINTED {
        let series = format!("1.3.6.1.4.1.14519.5.2.1.6279.6001.{series}");
        assert!(rows[0].contains(&[&series, z_mm, diameter_mm]), "{series} at {z_mm} mm");
    }
    for (file, golden) in rows.iter().zip(golden["sha256"].as_array().unwrap()) {
        let lines: Vec<_> = file.iter().map(|row| row.join(",")).collect();
        assert_eq!(sha256(&lines.join("\n")), golden.as_str().unwrap());
    }
    // Split chains hold each of LUNA16's nodules, and one that is two nodules there.
    let published = to.join("annotations.csv");
    let compare =
        ["compare-nodules", store, published.to_str().unwrap(), "--min-marks", "3", "--json"];
    let found: Value = serde_json::from_str(&fixture::run_well(&compare)).unwrap();
    assert_eq!(found["nodules"], serde_json::json!({"both": 1186, "only_a": 1, "only_b": 0}));
    let listed = fs_err::read_to_string(to.join("seriesuids.csv")).unwrap();
    let counts = listed.lines().map(|series| {
        let n = rows.each_ref().map(|file| file.iter().filter(|row| row[0] == series).count());
        format!("{series} {} {}", n[0], n[1])
    });
    let counts = sha256(&counts.collect::<Vec<_>>().join("\n"));
    assert_eq!(counts, golden["rows_of_scans_sha256"].as_str().unwrap());
}

/// Series, z and diameter of a line of LUNA16's files.
fn of_line(line: &str) -> [&str; 3] {
    let values: Vec<&str> = line.split(',').collect();
    [values[0], values[3], values[4]]
}

/// z and diameter of rows of LUNA16's annotations.csv (CC BY 4.0), as it prints them.
const LUNA16_PRINTED: [(&str, &str, &str); 13] = [
    ("100225287222365663678666836860", "-298.3875064", "5.651470635"),
    ("100225287222365663678666836860", "-227.12125", "4.224708481"),
    ("100398138793540579077826395208", "876.3744957", "5.786347814"),
    ("100621383016233746780170740405", "-391.0812764", "8.143261683"),
    ("100621383016233746780170740405", "-405.4937318", "18.54514997"),
    ("100621383016233746780170740405", "-426.5447146", "18.20857028"),
    ("100621383016233746780170740405", "-515.0733216", "16.38127631"),
    // A reader's line has a gap.
    ("140253591510022414496468423138", "-67.08815205", "10.91366167"),
    ("143622857676008763729469324839", "-127.5383708", "18.79314938"),
    // Half of the seventh digit of the spacing goes up.
    ("244681063194071446501270815660", "-106.8530672", "12.06823325"),
    // Rounded twice.
    ("219428004988664846407984058588", "-215.1788956", "12.13515303"),
    ("226383054119800793308721198594", "-636.6738832", "15.67293211"),
    ("231002159523969307155990628066", "-97.67385656", "7.9202838"),
];

/// The points near nodules, linked again by `tests/python/check_points.py`.
fn check_points(store: &Path) {
    let Some(text) = python::script("check_points.py", &[store.to_str().unwrap()]) else { return };
    let found: BTreeMap<String, i64> = serde_json::from_str(&text).unwrap();
    assert!(found["n_small"] > 0 && found["n_non_nodule"] > 0, "{text}");
}

/// The ratings of all nodules and their agreement, counted again by `tests/python/check_ratings.py`.
fn check_ratings(store: &Path) {
    let Some(text) = python::script("check_ratings.py", &[store.to_str().unwrap()]) else { return };
    let found: BTreeMap<String, i64> = serde_json::from_str(&text).unwrap();
    assert_eq!((found["nodules"], found["off scale"]), (2673, 1));
    let types = ["texture solid", "texture part_solid", "texture ground_glass", "texture None"];
    assert_eq!(types.map(|name| found.get(name).copied().unwrap_or(0)).iter().sum::<i64>(), 2673);
    let malignancy = ["benign", "malignant", "uncertain"].map(|name| found[name]);
    assert_eq!(malignancy.iter().sum::<i64>(), 2673);
}

/// z and diameter of the first nodules of LUNA16's annotations.csv (CC BY 4.0), except one: in the scan that ends in 740405,
/// LUNA16 has 18.2086 mm at -426.5447 mm, and the rule gives 18.2079 mm at -426.5457 mm.
const LUNA16_ROWS: [(&str, f64, f64); 8] = [
    ("100225287222365663678666836860", -298.387_506_4, 5.651_470_635),
    ("100225287222365663678666836860", -227.121_25, 4.224_708_481),
    ("100398138793540579077826395208", 876.374_495_7, 5.786_347_814),
    ("100621383016233746780170740405", -391.081_276_4, 8.143_261_683),
    ("100621383016233746780170740405", -405.493_731_8, 18.545_149_97),
    ("100621383016233746780170740405", -515.073_321_6, 16.381_276_31),
    ("100953483028192176989979435275", -150.346_423_3, 10.362_320_88),
    ("102681962408431413578140925249", -91.247_250_78, 21.089_618_63),
];

/// Counts of marks by kind and irregularity, laid out as in the golden file.
fn counted(marks: &[Mark]) -> Value {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for mark in marks {
        *counts.entry(mark.kind.clone()).or_default() += 1;
        *counts.entry("voxels".to_owned()).or_default() += mark.n_voxels.unwrap_or(0);
        for irregularity in &mark.irregularities {
            *counts.entry(irregularity.clone()).or_default() += 1;
        }
    }
    serde_json::to_value(counts).unwrap()
}

/// The golden counts without reading sessions: only `scans` knows of sessions without marks.
fn without_sessions(counts: &Value) -> Value {
    let mut counts = counts.clone();
    counts.as_object_mut().unwrap().remove("sessions");
    counts
}

/// Nodules with at least 1, 2, 3 and 4 marks.
fn at_least(store: &Path) -> [usize; 4] {
    let nodules = fixture::rows::<Nodule>(store);
    [1, 2, 3, 4].map(|least| nodules.iter().filter(|nodule| nodule.n_marks >= least).count())
}

fn sha256(text: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(text).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[test]
fn the_patients_of_lidc_are_those_of_its_table() {
    let Some((_, data)) = fixture::real_annotations() else { return };
    let table = scan_geometry::read(&data.join("lidc-scan-geometry.csv.xz")).unwrap();
    assert_eq!(table.len(), 1018);
    for (series, scan) in &table {
        assert_eq!(luna_csv::lidc_patient(series), scan.patient_id.as_deref(), "{series}");
    }
    let of_luna16 = luna_csv::read_series_uids(&data.join("luna16-seriesuids.csv")).unwrap();
    let patients: BTreeSet<_> =
        of_luna16.iter().map(|series| luna_csv::lidc_patient(series).unwrap()).collect();
    assert_eq!((of_luna16.len(), patients.len()), (888, 887));
}
