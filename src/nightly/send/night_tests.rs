use super::*;
use crate::nightly::records::record::{Attempt, AttemptOutcome, SeriesResult};
use crate::nightly::scan::result_inputs::ResultInputs;
use fs_err as fs;
use nodulus_store::{PartReader, Partitions, Row as _, Store};
use std::cell::RefCell;
use std::rc::Rc;

type Answered = Result<Acknowledgement, SendError>;
/// Answers to the object of a UID, by the number of objects that were sent.
type Answers = Box<dyn FnMut(&str, usize) -> Answered>;

/// An archive that answers as a test says, and tells which objects it was sent.
struct Scripted {
    answer: Answers,
    sent: Rc<RefCell<Vec<String>>>,
}

impl Archive for Scripted {
    fn send(&mut self, object: &StoredObject) -> Answered {
        let uid = &object.sop_instance_uid;
        self.sent.borrow_mut().push(uid.clone());
        let n = self.sent.borrow().len();
        (self.answer)(uid, n)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is an answer as others")]
fn stored() -> Answered {
    Ok(Acknowledgement { answer: Answer::Stored, status: "0000".to_owned() })
}

/// A job with series 1.1, 1.2, ... of two objects each.
struct Job {
    folder: tempfile::TempDir,
    settings: ScoreSettings,
    store: Store,
}

/// A whole DICOM file, as small as one can be.
fn file_of(uid: &str) -> Vec<u8> {
    let element = |number: u8, vr: &[u8; 2], value: &[u8]| {
        let long = if vr == b"OB" { vec![0, 0] } else { Vec::new() };
        let length = value.len() as u32;
        let length = if vr == b"OB" {
            length.to_le_bytes().to_vec()
        } else {
            length.to_le_bytes()[..2].to_vec()
        };
        [&[2, 0, number, 0], &vr[..], &long, &length, value].concat()
    };
    let padded = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        if bytes.len() % 2 == 1 {
            bytes.push(0);
        }
        bytes
    };
    let meta = [
        element(1, b"OB", &[0, 1]),
        element(2, b"UI", &padded("1.2.840.10008.5.1.4.1.1.66.4")),
        element(3, b"UI", &padded(uid)),
        element(0x10, b"UI", &padded("1.2.840.10008.1.2.1")),
        element(0x12, b"UI", &padded("2.25.1")),
    ]
    .concat();
    let length = element(0, b"UL", &(meta.len() as u32).to_le_bytes());
    [&[0; 128][..], b"DICM", &length, &meta, b"the data set"].concat()
}

impl Job {
    fn new(n_series: usize, deliver: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("store")).unwrap();
        let text = "[score]\ninput = \"in\"\nstore = \"store\"\nmodel = \"m\"\noutputs = [\"seg\", \"rtstruct\", \"json\"]\n";
        let path = folder.path().join("s.toml");
        fs::write(&path, text).unwrap();
        let mut settings = ScoreSettings::read(&path, &[], None).unwrap();
        // As a program with the sender reads them.
        settings.deliver = toml::from_str(deliver).unwrap();
        let job = Self { folder, settings, store };
        for n in 1..=n_series {
            job.put(&format!("1.{n}"), "2026-01-05", &["segmentation.dcm", "structure_set.dcm"]);
        }
        job
    }

    /// Puts a result with its files.
    fn put(&self, series: &str, day: &str, names: &[&str]) {
        let mut ledger = Ledger::open(self.store.root(), None).unwrap();
        let files = names.iter().enumerate().map(|(n, name)| {
            let file = PathBuf::from(format!("study/{day}/{series}_{name}"));
            let path = self.settings.output().join(&file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file_of(&format!("{series}.{n}.{}", day.replace('-', ".")))).unwrap();
            file
        });
        let mut outputs: Vec<PathBuf> = files.collect();
        outputs.push(PathBuf::from(format!("study/{day}/{series}_nodules.json")));
        let result = SeriesResult { outputs, ..SeriesResult::default() };
        let inputs = ResultInputs {
            stamp: String::new(),
            content_sha256: day.to_owned(),
            candidates_sha256: String::new(),
            recipe_sha256: String::new(),
            model_id: "m".to_owned(),
            outside: std::collections::BTreeSet::new(),
            candidate_files: std::collections::BTreeSet::new(),
        };
        let outcome = AttemptOutcome::Scored(Box::new(result));
        let mut record = ledger.read(series).unwrap();
        record.supersede(Attempt::new(inputs, format!("{day}T01:00:00Z"), day.to_owned(), outcome));
        ledger.write(&record).unwrap();
    }

    /// A night with archives that answer alike, by the object and the number of objects sent before; returns the objects that were
    /// sent and the events.
    fn night(
        &self,
        answer: impl Fn(&str, usize) -> Answered + Clone + 'static,
    ) -> (Vec<String>, Vec<SendEvent>) {
        let sent = Rc::new(RefCell::new(Vec::new()));
        let archives = self.settings.deliver.keys().map(|name| {
            let archive = Scripted { answer: Box::new(answer.clone()), sent: Rc::clone(&sent) };
            (name.clone(), Box::new(archive) as Box<dyn Archive>)
        });
        let mut destinations = Destinations(archives.collect());
        let tables = DayTables { store: &self.store, profiles: BTreeMap::new() };
        let mut ledger = Ledger::open(self.store.root(), None).unwrap();
        let mut events = Vec::new();
        let mut night = SendNight {
            settings: &self.settings,
            tables: &tables,
            ledger: &mut ledger,
            stop: &AtomicBool::new(false),
            notify: &mut |event| events.push(event),
        };
        night.send(&mut destinations).unwrap();
        let sent = sent.borrow().clone();
        (sent, events)
    }

    fn receipts(&self) -> Vec<Receipt> {
        let table = Partitions::of(self.store.root(), Receipt::TABLE).unwrap();
        let files = table.values().unwrap().into_iter().map(|day| table.file(&day));
        let read = |file: PathBuf| {
            let reader = PartReader::<Receipt>::open(&file, Receipt::TABLE, None).unwrap();
            reader.flat_map(Result::unwrap).collect::<Vec<_>>()
        };
        files.flat_map(read).collect()
    }
}

const PACS: &str = "[pacs]\naddress = \"a:1\"\nretry_seconds = 0\nattempts = 3\n";

fn uids(receipts: &[Receipt]) -> BTreeSet<&str> {
    receipts.iter().map(|receipt| receipt.sop_instance_uid.as_str()).collect()
}

#[test]
fn every_object_is_sent_once_to_each_archive() {
    let job = Job::new(2, &format!("{PACS}[second]\nurl = \"http://b\"\noutputs = [\"seg\"]\n"));
    let (sent, events) = job.night(|_, _| stored());
    assert_eq!((sent.len(), events.len()), (6, 6));
    let receipts = job.receipts();
    assert_eq!(receipts.len(), 6);
    assert_eq!(receipts[0].destination, "pacs");
    assert_eq!(receipts.iter().filter(|r| r.protocol == "stow_rs").count(), 2);
    assert!(receipts.iter().all(|r| r.attempts == 1 && r.answer == "stored" && r.n_bytes > 250));
    // Nothing is left, neither with another order of settings nor after a result was looked at again.
    assert_eq!(job.night(|_, _| panic!("nothing is to be sent")).0, [""; 0]);
    // A new result is sent; the one before it is not sent again.
    job.put("1.2", "2026-01-06", &["segmentation.dcm"]);
    let (sent, _) = job.night(|_, _| stored());
    assert_eq!(sent, ["1.2.0.2026.01.06"; 2]);
    // A lost table is made of the records.
    let table = Partitions::of(job.store.root(), Receipt::TABLE).unwrap();
    let day = table.values().unwrap().remove(0);
    fs::write(table.file(&day), "x").unwrap();
    assert_eq!(job.night(|_, _| stored()).0, [""; 0]);
    assert_eq!(job.receipts().len(), 8);
}

#[test]
fn a_silent_archive_is_tried_again_and_then_left() {
    let job = Job::new(3, PACS);
    let silent = || Err(SendError::Unreachable("no answer".to_owned()));
    let (sent, events) = job.night(move |_, _| silent());
    // All tries for the first object, one each for two more.
    assert_eq!(sent.len(), 5);
    assert_eq!(events.last(), Some(&SendEvent::Left { destination: "pacs".to_owned(), n: 3 }));
    assert_eq!(events.len(), 4);
    assert_eq!(job.receipts(), []);
    // It answers the third time; what follows goes at once.
    let (sent, events) = job.night(move |_, n| if n < 3 { silent() } else { stored() });
    assert_eq!((sent.len(), events.len()), (8, 6));
    let receipts = job.receipts();
    assert_eq!(receipts.iter().map(|r| r.attempts).sum::<i64>(), 8);
    assert_eq!(uids(&receipts).len(), 6);
}

#[test]
fn an_object_that_an_archive_does_not_take_stops_no_other() {
    let job = Job::new(2, PACS);
    let (sent, events) = job.night(|uid, _| {
        if uid.starts_with("1.1.0") { Err(SendError::Object("A900".to_owned())) } else { stored() }
    });
    assert_eq!((sent.len(), events.len()), (4, 4));
    assert!(matches!(&events[0], SendEvent::NotSent { object, cause, .. }
        if object.starts_with("1.1.0") && cause == "A900"));
    // The next night tries it again, and the archive has it already.
    let (sent, events) = job.night(|_, _| {
        Ok(Acknowledgement { answer: Answer::AlreadyThere, status: "0111".to_owned() })
    });
    assert_eq!(sent.len(), 1);
    assert!(matches!(events[0], SendEvent::Sent { was_there: true, .. }));
    assert_eq!(uids(&job.receipts()).len(), 4);
}

#[test]
fn an_archive_that_refuses_us_is_left_at_once() {
    let job = Job::new(2, PACS);
    let (sent, events) = job.night(|_, _| Err(SendError::Refused("401".to_owned())));
    assert_eq!((sent.len(), events.len()), (1, 2));
    assert_eq!(events[1], SendEvent::Left { destination: "pacs".to_owned(), n: 3 });
    let (sent, events) = job.night(|_, n| if n == 1 { panic!("a bug") } else { stored() });
    assert_eq!((sent.len(), events.len()), (4, 4));
    assert!(matches!(&events[0], SendEvent::NotSent { cause, .. }
        if cause.starts_with("the program itself failed")));
}

#[test]
fn a_lost_file_is_a_failure_and_days_before_the_first_are_left_out() {
    let job = Job::new(1, PACS);
    let file = job.settings.output().join("study/2026-01-05/1.1_segmentation.dcm");
    fs::remove_file(file).unwrap();
    let (sent, events) = job.night(|_, _| stored());
    assert_eq!((sent.len(), events.len()), (1, 2));
    let SendEvent::NotSent { object, cause, .. } = &events[0] else { panic!("{events:?}") };
    assert!(object.is_empty() && cause.contains("its file cannot be read"), "{cause}");
    assert!(!cause.contains(job.folder.path().to_str().unwrap()), "{cause}");
    let mut job = Job::new(1, PACS);
    let pacs = |job: &mut Job| job.settings.deliver.get_mut("pacs").unwrap().clone();
    let late = DestinationSettings { since: Some("2026-01-06".to_owned()), ..pacs(&mut job) };
    job.settings.deliver.insert("pacs".to_owned(), late);
    assert_eq!(job.night(|_, _| stored()), (Vec::new(), Vec::new()));
}
