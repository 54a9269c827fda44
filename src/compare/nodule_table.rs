//! Reads nodules with their positions from a store, Parquet files or LUNA16's CSV.

use crate::near_names::near_or_all;
use crate::tables::{Output, Table};
use fs_err as fs;
use nodulus_formats::luna_csv;
use nodulus_store::{Store, foreign};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

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

/// A nodule and its position.
#[derive(Clone, Debug, PartialEq)]
pub struct LocatedNodule {
    /// Cohort in its store; `None` in a CSV file.
    pub cohort: Option<String>,
    /// Id in its store; `None` in a CSV file.
    pub nodule_id: Option<String>,
    /// Series of the scan.
    pub series_instance_uid: String,
    /// Centre, patient mm (x, y, z), LPS; `None` where the image's orientation is unknown.
    pub patient_mm: Option<[f64; 3]>,
    /// Centre, mm along the image's columns and rows from voxel 0, and patient z; `None` where
    /// voxel indices or the scan's spacing are unknown.
    pub image_mm: Option<[f64; 3]>,
    /// Diameter, mm.
    pub diameter_mm: f64,
    /// Number of marks that were joined; `None` in a CSV file.
    pub n_marks: Option<i64>,
}

/// The nodules of one source.
#[derive(Clone, Debug, PartialEq)]
pub struct NoduleTable {
    /// The store, folder or file.
    pub path: PathBuf,
    /// The nodules, in the order of the source.
    pub nodules: Vec<LocatedNodule>,
}

/// Nodules could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A store could not be read.
    #[error(transparent)]
    Store(#[from] nodulus_store::Error),
    /// A CSV file could not be read.
    #[error(transparent)]
    Csv(#[from] luna_csv::Error),
    /// A folder holds no nodules.
    #[error("`{0}` is neither a store (with `store.json`) nor a folder of Parquet files")]
    Folder(PathBuf),
    /// A diameter or a position is not a number that it can be.
    #[error("`{path}`: a nodule of series {series} has {column} {found}, expected {expected}")]
    Value {
        /// The table.
        path: PathBuf,
        /// The nodule's series.
        series: String,
        /// Name of the column.
        column: &'static str,
        /// The value.
        found: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// The chosen cohort has no nodules.
    #[error("`{path}` has no nodules of cohort `{cohort}`{near}")]
    NoCohort {
        /// The table.
        path: PathBuf,
        /// The cohort.
        cohort: String,
        /// Near cohorts, or all that have nodules.
        near: String,
    },
    /// Two cohorts have the same scan.
    #[error(
        "`{path}` has series {series} in several cohorts ({}): name one with `--cohort`", cohorts.join(", ")
    )]
    Cohorts {
        /// The table.
        path: PathBuf,
        /// The series.
        series: String,
        /// The cohorts that have it.
        cohorts: Vec<String>,
    },
}

impl Error {
    /// Whether another `--cohort` helps.
    pub const fn is_choice(&self) -> bool {
        matches!(self, Self::NoCohort { .. } | Self::Cohorts { .. })
    }
}

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
struct Scan {
    cohort: String,
    series_instance_uid: String,
    spacing_i_mm: f64,
    spacing_j_mm: f64,
}

/// Spacing along i and j by cohort and series.
type Spacings = BTreeMap<(String, String), [f64; 2]>;

/// Reads a store's current `nodules`, a Parquet file or a folder of them with those columns, or a
/// CSV file with the columns of LUNA16's `annotations.csv`.
///
/// # Errors
///
/// Fails if the path holds none of these, a diameter is not positive, or a position is not finite.
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

impl NoduleTable {
    /// Whether the number of marks of any nodule is known; true for a table without nodules.
    pub fn has_marks(&self) -> bool {
        self.nodules.is_empty() || self.nodules.iter().any(|nodule| nodule.n_marks.is_some())
    }

    /// Keeps the nodules of one cohort, where the table has cohorts.
    ///
    /// # Errors
    ///
    /// Fails if the cohort has no nodules, or if two cohorts have the same series.
    pub fn select(&mut self, cohort: Option<&str>) -> Result<(), Error> {
        if let Some(cohort) = cohort {
            let names = self.nodules.iter().filter_map(|nodule| nodule.cohort.clone());
            let found: BTreeSet<String> = names.collect();
            if !found.is_empty() && !found.contains(cohort) {
                let (path, cohort) = (self.path.clone(), cohort.to_owned());
                let found: Vec<&str> = found.iter().map(String::as_str).collect();
                let near = near_or_all(&cohort, &found);
                return Err(Error::NoCohort { path, cohort, near });
            }
            self.nodules.retain(|nodule| nodule.cohort.as_deref().is_none_or(|c| c == cohort));
        }
        let mut cohorts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for nodule in &self.nodules {
            let names = cohorts.entry(&nodule.series_instance_uid).or_default();
            names.extend(nodule.cohort.as_deref());
        }
        match cohorts.into_iter().find(|(_, names)| names.len() > 1) {
            Some((series, names)) => Err(Error::Cohorts {
                path: self.path.clone(),
                series: series.to_owned(),
                cohorts: names.into_iter().map(str::to_owned).collect(),
            }),
            None => Ok(()),
        }
    }

    /// Keeps the nodules with at least `min_marks` marks, and those whose number of marks is unknown.
    pub fn keep_marked(&mut self, min_marks: i64) {
        self.nodules.retain(|nodule| nodule.n_marks.is_none_or(|n| n >= min_marks));
    }
}

fn of_store(path: &Path) -> Result<Vec<LocatedNodule>, Error> {
    let store = Store::open(path)?;
    let version = store.require(Output::Table(Table::Nodules))?;
    let mut spacings = Spacings::new();
    if let Some(scans) = store.current(Output::Table(Table::Scans))? {
        let columns = ["cohort", "series_instance_uid", "spacing_i_mm", "spacing_j_mm"];
        for batch in scans.columns::<Scan>(&columns) {
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
    Ok(rows.into_iter().map(|row| located(row, &Spacings::new())).collect())
}

fn is_parquet(path: &Path) -> Result<bool, Error> {
    let mut start = Vec::new();
    fs::File::open(path)?.take(PARQUET_MAGIC.len() as u64).read_to_end(&mut start)?;
    Ok(start == PARQUET_MAGIC)
}

fn located(row: Columns, spacings: &Spacings) -> LocatedNodule {
    let all = |[x, y, z]: [Option<f64>; 3]| Some([x?, y?, z?]);
    let series = (row.cohort.clone().unwrap_or_default(), row.series_instance_uid.clone());
    let spacing = spacings.get(&series);
    let scaled = |index: Option<f64>, axis: usize| Some(index? * spacing?[axis]);
    LocatedNodule {
        patient_mm: all([row.centroid_x_mm, row.centroid_y_mm, row.centroid_z_mm]),
        image_mm: all([scaled(row.centroid_i, 0), scaled(row.centroid_j, 1), row.centroid_z_mm]),
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
    if !(diameter.is_finite() && diameter > 0.0) {
        return Err(wrong("diameter_mm", diameter, "positive millimetres"));
    }
    let names = [
        ["centroid_x_mm", "centroid_y_mm", "centroid_z_mm"],
        ["centroid_i", "centroid_j", "centroid_z_mm"],
    ];
    for (names, position_mm) in names.into_iter().zip([nodule.patient_mm, nodule.image_mm]) {
        for (name, position) in names.into_iter().zip(position_mm.into_iter().flatten()) {
            if !position.is_finite() {
                return Err(wrong(name, position, "a finite position"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodule(cohort: Option<&str>, series: &str, n_marks: Option<i64>) -> LocatedNodule {
        LocatedNodule {
            cohort: cohort.map(str::to_owned),
            nodule_id: None,
            series_instance_uid: series.to_owned(),
            patient_mm: None,
            image_mm: None,
            diameter_mm: 5.0,
            n_marks,
        }
    }

    fn table(nodules: &[LocatedNodule]) -> NoduleTable {
        NoduleTable { path: PathBuf::from("t"), nodules: nodules.to_vec() }
    }

    #[test]
    fn a_cohort_is_chosen_where_a_series_is_in_two() {
        let all = [
            nodule(Some("lidc"), "1.2", None),
            nodule(Some("luna16"), "1.2", None),
            nodule(Some("clinical"), "1.3", None),
        ];
        let mut two = table(&all);
        assert_eq!(
            two.select(None).unwrap_err().to_string(),
            "`t` has series 1.2 in several cohorts (lidc, luna16): name one with `--cohort`"
        );
        two.select(Some("luna16")).unwrap();
        assert_eq!(two.nodules, all[1..2]);
        let error = table(&all).select(Some("luna")).unwrap_err();
        assert!(error.is_choice());
        assert_eq!(
            error.to_string(),
            "`t` has no nodules of cohort `luna`: did you mean `luna16`?"
        );
        // Several cohorts with scans of their own are one table; a CSV file has no cohorts.
        let mut apart = table(&all[1..]);
        apart.select(None).unwrap();
        assert_eq!(apart.nodules.len(), 2);
        let mut csv = table(&[nodule(None, "1.2", None)]);
        csv.select(Some("luna16")).unwrap();
        assert_eq!(csv.nodules.len(), 1);
    }

    #[test]
    fn nodules_with_fewer_marks_are_left_out_where_marks_are_known() {
        let mut marked = table(&[
            nodule(None, "a", Some(2)),
            nodule(None, "b", Some(3)),
            nodule(None, "c", None),
        ]);
        assert!(marked.has_marks() && !table(&[nodule(None, "c", None)]).has_marks());
        marked.keep_marked(3);
        let series: Vec<_> =
            marked.nodules.iter().map(|n| n.series_instance_uid.as_str()).collect();
        assert_eq!(series, ["b", "c"]);
    }

    #[test]
    fn positions_and_diameters_that_cannot_be_are_refused() {
        let path = Path::new("t");
        let mut wrong = nodule(None, "1.2", None);
        check(path, &wrong).unwrap();
        wrong.patient_mm = Some([0.0, f64::NAN, 0.0]);
        assert_eq!(
            check(path, &wrong).unwrap_err().to_string(),
            "`t`: a nodule of series 1.2 has centroid_y_mm NaN, expected a finite position"
        );
        wrong.diameter_mm = 0.0;
        assert_eq!(
            check(path, &wrong).unwrap_err().to_string(),
            "`t`: a nodule of series 1.2 has diameter_mm 0, expected positive millimetres"
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
        let none = located(row(), &Spacings::new());
        assert_eq!((none.patient_mm, none.image_mm), (None, None));
        let key = ("c".to_owned(), "1.2".to_owned());
        let with = located(row(), &Spacings::from([(key, [0.5, 0.25])]));
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
