//! Detections of other programs become candidates, at the same position of the patient.

use crate::fixture;
use crate::nightly_job::{Job, copy, phantom, series_of};
use nodulus_formats::image_file::{self, ImageRules};
use nodulus_formats::luna_csv::{Annotation, Detection, read_annotations, read_detections};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What MONAI and nnDetection write of scans with a ball each (`tests/golden/detections.py`).
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/detections").join(name)
}

/// A folder for what the command writes.
struct Converter {
    folder: tempfile::TempDir,
}

impl Converter {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, value: &Value) -> PathBuf {
        fs_err::write(self.path(name), value.to_string()).unwrap();
        self.path(name)
    }

    /// Converts, which must end with this exit status, and returns what it printed and its error.
    fn run(
        &self,
        status: i32,
        from: &str,
        results: &Path,
        input: &Path,
        more: &[&str],
    ) -> (Value, String) {
        let out = self.path("out/candidates.csv");
        let list = self.path("out/seriesuids.csv");
        let [results, input, out, list] =
            [results, input, &out, &list].map(|path| path.to_str().unwrap());
        let arguments = [
            "candidates",
            "--from",
            from,
            results,
            "--input",
            input,
            "--out",
            out,
            "--seriesuids",
            list,
            "--json",
        ];
        let output = fixture::run(&[&arguments[..], more].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{error}");
        (serde_json::from_slice(&output.stdout).unwrap_or_default(), error)
    }

    /// Converts, which must fail, and returns the error.
    fn error(&self, from: &str, results: &Path, input: &Path, more: &[&str]) -> String {
        let (_, error) = self.run(1, from, results, input, more);
        assert!(!self.path("out").exists());
        error
    }

    fn candidates(&self) -> Vec<Detection> {
        read_detections(&self.path("out/candidates.csv")).unwrap()
    }

    fn series(&self) -> Vec<String> {
        let text = fs_err::read_to_string(self.path("out/seriesuids.csv")).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

/// The counts of detections: rows, candidates, below the threshold, duplicate, outside, of unknown images, unreadable, malformed.
fn counts(found: &Value) -> [u64; 8] {
    let names = [
        "rows",
        "matched",
        "below_threshold",
        "duplicate",
        "outside",
        "unknown_image",
        "unreadable",
        "malformed",
    ];
    let counts = names.map(|name| found["detections"][name].as_u64().unwrap());
    assert_eq!(counts[0], counts[1..].iter().sum::<u64>());
    counts
}

/// Where each scan's ball is, by the UID of the scan.
fn truth() -> BTreeMap<String, [f64; 3]> {
    let text = fs_err::read(golden("truth.json")).unwrap();
    let truth: BTreeMap<String, [f64; 3]> = serde_json::from_slice(&text).unwrap();
    let by_uid = truth.into_iter().map(|(name, position)| {
        let path = golden("scans").join(name);
        let volume = image_file::read(&path, &ImageRules::default()).unwrap();
        (image_file::series_uid(&path, &volume), position)
    });
    by_uid.collect()
}

/// The most probable candidate lies within this distance of the ball of its scan.
fn assert_at_balls(candidates: &[Detection], most_mm: f64) {
    let truth = truth();
    assert_eq!(candidates.len(), 2 * truth.len());
    for pair in candidates.chunks(2) {
        let [ball, other] = pair else { panic!() };
        let scores = [ball, other].map(|of| of.confidence.to_string());
        assert_eq!(scores, ["0.96875", "0.0625"]);
        assert_eq!(ball.series_instance_uid, other.series_instance_uid);
        let expected = truth[&ball.series_instance_uid];
        for (found, expected) in [ball.x_mm, ball.y_mm, ball.z_mm].iter().zip(expected) {
            assert!((found - expected).abs() <= most_mm, "{ball:?}: {expected:?}");
        }
    }
}

#[test]
fn boxes_of_monai_lie_at_the_nodules_of_reversed_scans() {
    let scans = golden("scans");
    let converter = Converter::new();
    let (found, _) = converter.run(0, "monai", &golden("monai.json"), &scans, &[]);
    assert_eq!((found["n_images"].as_u64(), counts(&found)[..2] == [6, 6]), (Some(3), true));
    // MONAI resampled the scans to voxels of 1.25 mm.
    assert_at_balls(&converter.candidates(), 1.25 / 2.0);
    let (lps, series) = (converter.candidates(), converter.series());
    assert_eq!(series, truth().into_keys().collect::<Vec<_>>());
    // The tutorial's layout, with boxes along the other axes.
    converter.run(0, "monai", &golden("monai_ras.json"), &scans, &["--axes", "ras"]);
    assert_eq!((converter.candidates(), converter.series()), (lps, series));
    // Along the wrong axes all lie elsewhere.
    let other = Converter::new();
    let error = other.error("monai", &golden("monai_ras.json"), &scans, &[]);
    assert!(error.contains("of 3 images: ") && error.contains("lie outside the scan"), "{error}");
    assert!(error.contains("`--axes`"), "{error}");
}

#[test]
fn boxes_of_nndetection_lie_at_the_nodules_of_reversed_scans() {
    let converter = Converter::new();
    let (found, _) = converter.run(0, "nndetection", &golden("nndetection"), &golden("scans"), &[]);
    assert_eq!(counts(&found)[..2], [6, 6]);
    assert_at_balls(&converter.candidates(), 1e-9);
    // One file, and a scan that has the name of nnU-Net's layout.
    let scans = converter.path("scans");
    fs_err::create_dir_all(&scans).unwrap();
    fs_err::copy(golden("scans/plain.nii.gz"), scans.join("plain_0000.nii.gz")).unwrap();
    let file = golden("nndetection/plain_boxes.json");
    let (found, _) = converter.run(0, "nndetection", &file, &scans, &["--min-probability", "0.5"]);
    assert_eq!((counts(&found), converter.candidates().len()), ([2, 1, 1, 0, 0, 0, 0, 0], 1));
    // The case of another image: its grid lies elsewhere.
    let renamed = converter.path("coronal_boxes.json");
    fs_err::copy(&file, &renamed).unwrap();
    let other = Converter::new();
    let error = other.error("nndetection", &renamed, &golden("scans"), &[]);
    assert!(error.contains("lies elsewhere in the patient"), "{error}");
}

#[test]
fn files_of_nndetection_that_are_no_boxes_are_refused() {
    let converter = Converter::new();
    let scans = golden("scans");
    let text = fs_err::read(golden("nndetection/plain_boxes.json")).unwrap();
    let whole: Value = serde_json::from_slice(&text).unwrap();
    let error = |name: &str, value: &Value| {
        let path = converter.write(name, value);
        converter.error("nndetection", &path, &scans, &[])
    };
    let with = |name: &str, value: Value| {
        let mut changed = whole.clone();
        changed[name] = value;
        error("plain_boxes.json", &changed)
    };
    assert!(with("restore", json!(false)).contains("`restore` is not true"));
    assert!(with("itk_origin", json!([1, 2])).contains("`itk_origin` is missing"));
    assert!(with("pred_scores", json!([0.5])).contains("2 boxes and 1 scores"));
    assert!(with("pred_scores", json!([0.5, 7])).contains("score 2 is 7"));
    assert!(with("pred_boxes", json!([[1, 2, 3, 4], [1, 2, 3, 4]])).contains("box 1 is [1,2,3,4]"));
    assert!(with("itk_direction", json!([0, 0, 0, 0, 0, 0, 0, 0, 0])).contains("plain: "));
    let rounded = json!({ "1": { "score": 0.5, "label": 0, "box": [1, 2, 3, 4, 5, 6] } });
    assert!(error("plain_boxes.json", &rounded).contains("`nndet_boxes2nii`"));
    assert!(error("plain_boxes.pkl", &Value::Null).contains("is a pickle"));
    fs_err::remove_file(converter.path("plain_boxes.json")).unwrap();
    let folder = converter.folder.path();
    assert!(converter.error("nndetection", folder, &scans, &[]).contains("is a pickle"));
    fs_err::remove_file(converter.path("plain_boxes.pkl")).unwrap();
    assert!(converter.error("nndetection", folder, &scans, &[]).contains("no `CASE_boxes.json`"));
    let (error, status) = fixture::run_badly(&[
        "candidates",
        "--from",
        "nndetection",
        "x",
        "--axes",
        "ras",
        "--input",
        "x",
        "--out",
        "y.csv",
    ]);
    assert_eq!((status, error.contains("`--axes` does not apply")), (Some(2), true), "{error}");
}

/// What MONAI writes of an image.
fn of_image(image: &Path, boxes: &[([f64; 3], f64)]) -> Value {
    let (boxes, scores): (Vec<Value>, Vec<f64>) =
        boxes.iter().map(|([x, y, z], score)| (json!([x, y, z, 6.0, 6.0, 6.0]), *score)).unzip();
    json!({ "box": boxes, "label": vec![0; scores.len()], "label_scores": scores, "image": image })
}

/// The phantom's nodules of a series, with the same score.
fn nodules(series: &str) -> Vec<([f64; 3], f64)> {
    let annotations = read_annotations(&phantom().join("luna16/annotations.csv")).unwrap();
    let own = annotations.into_iter().filter(|of| of.series_instance_uid == series);
    own.map(|Annotation { x_mm, y_mm, z_mm, .. }| ([x_mm, y_mm, z_mm], 0.75)).collect()
}

#[test]
fn each_detection_is_counted() {
    let job = Job::new();
    let [a, b, c] = [0, 1, 2].map(|n| job.series()[n].clone());
    let of = |folder: &Path| nodules(&series_of(folder));
    // A patient's folder, whose name is not the UID of the series.
    let patient = job.input().join("patient");
    fs_err::rename(&a, &patient).unwrap();
    let (first, _) = of(&patient)[0];
    let away = ([9000.0, 0.0, 0.0], 0.5);
    let mut of_a = of(&patient);
    of_a.extend([(first, 0.5), (first, 0.01), away]);
    let short = json!({ "box": [[1, 2, 3, 4, 5, 6]], "label_scores": [], "image": b });
    let none = of_image(&Path::new("/elsewhere").join(c.file_name().unwrap()), &[]);
    // The name of a patient's folder does not make a file in it the scan.
    let unknown = of_image(Path::new("/elsewhere/patient/ct.nii.gz"), &[(first, 0.5)]);
    let converter = Converter::new();
    let list = json!([of_image(Path::new("C:\\data\\in\\patient"), &of_a), short, none, unknown]);
    let results = converter.write("result.json", &list);
    let (found, _) =
        converter.run(3, "monai", &results, &job.input(), &["--min-probability", "0.05"]);
    let n = of(&patient).len() as u64;
    assert_eq!(counts(&found), [n + 5, n, 1, 1, 1, 1, 0, 1]);
    let left: Vec<&str> = found["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|left| left["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        left,
        ["it is no scan of the input", "1 boxes and 0 scores, expected as many of each"]
    );
    let candidates = converter.candidates();
    let expected = series_of(&patient);
    assert!(candidates.iter().all(|of| of.series_instance_uid == expected && of.confidence > 0.7));
    let mut series = vec![expected, series_of(&c)];
    series.sort();
    assert_eq!(converter.series(), series);

    // A slice of the series, as MONAI names a list of files; the input itself is the folder of a series.
    let slice = of_image(Path::new("/x/patient/000001.dcm"), &of(&patient));
    let results = converter.write("slice.json", &json!([slice]));
    for input in [job.input(), patient.clone()] {
        let (found, _) = converter.run(0, "monai", &results, &input, &[]);
        assert_eq!(counts(&found)[..2], [n, n]);
    }
}

#[test]
fn what_cannot_be_told_is_refused() {
    let job = Job::new();
    let [a, b, c] = [0, 1, 2].map(|n| job.series()[n].clone());
    let together = job.input().join("together");
    for (n, folder) in [&a, &b].into_iter().enumerate() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{n}{}", entry.file_name().to_str().unwrap());
            fs_err::create_dir_all(&together).unwrap();
            fs_err::rename(entry.path(), together.join(name)).unwrap();
        }
        fs_err::remove_dir_all(folder).unwrap();
    }
    let of_c = nodules(&series_of(&c));
    let converter = Converter::new();
    let error = |list: &Value| {
        let results = converter.write("result.json", list);
        converter.error("monai", &results, &job.input(), &[])
    };
    // Two series in one folder.
    let found = error(&json!([of_image(Path::new("/x/together"), &of_c)]));
    assert!(found.contains("several scans of the input may be it"), "{found}");
    let two = json!([
        of_image(&c, &of_c),
        of_image(&Path::new("/x").join(c.file_name().unwrap()), &of_c)
    ]);
    assert!(error(&two).contains("are both the series"));
    let mut corners = of_image(&c, &of_c);
    corners["box"][0] = json!([-10, -20, -30, -4, -14, -24]);
    assert!(error(&json!([corners])).contains("keep `ConvertBoxModed`"));
    let mut nameless = of_image(&c, &of_c);
    nameless["image"].take();
    assert!(error(&json!([of_image(&c, &of_c), nameless])).contains("number 2 have no `image`"));
    assert!(error(&json!([])).contains("no images"));
    assert!(error(&json!({ "a": [], "b": [] })).contains("another member `b`"));
    assert!(error(&json!("text")).contains("expected a list with an object for each image"));
    let results = converter.path("result.json");
    fs_err::write(&results, "[{\"image\": \"a\", \"box\": [[NaN]]}]").unwrap();
    assert!(converter.error("monai", &results, &job.input(), &[]).contains("is not JSON"));
    // Nothing is written among the scans.
    let (input, out) = (job.input(), job.input().join("candidates.csv"));
    let [results, input, out] = [&results, &input, &out].map(|path| path.to_str().unwrap());
    let arguments = ["candidates", "--from", "monai", results, "--input", input, "--out", out];
    let (error, status) = fixture::run_badly(&arguments);
    assert_eq!((status, error.contains("in which nothing is written")), (Some(2), true), "{error}");
}

/// The blocks of a page in a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let start = format!("```{language}\n");
    page.split(start.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn the_commands_of_the_page_score_raw_scans() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/detectors.md");
    let page = fs_err::read_to_string(page).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    copy(&phantom().join("lidc"), &root.join("scans"));
    let job = Job::new();
    let images: Vec<Value> = job
        .series()
        .iter()
        .map(|series| {
            of_image(
                &Path::new("/data").join(series.file_name().unwrap()),
                &nodules(&series_of(series)),
            )
        })
        .collect();
    let n_nodules: usize = images.iter().map(|image| image["box"].as_array().unwrap().len()).sum();
    fs_err::create_dir_all(root.join("eval")).unwrap();
    fs_err::write(root.join("eval/result_luna16_fold0.json"), json!(images).to_string()).unwrap();
    let settings = blocks(&page, "toml")[0];
    let model = fixture::finished().join("store");
    let settings = settings.replace("\"store/demo\"", &format!("{:?}", model.to_str().unwrap()));
    assert_ne!(settings, blocks(&page, "toml")[0]);
    // The phantom's scans were learnt from, and are new.
    let more = "settle_seconds = 0\nallow_training_patients = true\nallow_other_preprocessing = true\n\
                region = { window = { low_hu = -1000, high_hu = 400 } }\n";
    fs_err::write(root.join("score.toml"), format!("{settings}{more}")).unwrap();
    let commands: Vec<Vec<&str>> = blocks(&page, "sh")[0]
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.first() == Some(&"nodulus"))
        .collect();
    assert_eq!(commands.len(), 3);
    for words in commands {
        let output = fixture::nodulus(&words[1..]).current_dir(root).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {error}");
    }
    let rows = Job::rows_of(&root.join("store/score"));
    assert!(!rows.is_empty() && rows.len() <= n_nodules, "{} of {n_nodules}", rows.len());
    assert!(rows.iter().all(|row| row["candidate_score"] == 0.75));
}
