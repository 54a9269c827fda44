//! The folder of an export: replaces an earlier export as a whole, and touches nothing else.

use super::error::Error;
use fs_err as fs;
use nodulus_store::{InputRef, durable, hash, record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// File that lists the export's inputs and files.
const RECORD: &str = "export.json";
/// Folder of unfinished files.
const UNFINISHED: &str = ".export.tmp";

/// `export.json`: the inputs, settings and files of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record<A> {
    /// Kind of export.
    pub export: &'static str,
    /// Version of the program.
    pub tool_version: String,
    /// Settings and counts.
    #[serde(flatten)]
    pub about: A,
    /// Tables that the export was made from.
    pub inputs: Vec<InputRef>,
    /// The files, by name.
    pub files: Vec<FileRecord>,
}

/// A file of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Path in the folder, with `/`.
    pub file: String,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the content.
    pub sha256: String,
}

/// The files in the record of an earlier export.
#[derive(Deserialize)]
struct Earlier {
    files: Vec<EarlierFile>,
}

#[derive(Deserialize)]
struct EarlierFile {
    file: String,
}

/// A folder that an export writes to. Files are written to a subfolder until all are finished.
#[derive(Debug)]
pub(in crate::pipeline) struct Folder {
    to: PathBuf,
    aside: PathBuf,
    /// Files of the earlier export, which this one replaces.
    earlier: Vec<String>,
    /// Whether the folder did not exist before.
    is_new: bool,
}

impl Folder {
    /// Opens a folder for an export; creates it if necessary.
    ///
    /// # Errors
    ///
    /// Fails if the path is a file, or the folder holds a file that no export wrote, or cannot be written to.
    pub(in crate::pipeline) fn open(to: &Path) -> Result<Self, Error> {
        if to.is_file() {
            return Err(Error::NotAFolder(to.to_owned()));
        }
        let aside = to.join(UNFINISHED);
        let is_new = !to.exists();
        if aside.exists() {
            fs::remove_dir_all(&aside)?;
        }
        let earlier: Option<Earlier> = record::read(&to.join(RECORD))?;
        let own: BTreeSet<String> =
            earlier.into_iter().flat_map(|earlier| earlier.files).map(|file| file.file).collect();
        let mut found = if is_new { Vec::new() } else { files(to)? };
        found.retain(|file| file != RECORD);
        if let Some(foreign) = found.iter().find(|file| !own.contains(*file)) {
            return Err(Error::Occupied(to.join(foreign)));
        }
        let folder = Self { to: to.to_owned(), aside, earlier: found, is_new };
        fs::create_dir_all(&folder.aside)?;
        Ok(folder)
    }

    /// Folder of the unfinished files.
    pub(in crate::pipeline) fn aside(&self) -> &Path {
        &self.aside
    }

    /// Removes the files of an earlier export, writes the record, and moves the finished files into the folder; in this
    /// order, so that the record knows every file wherever the program stops.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be written to.
    pub(in crate::pipeline) fn publish<A: Serialize>(
        self,
        export: &'static str,
        about: A,
        inputs: Vec<InputRef>,
    ) -> Result<Record<A>, Error> {
        let record = |file: String| {
            let path = self.aside.join(&file);
            let (bytes, sha256) = (fs::metadata(&path)?.len(), hash::sha256_file(&path)?);
            Ok(FileRecord { file, bytes, sha256 })
        };
        let written = files(&self.aside)?.into_iter().map(record).collect::<io::Result<_>>()?;
        let tool_version = env!("CARGO_PKG_VERSION").to_owned();
        let record = Record { export, tool_version, about, inputs, files: written };
        for file in &self.earlier {
            let path = self.to.join(file);
            fs::remove_file(&path)?;
            remove_empty(path.parent(), &self.to);
        }
        record::write(&self.to.join(RECORD), &record)?;
        for file in &record.files {
            durable::publish(&self.aside.join(&file.file), &self.to.join(&file.file))?;
        }
        Ok(record)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The unfinished files are useless, and an error was returned already.
        let _ = fs::remove_dir_all(&self.aside);
        if self.is_new {
            remove_empty(Some(&self.to), self.to.parent().unwrap_or(Path::new("")));
        }
    }
}

/// Removes an empty folder and its empty parents below `root`.
fn remove_empty(folder: Option<&Path>, root: &Path) {
    let mut folder = folder;
    while let Some(path) = folder.filter(|path| *path != root && fs::remove_dir(path).is_ok()) {
        folder = path.parent();
    }
}

/// The files below a folder, sorted, with `/` in their paths; links count as files.
fn files(root: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                folders.push((entry.path(), format!("{name}/")));
            } else {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(to: &Path, names: &[&str]) -> Result<Record<()>, Error> {
        let folder = Folder::open(to)?;
        for name in names {
            let path = folder.aside().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        folder.publish("test", (), Vec::new())
    }

    #[test]
    fn an_export_replaces_an_export_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("made/here");
        let record = export(&to, &["a/b/c", "d"]).unwrap();
        let names: Vec<&str> = record.files.iter().map(|file| file.file.as_str()).collect();
        assert_eq!(names, ["a/b/c", "d"]);
        assert_eq!(record.files[0].sha256, hash::sha256(b"a/b/c"));
        assert_eq!(record.files[0].bytes, 5);
        assert_eq!(files(&to).unwrap(), ["a/b/c", "d", "export.json"]);

        export(&to, &["d", "e"]).unwrap();
        assert_eq!(files(&to).unwrap(), ["d", "e", "export.json"]);
        assert!(!to.join("a").exists());

        fs::write(to.join("notes"), "mine").unwrap();
        let error = export(&to.join("notes"), &["d"]).unwrap_err().to_string();
        assert!(error.contains("notes` is a file, expected a folder"), "{error}");
        let error = export(&to, &["d"]).unwrap_err().to_string();
        assert!(error.contains("notes` exists and was not written by an export"), "{error}");
        assert_eq!(files(&to).unwrap(), ["d", "e", "export.json", "notes"]);
    }

    #[test]
    fn an_export_that_stops_leaves_the_folder_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("new");
        fs::write(Folder::open(&to).unwrap().aside().join("half"), "").unwrap();
        assert!(!to.exists());

        export(&to, &["a"]).unwrap();
        drop(Folder::open(&to).unwrap());
        assert_eq!(files(&to).unwrap(), ["a", "export.json"]);
        // A killed process leaves its unfinished files; the next export removes them.
        fs::create_dir_all(to.join(UNFINISHED)).unwrap();
        fs::write(to.join(UNFINISHED).join("half"), "").unwrap();
        fs::remove_file(to.join("a")).unwrap();
        export(&to, &["a"]).unwrap();
        assert_eq!(files(&to).unwrap(), ["a", "export.json"]);
    }

    #[test]
    fn an_invalid_record_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(RECORD), "{}").unwrap();
        assert!(matches!(
            Folder::open(folder.path()),
            Err(Error::Store(nodulus_store::Error::Record { .. }))
        ));
    }
}
