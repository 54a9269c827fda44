//! Generated questions, answered beside DuckDB: each answer is DuckDB's, or the question is refused.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should panic")]
#![expect(clippy::print_stdout, reason = "the test says how many questions are answered")]

use arrow::array::{
    Array, ArrayRef, AsArray as _, BinaryArray, BooleanArray, Date32Array, Float64Array,
    Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type};
use arrow::temporal_conversions::date32_to_datetime;
use fs_err::File;
use nodulus_sql::{Table, query};
use nodulus_test_needs::{Need, skip};
use parquet::arrow::ArrowWriter;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use serde::Deserialize;
use serde_json::{Value, json};
use std::error::Error as _;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// Least share of the questions that DuckDB answers and that must be answered here, so that refusing all is no way out.
const LEAST_ANSWERED: f64 = 0.6;

/// A question with DuckDB's answer.
#[derive(Deserialize)]
struct Question {
    sql: String,
    rows: Option<Vec<Vec<Value>>>,
    kinds: Option<Vec<String>>,
    error: Option<String>,
    ordered: bool,
}

/// A table of a store, and where its files are.
#[derive(Deserialize)]
struct Given {
    table: String,
    files: Vec<PathBuf>,
}

/// Python with DuckDB: `NODULUS_PYTHON`, or the virtual environment that `.ci/run` makes.
fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = std::env::var_os("NODULUS_PYTHON")
        .map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    let status = Command::new(&python).args(["-c", "import duckdb"]).status();
    if status.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    skip(
        Need::Peer,
        "no Python with DuckDB: install `tests/python/requirements.txt` into `.venv`, or set `NODULUS_PYTHON`",
    );
    None
}

/// A table with every kind of column, and with nulls, repeated values and values at the edges.
fn table(rows: usize, seed: u64) -> RecordBatch {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let mut some = |n: u32| random.random_range(0..n) as usize;
    let mut known = Vec::new();
    for _ in 0..rows {
        known.push([some(5), some(9), some(12), some(12), some(4), some(6), some(5)]);
    }
    let numbers = [0.5, -0.0, 0.0, 2.5, -1.25, f64::NAN, 1e10, 3.0, 0.1, 2.0, -7.5];
    let texts = ["a", "", "abc", "A", "Ünï", "b'c", "luna16", "a%b", "z1", " a-b ", "x--y-a"];
    let ids = (0..rows).map(|row| Some(row as i64 * 3 + seed as i64));
    let n = known.iter().map(|k| [None, Some(0), Some(2), Some(-3), Some(7)][k[0]]);
    let m = known.iter().map(|k| (k[1] > 0).then(|| k[1] as i64 - 4));
    let x = known.iter().map(|k| numbers.get(k[2]).copied());
    let s = known.iter().map(|k| texts.get(k[3]).copied());
    let b = known.iter().map(|k| [Some(true), Some(false), None, Some(true)][k[4]]);
    let d = known.iter().map(|k| (k[5] > 0).then(|| 18_000 + k[5] as i32 * 31));
    let mut tags = ListBuilder::new(StringBuilder::new());
    for k in &known {
        match k[6] {
            0 => tags.append_null(),
            length => {
                (1..length).for_each(|n| tags.values().append_value(format!("t{n}")));
                tags.append(true);
            }
        }
    }
    let bytes = known.iter().map(|k| (k[6] > 1).then(|| vec![7u8; k[6]])).collect::<Vec<_>>();
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(ids.collect::<Int64Array>()) as ArrayRef, true),
        ("n", Arc::new(n.collect::<Int64Array>()), true),
        ("m", Arc::new(m.collect::<Int64Array>()), true),
        ("x", Arc::new(x.collect::<Float64Array>()), true),
        ("s", Arc::new(s.collect::<StringArray>()), true),
        ("b", Arc::new(b.collect::<BooleanArray>()), true),
        ("d", Arc::new(d.collect::<Date32Array>()), true),
        ("tags", Arc::new(tags.finish()), true),
        ("raw", Arc::new(bytes.iter().map(Option::as_deref).collect::<BinaryArray>()), true),
    ])
    .unwrap()
}

fn written(folder: &Path) -> Vec<Table> {
    let tables = [("first", 60, 1), ("second", 25, 2), ("third", 9, 4), ("nothing", 0, 3)];
    let of = |(name, rows, seed): (&str, usize, u64)| {
        let file = folder.join(format!("{name}.parquet"));
        let batch = table(rows, seed);
        let mut writer =
            ArrowWriter::try_new(File::create(&file).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        Table { name: name.to_owned(), files: vec![file], partition_column: None }
    };
    tables.into_iter().map(of).collect()
}

/// SQL that defines the tables in DuckDB.
fn views(tables: &[Table]) -> String {
    tables.iter().fold(String::new(), |mut sql, table| {
        let files: Vec<String> = table.files.iter().map(|f| format!("'{}'", f.display())).collect();
        let (name, files) = (&table.name, files.join(", "));
        writeln!(sql, "CREATE VIEW {name} AS SELECT * FROM read_parquet([{files}]);").unwrap();
        sql
    })
}

fn value(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) || *array.data_type() == DataType::Null {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => match array.as_primitive::<Float64Type>().value(row) {
            number if number.is_finite() => json!(number),
            number if number.is_nan() => json!("NaN"),
            number => json!(if number > 0.0 { "inf" } else { "-inf" }),
        },
        DataType::LargeUtf8 => json!(array.as_string::<i64>().value(row)),
        DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
        DataType::LargeBinary => {
            json!(format!("{} bytes", array.as_binary::<i64>().value(row).len()))
        }
        DataType::Date32 => {
            let day = array.as_primitive::<Date32Type>().value(row);
            json!(date32_to_datetime(day).unwrap().date().to_string())
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).map(|n| value(&items, n)).collect()
        }
        DataType::FixedSizeList(..) => {
            let items = array.as_fixed_size_list().value(row);
            (0..items.len()).map(|n| value(&items, n)).collect()
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            columns.map(|(field, column)| (field.name().clone(), value(column, row))).collect()
        }
        other => panic!("{other}"),
    }
}

fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| is_same(a, b)))
        }
        _ => match (a.as_i64(), b.as_i64(), a.as_f64(), b.as_f64()) {
            (Some(a), Some(b), ..) => a == b,
            (_, _, Some(a), Some(b)) => (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs())),
            _ => a == b,
        },
    }
}

/// A text by which rows are brought into one order: numbers are rounded, so that nearly equal ones stay together.
fn rank(row: &[Value]) -> String {
    let text = |value: &Value| match value.as_f64() {
        Some(number) => format!("{:.9e}", number + 0.0),
        None => value.to_string(),
    };
    row.iter().map(text).collect::<Vec<_>>().join("|")
}

/// The kind of a column; none where all its values are null, for which programs choose one.
fn kind(array: &ArrayRef) -> Option<&'static str> {
    if array.null_count() == array.len() {
        return None;
    }
    Some(match array.data_type() {
        DataType::Null => return None,
        DataType::Boolean => "bool",
        DataType::Int64 => "int",
        DataType::Float64 => "num",
        DataType::LargeUtf8 => "text",
        DataType::Date32 => "date",
        DataType::LargeBinary => "bytes",
        DataType::List(item) if *item.data_type() == DataType::Utf8 => "texts",
        _ => "other",
    })
}

/// What is wrong with an answer.
fn difference(
    answer: &RecordBatch,
    expected: &[Vec<Value>],
    kinds: &[String],
    ordered: bool,
) -> Option<String> {
    if answer.num_columns() != kinds.len() {
        return Some(format!("{} columns, DuckDB has {}", answer.num_columns(), kinds.len()));
    }
    for (column, expected) in answer.columns().iter().zip(kinds) {
        if let Some(own) = kind(column).filter(|own| own != expected) {
            return Some(format!("a column of {own}, DuckDB has {expected}"));
        }
    }
    let rows = 0..answer.num_rows();
    let mut own: Vec<Vec<Value>> = rows
        .map(|row| answer.columns().iter().map(|column| value(column, row)).collect())
        .collect();
    let mut expected = expected.to_vec();
    if !ordered {
        own.sort_by_cached_key(|row| rank(row));
        expected.sort_by_cached_key(|row| rank(row));
    }
    if own.len() != expected.len() {
        return Some(format!("{} rows, DuckDB has {}", own.len(), expected.len()));
    }
    let differs = |(own, other): &(&Vec<Value>, &Vec<Value>)| {
        own.len() != other.len() || own.iter().zip(*other).any(|(a, b)| !is_same(a, b))
    };
    own.iter()
        .zip(&expected)
        .find(differs)
        .map(|(own, other)| format!("{}, DuckDB has {}", json!(own), json!(other)))
}

/// Whether an error of DuckDB is about a value, or is DuckDB's own fault.
fn is_of_value(error: &str) -> bool {
    let starts =
        ["Conversion Error", "Out of Range Error", "Invalid Input Error", "INTERNAL Error"];
    starts.iter().any(|start| error.starts_with(start))
}

/// Asks so many questions, the written ones first; returns how many of those that DuckDB answers were answered, and of how
/// many.
fn ask(
    python: &Path,
    tables: &[Table],
    seed: u64,
    n: usize,
    written: &[PathBuf],
) -> (usize, usize) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/python/sql_questions.py");
    let written = written.iter().map(|path| path.display().to_string());
    let arguments = [views(tables), seed.to_string(), n.to_string()].into_iter().chain(written);
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let questions: Vec<Question> = serde_json::from_slice(&output.stdout).unwrap();
    let (mut answered, mut possible, mut wrong) = (0, 0, Vec::new());
    let verbose = std::env::var_os("NODULUS_SQL_REFUSALS").is_some();
    for question in questions {
        possible += usize::from(question.rows.is_some());
        match (query(&question.sql, tables), question.rows) {
            (Ok(answer), Some(rows)) => {
                answered += 1;
                let kinds = question.kinds.unwrap_or_default();
                if let Some(difference) = difference(&answer, &rows, &kinds, question.ordered) {
                    wrong.push(format!("{}\n    {difference}", question.sql));
                }
            }
            // DuckDB computes constants before it knows that no row needs them.
            (Ok(_), None) if question.error.as_ref().is_some_and(|e| is_of_value(e)) => {}
            (Ok(_), None) => {
                let error = question.error.unwrap_or_default();
                wrong.push(format!("{}\n    answered; DuckDB says: {error}", question.sql));
            }
            (Err(error), rows) if verbose => {
                let other = if rows.is_some() { "answered" } else { "refused" };
                println!(
                    "{other} by DuckDB: {error} {:?}\n    {}",
                    error.source().map(ToString::to_string),
                    question.sql
                );
            }
            (Err(_), _) => {}
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
    (answered, possible)
}

#[test]
fn every_answer_is_that_of_duckdb() {
    let Some(python) = python() else { return };
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (seed, n) =
        (number("NODULUS_SQL_SEED").unwrap_or(18), number("NODULUS_SQL_N").unwrap_or(600));
    let folder = tempfile::tempdir().unwrap();
    let tables = match std::env::var("NODULUS_SQL_TABLES") {
        // Tables of a store: JSON of names and files.
        Ok(given) => {
            let given: Vec<Given> = serde_json::from_str(&given).unwrap();
            let table = |given: Given| Table {
                name: given.table,
                files: given.files,
                partition_column: None,
            };
            given.into_iter().map(table).collect()
        }
        Err(_) => written(folder.path()),
    };
    let (answered, possible) = ask(&python, &tables, seed, n as usize, &[]);
    println!("{answered} of {possible} questions are answered");
    assert!(possible * 10 > n as usize * 7, "DuckDB answers {possible} of {n} questions");
    let share = answered as f64 / possible as f64;
    assert!(share >= LEAST_ANSWERED, "{answered} of {possible} questions are answered");
}

#[test]
fn every_written_question_is_answered_as_duckdb_answers_it() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let tables = written(folder.path());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/questions.sql");
    let n = fs_err::read_to_string(&file).unwrap().lines().count();
    assert_eq!(ask(&python, &tables, 1, n, &[file]), (n, n));
}
