//! Regions under every setting, and samples that leak between splits.

use crate::fixture;
use nodulus::tables::{NoduleMetrics, Output, Roi, Sample, Scan, Table};
use nodulus_store::{PartWriter, Provenance, Store, record};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn samples_that_leak_stop_training_inference_and_report() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = fixture::pipeline(folder.path());
    let pipeline = pipeline.to_str().unwrap();
    fixture::run_well(&["run", pipeline, "--progress", "none"]);
    // One slice of a training patient is moved to the test split, in the file itself.
    let store = Store::open(&folder.path().join("store")).unwrap();
    let samples = store.require(Output::Table(Table::Samples)).unwrap();
    let of_shard = |shard| -> Vec<Sample> {
        samples.shard_rows::<Sample>(shard).flat_map(Result::unwrap).collect()
    };
    let is_train = |sample: &Sample| sample.split == "train";
    let shards = 0..samples.manifest.n_shards();
    let shard = shards.into_iter().find(|shard| of_shard(*shard).iter().any(is_train)).unwrap();
    let file = samples.shard_files(shard).remove(0);
    let mut rows = of_shard(shard);
    let last = rows.iter_mut().rfind(|sample| is_train(sample)).unwrap();
    let patient = last.patient_id.clone();
    (last.split, last.fold) = ("test".to_owned(), None);
    let mut writer = PartWriter::create(&file, &Provenance::new()).unwrap();
    writer.write(rows).unwrap();
    writer.finish().unwrap();
    record_anew(&folder.path().join("store/samples"), &file);
    for stage in ["report", "infer", "train"] {
        let arguments = ["run", pipeline, "--progress", "none", "--force", stage];
        let (error, status) = fixture::run_badly(&arguments);
        assert_eq!(status, Some(1), "{stage}: {error}");
        assert!(error.contains(&format!("{stage} stopped")), "{error}");
        assert!(error.contains(&format!("patient `{patient}` is in train (fold ")), "{error}");
        assert!(error.contains("and in test"), "{error}");
    }
}

/// Gives a part its size and hash of now in the records of its output, so that its rows count as written by a run.
fn record_anew(output: &Path, part: &Path) {
    let name = part.file_name().unwrap().to_str().unwrap();
    let bytes = fs_err::metadata(part).unwrap().len();
    let sha256 = nodulus_store::hash::sha256_file(part).unwrap();
    let mut n = 0;
    for file in nodulus_formats::cohort::files_below(output).unwrap() {
        if file.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let mut record: Value = record::read(&file).unwrap().unwrap();
        let mut left = vec![&mut record];
        while let Some(value) = left.pop() {
            if value["file"] == name {
                (value["bytes"], value["file_sha256"]) = (json!(bytes), json!(sha256));
                n += 1;
            }
            match value {
                Value::Object(fields) => left.extend(fields.values_mut()),
                Value::Array(values) => left.extend(values),
                _ => {}
            }
        }
        record::write(&file, &record).unwrap();
    }
    assert_eq!(n, 2, "{name} in the record of its shard and in that of the version");
}

#[test]
fn luna16s_subsets_are_the_folds() {
    let store = fixture::finished().join("store");
    let scans: Vec<Scan> = fixture::rows(&store);
    let subsets: BTreeMap<String, i64> = scans
        .iter()
        .filter(|scan| scan.cohort == "luna16")
        .map(|scan| {
            let path = scan.path.as_deref().unwrap();
            let number = path.strip_prefix("subset").unwrap().split('/').next().unwrap();
            (scan.series_instance_uid.clone(), number.parse().unwrap())
        })
        .collect();
    let samples: Vec<Sample> = fixture::rows(&store);
    let mut n = 0;
    for sample in samples.iter().filter(|s| s.cohort == "luna16" && s.split != "test") {
        assert_eq!(sample.fold, Some(subsets[&sample.series_instance_uid]));
        n += 1;
    }
    assert!(n > 0 && subsets.len() > 1);
    assert!(samples.iter().all(|sample| (sample.fold.is_none()) == (sample.split == "test")));
}

#[test]
fn resampled_regions_and_ignored_neighbours_pass_every_stage() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = fixture::pipeline(folder.path());
    let settings = [
        "crop.spacing_mm=0.4",
        "crop.oversize=resample",
        "crop.neighbours=ignore",
        "crop.size=32",
        "train.model.image_size=32",
        "balance.split_by=lesion",
        // A patient's lesions are learnt and predicted then.
        "infer.allow_training_patients=true",
        "balance.splits.clinical={test_lesions=2}",
    ];
    let mut arguments = vec!["run", pipeline.to_str().unwrap(), "--progress", "none"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    fixture::run_well(&arguments);
    let store = folder.path().join("store");
    let rois: Vec<Roi> = fixture::rows(&store);
    let mut resampled = 0;
    for roi in &rois {
        assert_eq!((roi.neighbours.as_str(), roi.n_cut_pixels), ("ignore", 0));
        let isotropic = (roi.spacing_i_mm - roi.spacing_j_mm).abs() < 1e-9;
        match roi.oversize.as_deref() {
            None => assert!((roi.spacing_i_mm - 0.4).abs() < 1e-9 && isotropic),
            Some(found) => {
                assert_eq!(found, "resampled");
                assert!(roi.spacing_i_mm > 0.4 && isotropic);
                resampled += 1;
            }
        }
    }
    assert!(resampled > 0 && resampled < rois.len(), "{resampled} of {}", rois.len());
    let scored: Vec<NoduleMetrics> = fixture::rows(&store);
    let mut clinical: Vec<&str> = scored
        .iter()
        .map(|row| row.nodule_id.as_str())
        .filter(|id| is_clinical(&rois, id))
        .collect();
    clinical.sort_unstable();
    clinical.dedup();
    assert_eq!(clinical.len(), 2);
    for row in scored.iter().filter(|row| row.oversize.is_some()) {
        assert_eq!((row.oversize.as_deref(), row.cut_volume_mm3), (Some("resampled"), 0.0));
    }
}

fn is_clinical(rois: &[Roi], nodule_id: &str) -> bool {
    rois.iter().any(|roi| roi.nodule_id == nodule_id && roi.cohort == "clinical")
}
