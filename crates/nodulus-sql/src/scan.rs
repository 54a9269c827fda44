//! A table as polars asks for it: with the columns, the condition and the number of rows that a plan needs.

use crate::part::{Failure, Filter, Part};
use crate::to_polars::to_polars;
use crate::{Error, Table};
use arrow::array::new_empty_array;
use polars::prelude::{
    AnonymousScan, AnonymousScanArgs, DataFrame, Expr, LazyFrame, Operator, PlSmallStr,
    PolarsError, PolarsResult, ScanArgsAnonymous, Schema, SchemaRef, Series,
};
use rayon::prelude::*;
use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

/// The first failure of a file while an answer was computed: polars passes on no more than text.
pub(crate) type FileFailure = Arc<Mutex<Option<Error>>>;

struct Scan {
    table: Table,
    schema: SchemaRef,
    failure: FileFailure,
}

/// A table's rows, not yet read.
pub(crate) fn scan(table: &Table, failure: &FileFailure) -> Result<LazyFrame, Error> {
    let schema = Arc::new(polars_schema(table)?);
    let scan = Scan { table: table.clone(), schema: schema.clone(), failure: failure.clone() };
    let arguments = ScanArgsAnonymous {
        schema: Some(schema),
        name: "PARQUET SCAN",
        ..ScanArgsAnonymous::default()
    };
    LazyFrame::anonymous_scan(Arc::new(scan), arguments)
        .map_err(|error| Error::Question(error.to_string()))
}

fn polars_schema(table: &Table) -> Result<Schema, Error> {
    let mut schema = Schema::default();
    for field in table.schema()?.fields() {
        let unknown = |reason: String| {
            Error::Question(format!(
                "column `{}` of table `{}`: {reason}",
                field.name(),
                table.name
            ))
        };
        let array = to_polars(&new_empty_array(field.data_type()))
            .map_err(|error| unknown(error.to_string()))?;
        let name = PlSmallStr::from(field.name().as_str());
        let series =
            Series::try_from((name.clone(), array)).map_err(|error| unknown(error.to_string()))?;
        schema.with_column(name, series.dtype().clone());
    }
    Ok(schema)
}

impl AnonymousScan for Scan {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self, _: Option<usize>) -> PolarsResult<SchemaRef> {
        Ok(self.schema.clone())
    }

    fn allows_projection_pushdown(&self) -> bool {
        true
    }

    fn allows_predicate_pushdown(&self) -> bool {
        true
    }

    fn scan(&self, arguments: AnonymousScanArgs) -> PolarsResult<DataFrame> {
        let columns = match &arguments.with_columns {
            Some(names) => self.schema.try_project(names.iter())?,
            None => self.schema.as_ref().clone(),
        };
        let filter = match arguments.predicate.and_then(without_hints) {
            Some(condition) => Some(self.filter(condition)?),
            None => None,
        };
        self.read(&columns, filter.as_ref(), arguments.n_rows).map_err(|failure| match failure {
            Failure::Condition(error) => error,
            Failure::File(error) => {
                let text = error.to_string();
                let mut first = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert(error);
                PolarsError::ComputeError(text.into())
            }
        })
    }
}

/// A condition without the parts that are hints: `ORDER BY … LIMIT` tells a scan which rows can still be among the
/// first, in a form that only polars' own scans understand, and sorts the rows anyway.
fn without_hints(condition: Expr) -> Option<Expr> {
    match condition {
        Expr::BinaryExpr { left, op: Operator::And | Operator::LogicalAnd, right } => {
            let sides = [left, right].map(|side| without_hints(side.as_ref().clone()));
            sides.into_iter().flatten().reduce(Expr::and)
        }
        Expr::Display { .. } => None,
        condition => Some(condition),
    }
}

impl Scan {
    fn filter(&self, condition: Expr) -> PolarsResult<Filter> {
        let names = (&condition).into_iter().filter_map(|part| match part {
            Expr::Column(name) => Some(name.clone()),
            _ => None,
        });
        let names: Vec<PlSmallStr> = names.collect();
        Ok(Filter { columns: self.schema.try_project(names.iter())?, condition })
    }

    /// Reads row groups side by side.
    ///
    /// The threads are those of the pool that asks: waiting for another pool could wait for ever, as conditions are
    /// computed by that of polars.
    fn read(
        &self,
        columns: &Schema,
        filter: Option<&Filter>,
        limit: Option<usize>,
    ) -> Result<DataFrame, Failure> {
        let partition = self.table.partition_column.as_deref();
        let mut left = limit.unwrap_or(usize::MAX);
        let mut parts = Vec::with_capacity(self.table.files.len());
        let mut tasks = Vec::new();
        for path in &self.table.files {
            if left == 0 {
                break;
            }
            let part = Part::open(path, partition).map_err(Failure::File)?;
            for (group, rows) in part.row_groups().enumerate() {
                if left > 0 {
                    tasks.push((parts.len(), group, rows.min(left)));
                    // With a filter, polars sets no limit.
                    left -= rows.min(left);
                }
            }
            parts.push(part);
        }
        let frames: Vec<DataFrame> = tasks
            .into_par_iter()
            .map(|(part, group, rows)| {
                parts[part].read(group, columns, filter, limit.map(|_| rows))
            })
            .collect::<Result<_, _>>()?;
        let mut whole = DataFrame::empty_with_schema(columns);
        for frame in frames {
            whole.vstack_mut_owned(frame).map_err(Failure::Condition)?;
        }
        Ok(whole)
    }
}
