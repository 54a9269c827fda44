//! Memory for the voxels of scans under way.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes that may be used at once.
pub(super) struct Budget {
    most: u64,
    used: Mutex<u64>,
    freed: Condvar,
}

/// Bytes taken, given back when dropped.
pub(super) struct Taken<'a> {
    budget: &'a Budget,
    bytes: u64,
}

/// A scan that does not fit by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "its candidates' slices need {} MiB, and half of --max-memory is {} MiB",
    needed.div_ceil(1 << 20),
    most >> 20
)]
pub(super) struct TooLarge {
    needed: u64,
    most: u64,
}

impl Budget {
    pub(super) fn new(most: u64) -> Self {
        Self { most, used: Mutex::new(0), freed: Condvar::new() }
    }

    /// Waits until so many bytes are free, and takes them.
    pub(super) fn take(&self, bytes: u64) -> Result<Taken<'_>, TooLarge> {
        if bytes > self.most {
            return Err(TooLarge { needed: bytes, most: self.most });
        }
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |used: &mut u64| *used + bytes > self.most;
        let mut used = self.freed.wait_while(used, is_full).unwrap_or_else(PoisonError::into_inner);
        *used += bytes;
        Ok(Taken { budget: self, bytes })
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *self.budget.used.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_next_waits_until_there_is_room() {
        let budget = Budget::new(100);
        assert_eq!(budget.take(101).err().map(|error| error.needed), Some(101));
        let first = budget.take(60).unwrap();
        let _small = budget.take(40).unwrap();
        std::thread::scope(|scope| {
            let next = scope.spawn(|| budget.take(50).map(|taken| taken.bytes));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!next.is_finished());
            drop(first);
            assert_eq!(next.join().unwrap(), Ok(50));
        });
    }
}
