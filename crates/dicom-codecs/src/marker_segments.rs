//! Marker segments of JPEG and JPEG-LS: ITU-T T.81, annex B.

use crate::fault::Fault;

/// Start of image.
const SOI: u8 = 0xD8;

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

    /// The bytes after the segment that was read last.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }
}
