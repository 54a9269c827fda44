//! Reads nodules with their positions from a store, Parquet files or LUNA16's CSV.

use super::{Error, LocatedNodule, NoduleTable};
use crate::tables::{Output, Table};
use fs_err as fs;
use nodulus_formats::limits::{DIAMETER_MM, POSITION_MM};
use nodulus_formats::luna_csv;
use nodulus_store::{Store, foreign};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

/// First bytes of a Parquet file.
const PARQUET_MAGIC: &[u8; 4] = b"PAR1";

/// Columns of `nodules` that a table must have.
const NEEDED: [&str; 2] = ["series_instance_uid", "diameter_mm"];

/// Columns that are read where a table has them.
const WANTED: [&str; 8] = [
    "cohort",
    "nodule_id",
    "n_marks",
    "centroid_i",
    "centroid_j",
    "centroid_x_mm",
    "centroid_y_mm",
    "centroid_z_mm",
];

/// The columns that are read.
#[derive(Deserialize)]
struct Columns {
    series_instance_uid: String,
    diameter_mm: f64,
    #[serde(default)]
    cohort: Option<String>,
    #[serde(default)]
    nodule_id: Option<String>,
    #[serde(default)]
    n_marks: Option<i64>,
    #[serde(default)]
    centroid_i: Option<f64>,
    #[serde(default)]
    centroid_j: Option<f64>,
    #[serde(default)]
    centroid_x_mm: Option<f64>,
    #[serde(default)]
    centroid_y_mm: Option<f64>,
    #[serde(default)]
    centroid_z_mm: Option<f64>,
}

/// Columns of `scans` that give positions along the image's axes.
#[derive(Deserialize)]
struct ScanPixelSpacing {
    cohort: String,
    series_instance_uid: String,
    spacing_i_mm: f64,
    spacing_j_mm: f64,
}

/// Spacing along i and j by cohort and series.
type PixelSpacings = BTreeMap<(String, String), [f64; 2]>;

/// Reads a store's current `nodules`, a Parquet file or a folder of them with those columns, or a
/// CSV file with the columns of LUNA16's `annotations.csv`.
///
/// # Errors
///
/// Fails if the path holds none of these, or a diameter or position is beyond its [limit](nodulus_formats::limits).
pub fn read(path: &Path) -> Result<NoduleTable, Error> {
    let nodules = if path.is_dir() {
        if path.join("store.json").exists() { of_store(path)? } else { of_folder(path)? }
    } else if is_parquet(path)? {
        of_parquet(path)?
    } else {
        luna_csv::read_annotations(path)?.into_iter().map(of_annotation).collect()
    };
    for nodule in &nodules {
        check(path, nodule)?;
    }
    Ok(NoduleTable { path: path.to_owned(), nodules })
}

fn of_store(path: &Path) -> Result<Vec<LocatedNodule>, Error> {
    let store = Store::open(path)?;
    let version = store.require(Output::Table(Table::Nodules))?;
    let mut spacings = PixelSpacings::new();
    if let Some(scans) = store.current(Output::Table(Table::Scans))? {
        let columns = ["cohort", "series_instance_uid", "spacing_i_mm", "spacing_j_mm"];
        for batch in scans.columns::<ScanPixelSpacing>(&columns) {
            spacings.extend(batch?.into_iter().map(|scan| {
                let spacing = [scan.spacing_i_mm, scan.spacing_j_mm];
                ((scan.cohort, scan.series_instance_uid), spacing)
            }));
        }
    }
    let columns: Vec<&str> = NEEDED.into_iter().chain(WANTED).collect();
    let mut nodules = Vec::new();
    for batch in version.columns::<Columns>(&columns) {
        nodules.extend(batch?.into_iter().map(|row| located(row, &spacings)));
    }
    Ok(nodules)
}

fn of_folder(path: &Path) -> Result<Vec<LocatedNodule>, Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "parquet") {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(Error::Folder(path.to_owned()));
    }
    files.sort();
    let mut nodules = Vec::new();
    for file in files {
        nodules.extend(of_parquet(&file)?);
    }
    Ok(nodules)
}

fn of_parquet(path: &Path) -> Result<Vec<LocatedNodule>, Error> {
    let rows: Vec<Columns> = foreign::read(path, Table::Nodules, &NEEDED, &WANTED)?;
    Ok(rows.into_iter().map(|row| located(row, &PixelSpacings::new())).collect())
}

fn is_parquet(path: &Path) -> Result<bool, Error> {
    let mut start = Vec::new();
    nodulus_faults::fs::File::open(path)?
        .take(PARQUET_MAGIC.len() as u64)
        .read_to_end(&mut start)?;
    Ok(start == PARQUET_MAGIC)
}

fn located(row: Columns, spacings: &PixelSpacings) -> LocatedNodule {
    let all = |[x, y, z]: [Option<f64>; 3]| Some([x?, y?, z?]);
    let series = (row.cohort.clone().unwrap_or_default(), row.series_instance_uid.clone());
    let spacing = spacings.get(&series);
    let scaled = |index: Option<f64>, axis: usize| Some(index? * spacing?[axis]);
    LocatedNodule {
        patient_mm: all([row.centroid_x_mm, row.centroid_y_mm, row.centroid_z_mm]),
        image_mm: all([scaled(row.centroid_i, 0), scaled(row.centroid_j, 1), row.centroid_z_mm]),
        z_mm: row.centroid_z_mm,
        cohort: row.cohort,
        nodule_id: row.nodule_id,
        series_instance_uid: row.series_instance_uid,
        diameter_mm: row.diameter_mm,
        n_marks: row.n_marks,
    }
}

fn of_annotation(row: luna_csv::Annotation) -> LocatedNodule {
    LocatedNodule {
        cohort: None,
        nodule_id: None,
        series_instance_uid: row.series_instance_uid,
        patient_mm: Some([row.x_mm, row.y_mm, row.z_mm]),
        image_mm: None,
        z_mm: Some(row.z_mm),
        diameter_mm: row.diameter_mm,
        n_marks: None,
    }
}

fn check(path: &Path, nodule: &LocatedNodule) -> Result<(), Error> {
    let wrong = |column, found, expected| Error::Value {
        path: path.to_owned(),
        series: nodule.series_instance_uid.clone(),
        column,
        found,
        expected,
    };
    let diameter = nodule.diameter_mm;
    if !DIAMETER_MM.holds(diameter) {
        return Err(wrong("diameter_mm", diameter, DIAMETER_MM.text));
    }
    let names = [
        ["centroid_x_mm", "centroid_y_mm", "centroid_z_mm"],
        ["centroid_i", "centroid_j", "centroid_z_mm"],
    ];
    for (names, position_mm) in names.into_iter().zip([nodule.patient_mm, nodule.image_mm]) {
        for (name, position) in names.into_iter().zip(position_mm.into_iter().flatten()) {
            if !POSITION_MM.holds(position) {
                return Err(wrong(name, position, POSITION_MM.text));
            }
        }
    }
    match nodule.z_mm {
        Some(z) if !POSITION_MM.holds(z) => Err(wrong("centroid_z_mm", z, POSITION_MM.text)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodule() -> LocatedNodule {
        LocatedNodule {
            cohort: None,
            nodule_id: None,
            series_instance_uid: "1.2".to_owned(),
            patient_mm: None,
            image_mm: None,
            z_mm: None,
            diameter_mm: 5.0,
            n_marks: None,
        }
    }

    #[test]
    fn positions_and_diameters_that_cannot_be_are_refused() {
        let path = Path::new("t");
        let mut wrong = nodule();
        check(path, &wrong).unwrap();
        wrong.patient_mm = Some([0.0, f64::NAN, 0.0]);
        assert_eq!(
            check(path, &wrong).unwrap_err().to_string(),
            "`t`: a nodule of series 1.2 has centroid_y_mm NaN, expected -1000000 to 1000000 mm"
        );
        wrong.diameter_mm = 0.0;
        assert_eq!(
            check(path, &wrong).unwrap_err().to_string(),
            "`t`: a nodule of series 1.2 has diameter_mm 0, expected 0.01 to 1000 mm"
        );
    }

    #[test]
    fn a_position_along_the_images_axes_needs_the_scans_spacing() {
        let row = || Columns {
            series_instance_uid: "1.2".to_owned(),
            diameter_mm: 5.0,
            cohort: Some("c".to_owned()),
            nodule_id: None,
            n_marks: None,
            centroid_i: Some(10.0),
            centroid_j: Some(20.0),
            centroid_x_mm: None,
            centroid_y_mm: None,
            centroid_z_mm: Some(-7.0),
        };
        let none = located(row(), &PixelSpacings::new());
        assert_eq!((none.patient_mm, none.image_mm), (None, None));
        let key = ("c".to_owned(), "1.2".to_owned());
        let with = located(row(), &PixelSpacings::from([(key, [0.5, 0.25])]));
        assert_eq!(with.image_mm, Some([5.0, 5.0, -7.0]));
    }

    #[test]
    fn folders_and_files_of_other_kinds_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("neither a store") && error.contains("Parquet"), "{error}");
        let missing = folder.path().join("a.csv");
        let error = read(&missing).unwrap_err().to_string();
        assert!(error.contains("a.csv"), "{error}");
        fs::write(&missing, "a,b\n1,2\n").unwrap();
        assert!(matches!(read(&missing), Err(Error::Csv(_))));
    }
}
