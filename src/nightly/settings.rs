//! Settings of a nightly job: its file has one section, `[score]`.

use super::deliver::OutputKind;
use super::identity::{DeidentifySettings, FileKey};
use super::redaction::PrivateFolder;
use super::send::settings::DestinationSettings;
use crate::pipeline::config::{self, FileKind};
use crate::stages::crop::{self, Window};
use crate::stages::ingest::Inclusion;
use nodulus_formats::dicom::Tolerances;
use nodulus_imaging::components::{ComponentRule, REACH_MM};
use nodulus_settings::{Fault, Set};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
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
#[expect(clippy::struct_excessive_bools, reason = "independent settings")]
pub struct ScoreSettings {
    /// Folder that scans arrive in. nodulus never writes to it.
    #[schemars(length(min = 1), extend("examples" = ["incoming"]))]
    pub input: PathBuf,
    /// Folder of the store, which holds the records and tables of scored scans.
    #[schemars(length(min = 1), extend("examples" = ["store/score"]))]
    pub store: PathBuf,
    /// Folder of the files for each study; without it, `output` in the store.
    #[serde(default)]
    #[schemars(length(min = 1), extend("examples" = ["results"]))]
    pub output: Option<PathBuf>,
    /// Model that scores: a checkpoint's folder, a weights file, or a store for its current weights. The
    /// probabilities of several are averaged.
    #[schemars(extend("examples" = ["store/demo"]))]
    pub model: Paths,
    /// Candidates to score: CSV files like LUNA16's, Parquet tables, structure sets and reports (`.dcm`), or
    /// folders of such files.
    #[serde(default)]
    #[schemars(extend("examples" = ["candidates.csv"]))]
    pub candidates: Paths,
    /// Whether the points of structure sets and reports in the input are candidates too.
    #[serde(default)]
    pub points_in_input: bool,
    /// Whether `input` may hold no series and `candidates` no file although earlier nights had some. Otherwise the job ends
    /// with an error, because a disk may not be mounted.
    #[serde(default)]
    pub allow_empty: bool,
    /// Seconds without a change to any of its files before a series is read.
    #[serde(default = "settle_seconds")]
    #[schemars(range(max = 31_536_000))]
    pub settle_seconds: u64,
    /// Hours that a series waits for the number of instances that its headers announce.
    #[serde(default = "announced_hours")]
    #[schemars(range(min = 0, max = 1e6))]
    pub announced_hours: f64,
    /// How far the slices of a DICOM series may deviate from an even grid.
    #[serde(default)]
    pub tolerances: Tolerances,
    /// Rules by which scans are excluded, as `ingest.inclusion`. `thinnest_of_study` needs a whole study, and is refused.
    #[serde(default)]
    pub inclusion: Inclusion,
    /// The region that is cut out around a candidate.
    #[serde(default)]
    pub region: RegionSettings,
    /// Whether mirror images are predicted too and averaged, which takes four times as long.
    #[serde(default)]
    pub flips: bool,
    /// Kinds of files to write for each scan.
    #[serde(default)]
    #[schemars(extend("examples" = [["seg"]]))]
    pub outputs: BTreeSet<OutputKind>,
    /// Whether scans of patients that the model was trained or validated on are scored; tables, files and messages then
    /// say so. `--allow-training-patients` sets it.
    #[serde(default)]
    pub allow_training_patients: bool,
    /// Whether regions may have another window, padding or pixel spacing than the model was trained with; tables,
    /// files and messages then say so.
    #[serde(default)]
    pub allow_other_preprocessing: bool,
    /// How outputs are de-identified; without it, they name the patients as they are.
    #[serde(default)]
    pub deidentify: Option<DeidentifySettings>,
    /// Archives that DICOM objects are sent to, each with a name; needs a program that is built with the feature `deliver`.
    #[serde(default)]
    pub deliver: BTreeMap<String, DestinationSettings>,
    /// File with the figures of the last run for Prometheus' `node_exporter`; its name ends in `.prom`.
    #[serde(default)]
    #[schemars(length(min = 1), extend("examples" = ["/var/lib/prometheus/node-exporter/nodulus.prom"]))]
    pub prometheus: Option<PathBuf>,
    /// Least probability at which a voxel belongs to a nodule.
    #[serde(default = "probability_threshold")]
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub probability_threshold: f64,
    /// Components that a candidate's mask keeps, as `infer.component`.
    #[serde(default = "component")]
    pub component: ComponentRule,
    /// The key of the redacted names of files, once a run has read that of pseudonyms.
    #[serde(skip)]
    pub(super) file_key: Option<FileKey>,
}

/// One path, or several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(from = "OneOrMore")]
pub struct Paths(pub Vec<PathBuf>);

#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected text in quotes or a list of it")]
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
    /// Distance between the pixels of a region, as `crop.spacing_mm`; without it, that of the model.
    #[schemars(range(min = 0.05, max = 10))]
    pub spacing_mm: Option<f64>,
    /// Value of pixels outside the scan, as `crop.padding_hu`; without it, that of the model.
    #[schemars(extend("examples" = [-1000]))]
    pub padding_hu: Option<i16>,
    /// Range of HU that is mapped to 0 to 1, as `crop.window`; without it, that of the model.
    pub window: Option<Window>,
    /// Greatest distance from a candidate to the nearest voxel of its nodule, as `infer.reach_mm`.
    #[schemars(range(min = 0, max = 50))]
    pub reach_mm: f64,
    /// Greatest distance across slices from a candidate to the end of its nodule.
    #[schemars(range(min = 0, max = 500))]
    pub extent_mm: f64,
}

impl RegionSettings {
    /// Value of pixels outside the scan.
    pub fn padding_hu(&self) -> i16 {
        self.padding_hu.unwrap_or(crop::Config::default().padding_hu())
    }

    /// Range of HU that is mapped to 0 to 1.
    pub fn window(&self) -> Window {
        self.window.unwrap_or_default()
    }
}

impl Default for RegionSettings {
    fn default() -> Self {
        Self {
            spacing_mm: None,
            padding_hu: None,
            window: None,
            reach_mm: REACH_MM,
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

/// METHOD: as `infer.component`, so that what is evaluated is what is delivered.
const fn component() -> ComponentRule {
    ComponentRule::Centre
}

impl ScoreSettings {
    /// Reads the file of a nightly job, then applies `key=value` settings and another folder of the store.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or a setting is not valid.
    pub fn read(path: &Path, sets: &[String], store: Option<&Path>) -> Result<Self, config::Error> {
        let mut file = config::open(path, FileKind::Nightly)?;
        let ScoreFile { score: mut settings } = file.read(&Set::options(sets))?;
        settings.check().map_err(|fault| file.locate(&fault))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let own = [&mut settings.input, &mut settings.store];
        let lists = [&mut settings.model.0, &mut settings.candidates.0];
        let key = settings.deidentify.as_mut().map(|deidentify| &mut deidentify.key);
        let figures = settings.prometheus.as_mut();
        let secrets = settings.deliver.values_mut().flat_map(DestinationSettings::paths_mut);
        let paths = own.into_iter().chain(settings.output.as_mut()).chain(key);
        let paths = paths.chain(figures).chain(secrets);
        for path in paths.chain(lists.into_iter().flatten()) {
            *path = folder.join(&*path);
        }
        if let Some(store) = store {
            store.clone_into(&mut settings.store);
        }
        Ok(settings)
    }

    /// The input, whose files may be named after patients.
    pub(super) fn private_input(&self) -> PrivateFolder<'_> {
        PrivateFolder { path: &self.input, key: self.file_key.as_ref() }
    }

    /// Folder of the files for each study.
    pub fn output(&self) -> PathBuf {
        self.output.clone().unwrap_or_else(|| self.store.join("output"))
    }

    /// What no single key shows.
    fn check(&self) -> Result<(), Fault> {
        let paths = &self.model.0;
        if paths.is_empty() || paths.iter().any(|path| path.as_os_str().is_empty()) {
            let key = "score.model";
            let message =
                "`score.model` names no path, expected one or more, as in `model = \"store/demo\"`";
            return Err(Fault::new(key, message));
        }
        let RegionSettings { window, reach_mm, extent_mm, .. } = self.region;
        if let Some(window) = window {
            config::check_window("score.region.window", window)?;
        }
        if extent_mm < reach_mm {
            let message = format!(
                "`score.region.extent_mm` is {extent_mm}, expected at least `score.region.reach_mm`, which is {reach_mm}"
            );
            let fault = Fault::new("score.region.extent_mm", message);
            return Err(fault.or("score.region.reach_mm"));
        }
        if self.outputs.contains(&OutputKind::Sr) && !self.outputs.contains(&OutputKind::Seg) {
            let key = "score.outputs";
            let message = "`score.outputs` has \"sr\" without \"seg\", expected both: the report refers to the segments of \
                           the segmentation; add \"seg\"";
            return Err(Fault::new(key, message));
        }
        if self.inclusion.thinnest_of_study {
            let key = "score.inclusion.thinnest_of_study";
            let message = format!(
                "`{key}` is true, expected false: scans arrive one at a time, and a thinner one may come later; \
                 `score.inclusion.max_slice_thickness_mm` excludes thick ones"
            );
            return Err(Fault::new(key, message));
        }
        if let Some(path) = &self.prometheus
            && path.extension().is_none_or(|extension| extension != "prom")
        {
            let key = "score.prometheus";
            let found = path.display();
            let message = format!(
                "`{key}` is `{found}`, expected a file whose name ends in `.prom`, as in `prometheus = \"nodulus.prom\"`: \
                 node_exporter reads no other"
            );
            return Err(Fault::new(key, message));
        }
        for (name, destination) in &self.deliver {
            destination.check(name, &self.outputs)?;
        }
        Ok(())
    }

    /// The settings that decide which voxels a nodule's mask has, beside the scan, its candidate and the model.
    pub fn of_masks(&self) -> serde_json::Value {
        let Self { region, flips, probability_threshold, component, .. } = self;
        serde_json::json!([region, flips, probability_threshold, component])
    }

    /// The settings that results depend on, beside the scan, its candidates and the model.
    pub fn of_results(&self) -> serde_json::Value {
        let Self { tolerances, inclusion, region, flips, probability_threshold, component, .. } =
            self;
        serde_json::json!({
            "tolerances": tolerances,
            "inclusion": inclusion,
            "region": region,
            "flips": flips,
            "probability_threshold": probability_threshold,
            "component": component,
            "allow_training_patients": self.allow_training_patients,
            "allow_other_preprocessing": self.allow_other_preprocessing,
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
            (
                "score.model=[]",
                "`score.model` names no path, expected one or more, as in `model = \"store/demo\"`",
            ),
            ("score.model=[\"\"]", "`score.model` names no path"),
            (
                "score.probability_threshold=1.0",
                "`score.probability_threshold` is 1, expected a number over 0 and under 1, as in",
            ),
            (
                "score.announced_hours=nan",
                "`score.announced_hours` is nan, expected a number from 0 to 1000000",
            ),
            (
                "score.region.extent_mm=4.0",
                "`score.region.extent_mm` is 4, expected at least `score.region.reach_mm`, which is 5",
            ),
            (
                "score.region.window={low_hu=1.0,high_hu=1.0}",
                "`score.region.window` is from 1 to 1 HU, expected `low_hu` under `high_hu`",
            ),
            (
                "score.region.window={low_hu=-inf,high_hu=1.0}",
                "`score.region.window.low_hu` is -inf, expected",
            ),
            (
                "score.region.reach_mm=nan",
                "`score.region.reach_mm` is nan, expected a number from 0 to 50",
            ),
            (
                "score.tolerances.slice_gap=-1",
                "`score.tolerances.slice_gap` is -1, expected a number from 0",
            ),
            ("score.settle=1", "unknown key `score.settle`"),
            ("scores.settle=1", "unknown key `scores`: did you mean `score`?"),
            (
                "score.model=3",
                "`score.model` is 3, expected text in quotes or a list of texts in quotes, as in \
                 `model = \"store/demo\"`",
            ),
            (
                "score.outputs=seg",
                "`score.outputs` is \"seg\", expected a list of \"seg\", \"rtstruct\", \"sr\", \"sc\", \"rejection\", \"nifti\", \"png\" or \"json\", as in \
                 `outputs = [\"seg\"]`",
            ),
            (
                "score.outputs=[\"sr\",\"json\"]",
                "`score.outputs` has \"sr\" without \"seg\", expected both",
            ),
            ("score.outputs=[\"x\"]", "`score.outputs.0` is \"x\", expected \"seg\""),
            ("nonsense", "expected key=value, as in `--set score."),
        ] {
            let error = read(FILE, &[set]).unwrap_err().to_string();
            assert!(error.contains(&format!("`--set {set}`: {expected}")), "{error}");
        }
        let text = FILE.replace("model = \"m\"", "model = []");
        let error = read(&text, &[]).unwrap_err().to_string();
        assert!(error.contains("s.toml:4:9: `score.model` names no path"), "{error}");
        let error =
            read("store = \"s\"\n[[ingest.cohorts]]\nname = \"a\"\n", &[]).unwrap_err().to_string();
        assert!(error.contains("s.toml: this is a pipeline file: use `nodulus run "), "{error}");
    }
}
