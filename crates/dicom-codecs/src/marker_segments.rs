//! Marker segments of JPEG and JPEG-LS: ITU-T T.81, annex B.

use crate::fault::Fault;

/// Start and end of an image.
const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;

/// The marker segments of a JPEG codestream, in order.
pub(crate) struct MarkerSegments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> MarkerSegments<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Fault> {
        if !bytes.starts_with(&[0xFF, SOI]) {
            let start = &bytes[..bytes.len().min(2)];
            return Err(Fault::new(format!("bytes {start:02x?} at its start"), "ff d8"));
        }
        Ok(Self { bytes, at: 2 })
    }

    /// The next marker, and its segment without the two bytes of the length.
    pub(crate) fn next(&mut self) -> Result<(u8, &'a [u8]), Fault> {
        let cut = || Fault::truncated("a marker and its segment");
        let rest = self.bytes.get(self.at..).ok_or_else(cut)?;
        // B.1.1.2: any number of 0xFF bytes may precede a marker.
        let fill = rest.iter().take_while(|byte| **byte == 0xFF).count();
        let &marker = rest.get(fill).ok_or_else(cut)?;
        if fill == 0 || marker == 0 {
            return Err(Fault::new(format!("byte {marker:02x} at byte {}", self.at), "a marker"));
        }
        if matches!(marker, 0x01 | 0xD0..=0xD9) {
            return Err(Fault::new(format!("marker ff {marker:02x}"), "a segment before the scan"));
        }
        let segment = &rest[fill + 1..];
        let (length, _) = segment.split_first_chunk().ok_or_else(cut)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let segment = segment.get(2..length).ok_or_else(cut)?;
        self.at += fill + 1 + length;
        Ok((marker, segment))
    }

    /// Skips the coded data of a scan; returns whether the image ends after it, and not another segment follows.
    pub(crate) fn is_end_after_scan(&mut self) -> Result<bool, Fault> {
        let rest = self.rest();
        let mut pairs = rest.windows(2).enumerate();
        // Zeros, restarts and further 0xFF bytes after a 0xFF byte are part of the scan.
        let next =
            pairs.find(|(_, pair)| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF | 0xD0..=0xD7));
        let (at, pair) = next.ok_or_else(|| Fault::truncated("the end of the image"))?;
        self.at += at;
        Ok(pair[1] == EOI)
    }

    /// The bytes after the segment that was read last.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }
}
