//! The header of one element: its tag, value representation and length.

use super::syntax::{Encoding, IMPLICIT_LITTLE};
use crate::dicom::error::Problem;
use crate::dicom::series::telling::is_told;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};

pub(crate) const ITEM: Tag = Tag(0xFFFE, 0xE000);
pub(crate) const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
pub(crate) const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);

/// The header of an element, and its bytes in the file.
pub(crate) struct ElementHeader {
    pub(crate) tag: Tag,
    pub(crate) vr: Option<VR>,
    /// `None` if the element ends with a delimiter.
    pub(crate) length: Option<u64>,
    pub(crate) bytes: [u8; 12],
    pub(crate) n_bytes: usize,
}

/// The header of an element that can be decoded.
pub(crate) struct CheckedHeader {
    bytes: [u8; 12],
    n_bytes: usize,
    /// Whether the file gives no representation.
    pub(crate) is_unknown: bool,
}

impl CheckedHeader {
    pub(crate) fn raw(&self) -> &[u8] {
        &self.bytes[..self.n_bytes]
    }
}

/// Whether no voxel and no position depends on an attribute, so that one without a valid value counts as missing.
pub(crate) fn is_descriptive(tag: Tag) -> bool {
    is_told(tag)
        || matches!(
            tag,
            tags::IMAGE_TYPE
                | tags::STUDY_DATE
                | tags::MANUFACTURER
                | tags::MANUFACTURER_MODEL_NAME
                | tags::SERIES_DESCRIPTION
                | tags::PATIENT_NAME
                | tags::ISSUER_OF_PATIENT_ID
                | tags::CONTRAST_BOLUS_AGENT
                | tags::BODY_PART_EXAMINED
                | tags::SLICE_THICKNESS
                | tags::KVP
                | tags::SPACING_BETWEEN_SLICES
                | tags::CONVOLUTION_KERNEL
                | tags::SERIES_NUMBER
                | tags::ACQUISITION_NUMBER
                | tags::TEMPORAL_POSITION_IDENTIFIER
                | tags::IMAGES_IN_ACQUISITION
                | tags::VOLUME_BASED_CALCULATION_TECHNIQUE
                | tags::LOSSY_IMAGE_COMPRESSION
                | tags::DERIVATION_CODE_SEQUENCE
        )
}

impl ElementHeader {
    /// The encoding of elements inside this one.
    ///
    /// PS3.5, 6.2.2: elements inside one of unknown representation have implicit value representations.
    pub(crate) fn inside(&self, encoding: Encoding) -> Encoding {
        if self.vr == Some(VR::UN) { IMPLICIT_LITTLE } else { encoding }
    }

    fn in_dictionary(&self) -> Option<VR> {
        StandardDataDictionary.by_tag(self.tag).and_then(|entry| entry.vr().exact())
    }

    /// The value representation; that of the dictionary in place of an unknown one.
    pub(crate) fn representation(&self) -> Option<VR> {
        self.vr.filter(|vr| *vr != VR::UN).or_else(|| self.in_dictionary())
    }

    /// The header of a wanted element, with the representation of the dictionary in place of an unknown one.
    ///
    /// Fails for an element that is not text or numbers of a valid length.
    pub(crate) fn checked(&self) -> Result<CheckedHeader, Problem> {
        use VR::{AE, AS, CS, DA, DS, DT, FD, FL, IS, LO, LT, PN, SH, SL, SS, ST};
        use VR::{TM, UC, UI, UL, UN, US, UT};
        let length = self.length.unwrap_or_default();
        let is_unknown = self.vr == Some(UN);
        let is_decimal = || matches!(self.in_dictionary(), Some(DS | IS | FD | FL | UL));
        let expected = match self.representation() {
            Some(US | SS) if !length.is_multiple_of(2) => "an even number of bytes",
            Some(FD) if !length.is_multiple_of(8) => "a multiple of 8 bytes",
            Some(FL | SL | UL) if is_decimal() && !length.is_multiple_of(4) => {
                "a multiple of 4 bytes"
            }
            Some(vr @ (FL | SL | UL)) if is_decimal() => return Ok(self.with(vr, is_unknown)),
            Some(
                vr @ (AE | AS | CS | DA | DS | DT | FD | IS | LO | LT | PN | SH | SS | ST | TM | UC
                | UI | US | UT),
            ) => return Ok(self.with(vr, is_unknown)),
            _ => "text or short integers",
        };
        let vr = self.vr.map_or("no representation", VR::to_string);
        Err(Problem::value(self.tag, format!("{vr} of {length} bytes"), expected))
    }

    /// The header with a representation that is known.
    fn with(&self, vr: VR, is_unknown: bool) -> CheckedHeader {
        let mut bytes = self.bytes;
        let mut n_bytes = self.n_bytes;
        // Only explicit little endian files have unknown representations with a length that both headers can hold.
        if is_unknown {
            bytes[4..6].copy_from_slice(vr.to_string().as_bytes());
            if !has_long_header(vr) {
                let short = self.length.unwrap_or_default() as u16;
                let is_big = bytes[0] == 0 && bytes[1] != 0;
                let length = if is_big { short.to_be_bytes() } else { short.to_le_bytes() };
                bytes[6..8].copy_from_slice(&length);
                n_bytes = 8;
            }
        }
        CheckedHeader { bytes, n_bytes, is_unknown }
    }
}

/// Whether an explicit header has two reserved bytes and a length of four bytes: PS3.5, 7.1.2.
pub(crate) fn has_long_header(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV};
    matches!(vr, OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV)
}

/// Whether a file without a preamble may begin with these bytes: an element of the meta group, or one of the first
/// attributes that every image has.
pub(crate) fn is_first_element(bytes: &[u8]) -> bool {
    let [g0, g1, e0, e1, b4, b5, b6, b7, ..] = *bytes else { return false };
    let is_explicit = VR::from_binary([b4, b5]).is_some();
    let is_short = u32::from_le_bytes([b4, b5, b6, b7]) <= 256;
    match (u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1])) {
        (0x0002, 0x0000..=0x0010) => is_explicit,
        (0x0008, 0x0000..=0x0018) => is_explicit || is_short,
        _ => false,
    }
}
