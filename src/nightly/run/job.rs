//! The nightly job: lists the input and scores what is new.

use super::context::RunContext;
use super::deliveries::deliver;
use super::error::Error;
use super::event::RunEvent;
use super::input_checks::{refuse_nested, refuse_vanished};
use super::prometheus;
use super::reconcile::{claims, reconciled};
use super::summary::{RunSummary, SCHEMA_VERSION, StopReason};
use super::triage::Triage;
use super::work::work;
use crate::nightly::follow_up::drift::{MaskRule, other_rule};
use crate::nightly::identity::{self, Identity};
use crate::nightly::input::candidates::CandidateIndex;
use crate::nightly::input::discover::{ContentsCache, discover};
use crate::nightly::input::reconciliation::{FileCounts, UnplacedRows, UnreadableFile};
use crate::nightly::input::series::DiscoveredSeries;
use crate::nightly::pages::drift_content::write_drift_page;
use crate::nightly::records::day_tables::DayTables;
use crate::nightly::records::ledger::Ledger;
use crate::nightly::records::store_identity;
use crate::nightly::redaction::{self, PrivateFolder};
use crate::nightly::scan::contract;
use crate::nightly::scan::model::LoadedModel;
use crate::nightly::scan::training_range;
use crate::nightly::send::night::Destinations;
use crate::nightly::settings::ScoreSettings;
use nodulus_faults::FaultClass;
use nodulus_faults::retry::WAITS;
use nodulus_store::{Lock, Store, clock, damage, hash, lock};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

pub use super::context::RunOptions;

/// Version of scoring; raised when results change although their inputs stay.
pub const VERSION: u32 = 6;

/// Where the store keeps what the sources of the input hold.
const CACHE: &str = "cache/input.json";

/// Scores what is new in the input, and keeps a summary of the run in the store, which is locked meanwhile.
///
/// Reading, scoring and writing overlap: each has a thread, and one scan waits to be written. The run stops
/// with an error if the input, the candidates or the model cannot be read, or the store cannot be written
/// to. A problem of a single scan is a failure of that scan.
pub fn run(
    settings: &ScoreSettings,
    options: &RunOptions<'_>,
    notify: &(dyn Fn(RunEvent) + Sync),
) -> (RunSummary, Result<(), Error>) {
    let (begun, now) = (Instant::now(), SystemTime::now());
    let mut summary = RunSummary {
        schema_version: SCHEMA_VERSION,
        started: clock::timestamp(now),
        process: lock::this_process(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..RunSummary::default()
    };
    let identity = Identity::new(settings.deidentify.as_ref());
    let settings = &ScoreSettings {
        file_key: identity.as_ref().ok().and_then(Identity::file_key),
        ..settings.clone()
    };
    let (store, result) = match open(settings) {
        Ok((store, lock)) => {
            let result = try_run(settings, &store, identity, options, notify, begun, &mut summary);
            (Some((store, lock)), result)
        }
        Err(error) => (None, Err(error)),
    };
    let store = store.as_ref().map(|(store, _)| store);
    let mut result = result.map_err(|error| error.or_disk_full(settings));
    if let Err(error) = &result {
        let is_disk_full = matches!(error, Error::DiskFull { .. });
        let why = if is_disk_full { StopReason::DiskFull } else { StopReason::Error };
        summary.stopped = Some(why);
        if summary.left > 0 {
            notify(RunEvent::Stopped { why, left: summary.left });
        }
    }
    summary.ended = clock::timestamp(SystemTime::now());
    summary.seconds.total = begun.elapsed().as_secs_f64();
    summary.note(settings, &result);
    // An error of the run matters more than one of its summary, and what is written last tells all that came before it.
    if let Some(Err(error)) = store.map(|store| summary.write(store, now)) {
        result = result.and(Err(Error::from(error).or_disk_full(settings)));
        summary.note(settings, &result);
    }
    // The figures are those of the job that has the store.
    let is_taken = matches!(&result, Err(Error::Store(nodulus_store::Error::Locked { .. })));
    if !is_taken && let Err(error) = prometheus::write(settings, store, &summary) {
        result = result.and(Err(error));
        summary.note(settings, &result);
        // If it cannot be written now, the one that was written before stays.
        let _ = store.map(|store| summary.write(store, now));
    }
    (summary, result)
}

/// Creates or opens the store, and takes it alone. Nothing is written if the settings name a place in the input.
fn open(settings: &ScoreSettings) -> Result<(Store, Lock), Error> {
    refuse_nested(settings)?;
    let store = Store::create(&settings.store)?;
    let lock = store.lock()?;
    Ok((store, lock))
}

fn try_run(
    settings: &ScoreSettings,
    store: &Store,
    identity: Result<Identity, identity::Error>,
    options: &RunOptions<'_>,
    notify: &(dyn Fn(RunEvent) + Sync),
    begun: Instant,
    summary: &mut RunSummary,
) -> Result<(), Error> {
    let now = SystemTime::now();
    let identity = identity?;
    store_identity::check(store, &identity)?;
    let destinations = Destinations::open(settings)?;
    let settled = now.checked_sub(Duration::from_secs(settings.settle_seconds));
    let settled = settled.unwrap_or(SystemTime::UNIX_EPOCH);
    let file_key = settings.file_key.as_ref();
    let mut candidates = CandidateIndex::read(&settings.candidates.0, settled, file_key)?;
    let loading = Instant::now();
    let device = (options.device)().map_err(Error::Device)?;
    let model = LoadedModel::load(&settings.model.0, &device)?;
    summary.model_id.clone_from(&model.name.id);
    summary.seconds.model = loading.elapsed().as_secs_f64();
    let (settings, doubts) = contract::settled(settings, &model)?;
    let settings = &settings;

    let outputs = (!settings.outputs.is_empty()).then(|| settings.output());
    let mut ledger = Ledger::open(store.root(), outputs.as_deref())?;
    ledger.remove_unfinished()?;
    let tables = DayTables::open(store, &model)?;
    tables.write(&ledger, &tables.outdated(&ledger))?;
    let damage = damage_found(&ledger);
    summary.damaged_records = ledger.damaged().count();
    let listing = Instant::now();
    // A damaged cache costs time, but never a wrong result.
    let previous: ContentsCache =
        store.read_record(Path::new(CACHE)).ok().flatten().unwrap_or_default();
    let mut cache = previous.clone();
    let name =
        |id: &str| if redaction::is_path_name(id) { id.to_owned() } else { identity.series(id) };
    let (series, points) = listed(settings.private_input(), &mut cache, &name, options)?;
    (summary.found, summary.left) = (series.len(), series.len());
    refuse_vanished(settings, &series, &candidates, &ledger)?;
    if settings.points_in_input {
        for file in &points {
            candidates.add_points(settings.private_input(), file);
        }
    }
    candidates.place(&series);
    if cache != previous {
        store.write_record(Path::new(CACHE), &cache)?;
    }
    summary.seconds.list = listing.elapsed().as_secs_f64();
    let mut warn = |text: String| {
        summary.warnings.push(text.clone());
        notify(RunEvent::Warning { text });
    };
    damage.into_iter().for_each(&mut warn);
    let renamed = |text: &str| {
        let is_replaced = identity.is_replaced();
        if is_replaced { redaction::with_renamed_uids(text, &name) } else { text.to_owned() }
    };
    for text in &candidates.warnings {
        warn(renamed(text));
    }
    for UnreadableFile { file, cause } in &mut candidates.unreadable {
        *cause = renamed(cause);
        let (file, cause) = (file.clone(), cause.clone());
        notify(RunEvent::UnreadableCandidates { file, cause });
    }
    for UnplacedRows { file, n_rows, cause } in &mut candidates.unplaced {
        *cause = renamed(cause);
        let (file, n_rows, cause) = (file.clone(), *n_rows, cause.clone());
        notify(RunEvent::UnplacedCandidates { file, n_rows, cause });
    }
    profile_doubt(&model, settings).into_iter().for_each(warn);
    let recipe = recipe(settings, &model, &identity);
    let mut triage = Triage {
        settings,
        retry_failed: options.retry_failed,
        candidates: &candidates,
        now,
        summary,
        notify,
    };
    let names: BTreeSet<String> = series.iter().map(|series| series.name.clone()).collect();
    let claims = claims(&series, &candidates);
    let pending = triage.sort(series, &recipe, &model.name.id, &mut ledger)?;
    notify(RunEvent::Listed { found: summary.found, to_do: pending.len() });

    let deadline = options.max_time.map(|time| begun + time);
    let tables = &tables;
    let context = RunContext {
        settings,
        identity,
        tables,
        options,
        model: &model,
        doubts,
        seen: Mutex::default(),
        deadline,
        notify,
    };
    let result = work(&context, &pending, &mut ledger, summary);
    summary.candidates = reconciled(&claims, &candidates, &ledger);
    let rows = |file: Option<String>, counts| notify(RunEvent::Candidates { file, counts });
    for FileCounts { file, counts } in &summary.candidates.files {
        rows(Some(file.clone()), *counts);
    }
    rows(None, summary.candidates.in_all);
    add_ledger(&context, &ledger, &names, summary);
    write_drift_page(tables, &ledger, context.identity.is_replaced())?;
    result.and_then(|()| deliver(&context, destinations, &mut ledger, summary))
}

/// Why the model's profile of its training cohort does not serve, or not in all.
fn profile_doubt(model: &LoadedModel, settings: &ScoreSettings) -> Option<String> {
    let Some(profile) = &model.profile else {
        return Some(training_range::without_profile(&model.name.id));
    };
    let rule = MaskRule::of_settings(settings);
    let reason = other_rule(&profile.predicted, Some(&rule))?;
    Some(format!("no drift of volume and mean HU: {reason}"))
}

/// What of the store was damaged, each in a sentence.
fn damage_found(ledger: &Ledger) -> Vec<String> {
    let of_records = ledger.damaged().map(|damage| {
        format!("{damage}: if its series is in the input, it is scored again; its earlier results are lost, and new objects neither replace nor reject theirs")
    });
    damage::take_noted().iter().map(ToString::to_string).chain(of_records).collect()
}

/// Adds to the summary what the records of series say after the run.
fn add_ledger(
    context: &RunContext<'_>,
    ledger: &Ledger,
    names: &BTreeSet<String>,
    summary: &mut RunSummary,
) {
    let never =
        ledger.entries().filter(|(id, entry)| names.contains(*id) && entry.is_never_scored());
    summary.never_scored = never.count();
    summary.seen_by_model = context.seen.lock().map_or(0, |seen| seen.len());
    summary.notices = notices(context, summary);
    for text in summary.notices.clone() {
        summary.warnings.push(text.clone());
        (context.notify)(RunEvent::Warning { text });
    }
}

/// SHA-256 of what results are made of besides scans and candidates.
fn recipe(settings: &ScoreSettings, model: &LoadedModel, identity: &Identity) -> String {
    // Who results name is part of them. The key itself is not written anywhere.
    let who = if identity.is_replaced() { "recipe with moved days" } else { "recipe" };
    let parts = [
        model.sha256.clone(),
        settings.of_results().to_string(),
        identity.id(who) + &identity.fingerprint(),
        VERSION.to_string(),
    ];
    hash::sha256_parts(parts.iter().map(String::as_str))
}

/// What the reader of a run's summary has to know, each in a sentence.
fn notices(context: &RunContext<'_>, summary: &RunSummary) -> Vec<String> {
    let mut notices: Vec<String> =
        context.doubts.iter().map(|doubt| format!("every scan: {doubt}")).collect();
    let n = summary.seen_by_model;
    if n > 0 && context.settings.allow_training_patients {
        notices.push(format!(
            "{n} series are of patients that the model was trained or validated on: their numbers say nothing about new patients"
        ));
    } else if n > 0 {
        notices.push(format!(
            "{n} series are of patients that the model was trained or validated on and are not scored; \
             `--allow-training-patients` (`score.allow_training_patients = true`) scores them"
        ));
    }
    let named = summary.exclusions.iter().filter(|series| series.n_candidates > 0);
    let (n_named, n_candidates) =
        named.fold((0, 0), |(n, all), series| (n + 1, all + series.n_candidates));
    if n_named > 0 {
        notices.push(format!(
            "{n_named} series with {n_candidates} candidates are excluded and not scored; `score_exclusions` says why, and \
             `score.inclusion` has the rules for reformats and other scans"
        ));
    }
    let RunSummary { empty_masks, nodules, .. } = *summary;
    if 2 * empty_masks > nodules {
        notices.push(format!(
            "the model marks no voxel for {empty_masks} of {nodules} nodules; check `score.region.window`, and whether the model \
             suits the scans"
        ));
    }
    notices
}

/// Lists the input, several times where the machine is at fault that something cannot be read.
fn listed(
    input: PrivateFolder<'_>,
    cache: &mut ContentsCache,
    name: &dyn Fn(&str) -> String,
    options: &RunOptions<'_>,
) -> Result<(Vec<DiscoveredSeries>, Vec<PathBuf>), Error> {
    for wait in WAITS {
        match discover(input, cache, name) {
            Ok((series, points)) if series.iter().all(|series| series.fault.is_none()) => {
                return Ok((series, points));
            }
            Err(error) if !FaultClass::of(&error).is_passing() => return Err(Error::Input(error)),
            Ok(_) | Err(_) if options.stop.load(Ordering::SeqCst) => break,
            Ok(_) | Err(_) => std::thread::sleep(wait),
        }
    }
    discover(input, cache, name).map_err(Error::Input)
}
