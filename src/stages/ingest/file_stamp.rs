//! Size and times of files, by which a change is found without reading them.

use nodulus_faults::fs;
use nodulus_formats::cohort::Case;
use nodulus_store::hash;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The files of a case.
pub(crate) fn files(case: &Case) -> impl Iterator<Item = &PathBuf> {
    case.images.iter().chain(&case.annotations).chain(&case.annotation_data)
}

/// Size and times of change of a file, as text. Programs such as `rsync` set the time of the content; nobody can set that of the
/// file's entry, so that a file replaced by one of equal size and time is found.
pub(crate) fn of_file(path: &Path) -> String {
    let Ok(metadata) = fs::metadata(path) else { return "unreadable".to_owned() };
    let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    #[cfg(unix)]
    let entry = {
        use std::os::unix::fs::MetadataExt as _;
        format!(" {}.{}", metadata.ctime(), metadata.ctime_nsec())
    };
    #[cfg(not(unix))]
    let entry = "";
    format!("{} {}{entry}", metadata.len(), changed.map_or(0, |since| since.as_nanos()))
}

/// The stamp of a case, from those of its [`files`].
pub(crate) fn of_case(stamps: &[String]) -> String {
    hash::sha256_parts(stamps.iter().map(String::as_str))
}

/// Whether the files of a case are those that had a stamp, one look at each. It is asked after they were read, because they are
/// hashed before.
pub(crate) fn is_unchanged(case: &Case, stamp: &str) -> bool {
    of_case(&files(case).map(|path| of_file(path)).collect::<Vec<_>>()) == stamp
}
