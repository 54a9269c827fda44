//! A run of the nightly job: what there is to do, and doing it.

use super::budget::{Budget, Taken};
use super::candidates::{self, Candidates};
use super::discover::{Found, Known, discover};
use super::event::Event;
use super::identity::Identity;
use super::ledger::Ledger;
use super::model::{self, Model};
use super::read::{Looked, Ready, What, Work, panicked, read};
use super::record::Made;
use super::scan::OpenScan;
use super::scored::ScoredScan;
use super::segment::Network;
use super::settings::Settings;
use super::summary::{Seconds, Stopped, Summary};
use super::triage::Triage;
use super::view::Views;
use super::write::Writer;
use super::{identity, nodules, segment, told, view, warnings};
use crate::tables::store::{self, Store};
use crate::tables::{clock, hash, lock, manifest};
use nodulus_formats::volume::LoadedSlices;
use nodulus_imaging::lungs::LungBox;
use nodulus_metrics::HuCounts;
use nodulus_nets::Device;
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
    /// The key of pseudonyms cannot be used.
    #[error(transparent)]
    Identity(#[from] identity::Error),
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
    let kept = summary.write(store, now);
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
    let identity = Identity::new(settings.deidentify.as_ref())?;
    let mut candidates = Candidates::read(&settings.candidates.0)?;
    let loading = Instant::now();
    let model = Model::load(&settings.model.0, &options.device)?;
    summary.model_id.clone_from(&model.name.id);
    summary.seconds.model = loading.elapsed().as_secs_f64();

    let mut ledger = Ledger::open(store.root())?;
    ledger.tidy()?;
    let views = Views::open(store, &model)?;
    let lagging = views.lagging(&ledger);
    views.write(&ledger, &lagging)?;
    let listing = Instant::now();
    // A damaged record of what was read costs time, never a wrong answer.
    let before: Known = store.read_record(Path::new(KNOWN)).ok().flatten().unwrap_or_default();
    let mut known = before.clone();
    let name = |id: &str| if told::is_name(id) { id.to_owned() } else { identity.uid(id) };
    let (found, points) = discover(&settings.input, &mut known, &name).map_err(Error::Input)?;
    if settings.points_in_input {
        for file in &points {
            candidates.add_points(&settings.input, file);
        }
    }
    if known != before {
        store.write_record(Path::new(KNOWN), &known)?;
    }
    summary.seconds.list = listing.elapsed().as_secs_f64();
    summary.found = found.len();
    for text in &candidates.unreadable {
        let text = if identity.is_replaced() { told::renamed(text, &name) } else { text.clone() };
        summary.warnings.push(text.clone());
        tell(Event::Warning { text });
    }
    if model.profile.is_none() {
        let text = warnings::without_profile(&model.name.id);
        summary.warnings.push(text.clone());
        tell(Event::Warning { text });
    }
    // Whom results name is part of them; the key itself is not told.
    let parts = [
        model.sha256.clone(),
        settings.of_results().to_string(),
        identity.id("recipe") + &identity.uid("1.2.3"),
        VERSION.to_string(),
    ];
    let recipe = hash::sha256_parts(parts.iter().map(String::as_str));
    let mut triage = Triage {
        settings,
        retry_failed: options.retry_failed,
        candidates: &candidates,
        now,
        summary,
        tell,
    };
    let work = triage.sort(found, &recipe, &model.name.id, &mut ledger)?;
    tell(Event::Listed { found: summary.found, to_do: work.len() });

    let deadline = options.max_time.map(|time| begun + time);
    let night = Night { settings, identity, views: &views, options, model: &model, deadline, tell };
    let result = night.work(work, &mut ledger, summary);
    views.page()?;
    result
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

/// A scan that was scored, or what became of a series else.
pub(super) struct Finished<'a> {
    pub(super) found: Found,
    pub(super) made: Made,
    /// When it was scored, where files of that result are asked for that it does not have.
    pub(super) again: Option<String>,
    pub(super) what: End<'a>,
}

pub(super) enum End<'a> {
    Scored(Box<Done<'a>>),
    Same,
    Settling,
    Failed(String),
}

/// A scored scan, with what of it is in memory.
pub(super) struct Done<'a> {
    pub(super) scan: ScoredScan,
    pub(super) slices: LoadedSlices<i16>,
    pub(super) lungs: Option<LungBox>,
    pub(super) seconds: f64,
    /// Keeps the files of an archive.
    _source: OpenScan,
    _memory: Taken<'a>,
}

/// The work of a run.
pub(super) struct Night<'a> {
    pub(super) settings: &'a Settings,
    pub(super) identity: Identity,
    pub(super) views: &'a Views<'a>,
    options: &'a Options<'a>,
    pub(super) model: &'a Model,
    deadline: Option<Instant>,
    pub(super) tell: &'a (dyn Fn(Event) + Sync),
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
                let mut writer = Writer::new(self, ledger, summary);
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
        let Looked { found, made, again, what } = looked;
        let what = match what {
            What::Same => End::Same,
            What::Settling => End::Settling,
            What::Failed(cause) => End::Failed(cause),
            What::Ready(ready) => {
                let score = || self.score_scan(&found.id, *ready, batch, again.clone());
                match catch_unwind(AssertUnwindSafe(score)) {
                    Ok(Ok(done)) => End::Scored(Box::new(done)),
                    Ok(Err(error)) => End::Failed(told::cause(&self.settings.input, &error)),
                    Err(panic) => End::Failed(panicked(panic.as_ref())),
                }
            }
        };
        Finished { found, made, again, what }
    }

    fn score_scan<'a>(
        &self,
        id: &str,
        ready: Ready<'a>,
        batch: usize,
        again: Option<String>,
    ) -> Result<Done<'a>, segment::Error> {
        let since = Instant::now();
        let networks = &self.model.networks;
        let network = Network {
            side: networks.image_size(),
            batch,
            predict: &|images| networks.predict(images, self.settings.flips),
        };
        let Ready { scan: source, slices, places, lungs, mut warnings, memory } = ready;
        let (marked, pixels) = segment::segment(self.settings, &network, &slices, &places)?;
        warnings.extend(self.outside(&source, &pixels));
        let (files, sop_instance_uids) = source.instances();
        let scan = ScoredScan {
            series_instance_uid: id.to_owned(),
            info: source.info().cloned(),
            files,
            sop_instance_uids,
            geometry: *slices.geometry(),
            model: self.model.name.clone(),
            // The same scan gives the same files.
            scored_at: again.unwrap_or_else(|| clock::timestamp(SystemTime::now())),
            nodules: nodules::nodules(id, &slices, marked),
            warnings,
        };
        let seconds = since.elapsed().as_secs_f64();
        Ok(Done { scan, slices, lungs, seconds, _source: source, _memory: memory })
    }

    /// Where the scan is outside what the model was trained on.
    fn outside(&self, scan: &OpenScan, regions: &HuCounts) -> Vec<String> {
        let Some(profile) = &self.model.profile else { return Vec::new() };
        let info = scan.info();
        let found = warnings::Found {
            spacing_mm: scan.geometry().spacing().ijk(),
            slice_thickness_mm: info.and_then(|info| info.slice_thickness_mm),
            kernel: info.and_then(|info| info.kernel.as_deref()),
            regions,
        };
        warnings::warnings(profile, &found)
    }
}
