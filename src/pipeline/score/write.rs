//! Results into the store.

use super::deliver::{Delivered, deliver};
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
        let Finished { found, made, what } = finished;
        let tell = self.night.tell;
        let mut record = self.ledger.read(&found.name)?;
        let what = match what {
            End::Scored(done) => self.outputs(&done, &made).map_or_else(End::Failed, |outputs| {
                self.take(&mut record, &done, outputs, &made);
                End::Scored(done)
            }),
            other => other,
        };
        match what {
            End::Settling => {
                self.summary.settling += 1;
                self.summary.settling_series.push(found.name.clone());
                tell(Event::Settling { series: found.name });
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
                self.summary.failed += 1;
                let cause = self.named(&cause);
                self.summary.failures.push(Cause { id: found.name.clone(), cause: cause.clone() });
                tell(Event::Failed { series: found.name, cause: cause.clone() });
                record.supersede(attempt(made, Outcome::Failed(cause)));
            }
            End::Scored(done) => {
                let Done { scan, seconds, .. } = *done;
                let (series, nodules) = (found.name, scan.nodules.len());
                tell(Event::Scored { series, nodules, seconds });
            }
        }
        self.stale.extend(self.ledger.write(&record)?);
        Ok(())
    }

    /// Writes the files that are wanted of a scan; what goes wrong is the scan's.
    ///
    /// METHOD: a folder for each result, so that those of a superseded one stay: a run that is killed before
    /// its record is written leaves files that the next one writes again.
    fn outputs(&self, done: &Done<'_>, made: &Made) -> Result<Vec<Delivered>, String> {
        let Night { settings, identity, .. } = self.night;
        if settings.outputs.is_empty() {
            return Ok(Vec::new());
        }
        let scan = &done.scan;
        let study = scan.info.as_ref().map_or(&scan.series_instance_uid, |i| &i.study_instance_uid);
        let Made { content_sha256, candidates_sha256, recipe_sha256, .. } = made;
        let result = hash::id("", [&**content_sha256, candidates_sha256, recipe_sha256]);
        let folder = settings.output().join(identity.uid(study)).join(result);
        let write = || deliver(scan, &done.slices, &settings.outputs, identity, &folder);
        match catch_unwind(AssertUnwindSafe(write)) {
            Ok(Ok(delivered)) => Ok(delivered),
            Ok(Err(error)) => Err(told::cause(&settings.input, &error)),
            Err(panic) => Err(panicked(panic.as_ref())),
        }
    }

    fn take(
        &mut self,
        record: &mut Record,
        done: &Done<'_>,
        delivered: Vec<Delivered>,
        made: &Made,
    ) {
        let Night { settings, identity, tell, .. } = self.night;
        let scored = |attempt: &Attempt| matches!(attempt.outcome, Outcome::Scored(_));
        self.summary.superseded += usize::from(record.current.as_ref().is_some_and(scored));
        self.summary.scored += 1;
        self.summary.nodules += done.scan.nodules.len();
        let of_files = delivered.iter().filter_map(Delivered::warning);
        let warnings: Vec<String> = done.scan.warnings.iter().cloned().chain(of_files).collect();
        for warning in &warnings {
            let text = format!("{}: {warning}", record.id);
            self.summary.warnings.push(text.clone());
            tell(Event::Warning { text });
        }
        let base = settings.output();
        let outputs = delivered.into_iter().filter_map(|delivered| match delivered {
            Delivered::Written { path, .. } => {
                Some(path.strip_prefix(&base).map_or(path.clone(), Path::to_owned))
            }
            Delivered::Empty { .. } | Delivered::Unavailable { .. } => None,
        });
        let scored = Scored {
            rows: rows::rows(&done.scan, identity),
            outputs: outputs.collect(),
            warnings,
            visit: rows::visit(&done.scan, done.lungs, identity),
        };
        record.supersede(attempt(made.clone(), Outcome::Scored(Box::new(scored))));
    }

    /// A text with UIDs as results name them.
    fn named(&self, text: &str) -> String {
        let identity = &self.night.identity;
        if identity.is_replaced() {
            told::renamed(text, &|uid| identity.uid(uid))
        } else {
            text.to_owned()
        }
    }
}

fn attempt(of: Made, outcome: Outcome) -> Attempt {
    let now = SystemTime::now();
    Attempt { of, at: clock::timestamp(now), scored_on: clock::day(now), outcome }
}
