//! The content of a data manifest.

use crate::folder::{files_below, relative};
use fs_err as fs;
use nodulus_settings::{Fault, SettingsFile};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

/// What a folder must contain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Short name.
    pub name: String,
    /// Full name.
    pub title: String,
    /// Where the data are published.
    pub source: String,
    /// Terms of use of the data.
    pub licence: String,
    /// Publication to cite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub citation: Option<String>,
    /// DOI of the data, or of the publication where the data have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doi: Option<String>,
    /// How to get the data, and what the root folder is.
    pub how_to_get: String,
    /// Published counts, for people to read; nothing checks them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u64>,
    /// Files that must exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ExpectedFile>,
    /// Numbers of files that must exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<ExpectedCount>,
}

/// A file that must exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedFile {
    /// Path relative to the root, with `/`.
    #[schemars(extend("examples" = ["subset0/a.mhd"]))]
    pub path: String,
    /// Bytes, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// SHA-256 in lower-case hexadecimal, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// A number of files or folders that must exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedCount {
    /// Pattern relative to the root: `*` within a name, `**` for any folders, `?`, `[a-z]`.
    #[schemars(extend("examples" = ["subset*/*.mhd"]))]
    pub pattern: String,
    /// How many files or folders match.
    #[schemars(extend("examples" = [888]))]
    pub count: u64,
}

/// A manifest could not be read, or its folder not be checked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is not a valid manifest.
    #[error(transparent)]
    Manifest(#[from] nodulus_settings::Error),
    /// The folder to check does not exist.
    #[error("`{0}` is not a folder")]
    NotAFolder(PathBuf),
    /// A manifest cannot be written as TOML.
    #[error("manifest cannot be written as TOML")]
    Serialize(#[from] toml::ser::Error),
}

/// Reads a manifest.
///
/// # Errors
///
/// Fails if the file cannot be read, is not TOML, has an unknown key or lacks one, or has a path or pattern that is
/// absolute, leads outside the root, or is malformed.
pub fn read(path: &Path) -> Result<Manifest, Error> {
    let mut file = SettingsFile::open(path)?;
    let manifest: Manifest = file.read(&[])?;
    check(&manifest).map_err(|fault| file.locate(&fault))?;
    Ok(manifest)
}

/// Whether paths and patterns stay below the root and are well formed.
fn check(manifest: &Manifest) -> Result<(), Fault> {
    let refuse = |key: String, found: &str, expected: &str| {
        let message = format!("`{key}` is {found:?}, expected {expected}");
        Err(Fault::new(key, message))
    };
    let is_below = |name: &str| {
        let below = |part| matches!(part, Component::Normal(_));
        !name.is_empty() && Path::new(name).components().all(below)
    };
    for (n, ExpectedFile { path, sha256, .. }) in manifest.files.iter().enumerate() {
        if !is_below(path) {
            let expected = "a path below the root, as in `path = \"subset0/a.mhd\"`";
            return refuse(format!("files.{n}.path"), path, expected);
        }
        if let Some(sum) = sha256
            && (sum.len() != 64 || !sum.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
        {
            let expected = "64 lower-case hexadecimal digits, as `sha256sum` prints them";
            return refuse(format!("files.{n}.sha256"), sum, expected);
        }
    }
    for (n, ExpectedCount { pattern, .. }) in manifest.expect.iter().enumerate() {
        if !is_below(pattern) || glob::Pattern::new(pattern).is_err() {
            let expected = "a pattern of `*`, `**`, `?` and `[]` below the root, as in `pattern = \"subset*/*.mhd\"`";
            return refuse(format!("expect.{n}.pattern"), pattern, expected);
        }
    }
    Ok(())
}

/// Writes a manifest.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub fn write(path: &Path, manifest: &Manifest) -> Result<(), Error> {
    Ok(fs::write(path, toml::to_string(manifest)?)?)
}

/// Lists the files of a folder with their sizes and SHA-256, by path; hidden files are skipped.
///
/// The fields that describe the data are left empty.
///
/// # Errors
///
/// Fails if the folder or a file cannot be read.
pub fn of_folder(root: &Path) -> Result<Manifest, Error> {
    if !root.is_dir() {
        return Err(Error::NotAFolder(root.to_owned()));
    }
    let describe = |path: &PathBuf| {
        let (size, sha256) = (fs::metadata(path)?.len(), sha256_of(path)?);
        Ok(ExpectedFile { path: relative(root, path), size: Some(size), sha256: Some(sha256) })
    };
    let files = files_below(root)?.par_iter().map(describe).collect::<io::Result<_>>()?;
    Ok(Manifest { files, ..Manifest::default() })
}

pub(super) fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
    }
    let mut digits = String::with_capacity(64);
    for byte in hash.finalize() {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    Ok(digits)
}
