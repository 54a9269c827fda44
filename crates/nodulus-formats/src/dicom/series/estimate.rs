//! Estimates the memory of a series before it is read.

use crate::dicom::element::elements::{self, Elements};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use nodulus_faults::fs;
use std::path::{Path, PathBuf};

/// In the order of the tags, as reading ends after the last one.
const WANTED: [Tag; 4] = [tags::NUMBER_OF_FRAMES, tags::ROWS, tags::COLUMNS, tags::PIXEL_DATA];

/// Most pixels of a frame, 4096 × 4096, as when it is read; a larger claim is ignored.
const MOST_PIXELS: u64 = 1 << 24;

/// Least number of bytes of a frame in a file: the header of its fragment.
const FRAGMENT_BYTES: u64 = 8;

/// Estimates the bytes that the slices in these files need at most as 16-bit voxels: the bytes of the files, or, if
/// the first image is compressed and needs more, as many for each file as for that one. Files that cannot be read
/// count as nothing: reading them reports why.
pub fn estimate_bytes(files: &[PathBuf]) -> u64 {
    let lengths = files.iter().filter_map(|file| fs::metadata(file).ok());
    let stored: u64 = lengths.map(|file| file.len()).sum();
    let first = files.iter().find_map(|file| image_bytes(file)).unwrap_or(0);
    stored.max(first.saturating_mul(files.len() as u64))
}

/// Bytes of an object that is read as a whole: its file, or its data set if that is deflated. A file that cannot be read
/// counts as nothing.
pub fn object_bytes(file: &Path) -> u64 {
    let stored = fs::metadata(file).map_or(0, |file| file.len());
    let object = elements::read(file, &[]).ok().flatten();
    object.map_or(0, |object| object.length).max(stored)
}

/// Bytes of the image in a file; `None` if it has no plausible one.
fn image_bytes(file: &Path) -> Option<u64> {
    let Elements { values, length, pixels, .. } = elements::read(file, &WANTED).ok()??;
    pixels?;
    let number = |tag| values.get(tag)?.to_int::<u64>().ok();
    let pixels = number(tags::ROWS)?.checked_mul(number(tags::COLUMNS)?)?;
    let frames = number(tags::NUMBER_OF_FRAMES).unwrap_or(1).min(length / FRAGMENT_BYTES);
    (pixels <= MOST_PIXELS).then(|| 2 * pixels * frames)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::tests::samples;
    use dicom_core::{DataElement, PrimitiveValue, VR};
    use fs_err as fs;

    #[test]
    fn a_series_needs_the_bytes_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = samples::write(folder.path(), &samples::volume());
        let stored: u64 = files.iter().map(|file| fs::metadata(file).unwrap().len()).sum();
        assert_eq!(estimate_bytes(&files), stored);
        fs::write(&files[0], "no DICOM").unwrap();
        files.push(folder.path().join("none"));
        assert!(estimate_bytes(&files) < stored);
        assert_eq!(estimate_bytes(&[]), 0);
        // Larger than its bytes, as if compressed: the other files are assumed to be alike.
        samples::edit(&files[1], |object| {
            for tag in [tags::ROWS, tags::COLUMNS] {
                object.put_element(DataElement::new(tag, VR::US, PrimitiveValue::from(512u16)));
            }
        });
        assert_eq!(estimate_bytes(&files), 5 * 2 * 512 * 512);
        samples::edit(&files[1], |object| {
            let frames = PrimitiveValue::from("2000000000");
            object.put_element(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, frames));
        });
        let length = fs::metadata(&files[1]).unwrap().len();
        assert_eq!(estimate_bytes(&files), 5 * 2 * 512 * 512 * (length / 8));
    }
}
