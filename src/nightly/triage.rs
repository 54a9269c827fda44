//! Which series there is something to do for.

use super::candidates::Candidates;
use super::discover::{Found, Source};
use super::event::Event;
use super::ledger::{Ledger, State};
use super::read::Work;
use super::record::Made;
use super::settings::Settings;
use super::summary::Summary;
use super::told;
use crate::tables::{clock, manifest};
use nodulus_formats::image_file;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

/// Sorts the series into those to look at and those not.
pub(super) struct Triage<'a> {
    pub(super) settings: &'a Settings,
    /// Try again what failed before.
    pub(super) retry_failed: bool,
    pub(super) candidates: &'a Candidates,
    pub(super) now: SystemTime,
    pub(super) summary: &'a mut Summary,
    pub(super) tell: &'a (dyn Fn(Event) + Sync),
}

impl Triage<'_> {
    /// What there is to do, those first that have waited longest.
    pub(super) fn sort(
        &mut self,
        found: Vec<Found>,
        recipe: &str,
        model_id: &str,
        ledger: &mut Ledger,
    ) -> Result<Vec<Work>, manifest::Error> {
        // A file or folder that could not be read, and is no longer found, is none any more.
        let ids: BTreeSet<&str> = found.iter().map(|found| found.name.as_str()).collect();
        let gone = ledger.entries().map(|(id, _)| id.clone());
        let gone: Vec<String> =
            gone.filter(|id| told::is_name(id) && !ids.contains(id.as_str())).collect();
        gone.iter().try_for_each(|id| ledger.remove(id))?;
        let mut work = Vec::new();
        for found in found {
            if let Some(todo) = self.look(found, recipe, model_id, ledger)? {
                work.push(todo);
            }
        }
        work.sort_by(|a, b| {
            let order = |work: &Work| (work.found.stamp.newest, work.found.name.clone());
            order(a).cmp(&order(b))
        });
        Ok(work)
    }

    fn look(
        &mut self,
        found: Found,
        recipe: &str,
        model_id: &str,
        ledger: &mut Ledger,
    ) -> Result<Option<Work>, manifest::Error> {
        if self.is_settling(&found) {
            self.summary.settling += 1;
            self.summary.settling_series.push(found.name.clone());
            (self.tell)(Event::Settling { series: found.name });
            return Ok(None);
        }
        let stem = match &found.source {
            Source::Image(path) => image_file::stem(path),
            Source::Folders(_) | Source::Archive(_) => String::new(),
        };
        let names = [found.id.as_str(), stem.as_str()].into_iter().filter(|name| !name.is_empty());
        let candidates = self.candidates.of(names);
        let state = ledger.entry(&found.name).map(|entry| entry.state.clone());
        if candidates.is_empty() && found.problem.is_none() {
            match state {
                // What was scored stays, though its candidates are gone.
                Some(State::Scored { .. }) => self.summary.unchanged += 1,
                Some(State::Failed(..)) => self.summary.failed_before += 1,
                Some(State::Waiting(_)) => self.summary.waiting += 1,
                None => {
                    self.summary.waiting += 1;
                    let mut record = ledger.read(&found.name)?;
                    record.waiting_since = Some(clock::timestamp(self.now));
                    ledger.write(&record)?;
                    (self.tell)(Event::Waiting { series: found.name });
                }
            }
            return Ok(None);
        }
        let candidates_sha256 = candidates.sha256();
        let is_same = |of: &Made| of.is_as(&found.stamp.text, &candidates_sha256, recipe);
        let (before, again) = match state {
            Some(State::Scored { of, at, asked }) if is_same(&of) => {
                if self.settings.outputs.is_subset(&asked) {
                    self.summary.unchanged += 1;
                    return Ok(None);
                }
                (None, Some(at))
            }
            Some(State::Failed(of, _)) if is_same(&of) && !self.retry_failed => {
                self.summary.failed_before += 1;
                return Ok(None);
            }
            Some(State::Scored { of, .. }) => (Some(of), None),
            Some(State::Failed(of, _)) if !self.retry_failed => (Some(of), None),
            Some(State::Failed(..) | State::Waiting(_)) | None => (None, None),
        };
        let made = Made {
            stamp: found.stamp.text.clone(),
            content_sha256: String::new(),
            candidates_sha256,
            recipe_sha256: recipe.to_owned(),
            model_id: model_id.to_owned(),
        };
        Ok(Some(Work { found, candidates, made, before, again }))
    }

    /// METHOD: files arrive one by one, and a series may lack its last ones for a while: it is read when
    /// no file has changed for `settle_seconds`, and as many instances are there as are announced or
    /// `announced_hours` have passed.
    fn is_settling(&self, found: &Found) -> bool {
        // A time in the future is as good as now.
        let age = self.now.duration_since(found.stamp.newest).unwrap_or_default();
        if age < Duration::from_secs(self.settings.settle_seconds) {
            return true;
        }
        let is_whole = found.announced.is_none_or(|announced| found.n_files >= announced);
        !is_whole && age.as_secs_f64() < 3600.0 * self.settings.announced_hours
    }
}
