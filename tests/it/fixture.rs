//! A small pipeline that runs in seconds, and functions that run the program.

use nodulus_test_needs::{data_folder, real_scan};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// A pipeline with every stage on a few small scans; `{{STORE}}` stands for the store's folder.
const SMALL: &str = r#"
store = "{{STORE}}"

[phantom]
seed = 3
patients = 3
clinical_patients = 3
size = 128
slices = 24

[ingest]
shard_size = 2

[[ingest.cohorts]]
name = "luna16"
source = "luna16"
root = "{store}/phantom/luna16"
annotations = "{store}/phantom/luna16/xml"

[[ingest.cohorts]]
name = "clinical"
source = "volumes"
root = "{store}/phantom/clinical"

[crop]
size = 64
margin_slices = 1

[crop.windows.clinical]
low_hu = 0.0
high_hu = 1000.0

[balance]
# The cohorts are small: by shares alone a split could be empty.
assignment = "exact"

[balance.splits.clinical]
validation = 0.0
test = 0.4

[train.model]
preset = "tiny"
image_size = 64

[[train.phases]]
name = "pretrain"
cohorts = ["luna16"]

[train.phases.schedule]
epochs = 2
std = false

[[train.phases]]
name = "finetune"
cohorts = ["clinical"]

[train.phases.schedule]
epochs = 2
std = true

[infer]
splits = ["test"]
"#;

/// Writes the small pipeline with a store at `folder/store`, and returns its path.
pub(crate) fn pipeline(folder: &Path) -> PathBuf {
    let path = folder.join("small.toml");
    let store = folder.join("store");
    fs_err::write(&path, SMALL.replace("{{STORE}}", store.to_str().unwrap())).unwrap();
    path
}

/// The program with the repository as its working folder.
pub(crate) fn nodulus(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodulus"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    command
}

/// Runs the program.
pub(crate) fn run(arguments: &[&str]) -> Output {
    nodulus(arguments).output().unwrap()
}

/// Runs the program, which must succeed, and returns its standard output.
pub(crate) fn run_well(arguments: &[&str]) -> String {
    let output = run(arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "nodulus {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs the program and returns its standard error and its exit status.
pub(crate) fn run_badly(arguments: &[&str]) -> (String, Option<i32>) {
    let output = run(arguments);
    (String::from_utf8(output.stderr).unwrap(), output.status.code())
}

/// The folder of a store in which the small pipeline has run, shared by tests that only read it. It is among the build's
/// temporary files.
pub(crate) fn finished() -> &'static Path {
    static FINISHED: OnceLock<PathBuf> = OnceLock::new();
    FINISHED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("finished");
        if folder.exists() {
            fs_err::remove_dir_all(&folder).unwrap();
        }
        fs_err::create_dir_all(&folder).unwrap();
        let path = pipeline(&folder);
        run_well(&["run", path.to_str().unwrap(), "--progress", "none"]);
        folder
    })
}

/// Every row of a table of the store.
pub(crate) fn rows<R: nodulus_store::Row>(store: &Path) -> Vec<R> {
    let store = nodulus_store::Store::open(store).unwrap();
    let version = store.require(R::TABLE).unwrap();
    version.rows::<R>().flat_map(Result::unwrap).collect()
}

/// The folder with the files of an output's current version.
pub(crate) fn current(store: &Path, output: &str) -> PathBuf {
    store.join(output).join("current")
}

/// The record of an output's current version.
pub(crate) fn manifest(store: &Path, output: &str) -> serde_json::Value {
    let folder = store.join(output);
    let key = fs_err::read_to_string(folder.join("CURRENT")).unwrap();
    let path = folder.join("versions").join(format!("{}.json", key.trim()));
    serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
}

/// A folder with all rows of each table of the store, as `nodulus show` prints them: `TABLE.jsonl`.
pub(crate) fn shown_rows(store: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for table in nodulus::tables::Table::OF_STAGES.map(nodulus::tables::Table::name) {
        let rows = run_well(&["show", table, "--store", store, "--json", "--rows", "1000000"]);
        fs_err::write(folder.path().join(format!("{table}.jsonl")), rows).unwrap();
    }
    folder
}

/// The bytes of every file of the store's outputs, by its path.
pub(crate) fn outputs(store: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    let mut folders = vec![store.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(store).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                // What was set aside is no output.
                if !["phantom", "sources", "damaged"].contains(&&*name) {
                    folders.push(path);
                }
            } else if name.ends_with("/sealed") {
                // A seal has times of change.
                found.insert(name, Vec::new());
            } else if name.starts_with("training_log/metrics/") {
                found.insert(name, without_seconds(&path));
            } else if name != "lock" && name != "phantom.lock" {
                found.insert(name, fs_err::read(&path).unwrap());
            }
        }
    }
    found
}

/// The lines of metrics without the time that epochs took; nothing of a record, which has the hash of that time.
fn without_seconds(path: &Path) -> Vec<u8> {
    let text = fs_err::read_to_string(path).unwrap();
    let lines = text.lines().filter(|_| path.ends_with("metrics.jsonl")).map(|line| {
        let mut epoch: serde_json::Value = serde_json::from_str(line).unwrap();
        for name in ["seconds", "samples_per_second"] {
            assert!(epoch[name].as_f64().unwrap() > 0.0, "{line}");
            epoch[name].take();
        }
        format!("{epoch}\n")
    });
    lines.collect::<String>().into_bytes()
}

/// The folder of two real scans, `LIDC-IDRI-0001` and `LIDC-IDRI-0003`. Without them the check is skipped.
pub(crate) fn real_scans() -> Option<PathBuf> {
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("LIDC-IDRI");
    fs_err::create_dir_all(&to).unwrap();
    let first = real_scan("LIDC-IDRI-0001", None, &to)?;
    real_scan("LIDC-IDRI-0003", None, &to)?;
    first.parent().map(Path::to_owned)
}

/// The annotations of all of LIDC-IDRI, unpacked, and the folder of the other files about it. Without them the check is
/// skipped.
pub(crate) fn real_annotations() -> Option<(PathBuf, PathBuf)> {
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lidc-xml");
    Some((nodulus_test_needs::real_annotations(&to)?, data_folder()))
}

/// Copies a folder.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs_err::copy(entry.path(), to).unwrap();
        }
    }
}
