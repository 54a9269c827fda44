//! Counts the machine's faults that reading meets, so that none is lost where a reader goes on without a file.
//!
//! A reader may ignore an error on purpose: a file that cannot be read is no DICOM file, a folder that cannot be listed is
//! passed over. Where the machine is at fault, what it made of the other files is no result.

use crate::{FaultClass, in_words, is_disk_full};
use std::io;
use std::sync::{Mutex, PoisonError};

/// What all readers of this process have met.
static SEEN: Mutex<Seen> = Mutex::new(Seen { n: 0, n_tolerated: 0, last: None });

struct Seen {
    n: u64,
    n_tolerated: u64,
    last: Option<WatchedFault>,
}

/// A fault of the machine that a reader met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedFault {
    /// The error and its causes.
    pub cause: String,
    /// Whether a disk is full.
    pub is_disk_full: bool,
}

/// Counts an error if it is a fault of the machine, and returns it.
pub(crate) fn note(error: io::Error) -> io::Error {
    if FaultClass::of(&error) == FaultClass::Machine {
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        seen.n += 1;
        let (cause, is_disk_full) = (in_words(&error), is_disk_full(&error));
        seen.last = Some(WatchedFault { cause, is_disk_full });
    }
    error
}

/// Watches for faults of the machine from its making on, in all threads of the process.
#[derive(Debug)]
pub struct Watch {
    n: u64,
    n_tolerated: u64,
}

impl Watch {
    /// Begins to watch.
    pub fn begin() -> Self {
        let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        Self { n: seen.n, n_tolerated: seen.n_tolerated }
    }

    /// The last fault since, if there was one.
    pub fn fault(&self) -> Option<WatchedFault> {
        let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.n > self.n { seen.last.clone() } else { None }
    }

    /// The last fault since, if there were others than those that [`tolerate`](Self::tolerate) names.
    pub fn untolerated_fault(&self) -> Option<WatchedFault> {
        let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        let n_others = (seen.n - self.n).saturating_sub(seen.n_tolerated - self.n_tolerated);
        if n_others > 0 { seen.last.clone() } else { None }
    }

    /// Says that a fault was of a folder that denies its reader: such a folder is listed as one that was passed over.
    pub fn tolerate() {
        SEEN.lock().unwrap_or_else(PoisonError::into_inner).n_tolerated += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_seen_by_who_watches_then() {
        let watch = Watch::begin();
        note(io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(watch.fault(), None);
        note(io::Error::from(io::ErrorKind::StorageFull));
        assert!(watch.fault().is_some_and(|fault| fault.is_disk_full));
        assert!(watch.untolerated_fault().is_some());
        let later = Watch::begin();
        assert_eq!(later.fault(), None);
        note(io::Error::from(io::ErrorKind::PermissionDenied));
        Watch::tolerate();
        assert!(later.fault().is_some_and(|fault| !fault.is_disk_full));
        assert_eq!(later.untolerated_fault(), None);
    }
}
