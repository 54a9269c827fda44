//! Size, time of change and number of a file: what tells that it has not changed since it was hashed.

use fs_err as fs;
use std::fmt;
use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Size, time of change and number of a file. As with every tool that does not read what has not changed, bytes that change
/// without these are not seen; `fsck` reads all, and Parquet pages have checksums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) bytes: u64,
    pub(crate) modified_ns: u128,
    number: u64,
}

impl Stamp {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Self::of_found(&fs::metadata(path)?)
    }

    pub(crate) fn of_found(found: &Metadata) -> io::Result<Self> {
        if !found.is_file() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let since = found.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self { bytes: found.len(), modified_ns: since.as_nanos(), number: number(found) })
    }

    /// Whether the file was last changed before a time, by more than a file system's clock may be behind.
    pub(crate) fn is_well_before(&self, time_ns: u128) -> bool {
        self.modified_ns + TICK_NS < time_ns
    }

    /// As [`fmt::Display`] writes it.
    pub(crate) fn parse([bytes, modified_ns, number]: [&str; 3]) -> Option<Self> {
        let modified_ns = modified_ns.parse().ok()?;
        Some(Self { bytes: bytes.parse().ok()?, modified_ns, number: number.parse().ok()? })
    }
}

/// Longest time between two ticks of a file system's clock, twice over.
const TICK_NS: u128 = 20_000_000;

/// The time, as stamps have it.
pub(crate) fn now_ns() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.bytes, self.modified_ns, self.number)
    }
}

#[cfg(unix)]
fn number(found: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(found)
}

#[cfg(not(unix))]
fn number(_: &Metadata) -> u64 {
    0
}
