//! Parquet files of rows: writing and reading.
//!
//! The same rows give the same bytes: a file holds no time, path or host.

use crate::{ChecksumWriter, Error, Row, TableSpec, hash};
use arrow::array::RecordBatch;
use bytes::Bytes;
use fs_err::File;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{FileMetaData, KeyValue};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::ChunkReader;
use parquet::schema::types::ColumnPath;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Key of the table's name in a file's metadata.
pub(crate) const TABLE_KEY: &str = "nodulus.table";
/// Key of the schema's version in a file's metadata.
const SCHEMA_VERSION_KEY: &str = "nodulus.schema_version";

/// Files up to this size are read whole, because Parquet is read in many small pieces.
const WHOLE_BYTES: u64 = 1 << 20;

/// What a file was made from, as keys and values in its metadata beside its table and schema version.
pub type Provenance = BTreeMap<String, String>;

/// Writes the rows of a part, one row group at a time.
pub struct PartWriter<R> {
    path: PathBuf,
    writer: ChecksumWriter<File>,
    schema: Arc<arrow::datatypes::Schema>,
    waiting: Vec<R>,
    rows: u64,
}

impl<R: Row> PartWriter<R> {
    /// Opens a part.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be created.
    pub fn create(path: &Path, provenance: &Provenance) -> Result<Self, Error> {
        let schema = Arc::new((R::TABLE.schema)());
        let file = File::create(path)?;
        let writer = ChecksumWriter::new(file, schema.clone(), properties(R::TABLE, provenance))
            .map_err(|error| Error::WriteParquet { path: path.to_owned(), error })?;
        Ok(Self { path: path.to_owned(), writer, schema, waiting: Vec::new(), rows: 0 })
    }

    /// Adds rows. At most one row group is kept in memory.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written to.
    pub fn write(&mut self, rows: impl IntoIterator<Item = R>) -> Result<(), Error> {
        for row in rows {
            self.waiting.push(row);
            if self.waiting.len() >= R::TABLE.row_group_rows {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Closes the file, which is not synced to disk yet, and returns its number of rows.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written to.
    pub fn finish(mut self) -> Result<u64, Error> {
        self.flush()?;
        let path = self.path;
        self.writer.finish().map_err(|error| Error::WriteParquet { path, error })?;
        // Taking the file out of the writer would lose the cause of an error.
        self.writer.flush()?;
        Ok(self.rows)
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let batch = to_batch(&self.path, &self.schema, &self.waiting)?;
        self.rows += self.waiting.len() as u64;
        self.waiting.clear();
        let write = |error| Error::WriteParquet { path: self.path.clone(), error };
        self.writer.write(&batch).map_err(write)
    }
}

fn to_batch<R: Row>(
    path: &Path,
    schema: &arrow::datatypes::Schema,
    rows: &[R],
) -> Result<RecordBatch, Error> {
    serde_arrow::to_record_batch(schema.fields(), &rows).map_err(|source| Error::Columns {
        path: path.to_owned(),
        table: R::TABLE.name,
        source: Box::new(source),
    })
}

fn properties(table: &TableSpec, provenance: &Provenance) -> WriterProperties {
    let mut metadata = vec![
        KeyValue::new(TABLE_KEY.to_owned(), table.name.to_owned()),
        KeyValue::new(SCHEMA_VERSION_KEY.to_owned(), table.schema_version.to_string()),
    ];
    metadata.extend(
        provenance
            .iter()
            .map(|(key, value)| KeyValue::new(format!("nodulus.{key}"), value.clone())),
    );
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("nodulus ", env!("CARGO_PKG_VERSION")).to_owned())
        // zstd sets up its state anew for each column and part, which costs more than reading a few hundred rows.
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(table.row_group_rows))
        .set_key_value_metadata(Some(metadata));
    for column in table.pixel_columns {
        let path = ColumnPath::from(*column);
        builder = builder
            .set_column_compression(path.clone(), Compression::ZSTD(ZstdLevel::default()))
            .set_column_statistics_enabled(path.clone(), EnabledStatistics::None)
            .set_column_dictionary_enabled(path, false);
    }
    for column in table.uncompressed_columns {
        let path = ColumnPath::from(*column);
        builder = builder.set_column_compression(path, Compression::UNCOMPRESSED);
    }
    for column in table.id_columns {
        let path = ColumnPath::from(*column);
        // A filter is allocated for this many values and then folded to the number that exist.
        let most = table.row_group_rows as u64;
        builder = builder
            .set_column_bloom_filter_enabled(path.clone(), true)
            .set_column_bloom_filter_max_ndv(path, most);
    }
    builder.build()
}

/// Reads the rows of a part in batches.
///
/// The fields of `T` name the columns: a type with some of the table's columns reads only those.
pub struct PartReader<T> {
    pub(crate) path: PathBuf,
    pub(crate) table: &'static TableSpec,
    pub(crate) batches: ParquetRecordBatchReader,
    pub(crate) rows: std::marker::PhantomData<T>,
}

impl<T: DeserializeOwned> PartReader<T> {
    /// Opens a part to read all columns, or the named ones.
    ///
    /// # Errors
    ///
    /// Fails if the file is not Parquet, or holds another table or another version of it.
    pub fn open(
        path: &Path,
        table: impl Into<&'static TableSpec>,
        columns: Option<&[&str]>,
    ) -> Result<Self, Error> {
        let table = table.into();
        let file = File::open(path)?;
        let batches = if file.metadata()?.len() <= WHOLE_BYTES {
            batches(path, Bytes::from(fs_err::read(path)?), table, columns)
        } else {
            batches(path, file.into_parts().0, table, columns)
        };
        let path = path.to_owned();
        Ok(Self { path, table, batches: batches?, rows: std::marker::PhantomData })
    }
}

/// Opens a file as a part of a table.
pub(crate) fn builder<B: ChunkReader + 'static>(
    path: &Path,
    bytes: B,
    table: &'static TableSpec,
) -> Result<ParquetRecordBatchReaderBuilder<B>, Error> {
    let read = |source| Error::ReadParquet { path: path.to_owned(), source };
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(read)?;
    check_metadata(path, table, builder.metadata().file_metadata())?;
    Ok(builder)
}

/// Reads the record batches of a file.
fn batches(
    path: &Path,
    bytes: impl ChunkReader + 'static,
    table: &'static TableSpec,
    columns: Option<&[&str]>,
) -> Result<ParquetRecordBatchReader, Error> {
    let read = |source| Error::ReadParquet { path: path.to_owned(), source };
    let mut builder = builder(path, bytes, table)?;
    if let Some(columns) = columns {
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        builder = builder.with_projection(mask);
    }
    builder.with_batch_size(table.row_group_rows.min(4096)).build().map_err(read)
}

impl<T: DeserializeOwned> Iterator for PartReader<T> {
    type Item = Result<Vec<T>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.batches.next()? {
            Ok(batch) => batch,
            Err(error) => {
                return Some(Err(Error::ReadParquet {
                    path: self.path.clone(),
                    source: error.into(),
                }));
            }
        };
        Some(serde_arrow::from_record_batch(&batch).map_err(|source| Error::Columns {
            path: self.path.clone(),
            table: self.table.name,
            source: Box::new(source),
        }))
    }
}

/// SHA-256 of a part: of the whole file, or of all columns but the volatile ones where the table has any.
pub(crate) fn content_sha256(path: &Path, table: &TableSpec) -> Result<String, Error> {
    if table.volatile_columns.is_empty() {
        return Ok(hash::sha256_file(path)?);
    }
    let read = |source| Error::ReadParquet { path: path.to_owned(), source };
    let mut file = File::open(path)?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(File::open(path)?.into_parts().0).map_err(read)?;
    let mut hash = Sha256::new();
    let mut bytes = Vec::new();
    for group in builder.metadata().row_groups() {
        hash.update(group.num_rows().to_le_bytes());
        for column in group.columns() {
            let name = column.column_path().parts().first().map_or("", String::as_str);
            if table.volatile_columns.contains(&name) {
                continue;
            }
            let (start, length) = column.byte_range();
            hash.update(column.column_path().string());
            hash.update(length.to_le_bytes());
            bytes.resize(length as usize, 0);
            file.seek(SeekFrom::Start(start))?;
            file.read_exact(&mut bytes)?;
            hash.update(&bytes);
        }
    }
    Ok(hash::hexadecimal(&hash.finalize()))
}

/// Number of rows of a Parquet file, from its footer.
pub(crate) fn n_rows(path: &Path) -> Result<u64, Error> {
    let read = |source| Error::ReadParquet { path: path.to_owned(), source };
    let file = File::open(path)?.into_parts().0;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(read)?;
    Ok(u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0))
}

pub(crate) fn check_metadata(
    path: &Path,
    table: &'static TableSpec,
    file: &FileMetaData,
) -> Result<(), Error> {
    let metadata = file.key_value_metadata();
    let value = |key: &str| {
        metadata?.iter().find(|entry| entry.key == key).and_then(|entry| entry.value.clone())
    };
    let found = value(TABLE_KEY).unwrap_or_else(|| "(none)".to_owned());
    if found != table.name {
        return Err(Error::OtherTable { path: path.to_owned(), found, expected: table.name });
    }
    let found = value(SCHEMA_VERSION_KEY).and_then(|v| v.parse().ok()).unwrap_or(0);
    let expected = table.schema_version;
    if found != expected {
        return Err(Error::OtherVersion {
            path: path.to_owned(),
            table: table.name,
            found,
            expected,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Slice, Visit};
    use serde::Deserialize;

    #[test]
    fn rows_come_back_in_order_and_files_are_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let rows: Vec<Slice> = (0..300).map(Slice::new).collect();
        let paths = ["a", "b"].map(|name| folder.path().join(name));
        for path in &paths {
            let mut writer = PartWriter::create(path, &Provenance::new()).unwrap();
            writer.write(rows.clone()).unwrap();
            assert_eq!(writer.finish().unwrap(), 300);
        }
        assert_eq!(fs_err::read(&paths[0]).unwrap(), fs_err::read(&paths[1]).unwrap());
        let back: Vec<Slice> = PartReader::open(&paths[0], Slice::TABLE, None)
            .unwrap()
            .flat_map(Result::unwrap)
            .collect();
        assert_eq!(back, rows);
    }

    #[test]
    fn a_type_with_fewer_columns_reads_those() {
        #[derive(Deserialize)]
        struct Ids {
            image_id: String,
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut writer = PartWriter::create(&path, &Provenance::new()).unwrap();
        writer.write([Slice::new(7)]).unwrap();
        writer.finish().unwrap();
        let ids: Vec<Ids> = PartReader::open(&path, Slice::TABLE, Some(&["image_id"]))
            .unwrap()
            .flat_map(Result::unwrap)
            .collect();
        assert_eq!(ids[0].image_id, "s7");
    }

    #[test]
    fn an_empty_part_is_a_table_without_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let writer = PartWriter::<Visit>::create(&path, &Provenance::new()).unwrap();
        assert_eq!(writer.finish().unwrap(), 0);
        assert_eq!(PartReader::<Visit>::open(&path, Visit::TABLE, None).unwrap().count(), 0);
    }

    #[test]
    fn another_table_and_other_files_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        PartWriter::<Visit>::create(&path, &Provenance::new()).unwrap().finish().unwrap();
        let error = PartReader::<Slice>::open(&path, Slice::TABLE, None).err().unwrap().to_string();
        assert!(error.ends_with("holds table `visits`, expected `slices`"), "{error}");
        fs_err::write(&path, "not Parquet").unwrap();
        let error = PartReader::<Slice>::open(&path, Slice::TABLE, None).err().unwrap().to_string();
        assert!(error.contains("as Parquet"), "{error}");
    }
}
