//! `nodulus sql`.

use super::frame::{self, Rows};
use super::join_conditions::one_sided;
use super::{Ending, Error};
use crate::tables::store::Store;
use crate::tables::{Table, durable};
use clap::{Args, ValueEnum};
use polars::error::PolarsError;
use polars::prelude::{DataFrame, LazyFrame};
use polars::sql::{SQLContext, extract_table_identifiers};
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct SqlArguments {
    /// Question, in SQL
    query: String,
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// How to write the answer
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// File to write to; printed where not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned columns
    Table,
    /// A line of names, then a line a row
    Csv,
    /// A JSON object a line
    Json,
    /// A Parquet file
    Parquet,
}

pub(super) fn sql(arguments: &SqlArguments, out: &mut dyn Write) -> Result<Ending, Error> {
    let store = Store::open(&arguments.store)?;
    if arguments.out.is_none() && arguments.format == Format::Parquet {
        return Err(Error::Usage("`--format parquet` needs `--out FILE`".to_owned()));
    }
    if let Some(file) = &arguments.out {
        refuse_store(file, store.root())?;
    }
    if let Some(condition) = one_sided(&arguments.query) {
        let text = format!(
            "`{condition}` compares no column of one table with one of the other, as ON must; put it into WHERE or a \
             subquery"
        );
        return Err(Error::Usage(text));
    }
    let mut tables = Vec::new();
    let mut context = SQLContext::new();
    for table in Table::ALL {
        if let Some(files) = store.table_files(table)? {
            context.register(table.name(), frame::scan(table, &files)?);
            tables.push(table);
        }
    }
    let found = context.execute(&arguments.query).and_then(LazyFrame::collect);
    let mut answer =
        found.map_err(|error| Error::Usage(explain(&arguments.query, &tables, &error)))?;
    match &arguments.out {
        None => write(&mut answer, arguments.format, out)?,
        Some(file) => {
            let mut bytes = Vec::new();
            write(&mut answer, arguments.format, &mut bytes)?;
            durable::write(file, &bytes)?;
        }
    }
    Ok(Ending::Well)
}

fn write(answer: &mut DataFrame, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    match format {
        Format::Table => Rows::of(answer)?.write_table(out),
        Format::Csv => Rows::of(answer)?.write_csv(out),
        Format::Json => Rows::of(answer)?.write_json(out),
        // Until `nodulus-sql` writes parts for polars.
        Format::Parquet => Err(Error::Usage("`--format parquet` is not in this build".to_owned())),
    }
}

/// Refuses a file in the store: its files are what its manifests say.
fn refuse_store(file: &Path, store: &Path) -> Result<(), Error> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs_err::canonicalize(folder.unwrap_or(Path::new(".")))?;
    if folder.starts_with(fs_err::canonicalize(store)?) {
        let text = format!("`--out {}` is in the store, expected a file elsewhere", file.display());
        return Err(Error::Usage(text));
    }
    Ok(())
}

/// What is wrong with a question, and what there is where it names something else.
fn explain(query: &str, tables: &[Table], error: &PolarsError) -> String {
    let mut problem = error;
    while let PolarsError::Context { error, .. } | PolarsError::ExprContext { error, .. } = problem
    {
        problem = error;
    }
    let text = problem.to_string();
    let wrong = text.lines().next().unwrap_or_default();
    let named = extract_table_identifiers(query, false, true).unwrap_or_default();
    let names =
        |tables: &[Table]| tables.iter().map(|table| table.name()).collect::<Vec<_>>().join(", ");
    let is_table = wrong.contains("relation") && wrong.contains("not found");
    let is_column =
        matches!(problem, PolarsError::ColumnNotFound(_) | PolarsError::SchemaFieldNotFound(_))
            || wrong.contains("column");
    if is_table {
        return format!("{wrong}; the store has: {}", names(tables));
    }
    if is_column {
        let columns = tables.iter().filter(|table| named.iter().any(|name| name == table.name()));
        let columns = columns.map(|table| {
            let schema = table.schema();
            let fields = schema.fields().iter().map(|field| field.name().as_str());
            let fields: Vec<&str> = fields.chain(table.partition_column()).collect();
            format!("; `{table}` has: {}", fields.join(", "))
        });
        // polars lists those of one of the tables.
        let wrong = wrong.split("; valid columns").next().unwrap_or(wrong);
        return std::iter::once(wrong.to_owned()).chain(columns).collect();
    }
    wrong.to_owned()
}
