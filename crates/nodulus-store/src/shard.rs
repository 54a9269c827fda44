//! Shards, the unit of commit: written aside, and renamed into place as a whole.
//!
//! They are synced to disk together, when their job is finished, and then sealed. A committed shard without a seal is
//! of an interrupted run; it is checked against its record before it counts, because the machine may have stopped.

use crate::claim::Claim;
use crate::setbacks::Setbacks;
use crate::shard_record::{FailedCase, PartRecord, ShardRecord, record_path, shard_folder};
use crate::{Error, OutputSpec, PartWriter, Provenance, Row, durable, hash, part_file, record};
use fs_err as fs;
use nodulus_faults::Watch;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Digits of the content's hash in a part's name.
const NAME_DIGITS: usize = 16;

/// An output of a shard.
#[derive(Debug)]
struct Target {
    output: OutputSpec,
    /// The output's folder in the store.
    folder: PathBuf,
    /// Where the shard's files are written until it is committed.
    aside: PathBuf,
}

/// A shard that is being made.
#[derive(Debug)]
pub struct ShardWriter {
    number: usize,
    /// The record, still without digests, parts and failed cases.
    record: ShardRecord,
    targets: Vec<Target>,
    provenance: Provenance,
    /// Whether the shard replaces a committed one.
    replaces: bool,
    claim: Claim,
    setbacks: Arc<Setbacks>,
    watch: Watch,
}

/// A part that is being written.
pub struct Part<R> {
    writer: PartWriter<R>,
    path: PathBuf,
}

/// A part that is written and not committed yet.
#[derive(Debug)]
pub struct FinishedPart {
    output: OutputSpec,
    path: PathBuf,
    rows: u64,
    content_sha256: String,
    /// SHA-256 of the whole file, where that is another one.
    file_sha256: Option<String>,
}

impl ShardWriter {
    pub(crate) fn new(
        number: usize,
        record: ShardRecord,
        outputs: impl IntoIterator<Item = (OutputSpec, PathBuf)>,
        provenance: Provenance,
        replaces: bool,
        claim: Claim,
        setbacks: Arc<Setbacks>,
    ) -> Result<Self, Error> {
        let name = format!("{}.{}.tmp", record.key, durable::this_attempt());
        let mut targets = Vec::new();
        for (output, folder) in outputs {
            let aside = folder.join("shards").join(&name);
            fs::create_dir_all(&aside)?;
            targets.push(Target { output, folder, aside });
        }
        let watch = Watch::begin();
        Ok(Self { number, record, targets, provenance, replaces, claim, setbacks, watch })
    }

    /// Position of the shard among the job's, from 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Puts digests of groups of the shard's rows into its record, by the groups' names.
    pub fn set_digests(&mut self, digests: BTreeMap<String, String>) {
        self.record.digests = digests;
    }

    /// Puts into the record how many rows of each output, and failures, each case has, in the order of the cases.
    pub fn set_case_rows(&mut self, rows: impl IntoIterator<Item = Vec<u64>>) {
        for (case, rows) in self.record.cases.iter_mut().zip(rows) {
            if let Some(reading) = &mut case.reading {
                reading.rows = rows;
            }
        }
    }

    /// Opens the shard's part of a table.
    ///
    /// # Errors
    ///
    /// Fails if the job does not write the table, or the file cannot be created.
    pub fn part<R: Row>(&self) -> Result<Part<R>, Error> {
        let path = self.target(R::TABLE.into())?.aside.join("part.parquet");
        let writer = PartWriter::create(&path, &self.provenance)?;
        Ok(Part { writer, path })
    }

    /// An empty folder for the files of an output that is not a table; every file in it is committed.
    ///
    /// # Errors
    ///
    /// Fails if the job does not write the output.
    pub fn files(&self, output: impl Into<OutputSpec>) -> Result<PathBuf, Error> {
        Ok(self.target(output.into())?.aside.clone())
    }

    /// Moves the shard into place with its record, output by output.
    ///
    /// A shard with a failure that is no result, by a fault of the machine or of the program, is not committed: the job's
    /// [`work`](crate::Job::work) gives it out again after a while, a few times, and [`set_back`](crate::Job::set_back) lists
    /// what is left. So is a shard during whose making a reader met a fault of the machine, whatever it made of it.
    ///
    /// # Errors
    ///
    /// Fails if a part is missing, a file cannot be moved or a disk is full; the shard is then not committed.
    pub fn commit(self, parts: Vec<FinishedPart>, failures: Vec<FailedCase>) -> Result<(), Error> {
        let (mut parts, mut failures) = (parts, failures);
        let watched = self.watch.fault();
        let full = failures.iter().find(|failed| failed.is_disk_full).map(|failed| &failed.cause);
        let full_when_read = watched.iter().find(|fault| fault.is_disk_full);
        if let Some(cause) = full.or(full_when_read.map(|fault| &fault.cause)).cloned() {
            self.discard()?;
            return Err(Error::DiskFull { cause });
        }
        let mut passing: Vec<FailedCase> =
            failures.iter().filter(|failed| failed.is_passing()).cloned().collect();
        if let Some(fault) = watched.filter(|_| passing.is_empty()) {
            let stage = self.record.stage.clone();
            let case_id = format!("shard {}", self.record.key);
            passing.push(FailedCase::by_machine(&stage, case_id, fault.cause));
        }
        if !passing.is_empty() {
            return self.give_up(passing, true);
        }
        for target in &self.targets {
            let parts = if let OutputSpec::Table(_) = target.output {
                let position = parts.iter().position(|part| part.output == target.output);
                let position = position.ok_or(Error::PartMissing {
                    output: target.output.name(),
                    shard: self.number,
                })?;
                vec![named_by_content(parts.swap_remove(position), &target.aside)?]
            } else {
                records_of_files(&target.aside)?
            };
            let record = ShardRecord {
                parts,
                failures: std::mem::take(&mut failures),
                ..self.record.clone()
            };
            let path = target.aside.join("record.json");
            fs::write(&path, record::bytes(&path, &record)?)?;
            let committed = shard_folder(&target.folder, &self.record.key);
            durable::publish_folder(&target.aside, &committed, self.replaces)?;
        }
        self.setbacks.remove(self.number);
        Ok(self.claim.finish()?)
    }

    /// Leaves the shard undone in this run, because of cases that trying again at once would not help.
    ///
    /// # Errors
    ///
    /// Fails if its unfinished files cannot be removed.
    pub fn leave(self, cases: Vec<FailedCase>) -> Result<(), Error> {
        self.give_up(cases, false)
    }

    fn give_up(self, cases: Vec<FailedCase>, is_tried_again: bool) -> Result<(), Error> {
        self.setbacks.add(self.number, cases, is_tried_again);
        self.discard()
    }

    /// Removes the unfinished files, and gives up the claim.
    fn discard(self) -> Result<(), Error> {
        self.targets.iter().try_for_each(|target| durable::remove(&target.aside))?;
        Ok(self.claim.finish()?)
    }

    fn target(&self, output: OutputSpec) -> Result<&Target, Error> {
        let mut targets = self.targets.iter();
        targets
            .find(|target| target.output == output)
            .ok_or(Error::PartMissing { output: output.name(), shard: self.number })
    }
}

/// Gives a part its final name, in the folder that it was written to.
fn named_by_content(part: FinishedPart, aside: &Path) -> Result<PartRecord, Error> {
    let file = format!("part-{}.parquet", &part.content_sha256[..NAME_DIGITS]);
    let bytes = fs::metadata(&part.path)?.len();
    fs::rename(&part.path, aside.join(&file))?;
    let FinishedPart { rows, content_sha256, file_sha256, .. } = part;
    Ok(PartRecord { file, rows, bytes, content_sha256, file_sha256 })
}

fn records_of_files(folder: &Path) -> Result<Vec<PartRecord>, Error> {
    let mut names: Vec<_> = fs::read_dir(folder)?
        .map(|entry| entry.map(|e| e.file_name()))
        .collect::<Result<_, _>>()?;
    names.sort();
    let mut records = Vec::new();
    for name in names {
        let path = folder.join(&name);
        let content_sha256 = hash::sha256_file(&path)?;
        let bytes = fs::metadata(&path)?.len();
        let file = name.to_string_lossy().into_owned();
        records.push(PartRecord { file, rows: 0, bytes, content_sha256, file_sha256: None });
    }
    Ok(records)
}

/// Removes what interrupted attempts left in an output's folder, of shards that no process works on. `claims` is the
/// folder of the job's first output.
pub(crate) fn remove_unfinished(claims: &Path, output: &Path) -> io::Result<()> {
    for entry in durable::entries(&output.join("shards"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((key, _)) = name.split_once('.') else { continue };
        let Some(claim) = Claim::try_take(claims, key)? else { continue };
        if entry.path().is_dir() {
            durable::remove(&entry.path())?;
        }
        claim.finish()?;
    }
    Ok(())
}

impl<R: Row> Part<R> {
    /// Adds rows.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written to.
    pub fn write(&mut self, rows: impl IntoIterator<Item = R>) -> Result<(), Error> {
        self.writer.write(rows)
    }

    /// Closes the part.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written to or read back.
    pub fn finish(self) -> Result<FinishedPart, Error> {
        let rows = self.writer.finish()?;
        let content_sha256 = part_file::content_sha256(&self.path, R::TABLE)?;
        let has_volatile = !R::TABLE.volatile_columns.is_empty();
        let file_sha256 = has_volatile.then(|| hash::sha256_file(&self.path)).transpose()?;
        let output = R::TABLE.into();
        Ok(FinishedPart { output, path: self.path, rows, content_sha256, file_sha256 })
    }
}

/// Whether a shard is committed, given the folder of its output.
pub(crate) fn is_committed(output: &Path, key: &str) -> bool {
    record_path(output, key).exists()
}
