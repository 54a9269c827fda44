//! Enhanced CT files, made from the slices of a small series.

use super::samples::{self, edit};
use crate::dicom::{Error, Tolerances, find_series, read_series};
use crate::volume::Volume;
use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, InMemDicomObject};
use fs_err as fs;
use std::path::{Path, PathBuf};

const ENHANCED: &str = "1.2.840.10008.5.1.4.1.1.2.1";

/// Writes the slices of [`samples::volume`] as one file, which `change` may modify first.
pub(crate) fn enhanced(folder: &Path, change: impl FnOnce(&mut DefaultDicomObject)) -> PathBuf {
    enhanced_of(folder, &samples::volume(), change)
}

/// Writes the slices of a volume as one file, which `change` may modify first.
pub(super) fn enhanced_of(
    folder: &Path,
    volume: &Volume<i16>,
    change: impl FnOnce(&mut DefaultDicomObject),
) -> PathBuf {
    let slices = samples::write(folder, volume);
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

pub(super) fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}

fn some(object: &InMemDicomObject, wanted: &[Tag]) -> InMemDicomObject {
    let found = wanted.iter().map(|tag| object.element(*tag).unwrap().clone());
    InMemDicomObject::from_element_iter(found)
}

pub(super) fn put(
    object: &mut InMemDicomObject,
    tag: Tag,
    vr: VR,
    value: impl Into<PrimitiveValue>,
) {
    object.put_element(DataElement::new(tag, vr, value.into()));
}

/// Changes the groups of one frame, or those that all frames share.
pub(super) fn change_group(
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

pub(super) fn refused(file: &Path) -> String {
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
    let cases: [(&str, Change); 12] = [
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
        (
            "frame 3: ImagePositionPatient (0020,0032) is `0\\0\\1e7`, expected -1000000 to",
            |object| {
                let (sequence, position) =
                    (tags::PLANE_POSITION_SEQUENCE, tags::IMAGE_POSITION_PATIENT);
                change_group(object, Some(2), |group| {
                    group.put(one_item(sequence, position, VR::DS, "0\\0\\1e7"));
                });
            },
        ),
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
        ("frame 1: RescaleType (0028,1054) is missing", |object| {
            change_group(object, None, |group| {
                group.update_value(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, |value| {
                    value.items_mut().unwrap()[0].remove_element(tags::RESCALE_TYPE);
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

/// The value of the n-th image.
type ValueOf = fn(u16) -> PrimitiveValue;

#[test]
fn frames_of_several_images_are_told_apart_by_their_groups() {
    let cardiac = tags::CARDIAC_SYNCHRONIZATION_SEQUENCE;
    let content = tags::FRAME_CONTENT_SEQUENCE;
    let phase = tags::NOMINAL_PERCENTAGE_OF_CARDIAC_PHASE;
    let number = |n: u16| PrimitiveValue::from(n);
    let percent = |n: u16| PrimitiveValue::from(f32::from(n));
    let index: ValueOf = |n| PrimitiveValue::from(u32::from(n));
    for (sequence_tag, tag, vr, value) in [
        (content, tags::FRAME_ACQUISITION_NUMBER, VR::US, number as ValueOf),
        (content, tags::TEMPORAL_POSITION_INDEX, VR::UL, index),
        (cardiac, phase, VR::FL, percent),
    ] {
        let file_of = |folder: &Path, of: &dyn Fn(usize) -> u16| {
            enhanced(folder, |object| {
                for frame in 0..4 {
                    change_group(object, Some(frame), |group| {
                        let mut item = InMemDicomObject::new_empty();
                        put(&mut item, tag, vr, value(of(frame)));
                        group.put(sequence(sequence_tag, vec![item]));
                    });
                }
            })
        };
        let folder = tempfile::tempdir().unwrap();
        let error = refused(&file_of(folder.path(), &|frame| (frame % 2) as u16 + 1));
        assert!(error.contains("2 images of one body region") && error.contains("2 slices"));
        // One image, and two that lie one beside the other.
        for of in [|_| 1, |frame: usize| (frame / 2) as u16] {
            let folder = tempfile::tempdir().unwrap();
            assert!(read_series(&[file_of(folder.path(), &of)], &Tolerances::default()).is_ok());
        }
    }
}

#[test]
fn the_technique_of_a_computed_frame_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = enhanced(folder.path(), |object| {
        put(object, tags::IMAGE_TYPE, VR::CS, "DERIVED\\PRIMARY\\VOLUME\\NONE");
        change_group(object, None, |group| {
            let technique = tags::VOLUME_BASED_CALCULATION_TECHNIQUE;
            group.put(one_item(tags::CT_IMAGE_FRAME_TYPE_SEQUENCE, technique, VR::CS, "MAX_IP"));
        });
    });
    let series = read_series(&[file], &Tolerances::default()).unwrap();
    let expected = "DERIVED\\PRIMARY\\VOLUME\\NONE\\MAX_IP";
    assert_eq!(series.info.labels.image_type.as_deref(), Some(expected));
}
