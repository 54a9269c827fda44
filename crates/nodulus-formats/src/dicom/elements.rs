//! The wanted elements of a file, without reading what lies between them.

use super::error::name;
use super::functional_groups::{self, Frames};
use super::syntax::{self, EXPLICIT_LITTLE, Encoding, IMPLICIT_LITTLE};
use super::{Error, Problem, deflated};
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::file::ReadPreamble;
use dicom_object::{DicomCollectorOptions, InMemDicomObject};
use fs_err::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;

pub(super) const ITEM: Tag = Tag(0xFFFE, 0xE000);
pub(super) const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
pub(super) const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);

/// What a file holds of the wanted elements.
#[derive(Debug)]
pub(super) struct Elements {
    /// How its pixels are encoded.
    pub(super) transfer_syntax: String,
    /// The wanted elements, but for the pixel data.
    pub(super) values: InMemDicomObject,
    /// The pixel data, where it is wanted and there.
    pub(super) pixels: Option<PixelData>,
    /// The bits of `PixelPaddingValue`, where it is wanted and there.
    pub(super) padding: Option<u16>,
    /// What a file of several frames says of each, where it is wanted and there.
    pub(super) frames: Frames,
    /// First byte of the data set in the file.
    pub(super) data_set: u64,
    /// Length of the file, or of the data set where it is deflated.
    pub(super) length: u64,
}

/// Where a file's pixel data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PixelData {
    /// First byte; of the data set where it is deflated.
    pub(super) offset: u64,
    /// Number of bytes; none where they are encapsulated.
    pub(super) length: Option<u64>,
}

/// Reads the elements of a file that `wanted` lists, in the order of their tags.
///
/// Other elements are passed over, and so is everything after the last one wanted; what is deflated
/// is inflated to its end first. None where the file is not DICOM.
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
    let data_set = scanner.at;
    let elements = if syntax::is_deflated(&transfer_syntax) {
        let inflated = deflated::inflate(scanner.reader, file_length)?;
        let end = inflated.len() as u64;
        let scanner = Scanner { reader: BufReader::new(Cursor::new(inflated)), at: 0, end };
        scan_data_set(scanner, transfer_syntax, wanted)
            .map_err(|problem| Problem::Inflated(Box::new(problem)))?
    } else {
        scan_data_set(scanner, transfer_syntax, wanted)?
    };
    Ok(Some(Elements { data_set, ..elements }))
}

fn scan_data_set(
    mut scanner: Scanner<impl Read + Seek>,
    transfer_syntax: String,
    wanted: &[Tag],
) -> Result<Elements, Problem> {
    let encoding = syntax::encoding(&transfer_syntax);
    let mut found = Vec::new();
    let (mut pixels, mut padding, mut frames) = (None, None, Frames::default());
    while scanner.at < scanner.end {
        let element = scanner.header(encoding)?;
        if wanted.last().is_none_or(|last| element.tag > *last) {
            break;
        }
        if element.tag == tags::PIXEL_DATA {
            pixels = Some(PixelData { offset: scanner.at, length: element.length });
            if element.length.is_none() && frames.are_there() {
                frames.fragments = scanner.fragments(encoding)?;
            }
            break;
        }
        if wanted.contains(&element.tag) && functional_groups::is_one(element.tag) {
            scanner.append_frames(&element, encoding, &mut frames)?;
            continue;
        }
        match element.length {
            // US or SS, as the pixels are: the same bits.
            Some(2) if element.tag == tags::PIXEL_PADDING_VALUE => {
                let mut bytes = [0; 2];
                scanner.fill(&mut bytes, || name(element.tag))?;
                padding = Some(encoding.u16(bytes));
            }
            Some(length) if element.tag == tags::PIXEL_PADDING_VALUE => {
                scanner.skip(length, element.tag)?;
            }
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
    let (data_set, length) = (0, scanner.end);
    Ok(Elements { transfer_syntax, values, pixels, padding, frames, data_set, length })
}

/// Decodes elements whose lengths are known to be right.
pub(super) fn decode(bytes: Vec<u8>, encoding: Encoding) -> Result<InMemDicomObject, Problem> {
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
pub(super) struct Scanner<R> {
    pub(super) reader: BufReader<R>,
    pub(super) at: u64,
    pub(super) end: u64,
}

/// An element's header as it stands in the file.
pub(super) struct Header {
    pub(super) tag: Tag,
    pub(super) vr: Option<VR>,
    /// None where the element ends with a delimiter.
    pub(super) length: Option<u64>,
    bytes: [u8; 12],
    n_bytes: usize,
}

impl Header {
    pub(super) fn raw(&self) -> &[u8] {
        &self.bytes[..self.n_bytes]
    }

    /// How elements inside this one are encoded.
    ///
    /// PS3.5, 6.2.2: what lies inside an element of unknown representation is implicit.
    pub(super) fn inside(&self, encoding: Encoding) -> Encoding {
        if self.vr == Some(VR::UN) { IMPLICIT_LITTLE } else { encoding }
    }

    /// Refuses a wanted element that is not text or numbers of the lengths that are wanted.
    pub(super) fn check(&self) -> Result<(), Problem> {
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

impl<R: Read + Seek> Scanner<R> {
    pub(super) fn is_dicom(&mut self) -> Result<bool, Problem> {
        let mut start = [0; 132];
        if self.end < start.len() as u64 {
            return Ok(false);
        }
        self.fill(&mut start, || "the preamble".to_owned())?;
        Ok(start.ends_with(b"DICM"))
    }

    /// Reads the meta group to its end.
    pub(super) fn transfer_syntax(&mut self) -> Result<String, Problem> {
        let mut uid = None;
        while self.at < self.end && self.next_is_meta()? {
            let element = self.header(EXPLICIT_LITTLE)?;
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

    /// Whether the meta group goes on; what follows it may be encoded otherwise.
    fn next_is_meta(&mut self) -> Result<bool, Problem> {
        let mut group = [0; 2];
        self.fill(&mut group, || "an element's header".to_owned())?;
        self.reader.seek_relative(-2)?;
        self.at -= 2;
        Ok(group == [0x02, 0x00])
    }

    pub(super) fn header(&mut self, encoding: Encoding) -> Result<Header, Problem> {
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
    pub(super) fn skip_sequence(
        &mut self,
        element: &Header,
        encoding: Encoding,
    ) -> Result<(), Problem> {
        let mut open = vec![element.inside(encoding)];
        while let Some(&encoding) = open.last() {
            let element = self.header(encoding)?;
            match element.length {
                _ if element.tag == ITEM_END || element.tag == SEQUENCE_END => {
                    open.pop();
                }
                Some(length) => self.skip(length, element.tag)?,
                None => open.push(element.inside(encoding)),
            }
        }
        Ok(())
    }

    fn fill(&mut self, bytes: &mut [u8], element: impl Fn() -> String) -> Result<(), Problem> {
        self.advance(bytes.len() as u64, element)?;
        Ok(self.reader.read_exact(bytes)?)
    }

    pub(super) fn append(
        &mut self,
        length: u64,
        tag: Tag,
        bytes: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        let start = bytes.len();
        self.advance(length, || name(tag))?;
        bytes.resize(start + length as usize, 0);
        Ok(self.reader.read_exact(&mut bytes[start..])?)
    }

    pub(super) fn skip(&mut self, length: u64, tag: Tag) -> Result<(), Problem> {
        self.advance(length, || name(tag))?;
        Ok(self.reader.seek_relative(length as i64)?)
    }

    /// Where an element's value ends, once it is seen that it is there.
    pub(super) fn end_of(&self, length: u64, tag: Tag) -> Result<u64, Problem> {
        self.checked_end(length, || name(tag))
    }

    /// Checks that as many bytes are there, and counts them as read.
    fn advance(&mut self, length: u64, element: impl Fn() -> String) -> Result<(), Problem> {
        self.at = self.checked_end(length, element)?;
        Ok(())
    }

    fn checked_end(&self, length: u64, element: impl Fn() -> String) -> Result<u64, Problem> {
        let end = self.at + length;
        if end > self.end {
            return Err(Problem::Truncated { element: element(), end, length: self.end });
        }
        Ok(end)
    }
}

/// PS3.5, 7.1.2: these have two reserved bytes and a length of four.
fn has_long_header(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV};
    matches!(vr, OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNDEFINED: [u8; 4] = [0xFF; 4];

    /// A file with a meta group, and these bytes after it.
    fn file(uid: &str, data: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0; 128];
        bytes.extend(b"DICM");
        bytes.extend(explicit(0x0002, 0x0010, *b"UI", uid.as_bytes()));
        bytes.extend(data.concat());
        bytes
    }

    fn explicit(group: u16, element: u16, vr: [u8; 2], value: &[u8]) -> Vec<u8> {
        let length = (value.len() as u16).to_le_bytes();
        [&group.to_le_bytes()[..], &element.to_le_bytes(), &vr, &length, value].concat()
    }

    /// Tag and length alone: an implicit element, an item or a delimiter.
    fn bare(group: u16, element: u16, length: [u8; 4]) -> Vec<u8> {
        [&group.to_le_bytes()[..], &element.to_le_bytes(), &length].concat()
    }

    fn scan_all(bytes: Vec<u8>) -> Result<Option<Elements>, Problem> {
        let length = bytes.len() as u64;
        scan(Cursor::new(bytes), length, &[tags::MODALITY, tags::ROWS, tags::PIXEL_DATA])
    }

    const EXPLICIT: &str = "1.2.840.10008.1.2.1\0";
    const PIXELS: [u8; 12] = [0xE0, 0x7F, 0x10, 0, b'O', b'W', 0, 0, 4, 0, 0, 0];

    #[test]
    fn only_wanted_elements_are_read() {
        let bytes = file(
            EXPLICIT,
            &[
                &explicit(0x0008, 0x0060, *b"CS", b"CT"),
                &explicit(0x0010, 0x0010, *b"PN", b"a^b "),
                &explicit(0x0028, 0x0010, *b"US", &[0, 2]),
                &PIXELS,
                &[1, 2, 3, 4],
            ],
        );
        let elements = scan_all(bytes.clone()).unwrap().unwrap();
        assert_eq!(elements.transfer_syntax, "1.2.840.10008.1.2.1");
        assert_eq!(elements.values.tags().collect::<Vec<_>>(), [tags::MODALITY, tags::ROWS]);
        let rows = elements.values.element(tags::ROWS).unwrap().to_int::<u16>().unwrap();
        assert_eq!(rows, 512);
        let offset = bytes.len() as u64 - 4;
        assert_eq!(elements.pixels, Some(PixelData { offset, length: Some(4) }));
    }

    #[test]
    fn sequences_without_a_length_are_passed_over() {
        // An explicit sequence, an item, in it one of unknown representation whose inside is
        // implicit, where (0008,0060) must not count.
        let sequence = [
            [0x08, 0x00, 0x40, 0x11, b'S', b'Q', 0, 0].to_vec(),
            UNDEFINED.to_vec(),
            bare(0xFFFE, 0xE000, UNDEFINED),
            explicit(0x0008, 0x0060, *b"CS", b"MR"),
            [0x09, 0x00, 0x10, 0x10, b'U', b'N', 0, 0].to_vec(),
            UNDEFINED.to_vec(),
            bare(0xFFFE, 0xE000, UNDEFINED),
            bare(0x0008, 0x0060, [2, 0, 0, 0]),
            b"US".to_vec(),
            bare(0xFFFE, 0xE00D, [0; 4]),
            bare(0xFFFE, 0xE0DD, [0; 4]),
            explicit(0x0028, 0x0010, *b"US", &[1, 1]),
            bare(0xFFFE, 0xE00D, [0; 4]),
            bare(0xFFFE, 0xE0DD, [0; 4]),
        ]
        .concat();
        let bytes = file(EXPLICIT, &[&sequence, &explicit(0x0028, 0x0010, *b"US", &[7, 0])]);
        let elements = scan_all(bytes.clone()).unwrap().unwrap();
        assert_eq!(elements.values.tags().collect::<Vec<_>>(), [tags::ROWS]);
        assert_eq!(elements.values.element(tags::ROWS).unwrap().to_int::<u16>().unwrap(), 7);
        // Never closed.
        let error = scan_all(bytes[..bytes.len() - 30].to_vec()).unwrap_err().to_string();
        assert!(error.starts_with("cut off at byte"), "{error}");
    }

    #[test]
    fn implicit_elements_are_read() {
        let bytes = file(
            "1.2.840.10008.1.2\0",
            &[&bare(0x0008, 0x0060, [2, 0, 0, 0]), b"CT", &bare(0x7FE0, 0x0010, UNDEFINED)],
        );
        let elements = scan_all(bytes).unwrap().unwrap();
        assert_eq!(elements.values.element(tags::MODALITY).unwrap().to_str().unwrap(), "CT");
        assert_eq!(elements.pixels.unwrap().length, None);
    }

    #[test]
    fn no_length_is_believed() {
        let four_gib = bare(0x0008, 0x0060, [0xFE, 0xFF, 0xFF, 0xFF]);
        let error = scan_all(file("1.2.840.10008.1.2\0", &[&four_gib])).unwrap_err().to_string();
        let expected = "cut off at byte 166: Modality (0008,0060) would end at byte 4294967460";
        assert_eq!(error, expected);
    }

    #[test]
    fn what_is_not_dicom_is_told_from_what_is_malformed() {
        assert!(scan_all(b"<?xml?>".to_vec()).unwrap().is_none());
        assert!(scan_all(vec![7; 400]).unwrap().is_none());
        let no_syntax = [vec![0; 128], b"DICM".to_vec()].concat();
        let error = scan_all(no_syntax).unwrap_err().to_string();
        assert_eq!(error, "TransferSyntaxUID (0002,0010) is missing");
        let error = scan_all(file(EXPLICIT, &[&[8, 0, 0x60, 0, 1, 2, 3, 4]])).unwrap_err();
        let expected = "at byte 164: found bytes 01 02 in Modality (0008,0060), expected a value";
        assert!(error.to_string().starts_with(expected), "{error}");
        let odd = explicit(0x0028, 0x0010, *b"US", &[7]);
        let error = scan_all(file(EXPLICIT, &[&odd])).unwrap_err().to_string();
        assert_eq!(error, "Rows (0028,0010) is US of 1 bytes, expected an even number of bytes");
        let float = explicit(0x0028, 0x0010, *b"FL", &[0; 4]);
        let error = scan_all(file(EXPLICIT, &[&float])).unwrap_err().to_string();
        assert_eq!(error, "Rows (0028,0010) is FL of 4 bytes, expected text or short integers");
    }
}
