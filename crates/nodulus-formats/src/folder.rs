//! Lists the files below a folder, and names them.

use crate::dicom::{PassedOver, PassedOverRule};
use nodulus_faults::{FaultClass, Watch, fs};
use std::io;
use std::path::{Component, Path, PathBuf};

/// What a link is that leads back to a folder above it.
pub(crate) const LINK_TO_FOLDER: &str = "a link to a folder that it lies in";

/// Every file below a folder, at any depth, sorted by path; hidden files and folders are skipped, and so is what
/// `entries_below` passes over.
///
/// # Errors
///
/// Fails if the folder cannot be read, or the machine is at fault that one below it cannot.
pub fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(entries_below(folder)?.files)
}

/// What is below a folder, each list sorted by path.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) folders: Vec<PathBuf>,
    /// Pipes, sockets, devices, links that lead nowhere or in a circle, and folders that cannot be read.
    pub(crate) passed_over: Vec<PassedOver>,
}

/// Every file and every folder below a folder, at any depth; hidden ones are skipped. Opening a pipe or a device could
/// wait forever, so they are passed over.
pub(crate) fn entries_below(folder: &Path) -> io::Result<Entries> {
    let mut entries = Entries::default();
    // A folder, with the true path of each folder from which a link led to it.
    let mut left = vec![(folder.to_owned(), Vec::new())];
    let mut is_root = true;
    while let Some((folder, links)) = left.pop() {
        let listed = match fs::read_dir(&folder) {
            Ok(listed) => listed,
            Err(error) if is_root || !is_passed_over(&error) => return Err(error),
            Err(error) => {
                let what = format!("a folder that cannot be read: {:?}", error.kind());
                entries.passed_over.push(PassedOver::new(
                    &folder,
                    PassedOverRule::NotReadable,
                    what,
                ));
                continue;
            }
        };
        is_root = false;
        for entry in listed {
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            let path = entry.path();
            let mut kind = entry.file_type()?;
            let mut links = links.clone();
            if kind.is_symlink() {
                let target = match fs::metadata(&path) {
                    Ok(target) => target,
                    Err(error) if !is_passed_over(&error) => return Err(error),
                    Err(_) => {
                        let what = "a link that leads nowhere";
                        let rule = PassedOverRule::NoFile;
                        entries.passed_over.push(PassedOver::new(&path, rule, what));
                        continue;
                    }
                };
                kind = target.file_type();
                if kind.is_dir() {
                    links.push(fs::canonicalize(&folder)?);
                    let target = fs::canonicalize(&path)?;
                    if links.iter().any(|from| from.starts_with(&target)) {
                        let rule = PassedOverRule::NoFile;
                        entries.passed_over.push(PassedOver::new(&path, rule, LINK_TO_FOLDER));
                        continue;
                    }
                }
            }
            if kind.is_dir() {
                left.push((path.clone(), links));
                entries.folders.push(path);
            } else if kind.is_file() {
                entries.files.push(path);
            } else {
                let what = "a pipe, socket or device";
                entries.passed_over.push(PassedOver::new(&path, PassedOverRule::NoFile, what));
            }
        }
    }
    entries.files.sort();
    entries.folders.sort();
    entries.passed_over.sort();
    Ok(entries)
}

/// Whether what cannot be read is passed over: it denies its reader, or is not there.
///
/// METHOD: disks have folders that only their owner reads, such as `lost+found`. Any other fault of the machine is no reason
/// to go on without a folder.
fn is_passed_over(error: &io::Error) -> bool {
    let is_denied = error.kind() == io::ErrorKind::PermissionDenied;
    if is_denied {
        Watch::tolerate();
    }
    is_denied || FaultClass::of(error) == FaultClass::Content
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use fs_err as fs;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    #[test]
    fn what_is_no_file_is_passed_over_and_names_may_be_any_bytes() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        let odd = at("a").join(OsStr::from_bytes(b"sl\xff\xe4.dcm"));
        for file in [at("a/1.dcm"), at("a/b/2.dcm"), odd.clone()] {
            fs::write(file, "x").unwrap();
        }
        let _socket = UnixListener::bind(at("a/socket")).unwrap();
        symlink(at("none"), at("a/broken")).unwrap();
        symlink(at("a/itself"), at("a/itself")).unwrap();
        symlink(at("a"), at("a/b/up")).unwrap();
        symlink(at("a/1.dcm"), at("linked.dcm")).unwrap();
        // Two folders that lead to each other.
        for (folder, other) in [("c", "d"), ("d", "c")] {
            fs::create_dir_all(at(folder)).unwrap();
            symlink(at(other), at(folder).join("other")).unwrap();
        }
        let found = entries_below(root.path()).unwrap();
        let expected = [at("a/1.dcm"), at("a/b/2.dcm"), odd, at("linked.dcm")];
        assert_eq!(found.files, expected);
        let below = |path: &PathBuf| relative(root.path(), path);
        let folders: Vec<_> = found.folders.iter().map(below).collect();
        assert_eq!(folders, ["a", "a/b", "c", "c/other", "d", "d/other"]);
        let odd: Vec<_> = found.passed_over.iter().map(|odd| below(&odd.path)).collect();
        let expected =
            ["a/b/up", "a/broken", "a/itself", "a/socket", "c/other/other", "d/other/other"];
        assert_eq!(odd, expected);
        assert!(entries_below(&at("none")).is_err());
    }
}
