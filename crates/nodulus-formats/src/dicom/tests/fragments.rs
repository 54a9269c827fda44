//! Enhanced CT files with encapsulated frames, and damaged ones.

use super::multi_frame::{enhanced, put, refused};
use super::samples;
use crate::dicom::{Tolerances, read_series};
use dicom_core::value::{PixelFragmentSequence, PrimitiveValue};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, InMemDicomObject};
use fs_err as fs;
use proptest::prelude::*;

/// Stores the frames in fragments, with this basic offset table.
fn encapsulated(object: &mut DefaultDicomObject, table: &[u32], fragments: Vec<Vec<u8>>) {
    object.meta_mut().transfer_syntax = "1.2.840.10008.1.2.1.98".to_owned();
    let sequence = PixelFragmentSequence::new(table.to_vec(), fragments);
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, sequence));
}

fn frames(object: &InMemDicomObject) -> Vec<Vec<u8>> {
    let pixels = object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
    pixels.chunks(12).map(<[u8]>::to_vec).collect()
}

fn extended(object: &mut InMemDicomObject, offsets: &[u64], lengths: &[u64]) {
    for (tag, numbers) in
        [(tags::EXTENDED_OFFSET_TABLE, offsets), (tags::EXTENDED_OFFSET_TABLE_LENGTHS, lengths)]
    {
        if !numbers.is_empty() {
            let numbers = PrimitiveValue::U64(numbers.iter().copied().collect());
            object.put_element(DataElement::new(tag, VR::OV, numbers));
        }
    }
}

#[test]
fn fragments_belong_to_frames_by_a_table_or_one_to_each() {
    type Change = fn(&mut DefaultDicomObject);
    // Each fragment of 12 bytes has a header of 8 bytes.
    let cases: [Change; 4] = [
        |object| encapsulated(object, &[], frames(object)),
        |object| encapsulated(object, &[0, 20, 40, 60], frames(object)),
        |object| {
            encapsulated(object, &[], frames(object));
            extended(object, &[0, 20, 40, 60], &[12, 12, 12, 11]);
        },
        |object| {
            // The second frame in two fragments.
            let mut fragments = frames(object);
            let rest = fragments[1].split_off(4);
            fragments.insert(2, rest);
            encapsulated(object, &[0, 20, 48, 68], fragments);
        },
    ];
    for change in cases {
        let folder = tempfile::tempdir().unwrap();
        let file = enhanced(folder.path(), change);
        assert_eq!(read_series(&[file], &Tolerances::default()).unwrap().volume, samples::volume());
    }
}

#[test]
fn ambiguous_fragments_are_refused() {
    type Change = fn(&mut DefaultDicomObject);
    let cases: [(&str, Change); 7] = [
        ("found 5 fragments without an offset table, expected 4, one for each frame", |object| {
            let more = [frames(object), vec![vec![0; 12]]].concat();
            encapsulated(object, &[], more);
        }),
        ("found 3 fragments, expected at least one for each of 4 frames", |object| {
            encapsulated(object, &[], frames(object).split_off(1));
        }),
        ("found a basic offset table of 16 bytes, expected 4 starts of fragments", |object| {
            encapsulated(object, &[0, 20, 41, 60], frames(object));
        }),
        ("found a basic offset table of 12 bytes, expected 4 starts of fragments", |object| {
            encapsulated(object, &[0, 20, 40], frames(object));
        }),
        ("found frame 3 at 40 of 13 bytes, expected 40 of 12 bytes", |object| {
            encapsulated(object, &[], frames(object));
            extended(object, &[0, 20, 40, 60], &[12, 12, 13, 12]);
        }),
        ("found an extended offset table or its lengths alone, expected both", |object| {
            encapsulated(object, &[], frames(object));
            extended(object, &[0, 20, 40, 60], &[]);
        }),
        (
            "found an extended offset table of 4 frames with 4 lengths, a basic one of 16",
            |object| {
                encapsulated(object, &[0, 20, 40, 60], frames(object));
                extended(object, &[0, 20, 40, 60], &[12; 4]);
            },
        ),
    ];
    for (expected, change) in cases {
        let folder = tempfile::tempdir().unwrap();
        let error = refused(&enhanced(folder.path(), change));
        assert!(error.contains("encapsulated pixel data: ") && error.contains(expected), "{error}");
    }
    // Codestreams that claim many slices of 4096 x 4096 do not take the memory for them.
    let folder = tempfile::tempdir().unwrap();
    let error = refused(&enhanced(folder.path(), |object| {
        encapsulated(object, &[], vec![vec![0; 2]; 80]);
        put(object, tags::NUMBER_OF_FRAMES, VR::IS, "80");
        put(object, tags::ROWS, VR::US, 4096u16);
        put(object, tags::COLUMNS, VR::US, 4096u16);
        object.update_value(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, |value| {
            let items = value.items_mut().unwrap();
            let first = items[0].clone();
            items.resize(80, first);
        });
    }));
    assert!(
        error.contains("is of 80 x 4096 x 4096 voxels, expected at most 1073741824"),
        "{error}"
    );
}

#[test]
fn a_truncated_file_is_an_error_at_every_length() {
    let folder = tempfile::tempdir().unwrap();
    let changes: [fn(&mut DefaultDicomObject); 2] =
        [|_| (), |object| encapsulated(object, &[0, 20, 40, 60], frames(object))];
    for change in changes {
        let file = enhanced(folder.path(), change);
        let bytes = fs::read(&file).unwrap();
        for length in 0..bytes.len() {
            fs::write(&file, &bytes[..length]).unwrap();
            assert!(refused(&file).contains("enhanced.dcm"), "{length}: {}", refused(&file));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn damage_is_an_error_or_slices_and_not_a_panic(
        packed in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        static FILES: std::sync::OnceLock<[Vec<u8>; 2]> = std::sync::OnceLock::new();
        let files = FILES.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let plain = fs::read(enhanced(folder.path(), |_| ())).unwrap();
            let packed = enhanced(folder.path(), |object| {
                encapsulated(object, &[], frames(object));
                extended(object, &[0, 20, 40, 60], &[12; 4]);
            });
            [plain, fs::read(packed).unwrap()]
        });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("1.dcm");
        let mut bytes = files[usize::from(packed)].clone();
        for (at, byte) in changes {
            let at = 132 + at.index(bytes.len() - 132);
            bytes[at] = byte;
        }
        fs::write(&file, bytes).unwrap();
        if let Ok(series) = read_series(&[file], &Tolerances::default()) {
            prop_assert!(series.volume.geometry().n_voxels() <= 24);
        }
    }
}
