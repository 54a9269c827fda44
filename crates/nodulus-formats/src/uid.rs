//! DICOM's unique identifiers (UIDs): recognises them, and makes them from hashes.

use sha2::{Digest, Sha256};

/// Whether a text is a UID: numbers without leading zeros, joined by dots, at most 64 characters (PS3.5, 9.1).
/// nodulus asks for one dot or more.
pub fn is_uid(text: &str) -> bool {
    let number = |part: &str| {
        part.bytes().all(|b| b.is_ascii_digit())
            && (part == "0" || !part.starts_with('0') && !part.is_empty())
    };
    text.len() <= 64 && text.contains('.') && text.split('.').all(number)
}

/// The UID of a UUID (PS3.5, B.2) of version 8 (RFC 9562), made from the first 16 bytes of a hash.
pub fn from_digest(digest: &[u8; 32]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    format!("2.25.{}", u128::from_be_bytes(bytes))
}

/// A UID that depends on these parts, and on where one ends and the next begins.
pub fn from_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    from_digest(&hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_recognised() {
        for good in ["1.2.840.10008.1.2", "2.25.0", "1.0.3"] {
            assert!(is_uid(good), "{good}");
        }
        let long = format!("1.{}", "2".repeat(63));
        for bad in ["", "1", "1..2", "1.02", "1.a", ".1", "1.3.", &long] {
            assert!(!is_uid(bad), "{bad}");
        }
    }

    #[test]
    fn parts_make_a_uid() {
        let of = |parts: &[&str]| from_parts(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(of(&["a", "bc"]), of(&["a", "bc"]));
        assert_ne!(of(&["a", "bc"]), of(&["ab", "c"]));
        assert!(is_uid(&of(&["a"])) && of(&["a"]).starts_with("2.25."));
        // All bits are set except those of the version and the variant.
        let number: u128 = from_digest(&[0xff; 32])[5..].parse().unwrap();
        assert_eq!(format!("{number:x}"), "ffffffffffff8fffbfffffffffffffff");
    }
}
