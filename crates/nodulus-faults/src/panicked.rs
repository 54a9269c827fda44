//! A panic as an error.

use std::any::Any;

/// The program panicked while it worked on a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked {
    /// Message of the panic; it may hold text of a file.
    pub message: String,
}

impl Panicked {
    /// The panic that was caught.
    pub fn of(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self { message: text.unwrap_or("without a message").to_owned() }
    }
}

impl std::fmt::Display for Panicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the program itself failed ({}); please report it", self.message)
    }
}

impl std::error::Error for Panicked {}
