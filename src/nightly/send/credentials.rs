//! Credentials for an archive, from files; they are never written anywhere.

use super::settings::DestinationSettings;
use nodulus_faults::fs;
use nodulus_faults::quoted;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Most bytes of a secret.
const MAX_BYTES: usize = 16 * 1024;

/// A password or token. Its value is in no text that is made of it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(withheld)")
    }
}

impl Secret {
    /// The value, for the archive alone.
    pub(super) fn value(&self) -> &str {
        &self.0
    }

    /// Reads a file that holds a secret alone; a line's end after it does not belong to it.
    fn read(file: &Path) -> Result<Self, Error> {
        let bytes = fs::read(file)?;
        let fault = |what| Error::Secret { file: file.to_owned(), what };
        if bytes.len() > MAX_BYTES {
            return Err(fault("more than 16 KiB"));
        }
        let text = String::from_utf8(bytes).map_err(|_| fault("bytes that are not UTF-8"))?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(fault("nothing"));
        }
        // They would end a header of HTTP.
        if text.contains(|c: char| c.is_control()) {
            return Err(fault("several lines, or control characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Who the job is to an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    Nobody,
    User { name: String, password: Secret },
    Bearer(Secret),
}

impl Credentials {
    /// Reads the files that settings name.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read, or holds something else than one secret.
    pub(super) fn read(settings: &DestinationSettings) -> Result<Self, Error> {
        let DestinationSettings { user, password_file, token_file, .. } = settings;
        match (user, password_file, token_file) {
            (Some(name), Some(file), _) => {
                Ok(Self::User { name: name.clone(), password: Secret::read(file)? })
            }
            (_, _, Some(file)) => Ok(Self::Bearer(Secret::read(file)?)),
            _ => Ok(Self::Nobody),
        }
    }
}

/// Credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The file system refused.
    #[error("{}", quoted::io(.0))]
    Io(#[from] io::Error),
    /// A file does not hold a secret.
    #[error(
        "{file} holds {what}, expected a password or token alone, in one line",
        file = quoted::path(file)
    )]
    Secret {
        /// The file.
        file: PathBuf,
        /// What it holds, without its content.
        what: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_whole_and_told_to_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let read = |bytes: &[u8]| {
            fs_err::write(&file, bytes).unwrap();
            Secret::read(&file)
        };
        assert_eq!(read(b" pa ss:w\xc3\xb6rd \r\n").unwrap().value(), " pa ss:w\u{f6}rd ");
        let debug = format!("{:?}", Credentials::Bearer(read(b"hunter2\n").unwrap()));
        assert_eq!(debug, "Bearer(Secret(withheld))");
        for (bytes, expected) in [
            (&b"\n"[..], "holds nothing"),
            (b"hunter2\nX-Header: 1", "holds several lines"),
            (b"hunter2\0", "holds several lines, or control characters"),
            (b"hunter2\xff", "holds bytes that are not UTF-8"),
            (&vec![b'x'; MAX_BYTES + 1], "holds more than 16 KiB"),
        ] {
            let error = read(bytes).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
        }
    }
}
