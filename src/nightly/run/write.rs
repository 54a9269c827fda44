//! Writes results to the store.

use super::context::RunContext;
use super::error::Error;
use super::event::RunEvent;
use super::finished::{FinishedSeries, SeriesOutcome};
use super::results::NewResult;
use super::summary::{ExcludedSeries, RunSummary, SeriesFailure};
use crate::nightly::identity::Identity;
use crate::nightly::input::series::DiscoveredSeries;
use crate::nightly::problem::Problem;
use crate::nightly::records::ledger::Ledger;
use crate::nightly::records::record::{
    Attempt, AttemptOutcome, RefusedAttempt, SeriesRecord, Undone,
};
use crate::nightly::redaction;
use crate::nightly::scan::exclusion::SeriesExclusion;
use crate::nightly::scan::read::KnownResult;
use crate::nightly::scan::result_inputs::ResultInputs;
use nodulus_faults::FaultClass;
use nodulus_store::clock;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime};

/// Time between two updates of the tables.
const UPDATE_EVERY: Duration = Duration::from_mins(1);

/// Writes results to the store.
pub(super) struct ResultWriter<'a> {
    pub(super) context: &'a RunContext<'a>,
    pub(super) ledger: &'a mut Ledger,
    pub(super) summary: &'a mut RunSummary,
    /// Days whose tables are outdated.
    outdated: BTreeSet<String>,
    updated: Instant,
    /// Series that met a fault of the machine or of the program.
    set_back: BTreeMap<String, Problem>,
}

/// The series that came to the writer, by name.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Those whose attempt came to an end.
    pub(super) done: BTreeSet<String>,
    /// Those that met a fault of the machine or of the program.
    pub(super) set_back: BTreeMap<String, Problem>,
}

impl<'a> ResultWriter<'a> {
    pub(super) fn new(
        context: &'a RunContext<'a>,
        ledger: &'a mut Ledger,
        summary: &'a mut RunSummary,
    ) -> Self {
        Self {
            context,
            ledger,
            summary,
            outdated: BTreeSet::new(),
            updated: Instant::now(),
            set_back: BTreeMap::new(),
        }
    }

    /// Writes all series that arrive, and notes them in `written`, also before an error.
    pub(super) fn write_all(
        &mut self,
        finished: Receiver<FinishedSeries<'_>>,
        busy: impl Fn(Instant),
        written: &mut Written,
    ) -> Result<(), Error> {
        let result = self.write_each(finished, busy, &mut written.done);
        written.set_back = std::mem::take(&mut self.set_back);
        written.done.retain(|name| !written.set_back.contains_key(name));
        result
    }

    fn write_each(
        &mut self,
        finished: Receiver<FinishedSeries<'_>>,
        busy: impl Fn(Instant),
        done: &mut BTreeSet<String>,
    ) -> Result<(), Error> {
        for finished in finished {
            let since = Instant::now();
            let name = finished.series.name.clone();
            self.write(finished)?;
            done.insert(name);
            if self.updated.elapsed() >= UPDATE_EVERY {
                self.update_tables()?;
            }
            busy(since);
        }
        let since = Instant::now();
        self.update_tables()?;
        busy(since);
        Ok(())
    }

    fn update_tables(&mut self) -> Result<(), Error> {
        self.context.tables.write(self.ledger, &self.outdated)?;
        self.outdated.clear();
        self.updated = Instant::now();
        Ok(())
    }

    fn write(&mut self, finished: FinishedSeries<'_>) -> Result<(), Error> {
        let FinishedSeries { series, inputs, known, outcome } = finished;
        let is_completed = matches!(known, Some(KnownResult::Current(_)));
        let name = &series.name;
        let mut record = self.ledger.read(name)?;
        let mut new = None;
        match outcome {
            SeriesOutcome::Settling => {
                self.settling(name);
                return Ok(());
            }
            SeriesOutcome::Unchanged => {
                record.refused = None;
                if let Some(current) = &mut record.current {
                    current.inputs.stamp = inputs.stamp;
                    match current.outcome {
                        AttemptOutcome::Scored(_) => self.summary.unchanged += 1,
                        AttemptOutcome::Failed(_) => self.summary.failed_before += 1,
                        AttemptOutcome::Excluded(_) => self.summary.excluded_before += 1,
                    }
                }
            }
            SeriesOutcome::Restored(earlier) => {
                if record.restore(&earlier, inputs.stamp) {
                    new = Some(NewResult::Restored);
                }
            }
            SeriesOutcome::Refused(problem) if record.result().is_some() => {
                return self.refuse(&series, record, inputs, &problem);
            }
            SeriesOutcome::Failed(problem) | SeriesOutcome::Refused(problem) => {
                return self.fail(&series, record, inputs, is_completed, &problem);
            }
            SeriesOutcome::Scored(mut scored) => {
                let written = match known {
                    Some(KnownResult::Current(_)) => {
                        self.complete(&mut record, &mut scored, &inputs)
                    }
                    Some(KnownResult::Superseded(earlier)) => {
                        self.restore(&mut record, &mut scored, &inputs, &earlier)
                    }
                    None => self.supersede(&mut record, &mut scored, &inputs),
                };
                match written {
                    Ok(made) => new = made,
                    Err(problem) => {
                        return self.fail(&series, record, inputs, is_completed, &problem);
                    }
                }
            }
            SeriesOutcome::Excluded(exclusion) => {
                // As with a failure, what the rules say of files that are not as they were listed is no result.
                if series.no_scan.is_none() {
                    match self.is_as_listed(&series) {
                        Ok(true) => {}
                        Ok(false) => {
                            self.settling(name);
                            return Ok(());
                        }
                        Err(error) => {
                            let problem =
                                Problem::of(self.context.settings.private_input(), &error);
                            return self.set_back(name, &problem.of_machine());
                        }
                    }
                }
                let excluded = self.excluded(name, exclusion);
                let now = clock::timestamp(SystemTime::now());
                let day = self.day_of_series(&series, &now);
                record.supersede(Attempt::new(inputs, now, day, excluded));
            }
        }
        record.undone = None;
        self.outdated.extend(self.ledger.write(&record)?);
        if let Some(new) = new {
            self.count(series.name, new);
        }
        Ok(())
    }

    /// Records the failure of a series, if its content is at fault: that is so only where its files are still as they were
    /// listed. A result that was to be completed stays.
    fn fail(
        &mut self,
        series: &DiscoveredSeries,
        mut record: SeriesRecord,
        inputs: ResultInputs,
        is_completed: bool,
        problem: &Problem,
    ) -> Result<(), Error> {
        if problem.class.is_passing() {
            return self.set_back(&series.name, problem);
        }
        if series.problem.is_none() && !self.is_final(series, problem)? {
            return Ok(());
        }
        let failed = self.failed(&series.name, &problem.cause);
        if is_completed {
            return Ok(());
        }
        let now = clock::timestamp(SystemTime::now());
        let day = self.day_of_series(series, &now);
        record.supersede(Attempt::new(inputs, now, day, failed));
        self.outdated.extend(self.ledger.write(&record)?);
        Ok(())
    }

    /// The day of a time, as results of a series write it that name no patient.
    fn day_of_series(&self, series: &DiscoveredSeries, time: &str) -> String {
        let identity = &self.context.identity;
        Identity::day(&identity.of_series(&series.id), time)
    }

    /// Records that the candidates of a series cannot be used. Its result stays.
    ///
    /// METHOD: candidates of another series, or half a table, say nothing against a result of good ones.
    fn refuse(
        &mut self,
        series: &DiscoveredSeries,
        mut record: SeriesRecord,
        inputs: ResultInputs,
        problem: &Problem,
    ) -> Result<(), Error> {
        if !self.is_final(series, problem)? {
            return Ok(());
        }
        self.failed(&series.name, &problem.cause);
        let (at, cause) = (clock::timestamp(SystemTime::now()), self.named(&problem.cause));
        record.refused = Some(RefusedAttempt { inputs, at, cause });
        record.undone = None;
        self.outdated.extend(self.ledger.write(&record)?);
        Ok(())
    }

    /// Whether a problem is one of the files as they were listed; otherwise the series is left for later.
    fn is_final(&mut self, series: &DiscoveredSeries, problem: &Problem) -> Result<bool, Error> {
        let is_final = self.is_as_listed(series);
        match is_final {
            Ok(true) => return Ok(true),
            Ok(false) => self.settling(&series.name),
            Err(_) => self.set_back(&series.name, &problem.clone().of_machine())?,
        }
        Ok(false)
    }

    /// Whether the files of a series are still as they were listed.
    fn is_as_listed(&self, series: &DiscoveredSeries) -> io::Result<bool> {
        let stamp = series.source.stamp(&self.context.settings.input)?;
        Ok(stamp.text == series.stamp.text)
    }

    fn settling(&mut self, name: &str) {
        self.summary.settling += 1;
        self.summary.settling_series.push(name.to_owned());
        (self.context.notify)(RunEvent::Settling { series: name.to_owned() });
    }

    /// Keeps a series that met a fault of the machine or of the program for another attempt; its record stays as it is.
    fn set_back(&mut self, name: &str, problem: &Problem) -> Result<(), Error> {
        let cause = self.named(&problem.cause);
        if problem.is_disk_full {
            return Err(Error::DiskFull { cause });
        }
        (self.context.notify)(RunEvent::SetBack { series: name.to_owned(), cause: cause.clone() });
        self.set_back.insert(name.to_owned(), Problem { cause, ..*problem });
        Ok(())
    }

    /// Records series that stay undone in this run.
    pub(super) fn leave(&mut self, set_back: BTreeMap<String, Problem>) -> Result<(), Error> {
        for (name, Problem { class, cause, .. }) in set_back {
            self.summary.undone += 1;
            let failure = SeriesFailure { id: name.clone(), cause: cause.clone(), class };
            self.summary.failures.push(failure);
            let mut record = self.ledger.read(&name)?;
            let at = clock::timestamp(SystemTime::now());
            record.undone = Some(Undone { at, class, cause });
            self.outdated.extend(self.ledger.write(&record)?);
        }
        self.update_tables()
    }

    fn failed(&mut self, name: &str, cause: &str) -> AttemptOutcome {
        let cause = self.named(cause);
        self.summary.failed += 1;
        let class = FaultClass::Content;
        let failure = SeriesFailure { id: name.to_owned(), cause: cause.clone(), class };
        self.summary.failures.push(failure);
        (self.context.notify)(RunEvent::Failed { series: name.to_owned(), cause: cause.clone() });
        AttemptOutcome::Failed(cause)
    }

    fn excluded(&mut self, name: &str, exclusion: SeriesExclusion) -> AttemptOutcome {
        let exclusion = SeriesExclusion { reason: self.named(&exclusion.reason), ..exclusion };
        let SeriesExclusion { rule, reason, n_candidates } = exclusion.clone();
        self.summary.excluded += 1;
        let id = name.to_owned();
        let row = ExcludedSeries { id, rule: rule.clone(), reason: reason.clone(), n_candidates };
        self.summary.exclusions.push(row);
        let series = name.to_owned();
        (self.context.notify)(RunEvent::Excluded { series, rule, reason, n_candidates });
        AttemptOutcome::Excluded(exclusion)
    }

    /// A text with the UIDs as results name them.
    fn named(&self, text: &str) -> String {
        let identity = &self.context.identity;
        if identity.is_replaced() {
            redaction::with_renamed_uids(text, &|uid| identity.uid(uid))
        } else {
            text.to_owned()
        }
    }

    pub(super) fn warn(&mut self, name: &str, warning: &str) {
        let text = format!("{name}: {warning}");
        self.summary.warnings.push(text.clone());
        (self.context.notify)(RunEvent::Warning { text });
    }
}
