//! Reads the wanted elements of a file, and skips the bytes between them.

use super::deflated::{self, Inflated};
use super::distinct::{DistinctElements, two_values};
use super::functional_groups::{self, FunctionalGroups};
use super::header::ElementHeader;
use super::scanner::Scanner;
use super::syntax::{self, Encoding};
use crate::dicom::error::{Error, FoundTag, Problem};
use crate::dicom::irregularities::Irregularity;
use crate::dicom::series::telling::is_read_as_text;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use nodulus_faults::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// The wanted elements of a file.
#[derive(Debug)]
pub(crate) struct Elements {
    /// UID of the transfer syntax.
    pub(crate) transfer_syntax: String,
    /// The wanted elements except the pixel data.
    pub(crate) values: InMemDicomObject,
    /// The position of the pixel data, if they are wanted and present.
    pub(crate) pixels: Option<PixelDataRange>,
    /// The bits of `PixelPaddingValue`, if it is wanted and present.
    pub(crate) padding: Option<u16>,
    /// The functional groups of a file with several frames, if they are wanted and present.
    pub(crate) frames: FunctionalGroups,
    /// Offset of the data set in the file.
    pub(crate) data_set: u64,
    /// Length of the file; of the inflated data set if it is deflated.
    pub(crate) length: u64,
    /// Faults that were read past.
    pub(crate) irregular: Vec<Irregularity>,
}

/// The position of the pixel data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PixelDataRange {
    /// Offset in the file; in the inflated data set if it is deflated.
    pub(crate) offset: u64,
    /// Number of bytes; `None` if they are encapsulated.
    pub(crate) length: Option<u64>,
}

/// Reads the elements of a file that `wanted` lists in the order of their tags; `None` if the file is not DICOM.
///
/// Other elements are skipped. Reading ends after the last wanted one, or goes on if that one, or one that a slice needs,
/// is missing: elements may be out of order. A deflated data set is first inflated to its end, which checks it, and then
/// once more as it is read, so that it is never in memory as a whole.
pub(crate) fn read(file: &Path, wanted: &[Tag]) -> Result<Option<Elements>, Error> {
    let source = File::open(file)?;
    let length = source.metadata()?.len();
    scan(source, length, wanted).map_err(|problem| Error::file(file, problem))
}

fn scan(
    source: impl Read + Seek,
    file_length: u64,
    wanted: &[Tag],
) -> Result<Option<Elements>, Problem> {
    let mut scanner = Scanner::new(source, file_length);
    if !scanner.is_dicom()? {
        return Ok(None);
    }
    let transfer_syntax = scanner.transfer_syntax()?;
    let data_set = scanner.at;
    let elements = if syntax::is_deflated(&transfer_syntax) {
        let mut reader = scanner.reader;
        let end = deflated::inflated_length(&mut reader, file_length)?;
        reader.seek(SeekFrom::Start(data_set))?;
        let inflated = Scanner::new(Inflated::new(reader), end);
        let inflated = Scanner { irregular: scanner.irregular, ..inflated };
        DataSetScan::of(inflated, transfer_syntax, wanted)
            .map_err(|problem| Problem::Inflated(Box::new(problem)))?
    } else {
        DataSetScan::of(scanner, transfer_syntax, wanted)?
    };
    Ok(Some(Elements { data_set, ..elements }))
}

/// Without these, elements that come after the pixel data are read, although they should come before them.
const NEEDED: [Tag; 6] = [
    tags::SERIES_INSTANCE_UID,
    tags::ROWS,
    tags::COLUMNS,
    tags::BITS_ALLOCATED,
    tags::BITS_STORED,
    tags::PIXEL_REPRESENTATION,
];

/// Without these, elements after the pixel data of a file without frames are read too.
const NEEDED_OF_SINGLE: [Tag; 3] =
    [tags::IMAGE_POSITION_PATIENT, tags::PIXEL_SPACING, tags::RESCALE_SLOPE];

/// What is found in a data set.
struct DataSetScan<'a, R> {
    scanner: Scanner<R>,
    encoding: Encoding,
    wanted: &'a [Tag],
    /// The wanted elements that are text or numbers.
    found: DistinctElements,
    /// A padding value that is there twice, which fails the file wherever its reading ends.
    twice: Option<Problem>,
    pixels: Option<PixelDataRange>,
    padding: Option<u16>,
    frames: FunctionalGroups,
    /// Whether everything that comes next is beyond the last wanted element, if elements are in order.
    is_past: bool,
}

impl<'a, R: Read + Seek> DataSetScan<'a, R> {
    fn of(
        scanner: Scanner<R>,
        transfer_syntax: String,
        wanted: &'a [Tag],
    ) -> Result<Elements, Problem> {
        let mut scan = Self {
            scanner,
            encoding: syntax::encoding(&transfer_syntax),
            wanted,
            found: DistinctElements::default(),
            twice: None,
            pixels: None,
            padding: None,
            frames: FunctionalGroups::default(),
            is_past: false,
        };
        match scan.all() {
            // Nothing beyond the wanted elements needs to be well formed.
            Err(_) if scan.is_past => {}
            other => other?,
        }
        let Self { scanner, encoding, found, pixels, padding, mut frames, twice, .. } = scan;
        twice.or_else(|| frames.twice.take()).map_or(Ok(()), Err)?;
        let sets = found.character_sets();
        let (values, length) = (found.decoded(encoding, &sets)?, scanner.end);
        let irregular = scanner.irregular;
        Ok(Elements {
            transfer_syntax,
            values,
            pixels,
            padding,
            frames,
            data_set: 0,
            length,
            irregular,
        })
    }

    fn all(&mut self) -> Result<(), Problem> {
        let mut greatest = Tag(0, 0);
        while self.scanner.at < self.scanner.end {
            let element = self.scanner.header(self.encoding)?;
            if element.tag < greatest {
                if self.is_wanted(element.tag) {
                    self.scanner.note(Irregularity::ElementOrder);
                }
            } else {
                greatest = element.tag;
            }
            let is_past = self.wanted.last().is_none_or(|last| element.tag > *last);
            if is_past && self.has_last() {
                return Ok(());
            }
            self.is_past |= is_past;
            if element.tag == tags::PIXEL_DATA {
                if !self.is_wanted(element.tag) {
                    return Ok(());
                }
                self.pixels =
                    Some(PixelDataRange { offset: self.scanner.at, length: element.length });
                if element.length.is_none() && self.frames.are_there() {
                    self.frames.fragments = self.scanner.fragments(self.encoding)?;
                    return Ok(());
                }
                if self.has_needed() {
                    return Ok(());
                }
                self.is_past = true;
            }
            self.element(&element)?;
        }
        Ok(())
    }

    fn element(&mut self, element: &ElementHeader) -> Result<(), Problem> {
        let is_wanted = self.is_wanted(element.tag) && element.tag != tags::PIXEL_DATA;
        if is_wanted && functional_groups::belongs_to_groups(element.tag) {
            self.frames.sets = self.found.character_sets();
            return self.scanner.append_frames(element, self.encoding, &mut self.frames);
        }
        if is_wanted && is_read_as_text(element.tag) {
            let text = self.scanner.sequence_text(element, self.encoding)?;
            self.found.append_sequence(&mut self.scanner, element.tag, text);
            return Ok(());
        }
        match element.length {
            // US or SS, like the pixels: the bits are the same.
            Some(2) if element.tag == tags::PIXEL_PADDING_VALUE => {
                let mut bytes = [0; 2];
                self.scanner.fill(&mut bytes, || FoundTag(element.tag).name())?;
                let padding = self.encoding.u16(bytes);
                if let Some(first) = self.padding.replace(padding).filter(|first| *first != padding)
                {
                    self.twice.get_or_insert(two_values(element.tag, first, padding));
                }
                Ok(())
            }
            Some(length) if is_wanted && element.tag != tags::PIXEL_PADDING_VALUE => {
                self.found.append(&mut self.scanner, element, length, self.encoding)
            }
            Some(length) => self.scanner.skip(length, element.tag),
            None => self.scanner.skip_sequence(element, self.encoding),
        }
    }

    /// Whether an element is wanted; the wanted ones are sorted.
    fn is_wanted(&self, tag: Tag) -> bool {
        self.wanted.binary_search(&tag).is_ok()
    }

    /// Whether the last wanted element is there.
    fn has_last(&self) -> bool {
        match self.wanted.last() {
            Some(&tags::PIXEL_DATA) => self.pixels.is_some(),
            Some(last) => self.found.has(*last),
            None => true,
        }
    }

    /// Whether no wanted element that a slice needs is missing.
    fn has_needed(&self) -> bool {
        let is_there = |tag: &Tag| !self.is_wanted(*tag) || self.found.has(*tag);
        NEEDED.iter().all(is_there)
            && (self.frames.are_there() || NEEDED_OF_SINGLE.iter().all(is_there))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    const UNDEFINED: [u8; 4] = [0xFF; 4];

    /// A file with a meta group, followed by these bytes.
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

    /// A tag and a length: an implicit element, an item or a delimiter.
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
        assert_eq!(elements.pixels, Some(PixelDataRange { offset, length: Some(4) }));
    }

    #[test]
    fn sequences_without_a_length_are_skipped() {
        // An explicit sequence with an item; inside, an element of unknown representation with implicit elements,
        // where (0008,0060) must not count.
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
        // Without the last delimiters.
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
    fn a_length_past_the_end_is_refused() {
        let four_gib = bare(0x0008, 0x0060, [0xFE, 0xFF, 0xFF, 0xFF]);
        let error = scan_all(file("1.2.840.10008.1.2\0", &[&four_gib])).unwrap_err().to_string();
        let expected = "cut off at byte 166: Modality (0008,0060) would end at byte 4294967460";
        assert_eq!(error, expected);
    }

    #[test]
    fn other_files_are_distinguished_from_malformed_ones() {
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
