//! Seals: which committed shards are safe on disk, and which of their files have been compared with their records.
//!
//! The file `sealed` in a shard's folder has a line for each file: SHA-256, size, time of change and number in the file system.
//! A file that still has that size, time and number is not hashed again; any other one is, before it is used.

use crate::damage::{self, Damage};
use crate::shard_record::{PartRecord, ShardRecord, record_path, shard_folder};
use crate::stamp::{self, Stamp};
use crate::{Error, OutputSpec, hash, part_file, record};
use fs_err as fs;
use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

/// Name of the file in the folder of a shard that is safe on disk.
pub(crate) const SEAL: &str = "sealed";

/// Stands for the SHA-256 of `record.json`, which has a checksum of its own.
const OF_RECORD: &str = "-";

/// Files that this process has compared with their records, with their stamps and hashes then.
static COMPARED: LazyLock<Mutex<BTreeMap<PathBuf, (Stamp, String)>>> =
    LazyLock::new(Mutex::default);

/// The lines of a shard's seal by their files.
#[derive(Debug)]
pub(crate) struct Seal(BTreeMap<String, (Stamp, String)>);

/// Whether files that have not changed since they were last compared count as whole.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trust<'a> {
    /// By size, time of change and number, as the seal has them.
    Stamps(&'a Seal),
    /// No: every file is read.
    Nothing,
}

/// What a look at a shard or file found.
#[derive(Debug)]
pub(crate) enum Found {
    /// It has not changed since it was sealed.
    AsSealed,
    /// It was read, and is as its record says.
    Whole,
    /// It is not as its record says.
    Damaged(Damage),
}

impl Found {
    pub(crate) fn damage(self) -> Option<Damage> {
        match self {
            Self::Damaged(damage) => Some(damage),
            Self::AsSealed | Self::Whole => None,
        }
    }
}

/// Marks a shard as safe on disk, whose files have just been compared with its record.
pub(crate) fn seal(output: &Path, key: &str) -> Result<(), Error> {
    let path = record_path(output, key);
    let record: ShardRecord =
        record::read(&path)?.ok_or_else(|| Error::ShardMissing { path: path.clone() })?;
    let folder = shard_folder(output, key);
    let mut text = String::new();
    let files = record.parts.iter().map(|part| (part.file.as_str(), file_hash(part)));
    for (file, sha256) in files.chain([("record.json", OF_RECORD)]) {
        let stamp = Stamp::of(&folder.join(file))?.to_string();
        text.extend([sha256, " ", &stamp, " ", file, "\n"]);
    }
    Ok(fs::write(folder.join(SEAL), text)?)
}

/// Whether a shard is safe on disk.
pub(crate) fn is_sealed(output: &Path, key: &str) -> bool {
    shard_folder(output, key).join(SEAL).exists()
}

fn file_hash(part: &PartRecord) -> &str {
    part.file_sha256.as_deref().unwrap_or(&part.content_sha256)
}

impl Seal {
    /// Reads a shard's seal; `None` where it has none. A line that cannot be read is left out, and so is one of a file that was
    /// changed just before: clocks of file systems tick, and a later change could have the same time.
    pub(crate) fn read(output: &Path, key: &str) -> Option<Self> {
        let mut text = String::new();
        let mut file = match fs::File::open(shard_folder(output, key).join(SEAL)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(_) => return Some(Self(BTreeMap::new())),
        };
        let sealed = file.metadata().and_then(|found| Stamp::of_found(&found));
        let (Ok(sealed), Ok(_)) = (sealed, file.read_to_string(&mut text)) else {
            return Some(Self(BTreeMap::new()));
        };
        let line = |line: &str| {
            let mut words = line.splitn(5, ' ');
            let sha256 = words.next()?.to_owned();
            let stamp = Stamp::parse([words.next()?, words.next()?, words.next()?])?;
            stamp.is_well_before(sealed.modified_ns).then_some(())?;
            Some((words.next()?.to_owned(), (stamp, sha256)))
        };
        Some(Self(text.lines().filter_map(line).collect()))
    }
}

/// Looks at a committed shard: its record, and its files up to the first that is not as recorded. `parts` are those that a
/// version lists; without them, those of the record count.
///
/// # Errors
///
/// Fails if the machine does not let a file be read, which says nothing about the file.
pub(crate) fn look(
    output: &Path,
    key: &str,
    spec: OutputSpec,
    parts: Option<&[PartRecord]>,
    trust: Trust<'_>,
) -> Result<Found, Error> {
    let path = record_path(output, key);
    let is_known = match trust {
        Trust::Stamps(Seal(sealed)) => sealed
            .get("record.json")
            .is_some_and(|(stamp, _)| Stamp::of(&path).is_ok_and(|found| found == *stamp)),
        Trust::Nothing => false,
    };
    let of_record;
    let parts = match parts {
        Some(parts) if is_known => parts,
        _ => match record::read::<ShardRecord>(&path) {
            Ok(Some(record)) if record.key == key => {
                of_record = record.parts;
                parts.unwrap_or(&of_record)
            }
            Ok(Some(_)) => return Ok(Found::Damaged(Damage::new(&path, "is of another shard"))),
            Ok(None) => return Ok(Found::Damaged(Damage::missing(&path))),
            Err(error) => return damage::of_error(&path, error).map(Found::Damaged),
        },
    };
    let mut is_as_sealed = is_known;
    let folder = shard_folder(output, key);
    for part in parts {
        match look_at_part(&folder.join(&part.file), part, spec, trust)? {
            Found::AsSealed => {}
            Found::Whole => is_as_sealed = false,
            damaged @ Found::Damaged(_) => return Ok(damaged),
        }
    }
    Ok(if is_as_sealed { Found::AsSealed } else { Found::Whole })
}

/// What is wrong with a file of a version's shard, before it is used.
///
/// # Errors
///
/// As [`look`].
pub(crate) fn damage_of_part(
    output: &Path,
    key: &str,
    spec: OutputSpec,
    part: &PartRecord,
) -> Result<Option<Damage>, Error> {
    let path = shard_folder(output, key).join(&part.file);
    let seal = Seal::read(output, key).unwrap_or_else(|| Seal(BTreeMap::new()));
    Ok(look_at_part(&path, part, spec, Trust::Stamps(&seal))?.damage())
}

fn look_at_part(
    path: &Path,
    part: &PartRecord,
    spec: OutputSpec,
    trust: Trust<'_>,
) -> Result<Found, Error> {
    let stamp = match Stamp::of(path) {
        Ok(stamp) => stamp,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Found::Damaged(Damage::missing(path)));
        }
        Err(error) => return damage::of_error(path, error.into()).map(Found::Damaged),
    };
    if stamp.bytes != part.bytes {
        let what = format!("has {} bytes, its record says {}", stamp.bytes, part.bytes);
        return Ok(Found::Damaged(Damage::new(path, &what)));
    }
    let expected = (stamp, file_hash(part).to_owned());
    let compared = || COMPARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Trust::Stamps(Seal(sealed)) = trust {
        if sealed.get(&part.file) == Some(&expected) {
            return Ok(Found::AsSealed);
        }
        if compared().get(path) == Some(&expected) {
            return Ok(Found::Whole);
        }
    }
    let found = match (spec, &part.file_sha256) {
        // A record of an earlier version has the hash of the other columns only.
        (OutputSpec::Table(table), None) => part_file::content_sha256(path, table),
        _ => hash::sha256_file(path).map_err(Error::from),
    };
    match found {
        Ok(found) if found == expected.1 => {
            if expected.0.is_well_before(stamp::now_ns()) {
                compared().insert(path.to_owned(), expected);
            }
            Ok(Found::Whole)
        }
        Ok(_) => {
            let what = "is not what was written: its SHA-256 is not the one of its record";
            Ok(Found::Damaged(Damage::new(path, what)))
        }
        Err(error) => damage::of_error(path, error).map(Found::Damaged),
    }
}
