//! Small JSON files of the store, written whole or not at all, and what they say of inputs.

use crate::{Error, durable, hash};
use nodulus_faults::FileError;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::borrow::Cow;
use std::io;
use std::path::Path;

/// A version of an output, or a file from outside, that an output was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRef {
    /// Name of the output, or of what else was read.
    pub name: String,
    /// Its key.
    pub key: String,
    /// SHA-256 over its parts' content.
    pub content_sha256: String,
    /// Of an input from outside the store, what people may ask later, as where it lay. No key depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Value>,
}

impl InputRef {
    /// A file or a list of files from outside the store; its content is its key too.
    pub fn outside(name: &str, content_sha256: String) -> Self {
        let key = content_sha256.chars().take(hash::KEY_DIGITS).collect();
        Self { name: name.to_owned(), key, content_sha256, note: None }
    }

    /// Whether it comes from outside the store, even if an output has the same name.
    pub fn is_from_outside(&self) -> bool {
        self.content_sha256.starts_with(&self.key)
    }

    /// Whether two lists name the same inputs with the same content, under whatever keys.
    pub(crate) fn are_same(a: &[Self], b: &[Self]) -> bool {
        let content = |input: &Self| (input.name.clone(), input.content_sha256.clone());
        a.iter().map(content).eq(b.iter().map(content))
    }
}

/// The part of an input that one shard was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardInput {
    /// Name of the output, or of what else was read.
    pub name: String,
    /// SHA-256 over the content of exactly that part.
    pub content_sha256: String,
}

/// Name of the field with the SHA-256 of all that stands before it.
const CHECKSUM: &str = "record_sha256";

/// Reads a record, or `None` where there is no file.
///
/// # Errors
///
/// Fails if the file is there and cannot be read, is not what was written, or is not such a record.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let bytes = match fs_err::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::at(path)(error).into()),
    };
    parse(path, &bytes).map(Some)
}

/// Reads a record from the bytes of its file.
fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, Error> {
    let path = || path.to_owned();
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::RecordDamaged { path: path(), found: "empty" });
    }
    let Some(json) = as_written(bytes) else {
        return Err(Error::RecordDamaged { path: path(), found: "not what was written" });
    };
    serde_json::from_slice(&json).map_err(|source| Error::Record { path: path(), source })
}

/// Fails if a record is not what was written, or no JSON.
///
/// # Errors
///
/// Fails also if there is no file, or it cannot be read.
pub fn check(path: &Path) -> Result<(), Error> {
    let bytes = fs_err::read(path).map_err(FileError::at(path))?;
    parse::<serde::de::IgnoredAny>(path, &bytes).map(drop)
}

/// Writes a record, whole or not at all. Its last field is the SHA-256 of what stands before it.
///
/// # Errors
///
/// Fails if the record has no JSON form or the file cannot be written.
pub fn write(path: &Path, record: &impl Serialize) -> Result<(), Error> {
    Ok(durable::write(path, &bytes(path, record)?)?)
}

/// Writes JSON for other programs, whole or not at all, without a field of our own.
///
/// # Errors
///
/// As [`write()`].
pub fn write_plain(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    Ok(durable::write(path, &pretty(path, value)?)?)
}

fn pretty(path: &Path, value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|source| Error::Record { path: path.to_owned(), source })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A record as JSON with a line for each value, and its checksum.
pub(crate) fn bytes(path: &Path, record: &impl Serialize) -> Result<Vec<u8>, Error> {
    Ok(with_checksum(pretty(path, record)?))
}

/// Adds the checksum to an object with a field or more; other JSON stays as it is.
pub(crate) fn with_checksum(json: Vec<u8>) -> Vec<u8> {
    let Some(inner) = json.trim_ascii_end().strip_suffix(b"}").map(<[u8]>::trim_ascii_end) else {
        return json;
    };
    if inner.ends_with(b"{") {
        return json;
    }
    let (line, end) = if inner.contains(&b'\n') { ("\n  ", "\n") } else { ("", "") };
    let checksum = hash::sha256(inner);
    let last = format!(",{line}\"{CHECKSUM}\": \"{checksum}\"{end}}}\n");
    [inner, last.as_bytes()].concat()
}

/// A record without its checksum, or `None` if that is of other content; a record of an earlier version has none.
fn as_written(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    let name = format!("\"{CHECKSUM}\": \"");
    let Some(at) = bytes.windows(name.len()).rposition(|found| found == name.as_bytes()) else {
        return Some(bytes.into());
    };
    let (before, after) = bytes.split_at(at);
    let inner = before.trim_ascii_end().strip_suffix(b",").unwrap_or(before);
    let (checksum, end) = after.get(name.len()..)?.split_at_checked(64)?;
    (checksum == hash::sha256(inner).as_bytes()
        && end.strip_prefix(b"\"").map(<[u8]>::trim_ascii) == Some(b"}"))
    .then(|| [inner, b"}"].concat().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_changed_record_is_no_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let values = [
            json!({ "a": 1, "b": { "c": [1.5, null] } }),
            json!({ "a": "}" }),
            json!({}),
            json!([1]),
        ];
        for value in &values {
            write(&path, value).unwrap();
            let found: Value = read(&path).unwrap().unwrap();
            assert_eq!(found, *value);
            let written = fs_err::read_to_string(&path).unwrap();
            let is_object = value.as_object().is_some_and(|object| !object.is_empty());
            assert_eq!(written.contains(CHECKSUM), is_object);
        }
        write(&path, &values[0]).unwrap();
        let whole = fs_err::read(&path).unwrap();
        let mut n_taken = 0;
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            fs_err::write(&path, damaged).unwrap();
            // A flip in the checksum's own name makes it a record without one, of the same content.
            if let Ok(found) = read::<Value>(&path) {
                let found = found.unwrap();
                assert_eq!([&found["a"], &found["b"]], [&values[0]["a"], &values[0]["b"]]);
                n_taken += 1;
            }
        }
        assert!(n_taken <= (CHECKSUM.len() + 8) * 8, "{n_taken}");
        for n in 0..whole.len() - 1 {
            fs_err::write(&path, &whole[..n]).unwrap();
            assert!(read::<Value>(&path).is_err(), "{n}");
        }
        fs_err::write(&path, "").unwrap();
        let error = check(&path).unwrap_err().to_string();
        assert!(error.contains("is empty") && error.contains("fsck --repair"), "{error}");
        fs_err::write(&path, "[".repeat(100_000)).unwrap();
        assert!(read::<Value>(&path).is_err());
    }

    #[test]
    fn an_earlier_record_without_a_checksum_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        fs_err::write(&path, "{\"a\": 1}").unwrap();
        assert_eq!(read::<Value>(&path).unwrap(), Some(json!({ "a": 1 })));
    }
}
