//! Bytes that become free when files are removed.

use crate::durable;
use fs_err as fs;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Files that are removed, each counted once however many links it has.
#[derive(Default)]
pub(super) struct Freed {
    files: BTreeMap<FileId, Links>,
    bytes: u64,
}

/// Disk and number of a file.
type FileId = (u64, u64);

/// The links of a file.
struct Links {
    /// Links that are not removed.
    left: u64,
    bytes: u64,
}

impl Freed {
    /// Adds a file, or a folder with all that is in it, and returns its size. One that is gone already has none.
    pub(super) fn add(&mut self, path: &Path) -> io::Result<u64> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        if metadata.is_dir() {
            let mut bytes = 0;
            for entry in durable::entries(path)? {
                bytes += self.add(&entry?.path())?;
            }
            return Ok(bytes);
        }
        let bytes = metadata.len();
        self.count(&metadata);
        Ok(bytes)
    }

    /// Bytes that become free: those of files without a link that stays.
    pub(super) fn bytes(&self) -> u64 {
        let files = self.files.values().filter(|links| links.left == 0);
        self.bytes + files.map(|links| links.bytes).sum::<u64>()
    }

    #[cfg(unix)]
    fn count(&mut self, metadata: &std::fs::Metadata) {
        use std::os::unix::fs::MetadataExt as _;
        if metadata.nlink() == 1 {
            self.bytes += metadata.len();
            return;
        }
        let links = Links { left: metadata.nlink(), bytes: metadata.len() };
        let links = self.files.entry((metadata.dev(), metadata.ino())).or_insert(links);
        links.left = links.left.saturating_sub(1);
    }

    #[cfg(not(unix))]
    fn count(&mut self, metadata: &std::fs::Metadata) {
        self.bytes += metadata.len();
    }
}

/// Size of a file, or of all files in a folder.
pub(super) fn size(path: &Path) -> io::Result<u64> {
    Freed::default().add(path)
}
