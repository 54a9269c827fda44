//! Shards, the unit of commit: written to temporary files, renamed into place, then recorded.

use crate::manifest::{PartRecord, ShardRecord};
use crate::{Error, FailedCase, OutputSpec, PartWriter, Provenance, Row, durable, hash, record};
use fs_err as fs;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Digits of the content's hash in a part's name.
const NAME_DIGITS: usize = 16;

/// A shard that is being written.
#[derive(Debug)]
pub struct ShardWriter {
    shard: usize,
    /// Each output with the folder of its key and the folder for unfinished files.
    outputs: Vec<(OutputSpec, PathBuf, PathBuf)>,
    provenance: Provenance,
}

/// A part that is being written.
pub struct Part<R> {
    writer: PartWriter<R>,
    path: PathBuf,
    /// Running hash of the rows, for a table with volatile columns.
    stable: Option<Sha256>,
}

/// A part that is written and not committed yet.
#[derive(Debug)]
pub struct FinishedPart {
    output: OutputSpec,
    path: PathBuf,
    rows: u64,
    content_sha256: String,
}

impl ShardWriter {
    pub(crate) fn new(
        shard: usize,
        outputs: Vec<(OutputSpec, PathBuf)>,
        attempt: &str,
        provenance: Provenance,
    ) -> Result<Self, Error> {
        let outputs: Vec<_> = outputs
            .into_iter()
            .map(|(output, folder)| {
                let aside = folder.join("_tmp").join(attempt);
                (output, folder, aside)
            })
            .collect();
        for (_, _, aside) in &outputs {
            fs::create_dir_all(aside)?;
        }
        Ok(Self { shard, outputs, provenance })
    }

    /// Number of the shard, from 0.
    pub fn number(&self) -> usize {
        self.shard
    }

    /// Opens the shard's part of a table.
    ///
    /// # Errors
    ///
    /// Fails if the job does not write the table, or the file cannot be created.
    pub fn part<R: Row>(&self) -> Result<Part<R>, Error> {
        let path = self.aside(R::TABLE.into())?.join(format!("part-{}.parquet", self.shard));
        let writer = PartWriter::create(&path, &self.provenance)?;
        let stable = (!R::TABLE.volatile_columns.is_empty()).then(Sha256::new);
        Ok(Part { writer, path, stable })
    }

    /// An empty folder for the files of an output that is not a table; every file in it is committed.
    ///
    /// # Errors
    ///
    /// Fails if the job does not write the output, or the folder cannot be made.
    pub fn files(&self, output: impl Into<OutputSpec>) -> Result<PathBuf, Error> {
        let folder = self.aside(output.into())?.join("files");
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Moves the parts into place and records the shard.
    ///
    /// # Errors
    ///
    /// Fails if a part is missing or a file cannot be moved; the shard is then not committed.
    pub fn commit(self, parts: Vec<FinishedPart>, failures: Vec<FailedCase>) -> Result<(), Error> {
        let (mut parts, mut failures) = (parts, failures);
        for (output, folder, aside) in &self.outputs {
            let parts = if let OutputSpec::Table(_) = output {
                let position = parts.iter().position(|part| part.output == *output);
                let position = position
                    .ok_or(Error::PartMissing { output: output.name(), shard: self.shard })?;
                vec![self.publish(parts.swap_remove(position), folder)?]
            } else {
                publish_files(&aside.join("files"), &folder.join(output.files_folder()))?
            };
            let record =
                ShardRecord { shard: self.shard, parts, failures: std::mem::take(&mut failures) };
            record::write(&record_path(folder, self.shard), &record)?;
        }
        Ok(())
    }

    fn publish(&self, part: FinishedPart, folder: &Path) -> Result<PartRecord, Error> {
        let digits = &part.content_sha256[..NAME_DIGITS];
        let file = format!("part-{:05}-{digits}.parquet", self.shard);
        let bytes = fs::metadata(&part.path)?.len();
        durable::publish(&part.path, &folder.join(part.output.files_folder()).join(&file))?;
        Ok(PartRecord { file, rows: part.rows, bytes, content_sha256: part.content_sha256 })
    }

    fn aside(&self, output: OutputSpec) -> Result<&Path, Error> {
        self.outputs
            .iter()
            .find(|(o, _, _)| *o == output)
            .map(|(_, _, aside)| aside.as_path())
            .ok_or(Error::PartMissing { output: output.name(), shard: self.shard })
    }
}

/// Path of the record of a shard of an output.
pub(crate) fn record_path(folder: &Path, shard: usize) -> PathBuf {
    folder.join("meta/shards").join(format!("{shard}.json"))
}

fn publish_files(from: &Path, to: &Path) -> Result<Vec<PartRecord>, Error> {
    let mut names: Vec<_> =
        fs::read_dir(from)?.map(|entry| entry.map(|e| e.file_name())).collect::<Result<_, _>>()?;
    names.sort();
    let mut records = Vec::new();
    for name in names {
        let path = from.join(&name);
        let content_sha256 = hash::sha256_file(&path)?;
        let bytes = fs::metadata(&path)?.len();
        durable::publish(&path, &to.join(&name))?;
        let file = name.to_string_lossy().into_owned();
        records.push(PartRecord { file, rows: 0, bytes, content_sha256 });
    }
    Ok(records)
}

impl<R: Row> Part<R> {
    /// Adds rows.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written to.
    pub fn write(&mut self, rows: impl IntoIterator<Item = R>) -> Result<(), Error> {
        let Some(hash) = &mut self.stable else { return self.writer.write(rows) };
        for row in rows {
            let fail = |source| Error::Hash { table: R::TABLE.name, source };
            let mut value = serde_json::to_value(&row).map_err(fail)?;
            if let Some(object) = value.as_object_mut() {
                for column in R::TABLE.volatile_columns {
                    object.shift_remove(*column);
                }
            }
            hash.update(value.to_string());
            self.writer.write([row])?;
        }
        Ok(())
    }

    /// Closes the part.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written to or read back.
    pub fn finish(self) -> Result<FinishedPart, Error> {
        let rows = self.writer.finish()?;
        let content_sha256 = match self.stable {
            Some(hash) => hash::hexadecimal(&hash.finalize()),
            None => hash::sha256_file(&self.path)?,
        };
        Ok(FinishedPart { output: R::TABLE.into(), path: self.path, rows, content_sha256 })
    }
}
