//! Transfer syntaxes: how elements are encoded, and how pixels are stored.

use crate::dicom::error::Problem;
use dicom_codecs::Codec;
use dicom_core::Tag;
use dicom_dictionary_std::uids;

/// How elements are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoding {
    /// Whether each element names its value representation.
    pub(crate) explicit_vr: bool,
    /// Byte order of numbers.
    pub(crate) big_endian: bool,
}

/// The encoding of the file's meta group, and of most files.
pub(crate) const EXPLICIT_LITTLE: Encoding = Encoding { explicit_vr: true, big_endian: false };
/// The encoding of the oldest files, and of a sequence with unknown value representation.
pub(crate) const IMPLICIT_LITTLE: Encoding = Encoding { explicit_vr: false, big_endian: false };
const EXPLICIT_BIG: Encoding = Encoding { explicit_vr: true, big_endian: true };

/// Retired by the standard, so deprecated in the dictionary.
const EXPLICIT_VR_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// Progressive JPEG with Huffman codes, processes 6 and 8, 10 and 12: retired as well.
const JPEG_SPECTRAL_SELECTION: &str = "1.2.840.10008.1.2.4.53";
const JPEG_FULL_PROGRESSION: &str = "1.2.840.10008.1.2.4.55";

impl Encoding {
    pub(crate) fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    pub(crate) fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    /// The bytes of an element without a value.
    pub(crate) fn empty_element(self, tag: Tag) -> Vec<u8> {
        let number = |n: u16| if self.big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        let mut bytes = [number(tag.group()), number(tag.element())].concat();
        if self.explicit_vr {
            bytes.extend(b"OB\0\0");
        }
        bytes.extend([0; 4]);
        bytes
    }

    /// The UID of the uncompressed transfer syntax with this encoding.
    pub(crate) fn uid(self) -> &'static str {
        match self {
            EXPLICIT_BIG => EXPLICIT_VR_BIG_ENDIAN,
            Self { explicit_vr: true, .. } => uids::EXPLICIT_VR_LITTLE_ENDIAN,
            Self { explicit_vr: false, .. } => uids::IMPLICIT_VR_LITTLE_ENDIAN,
        }
    }
}

/// How the pixels of a file are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Uncompressed, as one value.
    Plain,
    /// Deflated together with all other elements.
    Deflated,
    /// In fragments, with a codec.
    Encapsulated(Codec),
}

/// The encoding of elements in a transfer syntax; pixels may be compressed.
pub(crate) fn encoding(uid: &str) -> Encoding {
    match uid {
        uids::IMPLICIT_VR_LITTLE_ENDIAN => IMPLICIT_LITTLE,
        EXPLICIT_VR_BIG_ENDIAN => EXPLICIT_BIG,
        // PS3.5, A.4 and A.5: every other syntax is explicit VR little endian.
        _ => EXPLICIT_LITTLE,
    }
}

/// Whether the bytes after the meta group are deflated.
pub(crate) fn is_deflated(uid: &str) -> bool {
    matches!(
        uid,
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
            | uids::JPIP_REFERENCED_DEFLATE
            | uids::JPIPHTJ2K_REFERENCED_DEFLATE
    )
}

/// How pixels are stored in a transfer syntax; fails if it is not supported.
pub(crate) fn packing(uid: &str) -> Result<Packing, Problem> {
    let codec = match uid {
        uids::IMPLICIT_VR_LITTLE_ENDIAN
        | uids::EXPLICIT_VR_LITTLE_ENDIAN
        | EXPLICIT_VR_BIG_ENDIAN => return Ok(Packing::Plain),
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => return Ok(Packing::Deflated),
        uids::ENCAPSULATED_UNCOMPRESSED_EXPLICIT_VR_LITTLE_ENDIAN => Codec::Uncompressed,
        uids::RLE_LOSSLESS => Codec::Rle,
        uids::JPEG_BASELINE8_BIT
        | uids::JPEG_EXTENDED12_BIT
        | JPEG_SPECTRAL_SELECTION
        | JPEG_FULL_PROGRESSION => Codec::JpegDct,
        uids::JPEG_LOSSLESS | uids::JPEG_LOSSLESS_SV1 => Codec::JpegLossless,
        uids::JPEGLS_LOSSLESS | uids::JPEGLS_NEAR_LOSSLESS => Codec::JpegLs,
        uids::JPEG2000_LOSSLESS | uids::JPEG2000 => Codec::Jpeg2000,
        uids::HTJ2K_LOSSLESS | uids::HTJ2K_LOSSLESS_RPCL | uids::HTJ2K => Codec::HtJpeg2000,
        _ => {
            let name = name_of_unread(uid);
            return Err(Problem::TransferSyntax { uid: uid.to_owned(), name });
        }
    };
    Ok(Packing::Encapsulated(codec))
}

/// Names of transfer syntaxes that a slice might have and that are not supported (PS3.6, table A-1).
fn name_of_unread(uid: &str) -> &'static str {
    match uid {
        "1.2.840.10008.1.2.1.95" => "Papyrus 3",
        "1.2.840.10008.1.2.4.52" => "JPEG Extended, processes 3 and 5: arithmetic coding",
        "1.2.840.10008.1.2.4.54" => "JPEG Spectral Selection: arithmetic coding",
        "1.2.840.10008.1.2.4.56" => "JPEG Full Progression: arithmetic coding",
        "1.2.840.10008.1.2.4.58" => "JPEG Lossless, process 15: arithmetic coding",
        "1.2.840.10008.1.2.4.59"
        | "1.2.840.10008.1.2.4.60"
        | "1.2.840.10008.1.2.4.61"
        | "1.2.840.10008.1.2.4.62"
        | "1.2.840.10008.1.2.4.63"
        | "1.2.840.10008.1.2.4.64"
        | "1.2.840.10008.1.2.4.65"
        | "1.2.840.10008.1.2.4.66" => "JPEG, hierarchical",
        "1.2.840.10008.1.2.4.92" | "1.2.840.10008.1.2.4.93" => "JPEG 2000 Part 2",
        "1.2.840.10008.1.2.4.94" | uids::JPIP_REFERENCED_DEFLATE => "JPIP Referenced",
        "1.2.840.10008.1.2.4.204" | uids::JPIPHTJ2K_REFERENCED_DEFLATE => "JPIP HTJ2K Referenced",
        "1.2.840.10008.1.2.4.110" | "1.2.840.10008.1.2.4.111" | "1.2.840.10008.1.2.4.112" => {
            "JPEG XL"
        }
        "1.2.840.10008.1.2.8.1" => "Deflated Image Frame Compression",
        _ if uid.starts_with("1.2.840.10008.1.2.4.10") => "MPEG video",
        _ if uid.starts_with("1.2.840.10008.1.2.7.") => "SMPTE ST 2110 video",
        _ => "not of the standard, or newer than this program",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_syntax_is_read_or_refused_by_name() {
        let read = |uid: &str| packing(uid).unwrap();
        assert_eq!(read("1.2.840.10008.1.2"), Packing::Plain);
        assert_eq!(read("1.2.840.10008.1.2.1.99"), Packing::Deflated);
        let encapsulated = [
            ("1.98", Codec::Uncompressed),
            ("4.50", Codec::JpegDct),
            ("4.51", Codec::JpegDct),
            ("4.53", Codec::JpegDct),
            ("4.55", Codec::JpegDct),
            ("4.57", Codec::JpegLossless),
            ("4.70", Codec::JpegLossless),
            ("4.80", Codec::JpegLs),
            ("4.81", Codec::JpegLs),
            ("4.90", Codec::Jpeg2000),
            ("4.91", Codec::Jpeg2000),
            ("4.201", Codec::HtJpeg2000),
            ("4.202", Codec::HtJpeg2000),
            ("4.203", Codec::HtJpeg2000),
            ("5", Codec::Rle),
        ];
        for (end, codec) in encapsulated {
            let uid = format!("1.2.840.10008.1.2.{end}");
            assert_eq!(read(&uid), Packing::Encapsulated(codec), "{uid}");
            assert_eq!(encoding(&uid), EXPLICIT_LITTLE);
        }
        let refused = [
            ("1.2.840.10008.1.2.4.110", "JPEG XL"),
            ("1.2.840.10008.1.2.4.103", "MPEG video"),
            ("1.2.840.10008.1.2.4.95", "JPIP Referenced"),
            ("1.2.840.113619.5.2", "not of the standard"),
        ];
        for (uid, name) in refused {
            let error = packing(uid).unwrap_err().to_string();
            assert!(error.starts_with(&format!("transfer syntax is {uid} ({name}")), "{error}");
            assert!(error.contains("convert the file"), "{error}");
        }
    }
}
