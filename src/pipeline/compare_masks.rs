//! Two files with masks of one scan: every metric of the one against the other.

use crate::formats::{image_file, metaimage, nifti};
use crate::metrics::{METRIC_DEFINITION, Measure, Metric, Scores, Size, score, size};
use crate::volume::{Geometry, Mask, Volume};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// How far corresponding corner voxels of two grids may lie apart, in voxels.
///
/// METHOD: programs store positions in 32 bits or in a few decimals; a hundredth of a voxel is far above
/// that and far below what moves a voxel.
const SAME_GRID_VOXELS: f64 = 0.01;

/// Masks that cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A MetaImage could not be read.
    #[error(transparent)]
    MetaImage(#[from] metaimage::Error),
    /// A NIfTI file could not be read.
    #[error(transparent)]
    Nifti(#[from] nifti::Error),
    /// The file is no image, or an image of another kind.
    #[error("`{0}` has no mask's name, expected .nii, .nii.gz, .hdr, .hdr.gz, .mhd or .mha")]
    Name(PathBuf),
    /// A voxel is no label.
    #[error("`{path}`: voxel {voxel:?} is {value}, expected a label from 0 to 32767")]
    Label {
        /// The file.
        path: PathBuf,
        /// The voxel, i, j, k.
        voxel: [usize; 3],
        /// Its value.
        value: i16,
    },
    /// The masks are on different grids.
    #[error(
        "the masks are on different grids: `{reference}` is {}, `{prediction}` is {}", grid(.grids.0), grid(.grids.1)
    )]
    Grids {
        /// File of the reference.
        reference: PathBuf,
        /// File of the prediction.
        prediction: PathBuf,
        /// Their grids.
        grids: Box<(Geometry, Geometry)>,
    },
}

/// Every metric of a prediction against a reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaskComparison {
    /// Counts, overlaps and distances, as in `nodule_metrics`.
    pub scores: Scores,
    /// Size of the prediction.
    pub predicted: Size,
    /// Size of the reference.
    pub reference: Size,
}

/// Reads two masks and compares them over their whole grid; with `label` the voxels that have it, else
/// every voxel that is not 0.
///
/// # Errors
///
/// Fails if a file cannot be read as a mask, or the masks are on different grids.
pub fn compare(
    reference: &Path,
    prediction: &Path,
    label: Option<u16>,
) -> Result<MaskComparison, Error> {
    let volumes = [read_labels(reference)?, read_labels(prediction)?];
    let grids = volumes.each_ref().map(|volume| *volume.geometry());
    if !same_grid(&grids[0], &grids[1]) {
        return Err(Error::Grids {
            reference: reference.to_owned(),
            prediction: prediction.to_owned(),
            grids: Box::new((grids[0], grids[1])),
        });
    }
    let spacing_mm = grids[0].spacing().ijk();
    let [reference, prediction] = volumes.map(|volume| {
        let voxels = volume.voxels();
        Mask::from_fn(volume.geometry().size(), |i, j, k| {
            let value = voxels[[k, j, i]];
            label.map_or(value != 0, |label| value == label)
        })
    });
    Ok(MaskComparison {
        scores: score(&prediction, &reference, spacing_mm),
        predicted: size(&prediction, spacing_mm),
        reference: size(&reference, spacing_mm),
    })
}

fn read_labels(path: &Path) -> Result<Volume<u16>, Error> {
    if !image_file::is_one(path) {
        return Err(Error::Name(path.to_owned()));
    }
    let name = path.to_string_lossy().to_ascii_lowercase();
    if !name.ends_with(".mhd") && !name.ends_with(".mha") {
        return Ok(nifti::read_labels(path)?);
    }
    let volume = metaimage::read(path)?;
    let negative = volume.voxels().indexed_iter().find(|(_, value)| **value < 0);
    if let Some(((k, j, i), value)) = negative {
        return Err(Error::Label { path: path.to_owned(), voxel: [i, j, k], value: *value });
    }
    let labels = volume.voxels().mapv(i16::unsigned_abs);
    // A map keeps the shape.
    Volume::new(*volume.geometry(), labels).map_err(|_| Error::Name(path.to_owned()))
}

/// Whether two grids have the same voxels at the same places: the corners lie together.
fn same_grid(a: &Geometry, b: &Geometry) -> bool {
    let last = a.size().map(|n| (n - 1) as f64);
    let corner = |n: usize| std::array::from_fn(|x| if n >> x & 1 == 1 { last[x] } else { 0.0 });
    a.size() == b.size()
        && (0..8).map(corner).all(|corner| {
            let found = b.patient_to_voxel(a.voxel_to_patient(corner));
            found.iter().zip(corner).all(|(f, c)| (f - c).abs() <= SAME_GRID_VOXELS)
        })
}

fn grid(geometry: Geometry) -> String {
    format!(
        "{:?} voxels of {:?} mm from {:?} mm with axes {:?}",
        geometry.size(),
        geometry.spacing().ijk(),
        geometry.origin_mm(),
        geometry.direction()
    )
}

impl MaskComparison {
    /// Names and values, in the order in which they are printed; null where undefined.
    pub fn values(&self) -> Map<String, Value> {
        let scores = &self.scores;
        let mut values = Map::new();
        let mut put = |name: &str, value: Value| values.insert(name.to_owned(), value);
        put("outcome", json!(scores.outcome.name()));
        put("true_positive", json!(scores.true_positive));
        put("false_positive", json!(scores.false_positive));
        put("false_negative", json!(scores.false_negative));
        for metric in Metric::ALL {
            put(metric.name(), json!(metric.of(scores)));
        }
        for measure in Measure::ALL {
            let [name, signed, _, relative] = measure.names();
            let error = measure.error(&self.predicted, &self.reference);
            put(&format!("predicted_{name}"), json!(measure.of(&self.predicted)));
            put(&format!("reference_{name}"), json!(measure.of(&self.reference)));
            put(signed, json!(error.signed));
            put(relative, json!(error.relative));
        }
        put("metric_definition", json!(METRIC_DEFINITION));
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    fn geometry(origin: f64) -> Geometry {
        Geometry::new([6, 5, 4], [0.7, 0.8, 2.5], [origin, 2.0, 3.0], Geometry::AXIAL).unwrap()
    }

    /// A bar of a label along i in slice 1.
    fn bar(from: usize, to: usize, label: u16) -> Array3<u16> {
        let inside = |k, j, i: usize| k == 1 && j == 2 && (from..to).contains(&i);
        Array3::from_shape_fn((4, 5, 6), |(k, j, i)| if inside(k, j, i) { label } else { 0 })
    }

    #[test]
    fn masks_of_two_formats_are_compared() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a.nii.gz", "b.mhd"].map(|name| folder.path().join(name));
        let reference = Volume::new(geometry(1.0), bar(0, 4, 1)).unwrap();
        nifti::write_labels(&a, &reference).unwrap();
        let write = |geometry, label: i16| {
            let voxels = bar(1, 5, 1).mapv(|v| v as i16 * label);
            metaimage::write(&b, &Volume::new(geometry, voxels).unwrap(), false).unwrap();
        };
        write(geometry(1.0), 3);
        let found = compare(&a, &b, None).unwrap();
        assert_eq!((found.scores.true_positive, found.scores.false_positive), (3, 1));
        let values = found.values();
        assert_eq!(values["dice"], json!(0.75));
        assert!((values["reference_long_axis_mm"].as_f64().unwrap() - 2.8).abs() < 1e-6);
        assert_eq!(values["volume_error_mm3"], json!(0.0));
        // A label that the prediction does not have.
        let missed = compare(&a, &b, Some(1)).unwrap();
        assert_eq!(missed.values()["outcome"], json!("missed"));
        assert_eq!(missed.values()["assd_mm"], Value::Null);
        write(geometry(1.0), -1);
        let error = compare(&a, &b, None).unwrap_err().to_string();
        assert!(
            error.ends_with("voxel [1, 2, 1] is -1, expected a label from 0 to 32767"),
            "{error}"
        );
        write(geometry(1.1), 1);
        let error = compare(&a, &b, None).unwrap_err().to_string();
        for part in [
            "a.nii.gz` is [6, 5, 4] voxels",
            "b.mhd` is [6, 5, 4] voxels",
            "from [1.1, 2.0, 3.0] mm",
        ] {
            assert!(error.contains(part), "{error}");
        }
        let error = compare(&folder.path().join("a.txt"), &b, None).unwrap_err();
        assert!(matches!(error, Error::Name(_)));
    }
}
