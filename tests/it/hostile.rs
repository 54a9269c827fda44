//! Small files that cost much, names that a terminal acts on, and programs that are killed while they unpack.

use crate::fixture;
use flate2::Compression;
use flate2::write::GzEncoder;
use nodulus::tables::Failure;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A folder for temporary files, a cohort and a pipeline file that ingests it.
struct Cohort {
    folder: tempfile::TempDir,
}

impl Cohort {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["tmp", "lidc"] {
            fs_err::create_dir(folder.path().join(name)).unwrap();
        }
        let text = format!(
            "store = \"{}\"\n[[ingest.cohorts]]\nname = \"a\"\nsource = \"lidc\"\nroot = \"{}\"\n",
            folder.path().join("store").display(),
            folder.path().join("lidc").display()
        );
        fs_err::write(folder.path().join("p.toml"), text).unwrap();
        Self { folder }
    }

    fn lidc(&self, name: &str) -> PathBuf {
        self.folder.path().join("lidc").join(name)
    }

    fn temporary(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    fn ingest(&self) -> Command {
        let path = self.folder.path().join("p.toml");
        let mut command = fixture::nodulus(&["ingest", path.to_str().unwrap(), "--threads", "1"]);
        command.env("TMPDIR", self.temporary());
        command
    }

    /// What is in the folder for temporary files.
    fn left(&self) -> Vec<PathBuf> {
        let entries = fs_err::read_dir(self.temporary()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

/// A tar of one file of zeros, in gzip; it takes a while to unpack.
fn zeros(path: &Path) {
    let n = 200u64 << 20;
    let mut header = [0; 512];
    header[..5].copy_from_slice(b"1.dcm");
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{n:011o}").as_bytes());
    header[156] = b'0';
    header[257..263].copy_from_slice(b"ustar\0");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut packed = GzEncoder::new(fs_err::File::create(path).unwrap(), Compression::fast());
    packed.write_all(&header).unwrap();
    let block = vec![0; 1 << 20];
    for _ in 0..n >> 20 {
        packed.write_all(&block).unwrap();
    }
    packed.write_all(&[0; 1024]).unwrap();
    packed.finish().unwrap();
}

/// A program that has begun to unpack an archive.
fn unpacking(cohort: &Cohort) -> Child {
    let before = cohort.left();
    let mut child = cohort.ingest().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    let has_file = || {
        cohort.left().iter().filter(|folder| !before.contains(folder)).any(|folder| {
            fs_err::metadata(folder.join("files/1.dcm")).is_ok_and(|file| file.len() > 0)
        })
    };
    while !has_file() {
        assert!(child.try_wait().unwrap().is_none(), "it has ended before it unpacked");
        assert!(begun.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

#[test]
fn a_killed_program_leaves_no_temporary_folder_for_long() {
    let cohort = Cohort::new();
    for n in 0..4 {
        zeros(&cohort.lidc(&format!("{n}.tar.gz")));
    }
    // A store of this name is no temporary folder.
    let store = cohort.temporary().join("nodulus-store");
    fs_err::create_dir(&store).unwrap();
    fs_err::write(store.join("lock"), "").unwrap();
    for (name, number) in [("TERM", 15), ("INT", 2)] {
        let mut child = unpacking(&cohort);
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().signal(), Some(number));
        assert_eq!(cohort.left(), std::slice::from_ref(&store), "{name}");
    }
    let mut child = unpacking(&cohort);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(cohort.left().len(), 2);
    // The next program sweeps it. What another one works on is not swept.
    let mut other = unpacking(&cohort);
    assert_eq!(cohort.left().len(), 2);
    let used = cohort.left().into_iter().find(|folder| *folder != store).unwrap();
    let elsewhere = Cohort::new();
    let output = elsewhere.ingest().env("TMPDIR", cohort.temporary()).output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("removed"));
    assert!(used.exists());
    other.kill().unwrap();
    other.wait().unwrap();
    let output = cohort.ingest().output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("removed 1 temporary folders of programs that were killed"), "{said}");
    // Archives without a slice are passed over.
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(cohort.left(), [store]);
}

#[test]
fn small_files_take_little_time_and_disk() {
    let cohort = Cohort::new();
    // A zip of 2,000 members that share the bytes of one.
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let first = "00000";
    zip.start_file(first, zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(&vec![0; 4 << 20]).unwrap();
    for member in 1..2000 {
        zip.shallow_copy_file(first, &format!("{member:05}")).unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner();
    assert!(bytes.len() < 300_000, "{}", bytes.len());
    fs_err::write(cohort.lidc("overlap.zip"), bytes).unwrap();
    let attributes: Vec<String> = (0..100_000).map(|n| format!(" a{n}='1'")).collect();
    let attributes = attributes.concat();
    fs_err::write(cohort.lidc("many.xml"), format!("<LidcReadMessage{attributes}/>")).unwrap();
    let hidden = "hidden\u{1b}[2J\u{202e}.tar";
    fs_err::write(cohort.lidc(hidden), "no archive").unwrap();
    let begun = Instant::now();
    let output = cohort.ingest().output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(cohort.left().is_empty(), "{:?}", cohort.left());
    let store = cohort.folder.path().join("store");
    let causes: Vec<_> =
        fixture::rows::<Failure>(&store).into_iter().map(|row| row.cause).collect();
    for expected in [
        "overlap.zip` has members that overlap",
        "more than 100 attributes of an element",
        ".tar` cannot be unpacked",
    ] {
        assert!(causes.iter().any(|cause| cause.contains(expected)), "{causes:?}");
    }
    let shown = fixture::run_well(&["show", "failures", "--store", store.to_str().unwrap()]);
    assert!(shown.contains(r"hidden\u{1b}[2J\u{202e}.tar"), "{shown}");
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
    let (error, _) = fixture::run_badly(&["run", hidden]);
    assert!(error.contains(r"hidden\u{1b}[2J\u{202e}.tar") && !error.contains('\u{1b}'), "{error}");
}

#[test]
fn a_store_in_its_input_is_refused_before_anything_is_written() {
    let cohort = Cohort::new();
    let (path, store) = (cohort.folder.path().join("p.toml"), cohort.lidc("store"));
    let (path, store) = (path.to_str().unwrap(), store.to_str().unwrap());
    let (error, status) = fixture::run_badly(&["ingest", path, "--store", store]);
    assert_eq!(status, Some(2), "{error}");
    assert!(error.contains("lies in `ingest.cohorts.0.root`"), "{error}");
    assert!(!Path::new(store).exists());
}
