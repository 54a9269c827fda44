//! What a dry run, and a run before it trains, says of patients and weights that do not fit.

use crate::fixture;
use crate::grown_training::{Cohort, made, of_split};

#[test]
fn a_dry_run_foresees_what_infer_would_refuse_of_its_patients() {
    let cohort = Cohort::without(&[]);
    let unchecked = |more: &[&str]| -> usize {
        let told = cohort.json("run", &[&["--dry-run"], more].concat());
        told["unchecked"].as_array().unwrap().len()
    };
    assert_eq!(unchecked(&[]), 1);
    assert_eq!(unchecked(&["--to", "balance"]), 0);
    let text = cohort.text("run", &["--dry-run"]);
    assert!(text.contains("not checked: whether each split has patients, "), "{text}");
    // What the settings alone tell needs no scan.
    let error = cohort.foreseen_error(&["--set", "infer.splits=[\"test\",\"train\"]"]);
    assert!(error.contains("`infer.splits` has \"train\", whose patients"), "{error}");
    assert!(!cohort.store().join("scans").exists());

    cohort.json("run", &["--to", "balance"]);
    assert_eq!(unchecked(&[]), 0);
    let validation = of_split("validation");
    let named = format!("of 6 patients to predict: `{}` (by patient)", validation[0]);
    let splits = ["--set", "infer.splits=[\"test\",\"validation\"]"];
    let n_test = of_split("test").len();
    let named = named.replace("of 6", &format!("of {}", n_test + validation.len()));
    // Nothing is trained in vain.
    let error = cohort.foreseen_error(&splits);
    assert!(error.starts_with("error: infer stopped: the weights were trained or"), "{error}");
    assert!(error.contains(&named), "{error}");
    assert!(!cohort.store().join("checkpoint/CURRENT").exists());

    cohort.json("run", &[]);
    assert_eq!(cohort.foreseen_error(&splits), error);
    cohort.json("run", &[&splits[..], &["--dry-run", "--allow-training-patients"]].concat());
    // Another seed with kept weights makes test patients of those that they learnt from; trained again they did not.
    let seed = ["--set", "balance.seed=7"];
    let error = cohort.foreseen_error(&[&seed[..], &["--keep", "train"]].concat());
    assert!(error.contains("error: infer stopped: the weights were trained or"), "{error}");
    cohort.json("run", &[&seed[..], &["--dry-run"]].concat());
    // The known ones are told before new ones are read.
    cohort.add_to("clinical", of_split("test")[0], "NEW");
    let pipeline = cohort.path("grown.toml");
    let keep = ["--keep", "train", "--dry-run", "--progress", "none"];
    let arguments = [&["run", pipeline.to_str().unwrap()], &seed[..], &keep].concat();
    assert_eq!(fixture::run_badly(&arguments).0, error);
    assert_eq!(unchecked(&[]), 1);
    // The same of weights to start from.
    let initial = format!("train.initial.checkpoint={:?}", cohort.store());
    let copy = Cohort::without(&[]);
    copy.json("run", &["--to", "crop"]);
    let error = copy.foreseen_error(&[&seed[..], &["--set", &initial]].concat());
    assert!(error.contains("are among those that `train.initial.checkpoint` was"), "{error}");
}

#[test]
fn a_kept_checkpoint_s_regions_are_compared_before_anything_is_read() {
    let new = of_split("test")[0];
    let cohort = Cohort::without(&[new]);
    cohort.json("run", &[]);
    cohort.add(new);
    let scans = cohort.store().join("scans/CURRENT");
    let before = fs_err::read_to_string(&scans).unwrap();
    let window = ["--set", "crop.window={ low_hu = 0, high_hu = 900 }"];
    let size = ["--set", "crop.size=32", "--set", "train.model.image_size=32"];
    let keep = ["--keep", "train"];
    let error = cohort.foreseen_error(&[&window[..], &keep].concat());
    assert!(error.contains("0 to 900 HU is the window of the regions of cohort"), "{error}");
    let error = cohort.foreseen_error(&[&size[..], &keep].concat());
    assert!(error.contains("32 × 32 pixels is the size of the regions"), "{error}");
    let error = cohort.foreseen_error(&[&keep[..], &["--set", "infer.fold=1"]].concat());
    assert!(error.contains("the weights were trained with no fold held out"), "{error}");
    assert_eq!(fs_err::read_to_string(&scans).unwrap(), before);
    // Trained again, or stopped before infer, nothing contradicts.
    cohort.json("run", &[&window[..], &["--dry-run"]].concat());
    cohort.json("run", &[&window[..], &keep, &["--dry-run", "--to", "train"]].concat());
    let allow = ["--set", "infer.allow_other_preprocessing=true"];
    let run = cohort.json("run", &[&window[..], &keep, &allow].concat());
    assert!(made(&run, "crop") > 0 && made(&run, "train") == 0, "{run}");
}

#[test]
fn settings_that_exclude_what_a_stage_needs_are_refused_before_anything_is_read() {
    let cohort = Cohort::without(&[]);
    let no_validation = ["--set", "balance.split={ test = 0.4 }"];
    let threshold = "infer.probability_threshold=\"validation\"";
    let cases: [(&[&str], &str); 5] = [
        (
            &["--set", "infer.weights=\"best\""],
            "error: infer stopped: `infer.weights` is \"best\", and no",
        ),
        (
            &["--set", threshold],
            "error: infer stopped: `infer.probability_threshold` is \"validation\", and no",
        ),
        (
            &["--set", "train.phases.0.patience=2"],
            "error: train stopped: phase `all` has `patience` and no",
        ),
        (
            &["--set", "infer.fold=1"],
            "error: infer stopped: `infer.fold` is 1, but the weights were trained with no fold",
        ),
        (
            &["--set", "infer.fold=1", "--set", "train.fold=1", "--set", threshold],
            "error: infer stopped: with `infer.fold`",
        ),
    ];
    for (more, expected) in cases {
        let error = cohort.foreseen_error(&[&no_validation[..], more].concat());
        assert!(error.starts_with(expected), "{more:?}: {error}");
        assert!(!cohort.store().join("scans").exists(), "{more:?}");
        // Stages before are not concerned.
        cohort.json("run", &[&no_validation[..], more, &["--dry-run", "--to", "balance"]].concat());
    }
    // A share that happens to give no patient is known once the patients are.
    let few = ["--set", "balance.split={ validation = 0.000001, test = 0.4 }"];
    cohort.json("run", &[&few[..], &["--to", "balance"]].concat());
    for (more, expected) in &cases[..3] {
        let error = cohort.foreseen_error(&[&few[..], more].concat());
        assert!(error.starts_with(expected), "{more:?}: {error}");
    }
    assert!(!cohort.store().join("checkpoint/CURRENT").exists());
}

#[test]
fn weights_without_the_list_of_their_patients_are_refused_before_anything_is_read() {
    let cohort = Cohort::without(&[]);
    let weights = cohort.path("weights");
    fs_err::create_dir_all(&weights).unwrap();
    let from = fixture::current(&fixture::finished().join("store"), "checkpoint");
    for name in ["model.safetensors", "model.json"] {
        fs_err::copy(from.join(name), weights.join(name)).unwrap();
    }
    for (stage, setting) in [("infer", "infer.checkpoint"), ("train", "train.initial.checkpoint")] {
        let set = format!("{setting}={weights:?}");
        let error = cohort.foreseen_error(&["--set", &set]);
        assert!(error.starts_with(&format!("error: {stage} stopped: ")), "{error}");
        assert!(error.contains("model.trained-on: is missing; it lists whom"), "{error}");
        assert!(!cohort.store().join("scans").exists());
    }
}

#[test]
fn outputs_that_become_current_again_are_no_nothing_to_do() {
    let cohort = Cohort::without(&[]);
    let to = ["--to", "infer", "--progress", "none"];
    cohort.text("run", &to);
    cohort.text("run", &[&to[..], &["--set", "infer.flips=true"]].concat());
    let text = cohort.text("run", &to);
    assert!(!text.contains("nothing to do"), "{text}");
    let row = text.lines().find(|line| line.starts_with("infer")).unwrap();
    assert!(row.contains("made before, now current  0 of "), "{text}");
    assert!(text.lines().any(|line| line.starts_with("crop") && line.contains("up to date")));
    let text = cohort.text("run", &to);
    assert!(text.contains("nothing to do: everything is up to date"), "{text}");
}

#[test]
fn a_patient_who_is_gone_from_the_frozen_test_list_is_told() {
    let cohort = Cohort::without(&[]);
    let frozen = ["--set", "balance.split={ validation = 0.2, test_lesions = 4 }"];
    let to = [&frozen[..], &["--to", "balance"]].concat();
    let told = cohort.told("run", &to);
    assert!(!told.concat().contains("frozen list"), "{told:?}");
    let samples: Vec<nodulus::tables::Sample> = fixture::rows(&cohort.store());
    let gone = samples.iter().find(|sample| sample.split == "test").unwrap().patient_id.clone();
    fs_err::remove_dir_all(cohort.path("clinical").join(&gone)).unwrap();
    let [summary, log] = cohort.told("run", &to);
    let expected = format!("`{gone}` of its frozen list of ");
    for text in [&summary, &log] {
        let line = text.lines().find(|line| line.contains(&expected));
        assert!(
            line.is_some_and(|line| line.contains("warning: cohort `clinical` has ")),
            "{text}"
        );
    }
    let status = cohort.text("status", &frozen);
    assert!(status.contains(&expected), "{status}");
    let warnings = &cohort.json("status", &frozen)["warnings"];
    assert_eq!(warnings.as_array().unwrap().len(), 1);
    // Also where nothing is to be done.
    let [summary, _] = cohort.told("run", &to);
    assert!(summary.contains("nothing to do") && summary.contains(&expected), "{summary}");
}
