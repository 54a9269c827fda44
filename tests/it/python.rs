//! The tables as analysts read them, with the Python packages themselves.

use crate::fixture;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Python with the packages of `tests/python/requirements.txt`: `NODULUS_PYTHON`, or the virtual
/// environment that `.ci/run` makes. Says so where there is none.
fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("NODULUS_PYTHON")
        .map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    let import = "import duckdb, highdicom, polars, pandas, pyarrow, pydicom, SimpleITK, nibabel, imagecodecs, \
                  libjpeg, openjpeg, rle, jpeg_ls";
    if Command::new(&python).args(["-c", import]).status().is_ok_and(|status| status.success()) {
        return Some(python);
    }
    fixture::skip("no Python with tests/python/requirements.txt; set NODULUS_PYTHON or make .venv");
    None
}

/// What a script of `tests/python` prints; none where there is no Python for it.
pub(crate) fn script(name: &str, arguments: &[&str]) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(python()?)
        .arg(root.join("tests/python").join(name))
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

fn store() -> String {
    fixture::finished().join("store").to_str().unwrap().to_owned()
}

#[test]
fn duckdb_polars_and_pandas_read_every_table() {
    let tables = fixture::run_well(&["tables", "--store", &store(), "--json"]);
    let expected: serde_json::Value = serde_json::from_str(&tables).unwrap();
    assert_eq!(expected.as_array().unwrap().len(), 15);
    let Some(text) = script("read_tables.py", &[&tables]) else { return };
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    for table in expected.as_array().unwrap() {
        let name = table["table"].as_str().unwrap();
        for reader in ["duckdb", "polars", "pandas"] {
            assert_eq!(found[name][reader], table["rows"], "{name} read by {reader}");
        }
    }
}

#[test]
fn each_question_of_the_docs_has_an_answer() {
    let views = fixture::run_well(&["tables", "--store", &store(), "--sql"]);
    let query = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/query.md");
    let Some(text) = script("run_queries.py", &[&views, query.to_str().unwrap()]) else { return };
    let answers: serde_json::Value = serde_json::from_str(&text).unwrap();
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), 11);
    for answer in answers {
        assert!(answer["rows"].as_u64().unwrap() > 0, "no answer to: {}", answer["question"]);
    }
}

#[test]
fn the_phantom_is_what_other_readers_take_it_for() {
    let phantom = fixture::finished().join("store/phantom");
    let scans =
        fixture::run_well(&["show", "scans", "--store", &store(), "--json", "--rows", "100"]);
    let Some(text) = script("check_phantom.py", &[phantom.to_str().unwrap(), &scans]) else {
        return;
    };
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["scans_compared"], 6, "{found}");
    assert!(found["masks_compared"].as_u64().unwrap() >= 3, "{found}");
}
