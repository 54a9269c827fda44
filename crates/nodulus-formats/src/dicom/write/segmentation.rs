//! Writes masks as a segmentation: binary DICOM SEG (PS3.3, A.51 and C.8.20).

use super::derived_object::{self, Author, Creation, DerivedSeries};
use super::new_object::{
    CodedConcept, Item, NewObject, item, put, put_code, put_items, put_texts, seal,
};
use super::segmentation_groups::{self, SegmentFrame};
use crate::dicom::error::Error;
use crate::dicom::series::source_series::SourceSeries;
use crate::volume::PlacedMask;
use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};

/// Who made a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentMaker {
    /// The network that the creation names.
    Network,
    /// A reader drew it.
    Reader,
    /// What the creation names made it of what readers drew.
    Consensus,
}

/// A segment to be written.
#[derive(Clone, Debug)]
pub struct NewSegment<'a> {
    /// `SegmentLabel`, at most 64 characters.
    pub label: String,
    /// `SegmentDescription`, if there is more to say.
    pub description: Option<String>,
    /// Who made it.
    pub maker: SegmentMaker,
    /// `TrackingID`, the same for the same finding in every object. `TrackingUID` is derived from it and the series.
    pub tracking_id: &'a str,
    /// Its voxels, on the grid of the series.
    pub mask: &'a PlacedMask,
}

const fn series(author: Author) -> DerivedSeries {
    let (series_number, series_description) = match author {
        Author::Network => ("901", "Lung nodules, automatic segmentation"),
        Author::Readers => ("911", "Lung nodules, outlined by readers"),
    };
    DerivedSeries { modality: "SEG", series_number, series_description }
}

/// CID 7150.
const CATEGORY: CodedConcept = ("49755003", "SCT", "Morphologically Abnormal Structure");
/// CID 7159.
pub(crate) const NODULE: CodedConcept = ("27925004", "SCT", "Nodule");
/// SNOMED CT: the organ, on either side.
pub(crate) const LUNG: CodedConcept = ("39607008", "SCT", "Lung");
/// CID 7162.
const FAMILY: CodedConcept = ("123110", "DCM", "Artificial Intelligence");

/// Makes a segmentation; `None` if no segment has a voxel, as the standard requires a segment (C.8.20.2:
/// `SegmentSequence` has at least one item).
///
/// Segments without voxels are skipped, and the others are numbered from 1 (C.8.20.2.6). Only slices with voxels
/// become frames, ordered by segment, then along k; each has the position in the header of its slice. The same input
/// gives the same bytes.
///
/// # Errors
///
/// Fails if the series has no frame of reference, a mask extends past its grid, or there are more than 65,535
/// segments.
pub fn segmentation(
    source: &SourceSeries,
    creation: &Creation<'_>,
    segments: &[NewSegment<'_>],
) -> Result<Option<NewObject>, Error> {
    let frame_of_reference = source.frame_of_reference()?;
    let segments: Vec<&NewSegment<'_>> =
        segments.iter().filter(|segment| !segment.mask.mask.is_empty()).collect();
    if segments.is_empty() {
        return Ok(None);
    }
    check(source, &segments)?;
    let frames = frames(&segments);
    let series = series(creation.author);
    let mut object = derived_object::begin(source, creation, Some(frame_of_reference), &series);
    derived_object::put_referenced_series(&mut object, source, creation.replaces);
    derived_object::put_replaced_image(&mut object, creation.replaces);
    put_image(&mut object, source, creation, &segments, frames.len());
    let described = (1u16..).zip(&segments);
    let described = described.map(|(number, segment)| describe(source, creation, number, segment));
    put_items(&mut object, tags::SEGMENT_SEQUENCE, described.collect());
    segmentation_groups::put(&mut object, source, &frames);
    let pixels = PrimitiveValue::from(packed(source, &segments, &frames));
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, pixels));
    seal(object, uids::SEGMENTATION_STORAGE, uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .map(Some)
        .map_err(|problem| source.unwritable("the segmentation", problem.to_string(), "one".into()))
}

fn check(source: &SourceSeries, segments: &[&NewSegment<'_>]) -> Result<(), Error> {
    let refuse = |attribute, found: String, expected: String| {
        Err(source.unwritable(attribute, found, expected))
    };
    if segments.len() > usize::from(u16::MAX) {
        return refuse(
            "the number of segments",
            segments.len().to_string(),
            "at most 65535".into(),
        );
    }
    let [columns, rows] = source.size;
    if columns.max(rows) > usize::from(u16::MAX) {
        return refuse("the size", format!("{columns} x {rows}"), "at most 65535".into());
    }
    let size = [columns, rows, source.slices.len()];
    let off = |segment: &&&NewSegment<'_>| (0..3).any(|a| segment.mask.end()[a] > size[a]);
    if let Some(segment) = segments.iter().find(off) {
        let found = format!("to voxel {:?}", segment.mask.end());
        return refuse("the reach of a mask", found, format!("within {size:?} voxels"));
    }
    Ok(())
}

/// The slices with voxels, by segment, then along k.
fn frames(segments: &[&NewSegment<'_>]) -> Vec<SegmentFrame> {
    let mut frames = Vec::new();
    for (segment, new) in segments.iter().enumerate() {
        let [_, _, n_slices] = new.mask.mask.size();
        let mut has_voxels = vec![false; n_slices];
        for [_, _, k] in new.mask.mask.voxels() {
            has_voxels[k] = true;
        }
        let slices = (0..n_slices).filter(|k| has_voxels[*k]).map(|k| k + new.mask.start[2]);
        frames.extend(slices.map(|k| SegmentFrame { segment, k }));
    }
    frames
}

/// Packs pixels: frame after frame without padding, with the first pixel in the lowest bit, in an even number of
/// bytes (PS3.5, 8.1.1 and annex D).
fn packed(source: &SourceSeries, segments: &[&NewSegment<'_>], frames: &[SegmentFrame]) -> Vec<u8> {
    let [columns, rows] = source.size;
    let n_pixels = columns * rows;
    let mut bytes = vec![0; (n_pixels * frames.len()).div_ceil(8).next_multiple_of(2)];
    for (n, frame) in frames.iter().enumerate() {
        let PlacedMask { start, mask } = segments[frame.segment].mask;
        let [ni, nj, _] = mask.size();
        for j in 0..nj {
            let row = n * n_pixels + (j + start[1]) * columns + start[0];
            for i in (0..ni).filter(|i| mask.get(*i, j, frame.k - start[2])) {
                bytes[(row + i) / 8] |= 1 << ((row + i) % 8);
            }
        }
    }
    bytes
}

fn put_image(
    object: &mut Item,
    source: &SourceSeries,
    creation: &Creation<'_>,
    segments: &[&NewSegment<'_>],
    n_frames: usize,
) {
    let [date, time] = derived_object::date_and_time(source, creation);
    let overlap = if overlap(segments) { "YES" } else { "NO" };
    put_texts(
        object,
        [
            (tags::IMAGE_TYPE, "DERIVED\\PRIMARY"),
            (tags::CONTENT_DATE, &date),
            (tags::CONTENT_TIME, &time),
            (tags::CONTENT_LABEL, "NODULES"),
            (tags::CONTENT_DESCRIPTION, "Lung nodules"),
            (tags::CONTENT_CREATOR_NAME, ""),
            (tags::SEGMENTATION_TYPE, "BINARY"),
            (tags::SEGMENTS_OVERLAP, overlap),
            (tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2"),
            (tags::NUMBER_OF_FRAMES, &n_frames.to_string()),
        ],
    );
    let [columns, rows] = source.size;
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, rows as u16),
        (tags::COLUMNS, columns as u16),
        (tags::BITS_ALLOCATED, 1),
        (tags::BITS_STORED, 1),
        (tags::HIGH_BIT, 0),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        put(object, tag, value);
    }
    derived_object::put_lossy(object, source);
}

/// Whether two segments share a voxel.
fn overlap(segments: &[&NewSegment<'_>]) -> bool {
    segments.iter().enumerate().any(|(n, a)| {
        segments[n + 1..].iter().any(|b| {
            let apart =
                |x: usize| a.mask.end()[x] <= b.mask.start[x] || b.mask.end()[x] <= a.mask.start[x];
            !(0..3).any(apart) && a.mask.voxels().any(|[i, j, k]| b.mask.get(i, j, k))
        })
    })
}

/// The item of a segment in `SegmentSequence`.
fn describe(
    source: &SourceSeries,
    creation: &Creation<'_>,
    number: u16,
    segment: &NewSegment<'_>,
) -> Item {
    let tracking_uid = source.tracking_uid(segment.tracking_id);
    let mut made = item([
        (tags::SEGMENT_LABEL, segment.label.as_str()),
        (tags::TRACKING_ID, segment.tracking_id),
        (tags::TRACKING_UID, &tracking_uid),
    ]);
    if let Some(description) = &segment.description {
        put(&mut made, tags::SEGMENT_DESCRIPTION, description.as_str());
    }
    put(&mut made, tags::SEGMENT_NUMBER, number);
    put_code(&mut made, tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, CATEGORY);
    put_code(&mut made, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, NODULE);
    put_code(&mut made, tags::ANATOMIC_REGION_SEQUENCE, LUNG);
    let kind = match segment.maker {
        SegmentMaker::Network => "AUTOMATIC",
        SegmentMaker::Reader => "MANUAL",
        // Made of manual segments by a program.
        SegmentMaker::Consensus => "SEMIAUTOMATIC",
    };
    put(&mut made, tags::SEGMENT_ALGORITHM_TYPE, kind);
    if segment.maker != SegmentMaker::Reader {
        put(&mut made, tags::SEGMENT_ALGORITHM_NAME, creation.algorithm);
    }
    if segment.maker == SegmentMaker::Network {
        let mut algorithm = item([
            (tags::ALGORITHM_NAME, creation.algorithm),
            (tags::ALGORITHM_VERSION, creation.version),
            (tags::ALGORITHM_SOURCE, "nodulus"),
        ]);
        put_code(&mut algorithm, tags::ALGORITHM_FAMILY_CODE_SEQUENCE, FAMILY);
        put_items(&mut made, tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE, vec![algorithm]);
    }
    made
}
