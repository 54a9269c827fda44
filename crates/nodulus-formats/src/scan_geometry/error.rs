//! Why a table of scan geometry could not be read or written.

use super::InPlaneError;
use crate::volume::SlicesError;
use ::parquet::errors::ParquetError;
use arrow::error::ArrowError;
use std::io;
use std::path::PathBuf;

/// A table of scan geometry could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened, or is not compressed as its name says.
    #[error("cannot read `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file's name is that of no format.
    #[error(
        "`{0}` is not named like a table of scan geometry, expected .csv, .csv.xz, .csv.gz or .parquet"
    )]
    Format(PathBuf),
    /// A column is missing.
    #[error("`{path}` is not a table of scan geometry: column {column} is missing{near}")]
    Missing {
        /// The file.
        path: PathBuf,
        /// Name of the column.
        column: &'static str,
        /// A near name of the file, as in "; rename `patient`"; empty where there is none.
        near: String,
    },
    /// The file is not valid CSV.
    #[error("`{path}` is not a table of scan geometry")]
    Csv {
        /// The file.
        path: PathBuf,
        /// The cause, with line and column.
        source: csv::Error,
    },
    /// The file is not valid Parquet.
    #[error("cannot read `{path}` as Parquet")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: ParquetError,
    },
    /// A row group is damaged.
    #[error("cannot read `{path}` as Parquet")]
    Arrow {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: ArrowError,
    },
    /// A Parquet file lacks a column, or one has another type.
    #[error("`{path}` is not a table of scan geometry")]
    Columns {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Box<serde_arrow::Error>,
    },
    /// A value is not allowed.
    #[error("`{path}`, row {row}: {column} is {found}, expected {expected}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The row, from 1, without the header line.
        row: usize,
        /// Name of the column.
        column: &'static str,
        /// The value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The heights or the spacing do not make up slices.
    #[error("`{path}`, row {row}: z_positions_mm and pixel_spacing_mm do not make up slices")]
    Slices {
        /// The file.
        path: PathBuf,
        /// The row, from 1, without the header line.
        row: usize,
        /// The cause.
        source: SlicesError,
    },
    /// A row has some of the columns of the place, and not all.
    #[error(
        "`{path}`, row {row}: {column} is missing, expected origin_x_mm, origin_y_mm and direction together, or none of them"
    )]
    PartOfPlace {
        /// The file.
        path: PathBuf,
        /// The row, from 1, without the header line.
        row: usize,
        /// Name of the column that is missing.
        column: &'static str,
    },
    /// The place of the slices is none.
    #[error("`{path}`, row {row}: origin_x_mm, origin_y_mm and direction place no slices")]
    Place {
        /// The file.
        path: PathBuf,
        /// The row, from 1, without the header line.
        row: usize,
        /// The cause.
        source: InPlaneError,
    },
    /// A folder has no header.
    #[error(
        "`{0}` is a folder without .mhd headers, expected those of the scans, or a table of scan geometry"
    )]
    NoHeaders(PathBuf),
    /// A header places no axial slices.
    #[error("`{path}` does not place axial slices")]
    Header {
        /// The header.
        path: PathBuf,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Two headers have the name of one series.
    #[error(
        "`{path}`: another header is named {series} too, expected one header for each series; remove one of them"
    )]
    TwoHeaders {
        /// The second header.
        path: PathBuf,
        /// The series.
        series: String,
    },
    /// A series is listed twice.
    #[error("`{path}`, row {row}: series {series} is listed twice")]
    Twice {
        /// The file.
        path: PathBuf,
        /// The row, from 1, without the header line.
        row: usize,
        /// The series.
        series: String,
    },
}
