//! Slices of one scan of which some were compressed with loss, and are derived images for that alone.

use super::multi_frame::{put, sequence};
use super::samples;
use crate::dicom::{Tolerances, read_series};
use crate::volume::{Geometry, Volume};
use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use std::path::PathBuf;

fn volume() -> Volume<i16> {
    let size = [3, 2, 12];
    samples::on(
        Geometry::new(size, [0.5, 0.75, 2.5], [-10.0, 20.0, -99.5], Geometry::AXIAL).unwrap(),
    )
}

/// Changes the compressed slices, half of them.
type Compress = fn(&mut InMemDicomObject);

fn refused(
    files: &[PathBuf],
    is_second: fn(usize) -> bool,
    first: Compress,
    second: Compress,
) -> String {
    for (n, file) in files.iter().enumerate() {
        samples::edit(file, |object| {
            let change = if is_second(n) { second } else { first };
            for tag in [
                tags::LOSSY_IMAGE_COMPRESSION,
                tags::DERIVATION_DESCRIPTION,
                tags::DERIVATION_CODE_SEQUENCE,
            ] {
                object.remove_element(tag);
            }
            put(object, tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\AXIAL");
            change(object);
        });
    }
    match read_series(files, &Tolerances::default()) {
        Ok(series) => {
            assert_eq!(series.volume.voxels(), volume().voxels());
            String::new()
        }
        Err(error) => std::error::Error::source(&error).unwrap().to_string(),
    }
}

fn derive(object: &mut InMemDicomObject) {
    put(object, tags::IMAGE_TYPE, VR::CS, "DERIVED\\PRIMARY\\AXIAL");
}

fn flag(object: &mut InMemDicomObject) {
    put(object, tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01");
}

fn describe(object: &mut InMemDicomObject, text: &'static str) {
    put(object, tags::DERIVATION_DESCRIPTION, VR::ST, text);
}

#[test]
fn slices_that_compression_alone_derived_are_of_one_image_with_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let files = samples::write(folder.path(), &volume());
    let alternately: fn(usize) -> bool = |n| n % 2 == 1;
    let plain: Compress = |_| {};
    let read: [Compress; 4] = [
        |slice| {
            derive(slice);
            flag(slice);
        },
        |slice| {
            derive(slice);
            flag(slice);
            describe(slice, "Lossy Compression 10:1");
        },
        |slice| {
            derive(slice);
            describe(slice, "JPEG lossy compressed");
        },
        |slice| {
            derive(slice);
            let mut code = InMemDicomObject::new_empty();
            put(&mut code, tags::CODE_VALUE, VR::SH, "113040");
            put(&mut code, tags::CODE_MEANING, VR::LO, "Lossy Compression");
            slice.put(sequence(tags::DERIVATION_CODE_SEQUENCE, vec![code]));
        },
    ];
    for (at, compress) in read.into_iter().enumerate() {
        assert_eq!(refused(&files, alternately, plain, compress), "", "{at}");
    }
    // Two descriptions of one compression are none of the image.
    let first: Compress = |slice| {
        derive(slice);
        describe(slice, "JPEG lossy, ratio 9.1");
    };
    let second: Compress = |slice| {
        derive(slice);
        describe(slice, "JPEG lossy, ratio 12.4");
    };
    assert_eq!(refused(&files, alternately, first, second), "");
    let both: [Compress; 2] = [derive, |slice| {
        derive(slice);
        flag(slice);
    }];
    assert_eq!(refused(&files, alternately, both[0], both[1]), "");

    let two: [(Compress, Compress); 5] = [
        (plain, derive),
        (plain, |slice| {
            derive(slice);
            flag(slice);
            describe(slice, "Average of 3, lossy");
        }),
        (plain, |slice| {
            derive(slice);
            describe(slice, "Average of 3");
        }),
        (plain, |slice| {
            flag(slice);
            put(slice, tags::IMAGE_TYPE, VR::CS, "DERIVED\\PRIMARY\\AXIAL\\AVERAGE");
        }),
        // Compression changed no type here, so that something else did.
        (flag, |slice| {
            derive(slice);
            flag(slice);
        }),
    ];
    for (at, (first, second)) in two.into_iter().enumerate() {
        let error = refused(&files, alternately, first, second);
        assert!(error.contains("which differ in ImageType (DERIVED"), "{at}: {error}");
    }
}
