//! Segmentations and structure sets that are cut off, changed or nested too deeply.

use super::elements::{bytes_of, item, sequence};
use super::segmentation::{binary, label_map, read, values};
use super::structure_set::structures;
use crate::dicom::Problem;
use crate::dicom::annotation::object::parse;
use crate::dicom::element::data_set::DicomFile;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

#[test]
fn sequences_that_are_too_deep_or_never_end_are_refused() {
    let mut object = InMemDicomObject::new_empty();
    for _ in 0..20 {
        let inside = object;
        object = item(|o| sequence(o, tags::REFERENCED_SERIES_SEQUENCE, vec![inside]));
    }
    let deep = bytes_of(object, uids::EXPLICIT_VR_LITTLE_ENDIAN);
    assert!(matches!(read(deep), Err(Problem::Malformed { .. })));
    let whole = bytes_of(binary(), uids::EXPLICIT_VR_LITTLE_ENDIAN);
    for length in 0..whole.len() {
        assert!(read(whole[..length].to_vec()).is_err(), "{length} of {}", whole.len());
    }
}

#[test]
fn no_change_of_a_files_bytes_makes_reading_panic() {
    use rand::{Rng, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let mut values = values([1, 1, 2], 0);
    values.push(0);
    let files = [
        bytes_of(binary(), uids::EXPLICIT_VR_LITTLE_ENDIAN),
        bytes_of(binary(), uids::IMPLICIT_VR_LITTLE_ENDIAN),
        bytes_of(label_map(&values, 8), uids::EXPLICIT_VR_LITTLE_ENDIAN),
        bytes_of(structures(), uids::IMPLICIT_VR_LITTLE_ENDIAN),
    ];
    let (mut n_read, mut n_refused) = (0, 0);
    for n in 0..20_000 {
        let mut bytes = files[n % files.len()].clone();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(132..bytes.len());
            bytes[at] = if rng.random_bool(0.3) { 0xFF } else { rng.random() };
        }
        let parsed = DicomFile::new(bytes).and_then(|whole| parse(&whole, 0.5));
        *if parsed.is_ok() { &mut n_read } else { &mut n_refused } += 1;
    }
    assert!(n_read > 1000 && n_refused > 1000, "{n_read} read, {n_refused} refused");
}
