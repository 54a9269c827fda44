//! Which files are opened, by whatever process: the kernel says so. Linux only.

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The files below some folders.
pub(crate) struct OpenedFiles {
    events: OwnedFd,
    folders: BTreeMap<i32, PathBuf>,
}

impl OpenedFiles {
    /// Watches the files that are below these folders now.
    pub(crate) fn below(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        let mut watched = BTreeMap::new();
        for folder in folders {
            let files = nodulus_formats::cohort::files_below(&folder).unwrap();
            assert!(!files.is_empty(), "{}", folder.display());
            let parents: BTreeSet<&Path> = files.iter().filter_map(|file| file.parent()).collect();
            for parent in parents {
                let watch = inotify::add_watch(&events, parent, WatchFlags::OPEN).unwrap();
                watched.insert(watch, parent.to_owned());
            }
        }
        Self { events, folders: watched }
    }

    /// The files that were opened since the last call.
    pub(crate) fn take(&self) -> BTreeSet<PathBuf> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.events, &mut buffer);
        let mut found = BTreeSet::new();
        loop {
            match reader.next() {
                Err(Errno::WOULDBLOCK) => return found,
                Err(error) => panic!("{error}"),
                Ok(event) => {
                    assert!(!event.events().contains(ReadFlags::QUEUE_OVERFLOW), "events are lost");
                    if let Some(name) =
                        event.file_name().filter(|_| !event.events().contains(ReadFlags::ISDIR))
                    {
                        found.insert(self.folders[&event.wd()].join(name.to_str().unwrap()));
                    }
                }
            }
        }
    }
}

#[test]
fn an_opened_file_is_found_and_one_that_is_only_listed_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let [read, listed] = ["read", "listed"].map(|name| folder.path().join("a").join(name));
    fs_err::create_dir(folder.path().join("a")).unwrap();
    fs_err::write(&read, "x").unwrap();
    fs_err::write(&listed, "x").unwrap();
    let opened = OpenedFiles::below([folder.path().to_owned()]);
    fs_err::metadata(&listed).unwrap();
    assert_eq!(fs_err::read_dir(folder.path().join("a")).unwrap().count(), 2);
    assert_eq!(opened.take(), BTreeSet::new());
    fs_err::read(&read).unwrap();
    assert_eq!(opened.take(), BTreeSet::from([read]));
}
