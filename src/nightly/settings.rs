//! Settings of a nightly job: its file has one section, `[score]`.

use super::deliver::OutputKind;
use super::identity::DeidentifySettings;
use crate::pipeline::config::{self, range};
use crate::stages::crop::Window;
use nodulus_formats::dicom::Tolerances;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A file of a nightly job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreFile {
    /// The nightly job.
    score: ScoreSettings,
}

/// Settings: `[score]`. Paths are relative to the file's folder.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreSettings {
    /// Folder that scans arrive in. nodulus never writes to it.
    pub input: PathBuf,
    /// Folder of the store, which holds the records and tables of scored scans.
    pub store: PathBuf,
    /// Folder of the files for each study; without it, `output` in the store.
    #[serde(default)]
    pub output: Option<PathBuf>,
    /// Model that scores: a checkpoint's folder, a weights file, or a store for its current weights. The
    /// probabilities of several are averaged.
    pub model: Paths,
    /// Candidates to score: CSV files like LUNA16's, Parquet tables, structure sets and reports (`.dcm`), or
    /// folders of such files.
    #[serde(default)]
    pub candidates: Paths,
    /// Whether the points of structure sets and reports in the input are candidates too.
    #[serde(default)]
    pub points_in_input: bool,
    /// Seconds without a change to any of its files before a series is read.
    #[serde(default = "settle_seconds")]
    pub settle_seconds: u64,
    /// Hours that a series waits for the number of instances that its headers announce.
    #[serde(default = "announced_hours")]
    pub announced_hours: f64,
    /// How far the slices of a DICOM series may deviate from an even grid.
    #[serde(default)]
    pub tolerances: Tolerances,
    /// The region that is cut out around a candidate.
    #[serde(default)]
    pub region: RegionSettings,
    /// Whether mirror images are predicted too and averaged, which takes four times as long.
    #[serde(default)]
    pub flips: bool,
    /// Kinds of files to write for each scan.
    #[serde(default)]
    pub outputs: BTreeSet<OutputKind>,
    /// How outputs are de-identified; without it, they name the patients as they are.
    #[serde(default)]
    pub deidentify: Option<DeidentifySettings>,
    /// Least probability at which a voxel belongs to a nodule.
    #[serde(default = "probability_threshold")]
    pub probability_threshold: f64,
}

/// One path, or several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(from = "OneOrMore")]
pub struct Paths(pub Vec<PathBuf>);

#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "`score.model` is 3, expected text in quotes or a list")]
enum OneOrMore {
    One(PathBuf),
    More(Vec<PathBuf>),
}

impl From<OneOrMore> for Paths {
    fn from(paths: OneOrMore) -> Self {
        match paths {
            OneOrMore::One(path) => Self(vec![path]),
            OneOrMore::More(paths) => Self(paths),
        }
    }
}

/// Settings: `[score.region]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RegionSettings {
    /// Distance between the pixels of a region, as `crop.spacing_mm`.
    pub spacing_mm: Option<f64>,
    /// Value of pixels outside the scan, as `crop.padding_hu`.
    pub padding_hu: i16,
    /// Range of HU that is mapped to 0 to 1, as `crop.window`.
    pub window: Window,
    /// Greatest distance from a candidate to the nearest voxel of its nodule.
    pub reach_mm: f64,
    /// Greatest distance across slices from a candidate to the end of its nodule.
    pub extent_mm: f64,
}

impl Default for RegionSettings {
    fn default() -> Self {
        let crop = crate::stages::crop::Config::default();
        Self {
            spacing_mm: crop.spacing_mm,
            padding_hu: crop.padding_hu,
            window: crop.window,
            // METHOD: chosen; a detector's candidate lies in a nodule or close to it, and another nodule or
            // vessel is seldom nearer.
            reach_mm: 5.0,
            // METHOD: chosen; a nodule is up to 3 cm large, more is a mass (Fleischner Society); 6 cm holds
            // it from any candidate within.
            extent_mm: 30.0,
        }
    }
}

const fn settle_seconds() -> u64 {
    300
}

const fn announced_hours() -> f64 {
    24.0
}

/// METHOD: as `infer.probability_threshold`.
const fn probability_threshold() -> f64 {
    0.5
}

impl ScoreSettings {
    /// Reads the file of a nightly job, then applies `key=value` settings and another folder of the store.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or a setting is not valid.
    pub fn read(path: &Path, sets: &[String], store: Option<&Path>) -> Result<Self, config::Error> {
        let ScoreFile { score: mut settings } = config::section(path, sets)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let own = [&mut settings.input, &mut settings.store];
        let lists = [&mut settings.model.0, &mut settings.candidates.0];
        let key = settings.deidentify.as_mut().map(|deidentify| &mut deidentify.key);
        let paths = own.into_iter().chain(settings.output.as_mut()).chain(key);
        for path in paths.chain(lists.into_iter().flatten()) {
            *path = folder.join(&*path);
        }
        if let Some(store) = store {
            store.clone_into(&mut settings.store);
        }
        settings.check()?;
        Ok(settings)
    }

    /// Folder of the files for each study.
    pub fn output(&self) -> PathBuf {
        self.output.clone().unwrap_or_else(|| self.store.join("output"))
    }

    fn check(&self) -> Result<(), config::Error> {
        let models = self.model.0.len();
        range(models > 0, "score.model", "at least one path", models.to_string())?;
        let hours = self.announced_hours;
        let ok = hours.is_finite() && hours >= 0.0;
        range(ok, "score.announced_hours", "0 or more", hours.to_string())?;
        let threshold = self.probability_threshold;
        let ok = threshold > 0.0 && threshold < 1.0;
        range(ok, "score.probability_threshold", "over 0 and under 1", threshold.to_string())?;
        let region = &self.region;
        if let Some(spacing) = region.spacing_mm {
            let ok = (0.05..=10.0).contains(&spacing);
            range(ok, "score.region.spacing_mm", "from 0.05 to 10", spacing.to_string())?;
        }
        let Window { low_hu, high_hu } = region.window;
        let found = format!("{low_hu} to {high_hu}");
        range(low_hu < high_hu, "score.region.window", "from a lower to a higher value", found)?;
        let reach = region.reach_mm;
        let ok = (0.0..=50.0).contains(&reach);
        range(ok, "score.region.reach_mm", "from 0 to 50", reach.to_string())?;
        let extent = region.extent_mm;
        let ok = extent >= reach && extent <= 500.0;
        range(ok, "score.region.extent_mm", "at least reach_mm and up to 500", extent.to_string())
    }

    /// The settings that results depend on, beside the scan, its candidates and the model.
    pub fn of_results(&self) -> serde_json::Value {
        let Self { tolerances, region, flips, probability_threshold, .. } = self;
        serde_json::json!({
            "tolerances": tolerances,
            "region": region,
            "flips": flips,
            "probability_threshold": probability_threshold,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "[score]\ninput = \"in\"\nstore = \"s\"\nmodel = \"m\"\ncandidates = [\"a.csv\", \"/b\"]\n";

    fn read(text: &str, sets: &[&str]) -> Result<ScoreSettings, config::Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.toml");
        fs_err::write(&path, text).unwrap();
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        let mut settings = ScoreSettings::read(&path, &sets, None)?;
        let below = |path: &PathBuf| path.strip_prefix(folder.path()).map(Path::to_owned);
        settings.input = below(&settings.input).unwrap();
        settings.model.0 = vec![below(&settings.model.0[0]).unwrap()];
        settings.candidates.0[0] = below(&settings.candidates.0[0]).unwrap();
        Ok(settings)
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let settings = read(FILE, &[]).unwrap();
        let paths = [&settings.input, &settings.model.0[0], &settings.candidates.0[0]];
        assert_eq!(paths.map(|p| p.to_str().unwrap()), ["in", "m", "a.csv"]);
        assert_eq!(settings.candidates.0[1], Path::new("/b"));
        assert!(settings.output().ends_with("s/output"));
        assert_eq!((settings.settle_seconds, settings.flips), (300, false));
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_what_was_found() {
        for (set, expected) in [
            ("score.model=[]", "`score.model` must be at least one path, got 0"),
            ("score.probability_threshold=1.0", "must be over 0 and under 1, got 1"),
            ("score.announced_hours=nan", "must be 0 or more, got NaN"),
            ("score.region.extent_mm=4.0", "must be at least reach_mm and up to 500, got 4"),
            ("score.region.window={low_hu=1.0,high_hu=1.0}", "higher value, got 1 to 1"),
            ("score.region.reach_mm=nan", "must be from 0 to 50, got NaN"),
            ("score.settle=1", "unknown key `score.settle`"),
            ("scores.settle=1", "unknown key `scores`: did you mean `score`?"),
            ("score.model=3", "`score.model` is 3, expected text in quotes or a list"),
        ] {
            let error = read(FILE, &[set]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
