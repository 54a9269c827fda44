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
    let has_names = listed(&shown)?.is_some_and(|shown| shown.iter().eq(files.keys()));
    // The names of a table's files say what is in them; others are the same in each version.
    let is_named_by_content = matches!(version.output(), OutputSpec::Table(_));
    let is_shown = |(name, file): (&OsString, &PathBuf)| is_same_file(&shown.join(name), file);
    if !anew && has_names && (is_named_by_content || files.iter().all(is_shown)) {
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

/// Whether two paths are links to one file.
#[cfg(unix)]
fn is_same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let id = |path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    id(a).is_some() && id(a) == id(b)
}

#[cfg(not(unix))]
fn is_same_file(_: &Path, _: &Path) -> bool {
    false
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{JobSpec, ShardSpec, Store};
    use serde_json::{Value, json};
    use std::sync::Arc;

    #[test]
    fn files_of_the_same_name_are_those_of_the_current_version() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("s")).unwrap();
        let report = OutputSpec::Files("report");
        let make = |text: &str| {
            let config = json!(text);
            let shard = ShardSpec {
                config: Arc::new(config.clone()),
                decisions: Value::Null,
                inputs: Vec::new(),
                cases: Vec::new(),
            };
            let (outputs, shards) = (vec![report], vec![shard]);
            let inputs = Vec::new();
            let spec = JobSpec { stage: "s", stage_version: 1, outputs, config, inputs, shards };
            let job = store.job(spec);
            for shard in job.work().unwrap() {
                let shard = shard.unwrap();
                fs::write(shard.files(report).unwrap().join("report.html"), text).unwrap();
                shard.commit(Vec::new(), Vec::new()).unwrap();
            }
            job.finish().unwrap();
            fs::read_to_string(store.root().join("report/current/report.html")).unwrap()
        };
        for text in ["old", "new", "new", "old"] {
            assert_eq!(make(text), text);
        }
    }
}
