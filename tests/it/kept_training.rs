//! A checkpoint that is kept beside newer inputs: what is chosen with it depends on its own scans and on nothing else.

use crate::fixture;
use crate::grown_training::{Cohort, current, of_split};
use nodulus::tables::Prediction;
use std::collections::BTreeMap;

/// The choices of thresholds that a store keeps, by the names of their records.
fn choices(cohort: &Cohort) -> BTreeMap<String, String> {
    let folder = fs_err::read_dir(cohort.store().join("predictions/thresholds")).unwrap();
    let record = |entry: std::io::Result<fs_err::DirEntry>| {
        let entry = entry.unwrap();
        let text = fs_err::read_to_string(entry.path()).unwrap();
        (entry.file_name().into_string().unwrap(), text)
    };
    folder.map(record).collect()
}

fn assert_same(one: &Cohort, other: &Cohort) {
    let [found, expected] = [one, other].map(|cohort| current(&cohort.store()));
    assert!(found.keys().eq(expected.keys()), "{:?} {:?}", found.keys(), expected.keys());
    for (name, bytes) in &expected {
        assert!(found.get(name) == Some(bytes), "`{name}` differs");
    }
}

#[test]
fn growth_in_two_steps_and_in_one_end_in_the_same_bytes() {
    let (train, test) = (of_split("train"), of_split("test"));
    let held = [train[0], train[1], test[0]];
    let choice = ["infer.flips=true", "infer.probability_threshold=\"validation\""];
    for setting in choice {
        let keep = ["--keep", "train", "--set", setting];
        let grown = |steps: &[&[&str]]| {
            let cohort = Cohort::without(&held);
            cohort.json("run", &[]);
            for step in steps {
                step.iter().for_each(|patient| cohort.add(patient));
                let told = cohort.json("run", &[&keep[..], &["--dry-run"]].concat());
                assert_eq!(told["training"]["starts"], "kept");
                cohort.json("run", &keep);
            }
            cohort
        };
        let [in_two, in_one] = [grown(&[&held[..1], &held[1..]]), grown(&[&held])];
        assert_eq!(choices(&in_two), choices(&in_one), "{setting}");
        // One for the first run and one for the other setting, whatever came later.
        assert_eq!(choices(&in_one).len(), 2, "{setting}");
        assert_same(&in_two, &in_one);
        // The thresholds of the first run's setting are the first run's.
        in_one.json("run", &["--keep", "train"]);
        assert_eq!(choices(&in_one).len(), 2, "{setting}");
    }
}

#[test]
fn what_is_chosen_with_a_kept_checkpoint_is_never_chosen_on_test_patients_of_now() {
    let keep = |cohort: &Cohort, seed: &str| {
        let seed = format!("balance.seed={seed}");
        let allow = "--allow-training-patients";
        cohort.json("run", &["--to", "evaluate", "--keep", "train", "--set", &seed, allow]);
    };
    let [by_another, direct] = [&["2", "3"][..], &["3"]].map(|seeds| {
        let cohort = Cohort::without(&[]);
        cohort.json("run", &["--to", "evaluate"]);
        let mut n_before = 0;
        for seed in seeds {
            n_before = choices(&cohort).len();
            keep(&cohort, seed);
        }
        // Other scans of the checkpoint are free to be chosen on.
        assert_eq!(choices(&cohort).len(), n_before + 1, "{seeds:?}");
        cohort
    });
    let of_direct = choices(&direct);
    let of_other = choices(&by_another);
    assert!(of_direct.iter().all(|(name, choice)| of_other.get(name) == Some(choice)));
    assert_same(&by_another, &direct);
    let predictions: Vec<Prediction> = fixture::rows(&direct.store());
    let has = |row: &Prediction, doubt: &str| row.doubts.iter().any(|name| name == doubt);
    assert!(predictions.iter().any(|row| has(row, "training_patient")));
    assert!(predictions.iter().all(|row| !has(row, "tuned_on_scored")));
    let of_baseline = predictions.iter().filter(|row| row.model_id == "region_growing");
    assert!(of_baseline.clone().count() > 0);
    assert!(of_baseline.into_iter().all(|row| row.threshold_from == "learning"));
}
