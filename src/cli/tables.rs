//! `nodulus tables`.

use super::arguments::TablesArguments;
use super::{Ending, Error, format};
use crate::tables::Table;
use crate::tables::store::Store;
use serde_json::json;
use std::io::Write;

pub(super) fn tables(arguments: &TablesArguments, out: &mut dyn Write) -> Result<Ending, Error> {
    let store = Store::open(&arguments.store)?;
    let mut found = Vec::new();
    for table in Table::ALL {
        if let Some(files) = store.table_files(table)? {
            found.push((table, files.rows, files.glob.display().to_string()));
        }
    }
    if arguments.json {
        let list: Vec<_> = found
            .iter()
            .map(|(table, rows, glob)| json!({"table": table.name(), "rows": rows, "glob": glob}))
            .collect();
        serde_json::to_writer_pretty(&mut *out, &list)?;
        writeln!(out)?;
    } else if arguments.sql {
        for (table, _, glob) in found {
            let glob = glob.replace('\'', "''");
            let hive = table.partition_column().map_or("", |_| ", hive_partitioning = true");
            writeln!(out, "CREATE VIEW {table} AS SELECT * FROM read_parquet('{glob}'{hive});")?;
        }
    } else if found.is_empty() {
        writeln!(out, "store `{}` has no tables yet", store.root().display())?;
    } else {
        let rows = found
            .into_iter()
            .map(|(table, rows, glob)| vec![table.name().to_owned(), rows.to_string(), glob]);
        writeln!(out, "{}", format::table(&["table", "rows", "files"], rows))?;
    }
    Ok(Ending::Well)
}

/// The table with a name.
pub(super) fn table(name: &str) -> Result<Table, Error> {
    Table::from_name(name).ok_or_else(|| {
        let names: Vec<_> = Table::ALL.iter().map(|table| table.name()).collect();
        Error::Usage(format!("there is no table `{name}`; there are: {}", names.join(", ")))
    })
}
