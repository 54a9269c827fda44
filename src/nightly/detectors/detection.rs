//! What a detector found in an image, whatever its format.

use nodulus_faults::quoted;
use nodulus_formats::limits::POSITION_MM;
use nodulus_formats::volume::{Geometry, InvalidGeometry};
use serde_json::Value;

/// A program whose detections are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detector {
    /// MONAI's bundle `lung_nodule_ct_detection`: its JSON file of all images.
    Monai,
    /// nnDetection: its `CASE_boxes.pkl`, converted to JSON.
    NnDetection,
}

/// Along which directions of the patient positions count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axes {
    /// Left, posterior, superior: those of DICOM and LUNA16.
    Lps,
    /// Right, anterior, superior: those of NIfTI.
    Ras,
}

impl Axes {
    /// A position along the other directions, both ways.
    pub(super) fn turned([x, y, z]: [f64; 3]) -> [f64; 3] {
        [-x, -y, z]
    }
}

/// A detection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Detection {
    /// Centre of its box, LPS.
    pub(super) position_mm: [f64; 3],
    pub(super) probability: f64,
}

/// The name of an image, as a detector gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ImageName {
    /// The path of the file or the folder that it read.
    Path(String),
    /// The file's name without its extension and without nnU-Net's number of the channel.
    Case(String),
}

impl ImageName {
    pub(super) fn text(&self) -> &str {
        let (Self::Path(text) | Self::Case(text)) = self;
        text
    }
}

/// What a detector found in an image.
#[derive(Debug)]
pub(super) struct ImageDetections {
    pub(super) image: ImageName,
    /// Boxes, or scores where there are more of these.
    pub(super) n_rows: usize,
    pub(super) found: Result<Vec<Detection>, Malformed>,
    /// The grid that the detector read, where it tells it.
    pub(super) grid: Option<Geometry>,
}

/// Why the detections of an image cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    /// A list is missing, or is none.
    #[error("`{0}` is no list, expected one with an item for each detection")]
    NoList(&'static str),
    /// There are more boxes than scores, or fewer.
    #[error("{n_boxes} boxes and {n_scores} scores, expected as many of each")]
    Lengths { n_boxes: usize, n_scores: usize },
    /// A box is not six numbers of millimetres or voxels.
    #[error(
        "box {number} is {found}, expected six numbers, the positions from {POSITION_MM}",
        found = quoted::text(found)
    )]
    Box { number: usize, found: String },
    /// A score is no probability.
    #[error(
        "score {number} is {found}, expected a probability from 0 to 1",
        found = quoted::text(found)
    )]
    Score { number: usize, found: String },
    /// The boxes are those of another grid than the image's.
    #[error(
        "`restore` is not true, so the boxes are of nnDetection's resampled image; predict with boxes restored"
    )]
    NotRestored,
    /// The grid is incomplete.
    #[error("`{0}` is missing or has other values than numbers, one for each axis")]
    NoGrid(&'static str),
    /// The grid is none.
    #[error(transparent)]
    Grid(#[from] InvalidGeometry),
}

/// A box, and its score.
pub(super) type Row = ([f64; 6], f64);

/// The boxes and scores of an image as numbers, and how many rows they are. `is_box` says whether a box may be one.
pub(super) fn rows(
    boxes: Option<&Value>,
    scores: Option<&Value>,
    names: [&'static str; 2],
    is_box: impl Fn([f64; 6]) -> bool,
) -> (usize, Result<Vec<Row>, Malformed>) {
    let lists = [boxes, scores].map(|list| list.and_then(Value::as_array));
    let n_rows = lists.iter().flatten().map(|list| list.len()).max().unwrap_or(0);
    let [Some(boxes), Some(scores)] = lists else {
        let missing = if lists[0].is_none() { names[0] } else { names[1] };
        return (n_rows, Err(Malformed::NoList(missing)));
    };
    if boxes.len() != scores.len() {
        let (n_boxes, n_scores) = (boxes.len(), scores.len());
        return (n_rows, Err(Malformed::Lengths { n_boxes, n_scores }));
    }
    let row = |(number, (of_box, score)): (usize, (&Value, &Value))| {
        let numbers = numbers(of_box).filter(|numbers| is_box(*numbers));
        let numbers =
            numbers.ok_or_else(|| Malformed::Box { number, found: of_box.to_string() })?;
        let probability = score.as_f64().filter(|score| (0.0..=1.0).contains(score));
        let probability =
            probability.ok_or_else(|| Malformed::Score { number, found: score.to_string() })?;
        Ok((numbers, probability))
    };
    (n_rows, (1..).zip(boxes.iter().zip(scores)).map(row).collect())
}

/// A list of exactly as many numbers.
pub(super) fn numbers<const N: usize>(value: &Value) -> Option<[f64; N]> {
    let list = value.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>()?;
    list.try_into().ok()
}
