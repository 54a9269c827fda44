//! A question and its answer.

use crate::bind::{Answer, Binder};
use crate::lower::column::to_array;
use crate::statement::{self, Question};
use crate::{Error, Table};
use arrow::array::{LargeStringArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use std::sync::Arc;

/// Bytes of the stacks on which a question is read and answered: long expressions are nested deeply.
const STACK_BYTES: usize = 128 << 20;

/// The answer to a question; docs/query.md lists what is answered.
///
/// Whole numbers have 64 bits, and text and bytes 64-bit offsets. Without ORDER BY, rows come in the order of the files.
///
/// # Errors
///
/// Fails if the question is not SQL, would change tables, has a part that is not answered, names a table, column or function
/// that is not there, has no value (as `1 % 0`), or a file cannot be read.
pub fn query(question: &str, tables: &[Table]) -> Result<RecordBatch, Error> {
    on_large_stack(|| answer(question, tables))
}

/// The names of the tables that a question reads, sorted, those of its own subqueries among them; none where it is not SQL.
pub fn tables_in(question: &str) -> Vec<String> {
    on_large_stack(|| Ok(statement::tables_in(question))).unwrap_or_default()
}

fn on_large_stack<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    let pool = rayon::ThreadPoolBuilder::new().stack_size(STACK_BYTES).build();
    let pool = pool.map_err(|error| Error::Question(format!("cannot start threads: {error}")))?;
    pool.install(work)
}

fn answer(question: &str, tables: &[Table]) -> Result<RecordBatch, Error> {
    let (question, names) = statement::parse(question)?;
    let query = match question {
        Question::Query(query) => query,
        Question::ShowTables => {
            let names = tables.iter().map(|table| table.name.as_str());
            let names = Arc::new(LargeStringArray::from_iter_values(names));
            return Ok(RecordBatch::try_from_iter([("name", names as _)])?);
        }
    };
    let Answer { columns, frame } = Binder::new(tables, &names).answer(&query)?;
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays = Vec::with_capacity(columns.len());
    for ((name, kind), column) in columns.iter().zip(frame.columns()) {
        let array = to_array(column, kind, &frame.aside)?;
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(frame.n_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
}
