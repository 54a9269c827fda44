//! HMAC-SHA256 (RFC 2104) of a list of texts.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The keyed hash of texts. Each is hashed with its length, so that `a, bc` and `ab, c` differ.
pub(super) fn of_parts(key: &[u8], parts: &[&str]) -> [u8; 32] {
    let mut mac = with_key(key);
    for part in parts {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().into()
}

fn with_key(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodulus_store::hash;

    /// RFC 4231, 4.2, 4.3, 4.4, 4.7 and 4.8.
    #[test]
    fn the_vectors_of_the_rfc_hold() {
        let long = b"This is a test using a larger than block-size key and a larger than block-size data. The key \
                     needs to be hashed before being used by the HMAC algorithm.";
        for (key, message, expected) in [
            (
                vec![0x0b; 20],
                &b"Hi There"[..],
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe".to_vec(),
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 20],
                &[0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (
                vec![0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                vec![0xaa; 131],
                long,
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ] {
            let (first, rest) = message.split_at(message.len() / 2);
            let mut mac = with_key(&key);
            mac.update(first);
            mac.update(rest);
            assert_eq!(hash::hexadecimal(&mac.finalize().into_bytes()), expected);
        }
        assert_ne!(of_parts(b"k", &["a", "bc"]), of_parts(b"k", &["ab", "c"]));
    }
}
