//! Enhanced CT files, made from the slices of a small series.

use super::samples::{self, edit};
use crate::dicom::{Error, Tolerances, find_series, read_series};
use dicom_core::value::{DataSetSequence, PixelFragmentSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, InMemDicomObject};
use fs_err as fs;
use proptest::prelude::*;
use std::path::{Path, PathBuf};

const ENHANCED: &str = "1.2.840.10008.5.1.4.1.1.2.1";

/// Writes the slices of [`samples::volume`] as one file, which `change` may modify first.
pub(crate) fn enhanced(folder: &Path, change: impl FnOnce(&mut DefaultDicomObject)) -> PathBuf {
    let slices = samples::write(folder, &samples::volume());
    let of = |file: &PathBuf| dicom_object::open_file(file).unwrap();
    let mut object = of(&slices[0]);
    let mut pixels = Vec::new();
    let mut groups = Vec::new();
    for file in &slices {
        let slice = of(file);
        pixels.extend(slice.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned());
        groups.push(InMemDicomObject::from_element_iter([sequence(
            tags::PLANE_POSITION_SEQUENCE,
            vec![some(&slice, &[tags::IMAGE_POSITION_PATIENT])],
        )]));
    }
    let measures = [tags::SLICE_THICKNESS, tags::SPACING_BETWEEN_SLICES, tags::PIXEL_SPACING];
    let rescaling = [tags::RESCALE_INTERCEPT, tags::RESCALE_SLOPE, tags::RESCALE_TYPE];
    let shared = InMemDicomObject::from_element_iter([
        sequence(
            tags::CT_RECONSTRUCTION_SEQUENCE,
            vec![some(&object, &[tags::CONVOLUTION_KERNEL])],
        ),
        sequence(tags::CTX_RAY_DETAILS_SEQUENCE, vec![some(&object, &[tags::KVP]); 2]),
        sequence(
            tags::CT_EXPOSURE_SEQUENCE,
            vec![InMemDicomObject::from_element_iter([DataElement::new(
                tags::X_RAY_TUBE_CURRENT_INM_A,
                VR::FD,
                PrimitiveValue::from(250.0),
            )])],
        ),
        sequence(
            tags::PLANE_ORIENTATION_SEQUENCE,
            vec![some(&object, &[tags::IMAGE_ORIENTATION_PATIENT])],
        ),
        sequence(tags::PIXEL_MEASURES_SEQUENCE, vec![some(&object, &measures)]),
        sequence(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, vec![some(&object, &rescaling)]),
    ]);
    for tag in measures.into_iter().chain(rescaling).chain([
        tags::KVP,
        tags::CONVOLUTION_KERNEL,
        tags::X_RAY_TUBE_CURRENT,
        tags::IMAGE_POSITION_PATIENT,
        tags::IMAGE_ORIENTATION_PATIENT,
    ]) {
        object.remove_element(tag);
    }
    put(&mut object, tags::SOP_CLASS_UID, VR::UI, ENHANCED);
    put(&mut object, tags::NUMBER_OF_FRAMES, VR::IS, slices.len().to_string());
    object.put(sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]));
    object.put(sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, groups));
    put(&mut object, tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(pixels));
    change(&mut object);
    for file in &slices {
        fs::remove_file(file).unwrap();
    }
    let file = folder.join("enhanced.dcm");
    object.write_to_file(&file).unwrap();
    file
}

fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}

fn some(object: &InMemDicomObject, wanted: &[Tag]) -> InMemDicomObject {
    let found = wanted.iter().map(|tag| object.element(*tag).unwrap().clone());
    InMemDicomObject::from_element_iter(found)
}

fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: impl Into<PrimitiveValue>) {
    object.put_element(DataElement::new(tag, vr, value.into()));
}

/// Changes the groups of one frame, or those that all frames share.
fn change_group(
    object: &mut InMemDicomObject,
    frame: Option<usize>,
    mut change: impl FnMut(&mut InMemDicomObject),
) {
    let tag = match frame {
        None => tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
        Some(_) => tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    };
    object.update_value(tag, |value| {
        change(&mut value.items_mut().unwrap()[frame.unwrap_or(0)]);
    });
}

fn one_item(tag: Tag, wanted: Tag, vr: VR, value: &str) -> DataElement<InMemDicomObject> {
    let mut item = InMemDicomObject::new_empty();
    put(&mut item, wanted, vr, value);
    sequence(tag, vec![item])
}

fn refused(file: &Path) -> String {
    match read_series(&[file.to_owned()], &Tolerances::default()).unwrap_err() {
        Error::Refused { reason, .. } => reason.to_string(),
        other => other.to_string(),
    }
}

#[test]
fn frames_are_slices_and_come_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    for class in [ENHANCED, "1.2.840.10008.5.1.4.1.1.2.2"] {
        let file = enhanced(folder.path(), |object| {
            put(object, tags::SOP_CLASS_UID, VR::UI, class);
        });
        let found = find_series(std::slice::from_ref(&file)).unwrap();
        assert_eq!(found[0].files, std::slice::from_ref(&file));
        let series = read_series(&[file], &Tolerances::default()).unwrap();
        assert_eq!(series.volume, samples::volume());
        let info = series.info;
        assert_eq!((info.kvp, info.tube_current), (Some(120.0), Some(250.0)));
        assert_eq!((info.kernel.as_deref(), info.slice_thickness_mm), (Some("SOFT"), Some(3.0)));
    }
    // The first two frames are swapped, with their voxels.
    let file = enhanced(folder.path(), |object| {
        object.update_value(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, |value| {
            value.items_mut().unwrap().swap(0, 1);
        });
        let pixels = object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
        let frames: Vec<&[u8]> = pixels.chunks(12).collect();
        let pixels = [frames[1], frames[0], frames[2], frames[3]].concat();
        put(object, tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(pixels));
    });
    assert_eq!(read_series(&[file], &Tolerances::default()).unwrap().volume, samples::volume());
}

#[test]
fn every_frame_has_its_own_rescaling_and_localizers_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let file = enhanced(folder.path(), |object| {
        change_group(object, None, |group| {
            group.remove_element(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE);
        });
        for (frame, intercept) in ["-1024", "-1000", "-1024", "0"].into_iter().enumerate() {
            change_group(object, Some(frame), |group| {
                let mut item = InMemDicomObject::new_empty();
                put(&mut item, tags::RESCALE_INTERCEPT, VR::DS, intercept);
                put(&mut item, tags::RESCALE_SLOPE, VR::DS, "1");
                put(&mut item, tags::RESCALE_TYPE, VR::LO, "HU");
                group.put(sequence(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, vec![item]));
            });
        }
        change_group(object, Some(3), |group| {
            let kind = "ORIGINAL\\PRIMARY\\LOCALIZER\\NONE";
            group.put(one_item(tags::CT_IMAGE_FRAME_TYPE_SEQUENCE, tags::FRAME_TYPE, VR::CS, kind));
        });
    });
    let voxels = read_series(&[file], &Tolerances::default()).unwrap().volume.into_voxels();
    let expected = samples::volume().into_voxels();
    assert_eq!(voxels.dim(), (3, 2, 3));
    assert_eq!(voxels[[0, 1, 2]], expected[[0, 1, 2]]);
    assert_eq!(voxels[[1, 1, 2]], expected[[1, 1, 2]] + 24);
}

#[test]
fn a_series_may_be_in_several_files_and_frames_at_one_position_are_compared() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = [enhanced(a.path(), |_| ()), enhanced(b.path(), |_| ())];
    let series = read_series(&files, &Tolerances::default()).unwrap();
    assert_eq!((series.info.n_duplicate_slices, series.volume), (4, samples::volume()));
    // Another time point at the same positions.
    edit(&files[1], |object| {
        let mut pixels = object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
        pixels[25] ^= 1;
        put(object, tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(pixels));
    });
    let Err(Error::Refused { reason, .. }) = read_series(&files, &Tolerances::default()) else {
        panic!("not refused")
    };
    let error = reason.to_string();
    assert!(error.contains("enhanced.dcm, frame 3` and `"), "{error}");
    assert!(error.contains("lie at one position, -94.5000 mm along the normal"), "{error}");
}

#[test]
fn a_contradiction_is_refused_with_its_frame() {
    type Change = fn(&mut InMemDicomObject);
    let cases: [(&str, Change); 11] = [
        ("NumberOfFrames (0028,0008) is 0, expected 1 to 65536", |object| {
            put(object, tags::NUMBER_OF_FRAMES, VR::IS, "0");
        }),
        (
            "PerFrameFunctionalGroupsSequence (5200,9230) is of 4 items, expected 5, one for",
            |object| {
                put(object, tags::NUMBER_OF_FRAMES, VR::IS, "5");
            },
        ),
        (
            "PixelData (7FE0,0010) is 46 bytes, expected 48 bytes, 2 for each of 4 x 3 x 2",
            |object| {
                put(object, tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(vec![0u8; 46]));
            },
        ),
        ("frame 3: ImagePositionPatient (0020,0032) is missing", |object| {
            change_group(object, Some(2), |group| {
                group.remove_element(tags::PLANE_POSITION_SEQUENCE);
            });
        }),
        ("frame 1: ImageOrientationPatient (0020,0037) is missing", |object| {
            change_group(object, None, |group| {
                group.remove_element(tags::PLANE_ORIENTATION_SEQUENCE);
            });
        }),
        ("frame 2: PixelSpacing (0028,0030) is given for all frames and for this one", |object| {
            let (sequence, spacing) = (tags::PIXEL_MEASURES_SEQUENCE, tags::PIXEL_SPACING);
            change_group(object, Some(1), |group| {
                group.put(one_item(sequence, spacing, VR::DS, "1\\1"));
            });
        }),
        ("PlanePositionSequence (0020,9113) is of 2 items, expected one", |object| {
            change_group(object, Some(1), |group| {
                group.update_value(tags::PLANE_POSITION_SEQUENCE, |value| {
                    let items = value.items_mut().unwrap();
                    items.push(items[0].clone());
                });
            });
        }),
        ("SharedFunctionalGroupsSequence (5200,9229) is of more than 1 items", |object| {
            object.update_value(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, |value| {
                let items = value.items_mut().unwrap();
                items.push(items[0].clone());
            });
        }),
        ("frame 1: RescaleType (0028,1054) is Z_EFF, expected HU", |object| {
            change_group(object, None, |group| {
                group.update_value(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, |value| {
                    put(&mut value.items_mut().unwrap()[0], tags::RESCALE_TYPE, VR::LO, "Z_EFF");
                });
            });
        }),
        ("frame 1: RescaleSlope (0028,1053) is missing", |object| {
            change_group(object, None, |group| {
                group.update_value(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, |value| {
                    value.items_mut().unwrap()[0].remove_element(tags::RESCALE_SLOPE);
                });
            });
        }),
        ("PhotometricInterpretation (0028,0004) is RGB, expected MONOCHROME1 or", |object| {
            put(object, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB");
        }),
    ];
    for (expected, change) in cases {
        let folder = tempfile::tempdir().unwrap();
        let error = refused(&enhanced(folder.path(), |object| change(object)));
        assert!(error.contains("enhanced.dcm`: ") && error.contains(expected), "{error}");
    }
    // A contradiction between slices names both.
    let folder = tempfile::tempdir().unwrap();
    let error = refused(&enhanced(folder.path(), |object| {
        change_group(object, Some(3), |group| {
            let (sequence, position) =
                (tags::PLANE_POSITION_SEQUENCE, tags::IMAGE_POSITION_PATIENT);
            group.put(one_item(sequence, position, VR::DS, "-10\\20\\-91"));
        });
    }));
    assert!(
        error.contains("enhanced.dcm, frame 3` and `") && error.contains("3.5000 mm"),
        "{error}"
    );
}

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
