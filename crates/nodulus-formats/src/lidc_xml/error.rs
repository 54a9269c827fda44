//! Why LIDC's XML could not be read.

use super::read::MOST_BYTES;
use std::io;
use std::path::PathBuf;

/// A file of reads could not be parsed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The bytes are no text.
    #[error(
        "`{path}` has {found}, expected text in the encoding that it declares, or in UTF-8: correct the declaration"
    )]
    Encoding {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
    },
    /// The file is larger than any file of reads.
    #[error("`{path}` has {found} bytes, expected at most {MOST_BYTES}, as it is a file of reads")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        found: u64,
    },
    /// The file has more of something than any file of reads.
    #[error("`{path}`, line {line}: more than {most} {what}, expected LIDC's XML, which has a few")]
    TooMany {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u32,
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        most: usize,
    },
    /// The file is not XML.
    #[error("`{path}` is not XML")]
    Xml {
        /// The file.
        path: PathBuf,
        /// The error of the XML parser.
        source: roxmltree::Error,
    },
    /// The reads are of a chest X-ray.
    #[error(
        "`{0}` holds reads of a chest X-ray (IdriReadMessage), expected reads of a CT series (LidcReadMessage)"
    )]
    XRay(PathBuf),
    /// The file is another kind of message.
    #[error("`{path}` holds {found}, expected LidcReadMessage")]
    OtherMessage {
        /// The file.
        path: PathBuf,
        /// Name of the root element.
        found: String,
    },
    /// A required element is missing.
    #[error("`{path}`, line {line}: {parent} has no {child}")]
    Missing {
        /// The file.
        path: PathBuf,
        /// Line of the parent element.
        line: u32,
        /// Name of the parent element.
        parent: String,
        /// Name of the missing element.
        child: &'static str,
    },
    /// The text of an element is not a valid value.
    #[error("`{path}`, line {line}: {element} is `{found}`, expected {expected}")]
    Value {
        /// The file.
        path: PathBuf,
        /// Line of the element.
        line: u32,
        /// Name of the element.
        element: String,
        /// Its text.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
}
