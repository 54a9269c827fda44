//! A plan that several machines work by: the settings, the cases and the shards as they were when it was made.
//!
//! The plan is one file; beside the store's tables, `plans/KEY` has what it is too small for: the pipeline file, the cases of
//! each shard, which versions the stages committed, and why a shard could not be made.

mod error;
mod progress;
mod shard_list;
mod slurm;
mod work;

use crate::pipeline::config::Config;
use crate::pipeline::listed_case::geometry_sha256;
use crate::pipeline::plan::{self, ListedShard, Step};
use crate::pipeline::sources;
use crate::stages::Stage;
use crate::stages::ingest::{SourceCase, Sources, series_not_found};
use crate::tables::Output;
pub use error::Error;
use nodulus_formats::cohort;
use nodulus_store::{JobSpec, Store, durable, hash, record};
pub use progress::{Cause, Causes};
use serde::{Deserialize, Serialize};
pub use shard_list::ShardList;
pub use slurm::{ArrayOptions, Script, Submission};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
pub use work::{Resources, StageState};

/// Folder of the store with what belongs to plans.
const FOLDER: &str = "plans";

/// A frozen plan, as its file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrozenPlan {
    /// Hash of everything below.
    pub key: String,
    /// What is frozen.
    #[serde(flatten)]
    pub frozen: Frozen,
}

/// What a plan freezes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Frozen {
    /// Version of the program.
    pub tool_version: String,
    /// Versions of the stages' code and of the tables' columns, which development raises under one version of the program.
    pub code: BTreeMap<String, u32>,
    /// The folder that relative paths of the settings start from.
    pub directory: PathBuf,
    /// The store.
    pub store: PathBuf,
    /// SHA-256 of the pipeline file.
    pub pipeline_sha256: String,
    /// Settings of the command line, `key=value`.
    pub sets: Vec<String>,
    /// SHA-256 over `ingest.series_list`, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series_list_sha256: Option<String>,
    /// SHA-256 over each cohort's table of scan geometry, where it has one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scan_geometries: BTreeMap<String, String>,
    /// The stages, in order.
    pub stages: Vec<FrozenStage>,
    /// The shards that ingest cuts, in order; every sharded stage has the same.
    pub shards: Vec<FrozenShard>,
}

/// A stage of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenStage {
    /// Its name.
    pub stage: String,
    /// Number of its shards.
    pub n_shards: usize,
}

/// A shard of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenShard {
    /// Its cohort; empty for the shard of the series that no cohort has.
    pub cohort: String,
    /// Number of its cases.
    pub n_cases: usize,
    /// Bytes of its scans in memory, estimated.
    pub bytes: u64,
    /// SHA-256 over the content of its cases.
    pub content_sha256: String,
    /// SHA-256 of the list of its cases and their files.
    pub list_sha256: String,
}

/// The cases of one shard.
#[derive(Serialize, Deserialize)]
struct CasesFile<'a> {
    cases: Cow<'a, [SourceCase]>,
}

impl FrozenPlan {
    /// Lists the sources and writes a plan of some stages; `progress` gets the cases that are hashed.
    ///
    /// # Errors
    ///
    /// Fails if a source cannot be listed or read, or the plan cannot be written.
    pub fn make(
        request: &Request<'_>,
        config: &Config,
        store: &Store,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self, Error> {
        let listed = sources::list(&config.ingest, store, progress)?;
        if let Some(fault) = listed.faults().next() {
            let cause = format!("`{}`: {}", fault.case_id, fault.cause);
            return Err(sources::Error::Fault { cause }.into());
        }
        let pipeline = fs_err::read(request.pipeline)?;
        let mut shards: Vec<FrozenShard> =
            listed.shards.iter().map(|cases| frozen_shard(cases)).collect::<Result<_, _>>()?;
        let not_found = series_not_found(&config.ingest, &listed);
        if !not_found.is_empty() {
            shards.push(FrozenShard {
                cohort: String::new(),
                n_cases: 0,
                bytes: 0,
                content_sha256: hash::sha256_parts(not_found),
                list_sha256: hash::sha256(&list_bytes(&[])?),
            });
        }
        let n_shards = |stage: Stage| if stage.spec().is_sharded { shards.len() } else { 1 };
        let stages = request.stages.iter().map(|stage| FrozenStage {
            stage: stage.name().to_owned(),
            n_shards: n_shards(*stage),
        });
        let frozen = Frozen {
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            code: code_versions(),
            directory: std::env::current_dir()?,
            store: config.store.clone(),
            pipeline_sha256: hash::sha256(&pipeline),
            sets: request.sets.to_vec(),
            series_list_sha256: plan::series_list_sha256(&listed),
            scan_geometries: scan_geometries(config)?,
            stages: stages.collect(),
            shards,
        };
        let plan = Self { key: hash::key(&frozen)?, frozen };
        let folder = plan.folder(store);
        fs_err::create_dir_all(folder.join("shards"))?;
        durable::write(&folder.join("pipeline.toml"), &pipeline)?;
        for (n, cases) in listed.shards.iter().enumerate() {
            durable::write(&list_path(&folder, n), &list_bytes(cases)?)?;
        }
        record::write(request.out, &plan)?;
        Ok(plan)
    }

    /// Reads a plan.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, was changed, or is of another version of the program.
    fn read(path: &Path) -> Result<Self, Error> {
        let path_of = || path.to_owned();
        let plan: Self = record::read(path)?.ok_or_else(|| Error::Missing { path: path_of() })?;
        let of_content = hash::key(&plan.frozen)?;
        if plan.key != of_content {
            return Err(Error::Changed { path: path_of(), key: plan.key, of_content });
        }
        let own = env!("CARGO_PKG_VERSION");
        if plan.frozen.tool_version != own || plan.frozen.code != code_versions() {
            return Err(Error::OtherProgram { path: path_of(), version: plan.frozen.tool_version });
        }
        Ok(plan)
    }

    /// Reads a plan, with its store and settings. The program goes to the folder that the plan was made in, from which
    /// its relative paths start.
    ///
    /// # Errors
    ///
    /// Fails if the plan cannot be read, was changed, or is another program's, that folder or the store is not on this machine, or the store's copy of the settings was
    /// changed.
    pub fn open(path: &Path) -> Result<(Self, Store, Config), Error> {
        let plan = Self::read(path)?;
        let directory = &plan.frozen.directory;
        std::env::set_current_dir(directory)
            .map_err(|source| Error::Directory { directory: directory.clone(), source })?;
        let store = Store::open(&plan.frozen.store)?;
        let config = plan.config(&store)?;
        Ok((plan, store, config))
    }

    /// The settings.
    ///
    /// # Errors
    ///
    /// Fails if the store lacks the plan's pipeline file, or that was changed.
    fn config(&self, store: &Store) -> Result<Config, Error> {
        let path = self.folder(store).join("pipeline.toml");
        self.read_file(&path, &self.frozen.pipeline_sha256)?;
        Ok(Config::read(&path, &self.frozen.sets, Some(&self.frozen.store))?)
    }

    /// A stage of the plan with its number of shards.
    ///
    /// # Errors
    ///
    /// Fails if the plan does not have it.
    pub fn stage(&self, stage: Stage) -> Result<&FrozenStage, Error> {
        let mut stages = self.frozen.stages.iter();
        stages.find(|frozen| frozen.stage == stage.name()).ok_or_else(|| Error::NoSuchStage {
            stage,
            stages: self.frozen.stages.iter().map(|frozen| frozen.stage.clone()).collect(),
        })
    }

    /// The sources as one shard sees them: the other shards are empty.
    ///
    /// # Errors
    ///
    /// Fails if the store lacks the list of the shard's cases, or that was changed.
    pub fn sources_of(
        &self,
        store: &Store,
        config: &Config,
        shard: usize,
    ) -> Result<Sources, Error> {
        let folder = self.folder(store);
        let of_cohorts = self.frozen.shards.iter().filter(|shard| !shard.cohort.is_empty());
        let mut shards = vec![Vec::new(); of_cohorts.count()];
        // The shard of the series that no cohort has looks at all cases.
        let read = if shard < shards.len() { shard..shard + 1 } else { 0..shards.len() };
        for n in read {
            let path = list_path(&folder, n);
            let bytes = self.read_file(&path, &self.frozen.shards[n].list_sha256)?;
            let file: CasesFile<'_> = serde_json::from_slice(&bytes)?;
            shards[n] = file.cases.into_owned();
        }
        let series_list = sources::series_list(&config.ingest)?;
        let sources = Sources { series_list, shards };
        if plan::series_list_sha256(&sources) != self.frozen.series_list_sha256 {
            return Err(Error::TableChanged { setting: "ingest.series_list" });
        }
        if scan_geometries(config)? != self.frozen.scan_geometries {
            return Err(Error::TableChanged { setting: "scan_geometry" });
        }
        Ok(sources)
    }

    /// The job of ingest; only the shards of `sources` have their cases, which the record of a shard lists.
    fn ingest_job(&self, config: &Config, sources: &Sources) -> Result<JobSpec, Error> {
        let listed = |(n, shard): (usize, &FrozenShard)| ListedShard {
            cohort: shard.cohort.clone(),
            content_sha256: shard.content_sha256.clone(),
            cases: sources.shards.get(n).map_or(&[][..], Vec::as_slice),
        };
        let listed: Vec<ListedShard<'_>> =
            self.frozen.shards.iter().enumerate().map(listed).collect();
        Ok(plan::ingest_job_of(config, self.frozen.series_list_sha256.clone(), &listed)?)
    }

    /// The plan's folder in the store.
    pub fn folder(&self, store: &Store) -> PathBuf {
        store.root().join(FOLDER).join(&self.key)
    }

    /// The bytes of a file that belongs to the plan, which are those that it was made with.
    fn read_file(&self, path: &Path, sha256: &str) -> Result<Vec<u8>, Error> {
        if !path.exists() {
            return Err(Error::FileMissing { path: path.to_owned(), key: self.key.clone() });
        }
        let bytes = fs_err::read(path)?;
        if hash::sha256(&bytes) != sha256 {
            return Err(Error::FileChanged { path: path.to_owned() });
        }
        Ok(bytes)
    }
}

/// What a plan is made of.
pub struct Request<'a> {
    /// The pipeline file.
    pub pipeline: &'a Path,
    /// Settings of the command line.
    pub sets: &'a [String],
    /// The stages.
    pub stages: &'a [Stage],
    /// The file of the plan.
    pub out: &'a Path,
}

/// SHA-256 over each cohort's table of scan geometry.
fn scan_geometries(config: &Config) -> Result<BTreeMap<String, String>, Error> {
    let mut digests = BTreeMap::new();
    for cohort in &config.ingest.cohorts {
        let table = cohort.read_scan_geometry().map_err(sources::Error::from)?;
        if let Some(table) = table {
            let scans: Vec<String> = table.values().map(geometry_sha256).collect();
            let digest = hash::sha256_parts(scans.iter().map(String::as_str));
            digests.insert(cohort.name.clone(), digest);
        }
    }
    Ok(digests)
}

fn frozen_shard(cases: &[SourceCase]) -> Result<FrozenShard, Error> {
    Ok(FrozenShard {
        cohort: cases.first().map_or_else(String::new, |case| case.cohort.clone()),
        n_cases: cases.len(),
        bytes: cases.iter().map(|case| cohort::estimate_bytes(&case.case)).sum(),
        content_sha256: hash::sha256_parts(cases.iter().map(|case| case.content_sha256.as_str())),
        list_sha256: hash::sha256(&list_bytes(cases)?),
    })
}

fn list_path(folder: &Path, shard: usize) -> PathBuf {
    folder.join("shards").join(format!("{shard}.json"))
}

fn list_bytes(cases: &[SourceCase]) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&CasesFile { cases: cases.into() })
}

/// The versions of all stages' code and of all tables' columns.
fn code_versions() -> BTreeMap<String, u32> {
    let stages =
        Stage::ALL.into_iter().map(|stage| (stage.name().to_owned(), stage.spec().version));
    let outputs =
        Output::all().map(|output| (format!("{output}.columns"), output.spec().schema_version()));
    stages.chain(outputs).collect()
}

/// The stages of which a plan's stage reads outputs, and that the plan has.
pub(in crate::pipeline) fn makers(
    plan: &FrozenPlan,
    config: &Config,
    stage: Stage,
) -> BTreeSet<Stage> {
    let reads = Step::of(stage).flat_map(|step| plan::reads(config, stage, step));
    let makers = reads.map(crate::pipeline::runner::maker);
    makers.filter(|maker| *maker != stage && plan.stage(*maker).is_ok()).collect()
}
