//! Annotations without images: every trap of LIDC's XML.

use crate::fixture;
use nodulus::phantom::TRAPS;
use nodulus::tables::{Exclusion, Failure, Mark, Nodule, Scan};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const PIPELINE: &str = "pipelines/lidc-annotations.toml";

/// A phantom with annotations, which the tests in this file share and only read.
pub(crate) fn phantom() -> &'static Path {
    static PHANTOM: OnceLock<PathBuf> = OnceLock::new();
    PHANTOM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("annotations");
        if folder.exists() {
            fs_err::remove_dir_all(&folder).unwrap();
        }
        let out = folder.to_str().unwrap();
        let sizes = ["--seed", "5", "--patients", "4", "--clinical-patients", "0", "--size", "160"];
        let arguments = ["phantom", out, "--progress", "none"];
        fixture::run_well(&[&arguments[..], &sizes[..]].concat());
        folder
    })
}

/// Arguments of a run that reads XML and a table of scan geometry.
fn arguments(command: &str, store: &Path, xml: &Path, table: &Path, sets: &[&str]) -> Vec<String> {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let mut all: Vec<String> = [command, PIPELINE, "--progress", "none", "--store"]
        .map(str::to_owned)
        .into_iter()
        .chain([text(store)])
        .collect();
    let sources =
        [format!("ingest.root={}", text(xml)), format!("ingest.scan_geometry={}", text(table))];
    for set in sources.into_iter().chain(sets.iter().map(|set| (*set).to_owned())) {
        all.extend(["--set".to_owned(), set]);
    }
    all
}

fn run(store: &Path, xml: &Path, table: &Path, sets: &[&str]) -> (String, Option<i32>) {
    let arguments = arguments("run", store, xml, table, sets);
    let output = fixture::run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).unwrap(), output.status.code())
}

pub(crate) fn run_well(store: &Path, xml: &Path, table: &Path, sets: &[&str]) -> String {
    let (text, status) = run(store, xml, table, sets);
    assert_eq!(status, Some(0), "{text}");
    text
}

/// A store in which the pipeline has run on the phantom's annotations.
pub(crate) fn finished() -> &'static Path {
    static FINISHED: OnceLock<PathBuf> = OnceLock::new();
    FINISHED.get_or_init(|| {
        let below = phantom().join("lidc-annotations");
        let store = phantom().join("store");
        run_well(&store, &below.join("xml"), &below.join("scan-geometry.csv"), &[]);
        store
    })
}

/// Every file below a folder, by its path relative to the folder.
fn files_below(folder: &Path) -> BTreeSet<String> {
    nodulus_formats::cohort::files_below(folder)
        .unwrap()
        .iter()
        .map(|file| nodulus_formats::cohort::relative(folder, file))
        .collect()
}

/// Checks that each file has exactly one outcome: its marks were read, a rule excluded it, or it failed.
pub(crate) fn assert_each_file_once(store: &Path, xml: &Path) {
    let mut paths: Vec<String> =
        fixture::rows::<Scan>(store).into_iter().flat_map(|scan| scan.annotation_paths).collect();
    let exclusions = fixture::rows::<Exclusion>(store);
    // A file that is read may have marks that are excluded.
    let of_files = exclusions
        .iter()
        .filter(|e| !["no_voxels", "other_scan", "scan_not_included"].contains(&e.rule.as_str()));
    paths.extend(of_files.filter_map(|exclusion| exclusion.path.clone()));
    paths.extend(fixture::rows::<Failure>(store).into_iter().filter_map(|failure| failure.path));
    paths.sort();
    assert_eq!(paths, files_below(xml).into_iter().collect::<Vec<_>>());
}

/// The marks of a trap (kind, voxels, irregularities), and the rules that excluded something.
type Expected = (&'static [ExpectedMark], &'static [&'static str]);
type ExpectedMark = (&'static str, Option<i64>, &'static [&'static str]);

/// A regular outline on two slices.
const PLAIN: ExpectedMark = ("nodule", Some(18), &[]);
/// A larger one.
const LESION: ExpectedMark = ("nodule", Some(98), &[]);
const POINT: ExpectedMark = ("small_nodule", None, &[]);

fn expected(trap: &str) -> Expected {
    match trap {
        "chest-x-ray" => (&[], &["chest_x_ray"]),
        "repeated-a" | "superseded-b" | "descending" => (&[PLAIN], &[]),
        "repeated-b" => (&[], &["repeated_reads"]),
        "superseded-a" => (&[], &["superseded_reads"]),
        "three-sessions" => (&[PLAIN; 3], &[]),
        "eight-sessions" => (&[PLAIN; 8], &[]),
        "duplicate-id" => (
            &[
                ("nodule", Some(18), &["duplicate_id", "unrated"]),
                ("small_nodule", None, &["duplicate_id"]),
            ],
            &[],
        ),
        "off-slice" => (
            &[
                ("nodule", Some(18), &["off_slice"]),
                ("small_nodule", None, &["off_slice"]),
                ("non_nodule", None, &["off_slice"]),
                ("non_nodule", None, &[]),
            ],
            &[],
        ),
        "open-contour" => (&[("nodule", Some(9), &["contour_gap", "open_contour"])], &[]),
        "point-contour" => (
            &[
                ("nodule", Some(9), &["no_interior", "point_contour"]),
                ("nodule", None, &["no_interior", "no_voxels", "point_contour"]),
            ],
            &["no_voxels"],
        ),
        "hole" => (&[("nodule", Some(16), &[])], &[]),
        "several-inclusions" => (&[("nodule", Some(18), &["several_inclusions"])], &[]),
        "no-ratings" => (&[POINT; 3], &[]),
        "nothing" => (&[], &[]),
        "no-voxels" => (&[("nodule", None, &["no_voxels", "off_slice"])], &["no_voxels"]),
        "joined" => {
            (&[LESION, LESION, LESION, LESION, ("nodule", Some(378), &[]), LESION, POINT], &[])
        }
        other => panic!("trap {other} has no expectation"),
    }
}

#[test]
fn every_trap_is_read_or_explained_in_one_row() {
    let store = finished();
    assert_eq!(fixture::rows::<Failure>(store), []);
    let mut marks: BTreeMap<String, Vec<Mark>> = BTreeMap::new();
    for mark in fixture::rows::<Mark>(store) {
        marks.entry(mark.source_path.clone()).or_default().push(mark);
    }
    let exclusions = fixture::rows::<Exclusion>(store);
    for trap in TRAPS {
        let path = format!("traps/{trap}.xml");
        let found = marks.remove(&path).unwrap_or_default();
        let (expected_marks, expected_rules) = expected(trap);
        let mut described: Vec<_> = found
            .iter()
            .map(|m| {
                (m.kind.as_str(), m.n_voxels, m.irregularities.iter().map(String::as_str).collect())
            })
            .collect();
        described.sort_by_key(|(kind, _, _): &(&str, _, Vec<&str>)| *kind == "non_nodule");
        let wanted: Vec<_> = expected_marks.iter().map(|(k, n, i)| (*k, *n, i.to_vec())).collect();
        assert_eq!(described, wanted, "{trap}");
        let rules: Vec<_> = exclusions
            .iter()
            .filter(|exclusion| exclusion.path.as_deref() == Some(path.as_str()))
            .map(|exclusion| exclusion.rule.as_str())
            .collect();
        assert_eq!(rules, expected_rules, "{trap}");
        for mark in found.iter().filter(|mark| mark.kind == "nodule") {
            // LUNA16's mask joins no points, so that the flood gets between the corners.
            let differ = if trap == "open-contour" { 9 } else { 0 };
            assert_eq!(mark.n_voxels_differ, Some(differ), "{trap}");
            assert_eq!(mark.n_voxels_luna16, Some(mark.n_voxels.unwrap_or(0) - differ), "{trap}");
        }
        for mark in &found {
            let placed = mark.kind == "nodule" && mark.n_voxels.is_some();
            let centre = [mark.centroid_i, mark.centroid_j];
            if placed && !["several-inclusions", "joined"].contains(&trap) {
                assert!(
                    centre.iter().all(|c| [Some(52.0), Some(53.0)].contains(c)),
                    "{trap}: {centre:?}"
                );
            }
            // Without an image, x and y in millimetres are unknown.
            assert_eq!([mark.centroid_x_mm, mark.centroid_y_mm], [None, None]);
            let lost = mark.irregularities.iter().any(|i| i == "off_slice") && !placed;
            assert_eq!(
                mark.centroid_k.is_none(),
                lost || (mark.kind == "nodule" && !placed),
                "{trap}"
            );
            assert_eq!(mark.centroid_k.is_none(), mark.centroid_z_mm.is_none(), "{trap}");
        }
    }
    // Eight readers of one nodule are eight marks of one nodule; three are three.
    let nodules: BTreeMap<String, (i64, i64)> = fixture::rows::<Nodule>(store)
        .into_iter()
        .filter(|nodule| nodule.patient_id == "TRAPS")
        .map(|nodule| (nodule.mark_ids[0].clone(), (nodule.n_marks, nodule.n_readers)))
        .collect();
    for n in [3, 8] {
        assert_eq!(nodules.values().filter(|found| **found == (n, n)).count(), 1, "{nodules:?}");
    }
}

#[test]
fn each_file_has_one_outcome() {
    assert_each_file_once(finished(), &phantom().join("lidc-annotations/xml"));
    let scans = fixture::rows::<Scan>(finished());
    // Of the traps' 18 files, one is an X-ray, and two pairs belong to one series each.
    assert_eq!(scans.iter().filter(|scan| scan.patient_id == "TRAPS").count(), TRAPS.len() - 3);
    assert_eq!(scans.len(), TRAPS.len() - 3 + 4);
    assert!(scans.iter().all(|scan| scan.source == "lidc" && scan.path.is_none()));
}

#[test]
fn marks_are_the_same_with_and_without_images() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let (store_text, root) = (
        store.to_str().unwrap(),
        format!("ingest.cohorts.0.root={}", phantom().join("lidc").display()),
    );
    fixture::run_well(&[
        "ingest",
        "pipelines/lidc.toml",
        "--store",
        store_text,
        "--set",
        &root,
        "--progress",
        "none",
    ]);
    let without: BTreeMap<String, Mark> = fixture::rows::<Mark>(finished())
        .into_iter()
        .map(|mark| (mark.mark_id.clone(), mark))
        .collect();
    let with = fixture::rows::<Mark>(&store);
    assert!(with.len() > 30, "{}", with.len());
    for mark in with {
        let other = &without[&mark.mark_id];
        let z = [mark.centroid_z_mm, other.centroid_z_mm].map(Option::unwrap);
        assert!((z[0] - z[1]).abs() < 1e-6, "{z:?}");
        let diameters = [mark.diameter_mm, other.diameter_mm].map(Option::unwrap_or_default);
        assert!((diameters[0] - diameters[1]).abs() < 1e-6, "{diameters:?}");
        assert!(mark.centroid_x_mm.is_some());
        let without_mm = Mark {
            centroid_x_mm: None,
            centroid_y_mm: None,
            centroid_z_mm: other.centroid_z_mm,
            volume_mm3: other.volume_mm3,
            diameter_mm: other.diameter_mm,
            source_path: other.source_path.clone(),
            ..mark
        };
        assert_eq!(&without_mm, other);
    }
}

#[test]
fn a_series_list_excludes_other_scans_with_a_reason() {
    let below = phantom().join("lidc-annotations");
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let list = folder.path().join("list.csv");
    let kept = fixture::rows::<Scan>(finished())
        .into_iter()
        .find(|scan| scan.patient_id != "TRAPS")
        .unwrap()
        .series_instance_uid;
    fs_err::write(&list, format!("{kept}\n1.2.3\n")).unwrap();
    let set = format!("ingest.series_list={}", list.display());
    let (xml, table) = (below.join("xml"), below.join("scan-geometry.csv"));
    run_well(&store, &xml, &table, &[&set]);
    let scans = fixture::rows::<Scan>(&store);
    assert_eq!(scans.len(), fixture::rows::<Scan>(finished()).len());
    assert_eq!(scans.iter().filter(|scan| scan.included).count(), 1);
    assert!(fixture::rows::<Mark>(&store).iter().all(|mark| mark.series_instance_uid == kept));
    let exclusions = fixture::rows::<Exclusion>(&store);
    let missing: Vec<_> = exclusions.iter().filter(|e| e.rule == "series_not_found").collect();
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0].case_id, "1.2.3");
    assert_each_file_once(&store, &xml);
    // The key depends on the list's content, not on its path.
    let moved = folder.path().join("moved.csv");
    fs_err::rename(&list, &moved).unwrap();
    let set = format!("ingest.series_list={}", moved.display());
    assert!(run_well(&store, &xml, &table, &[&set]).contains("nothing to do"));
    fs_err::write(&moved, "1.2.3\n").unwrap();
    run_well(&store, &xml, &table, &[&set]);
    assert_eq!(fixture::rows::<Mark>(&store), []);
}

#[test]
fn a_changed_row_of_the_table_is_read_again_and_bad_files_are_failures() {
    let folder = tempfile::tempdir().unwrap();
    let [xml, store, table] = ["xml", "store", "g.csv"].map(|name| folder.path().join(name));
    fs_err::create_dir_all(xml.join("deep/er")).unwrap();
    let from = phantom().join("lidc-annotations");
    fs_err::copy(from.join("xml/001.xml"), xml.join("deep/er/a.xml")).unwrap();
    fs_err::copy(from.join("xml/002.xml"), xml.join("b.xml")).unwrap();
    fs_err::write(xml.join("broken.xml"), "<LidcReadMessage><ResponseHeader>").unwrap();
    let rows = fs_err::read_to_string(from.join("scan-geometry.csv")).unwrap();
    let first_two: Vec<&str> = rows.lines().take(2).collect();
    fs_err::write(&table, first_two.join("\n")).unwrap();
    let (text, status) = run(&store, &xml, &table, &[]);
    assert_eq!(status, Some(3), "{text}");
    let failures = fixture::rows::<Failure>(&store);
    let causes: Vec<_> =
        failures.iter().map(|f| (f.path.as_deref().unwrap(), f.cause.as_str())).collect();
    assert_eq!(causes.len(), 2, "{causes:?}");
    assert!(
        causes.iter().any(|(p, c)| *p == "broken.xml" && c.contains("is not XML")),
        "{causes:?}"
    );
    let unknown = "which the table of scan geometry does not have";
    assert!(causes.iter().any(|(p, c)| *p == "b.xml" && c.contains(unknown)), "{causes:?}");
    assert_each_file_once(&store, &xml);
    let marks = fixture::rows::<Mark>(&store);
    assert!(!marks.is_empty() && marks.iter().all(|mark| mark.source_path == "deep/er/a.xml"));

    let widened = first_two.join("\n").replacen(",0.", ",1.", 1);
    assert_ne!(widened, first_two.join("\n"));
    fs_err::write(&table, widened).unwrap();
    run(&store, &xml, &table, &[]);
    let wider = fixture::rows::<Mark>(&store);
    assert_eq!(wider.len(), marks.len());
    let volume = |marks: &[Mark]| marks.iter().filter_map(|mark| mark.volume_mm3).sum::<f64>();
    assert!(volume(&wider) > 1.5 * volume(&marks));
}

#[test]
fn impossible_settings_end_with_one_message() {
    let below = phantom().join("lidc-annotations");
    let (xml, table) = (below.join("xml"), below.join("scan-geometry.csv"));
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let message = |xml: &Path, table: &Path, sets: &[&str], status: i32, expected: &str| {
        let (text, found) = run(&store, xml, table, sets);
        assert_eq!(found, Some(status), "{text}");
        assert!(text.starts_with("error: ") && text.contains(expected), "{text}");
    };
    message(&folder.path().join("no"), &table, &[], 1, "is not a folder");
    message(&xml, &folder.path().join("no.csv"), &[], 1, "no.csv");
    message(
        &xml,
        &xml.join("001.xml"),
        &[],
        1,
        "is not named like a table of scan geometry, expected .csv",
    );
    message(&xml, &table, &["ingest.series_list=no/list.csv"], 1, "no/list.csv");
    let mixed =
        "ingest.cohorts=[{name=\"a\",source=\"lidc_annotations\"},{name=\"b\",source=\"lidc\"}]";
    message(&xml, &table, &[mixed], 2, "cohort `a` has annotations without images");
    let crop = arguments("crop", &store, &xml, &table, &[]);
    let (text, status) = fixture::run_badly(&crop.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(status, Some(2));
    assert!(
        text.contains("crop needs images, and the pipeline file's cohorts have none"),
        "{text}"
    );
    let empty = folder.path().join("empty.csv");
    fs_err::write(&empty, fs_err::read_to_string(&table).unwrap().lines().next().unwrap()).unwrap();
    let nothing = folder.path().join("nothing");
    fs_err::create_dir(&nothing).unwrap();
    message(&nothing, &empty, &[], 1, "cohort `lidc` is empty");
}
