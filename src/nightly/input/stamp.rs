//! Whether files have changed, without reading them.

use nodulus_faults::fs;
use nodulus_store::hash;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Name, size and times of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileStamp {
    pub(super) name: String,
    length: u64,
    modified: SystemTime,
    /// When the file system last changed the file's entry. Programs such as `rsync` set `modified`, but
    /// cannot set this.
    changed: SystemTime,
}

impl FileStamp {
    /// Reads the stamp of a file; links are followed.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        let modified = metadata.modified()?;
        #[cfg(unix)]
        let changed = {
            use std::os::unix::fs::MetadataExt as _;
            let seconds = Duration::from_secs(u64::try_from(metadata.ctime()).unwrap_or(0));
            let nanos = u64::try_from(metadata.ctime_nsec()).unwrap_or(0);
            UNIX_EPOCH + seconds + Duration::from_nanos(nanos)
        };
        #[cfg(not(unix))]
        let changed = modified;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, length: metadata.len(), modified, changed })
    }

    /// When the file last changed.
    fn newest(&self) -> SystemTime {
        self.modified.max(self.changed)
    }
}

/// The stamps of several files as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Hash of names, sizes and times.
    pub(crate) text: String,
    /// When the last of the files changed.
    pub(crate) newest: SystemTime,
}

impl Stamp {
    /// Joins the stamps of files, in their order.
    pub(super) fn of<'a>(files: impl IntoIterator<Item = &'a FileStamp>) -> Self {
        let mut newest = UNIX_EPOCH;
        let nanos =
            |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let mut texts = Vec::new();
        for file in files {
            newest = newest.max(file.newest());
            let times = format!("{} {}", nanos(file.modified), nanos(file.changed));
            texts.push(format!("{}\n{} {times}", file.name, file.length));
        }
        Self { text: hash::id("", texts.iter().map(String::as_str)), newest }
    }

    /// This stamp, with the names of entries that have none of their own, such as links that lead nowhere.
    pub(super) fn with_names<'a>(self, names: impl Iterator<Item = &'a Path>) -> Self {
        let names: Vec<String> = names.map(|path| path.display().to_string()).collect();
        if names.is_empty() {
            return self;
        }
        let texts = std::iter::once(self.text.as_str()).chain(names.iter().map(String::as_str));
        Self { text: hash::id("", texts), ..self }
    }

    /// Joins the stamps of several sources, each with its path below the input, in their order.
    pub(super) fn joined(sources: &[(String, Self)]) -> Self {
        let newest = sources.iter().map(|(_, stamp)| stamp.newest).max().unwrap_or(UNIX_EPOCH);
        let texts = sources.iter().flat_map(|(path, stamp)| [path.as_str(), stamp.text.as_str()]);
        Self { text: hash::id("", texts), newest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fs_err as fs;

    #[test]
    fn a_rewritten_file_has_another_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "1").unwrap();
        let first = FileStamp::of(&path).unwrap();
        assert_eq!(Stamp::of([&first]), Stamp::of([&FileStamp::of(&path).unwrap()]));
        let times = fs::metadata(&path).unwrap().modified().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        fs::write(&path, "2").unwrap();
        // Programs such as `rsync` keep the time.
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.into_parts().0.set_modified(times).unwrap();
        let second = FileStamp::of(&path).unwrap();
        let [first, second] = [&first, &second].map(|stamp| Stamp::of([stamp]));
        assert_ne!(first.text, second.text);
        assert!(first.newest < second.newest);
        let sources = |a: &str| [(a.to_owned(), first.clone()), ("b".to_owned(), second.clone())];
        assert_eq!(Stamp::joined(&sources("a")).newest, second.newest);
        assert_ne!(Stamp::joined(&sources("a")).text, Stamp::joined(&sources("c")).text);
    }
}
