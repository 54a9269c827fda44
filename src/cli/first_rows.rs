//! The first rows of Parquet files that have given values in given columns.

use super::error::Error;
use super::rows::Rows;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowPredicate, ArrowPredicateFn, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
    RowFilter,
};
use ::parquet::file::metadata::PageIndexPolicy;
use arrow::array::{ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::datatypes::{Float64Type, Int64Type};
use arrow::error::ArrowError;
use fs_err::File;
use std::cmp::Ordering;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most rows that are decoded at once.
const BATCH_ROWS: usize = 4096;

/// A value that a column must have; a null is not it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Filter {
    pub(super) column: String,
    pub(super) value: FilterValue,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum FilterValue {
    Text(String),
    Whole(i64),
    Real(f64),
    Boolean(bool),
}

/// Reads columns of the first `limit` rows that pass all filters.
///
/// `partition_column` is not in the files: its value follows `=` in the name of a file's folder. Only the columns asked for
/// are read, and of those only the pages with rows that pass.
pub(super) fn read(
    files: &[PathBuf],
    partition_column: Option<&str>,
    columns: &[String],
    filters: &[Filter],
    limit: usize,
) -> Result<Rows, Error> {
    let mut rows = Rows::new(columns.to_vec());
    let (on_folder, in_file): (Vec<&Filter>, Vec<&Filter>) =
        filters.iter().partition(|filter| partition_column == Some(filter.column.as_str()));
    for path in files {
        if rows.len() >= limit {
            break;
        }
        let partition = partition_column.map(|column| (column, partition_value(path, column)));
        let has_value = |filter: &&Filter| match (&filter.value, &partition) {
            (FilterValue::Text(wanted), Some((_, value))) => Some(wanted) == value.as_ref(),
            _ => false,
        };
        if on_folder.iter().all(has_value) {
            read_file(path, partition.as_ref(), &in_file, limit - rows.len(), &mut rows)?;
        }
    }
    Ok(rows)
}

fn read_file(
    path: &Path,
    partition: Option<&(&str, Option<String>)>,
    filters: &[&Filter],
    limit: usize,
    rows: &mut Rows,
) -> Result<(), Error> {
    let read = |source| nodulus_store::Error::ReadParquet { path: path.to_owned(), source };
    // With the positions of pages, those without a wanted row are skipped.
    let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Optional);
    let file = File::open(path)?.into_parts().0;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(read)?;
    let schema = builder.schema().clone();
    let is_partition = |name: &str| partition.is_some_and(|(column, _)| *column == name);
    let index = |name: &str| {
        schema.index_of(name).map_err(|_| {
            io::Error::other(format!(
                "`{}` has no column `{name}`: another version of nodulus wrote it; run its stage again with `--force`",
                path.display()
            ))
        })
    };
    let own = rows.names().iter().filter(|name| !is_partition(name));
    let own = own.map(|name| index(name)).collect::<Result<Vec<_>, _>>()?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), own);
    let mut predicates = Vec::with_capacity(filters.len());
    for filter in filters {
        let column = [index(&filter.column)?];
        predicates.push(predicate(filter, ProjectionMask::roots(builder.parquet_schema(), column)));
    }
    let batches = builder
        .with_projection(mask)
        .with_row_filter(RowFilter::new(predicates))
        .with_limit(limit)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(read)?;
    for batch in batches {
        let batch = batch.map_err(|error| read(error.into()))?;
        let column = |name: &String| match (partition, batch.column_by_name(name)) {
            (_, Some(column)) => column.clone(),
            (Some((_, value)), None) => constant(value.as_deref(), batch.num_rows()),
            (None, None) => constant(None, batch.num_rows()),
        };
        let columns: Vec<ArrayRef> = rows.names().iter().map(column).collect();
        rows.append(&columns, batch.num_rows());
    }
    Ok(())
}

fn constant(value: Option<&str>, length: usize) -> ArrayRef {
    Arc::new(StringArray::from(vec![value; length]))
}

/// What follows `column=` in the name of a file's folder.
fn partition_value(path: &Path, column: &str) -> Option<String> {
    let folder = path.parent()?.file_name()?.to_string_lossy().into_owned();
    Some(folder.strip_prefix(column)?.strip_prefix('=')?.to_owned())
}

fn predicate(filter: &Filter, column: ProjectionMask) -> Box<dyn ArrowPredicate> {
    let Filter { column: name, value } = filter.clone();
    Box::new(ArrowPredicateFn::new(column, move |batch| {
        has_value(batch.column(0), &value).ok_or_else(|| {
            let found = batch.column(0).data_type();
            ArrowError::SchemaError(format!("column `{name}` has type {found}"))
        })
    }))
}

/// For each row whether it has the value; `None` where the column holds another kind of values.
fn has_value(column: &ArrayRef, value: &FilterValue) -> Option<BooleanArray> {
    Some(match value {
        FilterValue::Text(wanted) => {
            column.as_string_opt::<i32>()?.iter().map(|v| Some(v == Some(wanted))).collect()
        }
        FilterValue::Whole(wanted) => column
            .as_primitive_opt::<Int64Type>()?
            .iter()
            .map(|v| Some(v == Some(*wanted)))
            .collect(),
        FilterValue::Real(wanted) => {
            let is_wanted = |v: f64| {
                // Unlike by `total_cmp`, the two zeros are equal.
                v.partial_cmp(wanted) == Some(Ordering::Equal) || (v.is_nan() && wanted.is_nan())
            };
            let values = column.as_primitive_opt::<Float64Type>()?;
            values.iter().map(|v| Some(v.is_some_and(is_wanted))).collect()
        }
        FilterValue::Boolean(wanted) => {
            column.as_boolean_opt()?.iter().map(|v| Some(v == Some(*wanted))).collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::parquet::arrow::ArrowWriter;
    use arrow::array::{Float64Array, Int64Array, RecordBatch};

    fn write(path: &Path, ids: &[&str], sizes: &[Option<f64>]) {
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        let counts: Vec<i64> = (0..ids.len() as i64).collect();
        let batch = RecordBatch::try_from_iter([
            ("id", Arc::new(StringArray::from(ids.to_vec())) as ArrayRef),
            ("n", Arc::new(Int64Array::from(counts))),
            ("size_mm", Arc::new(Float64Array::from(sizes.to_vec()))),
            ("odd", Arc::new((0..ids.len()).map(|n| Some(n % 2 == 1)).collect::<BooleanArray>())),
        ])
        .unwrap();
        let mut writer =
            ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    fn shown(files: &[PathBuf], filters: &[(&str, FilterValue)], limit: usize) -> String {
        let filters: Vec<Filter> = filters
            .iter()
            .map(|(column, value)| Filter { column: (*column).to_owned(), value: value.clone() })
            .collect();
        let columns = ["day", "id"].map(str::to_owned);
        let rows = read(files, Some("day"), &columns, &filters, limit).unwrap();
        let mut out = Vec::new();
        rows.write(crate::cli::rows::RowFormat::Csv, &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().skip(1).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn rows_pass_all_filters_and_the_folder_gives_a_column() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["day=1/a.parquet", "day=2/a.parquet"].map(|name| folder.path().join(name));
        write(&files[0], &["a", "b", "c"], &[Some(1.0), None, Some(f64::NAN)]);
        write(&files[1], &["a", "d"], &[Some(-0.0), Some(1.0)]);
        let text = |text: &str| FilterValue::Text(text.to_owned());
        assert_eq!(shown(&files, &[], 4), "1,a 1,b 1,c 2,a");
        assert_eq!(shown(&files, &[], 0), "");
        assert_eq!(shown(&files, &[("id", text("a"))], 9), "1,a 2,a");
        assert_eq!(shown(&files, &[("id", text("a")), ("day", text("2"))], 9), "2,a");
        assert_eq!(shown(&files, &[("day", text("3"))], 9), "");
        assert_eq!(shown(&files, &[("n", FilterValue::Whole(1))], 9), "1,b 2,d");
        assert_eq!(shown(&files, &[("n", FilterValue::Whole(1))], 1), "1,b");
        assert_eq!(shown(&files, &[("odd", FilterValue::Boolean(true))], 9), "1,b 2,d");
        assert_eq!(shown(&files, &[("size_mm", FilterValue::Real(1.0))], 9), "1,a 2,d");
        assert_eq!(shown(&files, &[("size_mm", FilterValue::Real(0.0))], 9), "2,a");
        assert_eq!(shown(&files, &[("size_mm", FilterValue::Real(f64::NAN))], 9), "1,c");
    }

    #[test]
    fn a_file_without_a_column_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.parquet");
        write(&file, &["a"], &[None]);
        let error = read(&[file], None, &["other".to_owned()], &[], 1).err().unwrap().to_string();
        assert!(error.contains("a.parquet` has no column `other`: another version"), "{error}");
    }
}
