use super::*;

fn decode(sets: &str, bytes: &[u8]) -> String {
    CharacterSets::new(sets.as_bytes()).decode(bytes, VR::PN).text
}

fn certain(sets: &str, bytes: &[u8], vr: VR) -> Option<String> {
    CharacterSets::new(sets.as_bytes()).decode(bytes, vr).certain()
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
    assert_eq!(decode("ISO_IR 13", b"a\xff\x1b$B7k@\x1b(B\x1bz"), "a\u{fffd}結\u{fffd}\u{fffd}z");
    assert_eq!(decode("ISO_IR 192", b"a\xff"), "a\u{fffd}");
    assert_eq!(decode("anything", b"\x1b"), "\u{fffd}");
}

#[test]
fn delimiters_put_the_first_set_back_in_force() {
    let mixed = b"\x1b-F\xe1^\xe4=\xe4";
    let sets = "ISO 2022 IR 100\\ISO 2022 IR 126";
    assert_eq!(certain(sets, mixed, VR::PN).unwrap(), "α^ä=ä");
    assert_eq!(certain(sets, mixed, VR::LO).unwrap(), "α^δ=δ");
    let values = b"\x1b-F\xe1\\\xe4\r\n\x1b-F\xe1\t\xe4";
    assert_eq!(certain(sets, values, VR::LO).unwrap(), "α\\ä\r\nα\tä");
    assert_eq!(certain(sets, values, VR::LT).unwrap(), "α\\δ\r\nα\tä");
    // A line ends within two-byte characters: the bytes after it are ASCII.
    assert_eq!(certain("\\ISO 2022 IR 87", b"\x1b$B7k@a\r\nab", VR::LT).unwrap(), "結節\r\nab");
    // Bytes of characters that look like delimiters are none: row 29 has cells with `=`, `^` and a backslash.
    let names = b"\x1b$B=P\x3d\x5e\x3d\x5c\x1b(B=a";
    assert_eq!(certain("\\ISO 2022 IR 87", names, VR::PN).unwrap(), "出殉旬=a");
    // The second byte of GBK's and GB18030's characters may be a backslash.
    assert_eq!(certain("GB18030", b"\x81\x5c", VR::LO).unwrap(), "乗");
    assert_eq!(certain("GBK", b"\x81\x5c", VR::LO).unwrap(), "乗");
}

#[test]
fn a_text_is_certain_only_where_the_declared_sets_have_every_byte() {
    for (sets, bytes) in [
        ("", &b"\xdf"[..]),
        ("anything", b"\xdf"),
        ("ISO_IR 100", b"O\x92Brien"),
        ("ISO_IR 192", b"\xdf"),
        ("ISO_IR 127", b"\xa1"),
        ("\\ISO 2022 IR 87", b"\x1b$B7"),
        ("\\ISO 2022 IR 87", b"\x1b$B7\x1b(B"),
        ("\\ISO 2022 IR 87", b"\x1b%G"),
        ("ISO 2022 IR 13", b"\xe0"),
        ("\\ISO 2022 IR 149", b"\xb0"),
        ("\\ISO 2022 IR 149\\ISO 2022 IR 58", b"\xb0\xa1"),
        ("GB18030", b"\x81"),
    ] {
        assert_eq!(certain(sets, bytes, VR::PN), None, "{sets} {bytes:?}");
    }
    assert_eq!(certain("", "Müller^Jörg".as_bytes(), VR::PN).unwrap(), "Müller^Jörg");
    assert_eq!(certain("", b"Doe^J", VR::PN).unwrap(), "Doe^J");
}
