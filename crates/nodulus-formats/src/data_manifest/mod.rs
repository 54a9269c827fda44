//! Data manifests: what a cohort's folder must hold, and whether it does. TOML.
//!
//! A manifest names files (with size and SHA-256 where they are known) and counts of files by
//! pattern; the rest of it says where the data come from and on what terms.

mod manifest;
mod check;

pub use check::{ManifestProblem, ManifestReport, verify};
pub use manifest::{Error, ExpectedCount, ExpectedFile, Manifest, of_folder, read, write};

#[cfg(test)]
mod tests;
