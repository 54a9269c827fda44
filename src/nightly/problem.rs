//! Why a series could not be scored, and whose fault it is.

use super::redaction::{self, OwnError, PrivateFolder};
use super::settings::ScoreSettings;
use nodulus_faults::{FaultClass, is_disk_full};
use std::any::Any;

/// Why a series could not be scored. Only a problem of its content is a result; after any other, it is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) class: FaultClass,
    /// The error and its causes, without paths and patients.
    pub(crate) cause: String,
    /// Whether a disk is full, so that no other series can be scored either.
    pub(crate) is_disk_full: bool,
    /// Whether a file or folder denies its reader.
    pub(crate) is_denied: bool,
}

impl Problem {
    /// The problem that an error is.
    pub(in crate::nightly) fn of(folder: PrivateFolder<'_>, error: &dyn OwnError) -> Self {
        Self::with_cause(redaction::cause(folder, error), error)
    }

    /// The problem that an error of writing results is.
    pub(in crate::nightly) fn of_run(settings: &ScoreSettings, error: &dyn OwnError) -> Self {
        Self::with_cause(redaction::cause_of_run(settings, error), error)
    }

    fn with_cause(cause: String, error: &dyn OwnError) -> Self {
        let is_denied = nodulus_faults::os_error(error)
            .is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
        Self { class: FaultClass::of(error), cause, is_disk_full: is_disk_full(error), is_denied }
    }

    /// The problem that a panic is.
    pub(crate) fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let cause = redaction::panic_cause(panic);
        Self { class: FaultClass::Bug, cause, is_disk_full: false, is_denied: false }
    }

    /// A problem of the series' content.
    pub(crate) fn of_content(cause: String) -> Self {
        Self { class: FaultClass::Content, cause, is_disk_full: false, is_denied: false }
    }

    /// The same problem as a fault of the machine: the series' files are not there as they were listed.
    pub(crate) fn of_machine(self) -> Self {
        Self { class: FaultClass::Machine, ..self }
    }
}
