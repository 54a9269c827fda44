//! Tells images that are derived by compression alone from other derived images.

use super::quantity_words::{has_word, words};
use super::slice::SliceHeader;
use crate::dicom::element::values::text;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use std::collections::BTreeSet;

/// Words that say that an image was compressed.
const COMPRESSION: [&str; 8] = [
    "LOSSY",
    "LOSSLESS",
    "COMPRESSION",
    "COMPRESSED",
    "DECOMPRESSED",
    "JPEG",
    "JPEG2000",
    "JPEG2K",
];

/// Further words of a description of compression alone, as DCMTK, Kakadu and PS3.16 write it.
const OF_COMPRESSION: [&str; 52] = [
    "A",
    "ALGORITHM",
    "AN",
    "AND",
    "APPLIED",
    "AT",
    "BASELINE",
    "BIT",
    "BITS",
    "BY",
    "CODE",
    "DATA",
    "DCM",
    "DICOM",
    "EXTENDED",
    "FACTOR",
    "FROM",
    "HAS",
    "BEEN",
    "HTJ2K",
    "IJG",
    "IMAGE",
    "IMAGES",
    "IN",
    "IRREVERSIBLE",
    "IS",
    "ISO",
    "J2K",
    "LEVEL",
    "LS",
    "METHOD",
    "NEAR",
    "OF",
    "ONLY",
    "PIXEL",
    "PIXELS",
    "POINT",
    "PROCESS",
    "PROGRESSIVE",
    "QUALITY",
    "RATE",
    "RATIO",
    "REVERSIBLE",
    "SELECTION",
    "SEQUENTIAL",
    "THE",
    "TO",
    "TRANSFORM",
    "USING",
    "VALUE",
    "WAS",
    "WITH",
];

/// Whether an image is derived from another one by compression alone.
///
/// METHOD: PS3.3, C.7.6.1.1.5 makes an original image that is compressed with loss a derived one, of the same acquisition
/// and reconstruction. It says so by `LossyImageCompression`, or in words of its derivation. Words that speak of anything
/// else say that it is another image too, such as an average that was compressed.
pub(super) fn is_only_compressed(values: &InMemDicomObject, own: &InMemDicomObject) -> bool {
    let read = |tag| {
        let found = text(own, tag).ok().flatten();
        found.or_else(|| text(values, tag).ok().flatten()).unwrap_or_default()
    };
    let derivation = [tags::DERIVATION_DESCRIPTION, tags::DERIVATION_CODE_SEQUENCE].map(read);
    let derivation = words(&derivation.join(" "));
    let is_flagged = || read(tags::LOSSY_IMAGE_COMPRESSION) == "01";
    if derivation.trim().is_empty() { is_flagged() } else { is_of_compression(&derivation) }
}

/// Whether words as of [`words`] speak of compression, and of nothing else.
fn is_of_compression(derivation: &str) -> bool {
    let is_known = |word: &str| {
        COMPRESSION.contains(&word)
            || OF_COMPRESSION.contains(&word)
            || word.starts_with(|c: char| c.is_ascii_digit())
    };
    COMPRESSION.into_iter().any(|word| has_word(derivation, word))
        && derivation.split(' ').filter(|word| !word.is_empty()).all(is_known)
}

/// Gives slices that are derived by compression alone the type of the images that were compressed, where these must have
/// been original ones: other slices are, and without compression, and none is derived otherwise.
pub(super) fn undo(slices: &mut [SliceHeader]) {
    for slice in slices.iter_mut().filter(|slice| slice.is_only_compressed) {
        slice.told_apart.forget(tags::DERIVATION_DESCRIPTION);
    }
    let image_type = |slice: &SliceHeader| slice.labels.image_type.clone();
    let type_of = |slice: &SliceHeader| slice.labels.image_type.as_deref().map(kind);
    let is_original = |slice: &SliceHeader| type_of(slice) == Some(Kind::Original);
    // A compressed original says that compression changes no type here.
    let is_otherwise = |slice: &SliceHeader| match type_of(slice) {
        Some(Kind::Original) => slice.is_only_compressed,
        Some(Kind::Derived) => !slice.is_only_compressed,
        _ => false,
    };
    if !slices.iter().any(is_original) || slices.iter().any(is_otherwise) {
        return;
    }
    let originals: BTreeSet<String> =
        slices.iter().filter(|slice| is_original(slice)).filter_map(image_type).collect();
    for slice in slices.iter_mut().filter(|slice| slice.is_only_compressed) {
        let uncompressed = slice.labels.image_type.as_deref().and_then(original);
        slice.uncompressed_type =
            uncompressed.filter(|uncompressed| originals.contains(uncompressed));
        slice.told_apart.change(tags::FRAME_TYPE, original);
    }
}

/// What the first value of an image type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Original,
    Derived,
    Other,
}

fn kind(image_type: &str) -> Kind {
    match image_type.split('\\').next().unwrap_or_default().trim() {
        "ORIGINAL" => Kind::Original,
        "DERIVED" => Kind::Derived,
        _ => Kind::Other,
    }
}

/// A derived image type as that of an original image; `None` for another one.
fn original(image_type: &str) -> Option<String> {
    let (first, rest) = image_type.split_once('\\')?;
    (first.trim() == "DERIVED").then(|| format!("ORIGINAL\\{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_compression_alone_are_told_from_others() {
        for description in [
            "Lossy Compression",
            "113040 DCM Lossy Compression",
            "JPEG lossy compressed 10:1",
            "Lossy compression with JPEG extended sequential 12 bit, IJG quality factor 90, compression ratio 9.16",
            "JPEG 2000 lossy, ratio 8.53",
            "Near-lossless JPEG-LS compression, factor 2",
        ] {
            assert!(is_of_compression(&words(description)), "{description}");
        }
        for description in [
            "Average of 3 slices, lossy compressed",
            "MIP",
            "JPEG of a reformat",
            "12",
            "of the image",
        ] {
            assert!(!is_of_compression(&words(description)), "{description}");
        }
    }
}
