//! Why a frame is not decoded, before the codec's name is added.

use std::fmt::Display;

/// What a codestream holds in place of what was expected.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) found: String,
    pub(crate) expected: String,
}

impl Fault {
    pub(crate) fn new(found: impl Display, expected: impl Display) -> Self {
        Self { found: found.to_string(), expected: expected.to_string() }
    }

    /// The codestream ends where `expected` should follow.
    pub(crate) fn truncated(expected: &str) -> Self {
        Self::new("the end of the codestream", expected)
    }
}
