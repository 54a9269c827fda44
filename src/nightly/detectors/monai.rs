//! Detections of MONAI's bundle `lung_nodule_ct_detection`.
//!
//! `scripts/detection_saver.py` of the bundle writes a list with an object for each image: `image`, the path that was read; `box`, centre
//! and size of each detection in mm; `label`; `label_scores`, its probability. `luna16_testing.py` of MONAI's tutorial writes the same as
//! the only member of an object, with `score`.

use super::detection::{Axes, Detection, ImageDetections, ImageName, rows};
use super::error::Error;
use nodulus_faults::fs;
use nodulus_formats::limits::POSITION_MM;
use serde::de::{
    DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Deserializer, Value};
use std::fmt;
use std::io::BufReader;
use std::path::Path;

/// Names of the probabilities: the bundle's and the tutorial's.
const SCORES: [&str; 2] = ["label_scores", "score"];

/// Reads the detections of all images, one image at a time.
///
/// METHOD: the centre of a box is the candidate. The bundle's `AffineBoxToWorldCoordinated` takes boxes to the world as it took those of
/// the training back, so that half a voxel between its corners and centres is nowhere. Its readers hold the world in RAS; with
/// `affine_lps_to_ras`, as the bundle is shipped, boxes are LPS, and without it RAS.
pub(super) fn read(path: &Path, axes: Axes) -> Result<Vec<ImageDetections>, Error> {
    let mut images = Vec::new();
    let mut problem = None;
    let mut number = 0;
    let mut add = |value: &Value| {
        number += 1;
        match of_image(path, number, value, axes) {
            Ok(image) => images.push(image),
            Err(error) => problem = problem.take().or(Some(error)),
        }
    };
    let mut json = Deserializer::from_reader(BufReader::new(fs::File::open(path)?));
    let read = json.deserialize_any(Images(&mut add)).and_then(|()| json.end());
    read.map_err(|source| Error::Json { path: path.to_owned(), source })?;
    match problem {
        Some(error) => Err(error),
        None if images.is_empty() => Err(Error::NoImages(path.to_owned())),
        None => Ok(images),
    }
}

fn of_image(
    path: &Path,
    number: usize,
    value: &Value,
    axes: Axes,
) -> Result<ImageDetections, Error> {
    let image = value.get("image").and_then(Value::as_str).filter(|image| !image.is_empty());
    let no_image = || Error::NoImage { path: path.to_owned(), number };
    let image = image.ok_or_else(no_image)?;
    let scores = SCORES.into_iter().find_map(|name| value.get(name));
    let is_box = |[x, y, z, ..]: [f64; 6]| POSITION_MM.hold(&[x, y, z]);
    let (n_rows, found) = rows(value.get("box"), scores, ["box", SCORES[0]], is_box);
    // One such box tells that all are corners, which look like centres and sizes where all numbers are positive.
    if let Ok(rows) = &found
        && let Some((of_box, _)) =
            rows.iter().find(|(of_box, _)| of_box[3..].iter().any(|mm| *mm < 0.0))
    {
        return Err(Error::Corners {
            path: path.to_owned(),
            image: image.to_owned(),
            found: *of_box,
        });
    }
    let detection = |([x, y, z, ..], probability): ([f64; 6], f64)| {
        let position_mm = match axes {
            Axes::Lps => [x, y, z],
            Axes::Ras => Axes::turned([x, y, z]),
        };
        Detection { position_mm, probability }
    };
    let found = found.map(|rows| rows.into_iter().map(detection).collect());
    Ok(ImageDetections { image: ImageName::Path(image.to_owned()), n_rows, found, grid: None })
}

/// Takes the images of a file one by one.
struct Images<'a>(&'a mut dyn FnMut(&Value));

impl<'de> Visitor<'de> for Images<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list with an object for each image")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(image) = list.next_element::<Value>()? {
            (self.0)(&image);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        if members.next_key::<IgnoredAny>()?.is_some() {
            members.next_value_seed(self)?;
        }
        match members.next_key::<String>()? {
            Some(name) => Err(A::Error::custom(format_args!(
                "another member `{name}`, expected an object with one list of images"
            ))),
            None => Ok(()),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Images<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_seq(self)
    }
}
