//! Texts in every character set of DICOM, with ISO 2022 code extensions (PS3.3, C.12.1.1.2; PS3.5, 6.1.2).

use dicom_core::VR;
use encoding_rs::{
    EUC_JP, EUC_KR, Encoding, GB18030, GBK, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5,
    ISO_8859_6, ISO_8859_7, ISO_8859_8, ISO_8859_15, UTF_8, WINDOWS_874, WINDOWS_1254,
};

const ESCAPE: u8 = 0x1b;

/// The character sets of a data set: its `SpecificCharacterSet`.
#[derive(Clone, Debug)]
pub(crate) struct CharacterSets {
    /// An encoding of all bytes, which allows no escape sequences.
    whole: Option<&'static Encoding>,
    /// The set of bytes from 0x80 at the beginning of a value; below, it is ASCII.
    high: HighSet,
}

/// A decoded text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DecodedText {
    /// The text, with U+FFFD for bytes that are no character.
    pub(crate) text: String,
    /// Whether the declared character sets say what every byte is. Without them, that is a guess.
    pub(crate) is_certain: bool,
}

/// The set of the bytes below 0x80 (G0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LowSet {
    /// ISO-IR 6; and 14, in which a yen sign and an overline replace two characters, which are read as in ASCII because
    /// the first one divides values.
    Ascii,
    /// ISO-IR 87, two bytes for each character.
    JisX0208,
    /// ISO-IR 159, two bytes for each character.
    JisX0212,
}

/// The set of the bytes from 0x80 (G1).
#[derive(Clone, Copy, Debug, PartialEq)]
enum HighSet {
    /// Without any, bytes are UTF-8 where they can be, else Latin 1.
    None,
    Latin1,
    /// ISO-IR 13: katakana of half width.
    Katakana,
    /// A set of 96 characters at most, each with its byte in this encoding.
    Single(&'static Encoding),
    /// A set of 94 × 94 characters, each with its two bytes in this encoding.
    Double(&'static Encoding),
}

/// Whether a value is text, and in which character sets: PS3.5, 6.1.2.2 and 6.2.
pub(crate) fn is_text(vr: VR) -> bool {
    use VR::{LO, LT, PN, SH, ST, UC, UT};
    matches!(vr, LO | LT | PN | SH | ST | UC | UT)
}

/// Whether a backslash divides the values of a text: PS3.5, 6.2.
pub(crate) fn has_values(vr: VR) -> bool {
    !matches!(vr, VR::LT | VR::ST | VR::UT)
}

impl Default for CharacterSets {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl CharacterSets {
    /// Parses the value of `SpecificCharacterSet`; without one, texts are ASCII.
    ///
    /// METHOD: a name counts by its number (`ISO_IR 100`, `ISO 2022 IR 100` and misspelt ones such as `ISO-IR 100`), as
    /// in pydicom. The first value is in force where a text begins. Where it has no set of high bytes, as in
    /// `\ISO 2022 IR 149`, that of the only later value with one stands in for writers that leave out the escape sequence.
    pub(crate) fn new(value: &[u8]) -> Self {
        let value = String::from_utf8_lossy(value).to_ascii_uppercase();
        let names: Vec<&str> =
            value.split('\\').map(|name| name.trim_matches(['\0', ' '])).collect();
        let first = names.first().copied().unwrap_or_default();
        let whole = match first {
            "GB18030" => Some(GB18030),
            "GBK" | "GB2312" | "ISO 2022 GBK" => Some(GBK),
            "UTF-8" | "UTF8" => Some(UTF_8),
            _ => (number(first) == Some(192)).then_some(UTF_8),
        };
        let set = |name: &str| number(name).and_then(high_set);
        let mut later: Vec<HighSet> = names.iter().skip(1).filter_map(|name| set(name)).collect();
        later.dedup();
        let only = if let [only] = later[..] { Some(only) } else { None };
        Self { whole, high: set(first).or(only).unwrap_or(HighSet::None) }
    }

    /// The text of a value of a representation. Its end, and the delimiters of values, of lines and of the parts of a name
    /// put the first sets back in force (PS3.5, 6.1.2.5.3).
    pub(crate) fn decode(&self, bytes: &[u8], vr: VR) -> DecodedText {
        let mut decoded =
            DecodedText { text: String::with_capacity(bytes.len()), is_certain: true };
        if let Some(encoding) = self.whole {
            decoded.push(encoding, bytes);
            return decoded;
        }
        let (mut low, mut high, mut rest) = (LowSet::Ascii, self.high, bytes);
        while let [first, after @ ..] = rest {
            if *first == ESCAPE {
                let (set, n) = escape(rest);
                match set {
                    Some(Designation::Low(set)) => low = set,
                    Some(Designation::High(set)) => high = set,
                    None => decoded.push_unknown(),
                }
                rest = rest.get(n..).unwrap_or_default();
                continue;
            }
            if *first >= 0x80 {
                let is_other = |byte: &u8| *byte < 0x80;
                let n = rest.iter().position(is_other).unwrap_or(rest.len());
                let (run, after) = rest.split_at(n);
                high.decode(run, &mut decoded);
                rest = after;
                continue;
            }
            // Spaces and control characters have one byte in every set.
            if low == LowSet::Ascii || *first <= b' ' {
                decoded.text.push(char::from(*first));
                if is_delimiter(*first, vr) {
                    (low, high) = (LowSet::Ascii, self.high);
                }
                rest = after;
                continue;
            }
            if let [second @ 0x21..=0x7e, after @ ..] = after {
                low.decode([*first, *second], &mut decoded);
                rest = after;
            } else {
                decoded.push_unknown();
                rest = after;
            }
        }
        decoded
    }
}

/// Whether a character in ASCII puts the first sets back in force.
fn is_delimiter(byte: u8, vr: VR) -> bool {
    match byte {
        0..b' ' => true,
        b'\\' => has_values(vr),
        b'^' | b'=' => vr == VR::PN,
        _ => false,
    }
}

impl DecodedText {
    /// The text, if the declared character sets say what every byte is.
    pub(crate) fn certain(self) -> Option<String> {
        self.is_certain.then_some(self.text)
    }

    fn push(&mut self, encoding: &'static Encoding, bytes: &[u8]) {
        let (text, has_errors) = encoding.decode_without_bom_handling(bytes);
        self.text.push_str(&text);
        self.is_certain &= !has_errors;
    }

    /// Appends the sign of bytes that are no character.
    fn push_unknown(&mut self) {
        self.text.push(char::REPLACEMENT_CHARACTER);
        self.is_certain = false;
    }
}

/// The number in a character set's name.
fn number(name: &str) -> Option<u16> {
    let start = name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    name.get(start..)?.parse().ok()
}

fn high_set(number: u16) -> Option<HighSet> {
    Some(match number {
        13 => HighSet::Katakana,
        58 => HighSet::Double(GBK),
        100 => HighSet::Latin1,
        101 => HighSet::Single(ISO_8859_2),
        109 => HighSet::Single(ISO_8859_3),
        110 => HighSet::Single(ISO_8859_4),
        126 => HighSet::Single(ISO_8859_7),
        127 => HighSet::Single(ISO_8859_6),
        138 => HighSet::Single(ISO_8859_8),
        144 => HighSet::Single(ISO_8859_5),
        // From 0xA0, Windows' code pages have the characters of ISO 8859-9 and of TIS 620.
        148 => HighSet::Single(WINDOWS_1254),
        149 => HighSet::Double(EUC_KR),
        166 => HighSet::Single(WINDOWS_874),
        203 => HighSet::Single(ISO_8859_15),
        _ => return None,
    })
}

enum Designation {
    Low(LowSet),
    High(HighSet),
}

/// The set that an escape sequence designates, and the sequence's bytes; without a known one, those of the escape.
fn escape(bytes: &[u8]) -> (Option<Designation>, usize) {
    let high = |number| high_set(number).map(Designation::High);
    let after = bytes.get(1..).unwrap_or_default();
    match after {
        [b'(', b'B' | b'J', ..] => (Some(Designation::Low(LowSet::Ascii)), 3),
        [b'$', b'B' | b'@', ..] => (Some(Designation::Low(LowSet::JisX0208)), 3),
        [b'$', b'(', b'D', ..] => (Some(Designation::Low(LowSet::JisX0212)), 4),
        [b'$', b')', b'C', ..] => (high(149), 4),
        [b'$', b')', b'A', ..] => (high(58), 4),
        [b')', b'I', ..] => (high(13), 3),
        [b'-', set, ..] => {
            let number = match set {
                b'A' => 100,
                b'B' => 101,
                b'C' => 109,
                b'D' => 110,
                b'F' => 126,
                b'G' => 127,
                b'H' => 138,
                b'L' => 144,
                b'M' => 148,
                b'T' => 166,
                b'b' => 203,
                _ => return (None, 1),
            };
            (high(number), 3)
        }
        _ => (None, 1),
    }
}

impl LowSet {
    /// Appends a character of two bytes.
    fn decode(self, [first, second]: [u8; 2], decoded: &mut DecodedText) {
        let pair = [first | 0x80, second | 0x80];
        if self == Self::JisX0212 {
            decoded.push(EUC_JP, &[0x8f, pair[0], pair[1]]);
            return;
        }
        let start = decoded.text.len();
        decoded.push(EUC_JP, &pair);
        // The encoding has the signs of full width in place of six of JIS X 0208.
        let sign = match decoded.text.get(start..) {
            Some("\u{ff5e}") => '\u{301c}',
            Some("\u{2225}") => '\u{2016}',
            Some("\u{ff0d}") => '\u{2212}',
            Some("\u{ffe0}") => '¢',
            Some("\u{ffe1}") => '£',
            Some("\u{ffe2}") => '¬',
            _ => return,
        };
        decoded.text.truncate(start);
        decoded.text.push(sign);
    }
}

impl HighSet {
    /// Appends the characters of bytes from 0x80.
    fn decode(self, run: &[u8], decoded: &mut DecodedText) {
        let is_within = |least: u8| run.iter().all(|byte| *byte >= least);
        match self {
            Self::None => {
                // METHOD: bytes of other encodings are seldom valid UTF-8, and always valid Latin 1.
                if let Ok(text) = str::from_utf8(run) {
                    decoded.text.push_str(text);
                } else {
                    decoded.is_certain = false;
                    decoded.text.extend(run.iter().map(|byte| char::from(*byte)));
                }
            }
            Self::Latin1 => {
                // Those below 0xA0 are control characters.
                decoded.is_certain &= is_within(0xa0);
                decoded.text.extend(run.iter().map(|byte| char::from(*byte)));
            }
            Self::Single(encoding) => {
                decoded.is_certain &= is_within(0xa0);
                decoded.push(encoding, run);
            }
            Self::Double(encoding) => {
                decoded.is_certain &= is_within(0xa1);
                decoded.push(encoding, run);
            }
            Self::Katakana => {
                for byte in run {
                    let character = match byte {
                        0xa1..=0xdf => char::from_u32(0xff61 + u32::from(byte - 0xa1)),
                        _ => None,
                    };
                    match character {
                        Some(character) => decoded.text.push(character),
                        None => decoded.push_unknown(),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
