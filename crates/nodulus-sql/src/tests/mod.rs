//! Questions to files.

mod refused;

use crate::{Error, Table, query, tables_in};
use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BinaryArray, BooleanArray, Date32Array, FixedSizeListArray,
    Float32Array, Float64Array, Int16Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use fs_err::{self as fs, File};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::WriterProperties;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn write(path: &Path, batch: &RecordBatch) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2)).build();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties))
            .unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    path.to_owned()
}

fn table(name: &str, files: Vec<PathBuf>) -> Table {
    Table { name: name.to_owned(), files, partition_column: None }
}

/// Columns `id`, `n` and `pixels`; `n` is null in every third row.
fn numbered(first: i64, rows: i64) -> RecordBatch {
    let ids = (first..first + rows).map(|n| format!("r{n}"));
    let counts = (first..first + rows).map(|n| (n % 3 != 0).then_some(n));
    let pixels = (first..first + rows).map(|n| vec![n as u8; 64]);
    RecordBatch::try_from_iter([
        ("id", Arc::new(StringArray::from_iter_values(ids)) as ArrayRef),
        ("n", Arc::new(counts.collect::<Int64Array>())),
        ("pixels", Arc::new(BinaryArray::from_iter_values(pixels))),
    ])
    .unwrap()
}

fn ids(answer: &RecordBatch) -> Vec<&str> {
    answer["id"].as_string::<i64>().iter().flatten().collect()
}

#[test]
fn every_type_keeps_its_values_and_nulls() {
    let item = |data_type| Arc::new(Field::new("item", data_type, true));
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(Vec::new()),
    ]);
    let flat = Float64Array::from(vec![Some(1.5), None, None, None, Some(3.0), Some(4.0)]);
    let valid = vec![true, false, true].into();
    let fixed = FixedSizeListArray::new(item(DataType::Float64), 2, Arc::new(flat), Some(valid));
    let inner: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("c")]));
    let structs = StructArray::new(
        vec![Field::new("name", DataType::Utf8, true)].into(),
        vec![inner],
        Some(vec![true, true, false].into()),
    );
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("i16", Arc::new(Int16Array::from(vec![Some(-5), None, Some(i16::MAX)]))),
        ("i64", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(7)]))),
        ("u32", Arc::new(UInt32Array::from(vec![Some(u32::MAX), None, Some(0)]))),
        ("f32", Arc::new(Float32Array::from(vec![Some(0.1), None, Some(f32::INFINITY)]))),
        ("f64", Arc::new(Float64Array::from(vec![Some(0.1), None, Some(-0.0)]))),
        ("text", Arc::new(StringArray::from(vec![Some("é"), None, Some("")]))),
        ("bytes", Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff"[..]), None, Some(b"")]))),
        ("date", Arc::new(Date32Array::from(vec![Some(20_000), None, Some(-1)]))),
        ("list", Arc::new(lists)),
        ("fixed", Arc::new(fixed)),
        ("struct", Arc::new(structs)),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder.path().join("a.parquet"), &batch);
    let answer = query("SELECT * FROM t", &[table("t", vec![file])]).unwrap();
    assert_eq!(answer.num_columns(), batch.num_columns());
    for (n, field) in answer.schema().fields().iter().enumerate() {
        assert_eq!(field.name(), batch.schema().field(n).name());
        // Offsets of the answer are wider.
        let back = arrow::compute::cast(answer.column(n), batch.column(n).data_type()).unwrap();
        assert_eq!(back.to_data(), batch.column(n).to_data(), "{}", field.name());
    }
}

#[test]
fn conditions_limits_and_counts_go_over_row_groups_and_files() {
    let folder = tempfile::tempdir().unwrap();
    let files = vec![
        write(&folder.path().join("a.parquet"), &numbered(0, 5)),
        write(&folder.path().join("b.parquet"), &numbered(5, 5)),
    ];
    let tables = [table("t", files)];
    let ask = |question: &str| query(question, &tables).unwrap();
    assert_eq!(ids(&ask("SELECT id FROM t")), (0..10).map(|n| format!("r{n}")).collect::<Vec<_>>());
    assert_eq!(ids(&ask("SELECT id FROM t LIMIT 3")), ["r0", "r1", "r2"]);
    assert_eq!(ids(&ask("SELECT id FROM t LIMIT 2 OFFSET 6")), ["r6", "r7"]);
    assert_eq!(ids(&ask("SELECT * FROM t WHERE n > 6 LIMIT 1")), ["r7"]);
    assert_eq!(ids(&ask("SELECT id FROM t WHERE n IS NULL AND id <> 'r0'")), ["r3", "r6", "r9"]);
    assert_eq!(
        ids(&ask("SELECT id FROM t WHERE id IN ('r1', 'r8') ORDER BY id DESC")),
        ["r8", "r1"]
    );
    assert_eq!(ids(&ask("SELECT id FROM t ORDER BY id DESC LIMIT 2")), ["r9", "r8"]);
    assert_eq!(
        ids(&ask(
            "SELECT id FROM t WHERE n BETWEEN 2 AND 7 AND id <> 'r7' ORDER BY n DESC LIMIT 2"
        )),
        ["r5", "r4"]
    );
    assert_eq!(ids(&ask("SELECT id FROM t WHERE n > 99")), [""; 0]);
    assert_eq!(ids(&ask("SELECT id FROM t WHERE 1 = 2")), [""; 0]);
    assert_eq!(ask("SELECT id FROM t WHERE 1 = 1").num_rows(), 10);
    assert_eq!(ask("SELECT id FROM t WHERE id LIKE 'r%' AND length(id) = 2").num_rows(), 10);
    let sums = ask("SELECT count(*) AS rows, count(n) AS known, sum(n) AS sum FROM t");
    assert_eq!(sums["rows"].as_primitive::<Int64Type>().values(), &[10]);
    assert_eq!(sums["known"].as_primitive::<Int64Type>().values(), &[6]);
    assert_eq!(sums["sum"].as_primitive::<Int64Type>().values(), &[27]);
    let pixels = ask("SELECT pixels FROM t WHERE id = 'r7'");
    assert_eq!(pixels["pixels"].as_binary::<i64>().value(0), [7; 64]);
}

#[test]
fn columns_that_are_not_asked_for_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder.path().join("a.parquet"), &numbered(0, 4));
    let metadata =
        ParquetMetaDataReader::new().parse_and_finish(File::open(&file).unwrap().file()).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    for group in metadata.row_groups() {
        let (start, length) = group.column(2).byte_range();
        bytes[start as usize..(start + length) as usize].fill(0xff);
    }
    fs::write(&file, bytes).unwrap();
    let tables = [table("t", vec![file])];
    assert_eq!(ids(&query("SELECT id FROM t WHERE n = 2", &tables).unwrap()), ["r2"]);
    assert_eq!(query("SELECT count(*) AS n FROM t", &tables).unwrap().num_rows(), 1);
    // Rows that no condition selects are not read either.
    assert_eq!(query("SELECT * FROM t WHERE id = 'x'", &tables).unwrap().num_rows(), 0);
    let error = query("SELECT pixels FROM t", &tables).unwrap_err();
    assert!(matches!(&error, Error::Read { path, .. } if path.ends_with("a.parquet")), "{error}");
}

#[test]
fn a_folder_gives_a_column_of_text() {
    let folder = tempfile::tempdir().unwrap();
    let days = ["2026-01-31", "2026-02-01"];
    let files = days.map(|day| folder.path().join(format!("x=1/day={day}/part.parquet")));
    write(&files[0], &numbered(0, 2));
    write(&files[1], &numbered(2, 1));
    let days = Table { partition_column: Some("day".to_owned()), ..table("t", files.to_vec()) };
    let tables = [days];
    let ask = |question: &str| query(question, &tables).unwrap();
    let all = ask("SELECT * FROM t");
    assert_eq!(all.schema().field(3).name(), "day");
    let days: Vec<_> = all["day"].as_string::<i64>().iter().flatten().collect();
    assert_eq!(days, ["2026-01-31", "2026-01-31", "2026-02-01"]);
    assert_eq!(ids(&ask("SELECT id FROM t WHERE day > '2026-01-31'")), ["r2"]);
    let counts = ask("SELECT day, count(*) AS n FROM t GROUP BY day ORDER BY day");
    assert_eq!(counts["n"].as_primitive::<Int64Type>().values(), &[2, 1]);
    assert_eq!(ask("SELECT day FROM t LIMIT 1").num_rows(), 1);
}

#[test]
fn tables_with_the_same_columns_stay_apart() {
    let folder = tempfile::tempdir().unwrap();
    let a = write(&folder.path().join("a.parquet"), &numbered(1, 2));
    let b = write(&folder.path().join("b.parquet"), &numbered(2, 3));
    let tables = [table("a", vec![a]), table("b", vec![b])];
    let ask = |question: &str| query(question, &tables).unwrap();
    let both = ask("SELECT id FROM a UNION ALL SELECT id FROM b");
    assert_eq!(ids(&both), ["r1", "r2", "r2", "r3", "r4"]);
    assert_eq!(ids(&ask("SELECT a.id FROM a JOIN b ON a.id = b.id WHERE b.n = 2")), ["r2"]);
    let means = ask("SELECT avg(n) AS mean FROM a WHERE id IN (SELECT id FROM b)");
    assert_eq!(means["mean"].as_primitive::<Float64Type>().values(), &[2.0]);
    assert_eq!(ask("SHOW TABLES").num_rows(), 2);
}

#[test]
fn values_are_computed_only_where_they_are_needed() {
    let folder = tempfile::tempdir().unwrap();
    let tables = [table("a", vec![write(&folder.path().join("a.parquet"), &numbered(0, 6))])];
    for question in [
        "SELECT id FROM a WHERE n <> 4 AND 1 / (n - 4) > 0",
        "SELECT id FROM a WHERE n = 4 OR 1 / (n - 4) > 0",
        "SELECT CASE WHEN n <> 4 THEN 1 % (n - 4) END AS x FROM a",
        "SELECT x.id FROM a x LEFT JOIN a y ON x.n <> 4 AND y.n > 1 / (x.n - 4)",
    ] {
        query(question, &tables).unwrap_or_else(|error| panic!("{question}: {error}"));
    }
}

#[test]
fn pairs_of_rows_are_counted_before_they_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let tables = [table("a", vec![write(&folder.path().join("a.parquet"), &numbered(0, 600))])];
    let count = |question: &str| {
        let answer = query(question, &tables)?;
        Ok::<_, Error>(answer["k"].as_primitive::<Int64Type>().value(0))
    };
    assert_eq!(count("SELECT count(*) AS k FROM a x, a y").unwrap(), 360_000);
    // 216 million.
    let message = count("SELECT count(*) AS k FROM a x, a y, a z").unwrap_err().to_string();
    assert!(message.starts_with("the question leads to more rows than are held"), "{message}");
    let some = "SELECT count(*) AS k FROM a x JOIN a y ON x.id = y.id JOIN a z ON y.n = z.n";
    assert_eq!(count(some).unwrap(), 400);
}

#[test]
fn the_tables_of_a_question_are_named_through_joins_and_subqueries() {
    let question = "WITH large AS (SELECT * FROM nodules WHERE diameter_mm > 8) \
                    SELECT count(*) FROM large JOIN marks USING (mark_id) WHERE id IN (SELECT id FROM scans)";
    let found = tables_in(question);
    assert!(
        ["marks", "nodules", "scans"].iter().all(|name| found.contains(&(*name).to_owned())),
        "{found:?}"
    );
    assert_eq!(tables_in("SELEC"), [""; 0]);
}
