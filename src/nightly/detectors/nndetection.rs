//! Detections of nnDetection: `CASE_boxes.json`, which is `CASE_boxes.pkl` as JSON.
//!
//! The pickle is a dictionary with `pred_boxes`, `pred_scores`, `pred_labels`, `restore`, and the grid of the image that was read.

use super::detection::{Detection, ImageDetections, ImageName, Malformed, numbers, rows};
use super::error::Error;
use nodulus_faults::fs;
use nodulus_formats::volume::Geometry;
use serde_json::Value;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Ends of names.
const END: &str = "_boxes.json";
const PICKLE_END: &str = "_boxes.pkl";

/// Reads a file, or all files of a folder, sorted by their names.
pub(super) fn read(path: &Path) -> Result<Vec<ImageDetections>, Error> {
    if !path.is_dir() {
        return Ok(vec![read_file(path)?]);
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(path)? {
        paths.push(entry.path());
    }
    paths.sort();
    let has_end = |path: &&PathBuf, end: &str| path.to_string_lossy().ends_with(end);
    let files: Vec<&PathBuf> = paths.iter().filter(|path| has_end(path, END)).collect();
    // A case that is not converted would look like a scan that the detector did not read.
    let is_left = |pickle: &&PathBuf| {
        let text = pickle.to_string_lossy();
        text.strip_suffix(PICKLE_END).is_some_and(|case| {
            !files.iter().any(|file| file.to_string_lossy() == format!("{case}{END}"))
        })
    };
    if let Some(pickle) = paths.iter().find(is_left) {
        return Err(Error::Pickle(pickle.clone()));
    }
    if files.is_empty() {
        return Err(Error::NoFiles(path.to_owned()));
    }
    files.into_iter().map(|file| read_file(file)).collect()
}

fn read_file(path: &Path) -> Result<ImageDetections, Error> {
    if path.extension().is_some_and(|extension| extension == "pkl") {
        return Err(Error::Pickle(path.to_owned()));
    }
    let json: Value = serde_json::from_reader(BufReader::new(fs::File::open(path)?))
        .map_err(|source| Error::Json { path: path.to_owned(), source })?;
    let is_rounded = |one: &Value| one.get("box").is_some() && one.get("score").is_some();
    if json.as_object().is_some_and(|json| !json.is_empty() && json.values().all(is_rounded)) {
        return Err(Error::Rounded(path.to_owned()));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let case = name.strip_suffix(END).or(name.strip_suffix(".json")).unwrap_or(&name);
    let image = ImageName::Case(case.to_owned());
    let is_box = |of_box: [f64; 6]| of_box.iter().all(|voxel| voxel.abs() < 1e6);
    let names = ["pred_boxes", "pred_scores"];
    let (n_rows, found) = rows(json.get(names[0]), json.get(names[1]), names, is_box);
    let (found, grid) = match found.and_then(|rows| Ok((rows, grid(&json)?))) {
        Ok((rows, grid)) => {
            let rows =
                rows.into_iter().map(|(of_box, probability)| detection(&grid, of_box, probability));
            (Ok(rows.collect()), Some(grid))
        }
        Err(malformed) => (Err(malformed), None),
    };
    Ok(ImageDetections { image, n_rows, found, grid })
}

/// METHOD: a box is (z1, y1, z2, y2, x1, x2) in the voxels of SimpleITK's array, whose centres are whole numbers; its limits are those of
/// the nodule's voxels, each moved out by one, so that its centre is the nodule's. Source: `box_center_np` and
/// `Task016_Luna/scripts/prepare_eval_cpm.py` of nnDetection.
fn detection(grid: &Geometry, [z1, y1, z2, y2, x1, x2]: [f64; 6], probability: f64) -> Detection {
    let centre = [f64::midpoint(x1, x2), f64::midpoint(y1, y2), f64::midpoint(z1, z2)];
    Detection { position_mm: grid.voxel_to_patient(centre), probability }
}

/// The grid of the image that was read, as ITK has it.
fn grid(json: &Value) -> Result<Geometry, Malformed> {
    if json.get("restore") != Some(&Value::Bool(true)) {
        return Err(Malformed::NotRestored);
    }
    let [k, j, i] = axes::<3>(json, "original_size_of_raw_data")?;
    let is_whole = |n: &f64| *n >= 0.0 && *n < 1e6 && n.fract().abs() < f64::EPSILON;
    let size = [i, j, k];
    if !size.iter().all(is_whole) {
        return Err(Malformed::NoGrid("original_size_of_raw_data"));
    }
    let size = size.map(|n| n as usize);
    let (spacing, origin) = (axes(json, "itk_spacing")?, axes(json, "itk_origin")?);
    Ok(Geometry::new(size, spacing, origin, axes(json, "itk_direction")?)?)
}

/// The numbers of the axes under a name.
fn axes<const N: usize>(json: &Value, name: &'static str) -> Result<[f64; N], Malformed> {
    json.get(name).and_then(numbers).ok_or(Malformed::NoGrid(name))
}
