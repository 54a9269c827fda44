//! Compares two mask files of one scan: every metric of a prediction against a reference.

use nodulus_formats::dicom::Segmentation;
use nodulus_formats::mask_file::{self, MaskFile, MaskRules};
use nodulus_formats::volume::{Geometry, Mask, PlacedMask};
use nodulus_imaging::regrid::{self, GridMismatch, MaskExtent, SLICE_TOLERANCE};
use nodulus_imaging::segments;
use nodulus_metrics::{
    METRIC_DEFINITION, MaskMetrics, MaskSize, Metric, SizeMeasure, mask_size, measure,
};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Two mask files cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read as a mask.
    #[error(transparent)]
    Read(#[from] mask_file::Error),
    /// A structure set has outlines, not voxels.
    #[error("`{0}` is a structure set, expected a mask: NIfTI, MetaImage, NRRD or DICOM SEG")]
    StructureSet(PathBuf),
    /// A file has no layer of labels.
    #[error("`{0}` has no layer of labels, expected one or more")]
    NoLayer(PathBuf),
    /// The masks are on different grids.
    #[error("`{file}` does not lie on the voxels of `{other}`")]
    Grids {
        /// The mask.
        file: PathBuf,
        /// The mask whose grid is used.
        other: PathBuf,
        /// Both grids.
        #[source]
        grids: Box<GridMismatch>,
    },
    /// A segmentation does not lie on the other mask's slices.
    #[error("`{file}` does not lie on the slices of `{other}`")]
    Segments {
        /// The segmentation.
        file: PathBuf,
        /// The mask whose grid is used.
        other: PathBuf,
        /// What is wrong.
        #[source]
        source: segments::Error,
    },
    /// Positions of the two segmentations cannot be compared.
    #[error("`{reference}` is in frame of reference {}, `{prediction}` in {}", .frames[0], .frames[1])]
    Frames {
        /// File of the reference.
        reference: PathBuf,
        /// File of the prediction.
        prediction: PathBuf,
        /// The frames of reference, the reference's first.
        frames: Box<[String; 2]>,
    },
}

/// Every metric of a prediction against a reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaskComparison {
    /// Counts, overlaps and distances, as in `nodule_metrics`.
    pub metrics: MaskMetrics,
    /// Size of the prediction.
    pub predicted: MaskSize,
    /// Size of the reference.
    pub reference: MaskSize,
}

/// What a mask file holds.
enum MaskContent {
    /// A mask on a grid of its own.
    Voxels(Geometry, Mask),
    /// Frames, each with a position of its own.
    Segments(Segmentation),
}

/// Reads two masks and compares them over their whole grid. With a `label`, the masks are the voxels of this value or
/// the segment of this number; without one, all voxels other than 0 or all segments.
///
/// Both masks must be on the same voxels, in any order. The grid is the reference's, or the prediction's where the
/// reference is a DICOM SEG. Two DICOM SEG are compared on the slices that their frames make up together: at
/// least two, so that they are measured in space.
///
/// METHOD: nothing is resampled, because the change to a mask would count as the prediction's error. Axial slices
/// are those across the file's axis nearest to the patient's z.
///
/// # Errors
///
/// Fails if a file cannot be read as a mask, or if the masks are on different grids or name different frames of
/// reference.
pub fn compare(
    reference: &Path,
    prediction: &Path,
    label: Option<u16>,
) -> Result<MaskComparison, Error> {
    let contents = [read(reference, label)?, read(prediction, label)?];
    let grid = match &contents {
        [MaskContent::Voxels(grid, _), _] | [_, MaskContent::Voxels(grid, _)] => *grid,
        [MaskContent::Segments(a), MaskContent::Segments(b)] => {
            let frames = [a, b].map(|segmentation| &segmentation.referenced.frames_of_reference);
            if frames.iter().all(|uids| !uids.is_empty()) && frames[0] != frames[1] {
                let frames = frames.map(|uids| Vec::from_iter(uids.clone()).join(" and "));
                return Err(Error::Frames {
                    reference: reference.to_owned(),
                    prediction: prediction.to_owned(),
                    frames: Box::new(frames),
                });
            }
            segments::common_grid(&[a, b], 2)
                .map_err(|source| refused(prediction, reference, source))?
        }
    };
    let grid = axial(&grid);
    let [own, predicted] = contents;
    let own = own.on(&grid, reference, prediction)?;
    let predicted = predicted.on(&grid, prediction, reference)?;
    let spacing_mm = grid.spacing().ijk();
    Ok(MaskComparison {
        metrics: measure(&predicted, &own, spacing_mm),
        predicted: mask_size(&predicted, spacing_mm),
        reference: mask_size(&own, spacing_mm),
    })
}

/// The same voxels with the axis nearest to z last.
fn axial(grid: &Geometry) -> Geometry {
    let upright = |axis: &usize| grid.axis(*axis)[2].abs();
    let k = (0..3).max_by(|a, b| upright(a).total_cmp(&upright(b))).unwrap_or(2);
    let order = [(0..3).find(|a| *a != k).unwrap_or(0), (0..3).rfind(|a| *a != k).unwrap_or(1), k];
    let (size, spacing_mm) = (grid.size(), grid.spacing().ijk());
    let direction = std::array::from_fn(|n| grid.axis(order[n % 3])[n / 3]);
    Geometry::new(order.map(|a| size[a]), order.map(|a| spacing_mm[a]), grid.origin_mm(), direction)
        .unwrap_or(*grid)
}

fn refused(file: &Path, other: &Path, source: segments::Error) -> Error {
    Error::Segments { file: file.to_owned(), other: other.to_owned(), source }
}

fn read(path: &Path, label: Option<u16>) -> Result<MaskContent, Error> {
    match mask_file::read(path, &MaskRules::default())? {
        MaskFile::Labels(labels) => {
            let Some(grid) = labels.layers.first().map(|layer| *layer.geometry()) else {
                return Err(Error::NoLayer(path.to_owned()));
            };
            let is_set = |value: u16| label.map_or(value != 0, |label| value == label);
            let mask = Mask::from_fn(grid.size(), |i, j, k| {
                labels.layers.iter().any(|layer| is_set(layer.voxels()[[k, j, i]]))
            });
            Ok(MaskContent::Voxels(grid, mask))
        }
        MaskFile::Segmentation(mut segmentation) => {
            segmentation.segments.retain(|segment| label.is_none_or(|n| n == segment.number));
            Ok(MaskContent::Segments(segmentation))
        }
        MaskFile::StructureSet(_) => Err(Error::StructureSet(path.to_owned())),
    }
}

impl MaskContent {
    /// The mask on a grid, which is that of `other` or common to both files.
    fn on(self, grid: &Geometry, file: &Path, other: &Path) -> Result<Mask, Error> {
        let placed = match self {
            Self::Voxels(own, mask) if own == *grid => return Ok(mask),
            Self::Voxels(own, mask) => {
                let on = regrid::align(&own, grid, MaskExtent::Volume, 0.0).map_err(|grids| {
                    Error::Grids { file: file.to_owned(), other: other.to_owned(), grids }
                })?;
                vec![on.map_mask(&PlacedMask { start: [0; 3], mask })]
            }
            Self::Segments(segmentation) => {
                let lie = segments::locate(&segmentation, grid, false, SLICE_TOLERANCE)
                    .map_err(|source| refused(file, other, source))?;
                let segments = segmentation.segments.iter();
                let parts = segments.flat_map(|segment| lie.segment_masks(segment, grid, false));
                parts.map(|part| part.placed).collect()
            }
        };
        let mut mask = Mask::empty(grid.size());
        for [i, j, k] in placed.iter().flatten().flat_map(PlacedMask::voxels) {
            mask.set(i, j, k, true);
        }
        Ok(mask)
    }
}

impl MaskComparison {
    /// Whether neither mask has a voxel.
    pub const fn is_empty(&self) -> bool {
        let MaskMetrics { true_positive, false_positive, false_negative, .. } = self.metrics;
        true_positive + false_positive + false_negative == 0
    }

    /// Names and values in the order of printing; null where undefined.
    pub fn values(&self) -> Map<String, Value> {
        let metrics = &self.metrics;
        let mut values = Map::new();
        let mut put = |name: &str, value: Value| values.insert(name.to_owned(), value);
        put("outcome", json!(metrics.outcome.name()));
        put("true_positive", json!(metrics.true_positive));
        put("false_positive", json!(metrics.false_positive));
        put("false_negative", json!(metrics.false_negative));
        for metric in Metric::ALL {
            put(metric.name(), json!(metric.of(metrics)));
        }
        for measure in SizeMeasure::ALL {
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
    use nodulus_formats::volume::Volume;
    use nodulus_formats::{metaimage, nifti};
    use std::error::Error as _;

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
        assert_eq!((found.metrics.true_positive, found.metrics.false_positive), (3, 1));
        let values = found.values();
        assert_eq!(values["dice"], json!(0.75));
        assert!((values["reference_long_axis_mm"].as_f64().unwrap() - 2.8).abs() < 1e-6);
        assert_eq!(values["volume_error_mm3"], json!(0.0));
        // A label that the prediction does not have.
        let missed = compare(&a, &b, Some(1)).unwrap();
        assert_eq!(missed.values()["outcome"], json!("missed"));
        assert_eq!(missed.values()["assd_mm"], Value::Null);
        write(geometry(1.0), -1);
        assert!(matches!(compare(&a, &b, None), Err(Error::Read(_))));
        write(geometry(1.1), 1);
        let error = compare(&a, &b, None).unwrap_err();
        assert!(error.to_string().contains("b.mhd` does not lie on the voxels of `"), "{error}");
        let grids = error.source().unwrap().to_string();
        assert!(grids.contains("origin [1.1, 2.0, 3.0] mm"), "{grids}");
        let error = compare(&folder.path().join("a.txt"), &b, None).unwrap_err();
        assert!(matches!(error, Error::Read(_)));
    }

    #[test]
    fn voxels_in_another_order_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a.nii", "b.nii"].map(|name| folder.path().join(name));
        let voxels = bar(0, 4, 1);
        nifti::write_labels(&a, &Volume::new(geometry(1.0), voxels.clone()).unwrap()).unwrap();
        // Columns from the patient's left to the right.
        let flipped = Array3::from_shape_fn((4, 5, 6), |(k, j, i)| voxels[[k, j, 5 - i]]);
        let mut direction = Geometry::AXIAL;
        direction[0] = -1.0;
        let origin = [1.0 + 5.0 * 0.7, 2.0, 3.0];
        let turned = Geometry::new([6, 5, 4], [0.7, 0.8, 2.5], origin, direction).unwrap();
        nifti::write_labels(&b, &Volume::new(turned, flipped).unwrap()).unwrap();
        let found = compare(&a, &b, None).unwrap();
        assert_eq!((found.metrics.dice, found.metrics.hausdorff_mm), (Some(1.0), Some(0.0)));
        // Rows along the patient, slices from front to back.
        let swapped = Array3::from_shape_fn((5, 4, 6), |(k, j, i)| voxels[[j, k, i]]);
        let direction = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0];
        let coronal =
            Geometry::new([6, 4, 5], [0.7, 2.5, 0.8], [1.0, 2.0, 3.0], direction).unwrap();
        nifti::write_labels(&b, &Volume::new(coronal, swapped).unwrap()).unwrap();
        let [upright, lying] = [(&a, &b), (&b, &a)].map(|(r, p)| compare(r, p, None).unwrap());
        assert_eq!(upright.metrics.dice, Some(1.0));
        for found in [upright.reference.short_axis_mm, lying.reference.short_axis_mm] {
            assert!((found - 0.8).abs() < 1e-6, "{found}");
        }
    }
}
