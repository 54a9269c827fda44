//! Why detections do not become candidates.

use nodulus_faults::quoted;
use std::io;
use std::path::PathBuf;

/// Detections did not become candidates.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("{}", quoted::io(.0))]
    Io(#[from] io::Error),
    /// The file is no JSON, or another one.
    #[error("{path} is not JSON as the detector writes it", path = quoted::path(path))]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// An image has no name.
    #[error(
        "{path}: the detections number {number} have no `image`, expected the path of the image that they are of; write the file with \
         the bundle's `DetectionSaver`",
        path = quoted::path(path)
    )]
    NoImage {
        /// The file.
        path: PathBuf,
        /// Number of the image in the file, from 1.
        number: usize,
    },
    /// The boxes are of another kind.
    #[error(
        "{path}: box {found} of {image} has a negative size, expected centre and size (`cccwhd`); keep `ConvertBoxModed` in the bundle's \
         `postprocessing`",
        path = quoted::path(path),
        found = quoted::numbers(found),
        image = quoted::text(image)
    )]
    Corners {
        /// The file.
        path: PathBuf,
        /// The image.
        image: String,
        /// The box.
        found: [f64; 6],
    },
    /// nnDetection's files are not converted.
    #[error(
        "{path} is a pickle, which is a program and is not read; convert it to JSON with the lines of docs/detectors.md",
        path = quoted::path(.0)
    )]
    Pickle(PathBuf),
    /// The boxes are those that nnDetection writes to be looked at.
    #[error(
        "{path} is a file of `nndet_boxes2nii`, whose boxes are cut to whole voxels; convert `CASE_boxes.pkl` with the lines of \
         docs/detectors.md",
        path = quoted::path(.0)
    )]
    Rounded(PathBuf),
    /// A folder without detections.
    #[error("{path} holds no `CASE_boxes.json`, expected one for each image", path = quoted::path(.0))]
    NoFiles(PathBuf),
    /// Two images are of one series.
    #[error(
        "{first} and {second} are both the series {series}; convert the detections of one of them",
        first = quoted::text(first),
        second = quoted::text(second),
        series = quoted::uid(series)
    )]
    TwoImages {
        /// An image.
        first: String,
        /// Another one.
        second: String,
        /// The series.
        series: String,
    },
    /// No image is a series of the input.
    #[error(
        "no detections could be used, of {n_images} images: {first}; check that `--input` is the folder with the scans that were \
         predicted, and `--axes`",
        first = quoted::text(first)
    )]
    Nothing {
        /// Number of images.
        n_images: usize,
        /// Why the first of them was left out.
        first: String,
    },
    /// The table could not be written.
    #[error(transparent)]
    Csv(#[from] nodulus_formats::luna_csv::Error),
    /// The file has no images.
    #[error("{path} is a list of no images", path = quoted::path(.0))]
    NoImages(PathBuf),
}
