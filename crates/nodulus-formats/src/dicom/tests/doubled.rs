//! Elements that are there twice in a functional group of an Enhanced CT.

use super::multi_frame::{enhanced, put, refused};
use crate::dicom::{Irregularity, Tolerances, read_series};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use fs_err as fs;
use std::path::Path;

/// An element in explicit little endian.
fn element(tag: Tag, vr: &str, value: &str) -> Vec<u8> {
    let length = (value.len() as u16).to_le_bytes();
    let [group, number] = [tag.group(), tag.element()].map(u16::to_le_bytes);
    [&group, &number, vr.as_bytes(), &length, value.as_bytes()].concat()
}

/// Puts bytes behind the n-th place of others. Sequences of the DICOM library have no length, so that none changes.
fn insert(file: &Path, n: usize, behind: &[u8], bytes: &[u8]) {
    let mut content = fs::read(file).unwrap();
    let places = (0..content.len()).filter(|at| content[*at..].starts_with(behind));
    let at = places.clone().nth(n).unwrap() + behind.len();
    content.splice(at..at, bytes.iter().copied());
    fs::write(file, content).unwrap();
}

#[test]
fn an_element_that_a_group_has_twice_has_one_value() {
    let slope = |value: &str| element(tags::RESCALE_SLOPE, "DS", value);
    let kernel = |value: &str| element(tags::CONVOLUTION_KERNEL, "SH", value);
    let with = |n: usize, behind: &[u8], second: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        let file = enhanced(folder.path(), |_| {});
        insert(&file, n, behind, second);
        (read_series(std::slice::from_ref(&file), &Tolerances::default()), folder, file)
    };
    // The same, in other bytes too.
    for (behind, second) in
        [(slope("1 "), slope("1 ")), (slope("1 "), slope(" 1")), (kernel("SOFT"), kernel("SOFT"))]
    {
        let (series, ..) = with(0, &behind, &second);
        let series = series.unwrap();
        assert_eq!(series.info.kernel.as_deref(), Some("SOFT"));
        assert_eq!(series.info.irregularities.texts(), [] as [&str; 0]);
    }
    // Two values, one of which the voxels depend on; the order does not matter.
    for second in ["2 ", "0.5 "] {
        let (_, _folder, file) = with(0, &slope("1 "), &slope(second));
        let error = refused(&file);
        let value = second.trim();
        let expected = format!(
            "RescaleSlope (0028,1053) is there twice, `1` and `{value}`, expected one value"
        );
        assert!(error.contains(&expected), "{error}");
    }
    let (series, ..) = with(0, &kernel("SOFT"), &kernel("BONE"));
    let info = series.unwrap().info;
    assert_eq!(info.kernel, None);
    assert!(info.irregularities.count(Irregularity::Attribute(tags::CONVOLUTION_KERNEL)) > 0);
    // In the groups of one frame, whose number is told.
    let folder = tempfile::tempdir().unwrap();
    let file = enhanced(folder.path(), |_| {});
    let content = fs::read(&file).unwrap();
    let header = [0x20, 0x00, 0x32, 0x00, b'D', b'S'];
    let mut places = (0..content.len()).filter(|at| content[*at..].starts_with(&header));
    let at = places.nth(1).unwrap();
    let length = usize::from(content[at + 6]);
    let own = content[at..at + 8 + length].to_vec();
    insert(&file, 0, &own, &element(tags::IMAGE_POSITION_PATIENT, "DS", "1\\2\\3 "));
    let error = refused(&file);
    assert!(error.contains("frame 2: ImagePositionPatient (0020,0032) is there twice"), "{error}");
}

#[test]
fn a_sequence_that_a_group_has_twice_counts_as_one() {
    let sequence = |value: &str| {
        let undefined = [0xFF; 4];
        let bytes: [&[u8]; 7] = [
            &[0x28, 0x00, 0x45, 0x91, b'S', b'Q', 0, 0],
            &undefined,
            &[0xFE, 0xFF, 0x00, 0xE0],
            &undefined,
            &element(tags::RESCALE_SLOPE, "DS", value),
            &[0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0],
            &[0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0],
        ];
        bytes.concat()
    };
    let with = |value: &str| {
        let folder = tempfile::tempdir().unwrap();
        let file = enhanced(folder.path(), |_| {});
        // Before the sequence of the same tag, which is the last of the shared groups.
        let mut content = fs::read(&file).unwrap();
        let header = [0x28, 0x00, 0x45, 0x91, b'S', b'Q'];
        let at = (0..content.len()).find(|at| content[*at..].starts_with(&header)).unwrap();
        content.splice(at..at, sequence(value));
        fs::write(&file, content).unwrap();
        (folder, file)
    };
    let (_folder, same) = with("1 ");
    assert!(read_series(&[same], &Tolerances::default()).is_ok());
    let (_folder, other) = with("2 ");
    let error = refused(&other);
    assert!(error.contains("RescaleSlope (0028,1053) is there twice, `2` and `1`"), "{error}");
}

#[test]
fn shared_groups_that_are_there_twice_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = enhanced(folder.path(), |object| put(object, tags::ROWS, VR::US, 2u16));
    let content = fs::read(&file).unwrap();
    let place =
        |tag: [u8; 4]| (0..content.len()).find(|at| content[*at..].starts_with(&tag)).unwrap();
    let (start, end) = (place([0x00, 0x52, 0x29, 0x92]), place([0x00, 0x52, 0x30, 0x92]));
    let shared = content[start..end].to_vec();
    let with = |shared: &[u8]| {
        let mut doubled = content.clone();
        doubled.splice(start..start, shared.iter().copied());
        fs::write(&file, doubled).unwrap();
    };
    with(&shared);
    assert!(read_series(std::slice::from_ref(&file), &Tolerances::default()).is_ok());
    let slope = element(tags::RESCALE_SLOPE, "DS", "1 ");
    let at = (0..shared.len()).find(|at| shared[*at..].starts_with(&slope)).unwrap();
    let mut other = shared;
    other[at + slope.len() - 2] = b'3';
    with(&other);
    let error = refused(&file);
    let expected = "SharedFunctionalGroupsSequence (5200,9229) is there twice, with other content";
    assert!(error.contains(expected), "{error}");
}
