//! Writes a picture as a Secondary Capture image (PS3.3, A.8.1).

use super::derived_object::{self, Creation, DerivedSeries, frame_reference};
use super::new_object::{CodedConcept, NewObject, put, put_code, put_items, put_texts, seal};
use crate::dicom::error::Error;
use crate::dicom::series::source_series::SourceSeries;
use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};

/// A picture in colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewPicture<'a> {
    /// Pixels along x and y.
    pub size: [usize; 2],
    /// Red, green and blue of each pixel, row by row.
    pub rgb: &'a [u8],
    /// The slices k that it shows.
    pub slices: &'a [usize],
}

const SERIES: DerivedSeries = DerivedSeries {
    modality: "OT",
    series_number: "904",
    series_description: "Lung nodules, automatic outlines as a picture",
};

/// CID 7202.
const SOURCE: CodedConcept = ("121322", "DCM", "Source image for image processing operation");

/// Makes an image of a picture, in explicit VR little endian. The same input gives the same bytes.
///
/// # Errors
///
/// Fails if the picture has more than 65,535 rows or columns, or its bytes are not those of its size, or it shows a
/// slice that the series lacks.
pub fn secondary_capture(
    source: &SourceSeries,
    creation: &Creation<'_>,
    picture: &NewPicture<'_>,
) -> Result<NewObject, Error> {
    let [columns, rows] = picture.size;
    let [Ok(columns16), Ok(rows16)] = [columns, rows].map(u16::try_from) else {
        let found = format!("{columns} x {rows}");
        return Err(source.unwritable("the size of a picture", found, "at most 65535".into()));
    };
    if picture.rgb.len() != 3 * columns * rows {
        let found = picture.rgb.len().to_string();
        let expected = format!("{} of {columns} x {rows} pixels", 3 * columns * rows);
        return Err(source.unwritable("the number of bytes of a picture", found, expected));
    }
    let n_slices = source.slices.len();
    if let Some(k) = picture.slices.iter().find(|k| **k >= n_slices) {
        let expected = format!("less than {n_slices}");
        return Err(source.unwritable("the slice of a picture", k.to_string(), expected));
    }
    let mut object = derived_object::begin(source, creation, None, &SERIES);
    derived_object::put_referenced_series(&mut object, source, creation.replaces);
    derived_object::put_replaced_image(&mut object, creation.replaces);
    let [date, time] = derived_object::date_and_time(source, creation);
    put_texts(
        &mut object,
        [
            (tags::CONVERSION_TYPE, "WSD"),
            (tags::IMAGE_TYPE, "DERIVED\\SECONDARY"),
            (tags::CONTENT_DATE, &date),
            (tags::CONTENT_TIME, &time),
            // Both lungs, or an unknown orientation of the picture: present and empty (type 2C).
            (tags::LATERALITY, ""),
            (tags::PATIENT_ORIENTATION, ""),
            (tags::BURNED_IN_ANNOTATION, "NO"),
            (tags::RECOGNIZABLE_VISUAL_FEATURES, "NO"),
            (tags::PHOTOMETRIC_INTERPRETATION, "RGB"),
        ],
    );
    derived_object::put_lossy(&mut object, source);
    let shown = picture.slices.iter().map(|k| {
        let mut image = frame_reference(&source.slices[*k]);
        put_code(&mut image, tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, SOURCE);
        image
    });
    put_items(&mut object, tags::SOURCE_IMAGE_SEQUENCE, shown.collect());
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 3),
        (tags::PLANAR_CONFIGURATION, 0),
        (tags::ROWS, rows16),
        (tags::COLUMNS, columns16),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        put(&mut object, tag, value);
    }
    let mut pixels = picture.rgb.to_vec();
    // PS3.5, 8: pixel data have an even number of bytes.
    pixels.resize(pixels.len().next_multiple_of(2), 0);
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::from(pixels)));
    seal(object, uids::SECONDARY_CAPTURE_IMAGE_STORAGE, uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .map_err(|problem| source.unwritable("the picture", problem.to_string(), "one".into()))
}
