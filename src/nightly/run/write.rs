//! Writes results to the store.

use super::context::RunContext;
use super::error::Error;
use super::event::RunEvent;
use super::finished::{FinishedSeries, ScoredSeries, SeriesOutcome};
use super::summary::{ExcludedSeries, RunSummary, SeriesFailure};
use crate::nightly::deliver::{DeliveredFile, EarlierObjects, OutputKind, ResultObjects, deliver};
use crate::nightly::follow_up::drift::MaskRule;
use crate::nightly::follow_up::lasting_id::keep_ids;
use crate::nightly::records::ledger::Ledger;
use crate::nightly::records::record::{Attempt, AttemptOutcome, SeriesRecord, SeriesResult};
use crate::nightly::records::rows;
use crate::nightly::redaction;
use crate::nightly::scan::exclusion::SeriesExclusion;
use crate::nightly::scan::result_inputs::ResultInputs;
use crate::nightly::scan::scored::{ScoredNodule, ScoredScan};
use nodulus_store::{clock, hash};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime};

/// Time between two updates of the tables.
const UPDATE_EVERY: Duration = Duration::from_mins(1);

/// Writes results to the store.
pub(super) struct ResultWriter<'a> {
    context: &'a RunContext<'a>,
    ledger: &'a mut Ledger,
    summary: &'a mut RunSummary,
    /// Days whose tables are outdated.
    outdated: BTreeSet<String>,
    updated: Instant,
}

impl<'a> ResultWriter<'a> {
    pub(super) fn new(
        context: &'a RunContext<'a>,
        ledger: &'a mut Ledger,
        summary: &'a mut RunSummary,
    ) -> Self {
        Self { context, ledger, summary, outdated: BTreeSet::new(), updated: Instant::now() }
    }

    /// Writes all series that arrive; returns their number.
    pub(super) fn write_all(
        &mut self,
        finished: Receiver<FinishedSeries<'_>>,
        busy: impl Fn(Instant),
    ) -> Result<usize, Error> {
        let mut n = 0;
        for finished in finished {
            let since = Instant::now();
            self.write(finished)?;
            n += 1;
            if self.updated.elapsed() >= UPDATE_EVERY {
                self.update_tables()?;
            }
            busy(since);
        }
        let since = Instant::now();
        self.update_tables()?;
        busy(since);
        Ok(n)
    }

    fn update_tables(&mut self) -> Result<(), Error> {
        self.context.tables.write(self.ledger, &self.outdated)?;
        self.outdated.clear();
        self.updated = Instant::now();
        Ok(())
    }

    fn write(&mut self, finished: FinishedSeries<'_>) -> Result<(), Error> {
        let FinishedSeries { series, inputs, completes, outcome } = finished;
        let name = &series.name;
        let mut record = self.ledger.read(name)?;
        match outcome {
            SeriesOutcome::Settling => {
                self.summary.settling += 1;
                self.summary.settling_series.push(name.clone());
                (self.context.notify)(RunEvent::Settling { series: name.clone() });
                return Ok(());
            }
            SeriesOutcome::Unchanged => {
                if let Some(current) = &mut record.current {
                    current.inputs.stamp = inputs.stamp;
                    match current.outcome {
                        AttemptOutcome::Scored(_) => self.summary.unchanged += 1,
                        AttemptOutcome::Failed(_) => self.summary.failed_before += 1,
                        AttemptOutcome::Excluded(_) => self.summary.excluded_before += 1,
                    }
                }
            }
            SeriesOutcome::Failed(cause) => {
                let failed = self.failed(name, &cause);
                // The result that was to be completed stays.
                if completes.is_some() {
                    return Ok(());
                }
                let now = clock::timestamp(SystemTime::now());
                record.supersede(Attempt::new(inputs, now, failed));
            }
            SeriesOutcome::Excluded(exclusion) => {
                let excluded = self.excluded(name, exclusion);
                let now = clock::timestamp(SystemTime::now());
                record.supersede(Attempt::new(inputs, now, excluded));
            }
            SeriesOutcome::Scored(mut scored) => {
                let earlier = self.earlier(&record, &mut scored.scan, completes.is_some());
                match (record.result(), completes) {
                    (Some(result), Some(_)) => {
                        self.complete(name, result, &scored, &inputs, &earlier);
                    }
                    _ => self.supersede(&mut record, &scored, inputs, &earlier),
                }
            }
        }
        self.outdated.extend(self.ledger.write(&record)?);
        Ok(())
    }

    fn failed(&mut self, name: &str, cause: &str) -> AttemptOutcome {
        let cause = self.named(cause);
        self.summary.failed += 1;
        self.summary.failures.push(SeriesFailure { id: name.to_owned(), cause: cause.clone() });
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

    fn warn(&mut self, name: &str, warning: &str) {
        let text = format!("{name}: {warning}");
        self.summary.warnings.push(text.clone());
        (self.context.notify)(RunEvent::Warning { text });
    }

    /// The objects of earlier results of a series, whose nodules keep their ids in the scan.
    fn earlier(
        &self,
        record: &SeriesRecord,
        scan: &mut ScoredScan,
        completes: bool,
    ) -> EarlierObjects {
        let identity = &self.context.identity;
        let results = record.earlier_results(&identity.fingerprint(), completes);
        if let Some(last) = results.last() {
            keep_ids(&mut scan.nodules, &last.rows, identity);
        }
        EarlierObjects::of(results.into_iter().map(|result| &result.objects))
    }

    /// Adds a new result to a record.
    fn supersede(
        &mut self,
        record: &mut SeriesRecord,
        scored: &ScoredSeries<'_>,
        inputs: ResultInputs,
        earlier: &EarlierObjects,
    ) {
        let requested = self.context.settings.outputs.clone();
        let (at, name) = (scored.scan.scored_at.clone(), record.id.clone());
        let outcome = match self.result(&name, scored, requested, &inputs, earlier) {
            Err(cause) => self.failed(&name, &cause),
            Ok(result) => {
                let (nodules, seconds) = (scored.scan.nodules.len(), scored.seconds);
                self.summary.superseded += usize::from(record.result().is_some());
                self.summary.scored += 1;
                self.summary.nodules += nodules;
                let is_empty = |nodule: &&ScoredNodule| nodule.mask.is_none();
                self.summary.empty_masks += scored.scan.nodules.iter().filter(is_empty).count();
                (self.context.notify)(RunEvent::Scored { series: name, nodules, seconds });
                AttemptOutcome::Scored(Box::new(result))
            }
        };
        record.supersede(Attempt::new(inputs, at, outcome));
    }

    /// Adds the files to a result that were not requested when it was made.
    fn complete(
        &mut self,
        name: &str,
        result: &mut SeriesResult,
        scored: &ScoredSeries<'_>,
        inputs: &ResultInputs,
        earlier: &EarlierObjects,
    ) {
        let requested = &self.context.settings.outputs | &result.requested;
        match self.result(name, scored, requested, inputs, earlier) {
            Err(cause) => {
                self.failed(name, &cause);
            }
            Ok(completed) => {
                if completed.rows != result.rows {
                    self.warn(name, "its files come from a second pass, which gave other figures");
                }
                let SeriesResult { rows, visit, .. } = std::mem::take(result);
                *result = SeriesResult { rows, visit, ..completed };
                self.summary.completed += 1;
                (self.context.notify)(RunEvent::Completed { series: name.to_owned() });
            }
        }
    }

    /// Writes the files of a result and returns it. An error with them is a failure of the scan.
    fn result(
        &mut self,
        name: &str,
        scored: &ScoredSeries<'_>,
        requested: BTreeSet<OutputKind>,
        inputs: &ResultInputs,
        earlier: &EarlierObjects,
    ) -> Result<SeriesResult, String> {
        let delivered = self.write_files(scored, &requested, inputs, earlier)?;
        let of_files = delivered.iter().filter_map(DeliveredFile::warning);
        let warnings: Vec<String> = scored.scan.warnings.iter().cloned().chain(of_files).collect();
        for warning in &warnings {
            self.warn(name, warning);
        }
        let RunContext { settings, identity, .. } = self.context;
        let base = settings.output();
        let (mut outputs, mut objects) = (Vec::new(), ResultObjects::new());
        for delivered in delivered {
            if let DeliveredFile::Written { output, path, object, .. } = delivered {
                outputs.push(path.strip_prefix(&base).map_or(path.clone(), Path::to_owned));
                objects.extend(object.map(|object| (output, object)));
            }
        }
        Ok(SeriesResult {
            rows: rows::rows(&scored.scan, identity, &MaskRule::of_settings(self.context.settings)),
            requested,
            outputs,
            objects,
            identity: identity.fingerprint(),
            warnings,
            visit: rows::follow_up_scan(&scored.scan, scored.lungs, identity),
        })
    }

    /// Writes the requested files of a scan.
    ///
    /// METHOD: each result has a folder of its own, so that the files of a superseded one stay. A run that is
    /// killed before it writes the record leaves files that the next run writes again.
    fn write_files(
        &self,
        scored: &ScoredSeries<'_>,
        requested: &BTreeSet<OutputKind>,
        inputs: &ResultInputs,
        earlier: &EarlierObjects,
    ) -> Result<Vec<DeliveredFile>, String> {
        let RunContext { settings, identity, .. } = self.context;
        if requested.is_empty() {
            return Ok(Vec::new());
        }
        let scan = &scored.scan;
        let study = scan.info.as_ref().map_or(&scan.series_instance_uid, |i| &i.study_instance_uid);
        let ResultInputs { content_sha256, candidates_sha256, recipe_sha256, .. } = inputs;
        let result = hash::id("", [&**content_sha256, candidates_sha256, recipe_sha256]);
        let folder = settings.output().join(identity.uid(study)).join(result);
        let write = || deliver(scan, &scored.slices, requested, identity, earlier, &folder);
        match catch_unwind(AssertUnwindSafe(write)) {
            Ok(Ok(delivered)) => Ok(delivered),
            Ok(Err(error)) => Err(redaction::cause(&settings.input, &error)),
            Err(panic) => Err(redaction::panic_cause(panic.as_ref())),
        }
    }
}
