//! Tables with a folder for each value of a column, in Hive's layout: `STORE/TABLE/day=2026-01-31/`.

use crate::{
    Error, PartWriter, Provenance, Row, Store, TableSpec, day_record, durable, part_file, view,
};
use fs_err::{self as fs, File};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::io;
use std::path::{Path, PathBuf};

/// Name of the one file of a folder.
pub(crate) const FILE: &str = "part-0.parquet";

/// The files of a table, of a version or of all its folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFiles {
    /// Parquet files, in order.
    pub files: Vec<PathBuf>,
    /// A pattern that matches them, for other programs.
    pub glob: PathBuf,
    /// Number of rows in all of them.
    pub rows: u64,
}

/// The folders of a table, one for each value of its partition column.
#[derive(Clone, Debug)]
pub struct Partitions {
    store: PathBuf,
    folder: PathBuf,
    table: &'static TableSpec,
    column: &'static str,
}

impl Partitions {
    /// The folders of a table in a store; `None` for a table without a partition column.
    pub fn of(store: &Path, table: impl Into<&'static TableSpec>) -> Option<Self> {
        let table = table.into();
        let column = table.partition_column?;
        let folder = store.join(table.name);
        Some(Self { store: store.to_owned(), folder, table, column })
    }

    /// The file of a value.
    pub fn file(&self, value: &str) -> PathBuf {
        self.folder.join(format!("{}={value}", self.column)).join(FILE)
    }

    /// The file of a value, which is as its record says.
    ///
    /// # Errors
    ///
    /// Fails if the file is missing or damaged, or cannot be read.
    pub fn whole_file(&self, value: &str) -> Result<PathBuf, Error> {
        let file = self.file(value);
        match day_record::damage(&self.record(value), &file, false)? {
            None => Ok(file),
            Some(damage) => Err(Error::DayDamaged { damage }),
        }
    }

    fn record(&self, value: &str) -> PathBuf {
        day_record::path(&self.store, self.table.name, &format!("{}={value}", self.column))
    }

    /// The values that have a record of what was written.
    fn recorded(&self) -> io::Result<Vec<String>> {
        let mut values = Vec::new();
        let start = format!("{}=", self.column);
        let folder = self.store.join(day_record::FOLDER).join(self.table.name);
        for entry in durable::entries(&folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let value = name.strip_prefix(&start).and_then(|rest| rest.strip_suffix(".json"));
            values.extend(value.map(str::to_owned));
        }
        Ok(values)
    }

    /// The values that have a file, sorted; empty if the table has no folder.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be read.
    pub fn values(&self) -> io::Result<Vec<String>> {
        let mut values = Vec::new();
        for entry in durable::entries(&self.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let value = name.strip_prefix(self.column).and_then(|rest| rest.strip_prefix('='));
            values.extend(value.filter(|value| self.file(value).exists()).map(str::to_owned));
        }
        values.sort();
        Ok(values)
    }

    /// The value of a key in a file's provenance; `None` if the file is missing, damaged or of another version of
    /// the columns. Damage is noted.
    pub fn provenance(&self, value: &str, key: &str) -> Option<String> {
        if let Ok(Some(damage)) = day_record::damage(&self.record(value), &self.file(value), false)
        {
            damage.note();
            return None;
        }
        let file = File::open(self.file(value)).ok()?.into_parts().0;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).ok()?;
        let metadata = builder.metadata().file_metadata();
        part_file::check_metadata(&self.file(value), self.table, metadata).ok()?;
        let key = format!("nodulus.{key}");
        metadata.key_value_metadata()?.iter().find(|entry| entry.key == key)?.value.clone()
    }

    /// Replaces the rows of a value, all at once.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn write<R: Row>(
        &self,
        value: &str,
        rows: impl IntoIterator<Item = R>,
        provenance: &Provenance,
    ) -> Result<(), Error> {
        let file = self.file(value);
        let beside = file.with_extension(format!("parquet.{}.tmp", std::process::id()));
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
            durable::remove_unfinished(folder)?;
        }
        let mut part = PartWriter::<R>::create(&beside, provenance)?;
        part.write(rows)?;
        part.finish()?;
        day_record::write(&self.record(value), &beside)?;
        Ok(durable::publish(&beside, &file)?)
    }

    /// Removes the file of a value.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn remove(&self, value: &str) -> io::Result<()> {
        durable::remove(&self.record(value))?;
        fs::remove_file(self.file(value))
    }

    fn files(&self) -> Result<Option<TableFiles>, Error> {
        let mut values = [self.values()?, self.recorded()?].concat();
        values.sort();
        values.dedup();
        let files = values.iter().map(|value| self.whole_file(value));
        let files: Vec<PathBuf> = files.collect::<Result<_, _>>()?;
        if files.is_empty() {
            return Ok(None);
        }
        let mut rows = 0;
        for file in &files {
            rows += part_file::n_rows(file)?;
        }
        let glob = self.folder.join(format!("{}=*", self.column)).join("*.parquet");
        Ok(Some(TableFiles { files, glob, rows }))
    }
}

impl Store {
    /// The files of a table's current version, or of all its folders; `None` if the table does not exist.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read.
    pub fn table_files(
        &self,
        table: impl Into<&'static TableSpec>,
    ) -> Result<Option<TableFiles>, Error> {
        let table = table.into();
        if let Some(partitions) = Partitions::of(self.root(), table) {
            return partitions.files();
        }
        Ok(self.current(table)?.map(|version| TableFiles {
            files: version.files(),
            glob: view::folder(&self.root().join(table.name)).join("*.parquet"),
            rows: version.manifest.rows,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PartReader;
    use crate::fixture::{Slice, Visit};

    #[test]
    fn a_value_is_replaced_as_a_whole_and_keeps_its_provenance() {
        let store = tempfile::tempdir().unwrap();
        assert!(Partitions::of(store.path(), Slice::TABLE).is_none());
        let partitions = Partitions::of(store.path(), Visit::TABLE).unwrap();
        assert_eq!(partitions.values().unwrap(), [""; 0]);
        assert_eq!(partitions.files().unwrap(), None);
        let made = |of: &str| Provenance::from([("records".to_owned(), of.to_owned())]);
        for of in ["a", "b"] {
            partitions.write(of_day(1), Vec::<Visit>::new(), &made(of)).unwrap();
        }
        partitions.write(of_day(2), Vec::<Visit>::new(), &made("c")).unwrap();
        assert_eq!(partitions.values().unwrap(), [of_day(1), of_day(2)]);
        assert_eq!(partitions.provenance(of_day(1), "records").as_deref(), Some("b"));
        let files = partitions.files().unwrap().unwrap();
        assert_eq!((files.rows, files.files.len()), (0, 2));
        assert!(files.glob.ends_with("visits/day=*/*.parquet"));
        let reader = PartReader::<Visit>::open(&files.files[0], Visit::TABLE, None).unwrap();
        assert_eq!(reader.count(), 0);
        // Damaged, and removed.
        fs::write(partitions.file(of_day(1)), "x").unwrap();
        assert_eq!(partitions.provenance(of_day(1), "records"), None);
        partitions.remove(of_day(2)).unwrap();
        assert_eq!(partitions.values().unwrap(), [of_day(1)]);
    }

    fn of_day(n: usize) -> &'static str {
        ["2026-01-30", "2026-01-31", "2026-02-01"][n]
    }
}
