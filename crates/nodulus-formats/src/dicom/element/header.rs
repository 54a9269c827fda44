//! The header of one element: its tag, value representation and length.

use super::syntax::{Encoding, IMPLICIT_LITTLE};
use crate::dicom::error::Problem;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

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

impl ElementHeader {
    pub(crate) fn raw(&self) -> &[u8] {
        &self.bytes[..self.n_bytes]
    }

    /// The encoding of elements inside this one.
    ///
    /// PS3.5, 6.2.2: elements inside one of unknown representation have implicit value representations.
    pub(crate) fn inside(&self, encoding: Encoding) -> Encoding {
        if self.vr == Some(VR::UN) { IMPLICIT_LITTLE } else { encoding }
    }

    /// Refuses a wanted element that is not text or numbers of a valid length.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        use VR::{AE, AS, CS, DA, DS, DT, FD, IS, LO, LT, PN, SH, SS, ST, TM, UC, UI, US, UT};
        let in_dictionary = || StandardDataDictionary.by_tag(self.tag).and_then(|e| e.vr().exact());
        let length = self.length.unwrap_or_default();
        let expected = match self.vr.or_else(in_dictionary) {
            Some(US | SS) if !length.is_multiple_of(2) => "an even number of bytes",
            Some(FD) if !length.is_multiple_of(8) => "a multiple of 8 bytes",
            Some(
                AE | AS | CS | DA | DS | DT | FD | IS | LO | LT | PN | SH | SS | ST | TM | UC | UI
                | US | UT,
            ) => return Ok(()),
            _ => "text or short integers",
        };
        let vr = self.vr.map_or("no representation", VR::to_string);
        Err(Problem::value(self.tag, format!("{vr} of {length} bytes"), expected))
    }
}

/// Whether an explicit header has two reserved bytes and a length of four bytes: PS3.5, 7.1.2.
pub(crate) fn has_long_header(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV};
    matches!(vr, OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV)
}
