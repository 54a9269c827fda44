//! A nightly job that sends what it has scored.

use crate::nightly_job::{Job, files};
use crate::orthanc::{PASSWORD, TITLE, USER};
use crate::{fixture, orthanc::Orthanc};
use dicom_object::InMemDicomObject;
use fs_err as fs;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// A way to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    CStore,
    StowRs,
}

impl Way {
    pub(crate) const ALL: [Self; 2] = [Self::CStore, Self::StowRs];

    /// The port of an archive for it.
    pub(crate) fn port(self, orthanc: &Orthanc) -> u16 {
        match self {
            Self::CStore => orthanc.dicom,
            Self::StowRs => orthanc.http,
        }
    }

    /// Settings that send to a port.
    pub(crate) fn section(self, port: u16) -> String {
        match self {
            Self::CStore => {
                format!(
                    "[score.deliver.pacs]\naddress = \"127.0.0.1:{port}\"\ncalled_ae = \"{TITLE}\"\n"
                )
            }
            Self::StowRs => format!(
                "[score.deliver.pacs]\nurl = \"http://127.0.0.1:{port}/dicom-web\"\nuser = \"{USER}\"\n\
                 password_file = \"password\"\n"
            ),
        }
    }
}

/// A job with results that are not sent.
pub(crate) fn scored() -> Job {
    let job = Job::new();
    let text = fs::read_to_string(job.file()).unwrap();
    let head =
        "[score]\noutputs = [\"seg\", \"rtstruct\", \"json\"]\nprobability_threshold = 0.3\n";
    fs::write(job.file(), text.replace("[score]\n", head)).unwrap();
    fs::write(job.folder.path().join("password"), format!("{PASSWORD}\n")).unwrap();
    assert_eq!(job.counts(&[])[1], 3);
    job
}

/// Adds sections to the job's file.
pub(crate) fn add(job: &Job, sections: &str) {
    let text = fs::read_to_string(job.file()).unwrap();
    fs::write(job.file(), text + sections).unwrap();
}

/// The job's DICOM objects: the bytes of each by UID.
pub(crate) fn objects(job: &Job) -> BTreeMap<String, Vec<u8>> {
    let files = files(&job.store().join("output")).into_iter();
    let objects = files.filter(|(path, _)| path.extension().is_some_and(|end| end == "dcm"));
    let objects: BTreeMap<String, Vec<u8>> =
        objects.map(|(path, bytes)| (uid(&path), bytes)).collect();
    assert!(objects.len() >= 4, "{} objects", objects.len());
    objects
}

fn uid(path: &Path) -> String {
    let object = dicom_object::open_file(path).unwrap();
    object.meta().media_storage_sop_instance_uid().to_owned()
}

/// The rows of `receipts`.
pub(crate) fn receipts(job: &Job) -> Vec<Value> {
    let store = job.store();
    let arguments =
        ["show", "receipts", "--store", store.to_str().unwrap(), "--json", "--rows", "1000"];
    fixture::run_well(&arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Checks that the archive has each object of the job once, as it was written, and that there is a receipt of each.
pub(crate) fn assert_all_sent(job: &Job, orthanc: &Orthanc) {
    let (objects, instances) = (objects(job), orthanc.instances());
    assert!(objects.keys().eq(instances.keys()), "{:?} {:?}", objects.keys(), instances.keys());
    for (uid, bytes) in &objects {
        assert!(values(bytes) == values(&orthanc.file(&instances[uid])), "{uid}");
    }
    let mut rows = receipts(job);
    rows.sort_by_key(|row| row["sop_instance_uid"].to_string());
    let sent: Vec<&str> =
        rows.iter().map(|row| row["sop_instance_uid"].as_str().unwrap()).collect();
    assert!(objects.keys().eq(sent.iter().copied()), "{sent:?}");
    for row in rows {
        let file = job.store().join("output").join(row["file"].as_str().unwrap());
        assert_eq!(row["sha256"], nodulus_store::hash::sha256_file(&file).unwrap().as_str());
        assert_eq!((&row["destination"], &row["sent_on"]), (&"pacs".into(), &day(&row).into()));
    }
}

fn day(row: &Value) -> &str {
    row["answered_at"].as_str().unwrap().split('T').next().unwrap()
}

/// The values of an object in their order, each with its tag and those of the items that it lies in. An archive may write other
/// meta information, and lengths of sequences and padding in another way.
fn values(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut values = Vec::new();
    add_values(&dicom_object::from_reader(bytes).unwrap(), "", &mut values);
    assert!(values.len() > 50);
    values
}

fn add_values(object: &InMemDicomObject, path: &str, values: &mut Vec<(String, Vec<u8>)>) {
    for element in object {
        let path = format!("{path}/{}", element.header().tag);
        if let Some(items) = element.items() {
            for (n, item) in items.iter().enumerate() {
                add_values(item, &format!("{path}[{n}]"), values);
            }
            values.push((path, Vec::new()));
        } else {
            let bytes = element.to_bytes().unwrap();
            let end = bytes.iter().rposition(|byte| !b" \0".contains(byte));
            values.push((path, bytes[..end.map_or(0, |end| end + 1)].to_vec()));
        }
    }
}
