//! Weights in another store: regions as the weights were trained on them, and patients that they saw.

use crate::fixture;
use crate::nightly_job::{Job, candidates, copy, series_of};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use nodulus::tables::{NoduleMetrics, Prediction, Roi, Sample, Scan, SliceMetrics, Summary};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(crate) const ALLOWED: &str = "--allow-training-patients";

/// A pipeline in `folder` that predicts every patient below `root` with the weights of the small pipeline, or others.
pub(crate) fn pipeline(folder: &Path, root: &Path, weights: &Path) -> PathBuf {
    let path = folder.join("other.toml");
    let text = format!(
        "store = \"{}\"\n[[ingest.cohorts]]\nname = \"clinical\"\nsource = \"volumes\"\nroot = \"{}\"\n\
         [crop]\nmargin_slices = 1\n[balance]\nsplit = {{ validation = 0.0, test = 1.0 }}\n\
         [infer]\nmodel_id = \"m\"\nregion_growing = false\ncheckpoint = \"{}\"\n",
        folder.join("store").display(),
        root.display(),
        weights.display()
    );
    fs_err::write(&path, text).unwrap();
    path
}

pub(crate) fn trained() -> PathBuf {
    fixture::finished().join("store")
}

pub(crate) fn arguments<'a>(pipeline: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let all = ["run", pipeline.to_str().unwrap(), "--progress", "log"];
    all.into_iter().chain(more.iter().copied()).collect()
}

/// What a run that must be refused says.
fn refused(pipeline: &Path, more: &[&str]) -> String {
    let (error, status) = fixture::run_badly(&arguments(pipeline, more));
    assert_eq!(status, Some(1), "{error}");
    error
}

/// The clinical patients that the small pipeline trained on, and the others.
fn clinical() -> [BTreeSet<String>; 2] {
    let samples: Vec<Sample> = fixture::rows(&trained());
    let of = |is_test: bool| {
        let samples = samples.iter().filter(|sample| sample.cohort == "clinical");
        let of = samples.filter(|sample| (sample.split == "test") == is_test);
        of.map(|sample| sample.patient_id.clone()).collect()
    };
    [of(false), of(true)]
}

#[test]
fn regions_are_made_as_the_weights_were_trained_and_contradictions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = trained().join("phantom/clinical");
    let path = pipeline(folder.path(), &root, &trained());
    fixture::run_well(&arguments(&path, &[ALLOWED]));
    let store = folder.path().join("store");
    let rois: Vec<Roi> = fixture::rows(&store);
    for roi in &rois {
        assert_eq!([roi.height, roi.width], [64; 2]);
        assert_eq!((roi.norm_low_hu, roi.norm_high_hu), (0.0, 1000.0));
    }
    // The same patients have the same predictions as where the weights were trained.
    let own: Vec<Prediction> = fixture::rows(&trained());
    let found: Vec<Prediction> = fixture::rows(&store);
    let [_, test] = clinical();
    let of_test: BTreeSet<&str> = rois
        .iter()
        .filter(|roi| test.contains(&roi.patient_id))
        .map(|roi| roi.roi_id.as_str())
        .collect();
    assert!(!of_test.is_empty());
    for row in found.iter().filter(|row| of_test.contains(row.roi_id.as_str())) {
        let same = own.iter().find(|own| own.roi_id == row.roi_id && own.probability.is_some());
        assert_eq!(same.unwrap().mask_bits, row.mask_bits, "{}", row.roi_id);
    }

    let lung = "crop.window={low_hu=-1000.0,high_hu=400.0}";
    for (set, expected) in [
        (
            lung,
            "-1000 to 400 HU is the window of the regions of cohort `clinical`, but the weights were trained with 0 to 1000 HU \
             (clinical), -1000 to 400 HU (luna16, an earlier phase): set `crop.windows.clinical`",
        ),
        ("crop.padding_hu=0", "0 HU is the padding of the regions of cohort `clinical`, but"),
        ("crop.size=128", "trained with 64 × 64: set `crop.size` to 64"),
        ("crop.spacing_mm=0.7", "have pixels 0.7 mm apart, but the weights were trained with each"),
    ] {
        for more in [&["--set", set, ALLOWED][..], &["--dry-run", "--set", set]] {
            let error = refused(&path, more);
            assert!(error.contains(expected), "{set}: {error}");
        }
    }
    // Weights that are not there are named before their window is asked for.
    let error = refused(&path, &["--set", "infer.checkpoint=nowhere"]);
    assert!(error.contains("cannot read the weights that `infer.checkpoint` names"), "{error}");
    // A cohort of another name could have either window.
    let error = refused(&path, &["--set", "ingest.cohorts.0.name=clinic", ALLOWED]);
    let asked = "were trained with several windows: 0 to 1000 HU (clinical), -1000 to 400 HU (luna16, an earlier phase); say \
                 which one the scans of cohort `clinic` need";
    assert!(error.contains(asked), "{error}");
    let other = ["--set", lung, "--set", "infer.allow_other_preprocessing=true", ALLOWED];
    let text = fixture::run_well(&arguments(&path, &other));
    let doubt =
        "nodules have another window, padding or pixel spacing than the weights were trained with";
    assert!(text.contains("warning: `m`: ") && text.contains(doubt), "{text}");
    let metrics: Vec<NoduleMetrics> = fixture::rows(&store);
    assert!(metrics.iter().all(|row| row.doubts.iter().any(|d| d == "other_preprocessing")));
    let report = fs_err::read_to_string(fixture::current(&store, "report").join("report.html"));
    assert!(report.unwrap().contains(doubt));
}

#[test]
fn weights_without_a_contract_need_a_stated_window_and_weights_of_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("weights");
    copy(&fixture::current(&trained(), "checkpoint"), &weights);
    let json = weights.join("model.json");
    let described: Value = serde_json::from_slice(&fs_err::read(&json).unwrap()).unwrap();
    let root = trained().join("phantom/clinical");
    let path = pipeline(folder.path(), &root, &weights);
    let write = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut changed = described.clone();
        change(changed.as_object_mut().unwrap());
        fs_err::write(&json, changed.to_string()).unwrap();
    };
    // A description of other weights.
    write(&|all| all["weights_sha256"] = "00".repeat(32).into());
    let error = refused(&path, &[ALLOWED]);
    assert!(error.contains("model.json` describes weights with 0000"), "{error}");
    // A list of other patients, and none.
    write(&|_| {});
    let list = weights.join("model.trained-on");
    let bytes = fs_err::read(&list).unwrap();
    fs_err::write(&list, [&bytes[..], &[0]].concat()).unwrap();
    let error = refused(&path, &[ALLOWED]);
    assert!(error.contains("model.trained-on: its SHA-256 is "), "{error}");
    fs_err::remove_file(&list).unwrap();
    let error = refused(&path, &[ALLOWED]);
    assert!(error.contains("model.trained-on: is missing; it lists whom"), "{error}");
    // As an earlier version wrote it.
    write(&|all| {
        all.remove("contract");
        all.remove("weights_sha256");
    });
    let error = refused(&path, &["--set", "crop.size=64"]);
    let unknown = "the weights do not say with which window they were trained, and the settings state none for cohort `clinical`";
    assert!(error.contains(unknown), "{error}");
    let stated = ["--set", "crop.size=64", "--set", "crop.window={low_hu=0.0,high_hu=1000.0}"];
    let text = fixture::run_well(&arguments(&path, &stated));
    assert!(text.contains("that nobody checked: the weights do not say"), "{text}");
    let rows: Vec<Prediction> = fixture::rows(&folder.path().join("store"));
    let both = ["unlisted_patients", "unchecked_preprocessing"];
    assert!(rows.iter().all(|row| both.iter().all(|d| row.doubts.iter().any(|of| of == d))));
    // The key covers the description: with a contract, the predictions are made anew and differ.
    fs_err::write(&list, bytes).unwrap();
    write(&|_| {});
    fixture::run_well(&arguments(&path, &[&stated[..], &[ALLOWED]].concat()));
    let rows: Vec<Prediction> = fixture::rows(&folder.path().join("store"));
    assert!(rows.iter().all(|row| !row.doubts.iter().any(|d| d == "unlisted_patients")));
}

#[test]
fn patients_that_the_weights_saw_are_refused_under_other_names_too() {
    let folder = tempfile::tempdir().unwrap();
    let [learnt, test] = clinical();
    let (n, n_all) = (learnt.len(), learnt.len() + test.len());
    let renamed = folder.path().join("anonymous");
    let phantom = trained().join("phantom/clinical");
    for (number, patient) in learnt.iter().chain(&test).enumerate() {
        copy(&phantom.join(patient), &renamed.join(format!("anonymous-{number}")));
    }
    for (name, root, by) in [("own", &phantom, "patient"), ("renamed", &renamed, "series")] {
        let folder = folder.path().join(name);
        fs_err::create_dir_all(&folder).unwrap();
        let path = pipeline(&folder, root, &trained());
        let error = refused(&path, &[]);
        let expected = format!(
            "the weights were trained or validated on {n} of {n_all} patients to predict: `"
        );
        assert!(error.contains(&expected) && error.contains(&format!("(by {by})")), "{error}");
        assert!(error.contains("`--allow-training-patients`"), "{error}");
        // Nothing was predicted, and what is allowed is said everywhere.
        assert!(!folder.join("store/predictions/CURRENT").exists());
        let output = fixture::run(&arguments(&path, &[ALLOWED]));
        assert!(output.status.success());
        let [text, log] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        let doubt = "nodules are of patients that the weights learnt from";
        assert!(text.contains("warning: `m`: ") && text.contains(doubt), "{text}");
        assert!(log.contains("as `--allow-training-patients` allows"), "{log}");
        let store = folder.join("store");
        let rois: Vec<Roi> = fixture::rows(&store);
        let seen: BTreeSet<String> = fixture::rows::<Prediction>(&store)
            .into_iter()
            .filter(|row| row.doubts.iter().any(|d| d == "training_patient"))
            .filter_map(|row| rois.iter().find(|roi| roi.roi_id == row.roi_id))
            .map(|roi| roi.patient_id.clone())
            .collect();
        assert_eq!(seen.len(), n);
        let summary: Vec<Summary> = fixture::rows(&store);
        let all = summary.iter().find(|row| row.subgroup == "all" && row.metric == "dice");
        assert!(all.unwrap().doubts.contains(&"training_patient".to_owned()));
        // Every table after infer says so, of the model alone.
        let is_seen = |doubts: &[String]| doubts.iter().any(|doubt| doubt == "training_patient");
        let predicted: BTreeSet<String> = fixture::rows::<Prediction>(&store)
            .into_iter()
            .filter(|row| is_seen(&row.doubts))
            .map(|row| row.nodule_id)
            .collect();
        let doubted = |id: &str, nodule: &str, doubts: &[String]| {
            let expected = id == "m" && predicted.contains(nodule);
            assert_eq!(is_seen(doubts), expected, "{id} {nodule}: {doubts:?}");
        };
        let nodules: Vec<NoduleMetrics> = fixture::rows(&store);
        for row in &nodules {
            doubted(&row.model_id, &row.nodule_id, &row.doubts);
        }
        let slices: Vec<SliceMetrics> = fixture::rows(&store);
        for row in &slices {
            doubted(&row.model_id, &row.nodule_id, &row.doubts);
        }
        for row in summary.iter().filter(|row| row.subgroup == "all") {
            assert_eq!(is_seen(&row.doubts), row.model_id == "m", "{row:?}");
        }
        let report = fixture::current(&store, "report").join("report.html");
        assert!(fs_err::read_to_string(report).unwrap().contains(doubt));
        // Without the argument the predictions are not measured again either.
        // Nor are they taken as measured: the tables exist, and the settings do not allow them.
        let again: [&[&str]; 4] = [
            &["--force", "evaluate"],
            &[],
            &["--set", "infer.allow_training_patients=false"],
            &["--dry-run"],
        ];
        for more in again {
            let evaluate = ["evaluate", path.to_str().unwrap(), "--progress", "none"];
            let (error, status) = fixture::run_badly(&[&evaluate[..], more].concat());
            let expected = "of `predictions` are of patients that the weights of `m`";
            assert!(status == Some(1) && error.contains(expected), "{more:?}: {error}");
        }
        fixture::run_well(&["evaluate", path.to_str().unwrap(), "--progress", "none", ALLOWED]);
    }
}

#[test]
fn weights_inherit_whom_their_initial_weights_saw() {
    let folder = tempfile::tempdir().unwrap();
    // A store of other patients starts from the weights; its weights refuse the patients of both.
    let small = fixture::pipeline(folder.path());
    let initial = format!("train.initial.checkpoint={}", trained().display());
    let sets = [
        "phantom.seed=5",
        &initial,
        "train.phases.0.schedule.epochs=1",
        "train.phases.1.schedule.epochs=1",
    ];
    let with_sets = |stage: &str, more: &[&str]| -> Vec<String> {
        let all = [stage, small.to_str().unwrap(), "--progress", "none"].into_iter();
        let sets = sets.iter().chain(more).flat_map(|set| ["--set", set]);
        all.chain(sets).map(str::to_owned).collect()
    };
    for stage in ["ingest", "merge", "crop", "balance", "train"] {
        let all = with_sets(stage, &[]);
        fixture::run_well(&all.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let second = folder.path().join("store");
    let other = folder.path().join("other");
    fs_err::create_dir_all(&other).unwrap();
    // Phantoms of all seeds name their clinical patients alike: other names leave series and images.
    let [learnt, _] = clinical();
    let renamed = folder.path().join("renamed");
    for (number, patient) in learnt.iter().enumerate() {
        let from = trained().join("phantom/clinical").join(patient);
        copy(&from, &renamed.join(format!("anonymous-{number}")));
    }
    let path = pipeline(&other, &renamed, &second);
    let error = refused(&path, &[]);
    let n = learnt.len();
    assert!(error.contains(&format!("trained or validated on {n} of {n} patients")), "{error}");
    assert!(error.contains("(by series)"), "{error}");

    // Where the test patients are those that the initial weights learnt from, nothing is trained.
    let third = folder.path().join("third");
    fs_err::create_dir_all(&third).unwrap();
    let small = fixture::pipeline(&third);
    let test = "balance.splits.clinical.test=1.0";
    let luna16 =
        r#"train.phases=[{ name = "a", cohorts = ["luna16"], schedule = { epochs = 1 } }]"#;
    let run = ["run", small.to_str().unwrap(), "--progress", "none"];
    let all = [&run[..], &["--set", test, "--set", luna16, "--set", &initial]].concat();
    let (error, _) = fixture::run_badly(&all);
    assert!(
        error.contains(
            "test patients are among those that `train.initial.checkpoint` was trained on"
        ),
        "{error}"
    );
}

#[test]
fn initial_weights_that_saw_patients_of_a_fold_are_refused_before_any_training() {
    let folder = tempfile::tempdir().unwrap();
    let small = fixture::pipeline(folder.path());
    let initial = format!("train.initial.checkpoint={}", trained().display());
    let phases =
        r#"train.phases=[{ name = "a", cohorts = ["clinical"], schedule = { epochs = 1 } }]"#;
    let sets = [&initial, phases, "balance.folds=2", "infer.cohorts=[\"clinical\"]"];
    let command = ["cross-validate", small.to_str().unwrap(), "--progress", "log"];
    let sets: Vec<&str> = sets.into_iter().flat_map(|set| ["--set", set]).collect();
    let (error, status) = fixture::run_badly(&[&command[..], &sets].concat());
    // The test patients, one of each cohort, are new to the weights; the two of the folds are those that they learnt from.
    let [learnt, test] = clinical();
    assert_eq!((learnt.len(), test.len()), (2, 1));
    let expected = "2 of 4 test patients (those of folds that are predicted included) are among";
    assert!(status == Some(1) && error.contains(expected), "{error}");
    assert!(!error.contains(" epoch 1/1: "), "{error}");
    for output in ["checkpoint", "training_log", "predictions"] {
        assert!(!folder.path().join("store").join(output).join("CURRENT").exists(), "{output}");
    }
}

/// Gives a series' slices other patients and UIDs.
fn rename(folder: &Path, series: &str) {
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "dcm") {
            continue;
        }
        let mut object = dicom_object::open_file(&path).unwrap();
        for (tag, vr, value) in [
            (tags::PATIENT_ID, VR::LO, "anonymous"),
            (tags::SERIES_INSTANCE_UID, VR::UI, series),
            (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.4"),
        ] {
            object.put_element(DataElement::new(tag, vr, PrimitiveValue::from(value)));
        }
        object.write_to_file(&path).unwrap();
    }
}

#[test]
fn the_nightly_job_asks_for_the_window_and_refuses_scans_that_the_model_saw() {
    let job = Job::new();
    let file = fs_err::read_to_string(job.file()).unwrap();
    let (stated, rest) = file.split_once("allow_other_preprocessing").unwrap();
    assert!(rest.contains("low_hu = -1000"));
    fs_err::write(job.file(), stated).unwrap();
    let error = |more: &[&str]| job.run(1, more).0["error"].as_str().unwrap().to_owned();
    let asked = "`score.model` was trained with several windows: 0 to 1000 HU (clinical), -1000 to 400 HU (luna16, an earlier";
    assert!(error(&[]).contains(asked), "{}", error(&[]));
    let early = "score.region.window={low_hu=-1000.0,high_hu=400.0}";
    let refused = error(&["--set", early]);
    assert!(
        refused.contains("-1000 to 400 HU is the window of the regions, but the weights were trained with 0 to 1000 HU"),
        "{refused}"
    );
    let (summary, _) = job.run(0, &["--set", "score.region.window={low_hu=0.0,high_hu=1000.0}"]);
    assert!(!summary["notices"].to_string().contains("another window"), "{summary}");
    let allowed = ["--set", early, "--set", "score.allow_other_preprocessing=true"];
    let (summary, _) = job.run(0, &allowed);
    let notices = summary["notices"].to_string();
    assert!(notices.contains("another window, padding or pixel spacing"), "{notices}");

    // A scan under another name is known by its image; the message names nobody.
    let job = Job::new();
    let scans: Vec<Scan> = fixture::rows(&trained());
    let samples: Vec<Sample> = fixture::rows(&trained());
    let learnt: BTreeSet<&str> = samples
        .iter()
        .filter(|sample| sample.cohort == "luna16" && sample.split != "test")
        .map(|sample| sample.series_instance_uid.as_str())
        .collect();
    assert!(!learnt.is_empty() && scans.iter().all(|scan| scan.image_sha256.is_some()));
    let text = candidates(|_| true);
    let mut renamed = text.clone();
    for (number, folder) in job.series().iter().enumerate() {
        let (series, new) = (series_of(folder), format!("1.2.826.0.1.{}", number + 1));
        rename(folder, &new);
        renamed = renamed.replace(&series, &new);
    }
    fs_err::write(job.candidates(), renamed).unwrap();
    let (summary, log) = job.run(3, &["--set", "score.allow_training_patients=false"]);
    assert_eq!(summary["failed"], learnt.len(), "{summary}");
    assert_eq!(summary["seen_by_model"], learnt.len());
    let cause = summary["failures"][0]["cause"].as_str().unwrap();
    assert!(
        cause.contains(
            "the model was trained on this patient, series or image (found by the image)"
        ) || cause.contains("the model was chosen on this patient"),
        "{cause}"
    );
    let notices = summary["notices"].to_string();
    assert!(notices.contains("and are not scored; `--allow-training-patients`"), "{notices}");
    assert!(!log.contains("anonymous") && !summary.to_string().contains("anonymous"));
    let (summary, _) = job.run(0, &[ALLOWED]);
    assert_eq!(summary["failed"], 0);
    let warned = job
        .rows()
        .iter()
        .filter(|row| row["scan_warnings"].to_string().contains("say nothing about new patients"))
        .count();
    assert!(warned > 0);
}
