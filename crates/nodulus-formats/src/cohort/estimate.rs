//! Estimates the memory of a case before it is read.

use super::case::Case;
use crate::{archive, dicom, image_file};
use nodulus_faults::fs;
use std::path::{Path, PathBuf};

/// Greatest ratio between the slices of a compressed archive and its own bytes.
///
/// METHOD: CT slices compress to half or a third of their bytes; nothing more is known before unpacking.
const ARCHIVE_TIMES: u64 = 4;

/// Estimates the bytes that reading a case needs at most, from the headers and lengths of its files: its scan, or
/// afterwards its masks. Files that cannot be read count as nothing.
pub fn estimate_bytes(case: &Case) -> u64 {
    let length = |file: &Path| fs::metadata(file).map_or(0, |file| file.len());
    let image = match &case.images[..] {
        [file, ..] if image_file::is_image(file) => image_file::estimate_bytes(file),
        [file] if archive::is_archive(file) => ARCHIVE_TIMES.saturating_mul(length(file)),
        files => dicom::estimate_bytes(files),
    };
    let mask = |file: &PathBuf| {
        if image_file::is_image(file) {
            image_file::estimate_bytes(file)
        } else {
            // A segmentation or structure set needs its data set, and as much again for what is parsed from it.
            2 * dicom::object_bytes(file)
        }
    };
    image.max(case.annotations.iter().map(mask).sum())
}
