//! A phantom's folder: its settings, and whether it is complete.

use super::config::Config;
use super::error::Error;
use super::truth::Truth;
use fs_err as fs;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Raised when the same settings give other bytes.
const VERSION: u32 = 4;

/// File of a complete phantom.
const COMPLETE: &str = "phantom.json";

/// File of an unfinished phantom.
const PARTIAL: &str = "phantom.partial.json";

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhantomSummary {
    /// Patients with four readers.
    pub patients: usize,
    /// Clinical patients.
    pub clinical_patients: usize,
    /// Nodules of 3 mm or more, in both cohorts.
    pub nodules: usize,
    /// Whether the folder was complete before.
    pub already_complete: bool,
}

impl PhantomSummary {
    fn new(config: &Config, nodules: usize) -> Self {
        let Config { patients, clinical_patients, .. } = *config;
        Self { patients, clinical_patients, nodules, already_complete: false }
    }
}

/// `phantom.json`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PhantomRecord {
    phantom_version: u32,
    config: Config,
    /// Null until the phantom is complete.
    nodules: Option<usize>,
}

/// Claims a folder; returns the summary where the folder already holds the phantom.
pub(super) fn open(out: &Path, config: &Config) -> Result<Option<PhantomSummary>, Error> {
    let partial = out.join(PARTIAL);
    let found = look(out, config)?;
    match found {
        Found::Whole(summary) => {
            remove_if_present(&partial)?;
            return Ok(Some(summary));
        }
        Found::Part => {}
        Found::Nothing => fs::create_dir_all(out)?,
    }
    fs::write(&partial, json(&partial, &unfinished(config))?)?;
    Ok(None)
}

/// What a folder holds of a phantom.
pub(super) enum Found {
    /// All of it.
    Whole(PhantomSummary),
    /// A part of it.
    Part,
    /// Nothing; the folder may be missing.
    Nothing,
}

/// What a folder holds of a phantom; nothing is changed.
pub(super) fn look(out: &Path, config: &Config) -> Result<Found, Error> {
    let (complete, partial) = (out.join(COMPLETE), out.join(PARTIAL));
    if complete.exists() {
        let text = fs::read_to_string(&complete)?;
        return match serde_json::from_str::<PhantomRecord>(&text) {
            Ok(PhantomRecord {
                phantom_version: VERSION,
                config: found,
                nodules: Some(nodules),
            }) if found == *config => Ok(Found::Whole(PhantomSummary {
                already_complete: true,
                ..PhantomSummary::new(config, nodules)
            })),
            _ => Err(other(&complete, &text, &unfinished(config))),
        };
    }
    if partial.exists() {
        let text = fs::read_to_string(&partial)?;
        // A process that was killed may have left only the beginning of its claim.
        if !json(&partial, &unfinished(config))?.starts_with(&text) {
            return Err(other(&partial, &text, &unfinished(config)));
        }
        return Ok(Found::Part);
    }
    if out.exists() && fs::read_dir(out)?.next().is_some() {
        return Err(Error::Occupied(out.to_owned()));
    }
    Ok(Found::Nothing)
}

fn unfinished(config: &Config) -> PhantomRecord {
    PhantomRecord { phantom_version: VERSION, config: config.clone(), nodules: None }
}

/// Marks a folder as complete.
pub(super) fn close(out: &Path, config: &Config, truth: &Truth) -> Result<PhantomSummary, Error> {
    let patients = truth.lidc.iter().chain(&truth.clinical);
    let nodules = patients.map(|patient| patient.nodules.len()).sum();
    let making =
        PhantomRecord { phantom_version: VERSION, config: config.clone(), nodules: Some(nodules) };
    let new = out.join("phantom.new.json");
    fs::write(&new, json(&new, &making)?)?;
    fs::rename(new, out.join(COMPLETE))?;
    remove_if_present(&out.join(PARTIAL))?;
    Ok(PhantomSummary::new(config, nodules))
}

/// A value as indented JSON, for a file.
pub(super) fn json(path: &Path, value: &impl Serialize) -> Result<String, Error> {
    let error = |source| Error::Json { path: path.to_owned(), source };
    Ok(serde_json::to_string_pretty(value).map_err(error)? + "\n")
}

fn other(path: &Path, text: &str, expected: &PhantomRecord) -> Error {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    match json(path, expected) {
        Ok(expected) => Error::OtherPhantom {
            path: path.to_owned(),
            found: one_line(text),
            expected: one_line(&expected),
        },
        Err(error) => error,
    }
}

fn remove_if_present(path: &Path) -> Result<(), Error> {
    if path.exists() {
        fs::remove_file(path)?;
    }
    Ok(())
}
