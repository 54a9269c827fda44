//! `nodulus tables`.

use super::error::{Error, Outcome};
use super::format;
use super::unknown_name::unknown_name;
use crate::tables::Table;
use clap::Args;
use nodulus_store::Store;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct TablesArguments {
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Print SQL that defines a view for each table, for DuckDB
    #[arg(long, conflicts_with = "json")]
    sql: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lists the tables of a store.
pub(super) fn tables(arguments: &TablesArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let store = Store::open(&arguments.store)?;
    let mut tables = Vec::new();
    for table in Table::ALL {
        if let Some(files) = store.table_files(table)? {
            tables.push((table, files.rows, files.glob.display().to_string()));
        }
    }
    if arguments.json {
        let list: Vec<_> = tables
            .iter()
            .map(|(table, rows, glob)| json!({"table": table.name(), "rows": rows, "glob": glob}))
            .collect();
        serde_json::to_writer_pretty(&mut *out, &list)?;
        writeln!(out)?;
    } else if arguments.sql {
        for (table, _, glob) in tables {
            let glob = glob.replace('\'', "''");
            let hive = table.spec().partition_column.map_or("", |_| ", hive_partitioning = true");
            writeln!(out, "CREATE VIEW {table} AS SELECT * FROM read_parquet('{glob}'{hive});")?;
        }
    } else if tables.is_empty() {
        writeln!(out, "store `{}` has no tables yet", store.root().display())?;
    } else {
        let rows = tables
            .into_iter()
            .map(|(table, rows, glob)| vec![table.name().to_owned(), rows.to_string(), glob]);
        writeln!(out, "{}", format::table(&["table", "rows", "files"], rows))?;
    }
    Ok(Outcome::Success)
}

/// The table with a name.
pub(super) fn table(name: &str) -> Result<Table, Error> {
    Table::from_name(name)
        .ok_or_else(|| Error::Usage(unknown_name("table", name, &Table::ALL.map(Table::name))))
}
