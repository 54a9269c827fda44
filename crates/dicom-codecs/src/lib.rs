//! Compressed pixels to stored values.
//!
//! A codestream's own header is checked against the file's before anything is decoded. Decoders of
//! others run where a panic becomes an error.

mod bits;
mod dct;
mod huffman;
mod jpeg;
mod jpeg_2000;
mod jpeg_ls;
mod jpeg_ls_scan;
mod lossless;
mod rle;

use std::fmt::Display;

/// How the pixels of a slice are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not at all, but encapsulated.
    Uncompressed,
    /// PS3.5, annex G.
    Rle,
    /// ITU-T T.81, sequential DCT of 8 or 12 bits.
    JpegDct,
    /// ITU-T T.81, annex H.
    JpegLossless,
    /// ITU-T T.87.
    JpegLs,
    /// ITU-T T.800.
    Jpeg2000,
    /// ITU-T T.814.
    HtJpeg2000,
}

impl Codec {
    fn name(self) -> &'static str {
        match self {
            Self::Uncompressed => "uncompressed pixel data",
            Self::Rle => "RLE pixel data",
            Self::JpegDct => "JPEG pixel data",
            Self::JpegLossless => "lossless JPEG pixel data",
            Self::JpegLs => "JPEG-LS pixel data",
            Self::Jpeg2000 => "JPEG 2000 pixel data",
            Self::HtJpeg2000 => "HTJ2K pixel data",
        }
    }
}

/// What the elements of a file say of its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Voxels along i.
    pub columns: usize,
    /// Voxels along j.
    pub rows: usize,
    /// 8 or 16.
    pub bits_allocated: u32,
    /// Of the sign, where there is one.
    pub high_bit: u32,
    /// `PixelRepresentation`.
    pub signed: bool,
}

/// What a codestream says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    columns: usize,
    rows: usize,
    components: usize,
    bits: u32,
    /// None where the codestream does not tell.
    signed: Option<bool>,
}

/// Why a codestream is not decoded.
#[derive(Debug)]
struct Fault {
    found: String,
    expected: String,
}

impl Fault {
    fn new(found: impl Display, expected: impl Display) -> Self {
        Self { found: found.to_string(), expected: expected.to_string() }
    }

    /// The codestream ends too early.
    fn cut(what: &str) -> Self {
        Self::new("its end", what)
    }
}

impl Expected {
    /// Refuses a codestream that would not decode to as many bytes, or whose sign is elsewhere.
    fn check(&self, frame: &Frame) -> Result<(), Fault> {
        let &Frame { columns, rows, components, bits, signed } = frame;
        let bytes = bits.div_ceil(8);
        if [columns, rows, components] != [self.columns, self.rows, 1]
            || 8 * bytes != self.bits_allocated
        {
            let n = columns.saturating_mul(rows).saturating_mul(components);
            let n_bytes = n.saturating_mul(bytes as usize);
            let found = format!(
                "{columns} x {rows} x {components} samples of {bits} bits ({n_bytes} bytes)"
            );
            let &Self { columns, rows, bits_allocated, .. } = self;
            let n_bytes = columns * rows * bits_allocated as usize / 8;
            let least = bits_allocated - 7;
            let expected = format!(
                "{columns} x {rows} x 1 of {least} to {bits_allocated} bits ({n_bytes} bytes)"
            );
            return Err(Fault::new(found, expected));
        }
        let (of_codestream, of_file) = (signed.unwrap_or(self.signed), self.signed);
        let sign = |signed| if signed { "signed samples" } else { "unsigned samples" };
        if of_codestream != of_file {
            let pixel_representation = i32::from(of_file);
            let expected =
                format!("{}, as PixelRepresentation is {pixel_representation}", sign(of_file));
            return Err(Fault::new(sign(of_codestream), expected));
        }
        if signed.is_none() && of_file && bits <= self.high_bit {
            let expected = format!("a sign in bit {}, the high bit", self.high_bit);
            return Err(Fault::new(format!("samples of {bits} bits"), expected));
        }
        Ok(())
    }
}

/// A codestream is malformed, or is not what the file's elements say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: found {found}, expected {expected}")]
pub struct Error {
    /// The pixel data, and how they are compressed.
    pub what: &'static str,
    /// What is there.
    pub found: String,
    /// What has to be there.
    pub expected: String,
}

/// Decodes a frame. `words` has one for each pixel; a negative value is its two's complement.
pub fn decode(
    codec: Codec,
    bytes: &[u8],
    expected: &Expected,
    words: &mut [u16],
) -> Result<(), Error> {
    let done = match codec {
        Codec::Uncompressed => uncompressed(bytes, expected, words),
        Codec::Rle => rle::decode(bytes, expected, words),
        Codec::JpegDct => jpeg::decode(bytes, jpeg::Process::Dct, expected, words),
        Codec::JpegLossless => jpeg::decode(bytes, jpeg::Process::Lossless, expected, words),
        Codec::JpegLs => jpeg_ls::decode(bytes, expected, words),
        Codec::Jpeg2000 => jpeg_2000::decode(bytes, expected, words),
        Codec::HtJpeg2000 => jpeg_2000::decode_high_throughput(bytes, expected, words),
    };
    done.map_err(|Fault { found, expected }| Error { what: codec.name(), found, expected })
}

fn uncompressed(bytes: &[u8], expected: &Expected, words: &mut [u16]) -> Result<(), Fault> {
    let n_bytes = expected.bits_allocated as usize / 8 * words.len();
    // A fragment of odd length is padded.
    if bytes.len() != n_bytes.next_multiple_of(2) {
        return Err(Fault::new(format!("{} bytes", bytes.len()), format!("{n_bytes} bytes")));
    }
    if expected.bits_allocated == 8 {
        for (word, byte) in words.iter_mut().zip(bytes) {
            *word = u16::from(*byte);
        }
    } else {
        for (word, pair) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u16::from_le_bytes(*pair);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
