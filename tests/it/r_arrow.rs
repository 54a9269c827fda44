//! The tables as analysts read them with R.

use crate::fixture;
use nodulus_test_needs::{Need, skip};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Whether there is R with the package arrow. Without it the check is skipped.
fn has_arrow() -> bool {
    let status = Command::new("Rscript").args(["-e", "library(arrow)"]).output();
    let found = status.is_ok_and(|output| output.status.success());
    if !found {
        let why = "no R with the package arrow: install R and, in R, `install.packages(\"arrow\")`; Debian has no \
                   package of it";
        skip(Need::R, why);
    }
    found
}

/// The texts of a value and of everything in it, as the script prints them.
fn leaves(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

/// Whether R has the value that was shown. Lists of structs are compared by their length.
fn is_same(shown: &Value, found: &str) -> bool {
    if let Some(n) = found.strip_prefix('[').and_then(|text| text.strip_suffix(" structs]")) {
        return shown.as_array().is_some_and(|items| items.len().to_string() == n);
    }
    let expected = leaves(shown);
    if !shown.is_array() {
        return is_same_text(&expected[0], found);
    }
    let found: Vec<&str> = found.split(['[', ']', ',']).filter(|text| !text.is_empty()).collect();
    expected.len() == found.len() && expected.iter().zip(found).all(|(a, b)| is_same_text(a, b))
}

/// Whether two texts are the same, or are the same number.
fn is_same_text(shown: &str, found: &str) -> bool {
    shown == found || shown.parse::<f64>().is_ok_and(|shown| found.parse() == Ok(shown))
}

#[test]
fn r_reads_every_table_by_what_is_printed() {
    if !has_arrow() {
        return;
    }
    let store = fixture::finished().join("store");
    let store = store.to_str().unwrap();
    let tables = fixture::run_well(&["tables", "--store", store, "--json"]);
    let tables: Vec<Value> = serde_json::from_str(&tables).unwrap();
    let text = |table: &Value, key: &str| table[key].as_str().unwrap().to_owned();
    let output = Command::new("Rscript")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/r/read_tables.R"))
        .args(tables.iter().flat_map(|table| [text(table, "table"), text(table, "glob")]))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The values of each table and way to read it, by row and column.
    let mut found: BTreeMap<(String, String), BTreeMap<(usize, String), String>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let [table, way, row, column, value] =
            line.splitn(5, '\t').collect::<Vec<_>>().try_into().expect(line);
        let of_table = found.entry((table.to_owned(), way.to_owned())).or_default();
        of_table.insert((row.parse::<usize>().unwrap() - 1, column.to_owned()), value.to_owned());
    }
    let shown = fixture::shown_rows(store);
    for table in tables {
        let name = text(&table, "table");
        let rows = fs_err::read_to_string(shown.path().join(format!("{name}.jsonl"))).unwrap();
        for way in ["files", "folder"] {
            let values = found.remove(&(name.clone(), way.to_owned())).unwrap_or_default();
            let mut n = 0;
            for (number, line) in rows.lines().enumerate() {
                let row: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
                for (column, value) in row {
                    let other = &values[&(number, column.clone())];
                    assert!(
                        is_same(&value, other),
                        "{name}, row {number}, {column}: {value}, R has {other}"
                    );
                    n += 1;
                }
            }
            assert_eq!(n, values.len(), "{name} by {way}");
        }
    }
}

#[test]
fn values_of_r_are_compared_by_number_and_by_text() {
    use serde_json::json;
    assert!(is_same(&json!(0.1), "0.10000000000000001") && is_same(&json!(3), "3"));
    assert!(is_same(&Value::Null, "null") && is_same(&json!(true), "true"));
    assert!(is_same(&json!(["a", ["b", "c"]]), "[a,[b,c]]") && is_same(&json!([]), "[]"));
    assert!(is_same(&json!([{"a": 1}, {"a": 3}]), "[2 structs]"));
    assert!(!is_same(&json!(0.1), "0.2") && !is_same(&json!("a"), "b"));
    assert!(!is_same(&json!(["a"]), "[a,b]") && !is_same(&Value::Null, "0"));
}
