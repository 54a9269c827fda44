//! Data manifests (TOML): what the folder of a cohort must contain, and whether it does.
//!
//! A manifest lists files, with size and SHA-256 where they are known, and counts of files by pattern. The rest of it
//! says where the data come from and on what terms.

mod manifest;
mod check;

pub use check::{ManifestProblem, ManifestReport, verify};
pub use manifest::{Error, ExpectedCount, ExpectedFile, Manifest, of_folder, read, write};

#[cfg(test)]
mod tests;
