//! Masks of other programs' models, measured by the code that measures the network's.

use crate::fixture;
use crate::growing::by_stage;
use arrow::array::{ArrayRef, BinaryArray, Float64Array, RecordBatch, StringArray};
use nodulus::tables::{
    Comparison, Failure, NoduleMetrics, OutsidePrediction, Prediction, Roi, SliceMetrics, Summary,
};
use nodulus_formats::nifti;
use nodulus_formats::volume::{Geometry, Volume};
use parquet::arrow::ArrowWriter;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

/// The name of the small pipeline's network.
const NETWORK: &str = "proposed";

/// A slice's id, mask and probability.
type Row = (String, Vec<u8>, Option<f64>);

/// A copy of the store in which the small pipeline has run.
struct StoreCopy {
    folder: tempfile::TempDir,
    pipeline: PathBuf,
}

impl StoreCopy {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fixture::copy(&fixture::finished().join("store"), &folder.path().join("store"));
        let pipeline = fixture::pipeline(folder.path());
        Self { folder, pipeline }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self) -> PathBuf {
        self.path("store")
    }

    fn run(&self, command: &str, more: &[&str]) -> Output {
        let arguments = [command, self.pipeline.to_str().unwrap(), "--progress", "none"];
        fixture::run(&[&arguments[..], more].concat())
    }

    /// Evaluates with masks of models, and returns the summary and the exit status.
    fn evaluate(&self, models: &[(&str, &Path)], more: &[&str]) -> (Value, Option<i32>) {
        let models: Vec<String> = models
            .iter()
            .map(|(model, path)| format!("--predictions={model}={}", path.display()))
            .collect();
        let models: Vec<&str> = models.iter().map(String::as_str).collect();
        let output = self.run("evaluate", &[&models[..], &["--json"], more].concat());
        let log = String::from_utf8_lossy(&output.stderr);
        (
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{log}")),
            output.status.code(),
        )
    }

    /// Evaluates in vain, and returns the error and the exit status.
    fn error(&self, command: &str, more: &[&str]) -> (String, Option<i32>) {
        let output = self.run(command, more);
        (String::from_utf8(output.stderr).unwrap(), output.status.code())
    }

    fn rows<R: nodulus_store::Row>(&self) -> Vec<R> {
        fixture::rows(&self.store())
    }

    /// The network's slices.
    fn predicted(&self) -> Vec<Prediction> {
        self.rows::<Prediction>().into_iter().filter(|row| row.model_id == NETWORK).collect()
    }

    /// The reference of the slices that the network predicts.
    fn reference(&self) -> Vec<Row> {
        let predicted: BTreeSet<String> =
            self.predicted().into_iter().map(|row| row.roi_id).collect();
        let rois = self.rows::<Roi>().into_iter().filter(|roi| predicted.contains(&roi.roi_id));
        rois.map(|roi| (roi.roi_id, roi.mask_bits, None)).collect()
    }

    fn metrics(&self, model_id: &str) -> BTreeMap<String, NoduleMetrics> {
        let rows = self.rows::<NoduleMetrics>().into_iter();
        rows.filter(|row| row.model_id == model_id)
            .map(|row| (row.nodule_id.clone(), row))
            .collect()
    }
}

fn write(path: &Path, rows: &[Row]) {
    let ids: StringArray = rows.iter().map(|row| Some(row.0.as_str())).collect();
    let masks: BinaryArray = rows.iter().map(|row| Some(row.1.as_slice())).collect();
    let probabilities: Float64Array = rows.iter().map(|row| row.2).collect();
    let columns: [(&str, ArrayRef); 3] = [
        ("roi_id", Arc::new(ids)),
        ("mask_bits", Arc::new(masks)),
        ("nodule_probability", Arc::new(probabilities)),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = fs_err::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// The doubt that follows from a mask; the others are about a model.
fn of_mask(doubts: &[String]) -> Vec<String> {
    doubts.iter().filter(|doubt| *doubt == "mask_at_region_end").cloned().collect()
}

#[test]
fn the_networks_own_masks_have_its_metrics_to_the_last_digit() {
    let copy = StoreCopy::new();
    let predicted = copy.predicted();
    let [again, delivered] = ["again.parquet", "delivered.parquet"].map(|name| copy.path(name));
    // The delivered mask is the component at the centre; the other rule keeps every component, which is what the network marked.
    assert!(predicted.iter().all(|row| row.component == "centre"));
    let row = |row: &Prediction, bits: &Vec<u8>| {
        (row.roi_id.clone(), bits.clone(), row.nodule_probability)
    };
    write(
        &again,
        &predicted.iter().rev().map(|p| row(p, &p.other_rule_mask_bits)).collect::<Vec<_>>(),
    );
    write(&delivered, &predicted.iter().map(|p| row(p, &p.mask_bits)).collect::<Vec<_>>());
    let before = copy.metrics(NETWORK);
    let (run, status) = copy.evaluate(&[("again", &again), ("delivered", &delivered)], &[]);
    assert_eq!(status, Some(0), "{run}");
    assert_eq!(copy.metrics(NETWORK), before);

    // Masks of other programs come without probabilities of pixels.
    let without_model = |row: &NoduleMetrics| {
        assert_eq!(row.calibration_pixels.is_some(), row.model_id == NETWORK, "{row:?}");
        let (model_id, doubts) = (String::new(), of_mask(&row.doubts));
        NoduleMetrics {
            model_id,
            doubts,
            calibration_pixels: None,
            calibration_nodule_pixels: None,
            calibration_probability: None,
            ..row.clone()
        }
    };
    let as_network = |row: &NoduleMetrics| {
        assert!(row.doubts.contains(&"unlisted_patients".to_owned()), "{row:?}");
        without_model(row)
    };
    assert!(before.len() > 1 && before.values().any(|row| row.metrics.dice.is_some()));
    let found = copy.metrics("again");
    assert_eq!(
        found.values().map(as_network).collect::<Vec<_>>(),
        before.values().map(without_model).collect::<Vec<_>>()
    );
    for (nodule_id, row) in copy.metrics("delivered") {
        assert_eq!(row.metrics, before[&nodule_id].metrics, "{nodule_id}");
    }
    let slices: Vec<SliceMetrics> = copy.rows();
    let of_model = |model: &str| -> BTreeMap<String, SliceMetrics> {
        let rows = slices.iter().filter(|row| row.model_id == model);
        let row = |row: &SliceMetrics| {
            let doubts = of_mask(&row.doubts);
            (row.roi_id.clone(), SliceMetrics { model_id: String::new(), doubts, ..row.clone() })
        };
        rows.map(row).collect()
    };
    assert_eq!(of_model("again"), of_model(NETWORK));
    let summary: Vec<Summary> = copy.rows();
    let of_model = |model: &str| -> Vec<Summary> {
        let rows = summary.iter().filter(|row| row.model_id == model && row.metric != "pixel_ece");
        let rows = rows.cloned();
        rows.map(|row| Summary { model_id: String::new(), doubts: of_mask(&row.doubts), ..row })
            .collect()
    };
    let metrics: BTreeSet<String> = of_model(NETWORK).into_iter().map(|row| row.metric).collect();
    assert!(
        ["dice", "slice_dice", "all_dice", "classifier_auc"].iter().all(|m| metrics.contains(*m)),
        "{metrics:?}"
    );
    assert_eq!(of_model("again"), of_model(NETWORK));
    let compared: Vec<Comparison> = copy.rows();
    let of_both = |row: &&Comparison| {
        BTreeSet::from([row.model_id.as_str(), &row.baseline_id])
            == BTreeSet::from(["again", NETWORK])
    };
    let compared: Vec<&Comparison> = compared.iter().filter(of_both).collect();
    assert!(
        !compared.is_empty() && compared.iter().all(|row| row.mean_difference == Some(0.0)),
        "{compared:?}"
    );

    // The masks are in the store, and the report and contact sheets have the models.
    let rows: Vec<OutsidePrediction> = copy.rows();
    assert_eq!(rows.len(), 2 * predicted.len());
    let model = format!("--predictions=again={}", again.display());
    let output = copy.run("run", &["--from", "evaluate", &model]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = fixture::current(&copy.store(), "report").join("report.html");
    assert!(fs_err::read_to_string(report).unwrap().contains(">again<"));
    let [store, out] = [copy.store(), copy.path("montage")].map(|p| p.to_str().unwrap().to_owned());
    let arguments = ["montage", "--store", &store, "--out", &out, "--cohort", "clinical", "--json"];
    let drawn = |model: &[&str]| -> Value {
        serde_json::from_str(&fixture::run_well(&[&arguments[..], model].concat())).unwrap()
    };
    assert_eq!(drawn(&["--model", "again"])["model"], "again");
    assert_eq!(drawn(&[])["model"], NETWORK);
}

#[test]
fn exported_masks_are_measured_on_their_own_grid_alone() {
    let copy = StoreCopy::new();
    let store = copy.store();
    let [nifti, nnunet] = ["nifti", "Dataset501_Nodules"].map(|name| copy.path(name));
    for (format, to) in [("nifti", &nifti), ("nnunet", &nnunet)] {
        let arguments =
            ["export", "rois", "--store", store.to_str().unwrap(), "--to", format, "--out"];
        fixture::run_well(&[&arguments[..], &[to.to_str().unwrap()]].concat());
    }
    // The reference as another program's: under the names of the export, and under those of nnU-Net's predictions.
    let labels = nnunet.join("labelsTs");
    let (run, status) = copy.evaluate(&[("export", &nifti), ("nnunet", &labels)], &[]);
    assert_eq!(status, Some(0), "{run}");
    let network = copy.metrics(NETWORK);
    for model in ["export", "nnunet"] {
        let found = copy.metrics(model);
        assert_eq!(found.keys().collect::<Vec<_>>(), network.keys().collect::<Vec<_>>());
        for (nodule_id, row) in &found {
            assert_eq!(
                (row.metrics.dice, row.metrics.hausdorff_mm),
                (Some(1.0), Some(0.0)),
                "{nodule_id}"
            );
        }
    }
    // The export has the nodules of other splits too.
    let n_all =
        copy.rows::<Roi>().into_iter().map(|roi| roi.nodule_id).collect::<BTreeSet<_>>().len();
    let told = format!("`export`: {} of its {n_all} nodules are left aside", n_all - network.len());
    let warnings = run["warnings"].to_string();
    assert!(
        warnings.contains(&told) && !warnings.contains("`nnunet`: it has no mask"),
        "{warnings}"
    );

    // One lies elsewhere, one is missing.
    let mut ids = network.keys();
    let (moved, missing) = (ids.next().unwrap(), ids.next().unwrap());
    let path = labels.join(format!("{moved}.nii.gz"));
    let found = nifti::read_labels(&path).unwrap();
    let grid = found.geometry();
    let [x, y, z] = grid.origin_mm();
    let moved_grid =
        Geometry::new(grid.size(), grid.spacing().ijk(), [x, y + 0.2, z], grid.direction())
            .unwrap();
    nifti::write_labels(&path, &Volume::new(moved_grid, found.voxels().clone()).unwrap()).unwrap();
    fs_err::remove_file(labels.join(format!("{missing}.nii.gz"))).unwrap();
    let (run, status) = copy.evaluate(&[("nnunet", &labels)], &[]);
    assert_eq!(status, Some(3), "{run}");
    assert_eq!(copy.metrics("nnunet").len(), network.len() - 2);
    assert_eq!(copy.metrics(NETWORK), network);
    let failures: Vec<Failure> = copy.rows();
    let [failure] = &failures[..] else { panic!("{failures:?}") };
    assert_eq!((failure.stage.as_str(), &failure.case_id), ("evaluate", moved));
    for part in [
        "the masks of `nnunet` cannot be measured: ",
        "does not lie on the voxels of its nodule's region",
        "; mask size [64, 64, ",
        "; image size [64, 64, ",
    ] {
        assert!(failure.cause.contains(part), "{part}: {}", failure.cause);
    }
    let told = format!("`nnunet`: it has no mask of 1 of the {} nodules", network.len());
    assert!(run["warnings"].to_string().contains(&told), "{run}");
}

#[test]
fn what_is_not_exactly_the_stores_is_refused() {
    let copy = StoreCopy::new();
    let rows = copy.reference();
    let path = copy.path("masks.parquet");
    let model = |name: &str| format!("--predictions={name}={}", path.display());
    let refused = |rows: &[Row], name: &str, expected: &[&str]| {
        write(&path, rows);
        let (error, status) = copy.error("evaluate", &[&model(name)]);
        assert_eq!(status, Some(1), "{error}");
        for part in expected {
            assert!(error.contains(part), "{part}: {error}");
        }
    };
    let (roi_id, bits, _) = rows[0].clone();
    let with = |row: Row| [&rows[..], &[row]].concat();
    refused(
        &with(("n-x".to_owned(), bits.clone(), None)),
        "m",
        &[
            "masks.parquet`: 1 of ",
            "slices are not in `rois`, the first is `n-x`: predict the regions",
        ],
    );
    refused(
        &with(rows[0].clone()),
        "m",
        &[&format!("has slice `{roi_id}` twice, expected one mask")],
    );
    let mut short = rows.clone();
    short[0].1.pop();
    refused(
        &short,
        "m",
        &[&format!("slice `{roi_id}` has 511 bytes, expected 512 for 64 × 64 pixels")],
    );
    refused(
        &rows,
        NETWORK,
        &["names a model `proposed`, and `predictions` has one of this name already"],
    );
    let train =
        copy.rows::<Roi>().into_iter().filter(|roi| !rows.iter().any(|row| row.0 == roi.roi_id));
    let train: Vec<Row> = train.map(|roi| (roi.roi_id, roi.mask_bits, None)).collect();
    refused(&train, "m", &["none of its ", "nodules is one of those that `predictions` has"]);
    for (name, expected) in [
        ("reader", "which stands for the readers"),
        ("region_growing", "which is the id of the baseline"),
    ] {
        let (error, status) = copy.error("evaluate", &[&model(name)]);
        assert_eq!(status, Some(2), "{error}");
        assert!(error.contains("`--predictions`") && error.contains(expected), "{error}");
    }
    fs_err::remove_file(&path).unwrap();
    for command in [&["evaluate"][..], &["run", "--dry-run"]] {
        let (error, status) = copy.error(command[0], &[&command[1..], &[&model("m")]].concat());
        assert_eq!(status, Some(1), "{error}");
        assert!(
            error.contains("there is nothing at ") && error.contains("masks.parquet`"),
            "{error}"
        );
    }
    for (command, option, expected) in [
        (
            "evaluate",
            "--predictions=m",
            "expected a model and the path of its masks, as in `nnunet=",
        ),
        ("infer", "--predictions=m=a", "`--predictions`: this run leaves evaluate out"),
    ] {
        let (error, status) = copy.error(command, &[option]);
        assert_eq!(status, Some(2), "{error}");
        assert!(error.contains(expected), "{error}");
    }

    // A nodule of which a slice is missing is not measured; the others are.
    write(&path, &rows[1..]);
    let (run, status) = copy.evaluate(&[("m", &path)], &[]);
    assert_eq!(status, Some(3), "{run}");
    assert_eq!(copy.metrics("m").len(), copy.metrics(NETWORK).len() - 1);
    let failures: Vec<Failure> = copy.rows();
    assert_eq!(failures.len(), 1);
    let cause = &failures[0].cause;
    assert!(
        cause.starts_with("the masks of `m` cannot be measured: ")
            && cause.ends_with(" slices are predicted"),
        "{cause}"
    );
}

#[test]
fn a_shard_depends_on_its_own_masks_and_the_file_is_an_input() {
    let copy = StoreCopy::new();
    let path = copy.path("masks.parquet");
    let mut rows = copy.reference();
    write(&path, &rows);
    let n_made = |run: &Value| by_stage(run, "n_made")[0].1.as_u64().unwrap();
    let (run, _) = copy.evaluate(&[("m", &path)], &[]);
    let n_shards = by_stage(&run, "n_shards")[0].1.as_u64().unwrap();
    assert!(n_shards > 3, "{run}");
    // Shards without a nodule that the network predicts stay as they were.
    assert!((2..n_shards).contains(&n_made(&run)), "{run}");
    // The pipeline file names them as the option does, in another order of rows and under another name of the file.
    rows.reverse();
    let renamed = copy.path("renamed.parquet");
    write(&renamed, &rows);
    let text = fs_err::read_to_string(&copy.pipeline).unwrap();
    let section =
        "[[evaluate.predictions]]\nmodel = \"m\"\npath = \"{store}/../renamed.parquet\"\n";
    fs_err::write(&copy.pipeline, format!("{text}\n{section}")).unwrap();
    let (run, _) = copy.evaluate(&[], &[]);
    assert_eq!(n_made(&run), 0, "{run}");
    // Another mask of one slice makes one shard anew, and what sums up.
    rows[0].1[300] ^= 0xFF;
    write(&renamed, &rows);
    let output = copy.run("evaluate", &["--dry-run", "--json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["stages"][0]["reasons"][0], "predictions of m changed", "{told}");
    assert_eq!(told["stages"][0]["shards"]["n_to_make"], 2, "{told}");
    let (run, _) = copy.evaluate(&[], &[]);
    assert_eq!(n_made(&run), 2, "{run}");
    let arguments = ["lineage", "nodule_metrics", "--store"];
    let store = copy.store();
    let text = fixture::run_well(&[&arguments[..], &[store.to_str().unwrap()]].concat());
    assert!(
        text.contains("predictions of m ")
            && text.contains("renamed.parquet`, masks of another program"),
        "{text}"
    );
    let manifest = fixture::manifest(&store, "nodule_metrics");
    let input =
        manifest["inputs"].as_array().unwrap().iter().find(|i| i["name"] == "predictions of m");
    let sha256 = nodulus_store::hash::sha256_file(&renamed).unwrap();
    assert_eq!(input.unwrap()["content_sha256"], sha256, "{manifest}");
    // Without the model, the earlier versions are current again.
    fs_err::write(
        &copy.pipeline,
        fs_err::read_to_string(&copy.pipeline).unwrap().replace(section, ""),
    )
    .unwrap();
    let (run, _) = copy.evaluate(&[], &[]);
    assert_eq!(n_made(&run), 0, "{run}");
    assert!(copy.metrics("m").is_empty() && copy.rows::<OutsidePrediction>().is_empty());
}
