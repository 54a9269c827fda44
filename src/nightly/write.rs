//! Results into the store.

use super::deliver::{Delivered, Output, deliver};
use super::event::Event;
use super::ledger::Ledger;
use super::night::{Done, End, Error, Finished, Night};
use super::read::panicked;
use super::record::{Attempt, Made, Outcome, Record, Scored};
use super::summary::{Cause, Summary};
use super::{rows, told};
use crate::tables::{clock, hash};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime};

/// Time between two writings of the table.
const BETWEEN_VIEWS: Duration = Duration::from_mins(1);

/// Puts results into the store.
pub(super) struct Writer<'a> {
    night: &'a Night<'a>,
    ledger: &'a mut Ledger,
    summary: &'a mut Summary,
    /// Days whose rows are not in the table yet.
    stale: BTreeSet<String>,
    last: Instant,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        night: &'a Night<'a>,
        ledger: &'a mut Ledger,
        summary: &'a mut Summary,
    ) -> Self {
        Self { night, ledger, summary, stale: BTreeSet::new(), last: Instant::now() }
    }

    /// Writes what comes; returns how many series that were.
    pub(super) fn write_all(
        &mut self,
        finished: Receiver<Finished<'_>>,
        busy: impl Fn(Instant),
    ) -> Result<usize, Error> {
        let mut n = 0;
        for finished in finished {
            let since = Instant::now();
            self.write(finished)?;
            n += 1;
            if self.last.elapsed() >= BETWEEN_VIEWS {
                self.bring_up_to_date()?;
            }
            busy(since);
        }
        let since = Instant::now();
        self.bring_up_to_date()?;
        busy(since);
        Ok(n)
    }

    fn bring_up_to_date(&mut self) -> Result<(), Error> {
        self.night.views.write(self.ledger, &self.stale)?;
        self.stale.clear();
        self.last = Instant::now();
        Ok(())
    }

    fn write(&mut self, finished: Finished<'_>) -> Result<(), Error> {
        let Finished { found, made, again, what } = finished;
        let name = &found.name;
        let mut record = self.ledger.read(name)?;
        match what {
            End::Settling => {
                self.summary.settling += 1;
                self.summary.settling_series.push(name.clone());
                (self.night.tell)(Event::Settling { series: name.clone() });
                return Ok(());
            }
            End::Same => {
                if let Some(current) = &mut record.current {
                    current.of.stamp = made.stamp;
                    match current.outcome {
                        Outcome::Scored(_) => self.summary.unchanged += 1,
                        Outcome::Failed(_) => self.summary.failed_before += 1,
                    }
                }
            }
            End::Failed(cause) => {
                let failed = self.failed(name, &cause);
                // What was scored before is as good as it was.
                if again.is_some() {
                    return Ok(());
                }
                record.supersede(attempt(made, clock::timestamp(SystemTime::now()), failed));
            }
            End::Scored(done) => match (record.result(), again) {
                (Some(result), Some(_)) => self.complete(name, result, &done, &made),
                _ => self.supersede(&mut record, &done, made),
            },
        }
        self.stale.extend(self.ledger.write(&record)?);
        Ok(())
    }

    fn failed(&mut self, name: &str, cause: &str) -> Outcome {
        let identity = &self.night.identity;
        let cause = if identity.is_replaced() {
            told::renamed(cause, &|uid| identity.uid(uid))
        } else {
            cause.to_owned()
        };
        self.summary.failed += 1;
        self.summary.failures.push(Cause { id: name.to_owned(), cause: cause.clone() });
        (self.night.tell)(Event::Failed { series: name.to_owned(), cause: cause.clone() });
        Outcome::Failed(cause)
    }

    fn warn(&mut self, name: &str, warning: &str) {
        let text = format!("{name}: {warning}");
        self.summary.warnings.push(text.clone());
        (self.night.tell)(Event::Warning { text });
    }

    /// Takes a new result.
    fn supersede(&mut self, record: &mut Record, done: &Done<'_>, made: Made) {
        let asked = self.night.settings.outputs.clone();
        let (at, name) = (done.scan.scored_at.clone(), record.id.clone());
        let outcome = match self.scored(&name, done, asked, &made) {
            Err(cause) => self.failed(&name, &cause),
            Ok(scored) => {
                let (nodules, seconds) = (done.scan.nodules.len(), done.seconds);
                self.summary.superseded += usize::from(record.result().is_some());
                self.summary.scored += 1;
                self.summary.nodules += nodules;
                (self.night.tell)(Event::Scored { series: name, nodules, seconds });
                Outcome::Scored(Box::new(scored))
            }
        };
        record.supersede(attempt(made, at, outcome));
    }

    /// Takes the files of a result that was not asked for them when it was made.
    fn complete(&mut self, name: &str, result: &mut Scored, done: &Done<'_>, made: &Made) {
        let asked = &self.night.settings.outputs | &result.asked;
        match self.scored(name, done, asked, made) {
            Err(cause) => {
                self.failed(name, &cause);
            }
            Ok(scored) => {
                if scored.rows != result.rows {
                    self.warn(name, "its files are of a second pass, which gave other figures");
                }
                let Scored { asked, outputs, warnings, .. } = scored;
                *result = Scored { asked, outputs, warnings, ..std::mem::take(result) };
                self.summary.completed += 1;
                (self.night.tell)(Event::Completed { series: name.to_owned() });
            }
        }
    }

    /// A result, once its files are written; what goes wrong with them is the scan's.
    fn scored(
        &mut self,
        name: &str,
        done: &Done<'_>,
        asked: BTreeSet<Output>,
        made: &Made,
    ) -> Result<Scored, String> {
        let delivered = self.outputs(done, &asked, made)?;
        let of_files = delivered.iter().filter_map(Delivered::warning);
        let warnings: Vec<String> = done.scan.warnings.iter().cloned().chain(of_files).collect();
        for warning in &warnings {
            self.warn(name, warning);
        }
        let Night { settings, identity, .. } = self.night;
        let base = settings.output();
        let outputs = delivered.into_iter().filter_map(|delivered| match delivered {
            Delivered::Written { path, .. } => {
                Some(path.strip_prefix(&base).map_or(path.clone(), Path::to_owned))
            }
            Delivered::Empty { .. } | Delivered::Unavailable { .. } => None,
        });
        Ok(Scored {
            rows: rows::rows(&done.scan, identity),
            asked,
            outputs: outputs.collect(),
            warnings,
            visit: rows::visit(&done.scan, done.lungs, identity),
        })
    }

    /// Writes the files that are asked for of a scan.
    ///
    /// METHOD: a folder for each result, so that those of a superseded one stay: a run that is killed before
    /// its record is written leaves files that the next one writes again.
    fn outputs(
        &self,
        done: &Done<'_>,
        asked: &BTreeSet<Output>,
        made: &Made,
    ) -> Result<Vec<Delivered>, String> {
        let Night { settings, identity, .. } = self.night;
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let scan = &done.scan;
        let study = scan.info.as_ref().map_or(&scan.series_instance_uid, |i| &i.study_instance_uid);
        let Made { content_sha256, candidates_sha256, recipe_sha256, .. } = made;
        let result = hash::id("", [&**content_sha256, candidates_sha256, recipe_sha256]);
        let folder = settings.output().join(identity.uid(study)).join(result);
        let write = || deliver(scan, &done.slices, asked, identity, &folder);
        match catch_unwind(AssertUnwindSafe(write)) {
            Ok(Ok(delivered)) => Ok(delivered),
            Ok(Err(error)) => Err(told::cause(&settings.input, &error)),
            Err(panic) => Err(panicked(panic.as_ref())),
        }
    }
}

/// What became of a series at a time; its rows are of that day.
fn attempt(of: Made, at: String, outcome: Outcome) -> Attempt {
    let scored_on = at.split('T').next().unwrap_or_default().to_owned();
    Attempt { of, at, scored_on, outcome }
}
