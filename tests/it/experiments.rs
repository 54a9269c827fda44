//! Experiments and cross-validation: every row of one file is run once, and all rows are evaluated together.

use crate::{fixture, report_page};
use nodulus::tables::{Comparison, NoduleMetrics, Sample};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Writes an experiment over the small pipeline: two networks, one of which starts from the other's weights.
pub(crate) fn experiment(folder: &Path) -> PathBuf {
    fixture::pipeline(folder);
    let path = folder.join("experiment.toml");
    let phases = |cohort: &str| {
        format!("[{{ name = \"p\", cohorts = [\"{cohort}\"], schedule = {{ epochs = 1 }} }}]")
    };
    let text = format!(
        "title = \"Small\"\npipeline = \"small.toml\"\nstore = \"{store}\"\n\
         set = {{ \"train.phases\" = {clinical}, \"infer.cohorts\" = [\"clinical\"] }}\n\
         [[rows]]\nname = \"before\"\nscored = false\nset = {{ \"train.phases\" = {luna16} }}\n\
         [[rows]]\nname = \"U-Net\"\nset = {{ \"train.model.architecture\" = \"unet\" }}\npaper = {{ dice = 0.753 }}\n\
         [[rows]]\nname = \"proposed\"\nfrom = \"before\"\nset = {{ \"train.phases.0.schedule.freeze\" = [\"C1\"] }}\n",
        store = folder.join("store").display(),
        clinical = phases("clinical"),
        luna16 = phases("luna16"),
    );
    fs_err::write(&path, text).unwrap();
    path
}

/// Runs a command and returns the JSON that it printed, and its log.
fn run(arguments: &[&str]) -> (Value, String) {
    let more = ["--json", "--progress", "log"];
    let output = fixture::run(&[arguments, &more].concat());
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    (serde_json::from_slice(&output.stdout).unwrap(), log)
}

#[test]
fn every_row_is_trained_once_and_evaluated_with_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (path, store) = (experiment(folder.path()), folder.path().join("store"));
    let file = folder.path().join("table.md");
    let arguments = ["experiment", path.to_str().unwrap(), "--out", file.to_str().unwrap()];
    let (table, log) = run(&arguments);
    // Shared work is done once; each row trains, and starts from other weights if it says so.
    let begun = |log: &str, stage: &str| log.matches(&format!("\n{stage}: ")).count();
    assert_eq!(begun(&log, "crop"), 1, "{log}");
    assert_eq!(log.matches("starts from ").count(), 1, "{log}");
    assert_eq!(log.matches(" epoch 1/1: ").count(), 3, "{log}");
    let rows = table["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["model_id"].as_str().unwrap()).collect();
    // The clinical nodules have one reader each: there is no ceiling.
    assert_eq!(names, ["U-Net", "proposed", "region_growing"]);

    // The numbers are the same as in the store's tables.
    let metrics: Vec<NoduleMetrics> = fixture::rows(&store);
    for row in rows.iter().filter(|row| row["kind"] != "readers") {
        let of_model: Vec<&NoduleMetrics> =
            metrics.iter().filter(|m| m.model_id == row["model_id"].as_str().unwrap()).collect();
        assert!(!of_model.is_empty());
        assert_eq!(row["n_nodules"], of_model.len());
        let dice: Vec<f64> = of_model.iter().filter_map(|m| m.metrics.dice).collect();
        let cell = row["cells"].as_array().unwrap().iter().find(|c| c["metric"] == "dice").unwrap();
        let mean = dice.iter().sum::<f64>() / dice.len() as f64;
        assert!((cell["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    }
    let comparisons: Vec<Comparison> = fixture::rows(&store);
    let pairs: BTreeSet<[&str; 2]> =
        comparisons.iter().map(|row| [row.model_id.as_str(), row.baseline_id.as_str()]).collect();
    assert!(pairs.contains(&["U-Net", "proposed"]) || pairs.contains(&["proposed", "U-Net"]));
    let text = fs_err::read_to_string(&file).unwrap();
    assert!(
        text.contains("| *the paper's U-Net, on its data* |") && text.contains("*0.753*"),
        "{text}"
    );

    // One report covers all rows: every evaluated row is a model with its cases, every trained row has its epochs.
    let page = Path::new(table["report"].as_str().unwrap());
    assert_eq!(page.parent().unwrap(), fixture::current(&store, "report"));
    let text = fs_err::read(page.with_extension("json")).unwrap();
    let report: Value = serde_json::from_slice(&text).unwrap();
    let of = |value: &Value, name: &str| -> Vec<Value> {
        value.as_array().unwrap().iter().map(|item| item[name].clone()).collect()
    };
    assert_eq!(report["title"], "Small");
    assert_eq!(of(&report["models"], "model_id"), ["U-Net", "proposed", "region_growing"]);
    assert_eq!(
        of(&report["training"], "model_id"),
        [Value::Null, "U-Net".into(), "proposed".into()]
    );
    for case in report["cases"].as_array().unwrap() {
        assert_eq!(of(&case["predictions"], "model_id"), ["U-Net", "proposed", "region_growing"]);
    }
    report_page::assert_opens(page, "experiment");

    // The second time, the table is the same and nothing runs.
    let (again, log) = run(&arguments);
    assert_eq!(again, table);
    for stage in ["ingest", "crop", "infer", "evaluate", "report"] {
        assert_eq!(begun(&format!("\n{log}"), stage), 0, "{log}");
    }
    assert!(!log.contains(" epoch "), "{log}");
}

#[test]
fn several_seeds_are_one_row_and_resume() {
    let folder = tempfile::tempdir().unwrap();
    let (path, store) = (experiment(folder.path()), folder.path().join("store"));
    let text = fs_err::read_to_string(&path).unwrap();
    let with = |seeds: &str| {
        fs_err::write(&path, text.replacen("set =", &format!("seeds = {seeds}\nset ="), 1))
            .unwrap();
        run(&["experiment", path.to_str().unwrap()])
    };
    let ids = |table: &Value| -> Vec<String> {
        let rows = table["rows"].as_array().unwrap();
        rows.iter().map(|row| row["model_id"].as_str().unwrap().to_owned()).collect()
    };
    // One seed is a row as any other.
    let (one, log) = with("[7]");
    assert_eq!(log.matches(" epoch 1/1: ").count(), 3, "{log}");
    assert_eq!(ids(&one), ["U-Net", "proposed", "region_growing"]);
    let cell = |table: &Value, id: &str, n: usize| {
        let rows = table["rows"].as_array().unwrap();
        rows.iter().find(|row| row["model_id"] == id).unwrap()["cells"][n].clone()
    };
    assert!(cell(&one, "U-Net", 2)["seed_means"].is_null());

    // A second seed trains three times more, and not the first again.
    let (two, log) = with("[7, 8]");
    assert_eq!(log.matches(" epoch 1/1: ").count(), 3, "{log}");
    assert_eq!(log.matches("starts from ").count(), 1, "{log}");
    assert_eq!(
        ids(&two),
        [
            "U-Net",
            "U-Net, seed 7",
            "U-Net, seed 8",
            "proposed",
            "proposed, seed 7",
            "proposed, seed 8",
            "region_growing"
        ]
    );
    assert_eq!(two["rows"][2]["seed"], 8);
    for id in ["U-Net", "proposed"] {
        let dice = cell(&two, id, 2);
        let of_seed =
            [7, 8].map(|seed| cell(&two, &format!("{id}, seed {seed}"), 2)["mean"].clone());
        assert_eq!(dice["seed_means"], Value::from(of_seed.to_vec()));
        // The first seed is what it was alone.
        assert_eq!(of_seed[0], cell(&one, id, 2)["mean"]);
        let [a, b] = of_seed.map(|mean| mean.as_f64().unwrap());
        assert!((dice["mean"].as_f64().unwrap() - f64::midpoint(a, b)).abs() < 1e-12);
        assert!((dice["seed_sd"].as_f64().unwrap() - (a - b).abs() / 2f64.sqrt()).abs() < 1e-12);
        // A nodule counts once, however many seeds.
        let n = |table: &Value| {
            let rows = table["rows"].as_array().unwrap();
            rows.iter().find(|row| row["model_id"] == id).unwrap()["n_nodules"].clone()
        };
        assert_eq!(n(&two), n(&one));
    }
    let comparisons: Vec<Comparison> = fixture::rows(&store);
    let compared: BTreeSet<&str> = comparisons
        .iter()
        .flat_map(|row| [row.model_id.as_str(), row.baseline_id.as_str()])
        .collect();
    assert_eq!(compared, ["U-Net", "proposed", "region_growing"].into());
    let page = Path::new(two["report"].as_str().unwrap());
    let report: Value =
        serde_json::from_slice(&fs_err::read(page.with_extension("json")).unwrap()).unwrap();
    let models = report["models"].as_array().unwrap();
    let models: Vec<&str> =
        models.iter().map(|model| model["model_id"].as_str().unwrap()).collect();
    assert_eq!(
        models,
        [
            "U-Net, seed 7",
            "U-Net, seed 8",
            "proposed, seed 7",
            "proposed, seed 8",
            "region_growing",
            "U-Net",
            "proposed"
        ]
    );
    report_page::assert_opens(page, "experiment of seeds");

    let (again, log) = with("[7, 8]");
    assert!(again == two && !log.contains(" epoch "), "{log}");
}

#[test]
fn each_fold_is_predicted_by_the_model_that_was_not_trained_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let (pipeline, store) = (fixture::pipeline(folder.path()), folder.path().join("store"));
    let sets = [
        "balance.folds=3",
        "infer.cohorts=[\"luna16\", \"clinical\"]",
        "train.phases.0.schedule.epochs=1",
        "train.phases.1.schedule.epochs=1",
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let arguments = [&["cross-validate", pipeline.to_str().unwrap()][..], &sets].concat();
    let (table, log) = run(&arguments);
    assert_eq!(log.matches("pretrain epoch 1/1: ").count(), 3, "{log}");
    let names: Vec<&str> =
        table["rows"].as_array().unwrap().iter().map(|r| r["model_id"].as_str().unwrap()).collect();
    assert_eq!(names, ["proposed", "proposed, all folds", "region_growing", "reader"]);

    let samples: Vec<Sample> = fixture::rows(&store);
    let nodules = |test: bool| -> BTreeSet<String> {
        let held = samples.iter().filter(|s| (s.split == "test") == test);
        held.map(|s| s.nodule_id.clone()).collect()
    };
    let metrics: Vec<NoduleMetrics> = fixture::rows(&store);
    let scored = |model: &str| -> Vec<String> {
        let mut of: Vec<String> =
            metrics.iter().filter(|m| m.model_id == model).map(|m| m.nodule_id.clone()).collect();
        of.sort();
        of
    };
    // Every nodule of the folds is predicted once, by its fold's model; test nodules are predicted by all models.
    assert_eq!(scored("proposed"), nodules(false).into_iter().collect::<Vec<_>>());
    assert_eq!(scored("proposed, all folds"), nodules(true).into_iter().collect::<Vec<_>>());
    assert!(!nodules(true).is_empty());

    let (again, log) = run(&arguments);
    assert!(again == table && !log.contains(" epoch "), "{log}");

    // Weights never predict a fold that they were trained on.
    let leak = ["infer", pipeline.to_str().unwrap(), "--progress", "none", "--set", "infer.fold=0"];
    let (error, status) = fixture::run_badly(&[&leak[..], &sets].concat());
    assert_eq!(status, Some(1));
    assert!(
        error.contains("`infer.fold` is 0, but the weights were trained with fold 2 held out"),
        "{error}"
    );
}

#[test]
fn an_impossible_experiment_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = experiment(folder.path());
    let text = fs_err::read_to_string(&path).unwrap();
    for (from, to, expected) in [
        (
            "name = \"U-Net\"",
            "name = \"proposed\"",
            "but an earlier row has the id \"proposed\" too",
        ),
        ("from = \"before\"", "from = \"after\"", "is \"after\", which is no row before this one"),
        ("\"unet\"", "\"vnet\"", "row `U-Net`"),
        ("title", "name", "unknown key `name`"),
        ("small.toml", "other.toml", "other.toml"),
        ("title", "seeds = []\ntitle", "`seeds` is an empty list"),
        ("title", "seeds = [2, 2]\ntitle", "`seeds` has 2 twice"),
    ] {
        fs_err::write(&path, text.replace(from, to)).unwrap();
        let arguments = ["experiment", path.to_str().unwrap(), "--progress", "none"];
        let (error, status) = fixture::run_badly(&arguments);
        assert!(error.contains(expected), "{from}: {error}");
        assert_eq!(status, Some(2), "{from}: {error}");
        assert!(!folder.path().join("store").exists(), "{from}");
    }
}
