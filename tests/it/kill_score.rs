//! Nights that are killed at any moment end, with the next ones, in what a night that is never killed delivers.

use crate::fixture;
use crate::kill::{ends_within, n_kills, was_killed};
use crate::nightly_job::{Job, files, unfinished};
use nodulus_formats::dicom::{AnnotationObject, read_annotation_object};
use nodulus_store::hash;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// What a night delivers, without the time of the night and what is made from it.
#[derive(Debug, PartialEq)]
struct Delivered {
    rows: Vec<Value>,
    documents: BTreeMap<PathBuf, Value>,
    segmentations: BTreeMap<PathBuf, AnnotationObject>,
    unfinished: Vec<PathBuf>,
}

fn night(job: &Job, store: &Path) -> Command {
    let outputs = ["--set", "score.outputs=[\"seg\", \"json\"]"];
    job.command(&[&outputs[..], &["--store", store.to_str().unwrap()]].concat())
}

/// What a store delivered. Files of a study without a result (`superseded`) would be among it.
fn delivered(store: &Path) -> Delivered {
    let path = store.to_str().unwrap();
    let text = fixture::run_well(&["show", "scores", "--store", path, "--json", "--rows", "1000"]);
    let rows = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let all = files(store);
    let (mut documents, mut segmentations) = (BTreeMap::new(), BTreeMap::new());
    for (file, bytes) in &all {
        let name = file.strip_prefix(store).unwrap().to_owned();
        if file.to_string_lossy().ends_with("_nodules.json") {
            let mut document: Value = serde_json::from_slice(bytes).unwrap();
            assert!(document["scored_at"].take().is_string());
            check_hashes(file, &mut document);
            documents.insert(name, document);
        } else if file.extension().is_some_and(|end| end == "dcm") {
            segmentations.insert(name, read_annotation_object(file, 0.5).unwrap());
        }
    }
    Delivered { rows, documents, segmentations, unfinished: unfinished(&all) }
}

/// Every hash of a file that a document names is that of the file; it is taken out, as it depends on the time.
fn check_hashes(document_file: &Path, document: &mut Value) {
    let mut n_hashes = 0;
    for file in document["files"].as_array_mut().unwrap() {
        let path = document_file.parent().unwrap().join(file["name"].as_str().unwrap());
        assert_eq!(file["sha256"].take(), hash::sha256_file(&path).unwrap());
        n_hashes += 1;
    }
    assert!(n_hashes > 0);
}

#[test]
fn nights_that_are_killed_at_any_moment_deliver_what_one_night_does() {
    let job = Job::new();
    let peace = job.folder.path().join("peace");
    let begun = Instant::now();
    assert!(night(&job, &peace).output().unwrap().status.success());
    let took = begun.elapsed();
    let expected = delivered(&peace);
    assert!(!expected.rows.is_empty() && expected.documents.len() == 3);
    assert!(!expected.segmentations.is_empty());
    let mut random = ChaCha8Rng::seed_from_u64(13);
    let kills = n_kills(8);
    let (mut killed, mut n_stores) = (0, 0);
    while killed < kills {
        let store = job.folder.path().join(format!("killed-{n_stores}"));
        n_stores += 1;
        let mut is_done = false;
        while killed < kills && !is_done {
            let mut command = night(&job, &store);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            ends_within(&mut child, took.mul_f64(random.random_range(0.02..0.7)));
            is_done = !was_killed(child);
            killed += u32::from(!is_done);
        }
        let output = night(&job, &store).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "after {killed} kills: {error}");
        assert_eq!(delivered(&store), expected, "after {killed} kills");
        fs_err::remove_dir_all(&store).unwrap();
    }
}
