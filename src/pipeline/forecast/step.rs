//! Foresees one step of a stage: which shards are to be made, given what the steps before it would make.

use super::reasons::reasons;
use super::training;
use super::work::{Fate, ShardCounts, Work};
use crate::pipeline::config::Config;
use crate::pipeline::differences;
use crate::pipeline::outside_weights::outside_weights;
use crate::pipeline::patients::Patients;
use crate::pipeline::plan::{self, Step};
use crate::pipeline::runner::{self, Error, Options};
use crate::pipeline::sources::{Change, Survey};
use crate::stages::ingest::{EarlierRows, SourceCase, Sources};
use crate::stages::{Places, Stage, Task, balance};
use crate::tables::{Output, Table};
use nodulus_nets::Device;
use nodulus_store::{Job, JobSpec, OutputSpec, Store, Version};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a run would do in a step.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(super) struct StepForecast {
    pub(super) counts: ShardCounts,
    /// Positions of the shards that are made at most.
    pub(super) to_make: Vec<usize>,
    /// Number of cases that ingest reads of each of these shards.
    pub(super) to_read: BTreeMap<usize, usize>,
    /// Whether the current outputs are those that would be made.
    pub(super) is_current: bool,
    pub(super) has_outputs: bool,
    pub(super) is_kept: bool,
    /// Whether an interrupted run left a state to resume from.
    pub(super) is_begun: bool,
    /// How the current outputs differ from what would be made.
    pub(super) reasons: Vec<String>,
    /// Bytes that are written at most; unknown before the first run.
    pub(super) bytes: Option<u64>,
    /// Bytes of working files at most, which are removed when the step is done.
    pub(super) working_bytes: u64,
    /// The stages that have to make an input first.
    pub(super) waits_for: Vec<Stage>,
}

/// What is foreseen of the steps so far.
pub(super) struct Foresight<'a> {
    config: &'a Config,
    store: &'a Store,
    options: &'a Options<'a>,
    pub(super) listed: Option<Survey>,
    /// Whether some source files are still to be written.
    pub(super) is_estimate: bool,
    /// Whether stages are asked if the settings allow what their inputs are.
    is_checked: bool,
    made: Vec<Version>,
    fates: BTreeMap<&'static str, Vec<Fate>>,
}

/// What is known of a job before its inputs are made.
#[derive(Clone, Copy)]
struct Known<'a> {
    /// The decisions over the whole cohort that shards depend on are made.
    is_decided: bool,
    /// The work differs from that of the current version, apart from its inputs.
    is_new_work: bool,
    /// The shards that are still to be made, as far as the store tells.
    pending: &'a BTreeSet<usize>,
    /// The committed shards that are made again.
    again: &'a BTreeSet<usize>,
}

impl<'a> Foresight<'a> {
    pub(super) fn new(
        config: &'a Config,
        store: &'a Store,
        options: &'a Options<'a>,
        is_checked: bool,
    ) -> Self {
        let (made, fates) = (Vec::new(), BTreeMap::new());
        Self { config, store, options, listed: None, is_estimate: false, is_checked, made, fates }
    }

    /// Foresees the next step.
    pub(super) fn step(&mut self, stage: Stage, step: Step) -> Result<StepForecast, Error> {
        let Self { config, store, options, .. } = *self;
        let inputs = runner::inputs(config, store, stage, step, options.chosen, &self.made)?;
        let fates = self.fates_of(&inputs);
        let is_incomplete = fates.values().any(|fate| *fate != Fate::Stays);
        let (spec, is_decided) = self.spec(stage, step, &inputs, is_incomplete)?;
        let before = runner::current(store, stage, step)?;
        let made = before.first().and_then(|version| version.as_ref().map(|v| &v.manifest));
        let contents =
            before.first().and_then(Option::as_ref).filter(|_| stage.spec().contents.is_some());
        // A shard that is gone is made again, for that reason alone.
        let contents = contents.and_then(|version| Some(version.shard_record(0).ok()?.inputs));
        let reasons =
            made.map_or_else(Vec::new, |made| reasons(made, &spec, &fates, contents.as_deref()));
        let job = store.job(spec);
        let is_current = is_decided
            && !is_incomplete
            && before.iter().flatten().count() == before.len()
            && before.iter().flatten().all(|version| version.manifest.key == job.key());
        let makers = inputs
            .iter()
            .filter(|v| fates.get(v.output().name()).is_some_and(|f| *f != Fate::Stays));
        let waits_for = makers
            .filter_map(|version| Output::from_name(version.output().name()))
            .map(runner::maker)
            .filter(|maker| *maker != stage)
            .collect();
        let mut found = StepForecast {
            counts: ShardCounts::default(),
            to_make: Vec::new(),
            to_read: BTreeMap::new(),
            is_current,
            has_outputs: made.is_some(),
            is_kept: false,
            is_begun: false,
            reasons,
            bytes: Some(0),
            working_bytes: 0,
            waits_for,
        };
        if options.keep.contains(&stage) && !is_current {
            let kept = runner::kept(store, stage, before)?;
            found.counts.n_shards = kept.first().map_or(0, |version| version.manifest.n_shards());
            found.is_kept = true;
            for mut version in kept {
                version.manifest.kept_beside = Some(job.spec().inputs.clone());
                self.add(version, Vec::new());
            }
            return Ok(found);
        }
        let is_new_work =
            made.is_some_and(|made| !differences::changed_work(made, job.spec()).is_empty());
        let standing = job.standing()?;
        let again: BTreeSet<usize> =
            runner::again(&standing, stage, self.options).into_iter().collect();
        let pending: BTreeSet<usize> = standing.pending.into_iter().collect();
        let known = Known { is_decided, is_new_work, pending: &pending, again: &again };
        let work = self.work((stage, step), &job, &inputs, known)?;
        for (n, work) in work.iter().enumerate() {
            found.counts.n_to_make += usize::from(work.is_certain());
            if *work != Work::None {
                found.to_make.push(n);
            }
        }
        if stage == Stage::Ingest {
            found.to_read = self.to_read(&job, &found.to_make, &again)?;
        }
        found.counts.n_shards = job.n_shards();
        found.counts.n_to_make_at_most = found.to_make.len();
        if self.is_estimate && step.is_sharded(stage) {
            found.counts.is_estimate = true;
            found.counts.n_to_make = found.counts.n_to_make.min(1);
        }
        found.is_begun = found.to_make.iter().any(|n| job.is_begun(*n));
        found.bytes = bytes(&before, found.to_make.len());
        if stage == Stage::Train && !found.to_make.is_empty() {
            found.working_bytes = training::working_bytes(&before);
        }
        if found.reasons.is_empty() && !found.to_make.is_empty() {
            found.reasons.push(self.reason_without_difference(stage, &work));
        }
        for version in job.foreseen()? {
            let is_volatile = match version.output() {
                OutputSpec::Table(table) => !table.volatile_columns.is_empty(),
                OutputSpec::Files(_) => false,
            };
            let fates = work.iter().map(|work| work.fate(is_volatile && is_new_work)).collect();
            self.add(version, fates);
        }
        Ok(found)
    }

    /// Number of cases that ingest reads of each shard that it makes.
    fn to_read(
        &self,
        job: &Job,
        to_make: &[usize],
        again: &BTreeSet<usize>,
    ) -> Result<BTreeMap<usize, usize>, Error> {
        let Some(sources) = self.sources().filter(|_| !to_make.is_empty()) else {
            return Ok(BTreeMap::new());
        };
        let earlier = EarlierRows::of(&self.config.ingest, self.store, job)?;
        let n_read = |shard: &usize| {
            let is_taken_over =
                |case: &&SourceCase| !again.contains(shard) && earlier.has(job, *shard, case);
            let cases = || sources.shards.get(*shard).into_iter().flatten();
            (*shard, cases().count() - cases().filter(is_taken_over).count())
        };
        Ok(to_make.iter().map(n_read).collect())
    }

    /// The version that an output will have, where its rows exist already.
    ///
    /// # Errors
    ///
    /// Fails if the store's records cannot be read.
    pub(super) fn known(&self, output: Output) -> Result<Option<Version>, Error> {
        let of_output = |version: &&Version| version.output() == output.into();
        match self.made.iter().rev().find(of_output) {
            None => Ok(self.store.current(output)?),
            Some(version) => {
                let fates = self.fates.get(output.name()).into_iter().flatten();
                Ok(fates.into_iter().all(|fate| *fate == Fate::Stays).then(|| version.clone()))
            }
        }
    }

    /// The patients of the run, each in the split that it will have. Where a cohort only grows and nobody moves, those of
    /// earlier runs are known before the new ones; `None` where nobody is.
    ///
    /// # Errors
    ///
    /// Fails if the patients cannot be split, or a table cannot be read.
    pub(super) fn patients(&self) -> Result<Option<Patients>, Error> {
        let [scans_table, rois_table, samples_table] =
            [Table::Scans, Table::Rois, Table::Samples].map(Output::Table);
        let scans = self.known(scans_table)?;
        if !self.options.stages.contains(&Stage::Balance) {
            let tables = scans.zip(self.known(samples_table)?);
            return tables.map(|(scans, samples)| Patients::of(&scans, &samples)).transpose();
        }
        let config = &self.config.balance;
        let all = scans.zip(self.known(rois_table)?);
        let is_all = all.is_some();
        let tables = match all {
            None if self.is_growth() && balance::follows_from_ids(config) => {
                self.store.current(scans_table)?.zip(self.store.current(rois_table)?)
            }
            all => all,
        };
        let Some((scans, rois)) = tables else { return Ok(None) };
        let inputs = [scans.clone(), rois];
        let samples = self.with_task(&inputs, None, false, &|task| balance::foreseen(config, task));
        let stage = Stage::Balance;
        let samples = samples.map_err(|error| Error::Stage { stage, source: error.into() })?;
        Ok(Some(Patients { scans, samples, is_all }))
    }

    /// Whether the sources differ from those of earlier runs by new cases alone.
    fn is_growth(&self) -> bool {
        self.listed.as_ref().is_some_and(|listed| listed.is_growth)
    }

    /// Works with a task of a plan.
    fn with_task<T>(
        &self,
        inputs: &[Version],
        weights: Option<&Path>,
        is_incomplete: bool,
        work: &dyn Fn(&Task<'_>) -> T,
    ) -> T {
        let none = Sources::default();
        let roots = runner::roots(self.config);
        work(&Task {
            store: self.store,
            inputs,
            sources: self.sources().unwrap_or(&none),
            places: &|| Ok(Places::default()),
            roots: &roots,
            tolerances: self.config.ingest.reading(),
            weights,
            device: &Device::Cpu,
            max_memory: self.options.max_memory,
            plans_only: true,
            is_incomplete,
            is_growth: self.is_growth(),
            progress: &|_| {},
        })
    }

    /// The sources; none where ingest does not run.
    pub(super) fn sources(&self) -> Option<&Sources> {
        self.listed.as_ref().map(|listed| &listed.sources)
    }

    fn add(&mut self, version: Version, fates: Vec<Fate>) {
        self.fates.insert(version.output().name(), fates);
        self.made.push(version);
    }

    /// The fate of each input as a whole, by its name.
    fn fates_of(&self, inputs: &[Version]) -> BTreeMap<&'static str, Fate> {
        let fate = |name: &str| self.fates.get(name).and_then(|fates| fates.iter().max().copied());
        let names = inputs.iter().map(|version| version.output().name());
        names.map(|name| (name, fate(name).unwrap_or(Fate::Stays))).collect()
    }

    /// What the step's job would be, and whether the decisions in it are known.
    fn spec(
        &self,
        stage: Stage,
        step: Step,
        inputs: &[Version],
        is_incomplete: bool,
    ) -> Result<(JobSpec, bool), Error> {
        let config = self.config;
        let weights = outside_weights(config, stage)?;
        let (path, weights) = weights.unzip();
        let spec = self.with_task(inputs, path.as_deref(), is_incomplete, &|task| {
            if self.is_checked && !is_incomplete {
                runner::check(config, stage, step, task)?;
            }
            runner::job_spec(config, stage, step, task, weights.clone(), None)
        });
        if let Some(spec) = spec? {
            return Ok((spec, true));
        }
        let settings = |source| Error::Settings { stage, source };
        let spec = plan::job(config, stage, step, inputs, weights, None, None).map_err(settings)?;
        Ok((runner::with_outside_files(config, stage, step, spec)?, false))
    }

    /// What is to be done for each shard.
    fn work(
        &self,
        (stage, step): (Stage, Step),
        job: &Job,
        inputs: &[Version],
        Known { is_decided, is_new_work, pending, again }: Known<'_>,
    ) -> Result<Vec<Work>, Error> {
        let is_first = !job.has_shards()?;
        let work = |n: usize| {
            let unknown = match self.fate_of_inputs((stage, step), n, inputs) {
                // The rows that the stage reads may be none of those that are new.
                Fate::Changes if stage.spec().contents.is_some() && !is_new_work => true,
                Fate::Changes => return Work::New,
                Fate::MayChange => true,
                Fate::Stays => !is_decided,
            };
            match (unknown, is_first) {
                (true, true) => Work::New,
                (true, false) => Work::Perhaps,
                (false, _) if pending.contains(&n) => self.pending_work(stage, n),
                (false, _) if again.contains(&n) => Work::Again,
                (false, _) => Work::None,
            }
        };
        Ok((0..job.n_shards()).map(work).collect())
    }

    /// The fate of what a shard is made from: the same shard of each input, or every shard for a reduction.
    fn fate_of_inputs(
        &self,
        (stage, step): (Stage, Step),
        shard: usize,
        inputs: &[Version],
    ) -> Fate {
        let is_sharded = |version: &Version| {
            let output = Output::from_name(version.output().name());
            step.is_sharded(stage) && output.is_some_and(plan::is_sharded)
        };
        let fate = |version: &Version| {
            let fates = self.fates.get(version.output().name())?;
            if is_sharded(version) {
                fates.get(shard).copied()
            } else {
                fates.iter().max().copied()
            }
        };
        inputs.iter().filter_map(fate).max().unwrap_or(Fate::Stays)
    }

    /// The work on a shard that no run has made, of inputs that are known.
    fn pending_work(&self, stage: Stage, shard: usize) -> Work {
        let Some(listed) = self.listed.as_ref().filter(|_| stage == Stage::Ingest) else {
            return Work::Pending;
        };
        let mut cases = listed.sources.shards.get(shard).into_iter().flatten();
        // A scan adds a row. Annotations alone may add none, and neither a changed nor a removed case need change any.
        let is_new_scan = |case: &SourceCase| {
            let id = (case.cohort.clone(), case.case.case_id.clone());
            case.case.has_scan && listed.changes.get(&id) == Some(&Change::New)
        };
        if cases.any(is_new_scan) { Work::New } else { Work::Modified }
    }

    fn reason_without_difference(&self, stage: Stage, work: &[Work]) -> String {
        if self.options.force.contains(&stage) {
            format!("made again, because of `--force {stage}`")
        } else if work.contains(&Work::Again) {
            "failed cases are tried again".to_owned()
        } else {
            "some shards are missing".to_owned()
        }
    }
}

/// Bytes of a number of shards of these outputs, by the mean of the shards there are.
fn bytes(current: &[Option<Version>], n_shards: usize) -> Option<u64> {
    if n_shards == 0 {
        return Some(0);
    }
    let of_output = |version: &Option<Version>| {
        let manifest = &version.as_ref()?.manifest;
        let mean = manifest.bytes() as f64 / manifest.n_shards() as f64;
        (manifest.n_shards() > 0).then(|| (mean * n_shards as f64).ceil() as u64)
    };
    current.iter().map(of_output).sum()
}
