//! The pixel values of a segmentation's frames, and their meaning.

use crate::dicom::element::data_set::{DataSet, DicomFile, PixelBytes, required};
use crate::dicom::element::syntax::{self, Packing};
use crate::dicom::error::{Problem, attribute_name};
use dicom_codecs::PixelLayout;
use dicom_dictionary_std::{tags, uids};

/// The meaning of a frame's values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum SegmentationType {
    /// A bit: inside the segment or not.
    Binary,
    /// Inside the segment if at least this value.
    Fractional { least: f64 },
    /// The number of the segment, except the value of the background.
    LabelMap { background: Option<u16> },
}

impl SegmentationType {
    pub(crate) fn background(self) -> Option<u16> {
        match self {
            Self::LabelMap { background } => background,
            Self::Binary | Self::Fractional { .. } => None,
        }
    }
}

pub(crate) fn segmentation_type(
    data: &DataSet<'_>,
    threshold: f64,
) -> Result<SegmentationType, Problem> {
    let segmentation = required(data.ascii(tags::SEGMENTATION_TYPE)?, tags::SEGMENTATION_TYPE)?;
    let class = required(data.ascii(tags::SOP_CLASS_UID)?, tags::SOP_CLASS_UID)?;
    match (segmentation, class) {
        ("BINARY", uids::SEGMENTATION_STORAGE) => Ok(SegmentationType::Binary),
        ("FRACTIONAL", uids::SEGMENTATION_STORAGE) => {
            let tag = tags::MAXIMUM_FRACTIONAL_VALUE;
            let most = required(data.unsigned(tag)?, tag)?;
            // A threshold of 0 would put the whole image into the segment.
            if most == 0 {
                return Err(Problem::value(tag, most, "over 0"));
            }
            Ok(SegmentationType::Fractional { least: threshold * f64::from(most) })
        }
        ("LABELMAP", uids::LABEL_MAP_SEGMENTATION_STORAGE) => {
            Ok(SegmentationType::LabelMap { background: data.unsigned(tags::PIXEL_PADDING_VALUE)? })
        }
        _ => {
            let expected = "BINARY or FRACTIONAL in Segmentation Storage, or LABELMAP in Label Map \
                            Segmentation Storage";
            let found = format!("{segmentation} in {class}");
            Err(Problem::value(tags::SEGMENTATION_TYPE, found, expected))
        }
    }
}

/// The pixels of every frame.
pub(crate) struct FramePixels<'a> {
    packed: FrameData<'a>,
    n_pixels: usize,
    /// Whether bytes after the pixels were ignored.
    pub(crate) has_extra_bytes: bool,
}

enum FrameData<'a> {
    /// One bit for each pixel, frame after frame without padding.
    Bits(&'a [u8]),
    Bytes(&'a [u8]),
    Words(&'a [u8]),
    Frames {
        codec: dicom_codecs::Codec,
        fragments: &'a [&'a [u8]],
        expected: PixelLayout,
    },
}

impl<'a> FramePixels<'a> {
    pub(crate) fn new(
        whole: &DicomFile,
        data: &'a DataSet<'_>,
        kind: SegmentationType,
        [columns, rows]: [usize; 2],
        n_frames: usize,
    ) -> Result<Self, Problem> {
        let unsigned = |tag| data.unsigned(tag).and_then(|found| required(found, tag));
        let expect = |tag, allowed: &[u16]| {
            let found = unsigned(tag)?;
            let expected = allowed.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
            let good = allowed.contains(&found);
            if good { Ok(found) } else { Err(Problem::value(tag, found, expected)) }
        };
        expect(tags::SAMPLES_PER_PIXEL, &[1])?;
        expect(tags::PIXEL_REPRESENTATION, &[0])?;
        let bits = match kind {
            SegmentationType::Binary => expect(tags::BITS_ALLOCATED, &[1])?,
            SegmentationType::Fractional { .. } => expect(tags::BITS_ALLOCATED, &[8])?,
            SegmentationType::LabelMap { .. } => expect(tags::BITS_ALLOCATED, &[8, 16])?,
        };
        expect(tags::BITS_STORED, &[bits])?;
        let n_pixels = columns * rows;
        let mut has_extra_bytes = false;
        let pixels =
            data.pixels().ok_or_else(|| Problem::Missing(attribute_name(tags::PIXEL_DATA)))?;
        let packed = match (syntax::packing(&whole.transfer_syntax)?, pixels) {
            (Packing::Plain | Packing::Deflated, PixelBytes::Plain(bytes)) => {
                if syntax::encoding(&whole.transfer_syntax).big_endian {
                    let expected = "little endian, as big endian does not say how it packs bits";
                    let found = format!("of transfer syntax {}", whole.transfer_syntax);
                    return Err(Problem::value(tags::PIXEL_DATA, found, expected));
                }
                let n_bytes = (n_pixels * n_frames * usize::from(bits)).div_ceil(8);
                let each = (n_pixels * usize::from(bits)).div_ceil(8);
                has_extra_bytes = bytes.len() > n_bytes.next_multiple_of(2);
                // METHOD: bytes past the pixels are padding where they make no frame, and are not what is left where
                // each frame begins at a byte of its own, against the standard.
                let is_padding = bytes.len() - n_bytes.min(bytes.len()) < each
                    && (each * n_frames == n_bytes || bytes.len() < each * n_frames);
                if n_bytes == 0 || bytes.len() < n_bytes || has_extra_bytes && !is_padding {
                    let expected = format!(
                        "{n_bytes} bytes, {bits} bits for each of {n_frames} x {columns} x {rows} pixels"
                    );
                    let found = format!("{} bytes", bytes.len());
                    return Err(Problem::value(tags::PIXEL_DATA, found, expected));
                }
                match bits {
                    1 => FrameData::Bits(bytes),
                    8 => FrameData::Bytes(bytes),
                    _ => FrameData::Words(bytes),
                }
            }
            (Packing::Encapsulated(codec), PixelBytes::Fragments(fragments)) if bits > 1 => {
                let fragments = fragments.get(1..).unwrap_or_default();
                if fragments.len() != n_frames || n_pixels > 1 << 24 {
                    let found = format!("{} fragments of {n_pixels} pixels", fragments.len());
                    let expected =
                        format!("{n_frames}, one for each frame, of at most 16777216 pixels");
                    return Err(Problem::value(tags::PIXEL_DATA, found, expected));
                }
                let bits_allocated = u32::from(bits);
                let expected = PixelLayout {
                    columns,
                    rows,
                    bits_allocated,
                    high_bit: bits_allocated - 1,
                    signed: false,
                };
                FrameData::Frames { codec, fragments, expected }
            }
            _ => {
                let found = format!("of {bits} bits in transfer syntax {}", whole.transfer_syntax);
                let expected = "fragments of 8 or 16 bits if compressed, otherwise one value";
                return Err(Problem::value(tags::PIXEL_DATA, found, expected));
            }
        };
        Ok(Self { packed, n_pixels, has_extra_bytes })
    }

    /// Reads a frame, one value for each pixel.
    pub(crate) fn read(&self, frame: usize, values: &mut [u16]) -> Result<(), Problem> {
        let first = frame * self.n_pixels;
        match &self.packed {
            FrameData::Bits(bytes) => {
                for (value, n) in values.iter_mut().zip(first..) {
                    *value = u16::from(bytes[n / 8] >> (n % 8) & 1);
                }
            }
            FrameData::Bytes(bytes) => {
                for (value, byte) in values.iter_mut().zip(&bytes[first..]) {
                    *value = u16::from(*byte);
                }
            }
            FrameData::Words(bytes) => {
                for (value, pair) in values.iter_mut().zip(bytes[2 * first..].as_chunks().0) {
                    *value = u16::from_le_bytes(*pair);
                }
            }
            FrameData::Frames { codec, fragments, expected } => {
                dicom_codecs::decode(*codec, fragments[frame], expected, values)?;
            }
        }
        Ok(())
    }
}
