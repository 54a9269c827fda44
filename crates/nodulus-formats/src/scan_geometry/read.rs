//! Reads tables of scan geometry from CSV and Parquet.

use super::{COLUMNS, Error, InPlane, PLACE_COLUMNS, ScanGeometries, ScanGeometry, headers};
use crate::archive::{MAX_RATIO, XZ_MEMORY_KIB};
use crate::bounded_reader::BoundedReader;
use crate::limits::{MOST_VOXELS_ALONG, POSITION_MM, SPACING_MM};
use crate::volume::Slices;
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::errors::ParquetError;
use flate2::read::MultiGzDecoder;
use fs_err::File;
use lzma_rust2::XzReader;
use nodulus_faults::caught;
use nodulus_settings::near_names;
use parquet::file::metadata::RowGroupMetaData;
use serde::Deserialize;
use std::io::{BufReader, Read};
use std::path::Path;

/// Most bytes that a table unpacks to: four times one of 100,000 scans of 300 slices.
const MAX_BYTES: u64 = 1 << 30;

/// What a table of any size may unpack to.
const SMALL_BYTES: u64 = 64 << 20;

/// A row of the file.
#[derive(Debug, Deserialize)]
struct GeometryRow {
    series_instance_uid: String,
    study_instance_uid: Option<String>,
    patient_id: Option<String>,
    slice_thickness_mm: Option<f64>,
    pixel_spacing_mm: f64,
    z_positions_mm: Vec<f64>,
    #[serde(default)]
    origin_x_mm: Option<f64>,
    #[serde(default)]
    origin_y_mm: Option<f64>,
    #[serde(default)]
    direction: Option<Vec<f64>>,
}

/// Reads a table of scan geometry, or a folder of MetaImage headers; a table without rows has no series.
///
/// # Errors
///
/// Fails if the file cannot be read or lacks a column, or if a row is invalid: a spacing, thickness or height beyond its
/// [limit](crate::limits), fewer than two heights, a value that is not a number, a series that is listed twice; or if the
/// file unpacks to too much: `SECURITY.md` has the limits.
pub fn read(path: &Path) -> Result<ScanGeometries, Error> {
    if path.is_dir() {
        return headers::read(path);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let mut extensions = name.rsplit('.');
    let (last, before) = (extensions.next(), extensions.next());
    if last == Some("parquet") {
        return read_parquet(path);
    }
    let io = |source| Error::Io { path: path.to_owned(), source };
    let open = || File::open(path).map(BufReader::new).map_err(io);
    let unpacked = |reader: &mut dyn Read| {
        let most = most_bytes(path.metadata().map_err(io)?.len());
        read_csv(path, BoundedReader::new(reader, most))
    };
    match (before, last) {
        (_, Some("csv")) => read_csv(path, BoundedReader::new(open()?, u64::MAX)),
        (Some("csv"), Some("xz")) => {
            unpacked(&mut XzReader::new_mem_limit(open()?, true, XZ_MEMORY_KIB))
        }
        (Some("csv"), Some("gz")) => unpacked(&mut MultiGzDecoder::new(open()?)),
        _ => Err(Error::Format(path.to_owned())),
    }
}

/// Most bytes that a file of so many may unpack to.
fn most_bytes(length: u64) -> u64 {
    length.saturating_mul(MAX_RATIO).clamp(SMALL_BYTES, MAX_BYTES)
}

fn read_csv(path: &Path, reader: impl Read) -> Result<ScanGeometries, Error> {
    let wrong = |source| Error::Csv { path: path.to_owned(), source };
    let mut geometries = ScanGeometries::new();
    let mut rows = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(reader);
    // A table without rows must have its columns: an empty file is not an empty cohort.
    let names = rows.headers().map_err(wrong)?.clone();
    let mut columns = [0; COLUMNS.len()];
    for (index, column) in columns.iter_mut().zip(COLUMNS) {
        *index = names.iter().position(|name| name == column).ok_or_else(|| {
            let others = names.iter().filter(|name| !COLUMNS.contains(name));
            let near = near_names(column, others).first().map(|name| format!("; rename `{name}`"));
            Error::Missing { path: path.to_owned(), column, near: near.unwrap_or_default() }
        })?;
    }
    let place = PLACE_COLUMNS.map(|column| names.iter().position(|name| name == column));
    for (n, row) in rows.into_records().enumerate() {
        let row = row.map_err(wrong)?;
        let values = columns.map(|index| row.get(index).unwrap_or_default());
        let place = place.map(|index| index.and_then(|index| row.get(index)).unwrap_or_default());
        add(path, n, csv_row(path, n, values, place)?, &mut geometries)?;
    }
    Ok(geometries)
}

/// A row from the values of [`COLUMNS`] and [`PLACE_COLUMNS`].
fn csv_row(
    path: &Path,
    n: usize,
    [series, study, patient, thickness, spacing, heights]: [&str; COLUMNS.len()],
    [x, y, direction]: [&str; PLACE_COLUMNS.len()],
) -> Result<GeometryRow, Error> {
    let parsed = |column, text: &str, expected| {
        text.parse().map_err(|_| value(path, n, column, format!("{text:?}"), expected))
    };
    let number = |column: usize, text: &str, expected| parsed(COLUMNS[column], text, expected);
    let maybe = |column, text: &str| match text {
        "" => Ok(None),
        text => parsed(column, text, "a number, or nothing").map(Some),
    };
    let axes = direction.split_ascii_whitespace().take(10);
    let axes = axes.map(|text| parsed(PLACE_COLUMNS[2], text, "nine numbers separated by spaces"));
    let heights = heights.split_ascii_whitespace().take(MOST_VOXELS_ALONG + 1);
    let slice_thickness_mm = match thickness {
        "" => None,
        text => Some(number(3, text, "a number, or nothing")?),
    };
    Ok(GeometryRow {
        series_instance_uid: series.to_owned(),
        study_instance_uid: Some(study.to_owned()),
        patient_id: Some(patient.to_owned()),
        slice_thickness_mm,
        pixel_spacing_mm: number(4, spacing, "a number")?,
        z_positions_mm: heights
            .map(|text| number(5, text, "numbers separated by spaces"))
            .collect::<Result<_, _>>()?,
        origin_x_mm: maybe(PLACE_COLUMNS[0], x)?,
        origin_y_mm: maybe(PLACE_COLUMNS[1], y)?,
        direction: Some(axes.collect::<Result<Vec<f64>, _>>()?).filter(|axes| !axes.is_empty()),
    })
}

/// Reads Parquet. The library for it panics on some damaged files; that is a fault of the file.
fn read_parquet(path: &Path) -> Result<ScanGeometries, Error> {
    caught(|| read_undamaged_parquet(path)).unwrap_or_else(|panic| {
        let text = format!("it is damaged: {}", panic.message);
        Err(Error::Parquet { path: path.to_owned(), source: ParquetError::General(text) })
    })
}

fn read_undamaged_parquet(path: &Path) -> Result<ScanGeometries, Error> {
    let wrong = |source| Error::Parquet { path: path.to_owned(), source };
    let io = |source| Error::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    let most_bytes = most_bytes(file.metadata().map_err(io)?.len());
    let builder = ParquetRecordBatchReaderBuilder::try_new(file.into_file()).map_err(wrong)?;
    let columns = builder.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns);
    let n_values = columns.fold(0, |n: u64, column| {
        n.saturating_add(u64::try_from(column.num_values()).unwrap_or(u64::MAX))
    });
    let most_values = most_bytes / size_of::<f64>() as u64;
    if n_values > most_values {
        let text = format!("it has {n_values} values, expected at most {most_values}");
        return Err(wrong(ParquetError::General(text)));
    }
    let columns = COLUMNS.into_iter().chain(PLACE_COLUMNS);
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
    let mut geometries = ScanGeometries::new();
    let mut n = 0;
    for batch in builder.with_projection(mask).build().map_err(wrong)? {
        let batch = batch.map_err(|source| Error::Arrow { path: path.to_owned(), source })?;
        let rows: Vec<GeometryRow> = serde_arrow::from_record_batch(&batch)
            .map_err(|source| Error::Columns { path: path.to_owned(), source: Box::new(source) })?;
        for row in rows {
            add(path, n, row, &mut geometries)?;
            n += 1;
        }
    }
    Ok(geometries)
}

fn add(
    path: &Path,
    n: usize,
    row: GeometryRow,
    geometries: &mut ScanGeometries,
) -> Result<(), Error> {
    let known = |text: Option<String>| text.filter(|text| !text.is_empty());
    let series = row.series_instance_uid;
    if series.is_empty() {
        return Err(value(path, n, "series_instance_uid", "empty".to_owned(), "a UID"));
    }
    if let Some(thickness) = row.slice_thickness_mm.filter(|mm| !SPACING_MM.holds(*mm)) {
        let column = "slice_thickness_mm";
        return Err(value(path, n, column, thickness.to_string(), SPACING_MM.text));
    }
    let mut z_mm = row.z_positions_mm;
    if z_mm.len() > MOST_VOXELS_ALONG {
        let found = format!("more than {MOST_VOXELS_ALONG} heights");
        return Err(value(path, n, "z_positions_mm", found, "one for each slice"));
    }
    if let Some(z) = z_mm.iter().find(|z| !POSITION_MM.holds(**z)) {
        return Err(value(path, n, "z_positions_mm", z.to_string(), POSITION_MM.text));
    }
    z_mm.sort_unstable_by(f64::total_cmp);
    let n_heights = z_mm.len();
    z_mm.dedup();
    let n_duplicate_slices = n_heights - z_mm.len();
    let slices = Slices::at_heights(None, [row.pixel_spacing_mm; 2], z_mm)
        .map_err(|source| Error::Slices { path: path.to_owned(), row: n + 1, source })?;
    let place = [row.origin_x_mm.is_none(), row.origin_y_mm.is_none(), row.direction.is_none()];
    let in_plane = match (row.origin_x_mm, row.origin_y_mm, row.direction) {
        (Some(x), Some(y), Some(axes)) => {
            let n_axes = axes.len();
            let axes = axes.try_into().map_err(|_| {
                let expected = "nine numbers: the axes of i, j and k, as columns, row by row";
                value(path, n, PLACE_COLUMNS[2], format!("{n_axes} numbers"), expected)
            })?;
            let placed = InPlane::new([x, y], axes);
            Some(placed.map_err(|source| Error::Place {
                path: path.to_owned(),
                row: n + 1,
                source,
            })?)
        }
        (None, None, None) => None,
        _ => {
            let missing = place.iter().position(|is_missing| *is_missing).unwrap_or_default();
            let column = PLACE_COLUMNS[missing];
            return Err(Error::PartOfPlace { path: path.to_owned(), row: n + 1, column });
        }
    };
    let geometry = ScanGeometry {
        study_instance_uid: known(row.study_instance_uid),
        patient_id: known(row.patient_id),
        slice_thickness_mm: row.slice_thickness_mm,
        slices,
        in_plane,
        n_duplicate_slices,
    };
    match geometries.insert(series.clone(), geometry) {
        None => Ok(()),
        Some(_) => Err(Error::Twice { path: path.to_owned(), row: n + 1, series }),
    }
}

fn value(
    path: &Path,
    n: usize,
    column: &'static str,
    found: String,
    expected: &'static str,
) -> Error {
    Error::Value { path: path.to_owned(), row: n + 1, column, found, expected }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float32Array, Float64Array, LargeStringArray, ListArray};
    use arrow::datatypes::Float64Type;
    use arrow::record_batch::RecordBatch;
    use fs_err as fs;
    use std::sync::Arc;

    const NAMES: &str = "series_instance_uid,study_instance_uid,patient_id,slice_thickness_mm,pixel_spacing_mm,z_positions_mm\n";

    fn slices(pixel_mm: f64, z_mm: &[f64]) -> Slices {
        Slices::at_heights(None, [pixel_mm; 2], z_mm.to_vec()).unwrap()
    }

    fn read_text(rows: &str) -> Result<ScanGeometries, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g.csv");
        fs::write(&path, format!("{NAMES}{rows}")).unwrap();
        read(&path)
    }

    #[test]
    fn heights_are_sorted_and_repeated_ones_counted() {
        let table = read_text("1.2,1.1,p,2.5,0.7,-10 -7.5 -12.5 -10\n1.3,,,,0.5,0 1\n").unwrap();
        let scan = &table["1.2"];
        assert_eq!(scan.slices, slices(0.7, &[-12.5, -10.0, -7.5]));
        assert_eq!((scan.n_duplicate_slices, scan.slice_thickness_mm), (1, Some(2.5)));
        assert_eq!(scan.patient_id.as_deref(), Some("p"));
        let blank = &table["1.3"];
        assert_eq!((&blank.study_instance_uid, &blank.patient_id), (&None, &None));
        assert_eq!(blank.slice_thickness_mm, None);
        assert_eq!(read_text("").unwrap(), ScanGeometries::new());
    }

    #[test]
    fn an_invalid_row_is_named() {
        for (rows, expected) in [
            ("1.2,,,2,0.7,0 x\n", "row 1: z_positions_mm is \"x\", expected numbers"),
            ("1.2,,,2,0.7,0 1\n1.2,,,2,0.7,0 1\n", "row 2: series 1.2 is listed twice"),
            ("1.2,,,2,0.7,5\n", "row 1: z_positions_mm and pixel_spacing_mm do not make up slices"),
            ("1.2,,,2,0,0 1\n", "row 1: z_positions_mm and pixel_spacing_mm do not make up slices"),
            ("1.2,,,-2,0.7,0 1\n", "slice_thickness_mm is -2, expected 0.01 to 50 mm"),
            ("1.2,,,2,0.7,0 inf\n", "z_positions_mm is inf, expected -1000000 to 1000000 mm"),
            (",,,2,0.7,0 1\n", "series_instance_uid is empty, expected a UID"),
            ("1.2,,,2,thin,0 1\n", "row 1: pixel_spacing_mm is \"thin\", expected a number"),
            (
                "1.2,,,thick,1,0 1\n",
                "row 1: slice_thickness_mm is \"thick\", expected a number, or nothing",
            ),
        ] {
            let error = read_text(rows).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(matches!(read_text("1.2\n"), Err(Error::Csv { .. })));
    }

    #[test]
    fn a_small_table_does_not_unpack_to_a_large_one() {
        assert_eq!(most_bytes(1), 64 << 20);
        assert_eq!(most_bytes(100_000), 103_200_000);
        assert_eq!(most_bytes(1 << 40), 1 << 30);
        let error = read_text(&format!("1.2,,,2,1,{}\n", "0 ".repeat(70_000))).unwrap_err();
        let expected = "z_positions_mm is more than 65535 heights, expected one for each slice";
        assert!(error.to_string().ends_with(expected), "{error}");
        for (row, expected) in [
            (
                "1.2,,,2,60,0 1\n",
                "spacing must be 0.01 to 50 mm along i, j and k, got [60.0, 60.0, 1.0] mm",
            ),
            (
                "1.2,,,2,1,0 100\n",
                "spacing must be 0.01 to 50 mm along i, j and k, got [1.0, 1.0, 100.0] mm",
            ),
        ] {
            let Err(Error::Slices { source, .. }) = read_text(row) else { panic!() };
            assert_eq!(source.to_string(), expected);
        }
    }

    #[test]
    fn the_name_gives_the_format() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g.txt");
        fs::write(&path, NAMES).unwrap();
        assert!(matches!(read(&path), Err(Error::Format(_))));
        for name in ["g.csv.xz", "g.csv.gz"] {
            let path = folder.path().join(name);
            fs::write(&path, NAMES).unwrap();
            let error = read(&path).unwrap_err();
            assert!(matches!(error, Error::Csv { .. } | Error::Missing { .. }), "{name}: {error}");
        }
        let near = folder.path().join("near.csv");
        fs::write(&near, NAMES.replace("patient_id", "patientid")).unwrap();
        let error = read(&near).unwrap_err().to_string();
        assert!(error.ends_with("column patient_id is missing; rename `patientid`"), "{error}");
        let empty = folder.path().join("empty.csv");
        fs::write(&empty, "").unwrap();
        assert!(matches!(read(&empty), Err(Error::Missing { column: "series_instance_uid", .. })));
        assert!(matches!(read(&folder.path().join("none.csv")), Err(Error::Io { .. })));
        let parquet = folder.path().join("g.parquet");
        fs::write(&parquet, NAMES).unwrap();
        assert!(matches!(read(&parquet), Err(Error::Parquet { .. })));
    }

    /// As pandas and polars write it: large strings, a list of heights, an extra column.
    #[test]
    fn parquet_of_other_programs_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g.parquet");
        let heights = ListArray::from_iter_primitive::<Float64Type, _, _>([Some([
            Some(3.0),
            Some(1.0),
            Some(2.0),
        ])]);
        let text = |text: &str| Arc::new(LargeStringArray::from(vec![text])) as ArrayRef;
        let columns: [(&str, ArrayRef); 7] = [
            ("extra", text("x")),
            ("series_instance_uid", text("1.2")),
            ("study_instance_uid", Arc::new(LargeStringArray::from(vec![None::<&str>]))),
            ("patient_id", text("p")),
            ("slice_thickness_mm", Arc::new(Float64Array::from(vec![None]))),
            ("pixel_spacing_mm", Arc::new(Float32Array::from(vec![0.5]))),
            ("z_positions_mm", Arc::new(heights)),
        ];
        let write = |columns: &[(&str, ArrayRef)]| {
            let batch = RecordBatch::try_from_iter_with_nullable(
                columns.iter().map(|(name, column)| (*name, column.clone(), true)),
            )
            .unwrap();
            let file = fs::File::create(&path).unwrap().into_file();
            let mut writer =
                ::parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
        };
        write(&columns);
        let table = read(&path).unwrap();
        assert_eq!(table["1.2"].slices, slices(0.5, &[1.0, 2.0, 3.0]));
        write(&columns[1..6]);
        assert!(matches!(read(&path), Err(Error::Columns { .. })));
    }
}
