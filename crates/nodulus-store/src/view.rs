//! The folder `STORE/OUTPUT/current/`: the files of the current version, for other programs.
//!
//! Its path never changes, and no key is in it: `STORE/TABLE/current/*.parquet` is what people put into notebooks.

use crate::durable;
use crate::{OutputSpec, Version};
use fs_err as fs;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Path of the folder, given the output's folder.
pub(crate) fn folder(output: &Path) -> PathBuf {
    output.join("current")
}

/// Makes the folder show a version, all at once; nothing happens where it does already, unless files of the same
/// names may have other bytes (`anew`).
///
/// Files are hard links to those of the shards, or copies where the file system refuses links.
pub(crate) fn show(output: &Path, version: &Version, anew: bool) -> io::Result<()> {
    let files = names(version);
    let shown = folder(output);
    if !anew && listed(&shown)?.is_some_and(|shown| shown.iter().eq(files.keys())) {
        return Ok(());
    }
    let aside = output.join(format!("current.{}.tmp", durable::this_attempt()));
    fs::create_dir_all(&aside)?;
    for (name, file) in &files {
        let link = aside.join(name);
        if fs::hard_link(file, &link).is_err() {
            fs::copy(file, &link)?;
        }
    }
    durable::sync_folder(&aside)?;
    durable::swap_folders(&aside, &shown)
}

/// The files by the names that they have in the folder: parts of a table are numbered by the order of the shards.
fn names(version: &Version) -> BTreeMap<OsString, PathBuf> {
    let is_table = matches!(version.output(), OutputSpec::Table(_));
    let shards = (0..version.manifest.n_shards()).map(|shard| (shard, version.shard_files(shard)));
    let files = shards.flat_map(|(shard, files)| files.into_iter().map(move |file| (shard, file)));
    files
        .map(|(shard, file)| {
            let own = file.file_name().unwrap_or_default();
            let name = match own.to_str().and_then(|name| name.strip_prefix("part-")) {
                Some(rest) if is_table => format!("part-{shard:05}-{rest}").into(),
                _ => own.to_owned(),
            };
            (name, file)
        })
        .collect()
}

/// The names of a folder's files, sorted; `None` if there is no folder.
fn listed(folder: &Path) -> io::Result<Option<Vec<OsString>>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut names = entries.map(|e| e.map(|e| e.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(Some(names))
}
