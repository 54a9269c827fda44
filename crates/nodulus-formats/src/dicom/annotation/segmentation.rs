//! Segmentations: DICOM SEG, binary, fractional or as a label map (PS3.3, A.51 and C.8.20).

use super::frame_pixels::{FramePixels, SegmentationType, segmentation_type};
use super::referenced::{ReferencedUids, add_series};
use crate::dicom::element::data_set::{DataSet, DicomFile, required};
use crate::dicom::error::Problem;
use crate::repair::{Repair, Repairs};
use crate::volume::{Geometry, InvalidGeometry, Mask, PlacedMask};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use std::collections::BTreeMap;

/// A segmentation: its frames, and the pixels of each segment in them.
#[derive(Clone, Debug, PartialEq)]
pub struct Segmentation {
    /// The CT that it refers to.
    pub referenced: ReferencedUids,
    /// The plane of each frame, in the file's order.
    pub planes: Vec<Plane>,
    /// The segments, by number.
    pub segments: Vec<Segment>,
    /// Distance between frames along their normal, if the file gives it.
    pub spacing_between_slices_mm: Option<f64>,
    /// What was put right.
    pub repairs: Repairs,
}

/// The plane of a frame: where its pixels are in the patient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plane {
    /// Pixels along i and j.
    pub size: [usize; 2],
    /// Spacing along i and j.
    pub spacing_mm: [f64; 2],
    /// Centre of the first pixel, LPS.
    pub position_mm: [f64; 3],
    /// Unit vectors of i, then of j, LPS.
    pub orientation: [f64; 6],
}

/// A segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// `SegmentNumber`.
    pub number: u16,
    /// `SegmentLabel`.
    pub label: String,
    /// Its pixels in each frame that has some: the index of the frame, and a box with one voxel along k.
    pub frames: Vec<(usize, PlacedMask)>,
}

const WANTED: [Tag; 30] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::SOP_CLASS_UID,
    tags::REFERENCED_SERIES_SEQUENCE,
    tags::SERIES_INSTANCE_UID,
    tags::FRAME_OF_REFERENCE_UID,
    tags::SAMPLES_PER_PIXEL,
    tags::NUMBER_OF_FRAMES,
    tags::ROWS,
    tags::COLUMNS,
    tags::BITS_ALLOCATED,
    tags::BITS_STORED,
    tags::PIXEL_REPRESENTATION,
    tags::PIXEL_PADDING_VALUE,
    tags::SEGMENTATION_TYPE,
    tags::MAXIMUM_FRACTIONAL_VALUE,
    tags::SEGMENT_SEQUENCE,
    tags::SEGMENT_NUMBER,
    tags::SEGMENT_LABEL,
    tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::PLANE_POSITION_SEQUENCE,
    tags::IMAGE_POSITION_PATIENT,
    tags::PLANE_ORIENTATION_SEQUENCE,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::PIXEL_MEASURES_SEQUENCE,
    tags::PIXEL_SPACING,
    tags::SPACING_BETWEEN_SLICES,
    tags::SEGMENT_IDENTIFICATION_SEQUENCE,
    tags::REFERENCED_SEGMENT_NUMBER,
    tags::PIXEL_DATA,
];

/// Parses a segmentation; see [`read_annotation_object`](crate::dicom::read_annotation_object).
pub(crate) fn parse(whole: &DicomFile, threshold: f64) -> Result<Segmentation, Problem> {
    let data = whole.data_set(&WANTED)?;
    let mut referenced = ReferencedUids::default();
    add_series(&data, tags::REFERENCED_SERIES_SEQUENCE, &mut referenced.series)?;
    referenced
        .frames_of_reference
        .extend(data.ascii(tags::FRAME_OF_REFERENCE_UID)?.map(str::to_owned));
    let sets = data.character_sets();
    let mut segments = BTreeMap::new();
    for item in data.items(tags::SEGMENT_SEQUENCE) {
        let number = required(item.unsigned(tags::SEGMENT_NUMBER)?, tags::SEGMENT_NUMBER)?;
        let label = item.text(tags::SEGMENT_LABEL, &sets).unwrap_or_default();
        let segment = Segment { number, label, frames: Vec::new() };
        if segments.insert(number, segment).is_some() {
            let found = format!("{number} twice");
            return Err(Problem::value(tags::SEGMENT_NUMBER, found, "each number once"));
        }
    }
    let kind = segmentation_type(&data, threshold)?;
    let unsigned = |tag| data.unsigned(tag).and_then(|found| required(found, tag));
    let size = [unsigned(tags::COLUMNS)?, unsigned(tags::ROWS)?].map(usize::from);
    let shared = data.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let frames = data.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let n_frames = required(data.integer(tags::NUMBER_OF_FRAMES)?, tags::NUMBER_OF_FRAMES)?;
    if usize::try_from(n_frames) != Ok(frames.len()) {
        let expected = format!("{}, the number of frames with functional groups", frames.len());
        return Err(Problem::value(tags::NUMBER_OF_FRAMES, n_frames, expected));
    }
    let pixels = FramePixels::new(whole, &data, kind, size, frames.len())?;
    let mut planes = Vec::with_capacity(frames.len());
    let mut spacing_between_slices_mm = None;
    let mut values = vec![0; size[0] * size[1]];
    for (n, frame) in frames.iter().enumerate() {
        let groups = FrameGroups { frame, shared };
        let plane;
        (plane, spacing_between_slices_mm) = groups.plane(size)?;
        planes.push(plane);
        pixels.read(n, &mut values)?;
        match kind {
            SegmentationType::Binary => {
                groups.segment(&mut segments)?.add(n, size, &values, |v| v == 1);
            }
            SegmentationType::Fractional { least } => {
                groups.segment(&mut segments)?.add(n, size, &values, |v| f64::from(v) >= least);
            }
            SegmentationType::LabelMap { background } => {
                add_labels(&mut segments, n, size, &values, background)?;
            }
        }
    }
    segments.retain(|number, _| *number != 0 && kind.background() != Some(*number));
    let segments = segments.into_values().collect();
    let repairs = pixels.has_extra_bytes.then_some(Repair::ExtraBytes).into_iter().collect();
    Ok(Segmentation { referenced, planes, segments, spacing_between_slices_mm, repairs })
}

/// The functional groups of a frame: its own, or else those that all frames share.
struct FrameGroups<'a> {
    frame: &'a DataSet<'a>,
    shared: Option<&'a DataSet<'a>>,
}

impl<'a> FrameGroups<'a> {
    fn group(&self, sequence: Tag) -> Result<&'a DataSet<'a>, Problem> {
        let own = self.frame.item(sequence);
        required(own.or_else(|| self.shared?.item(sequence)), sequence)
    }

    fn plane(&self, size: [usize; 2]) -> Result<(Plane, Option<f64>), Problem> {
        let position = self.group(tags::PLANE_POSITION_SEQUENCE)?;
        let orientation = self.group(tags::PLANE_ORIENTATION_SEQUENCE)?;
        let measures = self.group(tags::PIXEL_MEASURES_SEQUENCE)?;
        // `PixelSpacing` begins with the distance between rows, which is along j.
        let [sj, si] = measures.numbers(tags::PIXEL_SPACING)?;
        let plane = Plane {
            size,
            spacing_mm: [si, sj],
            position_mm: position.numbers(tags::IMAGE_POSITION_PATIENT)?,
            orientation: orientation.numbers(tags::IMAGE_ORIENTATION_PATIENT)?,
        };
        plane.geometry(1.0, 1)?;
        let between = measures.decimals(tags::SPACING_BETWEEN_SLICES)?;
        Ok((plane, between.first().copied()))
    }

    fn segment<'s>(
        &self,
        segments: &'s mut BTreeMap<u16, Segment>,
    ) -> Result<&'s mut Segment, Problem> {
        let tag = tags::REFERENCED_SEGMENT_NUMBER;
        let identification = self.group(tags::SEGMENT_IDENTIFICATION_SEQUENCE)?;
        let number = required(identification.unsigned(tag)?, tag)?;
        let unknown = || Problem::value(tag, number, "the number of a segment");
        segments.get_mut(&number).ok_or_else(unknown)
    }
}

impl Plane {
    /// The grid of `n` such planes, `spacing_mm` apart along their normal, i × j.
    ///
    /// # Errors
    ///
    /// Fails if a frame is empty, a spacing is not positive, or the axes are not at right angles.
    pub fn geometry(&self, spacing_mm: f64, n: usize) -> Result<Geometry, InvalidGeometry> {
        let ([ni, nj], [si, sj]) = (self.size, self.spacing_mm);
        let [a, b, c, d, e, f] = self.orientation;
        let normal = [b * f - c * e, c * d - a * f, a * e - b * d];
        let direction = [a, d, normal[0], b, e, normal[1], c, f, normal[2]];
        Geometry::new([ni, nj, n], [si, sj, spacing_mm], self.position_mm, direction)
    }
}

impl Segment {
    /// Adds the pixels of a frame for which `inside` holds.
    fn add(
        &mut self,
        frame: usize,
        size: [usize; 2],
        values: &[u16],
        inside: impl Fn(u16) -> bool,
    ) {
        let [ni, nj] = size;
        let mask = Mask::from_fn([ni, nj, 1], |i, j, _| inside(values[j * ni + i]));
        self.frames.extend(PlacedMask { start: [0; 3], mask }.trimmed().map(|mask| (frame, mask)));
    }
}

/// Adds a frame of a label map to every segment that occurs in it.
fn add_labels(
    segments: &mut BTreeMap<u16, Segment>,
    frame: usize,
    size: [usize; 2],
    values: &[u16],
    background: Option<u16>,
) -> Result<(), Problem> {
    let mut shown: Vec<u16> = values.to_vec();
    shown.sort_unstable();
    shown.dedup();
    for number in shown.into_iter().filter(|number| *number != 0 && Some(*number) != background) {
        let segment = segments.get_mut(&number).ok_or_else(|| {
            let found = format!("{number} in frame {}", frame + 1);
            Problem::value(tags::PIXEL_DATA, found, "the number of a segment, or background")
        })?;
        segment.add(frame, size, values, |value| value == number);
    }
    Ok(())
}
