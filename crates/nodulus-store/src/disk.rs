//! The disk of a store: its free space, and whether it can be written to.

use crate::Error;
use std::io;
use std::path::{Component, Path};

/// Bytes that are free on the disk of a folder, which need not exist yet.
///
/// # Errors
///
/// Fails if the disk does not answer.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(existing(folder))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Whether a store's folder can be written to, or created; nothing is changed.
///
/// # Errors
///
/// Fails if it cannot.
pub fn check_writable(store: &Path) -> Result<(), Error> {
    let not_writable = |source| Error::NotWritable { store: store.to_owned(), source };
    let folder = existing(store);
    if !folder.is_dir() {
        return Err(not_writable(io::Error::from(io::ErrorKind::NotADirectory)));
    }
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::access(folder, access).map_err(|error| not_writable(error.into()))
}

/// Whether a folder, which need not exist yet, lies in another one or is it.
pub fn lies_in(folder: &Path, other: &Path) -> bool {
    let Ok(other) = fs_err::canonicalize(other) else { return false };
    let Ok(mut place) = fs_err::canonicalize(".") else { return false };
    for component in folder.components() {
        match component {
            Component::CurDir => {}
            // A folder that does not exist yet is made, and so does not hide what comes after it.
            Component::ParentDir => {
                place.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                place.push(component);
                if let Ok(found) = fs_err::canonicalize(&place) {
                    place = found;
                }
            }
        }
    }
    place.starts_with(other)
}

/// The folder, or the nearest one above it that exists.
fn existing(folder: &Path) -> &Path {
    let found = folder.ancestors().find(|folder| folder.symlink_metadata().is_ok());
    match found {
        Some(found) if !found.as_os_str().is_empty() => found,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_lies_in_another_by_where_links_lead() {
        let root = tempfile::tempdir().unwrap();
        let input = root.path().join("input");
        fs_err::create_dir(&input).unwrap();
        let linked = root.path().join("linked");
        std::os::unix::fs::symlink(&input, &linked).unwrap();
        for inside in [
            "input",
            "input/a/b",
            "linked/store",
            "other/../input/a",
            "none/../input/a",
            "none/a/../../linked/../input/a",
        ] {
            fs_err::create_dir_all(root.path().join("other")).unwrap();
            assert!(lies_in(&root.path().join(inside), &input), "{inside}");
        }
        for outside in ["other/a", "input2", "", "input/../other", "input/none/../../other"] {
            assert!(!lies_in(&root.path().join(outside), &input), "{outside}");
        }
        assert!(!lies_in(&input.join("a"), &root.path().join("none")));
    }

    #[test]
    fn a_folder_that_does_not_exist_has_the_disk_of_the_one_above() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        assert!(free_bytes(&below).unwrap() > 0);
        assert!(free_bytes(Path::new("no-such-folder/x")).unwrap() > 0);
        check_writable(&below).unwrap();
        fs_err::write(folder.path().join("a"), "a file").unwrap();
        let error = check_writable(&below).unwrap_err();
        assert!(matches!(error, Error::NotWritable { .. }), "{error}");
        assert!(!below.exists());
    }
}
