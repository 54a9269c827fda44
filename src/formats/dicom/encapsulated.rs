//! The fragments of one frame: PS3.5, A.4.

use super::Problem;
use std::borrow::Cow;

const ITEM: [u8; 4] = [0xFE, 0xFF, 0x00, 0xE0];
const SEQUENCE_END: [u8; 4] = [0xFE, 0xFF, 0xDD, 0xE0];

/// Joins the fragments in a file's end, which begins at byte `at` with the offset table.
pub(super) fn frame(bytes: &[u8], at: u64) -> Result<Cow<'_, [u8]>, Problem> {
    let mut items = Items { bytes, at: 0, start: at };
    let table = items.next()?.ok_or_else(|| items.problem("no item", "a basic offset table"))?;
    if !matches!(table.len(), 0 | 4) {
        let found = format!("a basic offset table of {} bytes", table.len());
        return Err(items.problem(found, "one of 0 or 4 bytes, as there is one frame"));
    }
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

struct Items<'a> {
    bytes: &'a [u8],
    at: usize,
    start: u64,
}

impl<'a> Items<'a> {
    /// The next item's bytes; none at the end of the sequence.
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
            return Err(self.problem(format!("bytes {tag:02x?}"), "an item or a delimiter"));
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
            element: "an item of the pixel data".to_owned(),
            end: self.start + self.at as u64 + length,
            length: self.start + self.bytes.len() as u64,
        }
    }

    fn problem(&self, found: impl Into<String>, expected: &'static str) -> Problem {
        Problem::Malformed { at: self.start + self.at as u64, found: found.into(), expected }
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
    }

    #[test]
    fn what_is_not_one_frame_is_an_error() {
        let refused = |bytes: &[u8]| frame(bytes, 1000).unwrap_err().to_string();
        let error = refused(&items(&[&[0; 8], &[1, 2]]));
        assert!(error.contains("a basic offset table of 8 bytes, expected one of 0 or"), "{error}");
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
