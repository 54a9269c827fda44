//! One file of candidates: a table, a list of series, a structure set or a report.

use super::candidates::NoduleCandidate;
use crate::nightly::redaction::OwnError;
use nodulus_faults::fs;
use nodulus_faults::quoted;
use nodulus_formats::dicom::{self, Examined, Point, PointSet};
use nodulus_formats::limits::POSITION_MM;
use nodulus_formats::luna_csv::{self, read_ended_series_uids, read_positions};
use nodulus_formats::uid;
use nodulus_store::foreign;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Candidates could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("{}", quoted::io(.0))]
    Io(#[from] io::Error),
    /// A path of the settings does not exist.
    #[error(
        "{path} does not exist; mount or create it, or correct the path that `score.candidates` names",
        path = quoted::path(.0)
    )]
    Missing(PathBuf),
    /// The files of earlier nights are gone.
    #[error(
        "`score.candidates` holds no table, structure set or report, and {n_scored} series were scored before; mount or restore \
         it, or set `score.allow_empty = true` if it may be empty"
    )]
    Vanished {
        /// Series that have a result.
        n_scored: usize,
    },
    /// A CSV file, or a row of it, could not be read.
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
    /// A structure set or report without findings does not say where none was found.
    #[error(
        "{path} has no finding, and does not tell in which series none was found: {why}; write it again, or say so by a table with a \
         header alone whose name is that of the series",
        path = quoted::path(path)
    )]
    Unexamined {
        /// The file.
        path: PathBuf,
        /// Why it does not tell.
        why: String,
    },
    /// A finding of a report, or a region, has no point.
    #[error(
        "{path}: {part} is a finding without a point, or a text that may tell of one, expected a POINT of SCOORD3D or SCOORD, or contours; write its position, or \
         leave the finding out",
        path = quoted::path(path)
    )]
    WithoutPoint {
        /// The file.
        path: PathBuf,
        /// The content item or the region, by its number.
        part: String,
    },
    /// What is wrong with a row cannot be placed.
    #[error(
        "{0}; whose row it is cannot be told, so that no row of the file counts: write the file again, or correct the row"
    )]
    Unplaced(Box<Self>),
    /// A row of a Parquet table lacks a series or a coordinate.
    #[error("{path}, row {row}: {column} is missing", path = quoted::path(path))]
    Null {
        /// The file.
        path: PathBuf,
        /// The row, from 1.
        row: usize,
        /// Name of the column.
        column: &'static str,
    },
    /// A row has a position beyond its limits, or a score that is not finite.
    #[error(
        "{path}, row {row}: position {found}, expected {POSITION_MM} along x, y and z and a finite score",
        path = quoted::path(path),
        found = quoted::numbers(found)
    )]
    Number {
        /// The file.
        path: PathBuf,
        /// The row, from 1.
        row: usize,
        /// The position.
        found: [f64; 3],
    },
    /// A row names its series by a text that is no UID.
    #[error(
        "{path}{place}: the series is {found:?}, expected a UID of digits and dots",
        path = quoted::path(path),
        found = quoted::text(found)
    )]
    SeriesUid {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        place: RowPlace,
        /// The text.
        found: String,
    },
}

impl OwnError for Error {}

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct CandidateFile {
    pub(super) rows: Vec<FileRow>,
    /// Scans that a detector looked at; those without rows have no candidates.
    pub(super) stated: Vec<String>,
    /// Whether it is a list of such scans, and its detector's candidates are in other files.
    pub(super) is_list: bool,
    /// Why it says nothing.
    pub(super) doubt: Option<Error>,
}

/// Where a row stands in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowPlace {
    /// A line, from 1.
    Line(usize),
    /// A row of a Parquet table, from 1.
    Row(usize),
    /// A point of a DICOM file, or a finding that has none, counted from 0. Each series that the file references has it.
    Point(usize),
}

impl fmt::Display for RowPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(n) => write!(f, ", line {n}"),
            Self::Row(n) => write!(f, ", row {n}"),
            Self::Point(_) => Ok(()),
        }
    }
}

/// A row of a table, or a point.
#[derive(Debug)]
pub(super) struct FileRow {
    pub(super) place: RowPlace,
    /// The series, or the name of an image file; empty if the row has none.
    pub(super) scan: String,
    pub(super) found: Result<FoundCandidate, Error>,
}

/// A candidate of a file.
#[derive(Debug)]
pub(super) enum FoundCandidate {
    Position(NoduleCandidate),
    Point(Point),
}

impl CandidateFile {
    /// Whether a file of a folder is read, by the end of its name.
    pub(super) fn may_be(path: &Path) -> bool {
        ["csv", "parquet", "dcm"].iter().any(|end| has_end(path, end))
    }

    /// Reads a file. What is wrong with a row concerns the series that it names; a line that is cut off within the name makes
    /// the file unreadable, as any series may lack rows.
    ///
    /// METHOD: detectors state in three ways that they looked at a scan and found nothing: by a table with a header alone
    /// whose name is that of the scan, by LUNA16's list of the series that were processed, and by a report without findings.
    /// A table that has just changed may still get rows.
    pub(super) fn read(path: &Path, settled: SystemTime) -> Result<Self, Error> {
        if has_end(path, "dcm") {
            return Self::read_points(path);
        }
        let rows = if has_end(path, "parquet") {
            read_parquet(path)?
        } else {
            match read_positions(path) {
                Err(luna_csv::Error::Columns { line, .. }) if uid::is_uid(line.trim()) => {
                    let stated = read_ended_series_uids(path)?;
                    return Ok(Self { stated, is_list: true, ..Self::default() });
                }
                rows => rows?.into_iter().map(of_csv).collect::<Result<_, _>>()?,
            }
        };
        let is_settled = fs::metadata(path)?.modified()? <= settled;
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned());
        let stated = name.filter(|_| rows.is_empty() && is_settled).into_iter().collect();
        Ok(Self { rows, stated, ..Self::default() })
    }

    /// Reads a structure set or a report. One without any mark and any finding states that the series that was examined has no
    /// candidates; a finding without a point is a malformed row.
    pub(super) fn read_points(path: &Path) -> Result<Self, Error> {
        let set = dicom::read_points(path)?;
        let PointSet { referenced, points, skipped, without_point, examined, .. } = set;
        if referenced.series.is_empty() {
            return Err(Error::NoSeries(path.to_owned()));
        }
        let mut file = Self::default();
        if points.is_empty() && skipped.is_empty() && without_point.is_empty() {
            match examined {
                Examined::Series(series) => file.stated.push(series),
                Examined::Unknown(why) => {
                    file.doubt = Some(Error::Unexamined { path: path.to_owned(), why });
                }
            }
        }
        for series in referenced.series {
            let of_points = points.iter().map(|point| Ok(FoundCandidate::Point(point.clone())));
            let others = without_point
                .iter()
                .map(|part| Err(Error::WithoutPoint { path: path.to_owned(), part: part.clone() }));
            let rows = of_points.chain(others).enumerate();
            file.rows.extend(rows.map(|(n, found)| FileRow {
                place: RowPlace::Point(n),
                scan: series.clone(),
                found,
            }));
        }
        Ok(file)
    }

    /// The number of its rows; a point is one, however many series its file references.
    pub(super) fn n_rows(&self) -> usize {
        self.rows.iter().map(|row| row.place).collect::<BTreeSet<_>>().len()
    }

    /// The first finding without a point, if no finding has one.
    pub(super) fn without_points(mut self) -> Result<Self, Error> {
        if self.rows.iter().any(|row| row.found.is_ok()) {
            return Ok(self);
        }
        match std::mem::take(&mut self.rows).into_iter().find_map(|row| row.found.err()) {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }
}

/// Whether a file's name ends so.
fn has_end(path: &Path, end: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(end))
}

fn of_csv(row: luna_csv::PositionRow) -> Result<FileRow, Error> {
    let place = RowPlace::Line(row.line);
    match (row.position, row.series_instance_uid) {
        (Ok(position), _) => {
            let luna_csv::Position { series_instance_uid, position_mm, confidence } = position;
            let candidate = NoduleCandidate { position_mm, confidence };
            let found = Ok(FoundCandidate::Position(candidate));
            Ok(FileRow { place, scan: series_instance_uid, found })
        }
        (Err(error), Some(scan)) => Ok(FileRow { place, scan, found: Err(error.into()) }),
        (Err(error), None) => Err(Error::Unplaced(Box::new(error.into()))),
    }
}

/// A row of a Parquet table, by this program's names of columns or by LUNA16's.
#[derive(Deserialize)]
struct CandidateRow {
    #[serde(alias = "seriesuid")]
    series_instance_uid: Option<String>,
    #[serde(alias = "coordX")]
    x_mm: Option<f64>,
    #[serde(alias = "coordY")]
    y_mm: Option<f64>,
    #[serde(alias = "coordZ")]
    z_mm: Option<f64>,
    #[serde(default, rename = "score", alias = "probability")]
    confidence: Option<f64>,
}

const OWN_NAMES: [&str; 4] = ["series_instance_uid", "x_mm", "y_mm", "z_mm"];
const LUNA16_NAMES: [&str; 4] = ["seriesuid", "coordX", "coordY", "coordZ"];

fn read_parquet(path: &Path) -> Result<Vec<FileRow>, Error> {
    let read = |names: &[&str]| {
        foreign::read_columns::<CandidateRow>(path, names, &["score", "probability"])
    };
    let (rows, names) = match read(&LUNA16_NAMES) {
        // The error names this program's own columns.
        Err(nodulus_store::Error::MissingColumns { .. }) => (read(&OWN_NAMES)?, OWN_NAMES),
        other => (other?, LUNA16_NAMES),
    };
    let rows = (1..).zip(rows);
    Ok(rows.map(|(n, row)| of_parquet(path, n, names, row)).collect())
}

fn of_parquet(path: &Path, row: usize, names: [&'static str; 4], values: CandidateRow) -> FileRow {
    let CandidateRow { series_instance_uid, x_mm, y_mm, z_mm, confidence } = values;
    let missing = |column| Error::Null { path: path.to_owned(), row, column };
    let found = match (x_mm, y_mm, z_mm) {
        (Some(x), Some(y), Some(z)) => {
            let position_mm = [x, y, z];
            if confidence.is_none_or(f64::is_finite) && POSITION_MM.hold(&position_mm) {
                Ok(FoundCandidate::Position(NoduleCandidate { position_mm, confidence }))
            } else {
                Err(Error::Number { path: path.to_owned(), row, found: position_mm })
            }
        }
        (None, ..) => Err(missing(names[1])),
        (_, None, _) => Err(missing(names[2])),
        (.., None) => Err(missing(names[3])),
    };
    let scan = series_instance_uid.unwrap_or_default();
    FileRow { place: RowPlace::Row(row), scan, found }
}
