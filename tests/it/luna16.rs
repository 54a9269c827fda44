//! LUNA16's files exported from a store, and comparisons of nodule tables.

use crate::{fixture, python};
use nodulus::tables::{Mark, Nodule, Scan};
use nodulus_formats::luna_csv::{self, Candidate};
use nodulus_store::{Row, Store};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A folder with a store in which the small pipeline has run up to `merge`, for tests that only read it.
fn merged() -> &'static Path {
    static MERGED: OnceLock<PathBuf> = OnceLock::new();
    MERGED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("merged");
        if folder.exists() {
            fs_err::remove_dir_all(&folder).unwrap();
        }
        fs_err::create_dir_all(&folder).unwrap();
        let pipeline = fixture::pipeline(&folder);
        for stage in ["ingest", "merge"] {
            fixture::run_well(&[stage, pipeline.to_str().unwrap(), "--progress", "none"]);
        }
        folder
    })
}

fn store() -> String {
    merged().join("store").to_str().unwrap().to_owned()
}

fn phantom(file: &str) -> String {
    merged().join("store/phantom/luna16").join(file).to_str().unwrap().to_owned()
}

fn export(to: &Path, more: &[&str]) -> Value {
    let (store, to) = (store(), to.to_str().unwrap());
    let mut arguments = vec!["export", "luna16", "--store", &store, "--out", to];
    arguments.extend(["--cohort", "luna16", "--json"]);
    arguments.extend(more);
    serde_json::from_str(&fixture::run_well(&arguments)).unwrap()
}

fn compare(a: &str, b: &str, more: &[&str]) -> Value {
    let mut arguments = vec!["compare-nodules", a, b, "--json"];
    arguments.extend(more);
    serde_json::from_str(&fixture::run_well(&arguments)).unwrap()
}

/// Checks that every nodule of a comparison is matched within `within_mm`, and returns their number.
fn all_matched(found: &Value, within_mm: f64) -> u64 {
    let both = found["nodules"]["both"].as_u64().unwrap();
    assert!(both > 0, "{found}");
    assert_eq!([&found["n_a"], &found["n_b"], &found["n_same"]], [both; 3], "{found}");
    for spread in ["centre_distance_mm", "diameter_difference_mm"] {
        assert!(found[spread]["max"].as_f64().unwrap() <= within_mm, "{found}");
    }
    both
}

#[test]
fn an_export_equals_the_phantoms_luna16_files() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("out");
    let export = export(&to, &["--candidates", &phantom("candidates.csv")]);
    assert_eq!(export["n_unplaced"], 0);
    assert_eq!(export["n_candidates_left_out"], 0);

    // The phantom rounds coordinates to micrometres.
    let own = to.join("annotations.csv");
    let found = compare(own.to_str().unwrap(), &phantom("annotations.csv"), &[]);
    let n = all_matched(&found, 0.000_5 * 3f64.sqrt() + 1e-9);
    assert_eq!(export["rows"]["annotations"], n);

    let sorted = |mut rows: Vec<Candidate>| {
        rows.sort_by(|a, b| a.series_instance_uid.cmp(&b.series_instance_uid));
        rows
    };
    let written = luna_csv::read_candidates(&to.join("candidates.csv")).unwrap();
    let known = luna_csv::read_candidates(phantom("candidates.csv").as_ref()).unwrap();
    assert!(known.iter().any(|row| row.class == 1) && known.iter().any(|row| row.class == 0));
    assert_eq!(written, sorted(known));

    let mut series = luna_csv::read_series_uids(phantom("seriesuids.csv").as_ref()).unwrap();
    series.sort();
    assert_eq!(luna_csv::read_series_uids(&to.join("seriesuids.csv")).unwrap(), series);
}

#[test]
fn every_mark_is_in_a_nodule_or_an_irrelevant_finding() {
    let folder = tempfile::tempdir().unwrap();
    export(folder.path(), &[]);
    let path = folder.path().join("annotations_excluded.csv");
    let findings = luna_csv::read_findings(&path).unwrap();
    let marks: Vec<Mark> = rows::<Mark>().into_iter().filter(|m| m.cohort == "luna16").collect();
    let nodules = rows::<Nodule>().into_iter().filter(|n| n.cohort == "luna16" && n.n_marks >= 3);
    let joined: usize = nodules.map(|nodule| nodule.mark_ids.len()).sum();
    assert_eq!(findings.len(), marks.len() - joined);
    let points = findings.iter().filter(|finding| finding.diameter_mm.is_none()).count();
    assert_eq!(points, marks.iter().filter(|mark| mark.kind != "nodule").count());
    assert!(points > 0 && points < findings.len(), "{points} of {}", findings.len());
    for finding in &findings {
        let of_mark = |mark: &&Mark| {
            mark.series_instance_uid == finding.series_instance_uid
                && [mark.centroid_x_mm, mark.centroid_y_mm, mark.centroid_z_mm]
                    == [finding.x_mm, finding.y_mm, finding.z_mm].map(Some)
                && mark.diameter_mm == finding.diameter_mm
        };
        assert!(marks.iter().any(|mark| of_mark(&mark)), "{finding:?}");
    }
}

#[test]
fn a_store_matches_itself_and_its_own_export() {
    all_matched(&compare(&store(), &store(), &[]), 0.0);
    let folder = tempfile::tempdir().unwrap();
    export(folder.path(), &["--min-marks", "2"]);
    let csv = folder.path().join("annotations.csv");
    let found =
        compare(&store(), csv.to_str().unwrap(), &["--cohort", "luna16", "--min-marks", "2"]);
    let two = all_matched(&found, 0.0);
    // Single tables of a store can be compared too.
    let parts = fixture::current(store().as_ref(), "nodules");
    all_matched(&compare(parts.to_str().unwrap(), &store(), &[]), 0.0);
    // With other nodules, the differences are listed.
    let found = compare(csv.to_str().unwrap(), &phantom("annotations.csv"), &[]);
    let alone = found["only_a"].as_array().unwrap().len() as u64;
    assert_eq!(alone, two - found["nodules"]["both"].as_u64().unwrap());
    assert!(alone > 0, "{found}");
}

#[test]
fn an_export_replaces_only_its_own_files() {
    let folder = tempfile::tempdir().unwrap();
    let candidates = phantom("candidates.csv");
    let first = export(folder.path(), &["--candidates", &candidates]);
    assert_eq!(export(folder.path(), &["--candidates", &candidates]), first);
    let second = export(folder.path(), &["--min-marks", "4"]);
    assert_ne!(first["files"][0], second["files"][0]);
    let mut names: Vec<_> =
        fs_err::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    let expected = ["annotations.csv", "annotations_excluded.csv", "export.json", "seriesuids.csv"];
    assert_eq!(names, expected);

    let known = fs_err::read(phantom("annotations.csv")).unwrap();
    let to = phantom("");
    let arguments = ["export", "luna16", "--store", &store(), "--out", &to];
    let (error, status) = fixture::run_badly(&[&arguments[..], &["--cohort", "luna16"]].concat());
    assert_eq!(status, Some(1), "{error}");
    assert!(error.contains("exists and was not written by an export"), "{error}");
    assert_eq!(fs_err::read(phantom("annotations.csv")).unwrap(), known);
}

#[test]
fn nodules_that_do_not_match_the_marks_are_not_exported() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = fixture::pipeline(folder.path());
    let stage = |stage: &str, set: &str| {
        let arguments = [stage, pipeline.to_str().unwrap(), "--progress", "none", "--set", set];
        fixture::run_well(&arguments);
    };
    let (store, to) = (folder.path().join("store"), folder.path().join("out"));
    let export = || {
        let [store, to] = [&store, &to].map(|path| path.to_str().unwrap());
        let arguments = ["export", "luna16", "--cohort", "luna16", "--store", store];
        fixture::run(&[&arguments[..], &["--out", to]].concat())
    };
    stage("ingest", "ingest.shard_size=2");
    stage("merge", "merge.min_marks=4");
    let output = export();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("merged with min_marks = 4, expected at most 3"), "{error}");
    stage("merge", "merge.min_marks=3");
    assert!(export().status.success());
    // Clinical scans have thicker slices.
    stage("ingest", "ingest.inclusion.max_slice_thickness_mm=0.1");
    let output = export();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("`nodules` was made from another version of `scans`"), "{error}");
}

#[test]
fn impossible_exports_and_comparisons_end_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (here, store) = (folder.path().to_str().unwrap(), store());
    let nowhere = format!("{here}/none.csv");
    let csv = phantom("annotations.csv");
    let export = ["export", "luna16", "--out", here, "--store"];
    for (arguments, more, expected, code) in [
        (&export[..], &[store.as_str()][..], "(clinical, luna16): name one with `--cohort`", 2),
        (&export, &[&store, "--cohort", "luna"], "did you mean `luna16`?", 2),
        (&export, &[&nowhere, "--cohort", "luna"], "there is no store at", 1),
        (&["compare-nodules"], &[&store, &nowhere], "none.csv", 1),
        (&["compare-nodules"], &[here, &store], "neither a store", 1),
        (&["compare-nodules"], &[&store, &phantom("candidates.csv")], "column diameter_mm", 1),
        (&["compare-nodules"], &[&store, &csv, "--cohort", "luna"], "did you mean `luna16`?", 2),
        (
            &["compare-nodules"],
            &[&csv, &csv, "--min-marks", "3"],
            "`--min-marks` does not apply",
            2,
        ),
        (&["compare-nodules"], &[&csv], "<B>", 2),
    ] {
        let (error, status) = fixture::run_badly(&[arguments, more].concat());
        assert_eq!(status, Some(code), "{error}");
        assert!(error.contains(expected), "{error}");
    }
    // A failed export leaves no file.
    assert_eq!(fs_err::read_dir(here).unwrap().count(), 0);
}

/// A folder of the phantom's readers' XML.
fn xml() -> PathBuf {
    merged().join("store/phantom/lidc-annotations/xml")
}

/// The phantom's table of scan geometry.
fn geometry() -> PathBuf {
    merged().join("store/phantom/lidc-annotations/scan-geometry.csv")
}

/// Reads and merges the annotations of the phantom's LUNA16 scans without their images, by a table or a folder of geometry.
fn read_blind(here: &str, geometry: &Path) -> String {
    let blind = format!("{here}/store");
    let root = format!("ingest.root={}", xml().display());
    let table = format!("ingest.scan_geometry={}", geometry.display());
    let list = format!("ingest.series_list={}", phantom("seriesuids.csv"));
    for stage in ["ingest", "merge"] {
        let arguments = [stage, "pipelines/lidc-annotations.toml", "--store", &blind];
        let more = ["--progress", "none", "--set", &root, "--set", &table, "--set", &list];
        fixture::run_well(&[&arguments[..], &more[..]].concat());
    }
    blind
}

/// The phantom's table of scan geometry, with the places of the LUNA16 scans as columns.
fn placed_geometry(here: &str) -> PathBuf {
    let text = fs_err::read_to_string(geometry()).unwrap();
    let scans: Vec<Scan> = rows::<Scan>().into_iter().filter(|s| s.cohort == "luna16").collect();
    let mut lines = text.lines();
    let mut placed = format!("{},origin_x_mm,origin_y_mm,direction\n", lines.next().unwrap());
    for line in lines {
        let scan =
            scans.iter().find(|scan| line.starts_with(&format!("{},", scan.series_instance_uid)));
        let place = scan.map_or(",,".to_owned(), |scan| {
            let axes: Vec<_> = scan.direction.iter().flatten().map(f64::to_string).collect();
            let origin = [scan.origin_x_mm, scan.origin_y_mm].map(Option::unwrap);
            format!("{},{},{}", origin[0], origin[1], axes.join(" "))
        });
        writeln!(placed, "{line},{place}").unwrap();
    }
    let path = Path::new(here).join("placed.csv");
    fs_err::write(&path, placed).unwrap();
    path
}

#[test]
fn annotations_alone_are_exported_where_their_scans_places_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let with_images = folder.path().join("images");
    let counts = export(&with_images, &[])["rows"].clone();
    let headers = folder.path().join("headers");
    let mut n_headers = 0;
    let pattern = merged().join("store/phantom/luna16/**/*.mhd");
    for path in glob::glob(pattern.to_str().unwrap()).unwrap().map(Result::unwrap) {
        fs_err::create_dir_all(&headers).unwrap();
        fs_err::copy(&path, headers.join(path.file_name().unwrap())).unwrap();
        n_headers += 1;
    }
    assert!(n_headers > 0);
    for (name, from) in [("table", None), ("folder", Some(headers))] {
        let here = folder.path().join(name);
        fs_err::create_dir_all(&here).unwrap();
        let here = here.to_str().unwrap();
        let from = from.unwrap_or_else(|| placed_geometry(here));
        let blind = read_blind(here, &from);
        let to = format!("{here}/out");
        let text =
            fixture::run_well(&["export", "luna16", "--store", &blind, "--out", &to, "--json"]);
        let record: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(record["rows"], counts, "{name}");
        let own = with_images.join("annotations.csv");
        let found = compare(&format!("{to}/annotations.csv"), own.to_str().unwrap(), &[]);
        assert_eq!(found["coordinates"], "patient");
        all_matched(&found, 1e-6);
        let found = compare(&blind, &phantom("annotations.csv"), &["--min-marks", "3"]);
        assert_eq!(found["coordinates"], "patient");
        all_matched(&found, 0.001);
    }
}

/// `tests/golden/luna16_published.py` is the rule again, without nodulus.
#[test]
fn files_as_published_are_those_of_the_rule_in_python() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().to_str().unwrap();
    let table = placed_geometry(here);
    let blind = read_blind(here, &table);
    let published = |store: &str, cohort: &str, to: &str| -> Value {
        let arguments = ["export", "luna16", "--store", store, "--cohort", cohort, "--out", to];
        let text = fixture::run_well(&[&arguments[..], &["--as-published", "--json"]].concat());
        serde_json::from_str(&text).unwrap()
    };
    let (ours, images, theirs) =
        (format!("{here}/ours"), format!("{here}/images"), format!("{here}/theirs"));
    let record = published(&blind, "lidc", &ours);
    assert_eq!((&record["as_published"], &record["n_unplaced"]), (&Value::Bool(true), &0.into()));
    published(&store(), "luna16", &images);
    // Each mark is a row of one file.
    let n_marks = rows::<Mark>().into_iter().filter(|mark| mark.cohort == "luna16").count();
    let n = |file: &str| record["rows"][file].as_u64().unwrap() as usize;
    assert_eq!(n("annotations") + n("annotations_excluded"), n_marks);
    assert!(n("annotations") > 0);

    fs_err::create_dir_all(&theirs).unwrap();
    let [xml, table] = [xml(), table].map(|path| path.to_str().unwrap().to_owned());
    let arguments = [xml.as_str(), &table, &phantom("seriesuids.csv"), &theirs];
    let Some(_) = python::script("../golden/luna16_published.py", &arguments) else { return };
    for file in ["annotations.csv", "annotations_excluded.csv"] {
        let expected = luna_csv::read_findings(format!("{theirs}/{file}").as_ref()).unwrap();
        for (to, within_mm) in [(&ours, 1e-6), (&images, 1e-5)] {
            let found = luna_csv::read_findings(format!("{to}/{file}").as_ref()).unwrap();
            assert_eq!(found.len(), expected.len(), "{to}/{file}");
            for (a, b) in found.iter().zip(&expected) {
                assert_eq!(a.series_instance_uid, b.series_instance_uid);
                let diameters = [a, b].map(|row| row.diameter_mm.unwrap_or(-1.0));
                let pairs =
                    [(a.x_mm, b.x_mm), (a.y_mm, b.y_mm), (a.z_mm, b.z_mm), diameters.into()];
                assert!(pairs.iter().all(|(a, b)| (a - b).abs() < within_mm), "{a:?} {b:?}");
            }
        }
    }
}

#[test]
fn annotations_without_images_are_compared_along_image_axes_and_not_exported() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().to_str().unwrap();
    let blind = read_blind(here, &geometry());
    let found = compare(&blind, &store(), &["--cohort", "lidc", "--cohort", "luna16"]);
    assert_eq!(found["coordinates"], "image");
    all_matched(&found, 1e-6);

    let csv = phantom("annotations.csv");
    let found = compare(&blind, &csv, &["--min-marks", "3"]);
    assert_eq!(found["coordinates"], "height");
    all_matched(&found, 0.001);
    let text = fixture::run_well(&["compare-nodules", &blind, &csv, "--min-marks", "3"]);
    assert!(text.contains("matched by height and diameter alone"), "{text}");
    let to = format!("{here}/out");
    let arguments = ["export", "luna16", "--store", &blind, "--out", &to];
    let (error, status) = fixture::run_badly(&arguments);
    assert_eq!(status, Some(1));
    assert!(error.contains("scans of cohort `lidc` have no images"), "{error}");
}

#[test]
fn a_comparison_is_laid_out_for_people() {
    let folder = tempfile::tempdir().unwrap();
    let names = "seriesuid,coordX,coordY,coordZ,diameter_mm\n";
    let a = "1.2,10,20,30,6\n1.2,60,20,30,8\n1.3,0,0,0,5.5\n1.3,1,2,3,4\n1.4,0,0,0,5\n";
    let b = "1.2,10,20,30,6\n1.2,60,21,30,7\n1.3,0.5,1,1.5,5.5\n1.5,7,8,9,3.25\n";
    fs_err::write(folder.path().join("a.csv"), format!("{names}{a}")).unwrap();
    fs_err::write(folder.path().join("b.csv"), format!("{names}{b}")).unwrap();
    fs_err::write(folder.path().join("none.csv"), names).unwrap();
    let compare = |b: &str, more: &[&str]| {
        let mut command = fixture::nodulus(&["compare-nodules", "a.csv", b]);
        let output = command.args(more).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = compare("b.csv", &[]);
    insta::assert_snapshot!(text);
    assert_eq!(compare("b.csv", &["--list", "0"]), text);
    let short = compare("b.csv", &["--list", "1"]);
    assert!(short.contains("and 1 more (`--list 0` lists all)"), "{short}");
    let none = compare("none.csv", &[]);
    assert!(none.contains("nothing is compared: B has no nodules\n"), "{none}");
}

fn rows<R: Row>() -> Vec<R> {
    let version = Store::open(store().as_ref()).unwrap().require(R::TABLE).unwrap();
    version.rows::<R>().flat_map(Result::unwrap).collect()
}
