//! Reads a data set element by element, and checks every length against the file.

use super::header::{
    ElementHeader, ITEM, ITEM_END, SEQUENCE_END, has_long_header, is_descriptive, is_first_element,
};
use super::syntax::{EXPLICIT_LITTLE, Encoding};
use super::text::is_text;
use crate::dicom::error::{FoundTag, Problem, attribute_name};
use crate::dicom::irregularities::Irregularity;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use nodulus_faults::quoted::{self, SavedWords};
use std::io::{BufReader, Read, Seek};

/// Most bytes of a wanted value, which is read into memory. Texts and numbers of an image have fewer than 64 KiB.
const MOST_VALUE_BYTES: u64 = 1 << 20;

/// Most bytes of a text in a sequence of codes.
const MOST_CODE_BYTES: u64 = 1 << 10;

/// Most bytes of all of them, but for the last one.
const MOST_TEXTS_BYTES: usize = 1 << 14;

/// Whether a value in a sequence of codes is text, which tells more than UIDs and times.
fn is_told_text(vr: VR) -> bool {
    is_text(vr) || matches!(vr, VR::AE | VR::CS | VR::DS | VR::IS)
}

/// Reads the headers of elements. Every length is checked against the length of the file before it is used.
pub(crate) struct Scanner<R> {
    pub(crate) reader: BufReader<R>,
    pub(crate) at: u64,
    pub(crate) end: u64,
    /// Faults that were read past.
    pub(crate) irregular: Vec<Irregularity>,
}

impl<R: Read + Seek> Scanner<R> {
    pub(crate) fn new(source: R, end: u64) -> Self {
        Self { reader: BufReader::new(source), at: 0, end, irregular: Vec::new() }
    }

    /// Reads the preamble, if the file has one.
    pub(crate) fn is_dicom(&mut self) -> Result<bool, Problem> {
        let mut start = [0; 132];
        if self.end < start.len() as u64 {
            return Ok(false);
        }
        self.fill(&mut start, || SavedWords::of("the preamble"))?;
        if start.ends_with(b"DICM") {
            return Ok(true);
        }
        let begins = if start.starts_with(b"DICM") { 4 } else { 0 };
        if !is_first_element(&start[begins..]) {
            return Ok(false);
        }
        self.at = begins as u64;
        self.reader.seek_relative(begins as i64 - start.len() as i64)?;
        self.irregular.push(Irregularity::NoPreamble);
        Ok(true)
    }

    /// Counts a fault of the file once.
    pub(crate) fn note(&mut self, irregularity: Irregularity) {
        if !self.irregular.contains(&irregularity) {
            self.irregular.push(irregularity);
        }
    }

    /// Reads the meta group to its end; returns the transfer syntax.
    pub(crate) fn transfer_syntax(&mut self) -> Result<String, Problem> {
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
        match uid {
            Some(uid) => Ok(uid),
            None => self.syntax_of_next_element(),
        }
    }

    /// The uncompressed transfer syntax that the next element is encoded in, for a file that names none.
    fn syntax_of_next_element(&mut self) -> Result<String, Problem> {
        if self.end - self.at < 8 {
            return Err(Problem::Missing(attribute_name(tags::TRANSFER_SYNTAX_UID)));
        }
        let mut next = [0; 6];
        self.fill(&mut next, || SavedWords::of("an element's header"))?;
        self.reader.seek_relative(-6)?;
        self.at -= 6;
        self.note(Irregularity::NoTransferSyntax);
        let [g0, g1, .., b4, b5] = next;
        let encoding = Encoding {
            explicit_vr: VR::from_binary([b4, b5]).is_some(),
            big_endian: g0 == 0 && g1 != 0,
        };
        Ok(encoding.uid().to_owned())
    }

    /// Whether the next element is in the meta group; the elements after it may have another encoding.
    fn next_is_meta(&mut self) -> Result<bool, Problem> {
        let mut group = [0; 2];
        self.fill(&mut group, || SavedWords::of("an element's header"))?;
        self.reader.seek_relative(-2)?;
        self.at -= 2;
        Ok(group == [0x02, 0x00])
    }

    pub(crate) fn header(&mut self, encoding: Encoding) -> Result<ElementHeader, Problem> {
        let at = self.at;
        let mut bytes = [0; 12];
        let header = || SavedWords::of("an element's header");
        self.fill(&mut bytes[..8], header)?;
        let [g0, g1, e0, e1, b4, b5, b6, b7, ..] = bytes;
        let tag = Tag(encoding.u16([g0, g1]), encoding.u16([e0, e1]));
        let (mut n_bytes, mut vr) = (8, None);
        let length = if encoding.explicit_vr && tag.group() != 0xFFFE {
            let known = VR::from_binary([b4, b5]).ok_or_else(|| Problem::Malformed {
                at: at + 4,
                found: SavedWords::of(format_args!(
                    "bytes {} in {}",
                    quoted::text(&format!("{b4:02x} {b5:02x}")),
                    FoundTag(tag)
                )),
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
        Ok(ElementHeader { tag, vr, length, bytes, n_bytes })
    }

    /// Skips an element without a length, up to its delimiter.
    pub(crate) fn skip_sequence(
        &mut self,
        element: &ElementHeader,
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

    /// Reads the texts in the items of a sequence, with a space after each. One that is not well formed has none.
    pub(crate) fn sequence_text(
        &mut self,
        element: &ElementHeader,
        encoding: Encoding,
    ) -> Result<Vec<u8>, Problem> {
        let end = element.length.map(|length| self.end_of(length, element.tag)).transpose()?;
        let texts = self.texts_to(element.inside(encoding), end);
        let Some(end) = end else { return texts };
        let texts = match texts {
            Ok(texts) if self.at == end => texts,
            Err(Problem::Io(error)) => return Err(Problem::Io(error)),
            Ok(_) | Err(_) => {
                self.note(Irregularity::Attribute(element.tag));
                Vec::new()
            }
        };
        // Whatever its items are, the sequence ends here.
        self.reader.seek_relative(end as i64 - self.at as i64)?;
        self.at = end;
        Ok(texts)
    }

    /// The texts of the items up to an offset, or to the delimiter of their sequence.
    fn texts_to(&mut self, encoding: Encoding, end: Option<u64>) -> Result<Vec<u8>, Problem> {
        let mut texts = Vec::new();
        let mut open = vec![(encoding, end)];
        while let Some(&(encoding, end)) = open.last() {
            if end.is_some_and(|end| self.at >= end) {
                open.pop();
                continue;
            }
            let element = self.header(encoding)?;
            let representation = element.representation();
            match element.length {
                _ if element.tag == ITEM_END || element.tag == SEQUENCE_END => {
                    if end.is_none() {
                        open.pop();
                    }
                }
                Some(length) if element.tag == ITEM || representation == Some(VR::SQ) => {
                    let end = self.end_of(length, element.tag)?;
                    open.push((element.inside(encoding), Some(end)));
                }
                Some(length)
                    if length <= MOST_CODE_BYTES
                        && texts.len() <= MOST_TEXTS_BYTES
                        && representation.is_some_and(is_told_text) =>
                {
                    self.append(length, element.tag, &mut texts)?;
                    texts.push(b' ');
                }
                Some(length) => self.skip(length, element.tag)?,
                None => open.push((element.inside(encoding), None)),
            }
        }
        Ok(texts)
    }

    pub(crate) fn fill(
        &mut self,
        bytes: &mut [u8],
        element: impl Fn() -> SavedWords,
    ) -> Result<(), Problem> {
        self.advance(bytes.len() as u64, element)?;
        Ok(self.reader.read_exact(bytes)?)
    }

    /// Appends a wanted element with its header. One that cannot be decoded is skipped if no voxel depends on it.
    pub(crate) fn append_element(
        &mut self,
        element: &ElementHeader,
        length: u64,
        bytes: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        self.end_of(length, element.tag)?;
        if length > MOST_VALUE_BYTES {
            if is_descriptive(element.tag) {
                self.note(Irregularity::Attribute(element.tag));
                return self.skip(length, element.tag);
            }
            let (found, expected) =
                (format!("of {length} bytes"), format!("at most {MOST_VALUE_BYTES}"));
            return Err(Problem::value(element.tag, found, expected));
        }
        match element.checked() {
            Ok(header) => {
                if header.is_unknown {
                    self.note(Irregularity::UnknownRepresentation);
                }
                bytes.extend(header.raw());
                self.append(length, element.tag, bytes)
            }
            Err(_) if is_descriptive(element.tag) => {
                self.note(Irregularity::Attribute(element.tag));
                self.skip(length, element.tag)
            }
            Err(problem) => Err(problem),
        }
    }

    pub(crate) fn append(
        &mut self,
        length: u64,
        tag: Tag,
        bytes: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        let start = bytes.len();
        self.advance(length, || FoundTag(tag).name())?;
        bytes.resize(start + length as usize, 0);
        Ok(self.reader.read_exact(&mut bytes[start..])?)
    }

    pub(crate) fn skip(&mut self, length: u64, tag: Tag) -> Result<(), Problem> {
        self.advance(length, || FoundTag(tag).name())?;
        Ok(self.reader.seek_relative(length as i64)?)
    }

    /// The end of a value of this length, which is checked to be in the file.
    pub(crate) fn end_of(&self, length: u64, tag: Tag) -> Result<u64, Problem> {
        self.checked_end(length, || FoundTag(tag).name())
    }

    /// Checks that so many bytes follow, and counts them as read.
    fn advance(&mut self, length: u64, element: impl Fn() -> SavedWords) -> Result<(), Problem> {
        self.at = self.checked_end(length, element)?;
        Ok(())
    }

    fn checked_end(&self, length: u64, element: impl Fn() -> SavedWords) -> Result<u64, Problem> {
        let end = self.at + length;
        if end > self.end {
            return Err(Problem::Truncated { element: element(), end, length: self.end });
        }
        Ok(end)
    }
}
