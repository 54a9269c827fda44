//! Writes the dimensions and functional groups of a segmentation (PS3.3, C.7.6.16 and C.7.6.17).

use super::derived_object::frame_reference;
use super::new_object::{self, CodedConcept, Item, item, put_code, put_decimals, put_items};
use crate::dicom::series::source_series::SourceSeries;
use crate::uid;
use dicom_core::Tag;
use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::tags;
use std::collections::BTreeSet;

/// A frame: a slice of a segment that has voxels.
pub(crate) struct SegmentFrame {
    /// Segment, from 0.
    pub(crate) segment: usize,
    pub(crate) k: usize,
}

/// CID 7203.
const SEGMENTATION: CodedConcept = ("113076", "DCM", "Segmentation");
/// CID 7202.
const SOURCE: CodedConcept = ("121322", "DCM", "Source image for image processing operation");

/// Puts the dimensions, the groups that all frames share, and those of each frame.
pub(crate) fn put(object: &mut Item, source: &SourceSeries, frames: &[SegmentFrame]) {
    put_dimensions(object, source);
    put_items(object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared(source)]);
    let slices: BTreeSet<usize> = frames.iter().map(|frame| frame.k).collect();
    // Positions are numbered from 1 along k, among the slices that have a frame.
    let position = |k: usize| slices.range(..=k).count() as u32;
    let mut positions = vec![0; source.slices.len()];
    for k in &slices {
        positions[*k] = position(*k);
    }
    let each = frames.iter().map(|frame| of_frame(source, frame, positions[frame.k]));
    put_items(object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, each.collect());
}

/// Frames are ordered by segment, then by position.
fn put_dimensions(object: &mut Item, source: &SourceSeries) {
    let organisation =
        uid::from_parts(["dimensions", &source.series_instance_uid].map(str::as_bytes));
    let named = item([(tags::DIMENSION_ORGANIZATION_UID, organisation.as_str())]);
    put_items(object, tags::DIMENSION_ORGANIZATION_SEQUENCE, vec![named]);
    let dimension = |tag: Tag, group: Tag, label: &str| {
        let mut made = item([
            (tags::DIMENSION_ORGANIZATION_UID, organisation.as_str()),
            (tags::DIMENSION_DESCRIPTION_LABEL, label),
        ]);
        for (at, pointed) in
            [(tags::DIMENSION_INDEX_POINTER, tag), (tags::FUNCTIONAL_GROUP_POINTER, group)]
        {
            new_object::put(&mut made, at, PrimitiveValue::from(pointed));
        }
        made
    };
    let dimensions = vec![
        dimension(
            tags::REFERENCED_SEGMENT_NUMBER,
            tags::SEGMENT_IDENTIFICATION_SEQUENCE,
            "Segment Number",
        ),
        dimension(
            tags::IMAGE_POSITION_PATIENT,
            tags::PLANE_POSITION_SEQUENCE,
            "Image Position Patient",
        ),
    ];
    put_items(object, tags::DIMENSION_INDEX_SEQUENCE, dimensions);
}

fn shared(source: &SourceSeries) -> Item {
    let mut measures = Item::new_empty();
    let thickness_mm = source.slice_thickness_mm.unwrap_or(source.step_mm);
    put_decimals(&mut measures, tags::SLICE_THICKNESS, &[thickness_mm]);
    put_decimals(&mut measures, tags::SPACING_BETWEEN_SLICES, &[source.step_mm]);
    // `PixelSpacing` begins with the distance between rows, which is along j.
    let [si, sj] = source.spacing_mm;
    put_decimals(&mut measures, tags::PIXEL_SPACING, &[sj, si]);
    let mut orientation = Item::new_empty();
    put_decimals(&mut orientation, tags::IMAGE_ORIENTATION_PATIENT, &source.orientation);
    let mut made = Item::new_empty();
    put_items(&mut made, tags::PIXEL_MEASURES_SEQUENCE, vec![measures]);
    put_items(&mut made, tags::PLANE_ORIENTATION_SEQUENCE, vec![orientation]);
    made
}

fn of_frame(source: &SourceSeries, frame: &SegmentFrame, position_index: u32) -> Item {
    let slice = &source.slices[frame.k];
    let segment = frame.segment as u16 + 1;

    let mut content = Item::new_empty();
    let index = [u32::from(segment), position_index];
    new_object::put(&mut content, tags::DIMENSION_INDEX_VALUES, PrimitiveValue::from(index));
    let mut position = Item::new_empty();
    put_decimals(&mut position, tags::IMAGE_POSITION_PATIENT, &slice.position_mm);
    let mut identification = Item::new_empty();
    new_object::put(&mut identification, tags::REFERENCED_SEGMENT_NUMBER, segment);

    let mut image = frame_reference(slice);
    new_object::put(&mut image, tags::SPATIAL_LOCATIONS_PRESERVED, "YES");
    put_code(&mut image, tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, SOURCE);
    let mut derivation = Item::new_empty();
    put_items(&mut derivation, tags::SOURCE_IMAGE_SEQUENCE, vec![image]);
    put_code(&mut derivation, tags::DERIVATION_CODE_SEQUENCE, SEGMENTATION);

    let mut made = Item::new_empty();
    for (tag, group) in [
        (tags::DERIVATION_IMAGE_SEQUENCE, derivation),
        (tags::FRAME_CONTENT_SEQUENCE, content),
        (tags::PLANE_POSITION_SEQUENCE, position),
        (tags::SEGMENT_IDENTIFICATION_SEQUENCE, identification),
    ] {
        put_items(&mut made, tag, vec![group]);
    }
    made
}
