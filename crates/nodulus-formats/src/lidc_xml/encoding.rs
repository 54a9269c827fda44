//! Bytes of XML to text, by their byte order mark or the encoding that the file declares.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use std::borrow::Cow;

/// Bytes in which a declaration must lie.
const DECLARATION_BYTES: usize = 1024;

/// Why bytes are no text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotText {
    pub(super) found: String,
}

/// The text of a file, without a byte order mark.
///
/// METHOD: XML 1.0, appendix F: a byte order mark comes first, then UTF-16 by its first character, then the declaration, then
/// UTF-8. A declaration that can be read byte by byte is not in UTF-16, whatever it says; .NET writes such files in UTF-8.
/// Names of encodings are those of the WHATWG, for which ISO-8859-1 is Windows-1252.
pub(super) fn text(bytes: &[u8]) -> Result<Cow<'_, str>, NotText> {
    let (encoding, n_mark) = match Encoding::for_bom(bytes) {
        Some(found) => found,
        None => (without_mark(bytes)?, 0),
    };
    let content = bytes.get(n_mark..).unwrap_or_default();
    let text = encoding.decode_without_bom_handling_and_without_replacement(content);
    text.ok_or_else(|| NotText { found: format!("bytes that are not {}", encoding.name()) })
}

fn without_mark(bytes: &[u8]) -> Result<&'static Encoding, NotText> {
    match bytes {
        [b'<', 0, ..] => return Ok(UTF_16LE),
        [0, b'<', ..] => return Ok(UTF_16BE),
        _ => {}
    }
    let Some(label) = declared(bytes) else { return Ok(UTF_8) };
    match Encoding::for_label(label) {
        Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => Ok(UTF_8),
        Some(encoding) => Ok(encoding),
        None => {
            let label = String::from_utf8_lossy(label);
            Err(NotText { found: format!("the encoding `{label}`") })
        }
    }
}

/// The encoding that a file declares: `ISO-8859-1` in `<?xml version="1.0" encoding="ISO-8859-1"?>`.
fn declared(bytes: &[u8]) -> Option<&[u8]> {
    let start = bytes.get(..bytes.len().min(DECLARATION_BYTES))?.strip_prefix(b"<?xml")?;
    let declaration = start.get(..find(start, b"?>")?)?;
    let after = declaration.get(find(declaration, b"encoding")? + b"encoding".len()..)?;
    let value = after.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, value) = value.split_first().filter(|(quote, _)| matches!(quote, b'"' | b'\''))?;
    value.split(|byte| byte == quote).next()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `str.encode` of Python writes it.
    #[test]
    fn each_encoding_is_read_as_it_says() {
        let utf_16 = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            text.encode_utf16().flat_map(bytes).collect()
        };
        let declared = |encoding: &str, name: &[u8]| {
            [b"<?xml version='1.0' encoding = '", encoding.as_bytes(), b"'?><a>", name, b"</a>"]
                .concat()
        };
        for bytes in [
            b"<a>M\xc3\xbcller</a>".to_vec(),
            b"\xef\xbb\xbf<a>M\xc3\xbcller</a>".to_vec(),
            declared("UTF-8", b"M\xc3\xbcller"),
            declared("utf-16", b"M\xc3\xbcller"),
            declared("ISO-8859-1", b"M\xfcller"),
            declared("iso-8859-15", b"M\xfcller"),
            declared("windows-1252", b"M\xfcller"),
            utf_16("<?xml version=\"1.0\" encoding=\"UTF-16\"?><a>Müller</a>", u16::to_le_bytes),
            utf_16("\u{feff}<a>Müller</a>", u16::to_le_bytes),
            utf_16("\u{feff}<a>Müller</a>", u16::to_be_bytes),
            utf_16("<a>Müller</a>", u16::to_be_bytes),
        ] {
            let text = text(&bytes).unwrap();
            assert!(text.ends_with("<a>Müller</a>") && text.starts_with('<'), "{text}");
        }
        for (bytes, found) in [
            (b"<a>M\xfcller</a>".to_vec(), "bytes that are not UTF-8"),
            (declared("UTF-8", b"M\xfcller"), "bytes that are not UTF-8"),
            (declared("EBCDIC-CP-DE", b"x"), "the encoding `EBCDIC-CP-DE`"),
            (b"<\0a\0>".to_vec(), "bytes that are not UTF-16LE"),
        ] {
            assert_eq!(text(&bytes), Err(NotText { found: found.to_owned() }));
        }
        assert_eq!(text(b""), Ok(Cow::Borrowed("")));
    }
}
