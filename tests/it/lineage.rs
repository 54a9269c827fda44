//! Lineage through weights that another store has trained.

use crate::fixture;
use nodulus::tables::Scan;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Runs the stages of the small pipeline up to `last`, in `folder/store`.
fn made(folder: &Path, last: &str, sets: &[&str]) -> PathBuf {
    fs_err::create_dir_all(folder).unwrap();
    let pipeline = fixture::pipeline(folder);
    let epochs = ["train.phases.0.schedule.epochs=1", "train.phases.1.schedule.epochs=1"];
    for stage in ["ingest", "merge", "crop", "balance", "train", "infer"] {
        let mut arguments = vec![stage, pipeline.to_str().unwrap(), "--progress", "none"];
        arguments.extend(epochs.iter().chain(sets).flat_map(|set| ["--set", set]));
        fixture::run_well(&arguments);
        if stage == last {
            break;
        }
    }
    folder.join("store")
}

fn lineage(table: &str, store: &Path, others: &[&Path]) -> (Value, String) {
    let mut arguments = vec!["lineage", table, "--store", store.to_str().unwrap()];
    arguments.extend(others.iter().flat_map(|other| ["--also", other.to_str().unwrap()]));
    let text = fixture::run_well(&arguments);
    arguments.push("--json");
    (serde_json::from_str(&fixture::run_well(&arguments)).unwrap(), text)
}

/// The input with a name.
fn input<'a>(node: &'a Value, name: &str) -> &'a Value {
    let inputs = node["inputs"].as_array().unwrap();
    inputs.iter().find(|input| input["name"] == name).expect(name)
}

/// The patients of the sources that `scans` were read from.
fn patients(scans: &Value) -> BTreeSet<String> {
    let cases = input(scans, "sources")["cases"].as_array().unwrap();
    cases.iter().map(|case| case["patient_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn lineage_goes_on_through_weights_from_another_store() {
    let folder = tempfile::tempdir().unwrap();
    let first = made(&folder.path().join("first"), "train", &[]);
    let initial = format!("train.initial.checkpoint={}", first.display());
    let second = made(&folder.path().join("second"), "train", &["phantom.seed=5", &initial]);
    let scans: Vec<Scan> = fixture::rows(&first);
    let expected: BTreeSet<String> = scans.iter().map(|scan| scan.patient_id.clone()).collect();
    let (found, text) = lineage("checkpoint", &second, &[]);
    let weights = input(&found, "initial weights");
    assert_eq!(weights["outside"]["end"], Value::Null, "{weights}");
    let learnt = &weights["outside"]["origin"]["n_cases"]["train"];
    assert_eq!((&learnt["luna16"], &learnt["clinical"]), (&2.into(), &2.into()), "{learnt}");
    let checkpoint = input(weights, "checkpoint");
    assert_eq!(checkpoint["store"], first.to_str().unwrap());
    assert_eq!(patients(input(checkpoint, "scans")), expected);
    assert_ne!(patients(input(&found, "scans")), expected);
    assert!(text.contains(&format!("in store `{}`:", first.display())), "{text}");
    for patient in &expected {
        assert!(text.contains(patient), "{patient}: {text}");
    }

    // The first store moves away: what the weights tell stays, and their store may be named.
    let moved = folder.path().join("moved");
    fs_err::rename(&first, &moved).unwrap();
    let (found, text) = lineage("checkpoint", &second, &[]);
    let weights = input(&found, "initial weights");
    let end = weights["outside"]["end"].as_str().unwrap();
    assert!(end.ends_with("model.safetensors` is no longer there"), "{end}");
    assert!(text.contains("4 cases of train (clinical 2, luna16 2)"), "{text}");
    assert!(text.contains("the lineage ends here: `") && text.contains("--also DIR"), "{text}");
    // The weights tell exactly what they were made from, as the record of their shard does.
    let shard = fixture::manifest(&moved, "checkpoint")["shards"][0]["key"].clone();
    let record = format!("checkpoint/shards/{}/record.json", shard.as_str().unwrap());
    let record: Value = serde_json::from_slice(&fs_err::read(moved.join(record)).unwrap()).unwrap();
    let rows = &record["inputs"].as_array().unwrap()[0];
    assert_eq!(rows["name"], "training rows");
    assert_eq!(input(weights, "training rows")["content_sha256"], rows["content_sha256"]);
    let (found, _) = lineage("checkpoint", &second, &[&second, &moved]);
    let checkpoint = input(input(&found, "initial weights"), "checkpoint");
    assert_eq!(checkpoint["store"], moved.to_str().unwrap());
    assert_eq!(patients(input(checkpoint, "scans")), expected);

    // A copy of the second checkpoint, in no store: it tells of both trainings, and of no patient and no folder.
    let copy = folder.path().join("copy");
    fs_err::create_dir_all(&copy).unwrap();
    for name in ["model.safetensors", "model.json", "model.trained-on"] {
        fs_err::copy(second.join("checkpoint/current").join(name), copy.join(name)).unwrap();
    }
    let list = fs_err::read(copy.join("model.trained-on")).unwrap();
    let described =
        fs_err::read_to_string(copy.join("model.json")).unwrap() + &String::from_utf8_lossy(&list);
    assert!(!described.contains(folder.path().to_str().unwrap()), "{described}");
    let own: Vec<Scan> = fixture::rows(&second);
    for scan in scans.iter().chain(&own) {
        for secret in [&scan.patient_id, &scan.series_instance_uid, scan.path.as_ref().unwrap()] {
            assert!(!described.contains(secret.as_str()), "{secret}");
        }
    }
    let used = format!("infer.checkpoint={}", copy.display());
    // Phantoms of all seeds name their clinical patients alike.
    let sets = ["phantom.seed=6", &used, "infer.allow_training_patients=true"];
    let third = made(&folder.path().join("third"), "infer", &sets);
    let (found, text) = lineage("predictions", &third, &[]);
    let weights = input(&found, "checkpoint");
    let end = weights["outside"]["end"].as_str().unwrap();
    assert!(end.ends_with("model.safetensors` is in no store"), "{end}");
    let before = &input(weights, "initial weights")["outside"];
    assert_eq!(before["origin"]["n_cases"]["train"]["luna16"], 2, "{before}");
    assert_eq!(text.matches("cases of train").count(), 2, "{text}");
    let (found, _) = lineage("predictions", &third, &[&second, &moved]);
    let second_training = input(input(&found, "checkpoint"), "checkpoint");
    let first_training = input(input(second_training, "initial weights"), "checkpoint");
    assert_eq!(patients(input(first_training, "scans")), expected);
}

/// Writes a version of an output that was made from one input, as a program without checksums would have.
fn write_version(store: &Path, version: &Value, key: &str, input: &Value) {
    let mut version = version.clone();
    version["key"] = key.into();
    version["inputs"] = json!([{
        "name": input["output"],
        "key": input["key"],
        "content_sha256": input["content_sha256"],
    }]);
    version.as_object_mut().unwrap().remove("record_sha256").unwrap();
    let path = format!("{}/versions/{key}.json", version["output"].as_str().unwrap());
    fs_err::write(store.join(path), version.to_string()).unwrap();
}

#[test]
fn versions_that_were_made_from_one_another_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = made(folder.path(), "merge", &[]);
    let [scans, nodules] = ["scans", "nodules"].map(|table| fixture::manifest(&store, table));
    let key = scans["key"].as_str().unwrap();
    // A cycle: scans of nodules of scans.
    write_version(&store, &scans, key, &nodules);
    let (found, text) = lineage("nodules", &store, &[]);
    let again = input(input(&found, "scans"), "nodules");
    assert_eq!((&again["repeated"], &again["inputs"]), (&true.into(), &json!([])), "{found}");
    assert!(text.contains("(see above)"), "{text}");

    // A chain without an end in sight.
    let key_of = |n: usize| if n == 0 { key.to_owned() } else { format!("{n:016x}") };
    for n in 0..20_000 {
        let mut next = scans.clone();
        next["key"] = key_of(n + 1).into();
        write_version(&store, &scans, &key_of(n), &next);
    }
    let (error, status) =
        fixture::run_badly(&["lineage", "nodules", "--store", store.to_str().unwrap()]);
    assert_eq!(status, Some(1), "{error}");
    assert!(error.contains("of which hundreds were made one from the other"), "{error}");
}
