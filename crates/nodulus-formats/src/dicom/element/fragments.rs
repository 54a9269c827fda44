//! The fragments of encapsulated pixel data, and the frames that they belong to: PS3.5, A.4.

use super::header;
use super::scanner::Scanner;
use super::syntax::Encoding;
use crate::dicom::error::{FoundTag, Problem};
use nodulus_faults::quoted::{self, SavedWords};
use std::borrow::Cow;
use std::fmt::Display;
use std::io::{Read, Seek};

const ITEM: [u8; 4] = [0xFE, 0xFF, 0x00, 0xE0];
const SEQUENCE_END: [u8; 4] = [0xFE, 0xFF, 0xDD, 0xE0];

/// Most frames of a file; a scan has a few thousand.
pub(crate) const MAX_FRAMES: usize = 1 << 16;

/// The position of a fragment in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// The basic offset table and the fragments of a file with several frames.
#[derive(Debug, Default)]
pub(crate) struct Fragments {
    table: Vec<u8>,
    all: Vec<Fragment>,
}

impl<R: Read + Seek> Scanner<R> {
    /// Lists the fragments of encapsulated pixel data without reading them.
    pub(crate) fn fragments(&mut self, encoding: Encoding) -> Result<Fragments, Problem> {
        let mut found = Fragments::default();
        let mut n_items = 0;
        loop {
            let item = self.header(encoding)?;
            let (at, tag) = (self.at, item.tag);
            match item.length {
                _ if tag == header::SEQUENCE_END => return Ok(found),
                Some(length) if tag == header::ITEM => {
                    if n_items > 0 {
                        found.all.push(Fragment { offset: at, length });
                        self.skip(length, tag)?;
                    } else if length <= 4 * MAX_FRAMES as u64 {
                        self.append(length, tag, &mut found.table)?;
                    } else {
                        let length = quoted::numbers(&length);
                        let found =
                            SavedWords::of(format_args!("a basic offset table of {length} bytes"));
                        let expected = "4 bytes for each frame";
                        return Err(Problem::Malformed { at, found, expected });
                    }
                }
                _ => {
                    let expected = "an item or a delimiter";
                    let found = SavedWords::of(format_args!("tag {}", FoundTag(tag)));
                    return Err(Problem::Malformed { at, found, expected });
                }
            }
            n_items += 1;
        }
    }
}

impl Fragments {
    /// The fragments of each frame. `extended` are the bytes of `ExtendedOffsetTable` and
    /// `ExtendedOffsetTableLengths`.
    ///
    /// Either an offset table assigns the fragments, or there is one frame, or each frame has one fragment; anything
    /// else would be ambiguous.
    pub(crate) fn of_frames(
        &self,
        n_frames: usize,
        extended: (Option<&[u8]>, Option<&[u8]>),
    ) -> Result<Vec<Vec<Fragment>>, Problem> {
        let all = &self.all;
        let problem = |found: String, expected: String| Problem::Compressed {
            what: "encapsulated pixel data",
            found,
            expected,
        };
        if all.is_empty() || all.len() < n_frames {
            let expected = format!("at least one for each of {n_frames} frames");
            return Err(problem(format!("{} fragments", all.len()), expected));
        }
        // PS3.5, A.4: offsets count from the first item after the table.
        let start = |at: usize| all[at].offset - all[0].offset;
        match extended {
            (Some(offsets), Some(lengths)) => {
                let (offsets, lengths) = (numbers(offsets), numbers(lengths));
                if !self.table.is_empty()
                    || [offsets.len(), lengths.len(), all.len()] != [n_frames; 3]
                {
                    let found = format!(
                        "an extended offset table of {} frames with {} lengths, a basic one of {} \
                         bytes, {} fragments",
                        offsets.len(),
                        lengths.len(),
                        self.table.len(),
                        all.len()
                    );
                    let expected = format!("one of each for {n_frames} frames, and no basic one");
                    return Err(problem(found, expected));
                }
                for (at, fragment) in all.iter().enumerate() {
                    // A frame of odd length is padded.
                    let padded = lengths[at].checked_next_multiple_of(2);
                    if offsets[at] != start(at) || padded != Some(fragment.length) {
                        let (offset, length) = (offsets[at], lengths[at]);
                        let found = format!("frame {} at {offset} of {length} bytes", at + 1);
                        let expected = format!("{} of {} bytes", start(at), fragment.length);
                        return Err(problem(found, expected));
                    }
                }
            }
            (None, None) if !self.table.is_empty() => {
                return self.by_table(n_frames).ok_or_else(|| {
                    let found = format!("a basic offset table of {} bytes", self.table.len());
                    let expected = format!("{n_frames} starts of fragments, ascending from 0");
                    problem(found, expected)
                });
            }
            (None, None) => {}
            _ => {
                let found = "an extended offset table or its lengths alone".to_owned();
                return Err(problem(found, "both or neither".to_owned()));
            }
        }
        match n_frames {
            1 => Ok(vec![all.clone()]),
            n if n == all.len() => Ok(all.iter().map(|fragment| vec![*fragment]).collect()),
            n => {
                let found = format!("{} fragments without an offset table", all.len());
                Err(problem(found, format!("{n}, one for each frame")))
            }
        }
    }

    fn by_table(&self, n_frames: usize) -> Option<Vec<Vec<Fragment>>> {
        let (numbers, rest) = self.table.as_chunks::<4>();
        if numbers.len() != n_frames || !rest.is_empty() {
            return None;
        }
        let mut frames: Vec<Vec<Fragment>> = Vec::new();
        let mut starts =
            numbers.iter().map(|bytes| u64::from(u32::from_le_bytes(*bytes))).peekable();
        let first = self.all.first()?.offset;
        for fragment in &self.all {
            if starts.next_if_eq(&(fragment.offset - first)).is_some() {
                frames.push(Vec::new());
            }
            frames.last_mut()?.push(*fragment);
        }
        starts.next().is_none().then_some(frames)
    }
}

/// Parses numbers of 8 bytes.
fn numbers(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect()
}

/// Joins the fragments at the end of a file that has one frame; `bytes` begin at byte `at` with the offset table.
pub(crate) fn frame(bytes: &[u8], at: u64) -> Result<Cow<'_, [u8]>, Problem> {
    let mut items = FragmentItems { bytes, at: 0, start: at };
    // The offset table is of no use: all fragments are of the only frame.
    items.next()?.ok_or_else(|| items.problem("no item", "a basic offset table"))?;
    let mut joined = Cow::Borrowed(&[][..]);
    while let Some(fragment) = items.next()? {
        if joined.is_empty() {
            joined = Cow::Borrowed(fragment);
        } else {
            joined.to_mut().extend(fragment);
        }
    }
    if joined.is_empty() { Err(items.problem("no fragment", "a frame")) } else { Ok(joined) }
}

struct FragmentItems<'a> {
    bytes: &'a [u8],
    at: usize,
    start: u64,
}

impl<'a> FragmentItems<'a> {
    /// The bytes of the next item; `None` at the end of the sequence.
    fn next(&mut self) -> Result<Option<&'a [u8]>, Problem> {
        let rest = &self.bytes[self.at..];
        let Some((header, rest)) = rest.split_first_chunk::<8>() else {
            return Err(self.truncated(8));
        };
        let [tag @ .., l0, l1, l2, l3] = *header;
        if tag == SEQUENCE_END {
            return Ok(None);
        }
        if tag != ITEM {
            let bytes = format!("{tag:02x?}");
            let found = format_args!("bytes {}", quoted::text(&bytes));
            return Err(self.problem(found, "an item or a delimiter"));
        }
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let Some(item) = rest.get(..length as usize) else {
            return Err(self.truncated(8 + u64::from(length)));
        };
        self.at += 8 + item.len();
        Ok(Some(item))
    }

    fn truncated(&self, length: u64) -> Problem {
        Problem::Truncated {
            element: SavedWords::of("an item of the pixel data"),
            end: self.start + self.at as u64 + length,
            length: self.start + self.bytes.len() as u64,
        }
    }

    fn problem(&self, found: impl Display, expected: &'static str) -> Problem {
        let found = SavedWords::of(found);
        Problem::Malformed { at: self.start + self.at as u64, found, expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(items: &[&[u8]]) -> Vec<u8> {
        let item = |bytes: &&[u8]| [&ITEM, &(bytes.len() as u32).to_le_bytes()[..], bytes].concat();
        [items.iter().flat_map(item).collect(), SEQUENCE_END.to_vec(), vec![0; 4]].concat()
    }

    #[test]
    fn fragments_are_joined() {
        assert_eq!(*frame(&items(&[&[], &[1, 2]]), 0).unwrap(), [1, 2]);
        assert_eq!(
            *frame(&items(&[&[0; 4], &[1, 2], &[3, 4], &[5, 6]]), 0).unwrap(),
            [1, 2, 3, 4, 5, 6]
        );
        // The table of a file that had more frames.
        assert_eq!(*frame(&items(&[&[0; 8], &[1, 2]]), 0).unwrap(), [1, 2]);
    }

    #[test]
    fn fragments_of_no_single_frame_are_refused() {
        let refused = |bytes: &[u8]| frame(bytes, 1000).unwrap_err().to_string();
        assert!(refused(&items(&[])).contains("no item"));
        assert!(refused(&items(&[&[]])).contains("no fragment"));
        let whole = items(&[&[], &[1, 2]]);
        for length in 0..whole.len() - 7 {
            let error = refused(&whole[..length]);
            assert!(error.starts_with(&format!("cut off at byte {}", 1000 + length)), "{error}");
        }
        let mut huge = whole.clone();
        huge[12..16].fill(0xFF);
        assert!(refused(&huge).contains("would end at byte 4294968311"), "{}", refused(&huge));
        let error = refused(&[&whole[..8], &[8; 12]].concat());
        assert!(error.starts_with("at byte 1008: found bytes [08, 08, 08, 08]"), "{error}");
    }
}
