//! SHA-256 of bytes, files and JSON.

use fs_err::File;
use nodulus_faults::FileError;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::io::Read as _;
use std::path::Path;

/// Length of a key: 64 bits of a hash, enough for the versions of one table.
pub(crate) const KEY_DIGITS: usize = 16;

/// SHA-256 of bytes, in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// SHA-256 over parts, with their lengths: `ab`, `c` and `a`, `bc` differ.
pub fn sha256_parts<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hexadecimal(&hash.finalize())
}

/// SHA-256 of a file's content, read through a buffer of 128 KiB, which stays in the processor's cache.
///
/// # Errors
///
/// Fails if the file cannot be read.
pub fn sha256_file(path: &Path) -> std::io::Result<String> {
    let named = FileError::at(path);
    let mut file = File::open(path).map_err(&named)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        let n = match file.read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read.map_err(&named)?,
        };
        if n == 0 {
            return Ok(hexadecimal(&hash.finalize()));
        }
        hash.update(&buffer[..n]);
    }
}

/// The key of a value: the first digits of the SHA-256 of its JSON.
///
/// # Errors
///
/// Fails if the value has no JSON form.
pub fn key(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut digest = sha256(&serde_json::to_vec(value)?);
    digest.truncate(KEY_DIGITS);
    Ok(digest)
}

/// A short stable id: a prefix and 64 bits of the hash of the parts.
pub fn id<'a>(prefix: &str, parts: impl IntoIterator<Item = &'a str>) -> String {
    let digest = sha256_parts(parts);
    format!("{prefix}{}", &digest[..KEY_DIGITS])
}

/// Bytes in lower-case hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digits = |byte: &u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    let mut text = String::with_capacity(2 * bytes.len());
    text.extend(bytes.iter().flat_map(digits));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_is_the_standard_one() {
        // FIPS 180-4, example "abc".
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), abc);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        fs_err::write(&path, b"abc").unwrap();
        assert_eq!(sha256_file(&path).unwrap(), abc);
    }

    #[test]
    fn parts_are_kept_apart() {
        assert_ne!(sha256_parts(["ab", "c"]), sha256_parts(["a", "bc"]));
        assert_ne!(id("m", ["ab", "c"]), id("m", ["a", "bc"]));
    }
}
