//! Sends what archives do not have yet, at the end of a run.

use super::archive::{Acknowledgement, Answer, Archive, SendError};
use super::back_off::{wait, wait_after};
use super::object::StoredObject;
use super::open::{self, open};
use super::settings::DestinationSettings;
use crate::nightly::records::day_tables::{self, DayTables};
use crate::nightly::records::ledger::Ledger;
use crate::nightly::records::record::day_of;
use crate::nightly::redaction;
use crate::nightly::settings::ScoreSettings;
use crate::tables::Receipt;
use nodulus_store::clock;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// After as many objects in a row that it did not answer for, an archive is left until the next run. One alone may be at fault
/// itself.
const MAX_UNANSWERED: u32 = 3;

/// Something that sending did. Events name neither paths nor patients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SendEvent {
    /// An archive has an object.
    Sent { destination: String, series: String, object: String, was_there: bool },
    /// An archive does not have an object, as far as is known.
    NotSent { destination: String, series: String, object: String, cause: String },
    /// Objects were not tried.
    Left { destination: String, n: usize },
}

/// Opened archives, by name.
pub(crate) struct Destinations(BTreeMap<String, Box<dyn Archive>>);

impl Destinations {
    /// Reads the files that the settings of archives name.
    ///
    /// # Errors
    ///
    /// Fails if a file of credentials or certificates cannot be used.
    pub(crate) fn open(settings: &ScoreSettings) -> Result<Self, open::Error> {
        let opened = settings.deliver.iter().map(|(name, of)| Ok((name.clone(), open(name, of)?)));
        Ok(Self(opened.collect::<Result<_, open::Error>>()?))
    }
}

/// The objects of a series that an archive does not have.
struct Unsent {
    series: String,
    files: Vec<PathBuf>,
}

/// What sending works on.
pub(crate) struct SendNight<'a> {
    pub(crate) settings: &'a ScoreSettings,
    pub(crate) tables: &'a DayTables<'a>,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) notify: &'a mut dyn FnMut(SendEvent),
}

impl SendNight<'_> {
    /// Sends every object of a current result that an archive has not answered for, one after the other, and records each answer
    /// before the next object. An archive that fails is no error.
    ///
    /// A run that is killed between an answer and its record sends that one object again. Its UID is the same, and archives keep
    /// one object of a UID.
    pub(crate) fn send(
        &mut self,
        destinations: &mut Destinations,
    ) -> Result<(), day_tables::Error> {
        let mut days = self.tables.outdated_receipts(self.ledger);
        let sent = self.send_all(destinations, &mut days);
        self.tables.write_receipts(self.ledger, &days)?;
        Ok(sent?)
    }

    fn send_all(
        &mut self,
        Destinations(archives): &mut Destinations,
        days: &mut BTreeSet<String>,
    ) -> Result<(), nodulus_store::Error> {
        let settings = self.settings;
        for (name, of) in &settings.deliver {
            let Some(archive) = archives.get_mut(name) else { continue };
            let unsent = self.unsent(name, of)?;
            let sent = self.send_to(name, of, archive.as_mut(), &unsent, days);
            archive.close();
            sent?;
        }
        Ok(())
    }

    fn unsent(
        &self,
        name: &str,
        of: &DestinationSettings,
    ) -> Result<Vec<Unsent>, nodulus_store::Error> {
        let mut unsent = Vec::new();
        for series in self.ledger.without_receipts(name) {
            let record = self.ledger.read(series)?;
            let (scored_on, files) = record.objects();
            let files = files.into_iter();
            let files = files.filter(|f| of.takes(f, scored_on) && !record.has_receipt(name, f));
            let files: Vec<PathBuf> = files.map(ToOwned::to_owned).collect();
            if !files.is_empty() {
                unsent.push(Unsent { series: series.clone(), files });
            }
        }
        Ok(unsent)
    }

    fn send_to(
        &mut self,
        name: &str,
        of: &DestinationSettings,
        archive: &mut dyn Archive,
        unsent: &[Unsent],
        days: &mut BTreeSet<String>,
    ) -> Result<(), nodulus_store::Error> {
        let mut left: usize = unsent.iter().map(|unsent| unsent.files.len()).sum();
        let mut unanswered = 0;
        let files = unsent.iter().flat_map(|u| u.files.iter().map(|file| (&u.series, file)));
        for (series, file) in files {
            let attempts = if unanswered == 0 { of.attempts } else { 1 };
            let (destination, series) = (name.to_owned(), series.clone());
            match self.try_to_send(name, of, archive, &series, file, attempts) {
                Tried::Stopped => break,
                Tried::Sent(receipt) => {
                    left -= 1;
                    unanswered = 0;
                    days.insert(day_of(&receipt.answered_at).to_owned());
                    let mut record = self.ledger.read(&series)?;
                    record.receipts.push(receipt.clone());
                    self.ledger.write(&record)?;
                    let was_there = receipt.answer == Answer::AlreadyThere.name();
                    let object = receipt.sop_instance_uid;
                    (self.notify)(SendEvent::Sent { destination, series, object, was_there });
                }
                Tried::NotSent { object, error } => {
                    left -= 1;
                    unanswered = if error.is_passing() { unanswered + 1 } else { 0 };
                    let cause = error.to_string();
                    (self.notify)(SendEvent::NotSent { destination, series, object, cause });
                    if unanswered == MAX_UNANSWERED || matches!(error, SendError::Refused(_)) {
                        break;
                    }
                }
            }
        }
        if left > 0 {
            (self.notify)(SendEvent::Left { destination: name.to_owned(), n: left });
        }
        Ok(())
    }

    /// Tries to send the object in a file of a series, up to as many times.
    fn try_to_send(
        &self,
        name: &str,
        of: &DestinationSettings,
        archive: &mut dyn Archive,
        series: &str,
        file: &Path,
        attempts: u32,
    ) -> Tried {
        if self.stop.load(Ordering::SeqCst) {
            return Tried::Stopped;
        }
        let object = match StoredObject::read(&self.settings.output().join(file)) {
            Ok(object) => object,
            Err(cause) => {
                return Tried::NotSent { object: String::new(), error: SendError::Object(cause) };
            }
        };
        let mut n = 1;
        loop {
            let sent = catch_unwind(AssertUnwindSafe(|| archive.send(&object)));
            let sent = sent.unwrap_or_else(|panic| {
                Err(SendError::Object(redaction::panic_cause(panic.as_ref())))
            });
            match sent {
                Ok(Acknowledgement { answer, status }) => {
                    return Tried::Sent(Receipt {
                        destination: name.to_owned(),
                        protocol: of.protocol().to_owned(),
                        series_instance_uid: series.to_owned(),
                        file: file.to_string_lossy().into_owned(),
                        n_bytes: object.bytes.len() as i64,
                        sha256: object.sha256(),
                        sop_class_uid: object.sop_class_uid,
                        sop_instance_uid: object.sop_instance_uid,
                        attempts: i64::from(n),
                        answer: answer.name().to_owned(),
                        status,
                        answered_at: clock::timestamp(SystemTime::now()),
                    });
                }
                Err(error) if n == attempts || !error.is_passing() => {
                    return Tried::NotSent { object: object.sop_instance_uid, error };
                }
                Err(_) if !wait(wait_after(of.retry_seconds, n), self.stop) => {
                    return Tried::Stopped;
                }
                Err(_) => n += 1,
            }
        }
    }
}

/// Outcome of an object.
enum Tried {
    Sent(Receipt),
    /// The archive does not have it, as far as is known; the UID is empty where the file cannot be read.
    NotSent {
        object: String,
        error: SendError,
    },
    /// The run is to stop.
    Stopped,
}

#[cfg(test)]
#[path = "night_tests.rs"]
mod tests;
