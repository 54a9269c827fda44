//! `nodulus tables`.

use super::error::{Error, Outcome};
use super::format;
use super::unknown_name::unknown_name;
use crate::pipeline::outdated::{Outdated, outdated_among};
use crate::tables::{Output, Table};
use clap::Args;
use nodulus_store::{Manifest, Store, Version};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct TablesArguments {
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Print the files of an older version: a key, as `--json` and `nodulus lineage` print it
    #[arg(long, value_name = "KEY", conflicts_with = "sql")]
    version: Option<String>,
    /// Print SQL that defines a view for each table, for DuckDB
    #[arg(long, conflicts_with = "json")]
    sql: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A table of a store.
struct Listed {
    table: Table,
    rows: u64,
    glob: PathBuf,
    /// None for a table with a folder for each day.
    current: Option<Manifest>,
    /// Keys of all versions, the newest first.
    versions: Vec<String>,
}

/// Lists the tables of a store, or the files of an older version.
pub(super) fn tables(arguments: &TablesArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let store = Store::open(&arguments.store)?;
    if let Some(key) = &arguments.version {
        return version(&store, key, arguments.json, out);
    }
    let mut tables = Vec::new();
    for table in Table::ALL {
        if let Some(files) = store.table_files(table)? {
            tables.push(Listed {
                table,
                rows: files.rows,
                glob: files.glob,
                current: store.current(table.spec())?.map(|version| version.manifest),
                versions: store.version_keys(table.spec())?,
            });
        }
    }
    let outputs: Vec<Output> = tables.iter().map(|listed| Output::Table(listed.table)).collect();
    let outdated = outdated_among(&store, &outputs)?;
    if arguments.json {
        let list: Vec<_> =
            tables.iter().map(|listed| listed.json(store.root(), &outdated)).collect();
        serde_json::to_writer_pretty(&mut *out, &list)?;
        writeln!(out)?;
    } else if arguments.sql {
        for Listed { table, glob, .. } in tables {
            writeln!(out, "{}", view(store.root(), table, &glob))?;
        }
        super::outdated::warn(outdated);
    } else if tables.is_empty() {
        writeln!(out, "store `{}` has no tables yet", store.root().display())?;
    } else {
        let rows = tables.into_iter().map(|listed| {
            vec![
                listed.table.name().to_owned(),
                listed.rows.to_string(),
                pattern(store.root(), &listed.glob),
            ]
        });
        writeln!(out, "{}", format::table(&["table", "rows", "files"], rows))?;
        if !outdated.is_empty() {
            writeln!(out)?;
        }
        for outdated in outdated {
            writeln!(out, "{outdated}")?;
        }
    }
    Ok(Outcome::Success)
}

/// SQL that defines a view of a table in DuckDB.
pub(super) fn view(root: &Path, table: Table, glob: &Path) -> String {
    let glob = pattern(root, glob).replace('\'', "''");
    let hive = table.spec().partition_column.map_or("", |_| ", hive_partitioning = true");
    format!("CREATE VIEW {table} AS SELECT * FROM read_parquet('{glob}'{hive});")
}

/// A file pattern. Characters of the store's path that are special in patterns stand in brackets.
fn pattern(root: &Path, glob: &Path) -> String {
    let (root, glob) = (root.display().to_string(), glob.display().to_string());
    let literal: String = root
        .chars()
        .map(|c| if "[*?".contains(c) { format!("[{c}]") } else { c.to_string() })
        .collect();
    let below = glob.strip_prefix(&root).unwrap_or(&glob);
    format!("{literal}{below}")
}

impl Listed {
    fn json(&self, root: &Path, outdated: &[Outdated]) -> Value {
        let manifest = self.current.as_ref();
        json!({
            "table": self.table.name(),
            "rows": self.rows,
            "glob": pattern(root, &self.glob),
            "version": manifest.map(|manifest| &manifest.key),
            "n_shards": manifest.map(Manifest::n_shards),
            "bytes": manifest.map(Manifest::bytes),
            "outdated": outdated.iter().find(|outdated| outdated.output == self.table.name()),
            "versions": self.versions,
        })
    }
}

/// Prints the files of a version; outputs that were made together have the same key.
fn version(store: &Store, key: &str, json: bool, out: &mut dyn Write) -> Result<Outcome, Error> {
    let (mut found, mut known) = (Vec::new(), Vec::new());
    for output in Output::all() {
        match store.version(output, key)? {
            Some(version) => found.push(version),
            None => known.push((output.name().to_owned(), store.version_keys(output)?)),
        }
    }
    if found.is_empty() {
        known.retain(|(_, keys)| !keys.is_empty());
        let (store, key) = (store.root().to_owned(), key.to_owned());
        return Err(nodulus_store::Error::NoVersion { store, key, known }.into());
    }
    for version in &found {
        version.check_files()?;
    }
    if json {
        let value = |version: &Version| {
            let Manifest { output, key, rows, stage, config, .. } = &version.manifest;
            json!({
                "table": output,
                "version": key,
                "rows": rows,
                "bytes": version.manifest.bytes(),
                "stage": stage,
                "settings": config,
                "files": version.files(),
            })
        };
        let list: Vec<_> = found.iter().map(value).collect();
        serde_json::to_writer_pretty(&mut *out, &list)?;
        writeln!(out)?;
    } else {
        let rows = found.iter().flat_map(|version| {
            let name = version.output().name();
            let files = version.files().into_iter();
            files.map(move |file| vec![name.to_owned(), file.display().to_string()])
        });
        writeln!(out, "{}", format::table(&["table", "file"], rows))?;
    }
    Ok(Outcome::Success)
}

/// The table with a name.
pub(super) fn table(name: &str) -> Result<Table, Error> {
    Table::from_name(name)
        .ok_or_else(|| Error::Usage(unknown_name("table", name, &Table::ALL.map(Table::name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_characters_of_the_stores_path_are_literal_in_a_pattern() {
        let root = Path::new("/a/it's [x]*?");
        let glob = root.join("scans/current/*.parquet");
        assert_eq!(pattern(root, &glob), "/a/it's [[]x][*][?]/scans/current/*.parquet");
        let view = view(root, Table::Scans, &glob);
        assert!(view.contains("'/a/it''s [[]x][*][?]/scans/current/*.parquet'"), "{view}");
    }
}
