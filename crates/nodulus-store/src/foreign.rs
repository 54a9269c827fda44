//! Parquet files that need not come from this store or this program.

use crate::part_file::TABLE_KEY;
use crate::{Error, TableSpec};
use arrow::array::RecordBatch;
use fs_err::File;
use nodulus_faults::{FileError, caught};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader;
use serde::de::DeserializeOwned;
use std::path::Path;

/// Most times its own bytes that a file's columns may take in memory, unless that is less than [`SMALL_BYTES`]: a column of
/// one value takes next to nothing in a file.
const MAX_RATIO: u64 = 1032;

/// What the columns of a file of any size may take in memory.
const SMALL_BYTES: u64 = 256 << 20;

/// Most rows that [`each_batch`] passes on together.
const BATCH_ROWS: usize = 128;

/// [`read_columns`] of a table in any version; a file that names another table in its metadata is refused.
///
/// # Errors
///
/// As [`read_columns`], and if the file holds another table.
pub fn read<T: DeserializeOwned>(
    path: &Path,
    table: impl Into<&'static TableSpec>,
    needed: &[&str],
    wanted: &[&str],
) -> Result<Vec<T>, Error> {
    let table = table.into().name;
    let own_name = without_panic(path, || {
        let builder = open(path, &[], &[])?;
        let metadata = builder.metadata().file_metadata().key_value_metadata();
        let entry = metadata.and_then(|all| all.iter().find(|entry| entry.key == TABLE_KEY));
        Ok(entry.and_then(|entry| entry.value.clone()))
    })?;
    if let Some(found) = own_name.filter(|name| name != table) {
        let path = path.to_owned();
        return Err(Error::OtherTable { path, found, expected: table });
    }
    read_columns(path, needed, wanted)
}

/// Runs what reads a file. The library that reads Parquet panics on some damaged files; that is a fault of the file.
fn without_panic<T>(path: &Path, read: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    caught(read).unwrap_or_else(|panic| {
        let text = format!("it is damaged: {}", panic.message);
        Err(Error::ReadParquet { path: path.to_owned(), source: ParquetError::General(text) })
    })
}

/// Reads some columns of all rows of a file; the fields of `T` are the columns.
///
/// Columns are found by name; those of `needed` must exist, those of `wanted` are optional.
///
/// # Errors
///
/// Fails if the file is not Parquet, its columns are missing or of other types, or they take more than 1,032 times the file's
/// bytes.
pub fn read_columns<T: DeserializeOwned>(
    path: &Path,
    needed: &[&str],
    wanted: &[&str],
) -> Result<Vec<T>, Error> {
    without_panic(path, || read_undamaged(path, needed, wanted))
}

/// [`read_columns`], with panics on damaged files.
fn read_undamaged<T: DeserializeOwned>(
    path: &Path,
    needed: &[&str],
    wanted: &[&str],
) -> Result<Vec<T>, Error> {
    let most_bytes = fs_err::metadata(path).map_err(FileError::at(path))?.len();
    let most_bytes = most_bytes.saturating_mul(MAX_RATIO).max(SMALL_BYTES);
    let batches = open(path, needed, wanted)?.build();
    let batches = batches.map_err(|source| wrong(path, source))?;
    let (mut rows, mut n_bytes): (Vec<T>, _) = (Vec::new(), 0);
    for batch in batches {
        let batch = batch.map_err(|error| wrong(path, error.into()))?;
        n_bytes += batch.get_array_memory_size() as u64;
        if n_bytes > most_bytes {
            let text = format!("its columns take more than {most_bytes} bytes in memory");
            return Err(wrong(path, ParquetError::General(text)));
        }
        rows.extend(of_batch::<T>(path, &batch, needed)?);
    }
    Ok(rows)
}

/// Passes some columns of a file to a function, at most 128 rows at a time, so that a file of any length takes little memory:
/// of all rows, or of those at `positions`, which count from 0 and ascend. Columns are found as by [`read_columns`].
///
/// # Errors
///
/// Fails if the file is not Parquet, its columns are missing or of other types, or `take` fails.
pub fn each_batch<T: DeserializeOwned, E: From<Error>>(
    path: &Path,
    needed: &[&str],
    wanted: &[&str],
    positions: Option<&[u64]>,
    mut take: impl FnMut(Vec<T>) -> Result<(), E>,
) -> Result<(), E> {
    let mut batches = without_panic(path, || at_positions(path, needed, wanted, positions))?;
    loop {
        let rows = without_panic(path, || match batches.next() {
            None => Ok(None),
            Some(Ok(batch)) => of_batch::<T>(path, &batch, needed).map(Some),
            Some(Err(error)) => Err(wrong(path, error.into())),
        })?;
        match rows {
            Some(rows) => take(rows)?,
            None => return Ok(()),
        }
    }
}

/// Opens a file to read its rows, or those at some positions.
fn at_positions(
    path: &Path,
    needed: &[&str],
    wanted: &[&str],
    positions: Option<&[u64]>,
) -> Result<ParquetRecordBatchReader, Error> {
    let mut builder = open(path, needed, wanted)?.with_batch_size(BATCH_ROWS);
    if let Some(positions) = positions {
        let n_rows = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let position = |position: &u64| usize::try_from(*position).ok().filter(|n| *n < n_rows);
        let rows = positions.iter().filter_map(position).map(|n| n..n + 1);
        builder = builder.with_row_selection(RowSelection::from_consecutive_ranges(rows, n_rows));
    }
    builder.build().map_err(|source| wrong(path, source))
}

/// Opens a file to read some of its columns.
fn open(
    path: &Path,
    needed: &[&str],
    wanted: &[&str],
) -> Result<ParquetRecordBatchReaderBuilder<impl ChunkReader + use<>>, Error> {
    let file = File::open(path).map_err(FileError::at(path))?.into_parts().0;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|source| wrong(path, source))?;
    let found: Vec<String> = builder.schema().fields().iter().map(|f| f.name().clone()).collect();
    let missing: Vec<String> = needed
        .iter()
        .filter(|name| !found.iter().any(|f| f == *name))
        .map(ToString::to_string)
        .collect();
    if !missing.is_empty() {
        return Err(Error::MissingColumns { path: path.to_owned(), missing, found });
    }
    let columns = needed.iter().chain(wanted).copied();
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
    Ok(builder.with_projection(mask))
}

/// The rows of a batch.
fn of_batch<T: DeserializeOwned>(
    path: &Path,
    batch: &RecordBatch,
    needed: &[&str],
) -> Result<Vec<T>, Error> {
    serde_arrow::from_record_batch::<Vec<T>>(batch).map_err(|source| {
        let wanted = needed.iter().map(ToString::to_string).collect();
        Error::ColumnTypes { path: path.to_owned(), wanted, source: Box::new(source) }
    })
}

fn wrong(path: &Path, source: ParquetError) -> Error {
    Error::ReadParquet { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Slice, Visit};
    use crate::{PartWriter, Provenance, Row as _};
    use arrow::array::{Int32Array, LargeStringArray};
    use parquet::arrow::arrow_writer::ArrowWriter;
    use serde::Deserialize;
    use std::sync::Arc;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Columns {
        nodule_id: String,
        n_marks: Option<i64>,
        #[serde(default)]
        subtlety: Option<f64>,
    }

    fn read_some(path: &Path) -> Result<Vec<Columns>, Error> {
        read(path, Slice::TABLE, &["nodule_id", "n_marks"], &["subtlety"])
    }

    #[test]
    fn a_small_file_does_not_fill_the_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let n = 1 << 16;
        let batch = RecordBatch::try_from_iter([
            ("n_marks", Arc::new(Int32Array::from(vec![1; n])) as _),
            ("nodule_id", Arc::new(LargeStringArray::from(vec!["a"; n])) as _),
        ])
        .unwrap();
        let file = File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        for _ in 0..400 {
            writer.write(&batch).unwrap();
        }
        writer.close().unwrap();
        assert!(path.metadata().unwrap().len() < 250_000);
        let error = read_some(&path).unwrap_err();
        let Error::ReadParquet { source, .. } = error else { panic!("{error}") };
        let expected = "its columns take more than 268435456 bytes in memory";
        assert!(source.to_string().ends_with(expected), "{source}");
    }

    #[test]
    fn files_of_other_programs_are_read_by_the_names_of_columns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let batch = RecordBatch::try_from_iter([
            ("n_marks", Arc::new(Int32Array::from(vec![Some(3), None])) as _),
            ("other", Arc::new(Int32Array::from(vec![1, 2])) as _),
            ("nodule_id", Arc::new(LargeStringArray::from(vec!["a", "b"])) as _),
        ])
        .unwrap();
        let file = File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let row = |id: &str, n_marks| Columns { nodule_id: id.to_owned(), n_marks, subtlety: None };
        assert_eq!(read_some(&path).unwrap(), [row("a", Some(3)), row("b", None)]);
        let error =
            read::<Columns>(&path, Slice::TABLE, &["nodule_id", "z", "y"], &[]).unwrap_err();
        let error = error.to_string();
        assert!(error.ends_with("has no column z, y; found n_marks, other, nodule_id"), "{error}");
    }

    #[test]
    fn a_file_with_any_byte_changed_is_read_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let batch = RecordBatch::try_from_iter([
            ("n_marks", Arc::new(Int32Array::from(vec![Some(3), None, Some(3)])) as _),
            ("nodule_id", Arc::new(LargeStringArray::from(vec!["a", "b", "a"])) as _),
        ])
        .unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let whole = writer.into_inner().unwrap();
        let mut n_panics = 0;
        for at in 0..whole.len() {
            for value in [0, 0xFF, whole[at] ^ 2] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                fs_err::write(&path, bytes).unwrap();
                let Err(Error::ReadParquet { source, .. }) = read_some(&path) else { continue };
                n_panics += usize::from(source.to_string().contains("it is damaged: "));
            }
        }
        assert!(n_panics > 0, "the library no longer panics: `caught` is not needed");
    }

    #[test]
    fn a_long_file_comes_in_batches_and_by_position() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let ids: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        let batch = RecordBatch::try_from_iter([
            ("n_marks", Arc::new(Int32Array::from_iter_values(0..1000)) as _),
            ("nodule_id", Arc::new(LargeStringArray::from(ids)) as _),
        ])
        .unwrap();
        let properties = parquet::file::properties::WriterProperties::builder()
            .set_max_row_group_row_count(Some(300))
            .build();
        let file = File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let read = |positions: Option<&[u64]>| {
            let (mut rows, mut most) = (Vec::new(), 0);
            each_batch(&path, &["nodule_id", "n_marks"], &[], positions, |batch: Vec<Columns>| {
                most = most.max(batch.len());
                rows.extend(batch.into_iter().map(|row| (row.nodule_id, row.n_marks)));
                Ok::<(), Error>(())
            })
            .unwrap();
            (rows, most)
        };
        let row = |n: i64| (n.to_string(), Some(n));
        assert_eq!(read(None), ((0..1000).map(row).collect(), BATCH_ROWS));
        let at = [0, 299, 300, 301, 999];
        assert_eq!(read(Some(&at)).0, [0, 299, 300, 301, 999].map(row));
        assert_eq!(read(Some(&[])).0, []);
        // What the function says ends the reading.
        let mut n = 0;
        let stopped = each_batch(&path, &["nodule_id"], &[], None, |_: Vec<Columns>| {
            n += 1;
            Err(Error::MissingColumns { path: path.clone(), missing: vec![], found: vec![] })
        });
        assert!(stopped.is_err() && n == 1);
    }

    #[test]
    fn other_tables_of_a_store_and_other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        PartWriter::<Visit>::create(&path, &Provenance::new()).unwrap().finish().unwrap();
        let error = read_some(&path).unwrap_err().to_string();
        assert!(error.ends_with("holds table `visits`, expected `slices`"), "{error}");
        fs_err::write(&path, "not Parquet").unwrap();
        assert!(read_some(&path).unwrap_err().to_string().contains("as Parquet"));
    }
}
