//! Candidates of a detector or a radiologist, from tables, structure sets and reports.

use crate::nightly::redaction::{self, OwnError};
use nodulus_faults::quoted;
use nodulus_formats::cohort::files_below;
use nodulus_formats::dicom::{self, Point, PointPosition, PointSet};
use nodulus_formats::limits::POSITION_MM;
use nodulus_formats::luna_csv::{self, read_positions};
use nodulus_store::{foreign, hash};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// A position in a scan where a nodule may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoduleCandidate {
    /// The position, LPS.
    pub position_mm: [f64; 3],
    /// The detector's confidence, where it gives one.
    pub confidence: Option<f64>,
}

/// Candidates could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("{}", quoted::io(.0))]
    Io(#[from] io::Error),
    /// A path of the settings does not exist.
    #[error(
        "{path} does not exist; correct or create the path that `score.candidates` names",
        path = quoted::path(.0)
    )]
    Missing(PathBuf),
    /// A CSV file could not be read.
    #[error(transparent)]
    Csv(#[from] luna_csv::Error),
    /// A Parquet file could not be read.
    #[error(transparent)]
    Parquet(#[from] nodulus_store::Error),
    /// A DICOM file could not be read.
    #[error(transparent)]
    Dicom(#[from] dicom::Error),
    /// A structure set or report references no series.
    #[error(
        "{path} references no series, expected the series that its points lie in",
        path = quoted::path(.0)
    )]
    NoSeries(PathBuf),
    /// A row has a position beyond its limits, or a score that is not finite.
    #[error(
        "{path}, row {row}: position {found:?}, expected {POSITION_MM} along x, y and z and a finite score",
        path = quoted::path(path)
    )]
    Number {
        /// The file.
        path: PathBuf,
        /// The row, from 1.
        row: usize,
        /// The position.
        found: [f64; 3],
    },
}

impl OwnError for Error {}

/// The candidates of one scan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScanCandidates {
    /// Candidates with a position in the patient.
    pub candidates: Vec<NoduleCandidate>,
    /// Points of DICOM files. Their positions follow from the headers of the scan.
    pub points: Vec<Point>,
}

/// Candidates by series, or by the name of an image file.
#[derive(Debug, Default)]
pub struct CandidateIndex {
    by_scan: BTreeMap<String, ScanCandidates>,
    /// Files that cannot be read, and why. Their scans wait.
    pub unreadable: Vec<String>,
}

impl CandidateIndex {
    /// Reads files and folders of files. A file of a folder that cannot be read goes to `unreadable`.
    ///
    /// # Errors
    ///
    /// Fails if a path does not exist, or a file that is named itself cannot be read.
    pub fn read(paths: &[PathBuf]) -> Result<Self, Error> {
        let mut index = Self::default();
        for path in paths {
            if !path.exists() {
                return Err(Error::Missing(path.clone()));
            }
            if !path.is_dir() {
                index.add(path)?;
                continue;
            }
            for file in files_below(path)?.iter().filter(|file| is_table(file) || is_dicom(file)) {
                if let Err(error) = index.add(file) {
                    index.unreadable.push(redaction::cause(path, &error));
                }
            }
        }
        Ok(index)
    }

    /// The candidates of a scan, by the first of its names that has any.
    pub fn of<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> ScanCandidates {
        let candidates = names.into_iter().find_map(|name| self.by_scan.get(name));
        candidates.cloned().unwrap_or_default()
    }

    /// Adds the points of a structure set or report of the input to each series that it references. A
    /// file that cannot be read goes to `unreadable`.
    pub fn add_points(&mut self, input: &Path, path: &Path) {
        if let Err(error) = self.read_points(path) {
            self.unreadable.push(redaction::cause(input, &error));
        }
    }

    fn read_points(&mut self, path: &Path) -> Result<(), Error> {
        let PointSet { referenced, points, .. } = dicom::read_points(path)?;
        if referenced.series.is_empty() {
            return Err(Error::NoSeries(path.to_owned()));
        }
        for series in referenced.series {
            self.by_scan.entry(series).or_default().points.extend(points.clone());
        }
        Ok(())
    }

    fn add(&mut self, path: &Path) -> Result<(), Error> {
        if is_dicom(path) {
            return self.read_points(path);
        }
        let is_parquet = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("parquet"));
        let rows = if is_parquet { read_parquet(path)? } else { read_csv(path)? };
        for (scan, candidate) in rows {
            self.by_scan.entry(scan).or_default().candidates.push(candidate);
        }
        Ok(())
    }
}

impl ScanCandidates {
    /// Number of them.
    pub fn len(&self) -> usize {
        self.candidates.len() + self.points.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// SHA-256 of the candidates, in their order. Records hold it, so its text must not change.
    pub fn sha256(&self) -> String {
        let candidate = |c: &NoduleCandidate| format!("{:?} {:?}", c.position_mm, c.confidence);
        let point =
            |point: &Point| format!("{} {:?}", point_text(&point.position), point.confidence);
        let candidates = self.candidates.iter().map(candidate);
        let texts: Vec<String> = candidates.chain(self.points.iter().map(point)).collect();
        hash::sha256_parts(texts.iter().map(String::as_str))
    }
}

fn point_text(position: &PointPosition) -> String {
    match position {
        PointPosition::Patient { point_mm, frame_of_reference_uid } => format!(
            "Patient {{ point_mm: {point_mm:?}, frame_of_reference_uid: {frame_of_reference_uid:?} }}"
        ),
        PointPosition::Image { sop_instance_uid, frame, ij } => format!(
            "Image {{ sop_instance_uid: {sop_instance_uid:?}, frame: {frame:?}, ij: {ij:?} }}"
        ),
    }
}

/// Whether a file of a folder is named `.dcm`.
fn is_dicom(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("dcm"))
}

fn is_table(path: &Path) -> bool {
    path.extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("csv") || end.eq_ignore_ascii_case("parquet"))
}

fn read_csv(path: &Path) -> Result<Vec<(String, NoduleCandidate)>, Error> {
    let candidate = |row: luna_csv::Position| {
        let candidate =
            NoduleCandidate { position_mm: row.position_mm, confidence: row.confidence };
        (row.series_instance_uid, candidate)
    };
    Ok(read_positions(path)?.into_iter().map(candidate).collect())
}

/// A row of a Parquet table, by this program's names of columns or by LUNA16's.
#[derive(Deserialize)]
struct CandidateRow {
    #[serde(alias = "seriesuid")]
    series_instance_uid: String,
    #[serde(alias = "coordX")]
    x_mm: f64,
    #[serde(alias = "coordY")]
    y_mm: f64,
    #[serde(alias = "coordZ")]
    z_mm: f64,
    #[serde(default, rename = "score", alias = "probability")]
    confidence: Option<f64>,
}

const OWN_NAMES: [&str; 4] = ["series_instance_uid", "x_mm", "y_mm", "z_mm"];
const LUNA16_NAMES: [&str; 4] = ["seriesuid", "coordX", "coordY", "coordZ"];

fn read_parquet(path: &Path) -> Result<Vec<(String, NoduleCandidate)>, Error> {
    let read = |names: &[&str]| {
        foreign::read_columns::<CandidateRow>(path, names, &["score", "probability"])
    };
    let rows = match read(&LUNA16_NAMES) {
        // The error names this program's own columns.
        Err(nodulus_store::Error::MissingColumns { .. }) => read(&OWN_NAMES)?,
        other => other?,
    };
    let mut candidates = Vec::with_capacity(rows.len());
    for (n, row) in (1..).zip(rows) {
        let position_mm = [row.x_mm, row.y_mm, row.z_mm];
        let is_score = row.confidence.is_none_or(f64::is_finite);
        if !(is_score && POSITION_MM.hold(&position_mm)) {
            return Err(Error::Number { path: path.to_owned(), row: n, found: position_mm });
        }
        let candidate = NoduleCandidate { position_mm, confidence: row.confidence };
        candidates.push((row.series_instance_uid, candidate));
    }
    Ok(candidates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::parquet::arrow::arrow_writer::ArrowWriter;
    use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
    use fs_err as fs;
    use std::sync::Arc;

    fn write(path: &Path, names: [&str; 4], x: f64) {
        let number = |x: f64| Arc::new(Float64Array::from(vec![x, 1.0])) as ArrayRef;
        let series = Arc::new(StringArray::from(vec!["1.2", "1.3"])) as ArrayRef;
        let columns = [series, number(x), number(2.0), number(3.0)];
        let score = Arc::new(Float64Array::from(vec![Some(0.5), None])) as ArrayRef;
        let columns = names.into_iter().zip(columns).chain([("score", score)]);
        let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true)));
        let batch = batch.unwrap();
        let file = fs::File::create(path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    #[test]
    fn tables_of_each_kind_are_read_and_joined() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a.csv"), "seriesuid,coordX,coordY,coordZ,class\n1.2,1,2,3,1\n").unwrap();
        write(&path("b.parquet"), OWN_NAMES, 9.0);
        write(&path("c.parquet"), LUNA16_NAMES, 8.0);
        fs::write(path("notes.txt"), "").unwrap();
        let paths = [path("a.csv"), path("b.parquet"), path("c.parquet")];
        for index in
            [CandidateIndex::read(&paths), CandidateIndex::read(&[folder.path().to_owned()])]
        {
            let index = index.unwrap();
            let xs: Vec<_> =
                index.of(["none", "1.2"]).candidates.iter().map(|c| c.position_mm[0]).collect();
            assert_eq!(xs, [1.0, 9.0, 8.0]);
            assert_eq!(index.of(["1.2"]).candidates[1].confidence, Some(0.5));
            assert_eq!(index.of(["1.3"]).candidates[0].confidence, None);
            assert!(index.of(["1.4"]).is_empty() && index.unreadable.is_empty());
        }
        let hash = |candidates: &CandidateIndex| candidates.of(["1.2"]).sha256();
        let [one, other] = [&paths[..1], &paths[..2]].map(|p| CandidateIndex::read(p).unwrap());
        assert_ne!(hash(&one), hash(&other));
    }

    #[test]
    fn a_table_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a.csv"), "seriesuid,coordX,coordY,coordZ\n1.2,1,2,3\n").unwrap();
        write(&path("b.parquet"), OWN_NAMES, f64::NAN);
        write(&path("c.parquet"), ["series", "x_mm", "y_mm", "z_mm"], 0.0);
        let error = |name: &str| CandidateIndex::read(&[path(name)]).unwrap_err().to_string();
        assert!(
            error("b.parquet")
                .contains("b.parquet`, row 1: position [NaN, 2.0, 3.0], expected -1000000 to")
        );
        assert!(error("c.parquet").contains("has no column series_instance_uid; found series"));
        assert!(error("d.csv").contains("that `score.candidates` names"));
        let index = CandidateIndex::read(&[folder.path().to_owned()]).unwrap();
        assert_eq!((index.unreadable.len(), index.of(["1.2"]).candidates.len()), (2, 1));
    }

    #[test]
    fn hashes_of_points_stay() {
        let patient =
            PointPosition::Patient { point_mm: [1.0, 2.5, -3.0], frame_of_reference_uid: None };
        let ij = [1.5, 2.0];
        let image = PointPosition::Image { sop_instance_uid: "1.2".to_owned(), frame: Some(3), ij };
        for position in [patient, image] {
            assert_eq!(point_text(&position), format!("{position:?}"));
        }
    }
}
