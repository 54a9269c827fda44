//! Writes tables of scan geometry as CSV.

use super::{COLUMNS, Error};
use fs_err::File;
use serde::Serialize;
use std::path::Path;

/// A row of a table to be written.
#[derive(Clone, Debug, Serialize)]
pub struct NewScanGeometry<'a> {
    /// The series.
    pub series_instance_uid: &'a str,
    /// The study.
    pub study_instance_uid: &'a str,
    /// The patient.
    pub patient_id: &'a str,
    /// DICOM `SliceThickness`.
    pub slice_thickness_mm: f64,
    /// Spacing of columns and rows.
    pub pixel_spacing_mm: f64,
    /// Heights of the slices, with spaces between them.
    pub z_positions_mm: String,
}

/// Writes a table of scan geometry as CSV.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub fn write_csv(path: &Path, rows: &[NewScanGeometry<'_>]) -> Result<(), Error> {
    let wrong = |source| Error::Csv { path: path.to_owned(), source };
    let io = |source| Error::Io { path: path.to_owned(), source };
    // The header is written here, so that a table without rows has it too.
    let file = File::create(path).map_err(io)?;
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(file);
    writer.write_record(COLUMNS).map_err(wrong)?;
    for row in rows {
        writer.serialize(row).map_err(wrong)?;
    }
    writer.flush().map_err(io)
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use crate::volume::Slices;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g.csv");
        let slices = Slices::at_heights(None, [0.7; 2], vec![0.0, 2.5, 5.0]).unwrap();
        let row = NewScanGeometry {
            series_instance_uid: "1.2",
            study_instance_uid: "1.1",
            patient_id: "p",
            slice_thickness_mm: 2.5,
            pixel_spacing_mm: 0.7,
            z_positions_mm: "0 2.5 5".to_owned(),
        };
        write_csv(&path, &[row]).unwrap();
        assert_eq!(read(&path).unwrap()["1.2"].slices, slices);
        write_csv(&path, &[]).unwrap();
        assert!(read(&path).unwrap().is_empty());
    }
}
