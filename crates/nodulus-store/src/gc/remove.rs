//! Removes garbage so that an interruption at any moment leaves a whole store.

use super::collect::Paths;
use crate::durable;
use fs_err as fs;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// Removes the records of versions first: no record ever lists a shard that is gone.
pub(super) fn remove(paths: &Paths) -> io::Result<()> {
    let mut folders = BTreeSet::new();
    for record in &paths.versions {
        remove_path(record)?;
        folders.extend(record.parent());
    }
    for folder in folders {
        durable::sync_folder(folder)?;
    }
    for shard in &paths.shards {
        // Half a shard must not look like a committed one: it goes out of the way as a whole.
        let aside = shard.with_extension(format!("{}{}", durable::this_attempt(), ".tmp"));
        match fs::rename(shard, &aside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => {
                renamed?;
                remove_path(&aside)?;
            }
        }
    }
    paths.unfinished.iter().try_for_each(|path| remove_path(path))
}

fn remove_path(path: &Path) -> io::Result<()> {
    let is_folder = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    let removed = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
