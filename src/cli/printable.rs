//! Text for a terminal: control characters from files and names are written as escapes.
//!
//! A name such as `scan\u{1b}[2J` would otherwise clear the screen, and others hide a line or change its order.

use std::borrow::Cow;
use std::io::{self, Write};
use std::str;

/// Whether a terminal acts on a character rather than showing it: controls, separators of lines, and marks of direction.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One line of text, with escapes as `\u{1b}` and `\n` for control characters.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// Lines of text, with escapes for control characters other than line breaks and tabs.
pub(super) fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

fn escaped(text: &str, is_kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_bad = |c: char| is_control(c) && !is_kept(c);
    if !text.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_bad(c) {
            plain.extend(c.escape_debug());
        } else {
            plain.push(c);
        }
    }
    Cow::Owned(plain)
}

/// Writes text to a terminal as [`printable_lines`] gives it. To anything else bytes are written as they are, as programs
/// read them.
pub(super) struct TerminalWriter<W> {
    out: W,
    is_terminal: bool,
    /// The first bytes of a character whose others are still to come.
    begun: Vec<u8>,
}

impl<W: Write> TerminalWriter<W> {
    pub(super) const fn new(out: W, is_terminal: bool) -> Self {
        Self { out, is_terminal, begun: Vec::new() }
    }
}

impl<W: Write> Write for TerminalWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_terminal {
            return self.out.write(bytes);
        }
        self.begun.extend(bytes);
        let whole = match str::from_utf8(&self.begun) {
            Ok(text) => text.len(),
            // A character that is cut off; what is not UTF-8 becomes U+FFFD.
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => self.begun.len(),
        };
        let text = String::from_utf8_lossy(&self.begun[..whole]);
        self.out.write_all(printable_lines(&text).as_bytes())?;
        self.begun.drain(..whole);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[2Jb\r\u{9b}31m\u{202e}c\n\td\u{7f}";

    #[test]
    fn control_characters_are_written_as_escapes() {
        assert_eq!(printable(HOSTILE), r"a\u{1b}[2Jb\r\u{9b}31m\u{202e}c\n\td\u{7f}");
        let lines = "a\\u{1b}[2Jb\\r\\u{9b}31m\\u{202e}c\n\td\\u{7f}";
        assert_eq!(printable_lines(HOSTILE), lines);
        for plain in ["", "Müller 肺 🫁 – 5 µm³", "a\tb\nc"] {
            assert!(matches!(printable_lines(plain), Cow::Borrowed(text) if text == plain));
        }
    }

    #[test]
    fn only_a_terminal_gets_escapes() {
        let written = |is_terminal, step: usize| {
            let mut out = Vec::new();
            let mut writer = TerminalWriter::new(&mut out, is_terminal);
            for bytes in HOSTILE.as_bytes().chunks(step) {
                writer.write_all(bytes).unwrap();
            }
            writer.flush().unwrap();
            String::from_utf8(out).unwrap()
        };
        for step in [1, 2, 3, 100] {
            assert_eq!(written(true, step), printable_lines(HOSTILE));
            assert_eq!(written(false, step), HOSTILE);
        }
        let mut out = Vec::new();
        TerminalWriter::new(&mut out, true).write_all(b"a\xff\x1bb").unwrap();
        assert_eq!(out, "a\u{fffd}\\u{1b}b".as_bytes());
    }
}
