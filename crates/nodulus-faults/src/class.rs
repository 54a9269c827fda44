//! The class of an error: whose fault it is.

use crate::Panicked;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::TryReserveError;
use std::error::Error;
use std::io::{self, ErrorKind};

/// Whose fault an error is.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FaultClass {
    /// The file is bad: it fails whenever it is read.
    #[default]
    Content,
    /// The machine: a full disk, a failing disk or network, a missing permission, too many open files, no memory.
    Machine,
    /// The program: a panic.
    Bug,
}

impl FaultClass {
    /// The class of an error, by its causes. An error without a cause that the machine or a panic accounts for is the
    /// file's.
    ///
    /// METHOD: what the operating system reports is the machine's, but for errors that follow from a name or a number in a
    /// file: nothing has this name, it is a folder, no file has this offset.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        if any(error, &|cause| cause.is::<Panicked>()) {
            Self::Bug
        } else if any(error, &is_of_machine) {
            Self::Machine
        } else {
            Self::Content
        }
    }

    /// Name in tables and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Machine => "machine",
            Self::Bug => "bug",
        }
    }

    /// Whether trying again may end otherwise, so that the error is no result.
    pub const fn is_passing(self) -> bool {
        !matches!(self, Self::Content)
    }
}

/// Whether a disk, or the user's share of it, is full.
pub fn is_disk_full(error: &(dyn Error + 'static)) -> bool {
    let is_full = |error: &io::Error| {
        matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
    };
    any(error, &|cause| cause.downcast_ref().is_some_and(is_full))
}

/// The error of the operating system among the causes of an error: it names no file.
pub fn os_error(error: &(dyn Error + 'static)) -> Option<io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let number = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        if let Some(number) = number {
            return Some(io::Error::from_raw_os_error(number));
        }
        cause = cause_of(error);
    }
    None
}

/// Whether a test holds for an error or any of its causes.
fn any(error: &(dyn Error + 'static), test: &dyn Fn(&(dyn Error + 'static)) -> bool) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if test(error) {
            return true;
        }
        cause = cause_of(error);
    }
    false
}

/// The cause of an error. An `io::Error` hides the error that it was made from.
fn cause_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let hidden = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match hidden {
        Some(hidden) => Some(hidden),
        None => error.source(),
    }
}

fn is_of_machine(error: &(dyn Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return is_io_of_machine(error);
    }
    // CUDA's errors have no type of their own here.
    error.is::<TryReserveError>() || error.to_string().contains("OUT_OF_MEMORY")
}

fn is_io_of_machine(error: &io::Error) -> bool {
    let is_by_kind = matches!(
        error.kind(),
        ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::StaleNetworkFileHandle
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::WriteZero
            | ErrorKind::TimedOut
            | ErrorKind::NotConnected
            | ErrorKind::ResourceBusy
    );
    // A reader that says so in its own words refuses a file by its limit of memory, as xz does.
    let is_out_of_memory = error.kind() == ErrorKind::OutOfMemory && error.get_ref().is_none();
    is_by_kind
        || is_out_of_memory
        || error.raw_os_error().is_some_and(|number| !follows_from_file(number, error))
}

/// Whether an error of the operating system follows from a name or a number, which a file may hold.
#[cfg(unix)]
fn follows_from_file(number: i32, _: &io::Error) -> bool {
    use rustix::io::Errno;
    const OF_FILES: [Errno; 9] = [
        Errno::NOENT,
        Errno::INVAL,
        Errno::ISDIR,
        Errno::NOTDIR,
        Errno::LOOP,
        Errno::NAMETOOLONG,
        Errno::EXIST,
        Errno::NOTEMPTY,
        Errno::SPIPE,
    ];
    OF_FILES.iter().any(|errno| errno.raw_os_error() == number)
}

#[cfg(not(unix))]
fn follows_from_file(_: i32, error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidFilename
            | ErrorKind::IsADirectory
            | ErrorKind::NotADirectory
            | ErrorKind::AlreadyExists
            | ErrorKind::DirectoryNotEmpty
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Wrapped {
        #[error(transparent)]
        Io(#[from] io::Error),
        #[error("a file is damaged")]
        Damaged { source: io::Error },
        #[error("a case failed")]
        Panic(#[from] Panicked),
    }

    #[cfg(unix)]
    #[test]
    fn the_machine_is_found_below_any_wrapping() {
        use rustix::io::Errno;
        let of_machine = [
            Errno::NOSPC,
            Errno::DQUOT,
            Errno::IO,
            Errno::STALE,
            Errno::MFILE,
            Errno::NFILE,
            Errno::ACCESS,
            Errno::PERM,
            Errno::NOMEM,
            Errno::ROFS,
            Errno::TIMEDOUT,
            Errno::NOTCONN,
        ];
        let of_content = [Errno::NOENT, Errno::INVAL, Errno::ISDIR, Errno::NOTDIR, Errno::LOOP];
        for (errnos, class) in
            [(&of_machine[..], FaultClass::Machine), (&of_content[..], FaultClass::Content)]
        {
            for errno in errnos {
                let raw = || io::Error::from_raw_os_error(errno.raw_os_error());
                assert_eq!(FaultClass::of(&raw()), class, "{errno}");
                assert_eq!(FaultClass::of(&io::Error::other(raw())), class, "{errno}");
                let zip = io::Error::other(Wrapped::Damaged { source: raw() });
                assert_eq!(FaultClass::of(&Wrapped::Damaged { source: zip }), class, "{errno}");
                let numbers = os_error(&Wrapped::Damaged { source: raw() });
                assert_eq!(numbers.unwrap().raw_os_error(), Some(errno.raw_os_error()));
            }
        }
        let full = |errno: Errno| is_disk_full(&io::Error::other(io::Error::from(errno)));
        assert!(full(Errno::NOSPC) && full(Errno::DQUOT) && !full(Errno::IO));
    }

    #[cfg(unix)]
    #[test]
    fn an_error_that_names_its_file_keeps_its_number() {
        // As `fs_err` makes them, below an error that shows them as its own.
        let folder = tempfile::tempdir().unwrap();
        let error = Wrapped::from(fs_err::read(folder.path()).unwrap_err());
        assert_eq!(FaultClass::of(&error), FaultClass::Content);
        assert_eq!(os_error(&error).unwrap().kind(), ErrorKind::IsADirectory);
        assert!(crate::in_words(&error).contains("directory"), "{}", crate::in_words(&error));
    }

    #[test]
    fn damage_is_of_the_content_and_a_panic_is_a_bug() {
        for kind in [
            ErrorKind::InvalidData,
            ErrorKind::UnexpectedEof,
            ErrorKind::Other,
            ErrorKind::OutOfMemory,
        ] {
            let error = Wrapped::from(io::Error::new(kind, "damaged"));
            assert_eq!(FaultClass::of(&error), FaultClass::Content);
            assert!(os_error(&error).is_none());
        }
        let panic = Wrapped::from(Panicked::of(&"index out of bounds"));
        assert_eq!(FaultClass::of(&panic), FaultClass::Bug);
        assert!(crate::in_words(&panic).contains("index out of bounds"));
        let reserve = Vec::<u64>::new().try_reserve(usize::MAX).unwrap_err();
        assert_eq!(FaultClass::of(&reserve), FaultClass::Machine);
        let no_memory = io::Error::from(ErrorKind::OutOfMemory);
        assert_eq!(FaultClass::of(&no_memory), FaultClass::Machine);
        assert_eq!(FaultClass::of(&io::Error::other(no_memory)), FaultClass::Machine);
    }

    #[test]
    fn classes_are_written_by_their_names() {
        for class in [FaultClass::Content, FaultClass::Machine, FaultClass::Bug] {
            assert_eq!(serde_json::to_value(class).unwrap(), class.name());
        }
    }
}
