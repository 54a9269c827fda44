//! Estimates the memory of a case before it is read.

use super::case::Case;
use crate::{archive, dicom, image_file};
use fs_err as fs;
use std::path::{Path, PathBuf};

/// How many times its own bytes a compressed archive of slices holds, at most.
///
/// METHOD: CT slices shrink to half or a third of their bytes; more is not known before unpacking.
const ARCHIVE_TIMES: u64 = 4;

/// Bytes that reading a case takes at most, by its files' headers and lengths: its scan, or after it
/// its masks. What cannot be read counts for nothing.
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
            // Segmentations and structure sets: the file, and as much again for what is made of it.
            2 * length(file)
        }
    };
    image.max(case.annotations.iter().map(mask).sum())
}
