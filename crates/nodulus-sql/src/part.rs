//! One file of a table: rows of a row group as a frame.

use crate::kind::Kind;
use crate::lower::Aside;
use crate::lower::column::to_column;
use crate::lower::frame::Frame;
use crate::typed::Typed;
use crate::{Error, ReadError};
use arrow::array::{
    Array as _, ArrayRef, BooleanArray, LargeStringArray, RecordBatch, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use fs_err::File;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::metadata::PageIndexPolicy;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most rows that are decoded at once.
const BATCH_ROWS: usize = 65_536;
/// A file whose footer has been read.
pub(crate) struct Part {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    /// Name and value of the column that the file's folder stands for.
    partition: Option<(String, Option<String>)>,
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

    /// Columns of a row group: of the rows for which the condition is true, and of those the first `limit`. The condition is
    /// about these columns, by their positions.
    ///
    /// The condition's columns are read first; where it holds for no row, no other column is read.
    pub(crate) fn read(
        &self,
        row_group: usize,
        columns: &[(String, Kind)],
        condition: Option<&Typed>,
        limit: Option<usize>,
        aside: &Arc<Aside>,
    ) -> Result<Frame, Error> {
        let kinds: Vec<Kind> = columns.iter().map(|(_, kind)| kind.clone()).collect();
        let all: BTreeSet<usize> = (0..columns.len()).collect();
        let mut selection = None;
        if let Some(condition) = condition {
            let needed = condition.columns();
            let mut masks = Vec::new();
            for batch in self.batches(row_group, columns, &needed, None, None)? {
                let batch = batch.map_err(|error| self.failure(error.into()))?;
                // Its lists are put aside for the condition only.
                let frame = self.frame(&batch, columns, &needed, &Arc::default())?;
                let is_true = frame.select(std::slice::from_ref(condition))?;
                let is_true = is_true.column(0)?.as_materialized_series().bool()?.iter();
                let is_true = is_true.map(|value| value == Some(true)).collect::<Vec<_>>();
                masks.push(BooleanArray::from(is_true));
            }
            let rows = RowSelection::from_filters(&masks);
            if !rows.selects_any() {
                return Frame::stacked(Vec::new(), &kinds, aside);
            }
            selection = Some(rows);
        }
        let mut frames = Vec::new();
        for batch in self.batches(row_group, columns, &all, selection, limit)? {
            let batch = batch.map_err(|error| self.failure(error.into()))?;
            frames.push(self.frame(&batch, columns, &all, aside)?);
        }
        Frame::stacked(frames, &kinds, aside)
    }

    fn batches(
        &self,
        row_group: usize,
        columns: &[(String, Kind)],
        needed: &BTreeSet<usize>,
        selection: Option<RowSelection>,
        limit: Option<usize>,
    ) -> Result<ParquetRecordBatchReader, Error> {
        // A handle of its own: several row groups of a file are read at once.
        let file = File::open(&self.path).map_err(|error| self.failure(error.into()))?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
            file.into_parts().0,
            self.metadata.clone(),
        );
        let names = needed.iter().filter_map(|position| columns.get(*position));
        let roots = names.filter_map(|(name, _)| self.schema().index_of(name).ok());
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

    /// Columns of a batch in a table's order and as its kinds, the partition column among them; nulls for those that are not
    /// needed.
    fn frame(
        &self,
        batch: &RecordBatch,
        columns: &[(String, Kind)],
        needed: &BTreeSet<usize>,
        aside: &Arc<Aside>,
    ) -> Result<Frame, Error> {
        let n_rows = batch.num_rows();
        let values = columns.iter().enumerate().map(|(position, (name, kind))| {
            if !needed.contains(&position) {
                return Ok(to_column(&new_null_array(&DataType::Null, n_rows), &Kind::Null, aside));
            }
            Ok(to_column(&self.column(batch, name, kind)?, kind, aside))
        });
        Frame::new(values.collect::<Result<_, Error>>()?, n_rows, aside)
    }

    fn column(&self, batch: &RecordBatch, name: &str, kind: &Kind) -> Result<ArrayRef, Error> {
        let wrong = |what: String| self.failure(ReadError::Columns(what));
        if let Some((_, value)) = self.partition.as_ref().filter(|(own, _)| own == name) {
            let n_rows = batch.num_rows();
            return Ok(match value {
                None => new_null_array(&DataType::LargeUtf8, n_rows),
                Some(value) => Arc::new(LargeStringArray::from(vec![value.as_str(); n_rows])),
            });
        }
        let array = batch.column_by_name(name).ok_or_else(|| {
            wrong(format!("it has no column `{name}`, which the table's first file has"))
        })?;
        let found = Kind::of(array.data_type());
        if found != *kind {
            let what =
                format!("column `{name}` is {found}, expected {kind} as in the table's first file");
            return Err(wrong(what));
        }
        let to = kind.data_type();
        if *array.data_type() == to {
            return Ok(array.clone());
        }
        cast(array, &to).map_err(|error| self.failure(error.into()))
    }

    fn failure(&self, source: ReadError) -> Error {
        Error::Read { path: self.path.clone(), source }
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
