//! Where to look: candidates of a detector or a radiologist, from tables, structure sets and reports.

use super::told;
use crate::tables::{foreign, hash};
use nodulus_formats::cohort::files_below;
use nodulus_formats::dicom::{self, Point, PointSet};
use nodulus_formats::luna_csv::{self, read_positions};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// A place in a scan that is to be scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Where it is, LPS.
    pub place_mm: [f64; 3],
    /// The detector's score, where it gave one.
    pub score: Option<f64>,
}

/// A table of candidates could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not there.
    #[error("there is no `{0}`, which `score.candidates` names")]
    Missing(PathBuf),
    /// A CSV file could not be read.
    #[error(transparent)]
    Csv(#[from] luna_csv::Error),
    /// A Parquet file could not be read.
    #[error(transparent)]
    Parquet(#[from] foreign::Error),
    /// A DICOM file could not be read.
    #[error(transparent)]
    Dicom(#[from] dicom::Error),
    /// A structure set or report is of no series.
    #[error("`{0}` names no series that its points are of")]
    NoSeries(PathBuf),
    /// A place is no place.
    #[error("`{path}`, row {row}: {found:?} is no place; expected finite millimetres")]
    Place {
        /// The file.
        path: PathBuf,
        /// The row, from 1.
        row: usize,
        /// What it says.
        found: [f64; 3],
    },
}

/// What there is to score in a scan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OfScan {
    /// Places.
    pub candidates: Vec<Candidate>,
    /// Points of DICOM files, whose places are told by the scan's headers.
    pub points: Vec<Point>,
}

/// Candidates by the series, or the name of an image file, that their file has.
#[derive(Debug, Default)]
pub struct Candidates {
    by_scan: BTreeMap<String, OfScan>,
    /// Files that could not be read, and why: their scans wait.
    pub unreadable: Vec<String>,
}

impl Candidates {
    /// Reads files, and folders of them; a file of a folder that cannot be read is kept as such.
    ///
    /// # Errors
    ///
    /// Fails if a path is not there, or a table named by itself cannot be read.
    pub fn read(paths: &[PathBuf]) -> Result<Self, Error> {
        let mut found = Self::default();
        for path in paths {
            if !path.exists() {
                return Err(Error::Missing(path.clone()));
            }
            if !path.is_dir() {
                found.add(path)?;
                continue;
            }
            for file in files_below(path)?.iter().filter(|file| is_table(file) || is_dicom(file)) {
                if let Err(error) = found.add(file) {
                    found.unreadable.push(told::cause(path, &error));
                }
            }
        }
        Ok(found)
    }

    /// The candidates of a scan, by the first of its names that has some.
    pub fn of<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> OfScan {
        let found = names.into_iter().find_map(|name| self.by_scan.get(name));
        found.cloned().unwrap_or_default()
    }

    /// Adds the points of a structure set or report of the input, for each series that it names; one that cannot be
    /// read is kept as such.
    pub fn add_points(&mut self, input: &Path, path: &Path) {
        if let Err(error) = self.read_points(path) {
            self.unreadable.push(told::cause(input, &error));
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

impl OfScan {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.candidates.is_empty() && self.points.is_empty()
    }

    /// SHA-256 of what there is, in its order.
    pub fn sha256(&self) -> String {
        let place = |c: &Candidate| format!("{:?} {:?}", c.place_mm, c.score);
        let point = |point: &Point| format!("{:?} {:?}", point.position, point.confidence);
        let candidates = self.candidates.iter().map(place);
        let texts: Vec<String> = candidates.chain(self.points.iter().map(point)).collect();
        hash::sha256_parts(texts.iter().map(String::as_str))
    }
}

/// Of a folder's files, those named `.dcm`.
fn is_dicom(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("dcm"))
}

fn is_table(path: &Path) -> bool {
    path.extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("csv") || end.eq_ignore_ascii_case("parquet"))
}

fn read_csv(path: &Path) -> Result<Vec<(String, Candidate)>, Error> {
    let place = |row: luna_csv::Position| {
        let candidate = Candidate { place_mm: row.position_mm, score: row.confidence };
        (row.series_instance_uid, candidate)
    };
    Ok(read_positions(path)?.into_iter().map(place).collect())
}

/// A row of a Parquet table, by this program's names of columns or by LUNA16's.
#[derive(Deserialize)]
struct Row {
    #[serde(alias = "seriesuid")]
    series_instance_uid: String,
    #[serde(alias = "coordX")]
    x_mm: f64,
    #[serde(alias = "coordY")]
    y_mm: f64,
    #[serde(alias = "coordZ")]
    z_mm: f64,
    #[serde(default, alias = "probability")]
    score: Option<f64>,
}

const OWN_NAMES: [&str; 4] = ["series_instance_uid", "x_mm", "y_mm", "z_mm"];
const LUNA16_NAMES: [&str; 4] = ["seriesuid", "coordX", "coordY", "coordZ"];

fn read_parquet(path: &Path) -> Result<Vec<(String, Candidate)>, Error> {
    let read =
        |names: &[&str]| foreign::read_columns::<Row>(path, names, &["score", "probability"]);
    let rows = match read(&LUNA16_NAMES) {
        // Its own names are those that are told of.
        Err(foreign::Error::Missing { .. }) => read(&OWN_NAMES)?,
        other => other?,
    };
    let mut places = Vec::with_capacity(rows.len());
    for (row, at) in (1..).zip(rows) {
        let place_mm = [at.x_mm, at.y_mm, at.z_mm];
        if place_mm.iter().chain(&at.score).any(|mm| !mm.is_finite()) {
            return Err(Error::Place { path: path.to_owned(), row, found: place_mm });
        }
        places.push((at.series_instance_uid, Candidate { place_mm, score: at.score }));
    }
    Ok(places)
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
        let place = |name: &str| folder.path().join(name);
        fs::write(place("a.csv"), "seriesuid,coordX,coordY,coordZ,class\n1.2,1,2,3,1\n").unwrap();
        write(&place("b.parquet"), OWN_NAMES, 9.0);
        write(&place("c.parquet"), LUNA16_NAMES, 8.0);
        fs::write(place("notes.txt"), "").unwrap();
        let paths = [place("a.csv"), place("b.parquet"), place("c.parquet")];
        for found in [Candidates::read(&paths), Candidates::read(&[folder.path().to_owned()])] {
            let found = found.unwrap();
            let xs: Vec<_> =
                found.of(["none", "1.2"]).candidates.iter().map(|c| c.place_mm[0]).collect();
            assert_eq!(xs, [1.0, 9.0, 8.0]);
            assert_eq!(found.of(["1.2"]).candidates[1].score, Some(0.5));
            assert_eq!(found.of(["1.3"]).candidates[0].score, None);
            assert!(found.of(["1.4"]).is_empty() && found.unreadable.is_empty());
        }
        let hash = |candidates: &Candidates| candidates.of(["1.2"]).sha256();
        let [one, other] = [&paths[..1], &paths[..2]].map(|p| Candidates::read(p).unwrap());
        assert_ne!(hash(&one), hash(&other));
    }

    #[test]
    fn a_table_that_cannot_be_read_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        fs::write(place("a.csv"), "seriesuid,coordX,coordY,coordZ\n1.2,1,2,3\n").unwrap();
        write(&place("b.parquet"), OWN_NAMES, f64::NAN);
        write(&place("c.parquet"), ["series", "x_mm", "y_mm", "z_mm"], 0.0);
        let error = |name: &str| Candidates::read(&[place(name)]).unwrap_err().to_string();
        assert!(error("b.parquet").contains("b.parquet`, row 1: [NaN, 2.0, 3.0] is no place"));
        assert!(error("c.parquet").contains("has no column series_instance_uid; found series"));
        assert!(error("d.csv").contains("which `score.candidates` names"));
        let found = Candidates::read(&[folder.path().to_owned()]).unwrap();
        assert_eq!((found.unreadable.len(), found.of(["1.2"]).candidates.len()), (2, 1));
    }
}
