//! One file of a table: rows of a row group as a polars frame.

use crate::to_polars::to_polars;
use crate::{Error, ReadError};
use arrow::array::{BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use fs_err::File;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::metadata::PageIndexPolicy;
use polars::prelude::{
    Column, DataFrame, Expr, IntoLazy as _, PolarsError, PolarsResult, Scalar, Schema, Series,
};
use std::path::{Path, PathBuf};

/// Most rows that are decoded at once.
const BATCH_ROWS: usize = 65_536;
/// Name of the column that a filter becomes.
const KEEP: &str = "keep";

/// A file whose footer has been read.
pub(crate) struct Part {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    /// Name and value of the column that the file's folder stands for.
    partition: Option<(String, Option<String>)>,
}

/// A condition on rows, and the columns that it needs.
pub(crate) struct Filter {
    pub(crate) condition: Expr,
    pub(crate) columns: Schema,
}

/// Why rows could not be read.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The file is at fault.
    File(Error),
    /// The condition cannot be computed.
    Condition(PolarsError),
}

impl Part {
    /// Reads a file's footer.
    pub(crate) fn open(path: &Path, partition_column: Option<&str>) -> Result<Self, Error> {
        let partition = partition_column.map(|name| (name.to_owned(), partition_value(path, name)));
        let metadata =
            load(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), metadata, partition })
    }

    /// Columns that the file itself has.
    pub(crate) fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// Number of rows of each row group.
    pub(crate) fn row_groups(&self) -> impl Iterator<Item = usize> {
        let groups = self.metadata.metadata().row_groups().iter();
        groups.map(|group| usize::try_from(group.num_rows()).unwrap_or(0))
    }

    /// Columns of a row group: of the rows for which the filter is true, and of those the first `limit`.
    ///
    /// The filter's columns are read first; where it holds for no row, no other column is read.
    pub(crate) fn read(
        &self,
        row_group: usize,
        columns: &Schema,
        filter: Option<&Filter>,
        limit: Option<usize>,
    ) -> Result<DataFrame, Failure> {
        let mut selection = None;
        if let Some(filter) = filter {
            let mut masks = Vec::new();
            for batch in self.batches(row_group, &filter.columns, None, None)? {
                let batch = batch.map_err(|error| self.failure(error.into()))?;
                let frame = self.frame(&batch, &filter.columns)?;
                masks.push(mask(frame, &filter.condition).map_err(Failure::Condition)?);
            }
            let rows = RowSelection::from_filters(&masks);
            if !rows.selects_any() {
                return Ok(DataFrame::empty_with_schema(columns));
            }
            selection = Some(rows);
        }
        let mut whole = DataFrame::empty_with_schema(columns);
        for batch in self.batches(row_group, columns, selection, limit)? {
            let batch = batch.map_err(|error| self.failure(error.into()))?;
            let frame = self.frame(&batch, columns)?;
            whole.vstack_mut_owned(frame).map_err(Failure::Condition)?;
        }
        Ok(whole)
    }

    fn batches(
        &self,
        row_group: usize,
        columns: &Schema,
        selection: Option<RowSelection>,
        limit: Option<usize>,
    ) -> Result<ParquetRecordBatchReader, Failure> {
        // A handle of its own: several row groups of a file are read at once.
        let file = File::open(&self.path).map_err(|error| self.failure(error.into()))?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
            file.into_parts().0,
            self.metadata.clone(),
        );
        let roots = columns.iter_names().filter_map(|name| self.schema().index_of(name).ok());
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let mut builder = builder
            .with_row_groups(vec![row_group])
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        if let Some(limit) = limit {
            builder = builder.with_limit(limit);
        }
        builder.build().map_err(|error| self.failure(error.into()))
    }

    /// Columns of a batch in a table's order and with its types; the partition column among them.
    fn frame(&self, batch: &RecordBatch, columns: &Schema) -> Result<DataFrame, Failure> {
        let height = batch.num_rows();
        let wrong = |what: String| self.failure(ReadError::Columns(what));
        let mut series = Vec::with_capacity(columns.len());
        for (name, data_type) in columns.iter() {
            if let Some((_, value)) =
                self.partition.as_ref().filter(|(own, _)| own == name.as_str())
            {
                let value = value.as_ref().map_or_else(
                    || Scalar::null(data_type.clone()),
                    |value| Scalar::from(polars::prelude::PlSmallStr::from(value.as_str())),
                );
                series.push(Column::new_scalar(name.clone(), value, height));
                continue;
            }
            let array = batch.column_by_name(name).ok_or_else(|| {
                wrong(format!("it has no column `{name}`, which the table's first file has"))
            })?;
            let array =
                to_polars(array).map_err(|error| wrong(format!("column `{name}`: {error}")))?;
            let column = Series::try_from((name.clone(), array)).map_err(Failure::Condition)?;
            if column.dtype() != data_type {
                let found = column.dtype();
                return Err(wrong(format!(
                    "column `{name}` has type {found}, expected {data_type}"
                )));
            }
            series.push(column.into());
        }
        DataFrame::new(height, series).map_err(Failure::Condition)
    }

    fn failure(&self, source: ReadError) -> Failure {
        Failure::File(Error::Read { path: self.path.clone(), source })
    }
}

fn load(path: &Path) -> Result<ArrowReaderMetadata, ReadError> {
    // With the places of pages, those without a selected row are skipped.
    let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Optional);
    Ok(ArrowReaderMetadata::load(File::open(path)?.file(), options)?)
}

/// What follows `column=` in the name of a file's folder.
fn partition_value(path: &Path, column: &str) -> Option<String> {
    let folder = path.parent()?.file_name()?.to_string_lossy().into_owned();
    Some(folder.strip_prefix(column)?.strip_prefix('=')?.to_owned())
}

/// For each row whether a condition is true; null is not true.
fn mask(frame: DataFrame, condition: &Expr) -> PolarsResult<BooleanArray> {
    let height = frame.height();
    let answer = frame.lazy().select([condition.clone().alias(KEEP)]).collect()?;
    let keep = answer.column(KEEP)?.bool()?;
    if keep.len() != height {
        // A condition without columns has one value.
        return Ok(vec![keep.get(0) == Some(true); height].into());
    }
    Ok(keep.iter().map(|keep| Some(keep == Some(true))).collect())
}
