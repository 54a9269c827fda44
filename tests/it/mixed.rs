//! Tables of unlike versions are named, and never joined without a word.

use crate::fixture;
use crate::growing::Growing;
use serde_json::{Value, json};

#[test]
fn tables_that_are_older_than_their_inputs_are_named_everywhere() {
    let growing = Growing::new();
    growing.json("run", &["--to", "balance"]);
    let warnings = |command: &[&str]| growing.on_store(command).1;
    let json_of =
        |command: &[&str]| -> Value { serde_json::from_str(&growing.on_store(command).0).unwrap() };
    let join = "SELECT count(*) AS n FROM rois r JOIN nodules n ON r.nodule_id = n.nodule_id";
    let rois = ["show", "rois", "--columns", "roi_id"];
    for command in [&rois[..], &["sql", join], &["lineage", "rois"]] {
        assert_eq!(warnings(command), "");
    }
    let first = json_of(&["tables", "--json"]);
    assert!(first.as_array().unwrap().iter().all(|table| table["outdated"].is_null()), "{first}");

    // Merge alone: regions and samples were made from other nodules.
    let merged = growing.json("merge", &["--set", "merge.consensus_level=0.75"]);
    let outdated = |of: &[&str], output: &str, stage: &str| json!({ "output": output, "stage": stage, "older_than": of, "kept": false });
    let expected = json!([
        outdated(&["nodules"], "reader_agreement", "agree"),
        outdated(&["nodules"], "rating_agreement", "agree"),
        outdated(&["nodules"], "rois", "crop"),
        outdated(&["nodules"], "samples", "balance"),
    ]);
    assert_eq!(merged["outdated"], expected);
    let line =
        "`rois` was made from other versions of `nodules`; `nodulus run` brings it up to date\n";
    let warning = format!("warning: {line}");
    assert_eq!(warnings(&rois), warning);
    assert_eq!(
        warnings(&["sql", join]),
        "warning: `nodules` and `rois` do not belong together: `rois` was made from another version of `nodules`\n"
    );
    // Tables that belong together are joined without a word, however old they are.
    let old = "SELECT count(*) AS n FROM rois r JOIN samples s ON r.roi_id = s.roi_id";
    assert_eq!(warnings(&["sql", old]), "");
    assert_eq!(warnings(&["sql", "SELECT count(*) AS n FROM rois"]), "");
    let (text, _) = growing.on_store(&["tables"]);
    assert!(text.contains(line), "{text}");
    assert!(growing.on_store(&["lineage", "rois"]).0.contains(line));
    assert_eq!(json_of(&["lineage", "rois", "--json"])["outdated"], expected[2]);
    let tables = json_of(&["tables", "--json"]);
    assert_eq!((&tables[5]["table"], &tables[5]["outdated"]), (&json!("rois"), &expected[2]));
    let status = growing.text("status", &["--set", "merge.consensus_level=0.75"]);
    assert!(status.contains(line), "{status}");
    let out = growing.folder().join("out");
    let arguments = ["export", "rois", "--to", "npz", "--out", out.to_str().unwrap()];
    let store = growing.store();
    let (error, _) =
        fixture::run_badly(&[&arguments[..], &["--store", store.to_str().unwrap()]].concat());
    assert!(error.contains("`rois`") && error.contains("`nodules`"), "{error}");
    let (error, status) = growing.error("balance", &["--progress", "none", "--force", "balance"]);
    assert_eq!(status, None.or(Some(0)), "{error}");

    // Samples belong to the regions; what is older than both is named.
    let (_, warned) = growing.on_store(&[
        "sql",
        "SELECT count(*) AS n FROM samples s JOIN nodules n ON s.nodule_id = n.nodule_id",
    ]);
    assert!(warned.contains("`samples` was made from another version of `nodules`"), "{warned}");

    // The older version can still be read.
    let nodules = &tables[2];
    let versions = nodules["versions"].as_array().unwrap();
    assert_eq!((versions.len(), &versions[0]), (2, &nodules["version"]));
    let key = versions[1].as_str().unwrap();
    assert_eq!(first[2]["version"], key);
    let files = json_of(&["tables", "--version", key, "--json"]);
    assert_eq!((&files[0]["table"], &files[0]["rows"]), (&json!("nodules"), &first[2]["rows"]));
    let (text, _) = growing.on_store(&["tables", "--version", key]);
    assert!(text.lines().skip(1).all(|line| line.starts_with("nodules  ")), "{text}");
    let path = files[0]["files"][0].as_str().unwrap();
    assert!(text.contains(path) && std::path::Path::new(path).is_file());

    // A version whose shards were removed is refused by name.
    fs_err::remove_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
    let arguments = ["tables", "--store", store.to_str().unwrap(), "--version", key];
    let (error, status) = fixture::run_badly(&arguments);
    assert_eq!(status, Some(1));
    let expected =
        format!("`{path}` is missing, though version {key} of `nodules` lists it: run merge again");
    assert!(error.contains(&expected), "{error}");

    growing.json("run", &["--to", "balance", "--set", "merge.consensus_level=0.75"]);
    assert_eq!(warnings(&rois), "");
}

#[test]
fn an_older_store_and_a_missing_file_are_refused_with_what_to_do() {
    let growing = Growing::new();
    growing.json("run", &["--to", "merge"]);
    let store = growing.store();
    let show = ["show", "nodules", "--store", store.to_str().unwrap()];
    let files = glob::glob(store.join("nodules/shards/*/part-*").to_str().unwrap()).unwrap();
    let file = files.map(Result::unwrap).next().unwrap();
    fs_err::remove_file(&file).unwrap();
    let (error, status) = fixture::run_badly(&show);
    assert_eq!(status, Some(1));
    assert!(
        error.contains("is missing, though version ")
            && error.contains("run merge again, which makes it anew"),
        "{error}"
    );
    growing.json("run", &["--to", "merge"]);
    fixture::run_well(&show);

    fs_err::write(store.join("store.json"), "{\"layout\": 1}\n").unwrap();
    for arguments in [&show[..], &["gc", "--store", store.to_str().unwrap()]] {
        let (error, status) = fixture::run_badly(arguments);
        assert_eq!(status, Some(1));
        assert!(
            error.contains("has layout 1")
                && error.contains("`nodulus run PIPELINE --store FOLDER`"),
            "{error}"
        );
    }
    let (error, _) = growing.error("run", &["--dry-run"]);
    assert!(error.contains("has layout 1"), "{error}");
}
