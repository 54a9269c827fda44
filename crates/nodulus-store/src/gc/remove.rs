//! Removes garbage so that an interruption at any moment leaves a whole store.

use super::collect::Paths;
use crate::durable;
use fs_err as fs;
use std::collections::BTreeSet;
use std::io;

/// Removes the records of versions first: no record ever lists a shard that is gone.
pub(super) fn remove(paths: &Paths) -> io::Result<()> {
    let mut folders = BTreeSet::new();
    for record in &paths.versions {
        durable::remove(record)?;
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
                durable::remove(&aside)?;
            }
        }
    }
    paths.unfinished.iter().chain(&paths.metrics).try_for_each(|path| durable::remove(path))
}
