//! Regions exported for other programs, and contact sheets.

use crate::{fixture, python, readers_segments};
use nodulus::tables::Roi;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

fn store() -> String {
    fixture::finished().join("store").to_str().unwrap().to_owned()
}

/// Runs `export rois` on a store and returns the record that it printed.
fn export(store: &str, format: &str, to: &Path, more: &[&str]) -> Value {
    let to = to.to_str().unwrap();
    let arguments = ["export", "rois", "--store", store, "--to", format, "--out", to, "--json"];
    serde_json::from_str(&fixture::run_well(&[&arguments[..], more].concat())).unwrap()
}

fn montage(to: &Path, more: &[&str]) -> Value {
    let (store, to) = (store(), to.to_str().unwrap());
    let arguments = ["montage", "--store", &store, "--out", to, "--cohort", "clinical", "--json"];
    serde_json::from_str(&fixture::run_well(&[&arguments[..], more].concat())).unwrap()
}

/// Ids of the nodules that have a region, in one cohort or, if `cohort` is empty, in all.
fn nodules(cohort: &str) -> BTreeSet<String> {
    let rois = fixture::rows::<Roi>(store().as_ref()).into_iter();
    rois.filter(|roi| cohort.is_empty() || roi.cohort == cohort).map(|roi| roi.nodule_id).collect()
}

#[test]
fn exports_agree_with_the_scans_in_other_programs() {
    let folder = tempfile::tempdir().unwrap();
    let store = store();
    for (format, name) in [
        ("nifti", "nifti"),
        ("npz", "npz"),
        ("parquet-tensor", "tensor"),
        ("nnunet", "Dataset501_Nodules"),
    ] {
        export(&store, format, &folder.path().join(name), &[]);
    }
    let rows = ["show", "scans", "--store", &store, "--json", "--rows", "100"];
    let phantom = |cohort: &str| fixture::finished().join("store/phantom").join(cohort);
    let roots = json!({ "luna16": phantom("luna16"), "clinical": phantom("clinical") });
    let arguments =
        [folder.path().to_str().unwrap(), &fixture::run_well(&rows), &roots.to_string()];
    let Some(text) = python::script("check_exports.py", &arguments) else { return };
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["nodules"], nodules("").len(), "{found}");
    assert!(found["voxels_compared"].as_u64().unwrap() > 1000, "{found}");
    assert!(found["test"].as_u64().unwrap() > 0 && found["folds"].as_u64().unwrap() > 1, "{found}");
}

#[test]
fn each_example_of_the_docs_runs() {
    let folder = tempfile::tempdir().unwrap();
    for (format, name) in [
        ("nifti", "out/nifti"),
        ("npz", "out/npz"),
        ("parquet-tensor", "out/tensor"),
        ("nnunet", "nnUNet_raw/Dataset501_Nodules"),
    ] {
        export(&store(), format, &folder.path().join(name), &[]);
    }
    readers_segments::export_phantom(folder.path());
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/export.md");
    let arguments = [docs.to_str().unwrap(), folder.path().to_str().unwrap()];
    let Some(text) = python::script("run_examples.py", &arguments) else { return };
    let printed: Vec<String> = serde_json::from_str(&text).unwrap();
    assert_eq!(printed.len(), 5);
    assert!(
        printed[2].ends_with(", 64, 64)\n") && printed[3].starts_with("(64, 64, "),
        "{printed:?}"
    );
    assert!(printed[4].contains("Nodule 1, reader 0") && printed[4].contains("'Malignancy': "));
}

#[test]
fn an_export_is_reproducible_and_replaces_an_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("out");
    let first = export(&store(), "npz", &to, &[]);
    assert_eq!(first, export(&store(), "npz", &to, &[]));
    assert_eq!(first["n_nodules"], nodules("").len());
    assert_eq!(first["files"].as_array().unwrap().len(), nodules("").len() + 1);
    let by_split = first["n_nodules_by_split"].as_object().unwrap();
    let sum: u64 = by_split.values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(first["n_nodules"], sum);

    let test = export(&store(), "nifti", &to, &["--cohort", "clinical", "--split", "test"]);
    assert_eq!(test["n_nodules"], test["n_nodules_by_split"]["test"]);
    let mut names: Vec<_> = fs_err::read_dir(&to)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let recorded = test["files"].as_array().unwrap().iter().map(|f| f["file"].as_str().unwrap());
    let mut recorded: Vec<&str> = recorded.chain(["export.json"]).collect();
    recorded.sort_unstable();
    assert_eq!(names, recorded);
    let mut written: Value =
        serde_json::from_slice(&fs_err::read(to.join("export.json")).unwrap()).unwrap();
    assert!(written.as_object_mut().unwrap().remove("record_sha256").is_some());
    // What is printed also names what is outdated; nothing is here.
    assert_eq!(test["outdated"], serde_json::json!([]));
    let mut test = test;
    test.as_object_mut().unwrap().remove("outdated");
    assert_eq!(written, test);
}

#[test]
fn an_impossible_export_ends_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (store, out, mine) = (store(), path("out"), path("mine"));
    fs_err::create_dir_all(&mine).unwrap();
    fs_err::write(path("mine/notes.txt"), "mine").unwrap();
    let empty = path("empty/store");
    fs_err::create_dir_all(path("empty")).unwrap();
    let pipeline = fixture::pipeline(&folder.path().join("empty"));
    fixture::run_well(&["ingest", pipeline.to_str().unwrap(), "--progress", "none"]);
    let rois = ["export", "rois", "--to", "npz", "--store"];
    for (arguments, more, expected, code) in [
        (&rois[..], &[&path("none"), "--out", &out][..], "there is no store at", 1),
        (&rois, &[&empty, "--out", &out], "`rois` is not in store", 1),
        (&rois, &[&store, "--out", &mine], "notes.txt` exists and was not written by an export", 1),
        (&rois, &[&store, "--out", &out, "--cohort", "lidc"], "there are: clinical, luna16", 2),
        (&rois, &[&store, "--out", &out, "--split", "train,dev"], "[possible values: train", 2),
        (
            &rois,
            &[&store, "--out", &out, "--cohort", "clinical", "--split", "validation"],
            "no nodule of cohort `clinical` in the split validation has a region",
            1,
        ),
        (
            &["export", "rois", "--to", "nnunet", "--store"],
            &[&store, "--out", &out],
            "expected a folder `DatasetNNN_NAME`",
            2,
        ),
        (
            &["export", "rois", "--to", "nnunet", "--store"],
            &[&store, "--out", &path("Dataset501_A"), "--split", "test"],
            "nodules is in train or validation",
            1,
        ),
        (&["montage", "--store"], &[&store, "--out", &out], "(clinical, luna16): name one", 2),
        (&["montage", "--store"], &[&empty, "--out", &out], "`rois` is not in store", 1),
        (
            &["montage", "--cohort", "clinical", "--store"],
            &[&store, "--out", &out, "--model", "other"],
            "no predictions by `other`; there are: ",
            2,
        ),
        (
            &["montage", "--cohort", "clinical", "--store"],
            &[&store, "--out", &out, "--window", "400,-1000"],
            "the lower one first",
            2,
        ),
    ] {
        let (error, status) = fixture::run_badly(&[arguments, more].concat());
        assert_eq!(status, Some(code), "{error}");
        assert!(error.contains(expected), "{error}");
    }
    // A failed export leaves no file.
    assert!(!Path::new(&out).exists() && !folder.path().join("Dataset501_A").exists());
    assert_eq!(fs_err::read_dir(&mine).unwrap().count(), 1);
}

#[test]
fn tables_that_do_not_belong_together_are_not_exported() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = fixture::pipeline(folder.path());
    let stage = |stage: &str, more: &[&str]| {
        let arguments = [stage, pipeline.to_str().unwrap(), "--progress", "none"];
        fixture::run_well(&[&arguments[..], more].concat());
    };
    for name in ["ingest", "merge", "crop"] {
        stage(name, &[]);
    }
    let (store, out) = (folder.path().join("store"), folder.path().join("out"));
    let store = store.to_str().unwrap();
    // Without `samples` there are no splits, and exports that need splits are refused.
    let record = export(store, "npz", &out, &[]);
    assert_eq!(record["n_nodules"], record["n_nodules_by_split"]["none"]);
    let arguments = ["export", "rois", "--store", store, "--out", out.to_str().unwrap()];
    let (error, status) =
        fixture::run_badly(&[&arguments[..], &["--to", "npz", "--split", "test"]].concat());
    assert_eq!(status, Some(1), "{error}");
    assert!(error.contains("`samples` is not in store"), "{error}");
    // The regions are of other slices than those that were split.
    stage("balance", &[]);
    stage("crop", &["--set", "crop.margin_slices=0"]);
    let (error, status) = fixture::run_badly(&[&arguments[..], &["--to", "npz"]].concat());
    assert_eq!(status, Some(1), "{error}");
    assert!(
        error.contains("`samples` was made from another version of `rois`: run balance"),
        "{error}"
    );
}

/// The width of a PNG, and the red, green and blue of each pixel.
fn pixels(path: &Path) -> (usize, Vec<[u8; 3]>) {
    let file = fs_err::read(path).unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!(info.color_type, png::ColorType::Rgb);
    (info.width as usize, bytes.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect())
}

#[test]
fn a_montage_shows_every_nodule_and_is_reproducible() {
    let folder = tempfile::tempdir().unwrap();
    let n = nodules("clinical").len();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let record = montage(&one, &["--columns", "1", "--rows", "1", "--tile", "128"]);
    assert_eq!(record["window_hu"], json!([0.0, 1000.0]));
    assert_eq!([&record["n_nodules"], &record["n_tiles"]], [n; 2]);
    let files = record["files"].as_array().unwrap();
    assert_eq!(files.len(), n);
    assert_eq!(files[0]["file"], "montage-0001.png");
    let again = montage(&two, &["--columns", "1", "--rows", "1", "--tile", "128"]);
    assert_eq!(record["files"], again["files"]);
    // Each tile has the outline of its nodule.
    let of = |colour: [u8; 3]| {
        let found = |file: &Value| {
            let (_, pixels) = pixels(&one.join(file["file"].as_str().unwrap()));
            // More pixels than the legend's swatch has.
            pixels.iter().filter(|pixel| **pixel == colour).count() > 72
        };
        files.iter().filter(|file| found(file)).count()
    };
    assert_eq!(of([0xf0, 0xb4, 0x29]), n);
    assert_eq!(record["model"], "proposed");

    let slices = fixture::rows::<Roi>(store().as_ref());
    let slices = slices.iter().filter(|roi| roi.cohort == "clinical").count();
    let record = montage(&two, &["--what", "slices", "--window=-1000,400", "--rows", "2"]);
    assert_eq!(record["n_tiles"], slices);
    assert_eq!(record["files"].as_array().unwrap().len(), slices.div_ceil(12));
    let (width, _) = pixels(&two.join("montage-0001.png"));
    assert_eq!(width, 6 * (256 + 12) + 12);
}
