//! The tables as analysts read them with Python packages.

use crate::fixture;
use nodulus::tables::{Roi, Table};
use nodulus_test_needs::{Need, skip};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The Python of [`script`], where it has PyTorch too. Without it the check is skipped.
pub(crate) fn pytorch() -> Option<PathBuf> {
    let python = interpreter();
    let status = Command::new(&python).args(["-c", "import torch, safetensors.torch"]).output();
    let found = status.is_ok_and(|output| output.status.success());
    if !found {
        let why = "no PyTorch: install torch and safetensors beside the packages of `tests/python/requirements.txt`";
        skip(Need::PyTorch, why);
    }
    found.then_some(python)
}

fn interpreter() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::env::var_os("NODULUS_PYTHON").map_or_else(|| root.join(".venv/bin/python"), PathBuf::from)
}

/// Python with the packages of `tests/python/requirements.txt`: `NODULUS_PYTHON`, or the virtual environment that `.ci/run`
/// makes. Without one the check is skipped.
fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let python = PYTHON.get_or_init(|| {
        let python = interpreter();
        let import = "import duckdb, highdicom, polars, pandas, pyarrow, pydicom, SimpleITK, nibabel, imagecodecs, \
                      libjpeg, openjpeg, rle, jpeg_ls, krippendorff, nrrd, plastimatch, rt_utils";
        let status = Command::new(&python).args(["-c", import]).status();
        status.is_ok_and(|status| status.success()).then_some(python)
    });
    if python.is_none() {
        let why = "no Python with the packages of `tests/python/requirements.txt`: install them into `.venv`, as `.ci/run` \
                   does, or set `NODULUS_PYTHON`";
        skip(Need::Peer, why);
    }
    python.as_deref()
}

/// Runs a script of `tests/python` and returns what it prints. Without Python the check is skipped.
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

/// DuckDB's answer to a question of the docs.
#[derive(Deserialize)]
struct Answer {
    question: String,
    sql: String,
    rows: Vec<Vec<Value>>,
}

fn store() -> String {
    fixture::finished().join("store").to_str().unwrap().to_owned()
}

/// Ways of a program to read a table.
#[derive(Deserialize)]
struct Reading {
    rows: u64,
    values: u64,
}

#[test]
fn other_programs_read_every_table_by_what_is_printed() {
    let tables = fixture::run_well(&["tables", "--store", &store(), "--json"]);
    let views = fixture::run_well(&["tables", "--store", &store(), "--sql"]);
    let shown = fixture::shown_rows(&store());
    let arguments = [tables.as_str(), &views, shown.path().to_str().unwrap()];
    let Some(text) = script("read_tables.py", &arguments) else { return };
    let found: BTreeMap<String, BTreeMap<String, Reading>> = serde_json::from_str(&text).unwrap();
    let expected: Vec<Value> = serde_json::from_str(&tables).unwrap();
    assert_eq!(expected.len(), Table::OF_STAGES.len());
    for table in expected {
        let readings = &found[table["table"].as_str().unwrap()];
        for program in ["pandas", "pyarrow", "polars", "DuckDB"] {
            let ways: Vec<_> =
                readings.iter().filter(|(way, _)| way.starts_with(program)).collect();
            assert!(ways.len() > 1, "{program}: {table}");
            for (way, reading) in ways {
                assert_eq!(Some(reading.rows), table["rows"].as_u64(), "{table} by {way}");
                assert!(reading.rows == 0 || reading.values > reading.rows, "{table} by {way}");
            }
        }
    }
}

#[test]
fn pixels_and_masks_are_decoded_as_the_docs_say() {
    let folder = tempfile::tempdir().unwrap();
    let [npz, at] = ["npz", "store"].map(|name| folder.path().join(name));
    let out = npz.to_str().unwrap();
    fixture::run_well(&["export", "rois", "--store", &store(), "--to", "npz", "--out", out]);
    fs_err::create_dir_all(&at).unwrap();
    std::os::unix::fs::symlink(store(), at.join("demo")).unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/query.md");
    let arguments = [page.to_str().unwrap(), folder.path().to_str().unwrap(), out];
    let Some(text) = script("decode_rois.py", &arguments) else { return };
    let found: Value = serde_json::from_str(&text).unwrap();
    let rois: Vec<Roi> = fixture::rows(Path::new(&store()));
    assert_eq!((&found["slices"], &found["rows"]), (&rois.len().into(), &rois.len().into()));
    assert!(found["nodules"].as_u64().unwrap() > 10, "{found}");
}

#[test]
fn each_question_of_the_docs_has_an_answer() {
    let views = fixture::run_well(&["tables", "--store", &store(), "--sql"]);
    let query = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/query.md");
    let Some(text) = script("run_queries.py", &[&views, query.to_str().unwrap()]) else { return };
    let answers: Vec<Answer> = serde_json::from_str(&text).unwrap();
    assert_eq!(answers.len(), 13);
    for answer in answers {
        assert!(!answer.rows.is_empty(), "no answer to: {}", answer.question);
        is_answered_alike(answer);
    }
}

/// The examples of a table of the page on SQL, by the parts of SQL that they show.
pub(crate) fn sql_examples(heading: &str) -> Vec<(String, String)> {
    let page = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/query.md"));
    let page = page.unwrap();
    let section = page.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| part"));
    let example = |row: &str| {
        let cells = row.replace("\\|", "\u{0}");
        let cells: Vec<&str> = cells.trim_matches('|').split('|').map(str::trim).collect();
        let sql = cells[2].trim_matches('`').replace('\u{0}', "|");
        (cells[0].to_owned(), sql)
    };
    rows.map(example).collect()
}

#[test]
fn each_example_of_the_docs_is_answered_as_in_duckdb() {
    let views = fixture::run_well(&["tables", "--store", &store(), "--sql"]);
    let examples = sql_examples("What is answered");
    assert!(examples.len() > 20, "{examples:?}");
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("examples.md");
    let text = examples.iter().map(|(part, sql)| format!("## {part}\n```sql\n{sql}\n```\n"));
    fs_err::write(&page, text.collect::<String>()).unwrap();
    let Some(text) = script("run_queries.py", &[&views, page.to_str().unwrap()]) else { return };
    let answers: Vec<Answer> = serde_json::from_str(&text).unwrap();
    assert_eq!(answers.len(), examples.len());
    answers.into_iter().for_each(is_answered_alike);
}

/// Fails unless nodulus gives DuckDB's rows: in its order, where the question ends with one.
fn is_answered_alike(answer: Answer) {
    let Answer { question, sql, mut rows } = answer;
    let own = fixture::run_well(&["sql", &sql, "--store", &store(), "--format", "json"]);
    let own = own.lines().map(|line| serde_json::from_str::<Map<String, Value>>(line).unwrap());
    let mut own: Vec<Vec<Value>> = own.map(|row| row.values().cloned().collect()).collect();
    let is_ordered = sql.rsplit(')').next().is_some_and(|end| end.contains("ORDER BY"));
    if !is_ordered {
        for rows in [&mut own, &mut rows] {
            rows.sort_by_cached_key(|row| serde_json::to_string(row).unwrap());
        }
    }
    assert_eq!(own.len(), rows.len(), "rows that answer: {question}");
    for (own, other) in own.iter().zip(&rows) {
        let is_same = own.iter().zip(other).all(|(own, other)| match own.as_f64() {
            Some(own) => {
                other.as_f64().is_some_and(|other| (own - other).abs() <= 1e-9 * (1.0 + own.abs()))
            }
            None => own == other,
        });
        assert!(is_same && own.len() == other.len(), "{question}: {own:?}, DuckDB has {other:?}");
    }
}

#[test]
fn other_programs_read_the_phantom_alike() {
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
