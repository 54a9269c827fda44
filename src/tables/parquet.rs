//! Rows to Parquet files and back.
//!
//! Files are the same bytes for the same rows: no time, path or host goes into them.

use super::{Row, Table};
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::arrow::arrow_writer::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::file::metadata::{FileMetaData, KeyValue};
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::schema::types::ColumnPath;
use arrow::array::RecordBatch;
use fs_err::File;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Key of the table's name in a file's metadata.
pub(super) const TABLE_KEY: &str = "nodulus.table";
/// Key of the schema's version in a file's metadata.
const SCHEMA_VERSION_KEY: &str = "nodulus.schema_version";

/// A Parquet file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file is not Parquet, or damaged.
    #[error("cannot read `{path}` as Parquet")]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ::parquet::errors::ParquetError,
    },
    /// The file could not be written.
    #[error("cannot write `{path}` as Parquet")]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: ::parquet::errors::ParquetError,
    },
    /// The file's columns are not the rows' fields.
    #[error("rows of `{path}` do not have the columns of `{table}`")]
    Columns {
        /// The file.
        path: PathBuf,
        /// The table that it should hold.
        table: Table,
        /// What differs.
        source: Box<serde_arrow::Error>,
    },
    /// The file holds another table.
    #[error("`{path}` holds table `{found}`, expected `{expected}`")]
    OtherTable {
        /// The file.
        path: PathBuf,
        /// The table in its metadata.
        found: String,
        /// The table asked for.
        expected: Table,
    },
    /// The file was written with another version of the table's columns.
    #[error(
        "`{path}` has version {found} of table `{table}`, this nodulus reads version {expected}: {}",
        if found > expected { "use a newer nodulus" } else { "run the stage again with `--force`" }
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// The table.
        table: Table,
        /// Version in the file.
        found: u32,
        /// Version that this program reads.
        expected: u32,
    },
}

/// What a file says about where it came from, beyond its table and schema version.
pub type Provenance = BTreeMap<String, String>;

/// Writes the rows of one part, a row group at a time.
pub struct PartWriter<R> {
    path: PathBuf,
    writer: ArrowWriter<File>,
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
        let schema = Arc::new(R::TABLE.schema());
        let file = File::create(path)?;
        let writer =
            ArrowWriter::try_new(file, schema.clone(), Some(properties(R::TABLE, provenance)))
                .map_err(|source| Error::Write { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), writer, schema, waiting: Vec::new(), rows: 0 })
    }

    /// Adds rows; keeps at most one row group of them in memory.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written to.
    pub fn write(&mut self, rows: impl IntoIterator<Item = R>) -> Result<(), Error> {
        for row in rows {
            self.waiting.push(row);
            if self.waiting.len() >= R::TABLE.row_group_rows() {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Ends the file and returns its number of rows.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written to.
    pub fn finish(mut self) -> Result<u64, Error> {
        self.flush()?;
        let path = self.path;
        let file = self.writer.into_inner().map_err(|source| Error::Write { path, source })?;
        file.sync_all()?;
        Ok(self.rows)
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let batch = to_batch(&self.path, &self.schema, &self.waiting)?;
        self.rows += self.waiting.len() as u64;
        self.waiting.clear();
        let write = |source| Error::Write { path: self.path.clone(), source };
        self.writer.write(&batch).map_err(write)?;
        self.writer.flush().map_err(write)
    }
}

fn to_batch<R: Row>(
    path: &Path,
    schema: &arrow::datatypes::Schema,
    rows: &[R],
) -> Result<RecordBatch, Error> {
    serde_arrow::to_record_batch(schema.fields(), &rows).map_err(|source| Error::Columns {
        path: path.to_owned(),
        table: R::TABLE,
        source: Box::new(source),
    })
}

fn properties(table: Table, provenance: &Provenance) -> WriterProperties {
    let mut metadata = vec![
        KeyValue::new(TABLE_KEY.to_owned(), table.name().to_owned()),
        KeyValue::new(SCHEMA_VERSION_KEY.to_owned(), table.schema_version().to_string()),
    ];
    metadata.extend(
        provenance
            .iter()
            .map(|(key, value)| KeyValue::new(format!("nodulus.{key}"), value.clone())),
    );
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("nodulus ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(table.row_group_rows()))
        .set_key_value_metadata(Some(metadata));
    for column in table.pixel_columns() {
        let path = ColumnPath::from(*column);
        builder = builder
            .set_column_statistics_enabled(path.clone(), EnabledStatistics::None)
            .set_column_dictionary_enabled(path, false);
    }
    for column in table.plain_columns() {
        let path = ColumnPath::from(*column);
        builder = builder.set_column_compression(path, Compression::UNCOMPRESSED);
    }
    for column in table.id_columns() {
        let path = ColumnPath::from(*column);
        // A filter is made for this many values before it is cut to those that there are.
        let most = table.row_group_rows() as u64;
        builder = builder
            .set_column_bloom_filter_enabled(path.clone(), true)
            .set_column_bloom_filter_max_ndv(path, most);
    }
    builder.build()
}

/// Reads rows of a part, a batch of them at a time.
///
/// `T`'s fields name the columns that are read: a type with some of the table's columns reads
/// those alone.
pub struct PartReader<T> {
    path: PathBuf,
    table: Table,
    batches: ::parquet::arrow::arrow_reader::ParquetRecordBatchReader,
    rows: std::marker::PhantomData<T>,
}

impl<T: DeserializeOwned> PartReader<T> {
    /// Opens a part, reading all columns or those named.
    ///
    /// # Errors
    ///
    /// Fails if the file is not Parquet, is another table, or another version of it.
    pub fn open(path: &Path, table: Table, columns: Option<&[&str]>) -> Result<Self, Error> {
        let read = |source| Error::Read { path: path.to_owned(), source };
        let file = File::open(path)?.into_parts().0;
        let mut builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(read)?;
        check_metadata(path, table, builder.metadata().file_metadata())?;
        if let Some(columns) = columns {
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
            builder = builder.with_projection(mask);
        }
        let batches =
            builder.with_batch_size(table.row_group_rows().min(4096)).build().map_err(read)?;
        Ok(Self { path: path.to_owned(), table, batches, rows: std::marker::PhantomData })
    }
}

impl<T: DeserializeOwned> Iterator for PartReader<T> {
    type Item = Result<Vec<T>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.batches.next()? {
            Ok(batch) => batch,
            Err(error) => {
                return Some(Err(Error::Read { path: self.path.clone(), source: error.into() }));
            }
        };
        Some(serde_arrow::from_record_batch(&batch).map_err(|source| Error::Columns {
            path: self.path.clone(),
            table: self.table,
            source: Box::new(source),
        }))
    }
}

/// Rows of a Parquet file, by its footer.
pub(super) fn n_rows(path: &Path) -> Result<u64, Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path)?.into_parts().0;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(read)?;
    Ok(u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0))
}

pub(super) fn check_metadata(path: &Path, table: Table, file: &FileMetaData) -> Result<(), Error> {
    let metadata = file.key_value_metadata();
    let value = |key: &str| {
        metadata?.iter().find(|entry| entry.key == key).and_then(|entry| entry.value.clone())
    };
    let found = value(TABLE_KEY).unwrap_or_else(|| "(none)".to_owned());
    if found != table.name() {
        return Err(Error::OtherTable { path: path.to_owned(), found, expected: table });
    }
    let found = value(SCHEMA_VERSION_KEY).and_then(|v| v.parse().ok()).unwrap_or(0);
    let expected = table.schema_version();
    if found != expected {
        return Err(Error::OtherVersion { path: path.to_owned(), table, found, expected });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{Failure, Roi};
    use serde::Deserialize;

    fn roi(n: i64) -> Roi {
        Roi {
            roi_id: format!("r{n}"),
            nodule_id: "n".to_owned(),
            cohort: "c".to_owned(),
            series_instance_uid: "1.2".to_owned(),
            patient_id: "p".to_owned(),
            slice_index: n,
            z_mm: 0.5,
            start_i: -1.0,
            start_j: 2.5,
            height: 1,
            width: 2,
            spacing_i_mm: 0.7,
            spacing_j_mm: 0.8,
            spacing_k_mm: 2.5,
            native_spacing_i_mm: 0.7,
            native_spacing_j_mm: 0.8,
            origin_x_mm: -0.7,
            origin_y_mm: 2.0,
            origin_z_mm: 0.5,
            direction: vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
            hu: vec![1, 0, 255, 255],
            norm_low_hu: -1000.0,
            norm_high_hu: 400.0,
            mask_bits: vec![1],
            other_mask_bits: vec![0],
            neighbours: "include".to_owned(),
            n_other_nodules: 0,
            n_mask_pixels: 1,
            n_cut_pixels: n,
            oversize: (n % 2 == 1).then(|| "cropped".to_owned()),
            has_nodule: true,
            distance_to_nodule_slices: 0,
            padded: false,
        }
    }

    #[test]
    fn rows_come_back_in_order_and_files_are_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let rows: Vec<Roi> = (0..300).map(roi).collect();
        let paths = ["a", "b"].map(|name| folder.path().join(name));
        for path in &paths {
            let mut writer = PartWriter::create(path, &Provenance::new()).unwrap();
            writer.write(rows.clone()).unwrap();
            assert_eq!(writer.finish().unwrap(), 300);
        }
        assert_eq!(fs_err::read(&paths[0]).unwrap(), fs_err::read(&paths[1]).unwrap());
        let back: Vec<Roi> = PartReader::open(&paths[0], Table::Rois, None)
            .unwrap()
            .flat_map(Result::unwrap)
            .collect();
        assert_eq!(back, rows);
        assert_eq!(back[0].pixels_hu().unwrap(), [1, -1]);
    }

    #[test]
    fn a_type_with_fewer_columns_reads_those() {
        #[derive(Deserialize)]
        struct Ids {
            roi_id: String,
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut writer = PartWriter::create(&path, &Provenance::new()).unwrap();
        writer.write([roi(7)]).unwrap();
        writer.finish().unwrap();
        let ids: Vec<Ids> = PartReader::open(&path, Table::Rois, Some(&["roi_id"]))
            .unwrap()
            .flat_map(Result::unwrap)
            .collect();
        assert_eq!(ids[0].roi_id, "r7");
    }

    #[test]
    fn an_empty_part_is_a_table_without_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let writer = PartWriter::<Failure>::create(&path, &Provenance::new()).unwrap();
        assert_eq!(writer.finish().unwrap(), 0);
        assert_eq!(PartReader::<Failure>::open(&path, Table::Failures, None).unwrap().count(), 0);
    }

    #[test]
    fn another_table_and_other_files_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        PartWriter::<Failure>::create(&path, &Provenance::new()).unwrap().finish().unwrap();
        let error = PartReader::<Roi>::open(&path, Table::Rois, None).err().unwrap().to_string();
        assert!(error.ends_with("holds table `failures`, expected `rois`"), "{error}");
        fs_err::write(&path, "not Parquet").unwrap();
        let error = PartReader::<Roi>::open(&path, Table::Rois, None).err().unwrap().to_string();
        assert!(error.contains("as Parquet"), "{error}");
    }
}
