//! Texts in every character set of DICOM, with ISO 2022 code extensions (PS3.3, C.12.1.1.2; PS3.5, 6.1.2).

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
    /// The sets of bytes below 0x80 and of bytes from there, at the beginning of a value.
    low: LowSet,
    high: HighSet,
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
#[derive(Clone, Copy, Debug)]
enum HighSet {
    /// Without any, bytes are UTF-8 where they can be, else Latin 1.
    None,
    Latin1,
    /// ISO-IR 13: katakana of half width.
    Katakana,
    /// A set whose characters have the same bytes in this encoding.
    Of(&'static Encoding),
}

impl CharacterSets {
    /// Parses the value of `SpecificCharacterSet`; without one, texts are ASCII.
    ///
    /// METHOD: a name counts by its number (`ISO_IR 100`, `ISO 2022 IR 100` and misspelt ones such as `ISO-IR 100`), as
    /// in pydicom. The first value is in force where a text begins. Where it has no set of high bytes, as in
    /// `\ISO 2022 IR 149`, that of a later value stands in for writers that leave out the escape sequence.
    pub(crate) fn new(value: &[u8]) -> Self {
        let value = String::from_utf8_lossy(value).to_ascii_uppercase();
        let names: Vec<&str> =
            value.split('\\').map(|name| name.trim_matches(['\0', ' '])).collect();
        let first = names.first().copied().unwrap_or_default();
        let whole = match first {
            "GB18030" => Some(GB18030),
            "GBK" | "GB2312" => Some(GBK),
            "UTF-8" | "UTF8" => Some(UTF_8),
            _ => (number(first) == Some(192)).then_some(UTF_8),
        };
        let mut sets = names.iter().filter_map(|name| high_set(number(name)?));
        Self { whole, low: LowSet::Ascii, high: sets.next().unwrap_or(HighSet::None) }
    }

    /// The text of a value, with U+FFFD for bytes that are no character.
    pub(crate) fn decode(&self, bytes: &[u8]) -> String {
        if let Some(encoding) = self.whole {
            return encoding.decode_without_bom_handling(bytes).0.into_owned();
        }
        let mut text = String::with_capacity(bytes.len());
        let (mut low, mut high, mut rest) = (self.low, self.high, bytes);
        while let [first, ..] = rest {
            if *first == ESCAPE {
                let (set, n) = escape(rest);
                match set {
                    Some(Designation::Low(set)) => low = set,
                    Some(Designation::High(set)) => high = set,
                    None => text.push(char::REPLACEMENT_CHARACTER),
                }
                rest = rest.get(n..).unwrap_or_default();
                continue;
            }
            let is_high = *first >= 0x80;
            let other = |byte: &u8| *byte == ESCAPE || (*byte >= 0x80) != is_high;
            let n = rest.iter().position(other).unwrap_or(rest.len());
            let (run, after) = rest.split_at(n);
            if is_high {
                high.decode(run, &mut text);
            } else if low.decode(run, &mut text) {
                // A line or a value ends: the next one begins with the first sets.
                (low, high) = (self.low, self.high);
            }
            rest = after;
        }
        text
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
        58 => HighSet::Of(GBK),
        100 => HighSet::Latin1,
        101 => HighSet::Of(ISO_8859_2),
        109 => HighSet::Of(ISO_8859_3),
        110 => HighSet::Of(ISO_8859_4),
        126 => HighSet::Of(ISO_8859_7),
        127 => HighSet::Of(ISO_8859_6),
        138 => HighSet::Of(ISO_8859_8),
        144 => HighSet::Of(ISO_8859_5),
        // From 0xA0, Windows' code pages have the characters of ISO 8859-9 and of TIS 620.
        148 => HighSet::Of(WINDOWS_1254),
        149 => HighSet::Of(EUC_KR),
        166 => HighSet::Of(WINDOWS_874),
        203 => HighSet::Of(ISO_8859_15),
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
    /// Appends the characters; returns whether the run ends a line or a value.
    fn decode(self, run: &[u8], text: &mut String) -> bool {
        if self == Self::Ascii {
            text.extend(run.iter().map(|byte| char::from(*byte)));
            return run.iter().any(|byte| matches!(byte, b'\\' | b'\t' | b'\n' | b'\r' | 0x0c));
        }
        let mut rest = run;
        while let [first, after @ ..] = rest {
            // Spaces and control characters have one byte in every set.
            if *first <= b' ' {
                text.push(char::from(*first));
                rest = after;
                continue;
            }
            let [second, after @ ..] = after else {
                text.push(char::REPLACEMENT_CHARACTER);
                break;
            };
            let pair = [first | 0x80, second | 0x80];
            match self {
                Self::JisX0212 => push(EUC_JP, &[0x8f, pair[0], pair[1]], text),
                Self::JisX0208 | Self::Ascii => push(EUC_JP, &pair, text),
            }
            rest = after;
        }
        false
    }
}

impl HighSet {
    fn decode(self, run: &[u8], text: &mut String) {
        match self {
            Self::Of(encoding) => push(encoding, run, text),
            Self::None if str::from_utf8(run).is_ok() => push(UTF_8, run, text),
            Self::None | Self::Latin1 => text.extend(run.iter().map(|byte| char::from(*byte))),
            Self::Katakana => text.extend(run.iter().map(|byte| {
                match byte {
                    0xa1..=0xdf => char::from_u32(0xff61 + u32::from(byte - 0xa1))
                        .unwrap_or(char::REPLACEMENT_CHARACTER),
                    _ => char::REPLACEMENT_CHARACTER,
                }
            })),
        }
    }
}

fn push(encoding: &'static Encoding, bytes: &[u8], text: &mut String) {
    text.push_str(&encoding.decode_without_bom_handling(bytes).0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(sets: &str, bytes: &[u8]) -> String {
        CharacterSets::new(sets.as_bytes()).decode(bytes)
    }

    #[test]
    fn the_examples_of_the_standard_are_decoded() {
        // PS3.5, H.3.1, H.3.2, I.2, I.3, J.1 and K.2, K.3.
        let yamada =
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B";
        let expected = "Yamada^Tarou=山田^太郎=やまだ^たろう";
        assert_eq!(decode("\\ISO 2022 IR 87", yamada), expected);
        let half = b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J";
        let expected = "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう";
        assert_eq!(decode("ISO 2022 IR 13\\ISO 2022 IR 87", half), expected);
        let hong = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf";
        assert_eq!(decode("\\ISO 2022 IR 149", hong), "Hong^Gildong=洪^吉洞=홍^길동");
        let lines = b"The first line includes \x1b$)C\xb1\xe6\xb5\xbf.\r\nThe second line includes \x1b$)C\xb1\xe6\xb5\xbf, too.";
        let expected = "The first line includes 길동.\r\nThe second line includes 길동, too.";
        assert_eq!(decode("\\ISO 2022 IR 149", lines), expected);
        let wang = b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1=";
        assert_eq!(decode("ISO_IR 192", wang), "Wang^XiaoDong=王^小東=");
        let wang = b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=";
        assert_eq!(decode("GB18030", wang), "Wang^XiaoDong=王^小东=");
        let zhang = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=";
        assert_eq!(decode("\\ISO 2022 IR 58", zhang), "Zhang^XiaoDong=张^小东=");
    }

    #[test]
    fn every_set_has_its_characters() {
        // A letter of each set, as in Python's codecs.
        for (set, byte, expected) in [
            (100, 0xdf, "ß"),
            (101, 0xb1, "ą"),
            (109, 0xa1, "Ħ"),
            (110, 0xb6, "ļ"),
            (126, 0xe1, "α"),
            (127, 0xc7, "ا"),
            (138, 0xe0, "א"),
            (144, 0xb4, "Д"),
            (148, 0xfe, "ş"),
            (166, 0xa1, "ก"),
            (203, 0xa4, "€"),
        ] {
            for name in [format!("ISO_IR {set}"), format!("ISO 2022 IR {set}\\ISO 2022 IR 87")] {
                assert_eq!(decode(&name, &[b'a', byte]), format!("a{expected}"), "{name}");
            }
        }
        // Latin, then Greek, then JIS X 0212 (row 16, cell 1).
        let mixed = b"\xe4 \x1b-F\xe1\\\xe4 \x1b$(D0!\x1b(B.";
        assert_eq!(decode("ISO 2022 IR 100\\ISO 2022 IR 126", mixed), "ä α\\ä 丂.");
    }

    #[test]
    fn what_writers_leave_out_is_guessed_from_the_bytes() {
        assert_eq!(decode("", "Knoten ß 結節".as_bytes()), "Knoten ß 結節");
        assert_eq!(decode("", b"Knoten \xdf"), "Knoten ß");
        assert_eq!(decode("ISO 2022 IR 87", b"\x1b$B7k@a\x1b(B 1"), "結節 1");
        assert_eq!(decode("\\ISO 2022 IR 149", b"\xb0\xe1\xc0\xfd"), "결절");
        assert_eq!(decode("ISO-IR 100", b"\xdf"), "ß");
        assert_eq!(
            decode("ISO_IR 13", b"a\xff\x1b$B7k@\x1b(B\x1bz"),
            "a\u{fffd}結\u{fffd}\u{fffd}z"
        );
        assert_eq!(decode("ISO_IR 192", b"a\xff"), "a\u{fffd}");
        assert_eq!(decode("anything", b"\x1b"), "\u{fffd}");
    }
}
