//! An archive that takes objects, and its answers.

use super::object::StoredObject;

/// An archive that takes objects. A connection is made when it is needed, and made anew after an error.
pub(super) trait Archive {
    /// Sends an object and waits for the answer.
    fn send(&mut self, object: &StoredObject) -> Result<Acknowledgement, SendError>;

    /// Ends the connection, if there is one. What was sent is not touched by an error of it.
    fn close(&mut self) {}
}

/// An archive has the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Acknowledgement {
    pub(super) answer: Answer,
    /// Status as the protocol has it.
    pub(super) status: String,
}

/// Whether the archive had the object before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Stored,
    /// It had an object with the same UID, which is the same object: UIDs are made of the content.
    AlreadyThere,
}

impl Answer {
    /// Name in `receipts`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::AlreadyThere => "already_there",
        }
    }
}

/// An archive does not have the object, as far as is known. Texts hold nothing that the archive wrote, and nothing of the
/// object but its UIDs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SendError {
    /// There is no connection, or it broke off: worth another try.
    #[error("{0}")]
    Unreachable(String),
    /// The archive cannot take it now: worth another try.
    #[error("{0}")]
    Busy(String),
    /// The archive does not take this object.
    #[error("{0}")]
    Object(String),
    /// The archive takes nothing from us.
    #[error("{0}")]
    Refused(String),
}

impl SendError {
    /// Whether another try may do.
    pub(super) const fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Busy(_))
    }
}
