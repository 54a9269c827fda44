//! The wanted elements of a file, without reading what lies between them.

use super::error::name;
use super::syntax::{self, EXPLICIT_LITTLE, Encoding, IMPLICIT_LITTLE};
use super::{Error, Problem};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::file::ReadPreamble;
use dicom_object::{DicomCollectorOptions, InMemDicomObject};
use fs_err::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;

/// What a file holds of the wanted elements.
#[derive(Debug)]
pub(super) struct Elements {
    /// How its pixels are encoded.
    pub(super) transfer_syntax: String,
    /// The wanted elements, but for the pixel data.
    pub(super) values: InMemDicomObject,
    /// The pixel data, where it is wanted and there.
    pub(super) pixels: Option<PixelData>,
    /// Length of the file, in bytes.
    pub(super) file_length: u64,
}

/// Where a file's pixel data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PixelData {
    /// First byte.
    pub(super) offset: u64,
    /// Number of bytes; none where they are encapsulated.
    pub(super) length: Option<u64>,
}

/// Reads the elements of a file that `wanted` lists, in the order of their tags.
///
/// Other elements are passed over, and so is everything after the last one wanted. None where the
/// file is not DICOM.
pub(super) fn read(file: &Path, wanted: &[Tag]) -> Result<Option<Elements>, Error> {
    let source = File::open(file)?;
    let length = source.metadata()?.len();
    scan(source, length, wanted).map_err(|problem| Error::file(file, problem))
}

fn scan(
    source: impl Read + Seek,
    file_length: u64,
    wanted: &[Tag],
) -> Result<Option<Elements>, Problem> {
    let mut scanner = Scanner { reader: BufReader::new(source), at: 0, end: file_length };
    if !scanner.is_dicom()? {
        return Ok(None);
    }
    let transfer_syntax = scanner.transfer_syntax()?;
    let encoding = syntax::encoding(&transfer_syntax)?;
    let mut found = Vec::new();
    let mut pixels = None;
    while scanner.at < scanner.end {
        let element = scanner.header(encoding)?;
        if wanted.last().is_none_or(|last| element.tag > *last) {
            break;
        }
        if element.tag == tags::PIXEL_DATA {
            pixels = Some(PixelData { offset: scanner.at, length: element.length });
            break;
        }
        match element.length {
            Some(length) if wanted.contains(&element.tag) => {
                element.check()?;
                found.extend(element.raw());
                scanner.append(length, element.tag, &mut found)?;
            }
            Some(length) => scanner.skip(length, element.tag)?,
            None => scanner.skip_sequence(&element, encoding)?,
        }
    }
    let values = decode(found, encoding)?;
    Ok(Some(Elements { transfer_syntax, values, pixels, file_length }))
}

/// Decodes elements whose lengths are known to be right.
fn decode(bytes: Vec<u8>, encoding: Encoding) -> Result<InMemDicomObject, Problem> {
    let mut values = InMemDicomObject::new_empty();
    DicomCollectorOptions::new()
        .read_preamble(ReadPreamble::Never)
        .expected_ts(encoding.uid())
        .from_reader(BufReader::new(Cursor::new(bytes)))
        .read_dataset_to_end(&mut values)
        .map_err(|error| Problem::elements(&error))?;
    Ok(values)
}

/// Reads headers of elements; no length is believed before it is checked against the file's.
struct Scanner<R> {
    reader: BufReader<R>,
    at: u64,
    end: u64,
}

/// An element's header as it stands in the file.
struct Header {
    tag: Tag,
    vr: Option<VR>,
    /// None where the element ends with a delimiter.
    length: Option<u64>,
    bytes: [u8; 12],
    n_bytes: usize,
}

impl Header {
    fn raw(&self) -> &[u8] {
        &self.bytes[..self.n_bytes]
    }

    /// Refuses a wanted element that is not text or short integers: none of them is anything else.
    fn check(&self) -> Result<(), Problem> {
        let expected = match self.vr {
            Some(VR::US | VR::SS) | None if self.length.is_some_and(|n| n % 2 != 0) => {
                "an even number of bytes"
            }
            Some(VR::US | VR::SS | VR::CS | VR::DS | VR::IS | VR::LO | VR::PN | VR::SH | VR::UI)
            | Some(VR::AE | VR::LT | VR::ST | VR::UC | VR::UT)
            | None => return Ok(()),
            Some(_) => "text or short integers",
        };
        let vr = self.vr.map_or("no value representation", VR::to_string);
        let length = self.length.unwrap_or_default();
        Err(Problem::value(self.tag, format!("{vr} of {length} bytes"), expected))
    }
}

impl<R: Read + Seek> Scanner<R> {
    fn is_dicom(&mut self) -> Result<bool, Problem> {
        let mut start = [0; 132];
        if self.end < start.len() as u64 {
            return Ok(false);
        }
        self.fill(&mut start, || "the preamble".to_owned())?;
        Ok(start.ends_with(b"DICM"))
    }

    /// Reads the meta group to its end.
    fn transfer_syntax(&mut self) -> Result<String, Problem> {
        let mut uid = None;
        while self.at < self.end {
            let start = self.at;
            let element = self.header(EXPLICIT_LITTLE)?;
            if element.tag.group() != 0x0002 {
                self.reader.seek_relative(start as i64 - self.at as i64)?;
                self.at = start;
                break;
            }
            match element.length {
                Some(length) if element.tag == tags::TRANSFER_SYNTAX_UID => {
                    let mut bytes = Vec::new();
                    self.append(length, element.tag, &mut bytes)?;
                    let text = String::from_utf8_lossy(&bytes);
                    uid = Some(text.trim_matches(['\0', ' ']).to_owned());
                }
                Some(length) => self.skip(length, element.tag)?,
                None => self.skip_sequence(&element, EXPLICIT_LITTLE)?,
            }
        }
        uid.ok_or_else(|| Problem::Missing(name(tags::TRANSFER_SYNTAX_UID)))
    }

    fn header(&mut self, encoding: Encoding) -> Result<Header, Problem> {
        let at = self.at;
        let mut bytes = [0; 12];
        let header = || "an element's header".to_owned();
        self.fill(&mut bytes[..8], header)?;
        let [g0, g1, e0, e1, b4, b5, b6, b7, ..] = bytes;
        let tag = Tag(encoding.u16([g0, g1]), encoding.u16([e0, e1]));
        let (mut n_bytes, mut vr) = (8, None);
        let length = if encoding.explicit_vr && tag.group() != 0xFFFE {
            let known = VR::from_binary([b4, b5]).ok_or_else(|| Problem::Malformed {
                at: at + 4,
                found: format!("bytes {b4:02x} {b5:02x} in {}", name(tag)),
                expected: "a value representation",
            })?;
            vr = Some(known);
            if has_long_header(known) {
                self.fill(&mut bytes[8..], header)?;
                n_bytes = 12;
                let [.., b8, b9, b10, b11] = bytes;
                encoding.u32([b8, b9, b10, b11])
            } else {
                u32::from(encoding.u16([b6, b7]))
            }
        } else {
            encoding.u32([b4, b5, b6, b7])
        };
        let length = (length != u32::MAX).then_some(u64::from(length));
        Ok(Header { tag, vr, length, bytes, n_bytes })
    }

    /// Passes over an element without a length, to its delimiter.
    fn skip_sequence(&mut self, element: &Header, encoding: Encoding) -> Result<(), Problem> {
        // PS3.5, 6.2.2: what lies inside an element of unknown representation is implicit.
        let inside = |element: &Header, encoding| {
            if element.vr == Some(VR::UN) { IMPLICIT_LITTLE } else { encoding }
        };
        let mut open = vec![inside(element, encoding)];
        while let Some(&encoding) = open.last() {
            let element = self.header(encoding)?;
            match element.length {
                _ if [tags::ITEM_DELIMITATION_ITEM, tags::SEQUENCE_DELIMITATION_ITEM]
                    .contains(&element.tag) =>
                {
                    open.pop();
                }
                Some(length) => self.skip(length, element.tag)?,
                None => open.push(inside(&element, encoding)),
            }
        }
        Ok(())
    }

    fn fill(&mut self, bytes: &mut [u8], element: impl Fn() -> String) -> Result<(), Problem> {
        self.advance(bytes.len() as u64, element)?;
        Ok(self.reader.read_exact(bytes)?)
    }

    fn append(&mut self, length: u64, tag: Tag, bytes: &mut Vec<u8>) -> Result<(), Problem> {
        let start = bytes.len();
        self.advance(length, || name(tag))?;
        bytes.resize(start + length as usize, 0);
        Ok(self.reader.read_exact(&mut bytes[start..])?)
    }

    fn skip(&mut self, length: u64, tag: Tag) -> Result<(), Problem> {
        self.advance(length, || name(tag))?;
        Ok(self.reader.seek_relative(length as i64)?)
    }

    /// Checks that as many bytes are there, and counts them as read.
    fn advance(&mut self, length: u64, element: impl Fn() -> String) -> Result<(), Problem> {
        let end = self.at + length;
        if end > self.end {
            return Err(Problem::Truncated { element: element(), end, length: self.end });
        }
        self.at = end;
        Ok(())
    }
}

/// PS3.5, 7.1.2: these have two reserved bytes and a length of four.
fn has_long_header(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV};
    matches!(vr, OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV)
}
