//! Time and peak memory of `evaluate` on 100,000 slices (5,000 nodules of 1,000 patients) by one model.
//!
//! Synthetic tables are written first. A separate process then evaluates them, and prints its peak resident memory (Linux).

use nodulus::pipeline::Config;
use nodulus::stages::ingest::Sources;
use nodulus::stages::{Places, Stage, StageError, Task, evaluate};
use nodulus::tables::{
    Mark, Nodule, Output, Prediction, ReaderAgreement, Roi, Sample, Scan, Table,
};
use nodulus_formats::dicom::Tolerances;
use nodulus_formats::volume::Mask;
use nodulus_nets::Device;
use nodulus_store::{
    InputRef, Job, JobSpec, OutputSpec, Row, ShardInput, ShardSpec, Store, Version,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

const SHARDS: usize = 100;
const NODULES: usize = 50;
const SLICES: usize = 20;
const SIZE: usize = 128;

/// The variable that names the store for the process that evaluates.
const STORE: &str = "NODULUS_BENCH_STORE";

fn main() {
    if let Some(store) = std::env::var_os(STORE) {
        evaluate_all(Path::new(&store));
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path());
    let program = std::env::current_exe().expect("a program");
    let status = Command::new(program).env(STORE, folder.path()).status().expect("a process");
    assert!(status.success());
}

/// A row with these values, and defaults in all other columns.
fn row<R: Row>(values: &Value) -> R {
    let mut row = Map::new();
    for field in (R::TABLE.schema)().fields() {
        use arrow::datatypes::DataType::{Boolean, FixedSizeList, Float64, Int64, Utf8};
        let value = match field.data_type() {
            _ if field.is_nullable() => Value::Null,
            Utf8 => json!("x"),
            Int64 => json!(1),
            Float64 => json!(1.0),
            Boolean => json!(false),
            FixedSizeList(_, n) => json!(vec![1.0; *n as usize]),
            _ => json!([]),
        };
        row.insert(field.name().clone(), value);
    }
    row.extend(values.as_object().cloned().unwrap_or_default());
    serde_json::from_value(Value::Object(row)).expect("a whole row")
}

/// A job of shards that differ by their number.
fn spec(
    stage: Stage,
    outputs: impl IntoIterator<Item = impl Into<OutputSpec>>,
    inputs: Vec<InputRef>,
    n_shards: usize,
) -> JobSpec {
    let config = Value::Null;
    let outputs = outputs.into_iter().map(Into::into).collect();
    let (stage, stage_version) = (stage.name(), stage.spec().version);
    let shard = |n| ShardSpec {
        config: Arc::new(Value::Null),
        decisions: json!(n),
        inputs: inputs.iter().map(ShardInput::from).collect(),
        cases: Vec::new(),
    };
    let shards = (0..n_shards).map(shard).collect();
    JobSpec { stage, stage_version, outputs, config, inputs, shards }
}

/// Writes a table, one shard at a time.
fn table<R: Row>(store: &Store, rows: impl Fn(usize) -> Vec<R>) {
    let job = store.job(spec(Stage::Ingest, [R::TABLE], Vec::new(), SHARDS));
    for writer in job.work().expect("a store") {
        let writer = writer.expect("a store");
        let mut part = writer.part::<R>().expect("a store");
        part.write(rows(writer.number())).expect("valid rows");
        let part = part.finish().expect("a store");
        writer.commit(vec![part], Vec::new()).expect("a store");
    }
    job.finish().expect("a store");
}

fn nodule_id(shard: usize, n: usize) -> String {
    format!("nodule-{shard:04}-{n:04}-0123456789abcdef")
}

fn write(root: &Path) {
    let store = Store::create(root).expect("an empty folder");
    let ball = |k: usize, shift: f64| {
        Mask::from_fn([SIZE, SIZE, 1], |i, j, _| {
            let [i, j, k] = [i as f64 - 64.0 - shift, j as f64 - 64.0, 2.0 * (k as f64 - 10.0)];
            i * i + j * j + k * k < 15.0 * 15.0
        })
        .into_bits()
    };
    let masks: Vec<[Vec<u8>; 2]> = (0..SLICES).map(|k| [ball(k, 0.0), ball(k, 2.0)]).collect();
    let slices = || (0..NODULES).flat_map(|n| (0..SLICES).map(move |k| (n, k)));
    let patient = |shard: usize, n: usize| format!("patient-{shard:04}-{}", n / 5);
    let a_roi: Roi = row(&json!({ "height": SIZE, "width": SIZE }));
    table(&store, |shard| {
        let of_slice = |(n, k): (usize, usize)| Roi {
            roi_id: format!("{}-{k:04}", nodule_id(shard, n)),
            nodule_id: nodule_id(shard, n),
            patient_id: patient(shard, n),
            slice_index: k as i64,
            mask_bits: masks[k][0].clone(),
            other_mask_bits: vec![0; SIZE * SIZE / 8],
            ..a_roi.clone()
        };
        slices().map(of_slice).collect()
    });
    let a_prediction: Prediction = row(&json!({}));
    table(&store, |shard| {
        let of_slice = |(n, k): (usize, usize)| Prediction {
            roi_id: format!("{}-{k:04}", nodule_id(shard, n)),
            nodule_id: nodule_id(shard, n),
            model_id: "model".to_owned(),
            nodule_probability: Some((k as f64 * 0.37 + n as f64 * 0.11) % 1.0),
            component: "centre".to_owned(),
            mask_bits: masks[k][1].clone(),
            other_rule_mask_bits: masks[k][1].clone(),
            ..a_prediction.clone()
        };
        slices().map(of_slice).collect()
    });
    let a_nodule: Nodule = row(&json!({ "cohort": "c", "n_readers": 1, "diameter_mm": 7.0 }));
    table(&store, |shard| {
        let of_nodule = |n| Nodule { nodule_id: nodule_id(shard, n), ..a_nodule.clone() };
        (0..NODULES).map(of_nodule).collect()
    });
    table(&store, |_| Vec::<Scan>::new());
    table(&store, |_| Vec::<Mark>::new());
    table(&store, |_| Vec::<ReaderAgreement>::new());
    table(&store, |_| Vec::<Sample>::new());
}

fn evaluate_all(root: &Path) {
    let store = Store::open(root).expect("a store");
    let config = json!({ "store": root, "ingest": { "cohorts": [] } });
    let config: Config = serde_json::from_value(config).expect("a pipeline");
    let begun = Instant::now();
    let stage = evaluate::SPEC;
    step(&store, &config, stage.reads, stage.writes, SHARDS, stage.run);
    let reduction = stage.reduction.expect("a reduction");
    step(&store, &config, reduction.reads, reduction.writes, 1, reduction.run);
    let seconds = begun.elapsed().as_secs_f64();
    let rows = store.require(Output::Table(Table::SliceMetrics)).expect("scores").manifest.rows;
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: unknown");
    let mut out = std::io::stdout().lock();
    writeln!(out, "{rows} slices in {seconds:.1} s, {peak}").expect("a terminal");
}

/// Makes the shards of one step of the stage.
fn step(
    store: &Store,
    config: &Config,
    reads: &[Output],
    writes: &[Output],
    n_shards: usize,
    run: fn(&Config, &Task<'_>, &Job) -> Result<(), StageError>,
) {
    let inputs: Vec<Version> =
        reads.iter().map(|output| store.require(*output).expect("a table")).collect();
    let refs = inputs.iter().map(|version| version.manifest.as_input()).collect();
    let job = store.job(spec(Stage::Evaluate, writes.iter().copied(), refs, n_shards));
    let task = Task {
        store,
        inputs: &inputs,
        sources: &Sources::default(),
        places: &|| Ok(Places::default()),
        roots: &BTreeMap::new(),
        tolerances: Tolerances::default(),
        weights: None,
        device: &Device::Cpu,
        max_memory: 1 << 30,
        plans_only: false,
        is_incomplete: false,
        is_growth: false,
        progress: &|_| {},
    };
    run(config, &task, &job).expect("scores");
    job.finish().expect("a store");
}
