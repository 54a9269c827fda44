//! Transfer syntaxes.

use super::Problem;
use dicom_dictionary_std::uids;

/// How elements are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    /// Whether each element names its value representation.
    pub(super) explicit_vr: bool,
    /// Byte order of numbers.
    pub(super) big_endian: bool,
}

/// Of the file's meta group, and of most files.
pub(super) const EXPLICIT_LITTLE: Encoding = Encoding { explicit_vr: true, big_endian: false };
/// Of the oldest files, and inside a sequence whose value representation is unknown.
pub(super) const IMPLICIT_LITTLE: Encoding = Encoding { explicit_vr: false, big_endian: false };
const EXPLICIT_BIG: Encoding = Encoding { explicit_vr: true, big_endian: true };

/// Retired by the standard, so deprecated in the dictionary.
const EXPLICIT_VR_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

impl Encoding {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    /// The uncompressed transfer syntax of this encoding.
    pub(super) fn uid(self) -> &'static str {
        match self {
            EXPLICIT_BIG => EXPLICIT_VR_BIG_ENDIAN,
            Self { explicit_vr: true, .. } => uids::EXPLICIT_VR_LITTLE_ENDIAN,
            Self { explicit_vr: false, .. } => uids::IMPLICIT_VR_LITTLE_ENDIAN,
        }
    }
}

/// How the elements of a transfer syntax are encoded; pixels may still be compressed.
pub(super) fn encoding(uid: &str) -> Result<Encoding, Problem> {
    match uid {
        uids::IMPLICIT_VR_LITTLE_ENDIAN => Ok(IMPLICIT_LITTLE),
        EXPLICIT_VR_BIG_ENDIAN => Ok(EXPLICIT_BIG),
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
        | uids::JPIP_REFERENCED_DEFLATE
        | uids::JPIPHTJ2K_REFERENCED_DEFLATE => Err(unsupported(uid)),
        // PS3.5, A.4: every syntax with encapsulated pixels is explicit VR little endian.
        _ => Ok(EXPLICIT_LITTLE),
    }
}

/// Checks that pixels are not compressed.
pub(super) fn uncompressed(uid: &str) -> Result<(), Problem> {
    if encoding(uid)?.uid() == uid { Ok(()) } else { Err(unsupported(uid)) }
}

fn unsupported(uid: &str) -> Problem {
    let name = match uid {
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => "Deflated Explicit VR Little Endian",
        uids::ENCAPSULATED_UNCOMPRESSED_EXPLICIT_VR_LITTLE_ENDIAN => {
            "Encapsulated Uncompressed Explicit VR Little Endian"
        }
        uids::RLE_LOSSLESS => "RLE Lossless",
        uids::JPEG_BASELINE8_BIT => "JPEG Baseline",
        uids::JPEG_EXTENDED12_BIT => "JPEG Extended",
        uids::JPEG_LOSSLESS => "JPEG Lossless",
        uids::JPEG_LOSSLESS_SV1 => "JPEG Lossless, First-Order Prediction",
        uids::JPEGLS_LOSSLESS => "JPEG-LS Lossless",
        uids::JPEGLS_NEAR_LOSSLESS => "JPEG-LS Near-Lossless",
        uids::JPEG2000_LOSSLESS => "JPEG 2000 Lossless",
        uids::JPEG2000 => "JPEG 2000",
        uids::HTJ2K_LOSSLESS | uids::HTJ2K_LOSSLESS_RPCL | uids::HTJ2K => {
            "High-Throughput JPEG 2000"
        }
        _ => "not known here",
    };
    Problem::TransferSyntax { uid: uid.to_owned(), name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressed_syntaxes_are_named() {
        for uid in ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", EXPLICIT_VR_BIG_ENDIAN] {
            assert!(uncompressed(uid).is_ok(), "{uid}");
        }
        let error = uncompressed("1.2.840.10008.1.2.4.70").unwrap_err().to_string();
        assert!(error.contains("1.2.840.10008.1.2.4.70 (JPEG Lossless, First-Order"), "{error}");
        assert_eq!(encoding("1.2.840.10008.1.2.4.70").unwrap(), EXPLICIT_LITTLE);
        assert!(encoding("1.2.840.10008.1.2.1.99").is_err());
    }
}
