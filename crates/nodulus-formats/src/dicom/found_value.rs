//! The value of an attribute in a message: numbers that were read, or text of the file.

use nodulus_faults::quoted;
use std::fmt::{self, Display, Formatter};

/// The value of an attribute in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundValue {
    /// Numbers, shown in any message.
    Numbers(String),
    /// Text that the file may hold; a redacted message does not show it.
    Text(String),
}

/// What can be shown as the value of an attribute.
pub(crate) trait ShownValue {
    fn shown(&self) -> FoundValue;
}

impl Display for FoundValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbers(text) => f.write_str(text),
            Self::Text(text) => Display::fmt(&quoted::text(text), f),
        }
    }
}

impl ShownValue for FoundValue {
    fn shown(&self) -> FoundValue {
        self.clone()
    }
}

impl ShownValue for str {
    fn shown(&self) -> FoundValue {
        FoundValue::Text(self.to_owned())
    }
}

impl ShownValue for String {
    fn shown(&self) -> FoundValue {
        self.as_str().shown()
    }
}

impl<T: ShownValue + ?Sized> ShownValue for &T {
    fn shown(&self) -> FoundValue {
        (*self).shown()
    }
}

macro_rules! shown {
    ($kind:ident: $($number:ty),*) => {$(
        impl ShownValue for $number {
            fn shown(&self) -> FoundValue {
                FoundValue::$kind(self.to_string())
            }
        }
    )*};
}

// What a header has in 16 bits, and what was counted.
shown!(Numbers: u16, u32, usize);
// What a header has as text or in more bits: a number that cannot be used may be a date, or a number of a patient.
shown!(Text: u64, i32, i64, f64);
