//! A run of the nightly job: what there is to do, and doing it.

use super::budget::{Budget, Taken};
use super::candidates::{self, Candidates};
use super::discover::{Found, Known, Source, discover};
use super::ledger::{Attempt, Ledger, Made, Outcome, Record, Scored, State};
use super::model::{self, Model};
use super::read::{Looked, Ready, What, Work, panicked, read};
use super::scored::ScoredScan;
use super::settings::Settings;
use super::summary::{Cause, Seconds, Stopped, Summary};
use super::{nodules, rows, segment, told, view};
use crate::formats::image_file;
use crate::model::Device;
use crate::tables::store::{self, Store};
use crate::tables::{clock, hash, lock, manifest};
use crate::volume::LoadedSlices;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Raised when results change with all else the same.
pub const VERSION: u32 = 1;

/// Where what was read of the input is kept, in the store.
const KNOWN: &str = "cache/input.json";

/// Time between two writings of the table.
const BETWEEN_VIEWS: Duration = Duration::from_mins(1);

/// What a run may use.
pub struct Options<'a> {
    /// Where networks run.
    pub device: Device,
    /// Bytes that voxels, and a batch with the network, may take in memory: half of it each.
    pub max_memory: u64,
    /// No scan is begun later than this after the run began.
    pub max_time: Option<Duration>,
    /// Try again what failed before.
    pub retry_failed: bool,
    /// Set from outside to end the run; no scan is begun then.
    pub stop: &'a AtomicBool,
}

/// What happens in a run; no path and no patient is named.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The input is listed.
    Listed {
        /// Series in it.
        found: usize,
        /// Of them, those to look at.
        to_do: usize,
    },
    /// A series is scored.
    Scored {
        /// The series.
        series: String,
        /// Its nodules.
        nodules: usize,
        /// Seconds that the model took.
        seconds: f64,
    },
    /// Something could not be scored.
    Failed {
        /// The series, or what the file is called.
        series: String,
        /// Why.
        cause: String,
    },
    /// A series has no candidates yet.
    Waiting {
        /// The series.
        series: String,
    },
    /// A series still arrives.
    Settling {
        /// The series.
        series: String,
    },
    /// Something is doubtful.
    Warning {
        /// What.
        text: String,
    },
    /// The run ends before everything is done.
    Stopped {
        /// Why.
        why: Stopped,
        /// Series that are left.
        left: usize,
    },
}

/// The run stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input cannot be listed.
    #[error("cannot read `score.input`")]
    Input(#[source] io::Error),
    /// The store or the outputs lie in the input.
    #[error("`{setting}` `{path}` lies in `score.input`, which is never written to")]
    InInput {
        /// The setting.
        setting: &'static str,
        /// The folder.
        path: PathBuf,
    },
    /// The candidates cannot be read.
    #[error(transparent)]
    Candidates(#[from] candidates::Error),
    /// The model cannot be made ready.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A record could not be read or written.
    #[error(transparent)]
    Record(#[from] manifest::Error),
    /// The table could not be written.
    #[error(transparent)]
    View(#[from] view::Error),
}

/// Scores what is new in the input, and keeps a summary of the run in the store, which must be locked.
///
/// Reading, scoring and writing overlap: each has a thread, and one scan waits to be written. The run
/// stops with an error if the input, the candidates or the model cannot be read, or the store cannot be written to;
/// what a scan has against it is a failure of its own.
pub fn run(
    settings: &Settings,
    store: &Store,
    options: &Options<'_>,
    tell: &(dyn Fn(Event) + Sync),
) -> (Summary, Result<(), Error>) {
    let (begun, now) = (Instant::now(), SystemTime::now());
    let mut summary = Summary {
        started: clock::timestamp(now),
        process: lock::this_process(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Summary::default()
    };
    let mut result = work(settings, store, options, tell, begun, &mut summary);
    summary.ended = clock::timestamp(SystemTime::now());
    summary.seconds.total = begun.elapsed().as_secs_f64();
    summary.error = result.as_ref().err().map(|error| told::cause(&settings.input, error));
    summary.exit_status = match (&result, summary.failed) {
        (Err(_), _) => 1,
        (Ok(()), 0) => 0,
        (Ok(()), _) => 3,
    };
    // The first error matters more than that its summary cannot be kept either.
    let kept = summary.write(store);
    result = result.and(kept.map_err(Error::from));
    (summary, result)
}

fn work(
    settings: &Settings,
    store: &Store,
    options: &Options<'_>,
    tell: &(dyn Fn(Event) + Sync),
    begun: Instant,
    summary: &mut Summary,
) -> Result<(), Error> {
    let now = SystemTime::now();
    refuse_nested(settings)?;
    let candidates = Candidates::read(&settings.candidates.0)?;
    let loading = Instant::now();
    let model = Model::load(&settings.model.0, options.device)?;
    summary.model_id.clone_from(&model.name.id);
    summary.seconds.model = loading.elapsed().as_secs_f64();

    let mut ledger = Ledger::open(store.root())?;
    ledger.tidy()?;
    view::write(store.root(), &ledger, &view::lagging(store.root(), &ledger))?;
    let listing = Instant::now();
    // A damaged record of what was read costs time, never a wrong answer.
    let before: Known = store.read_record(Path::new(KNOWN)).ok().flatten().unwrap_or_default();
    let mut known = before.clone();
    let found = discover(&settings.input, &mut known).map_err(Error::Input)?;
    if known != before {
        store.write_record(Path::new(KNOWN), &known)?;
    }
    summary.seconds.list = listing.elapsed().as_secs_f64();
    summary.found = found.len();
    for error in &candidates.unreadable {
        let text = told::cause(&settings.input, error);
        summary.warnings.push(text.clone());
        tell(Event::Warning { text });
    }
    let mut triage = Triage { settings, options, candidates: &candidates, now, summary, tell };
    let work = triage.sort(found, &model, &mut ledger)?;
    tell(Event::Listed { found: summary.found, to_do: work.len() });

    let deadline = options.max_time.map(|time| begun + time);
    let night = Night { settings, store, options, model: &model, deadline, tell };
    night.work(work, &mut ledger, summary)
}

/// Outputs would be taken for scans, and the input is not written to.
fn refuse_nested(settings: &Settings) -> Result<(), Error> {
    let Ok(input) = fs_err::canonicalize(&settings.input) else { return Ok(()) };
    let output = settings.output();
    for (setting, path) in [("score.store", &settings.store), ("score.output", &output)] {
        let there = path.ancestors().find_map(|path| fs_err::canonicalize(path).ok());
        if there.is_some_and(|there| there.starts_with(&input)) {
            return Err(Error::InInput { setting, path: path.clone() });
        }
    }
    Ok(())
}

/// Sorts the series into those to look at and those not.
struct Triage<'a> {
    settings: &'a Settings,
    options: &'a Options<'a>,
    candidates: &'a Candidates,
    now: SystemTime,
    summary: &'a mut Summary,
    tell: &'a (dyn Fn(Event) + Sync),
}

impl Triage<'_> {
    /// What there is to do, those first that have waited longest.
    fn sort(
        &mut self,
        found: Vec<Found>,
        model: &Model,
        ledger: &mut Ledger,
    ) -> Result<Vec<Work>, Error> {
        // A file or folder that could not be read, and is no longer found, is none any more.
        let ids: BTreeSet<&str> = found.iter().map(|found| found.id.as_str()).collect();
        let gone = ledger.entries().map(|(id, _)| id.clone());
        let gone: Vec<String> =
            gone.filter(|id| told::is_name(id) && !ids.contains(id.as_str())).collect();
        gone.iter().try_for_each(|id| ledger.remove(id))?;
        let settings_text = self.settings.of_results().to_string();
        let version = VERSION.to_string();
        let recipe = hash::sha256_parts([&*model.sha256, &settings_text, &version]);
        let mut work = Vec::new();
        for found in found {
            if let Some(todo) = self.look(found, &recipe, &model.name.id, ledger)? {
                work.push(todo);
            }
        }
        work.sort_by(|a, b| {
            let order = |work: &Work| (work.found.stamp.newest, work.found.id.clone());
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
    ) -> Result<Option<Work>, Error> {
        if self.is_settling(&found) {
            self.summary.settling += 1;
            self.summary.settling_series.push(found.id.clone());
            (self.tell)(Event::Settling { series: found.id });
            return Ok(None);
        }
        let stem = match &found.source {
            Source::Image(path) => image_file::stem(path),
            Source::Folders(_) | Source::Archive(_) => String::new(),
        };
        let names = [found.id.as_str(), stem.as_str()].into_iter().filter(|name| !name.is_empty());
        let candidates = self.candidates.of(names).to_vec();
        let state = ledger.entry(&found.id).map(|entry| entry.state.clone());
        if candidates.is_empty() && found.problem.is_none() {
            match state {
                // What was scored stays, though its candidates are gone.
                Some(State::Scored(_)) => self.summary.unchanged += 1,
                Some(State::Failed(..)) => self.summary.failed_before += 1,
                Some(State::Waiting(_)) => self.summary.waiting += 1,
                None => {
                    self.summary.waiting += 1;
                    let mut record = ledger.read(&found.id)?;
                    record.waiting_since = Some(clock::timestamp(self.now));
                    ledger.write(&record)?;
                    (self.tell)(Event::Waiting { series: found.id });
                }
            }
            return Ok(None);
        }
        let candidates_sha256 = candidates::sha256(&candidates);
        let before = match state {
            Some(State::Scored(of)) => Some(of),
            Some(State::Failed(of, _)) if !self.options.retry_failed => {
                if of.is_as(&found.stamp.text, &candidates_sha256, recipe) {
                    self.summary.failed_before += 1;
                    return Ok(None);
                }
                Some(of)
            }
            Some(State::Failed(..) | State::Waiting(_)) | None => None,
        };
        if before.as_ref().is_some_and(|of| of.is_as(&found.stamp.text, &candidates_sha256, recipe))
        {
            self.summary.unchanged += 1;
            return Ok(None);
        }
        let made = Made {
            stamp: found.stamp.text.clone(),
            content_sha256: String::new(),
            candidates_sha256,
            recipe_sha256: recipe.to_owned(),
            model_id: model_id.to_owned(),
        };
        Ok(Some(Work { found, candidates, made, before }))
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

/// A scan that was scored, or what became of a series else.
struct Finished<'a> {
    found: Found,
    made: Made,
    what: End<'a>,
}

enum End<'a> {
    Scored(Box<Done<'a>>),
    Same,
    Settling,
    Failed(String),
}

/// A scored scan, with what of it is in memory.
struct Done<'a> {
    scan: ScoredScan,
    slices: LoadedSlices<i16>,
    seconds: f64,
    _memory: Taken<'a>,
}

/// The work of a run.
struct Night<'a> {
    settings: &'a Settings,
    store: &'a Store,
    options: &'a Options<'a>,
    model: &'a Model,
    deadline: Option<Instant>,
    tell: &'a (dyn Fn(Event) + Sync),
}

impl Night<'_> {
    fn work(
        &self,
        work: Vec<Work>,
        ledger: &mut Ledger,
        summary: &mut Summary,
    ) -> Result<(), Error> {
        let budget = Budget::new(self.options.max_memory / 2);
        let batch = self.model.networks.batch_within(self.options.max_memory / 2);
        let broken = AtomicBool::new(false);
        let seconds = Mutex::new(Seconds::default());
        let add = |of: fn(&mut Seconds) -> &mut f64, since: Instant| {
            let mut seconds = seconds.lock().unwrap_or_else(PoisonError::into_inner);
            *of(&mut seconds) += since.elapsed().as_secs_f64();
        };
        let total = work.len();
        let written = std::thread::scope(|scope| {
            let (to_score, from_reader): (SyncSender<Looked<'_>>, Receiver<_>) = sync_channel(0);
            let (to_writer, from_scorer): (SyncSender<Finished<'_>>, Receiver<_>) = sync_channel(1);
            scope.spawn(|| {
                // Ends the scorer's loop, and with it the writer's, when dropped.
                let to_score = to_score;
                for work in work {
                    if self.stopped().is_some() || broken.load(Ordering::SeqCst) {
                        break;
                    }
                    let since = Instant::now();
                    let looked = read(self.settings, &budget, work);
                    add(|seconds| &mut seconds.read, since);
                    if to_score.send(looked).is_err() {
                        break;
                    }
                }
            });
            let writer = scope.spawn(|| {
                let mut writer = Writer {
                    night: self,
                    ledger,
                    summary,
                    stale: BTreeSet::new(),
                    last: Instant::now(),
                };
                let result = writer.write_all(from_scorer, |since| add(|s| &mut s.write, since));
                broken.store(result.is_err(), Ordering::SeqCst);
                result
            });
            for looked in from_reader {
                let since = Instant::now();
                let finished = self.score(looked, batch);
                add(|seconds| &mut seconds.score, since);
                if to_writer.send(finished).is_err() {
                    break;
                }
            }
            drop(to_writer);
            writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        let done = written?;
        let Seconds { read, score, write, .. } =
            seconds.into_inner().unwrap_or_else(PoisonError::into_inner);
        summary.seconds = Seconds { read, score, write, ..summary.seconds };
        summary.left = total - done;
        if summary.left > 0
            && let Some(why) = self.stopped()
        {
            summary.stopped = Some(why);
            (self.tell)(Event::Stopped { why, left: summary.left });
        }
        Ok(())
    }

    fn stopped(&self) -> Option<Stopped> {
        if self.options.stop.load(Ordering::SeqCst) {
            return Some(Stopped::Signal);
        }
        let is_late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        is_late.then_some(Stopped::MaxMinutes)
    }

    fn score<'a>(&self, looked: Looked<'a>, batch: usize) -> Finished<'a> {
        let Looked { found, made, what } = looked;
        let what = match what {
            What::Same => End::Same,
            What::Settling => End::Settling,
            What::Failed(cause) => End::Failed(cause),
            What::Ready(ready) => {
                let score = || self.score_scan(&found.id, *ready, batch);
                match catch_unwind(AssertUnwindSafe(score)) {
                    Ok(Ok(done)) => End::Scored(Box::new(done)),
                    Ok(Err(error)) => End::Failed(told::cause(&self.settings.input, &error)),
                    Err(panic) => End::Failed(panicked(panic.as_ref())),
                }
            }
        };
        Finished { found, made, what }
    }

    fn score_scan<'a>(
        &self,
        id: &str,
        ready: Ready<'a>,
        batch: usize,
    ) -> Result<Done<'a>, segment::Error> {
        let since = Instant::now();
        let networks = &self.model.networks;
        let marked =
            segment::segment(self.settings, networks, batch, &ready.slices, &ready.places)?;
        let (files, sop_instance_uids) = ready.scan.instances();
        let scan = ScoredScan {
            series_instance_uid: id.to_owned(),
            info: ready.scan.info().cloned(),
            files,
            sop_instance_uids,
            geometry: *ready.slices.geometry(),
            model: self.model.name.clone(),
            nodules: nodules::nodules(id, &ready.slices, marked),
            warnings: ready.warnings,
        };
        let seconds = since.elapsed().as_secs_f64();
        Ok(Done { scan, slices: ready.slices, seconds, _memory: ready.memory })
    }
}

/// Puts results into the store.
struct Writer<'a> {
    night: &'a Night<'a>,
    ledger: &'a mut Ledger,
    summary: &'a mut Summary,
    /// Days whose rows are not in the table yet.
    stale: BTreeSet<String>,
    last: Instant,
}

impl Writer<'_> {
    /// Writes what comes; returns how many series that were.
    fn write_all(
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
