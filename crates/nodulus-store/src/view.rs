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
    show_with(&|file, link| fs::hard_link(file, link), output, version, anew)
}

/// [`show`] with a function that links a file.
fn show_with(
    hard_link: &dyn Fn(&Path, &Path) -> io::Result<()>,
    output: &Path,
    version: &Version,
    anew: bool,
) -> io::Result<()> {
    let files = names(version);
    let shown = folder(output);
    let has_names = listed(&shown)?.is_some_and(|shown| shown.iter().eq(files.keys()));
    // Files of one name may differ: in what they were made from, in volatile columns, and where they are no table in all.
    let is_shown = |(name, file): (&OsString, &PathBuf)| is_same_file(&shown.join(name), file);
    if !anew && has_names && files.iter().all(is_shown) {
        return Ok(());
    }
    let aside = output.join(format!("current.{}.tmp", durable::this_attempt()));
    fs::create_dir_all(&aside)?;
    for (name, file) in &files {
        let link = aside.join(name);
        if hard_link(file, &link).is_err() {
            fs::copy(file, &link)?;
            let copy = fs::OpenOptions::new().write(true).open(&link)?;
            copy.file().set_modified(fs::metadata(file)?.modified()?)?;
        }
    }
    durable::sync_folder(&aside)?;
    durable::swap_folders(&aside, &shown)
}

/// The files by the names that they have in the folder: parts of a table are numbered by the order of the shards.
pub(crate) fn names(version: &Version) -> BTreeMap<OsString, PathBuf> {
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

/// Whether two paths are links to one file, or one is a copy of the other, which has its time of change.
fn is_same_file(a: &Path, b: &Path) -> bool {
    let facts = |path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    };
    facts(a).is_some() && facts(a) == facts(b)
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
    use crate::fixture::Slice;
    use crate::record::ShardInput;
    use crate::{JobSpec, Row as _, ShardSpec, Store};
    use serde_json::{Value, json};
    use std::sync::Arc;

    const PICTURES: OutputSpec = OutputSpec::Files("pictures");

    /// A version with a shard, of one row and one picture, for each number.
    fn version(store: &Store, shards: &[i64]) -> [Version; 2] {
        made_with(store, &Value::Null, shards)
    }

    fn made_with(store: &Store, config: &Value, shards: &[i64]) -> [Version; 2] {
        let shard = |n: &i64| ShardSpec {
            config: Arc::new(config.clone()),
            decisions: Value::Null,
            inputs: vec![ShardInput { name: "n".to_owned(), content_sha256: n.to_string() }],
            cases: Vec::new(),
        };
        let job = store.job(JobSpec {
            stage: "crop",
            stage_version: 1,
            outputs: vec![Slice::TABLE.into(), PICTURES],
            config: Value::Null,
            inputs: Vec::new(),
            shards: shards.iter().map(shard).collect(),
        });
        for writer in job.work().unwrap() {
            let writer = writer.unwrap();
            let n = shards[writer.number()];
            let mut part = writer.part::<Slice>().unwrap();
            part.write([Slice::new(n)]).unwrap();
            fs::write(writer.files(PICTURES).unwrap().join(format!("{n}.png")), [n as u8]).unwrap();
            writer.commit(vec![part.finish().unwrap()], Vec::new()).unwrap();
        }
        job.finish().unwrap().try_into().unwrap()
    }

    /// The names and bytes of a folder's files.
    fn shown(output: &Path) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(folder(output)).unwrap().map(Result::unwrap);
        let named = entries.map(|entry| {
            let name = entry.file_name().to_str().unwrap().to_owned();
            (name, fs::read(entry.path()).unwrap())
        });
        named.collect()
    }

    /// What the folder must show: the parts with their numbers, in order.
    fn expected(version: &Version) -> BTreeMap<String, Vec<u8>> {
        let parts = version.files().into_iter().enumerate().map(|(n, file)| {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            (name.replacen("part-", &format!("part-{n:05}-"), 1), fs::read(file).unwrap())
        });
        parts.collect()
    }

    #[test]
    fn the_folder_has_exactly_the_version_s_files() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::create(&root.path().join("s")).unwrap();
        let [slices, pictures] = ["slices", "pictures"].map(|name| store.root().join(name));
        for shards in [&[1, 2][..], &[3, 1, 2], &[2], &[], &[1, 2]] {
            let [of_slices, of_pictures] = version(&store, shards);
            assert_eq!(shown(&slices), expected(&of_slices));
            let files = of_pictures.files().into_iter();
            let named = files.map(|f| {
                (f.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&f).unwrap())
            });
            assert_eq!(shown(&pictures), named.collect());
        }
        // Other shards with the same rows have files of the same names, which say what they were made from.
        let [other, _] = made_with(&store, &json!("other"), &[1, 2]);
        let shown_now = shown(&slices);
        assert_eq!(shown_now, expected(&other));
        let [of_slices, _] = version(&store, &[1, 2]);
        assert_eq!(shown(&slices), expected(&of_slices));
        assert!(shown_now.keys().eq(shown(&slices).keys()) && shown_now != shown(&slices));
        // Nothing else stays beside it.
        for output in [slices, pictures] {
            let names = listed(&output).unwrap().unwrap();
            assert_eq!(names, ["CURRENT", "current", "shards", "versions"]);
        }
    }

    #[cfg(unix)]
    #[test]
    fn files_that_stay_are_the_same_files() {
        use std::os::unix::fs::MetadataExt as _;
        let root = tempfile::tempdir().unwrap();
        let store = Store::create(&root.path().join("s")).unwrap();
        let output = store.root().join("slices");
        let numbers = || -> BTreeMap<String, (u64, i64)> {
            let entries = fs::read_dir(folder(&output)).unwrap().map(Result::unwrap);
            let of = |entry: fs::DirEntry| {
                let (name, data) = (entry.file_name(), entry.metadata().unwrap());
                (name.into_string().unwrap(), (data.ino(), data.mtime_nsec()))
            };
            entries.map(of).collect()
        };
        version(&store, &[1, 2]);
        let (before, folder_before) = (numbers(), fs::metadata(folder(&output)).unwrap().ino());
        // The same version again does not touch the folder.
        version(&store, &[1, 2]);
        assert_eq!(fs::metadata(folder(&output)).unwrap().ino(), folder_before);
        let [grown, _] = version(&store, &[1, 2, 3]);
        let after = numbers();
        assert_eq!(after.len(), 3);
        assert!(before.iter().all(|(name, number)| after.get(name) == Some(number)));
        let files: Vec<u64> =
            grown.files().iter().map(|f| fs::metadata(f).unwrap().ino()).collect();
        assert_eq!(after.values().map(|(number, _)| *number).collect::<Vec<_>>(), files);
    }

    #[test]
    fn copies_stand_in_where_links_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::create(&root.path().join("s")).unwrap();
        let [slices, _] = version(&store, &[1, 2]);
        let output = store.root().join("slices");
        fs::remove_dir_all(folder(&output)).unwrap();
        let refuse = |_: &Path, _: &Path| Err(io::ErrorKind::Unsupported.into());
        show_with(&refuse, &output, &slices, false).unwrap();
        assert_eq!(shown(&output), expected(&slices));
        // They are not copied again.
        let never = |_: &Path, _: &Path| -> io::Result<()> { panic!("nothing is to be shown") };
        show_with(&never, &output, &slices, false).unwrap();
    }

    #[test]
    fn a_reader_sees_the_old_files_or_the_new_ones() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::create(&root.path().join("s")).unwrap();
        let output = store.root().join("slices");
        let whole: Vec<_> = [&[1, 2, 3][..], &[4]]
            .map(|shards| expected(&version(&store, shards)[0]).into_keys().collect::<Vec<_>>())
            .to_vec();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for n in 0..40 {
                    version(&store, [&[1, 2, 3][..], &[4]][n % 2]);
                }
            });
            while !writer.is_finished() {
                // A folder that is opened stays what it was; its name never leads to nothing.
                let entries = fs::read_dir(folder(&output)).unwrap();
                let names = entries.map(|e| e.map(|e| e.file_name().into_string().unwrap()));
                let mut names: Vec<String> = names.collect::<Result<_, _>>().unwrap();
                names.sort();
                let is_of = |whole: &&Vec<String>| names.iter().all(|name| whole.contains(name));
                assert!(whole.iter().any(|whole| is_of(&whole)), "{names:?}");
            }
        });
    }

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
