//! Lists the files below a folder, and names them.

use fs_err as fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Every file below a folder, at any depth, sorted by path; hidden files and folders are skipped.
///
/// # Errors
///
/// Fails if a folder cannot be read.
pub fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(entries_below(folder)?.0)
}

/// Every file and every folder below a folder, at any depth, each sorted by path; hidden ones are skipped.
pub(crate) fn entries_below(folder: &Path) -> io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            let path = entry.path();
            if path.is_dir() {
                left.push(path.clone());
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    folders.sort();
    Ok((files, folders))
}

/// A path relative to a root, with `/` on every platform; `.` for the root itself.
pub fn relative(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = below.components().map(|c| c.as_os_str().to_string_lossy()).collect();
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

/// Whether a file has this extension, in upper or lower case.
pub(crate) fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// Whether the name of another file stays below its folder; `\` separates folders on some platforms.
pub(crate) fn is_below(name: &str) -> bool {
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let path = Path::new(name);
    !name.contains('\\') && path.file_name().is_some() && path.components().all(inside)
}
