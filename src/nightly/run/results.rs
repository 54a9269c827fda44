//! Writes the results of scored scans: rows and files.

use super::context::RunContext;
use super::event::RunEvent;
use super::finished::ScoredSeries;
use super::write::ResultWriter;
use crate::nightly::deliver::{DeliveredFile, EarlierObjects, OutputKind, ResultObjects, deliver};
use crate::nightly::follow_up::drift::MaskRule;
use crate::nightly::follow_up::lasting_id::{keep_ids, take_ids};
use crate::nightly::follow_up::scan::FollowUpScan;
use crate::nightly::identity::Identity;
use crate::nightly::problem::Problem;
use crate::nightly::records::output_files::{OutputFile, OutputFiles};
use crate::nightly::records::record::{
    Attempt, AttemptOutcome, Rewritten, SeriesRecord, SeriesResult,
};
use crate::nightly::records::rows;
use crate::nightly::scan::result_inputs::ResultInputs;
use crate::nightly::scan::scored::ScoredNodule;
use nodulus_formats::volume::image_sha256;
use nodulus_store::{durable, hash};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// What a series came to, which counts once its record is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum NewResult {
    /// Scored.
    Scored {
        /// Whether it replaces an earlier result.
        supersedes: bool,
        nodules: usize,
        /// Nodules without a voxel.
        empty_masks: usize,
        /// Seconds of the model.
        seconds: f64,
    },
    /// Further files of the current result.
    Completed,
    /// An earlier result is current again.
    Restored,
}

impl ResultWriter<'_> {
    /// Adds a new result to a record.
    pub(super) fn supersede(
        &mut self,
        record: &mut SeriesRecord,
        scored: &mut ScoredSeries<'_>,
        inputs: &ResultInputs,
    ) -> Result<Option<NewResult>, Problem> {
        let identity = &self.context.identity;
        let fingerprint = identity.fingerprint();
        let reach_mm = self.context.settings.region.reach_mm;
        let earlier = record.rows_of_results(&fingerprint);
        keep_ids(&mut scored.scan.nodules, &earlier, reach_mm, identity);
        let before = record.objects_before(&fingerprint, false);
        let requested = self.context.settings.outputs.clone();
        let (at, name) = (scored.scan.scored_at.clone(), record.id.clone());
        let result = self.result(&name, scored, requested, inputs, &before, None)?;
        record.note_objects(before, &result.objects);
        self.count_names(&name, scored, result.visit.as_ref());
        let is_empty = |nodule: &&ScoredNodule| nodule.mask.is_none();
        let new = NewResult::Scored {
            supersedes: record.result().is_some(),
            nodules: scored.scan.nodules.len(),
            empty_masks: scored.scan.nodules.iter().filter(is_empty).count(),
            seconds: scored.seconds,
        };
        let day = Identity::day(&scored.scan.patient(identity), &at);
        let outcome = AttemptOutcome::Scored(Box::new(result));
        record.supersede(Attempt::new(inputs.clone(), at, day, outcome));
        Ok(Some(new))
    }

    /// Counts a result whose record is written.
    pub(super) fn count(&mut self, series: String, new: NewResult) {
        (self.context.notify)(match new {
            NewResult::Scored { supersedes, nodules, empty_masks, seconds } => {
                self.summary.superseded += usize::from(supersedes);
                self.summary.scored += 1;
                self.summary.nodules += nodules;
                self.summary.empty_masks += empty_masks;
                RunEvent::Scored { series, nodules, seconds }
            }
            NewResult::Completed => {
                self.summary.completed += 1;
                RunEvent::Completed { series }
            }
            NewResult::Restored => {
                self.summary.restored += 1;
                RunEvent::Restored { series }
            }
        });
    }

    /// Counts a series whose patient has several names or issuers of its id, and warns of it.
    ///
    /// METHOD: a `PatientID` is of one person. Two names may be two persons, whose scans `growth` would compare, or one whose
    /// name has changed: that is for people to say.
    fn count_names(&mut self, name: &str, scored: &ScoredSeries<'_>, visit: Option<&FollowUpScan>) {
        let info = scored.scan.info.as_ref();
        let n_names = info.map_or(0, |info| info.of_slices.distinct_patient_names().len());
        let n_others = visit.map_or(0, |visit| self.ledger.n_other_names(visit));
        let mut texts = Vec::new();
        if n_names > 1 {
            texts.push(format!(
                "its slices have {n_names} different PatientNames under one PatientID"
            ));
        }
        if n_others > 0 {
            texts.push(format!(
                "{n_others} other series of its PatientID have a result with another PatientName"
            ));
        }
        let n_issuers = visit.map_or(0, |visit| self.ledger.n_other_issuers(visit));
        if n_issuers > 0 {
            texts.push(format!(
                "{n_issuers} other series of its PatientID have a result with another IssuerOfPatientID and are not compared with it"
            ));
        }
        self.summary.several_names += usize::from(!texts.is_empty());
        for text in texts {
            self.warn(name, &format!("{text}; check that they are of one person"));
        }
    }

    /// Adds the files to the current result that were not requested when it was made.
    pub(super) fn complete(
        &mut self,
        record: &mut SeriesRecord,
        scored: &mut ScoredSeries<'_>,
        inputs: &ResultInputs,
    ) -> Result<Option<NewResult>, Problem> {
        let before = record.objects_before(&self.context.identity.fingerprint(), true);
        let rewritten = record.result().and_then(|result| result.rewritten.clone());
        self.write_again(record, scored, inputs, before, rewritten)?;
        Ok(Some(NewResult::Completed))
    }

    /// Makes the superseded result that was made of `earlier` current again, with new files after those of the others.
    pub(super) fn restore(
        &mut self,
        record: &mut SeriesRecord,
        scored: &mut ScoredSeries<'_>,
        inputs: &ResultInputs,
        earlier: &ResultInputs,
    ) -> Result<Option<NewResult>, Problem> {
        let before = record.objects_before(&self.context.identity.fingerprint(), false);
        let rewritten = Rewritten { at: scored.scan.scored_at.clone(), n_before: before.len() };
        let mut restored = record.clone();
        if !restored.restore(earlier, inputs.stamp.clone()) {
            return Ok(None);
        }
        self.write_again(&mut restored, scored, inputs, before, Some(rewritten))?;
        *record = restored;
        Ok(Some(NewResult::Restored))
    }

    /// Writes the files of the current result, whose rows stay, as if objects had been written `before` them alone.
    fn write_again(
        &mut self,
        record: &mut SeriesRecord,
        scored: &mut ScoredSeries<'_>,
        inputs: &ResultInputs,
        before: Vec<ResultObjects>,
        rewritten: Option<Rewritten>,
    ) -> Result<(), Problem> {
        let name = record.id.clone();
        let Some(result) = record.result() else { return Ok(()) };
        take_ids(&mut scored.scan.nodules, &result.rows);
        let requested = &self.context.settings.outputs | &result.requested;
        let made = self.result(&name, scored, requested, inputs, &before, rewritten)?;
        if made.rows != result.rows {
            self.warn(&name, "its files come from a second pass, which gave other figures");
        }
        let SeriesResult { rows, visit, .. } = std::mem::take(result);
        *result = SeriesResult { rows, visit, ..made };
        let objects = result.objects.clone();
        record.note_objects(before, &objects);
        Ok(())
    }

    /// Writes the files of a result and returns it.
    fn result(
        &mut self,
        name: &str,
        scored: &ScoredSeries<'_>,
        requested: BTreeSet<OutputKind>,
        inputs: &ResultInputs,
        before: &[ResultObjects],
        rewritten: Option<Rewritten>,
    ) -> Result<SeriesResult, Problem> {
        let delivered = self.write_files(scored, &requested, inputs, before, rewritten.as_ref())?;
        let of_files = delivered.iter().filter_map(DeliveredFile::warning);
        let warnings: Vec<String> = scored.scan.warnings.iter().cloned().chain(of_files).collect();
        for warning in &warnings {
            self.warn(name, warning);
        }
        let RunContext { settings, identity, .. } = self.context;
        let base = settings.output();
        let (mut outputs, mut objects) = (Vec::new(), ResultObjects::new());
        let mut files = OutputFiles::new();
        for delivered in delivered {
            if let DeliveredFile::Written { output, path, object, .. } = delivered {
                let name = path.strip_prefix(&base).map_or(path.clone(), Path::to_owned);
                let written = OutputFile::of(&path);
                let written = written.map_err(|error| Problem::of_run(settings, &error))?;
                files.insert(name.clone(), written);
                outputs.push(name);
                objects.extend(object.map(|object| (output, object)));
            }
        }
        let slices = &scored.slices;
        let image = image_sha256(slices.geometry(), |k| slices.slice(k));
        Ok(SeriesResult {
            rows: rows::rows(&scored.scan, identity, &MaskRule::of_settings(settings)),
            requested,
            outputs,
            files,
            objects,
            identity: identity.fingerprint(),
            warnings,
            rewritten,
            visit: rows::follow_up_scan(
                &scored.scan,
                scored.lungs,
                image.as_deref(),
                identity,
                settings,
            ),
        })
    }

    /// Writes the requested files of a scan.
    ///
    /// METHOD: each result has a folder of its own, so that the files of a superseded one stay; one that is written anew has
    /// another. A run that is killed before it writes the record leaves files that the next run writes again.
    fn write_files(
        &self,
        scored: &ScoredSeries<'_>,
        requested: &BTreeSet<OutputKind>,
        inputs: &ResultInputs,
        before: &[ResultObjects],
        rewritten: Option<&Rewritten>,
    ) -> Result<Vec<DeliveredFile>, Problem> {
        let RunContext { settings, identity, .. } = self.context;
        if requested.is_empty() {
            return Ok(Vec::new());
        }
        let scan = &scored.scan;
        let study = scan.info.as_ref().map_or(&scan.series_instance_uid, |i| &i.study_instance_uid);
        let ResultInputs { content_sha256, candidates_sha256, recipe_sha256, .. } = inputs;
        let n_before = rewritten.map(|rewritten| rewritten.n_before.to_string());
        let parts = [&**content_sha256, candidates_sha256, recipe_sha256].into_iter();
        let result = hash::id("", parts.chain(n_before.as_deref()));
        let folder = settings.output().join(identity.uid(study)).join(result);
        // A run that was killed may have left some that no other writes again.
        durable::remove_unfinished(&folder).map_err(|error| Problem::of_run(settings, &error))?;
        let earlier = EarlierObjects::of(before);
        let write = || deliver(scan, &scored.slices, requested, identity, &earlier, &folder);
        match catch_unwind(AssertUnwindSafe(write)) {
            Ok(Ok(delivered)) => Ok(delivered),
            Ok(Err(error)) => Err(Problem::of_run(settings, &error)),
            Err(panic) => Err(Problem::of_panic(panic.as_ref())),
        }
    }
}
