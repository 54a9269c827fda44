//! Decodes the compressed pixel data of DICOM files: one frame of monochrome samples at a time.
//!
//! Give [`decode`] the codec that the transfer syntax stands for, the bytes of a frame (its fragments joined), and what
//! the elements of the file say about the pixels. It fills one `u16` for each pixel, row by row:
//!
//! ```
//! use dicom_codecs::{Codec, PixelLayout, decode};
//!
//! // A frame of 2 x 2 pixels of 8 bits in RLE (DICOM PS3.5, annex G): a header of 64 bytes with one segment that begins
//! // at byte 64, and in the segment 7 four times.
//! let mut frame = vec![0; 64];
//! frame[0] = 1;
//! frame[4] = 64;
//! frame.extend([253, 7]);
//!
//! let layout = PixelLayout { columns: 2, rows: 2, bits_allocated: 8, high_bit: 7, signed: false };
//! let mut values = [0; 4];
//! decode(Codec::Rle, &frame, &layout, &mut values)?;
//! assert_eq!(values, [7, 7, 7, 7]);
//! # Ok::<(), dicom_codecs::Error>(())
//! ```
//!
//! The crate is safe Rust. It does not know DICOM data sets: finding the fragments of a frame, and rescaling values to
//! Hounsfield units, is left to the caller.
//!
//! Before a codec decodes anything, the header of the codestream must agree with the layout in size, bits and sign, so
//! that memory is bounded by what the caller allocated. Random bytes end in an [`Error`]. JPEG 2000 and HTJ2K are decoded
//! by other crates; a panic in them becomes an [`Error`] too, through a panic hook that the first such call installs.

mod fault;
mod pixel_layout;
mod uncompressed;
mod rle;
mod bit_reader;
mod marker_segments;
mod huffman;
mod jpeg_scan;
mod jpeg_lossless;
mod jpeg_dct;
mod jpeg_progressive;
mod jpeg;
mod jpeg_ls_scan;
mod jpeg_ls;
mod jpeg_2000;

pub use pixel_layout::PixelLayout;

use fault::Fault;

/// How the pixels of a frame are compressed; PS3.5, annex A names the transfer syntaxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not compressed: little-endian values in a fragment (PS3.5, A.4).
    Uncompressed,
    /// RLE (PS3.5, annex G).
    Rle,
    /// JPEG, DCT with samples of 8 or 12 bits: sequential (processes 1, 2 and 4; ITU-T T.81, annex F) or progressive
    /// (processes 6, 8, 10 and 12; annex G), with Huffman codes.
    JpegDct,
    /// Lossless JPEG with any predictor: process 14 (ITU-T T.81, annex H).
    JpegLossless,
    /// JPEG-LS, lossless or near-lossless (ITU-T T.87).
    JpegLs,
    /// JPEG 2000, reversible or irreversible (ITU-T T.800).
    Jpeg2000,
    /// High-throughput JPEG 2000 with the reversible transform (ITU-T T.814).
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

/// A codestream is malformed, or disagrees with the layout of the pixels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: found {found}, expected {expected}")]
pub struct Error {
    /// The pixel data and its codec, such as "JPEG-LS pixel data".
    pub what: &'static str,
    /// What the codestream holds.
    pub found: String,
    /// What it should hold.
    pub expected: String,
}

/// Decodes one frame into stored values.
///
/// `bytes` is the codestream of the frame, its fragments joined; a padding byte may follow it. `values` has
/// `columns` × `rows` elements and is filled row by row, the columns fastest. A value is the stored pixel value before any
/// rescaling, in the low bits. JPEG 2000 and HTJ2K sign-extend signed samples to 16 bits; the other codecs leave that to
/// the caller, who knows `HighBit`.
///
/// # Errors
///
/// Fails if the layout has no pixel, allocates other than 8 or 16 bits, or does not fit the length of `values`; if the
/// codestream is truncated or malformed, uses a feature that the codec's docs do not name, or disagrees with the layout in
/// size, bits, number of components or sign. `values` then holds no particular content.
pub fn decode(
    codec: Codec,
    bytes: &[u8],
    layout: &PixelLayout,
    values: &mut [u16],
) -> Result<(), Error> {
    let decoded = layout.check_values(values.len()).and_then(|()| match codec {
        Codec::Uncompressed => uncompressed::decode(bytes, layout, values),
        Codec::Rle => rle::decode(bytes, layout, values),
        Codec::JpegDct => jpeg::decode(bytes, jpeg::Process::Dct, layout, values),
        Codec::JpegLossless => jpeg::decode(bytes, jpeg::Process::Lossless, layout, values),
        Codec::JpegLs => jpeg_ls::decode(bytes, layout, values),
        Codec::Jpeg2000 => jpeg_2000::decode(bytes, layout, values),
        Codec::HtJpeg2000 => jpeg_2000::decode_high_throughput(bytes, layout, values),
    });
    decoded.map_err(|Fault { found, expected }| Error { what: codec.name(), found, expected })
}

#[cfg(test)]
mod tests;
