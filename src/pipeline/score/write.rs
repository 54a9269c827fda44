//! Results into the store.

use super::event::Event;
use super::ledger::{Attempt, Ledger, Made, Outcome, Record, Scored};
use super::night::{Done, End, Error, Finished, Night};
use super::scored::ScoredScan;
use super::summary::{Cause, Summary};
use super::{rows, view};
use crate::tables::clock;
use std::collections::BTreeSet;
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
        view::write(self.night.store.root(), self.ledger, &self.stale)?;
        self.stale.clear();
        self.last = Instant::now();
        Ok(())
    }

    fn write(&mut self, finished: Finished<'_>) -> Result<(), Error> {
        let Finished { found, made, what } = finished;
        let tell = self.night.tell;
        let mut record = self.ledger.read(&found.id)?;
        match what {
            End::Settling => {
                self.summary.settling += 1;
                self.summary.settling_series.push(found.id.clone());
                tell(Event::Settling { series: found.id });
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
                self.summary.failures.push(Cause { id: found.id.clone(), cause: cause.clone() });
                tell(Event::Failed { series: found.id, cause: cause.clone() });
                record.supersede(attempt(made, Outcome::Failed(cause)));
            }
            End::Scored(done) => {
                let Done { scan, seconds, .. } = *done;
                self.take(&mut record, &scan, made);
                let (series, nodules) = (found.id, scan.nodules.len());
                tell(Event::Scored { series, nodules, seconds });
            }
        }
        self.stale.extend(self.ledger.write(&record)?);
        Ok(())
    }

    fn take(&mut self, record: &mut Record, scan: &ScoredScan, made: Made) {
        let scored = |attempt: &Attempt| matches!(attempt.outcome, Outcome::Scored(_));
        self.summary.superseded += usize::from(record.current.as_ref().is_some_and(scored));
        self.summary.scored += 1;
        self.summary.nodules += scan.nodules.len();
        for warning in &scan.warnings {
            let text = format!("{}: {warning}", record.id);
            self.summary.warnings.push(text.clone());
            (self.night.tell)(Event::Warning { text });
        }
        let scored =
            Scored { rows: rows::rows(scan), outputs: Vec::new(), warnings: scan.warnings.clone() };
        record.supersede(attempt(made, Outcome::Scored(scored)));
    }
}

fn attempt(of: Made, outcome: Outcome) -> Attempt {
    let now = SystemTime::now();
    Attempt { of, at: clock::timestamp(now), scored_on: clock::day(now), outcome }
}
