//! The parts of a message that come from data: paths, values of files, identifiers, errors of other libraries.
//!
//! Messages show them as they are. While [`redacted`] works, the same messages show no path, no value and no text of
//! another library, so that they can go to a log that names no patient. Which part is which follows from its type and not
//! from a search in the text:
//!
//! ```
//! use nodulus_faults::quoted;
//! use std::path::Path;
//! use std::rc::Rc;
//!
//! let (file, found) = (Path::new("/in/O`Brien^Mary/1.dcm"), "MARY");
//! let message = || format!("{}: Rows is `{}`", quoted::path(file), quoted::text(&found));
//! assert_eq!(message(), "`/in/O`Brien^Mary/1.dcm`: Rows is `MARY`");
//! let name = Rc::new(|_: &Path| "file-1".to_owned());
//! assert_eq!(quoted::redacted(name, message), "file-1: Rows is `(redacted)`");
//! ```

use crate::file_error::FileError;
use std::cell::RefCell;
use std::error::Error;
use std::fmt::{self, Debug, Display, Formatter};
use std::io;
use std::path::Path;
use std::rc::Rc;

/// Takes the place of a value.
pub const REDACTED: &str = "(redacted)";
/// Takes the place of a text of another library.
pub const WITHHELD: &str = "(withheld)";

/// What takes the place of a path.
pub type PathNames = Rc<dyn Fn(&Path) -> String>;

thread_local! {
    static NAMES: RefCell<Option<PathNames>> = const { RefCell::new(None) };
}

/// Does work whose messages are redacted, on this thread and until it ends or panics. `names` gives what takes the place
/// of a path.
pub fn redacted<T>(names: PathNames, work: impl FnOnce() -> T) -> T {
    let _restored = Restored(NAMES.replace(Some(names)));
    work()
}

/// Puts back what was before, also after a panic.
struct Restored(Option<PathNames>);

impl Drop for Restored {
    fn drop(&mut self) {
        NAMES.replace(self.0.take());
    }
}

/// Whether messages of this thread are redacted now.
pub fn is_redacted() -> bool {
    NAMES.with_borrow(Option::is_some)
}

/// A path, in back quotes.
pub fn path(path: &Path) -> impl Display {
    Quoted(path)
}

/// A text that came from a file, or was made of one: a value, a name, a line.
pub fn text<T: ?Sized + Display + Debug>(text: &T) -> impl Display + Debug {
    FromFile(text)
}

/// Numbers beyond what they may be: a damaged file may hold anything there, such as text that is read as a number.
pub fn numbers<T: ?Sized + Debug>(numbers: &T) -> impl Display {
    Numbers(numbers)
}

/// A unique identifier. A text that is none came from a file by mistake, and is redacted.
pub fn uid(uid: &str) -> impl Display {
    Uid(uid)
}

/// What another library says of its own accord: it may repeat bytes of a file, or a path.
pub fn foreign(text: &dyn Display) -> impl Display {
    Foreign(text)
}

/// An error of the file system, whose text may be another library's.
pub fn io(error: &io::Error) -> impl Display {
    OfFileSystem(error)
}

/// Whether a text is a unique identifier that can be recognised in a message: numbers with two dots or more between them.
pub fn is_recognisable_uid(text: &str) -> bool {
    let is_number = |part: &str| {
        let has_zero_first = part.len() > 1 && part.starts_with('0');
        !part.is_empty() && !has_zero_first && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    // A date such as 1956.12.29 is none: a root is 0, 1 or 2.
    let has_root = ["0.", "1.", "2."].iter().any(|root| text.starts_with(root));
    let n_dots = text.bytes().filter(|byte| *byte == b'.').count();
    has_root && n_dots >= 2 && text.len() <= 64 && text.split('.').all(is_number)
}

struct Quoted<'a>(&'a Path);
struct FromFile<'a, T: ?Sized>(&'a T);
struct Numbers<'a, T: ?Sized>(&'a T);
struct Uid<'a>(&'a str);
struct Foreign<'a>(&'a dyn Display);
struct OfFileSystem<'a>(&'a io::Error);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // Released before the name is made, which may quote paths of its own.
        match NAMES.with_borrow(Clone::clone) {
            Some(names) => f.write_str(&names(self.0)),
            None => write!(f, "`{}`", self.0.display()),
        }
    }
}

impl<T: Display + ?Sized> Display for FromFile<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if is_redacted() { f.write_str(REDACTED) } else { Display::fmt(self.0, f) }
    }
}

impl<T: Debug + ?Sized> Debug for FromFile<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if is_redacted() { f.write_str(REDACTED) } else { Debug::fmt(self.0, f) }
    }
}

impl<T: Debug + ?Sized> Display for Numbers<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if is_redacted() { f.write_str(REDACTED) } else { Debug::fmt(self.0, f) }
    }
}

impl Display for Uid<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_hidden = is_redacted() && !is_recognisable_uid(self.0);
        f.write_str(if is_hidden { REDACTED } else { self.0 })
    }
}

impl Display for Foreign<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if is_redacted() { f.write_str(WITHHELD) } else { Display::fmt(self.0, f) }
    }
}

impl Display for OfFileSystem<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let error = self.0;
        if !is_redacted() {
            return Display::fmt(error, f);
        }
        match error.get_ref() {
            // The operating system's own words, or fixed ones of the standard library.
            None => Display::fmt(error, f),
            Some(inner) if inner.is::<FileError>() || inner.is::<Words>() => Display::fmt(inner, f),
            Some(inner) => match inner.downcast_ref::<io::Error>() {
                Some(inner) => Display::fmt(&OfFileSystem(inner), f),
                None => write!(f, "{} {WITHHELD}", error.kind()),
            },
        }
    }
}

/// The words of a message that is not kept itself: as it shows what it quotes, and redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedWords {
    shown: String,
    redacted: String,
}

impl SavedWords {
    /// The words of a message. Paths in it have no names of their own in the redacted ones.
    pub fn of(message: impl Display) -> Self {
        let shown = message.to_string();
        let redacted = redacted(Rc::new(|_| REDACTED.to_owned()), || message.to_string());
        Self { shown, redacted }
    }
}

impl Display for SavedWords {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if is_redacted() { &self.redacted } else { &self.shown })
    }
}

/// An error in this program's own words, which hold nothing of a file but numbers.
#[derive(Debug)]
pub struct Words(pub String);

impl Display for Words {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Words {}

impl Words {
    /// The words as an error of reading or writing.
    pub fn of(kind: io::ErrorKind, words: impl Into<String>) -> io::Error {
        io::Error::new(kind, Self(words.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn name() -> PathNames {
        Rc::new(|_: &Path| "file-1".to_owned())
    }

    #[test]
    fn parts_are_redacted_by_their_kind() {
        let fails = io::Error::other("DOE");
        let of_system = io::Error::from(io::ErrorKind::NotFound);
        let message = || {
            let parts = [
                path(Path::new("/DOE`")).to_string(),
                text("DOE").to_string(),
                format!("{:?}", text("DOE")),
                numbers(&[44, 4_541_262]).to_string(),
                uid("1.2.3").to_string(),
                uid("DOE").to_string(),
                uid("1956.12.29").to_string(),
                foreign(&"DOE").to_string(),
                io(&fails).to_string(),
                io(&io::Error::other(Words("own words".to_owned()))).to_string(),
                io(&of_system).to_string(),
            ];
            parts.join("|")
        };
        assert_eq!(
            message(),
            "`/DOE``|DOE|\"DOE\"|[44, 4541262]|1.2.3|DOE|1956.12.29|DOE|DOE|own words|entity not found"
        );
        assert_eq!(
            redacted(name(), message),
            "file-1|(redacted)|(redacted)|(redacted)|1.2.3|(redacted)|(redacted)|(withheld)|other error (withheld)|own words|\
             entity not found"
        );
    }

    #[test]
    fn saved_words_are_redacted_later() {
        let words = SavedWords::of(text("DOE"));
        assert_eq!(words.to_string(), "DOE");
        assert_eq!(redacted(name(), || words.to_string()), REDACTED);
    }

    #[test]
    fn redaction_is_of_one_thread_and_ends_with_its_work() {
        redacted(name(), || {
            assert!(is_redacted());
            assert!(!std::thread::spawn(is_redacted).join().unwrap());
            // One within the other.
            redacted(Rc::new(|_| "inner".to_owned()), || {
                assert_eq!(path(Path::new("/a")).to_string(), "inner");
            });
            assert_eq!(path(Path::new("/a")).to_string(), "file-1");
        });
        assert!(!is_redacted());
        let panics = || redacted(name(), || panic!("a test"));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert!(!is_redacted());
    }
}
