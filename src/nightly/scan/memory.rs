//! Memory for the voxels of the scans under way.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes that may be used at once.
pub(crate) struct MemoryBudget {
    limit: u64,
    used: Mutex<u64>,
    freed: Condvar,
}

/// Bytes in use; returned when dropped.
pub(crate) struct MemoryLease<'a> {
    budget: &'a MemoryBudget,
    bytes: u64,
}

/// A scan needs more than the whole budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the slices of its candidates need {} MiB, expected at most {} MiB, half of --max-memory; raise --max-memory",
    needed.div_ceil(1 << 20),
    limit >> 20
)]
pub(super) struct ExceedsBudget {
    needed: u64,
    limit: u64,
}

impl MemoryBudget {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, used: Mutex::new(0), freed: Condvar::new() }
    }

    /// Waits until so many bytes are free, and takes them.
    pub(super) fn take(&self, bytes: u64) -> Result<MemoryLease<'_>, ExceedsBudget> {
        if bytes > self.limit {
            return Err(ExceedsBudget { needed: bytes, limit: self.limit });
        }
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |used: &mut u64| *used + bytes > self.limit;
        let mut used = self.freed.wait_while(used, is_full).unwrap_or_else(PoisonError::into_inner);
        *used += bytes;
        Ok(MemoryLease { budget: self, bytes })
    }
}

impl Drop for MemoryLease<'_> {
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
    fn the_next_scan_waits_until_there_is_room() {
        let budget = MemoryBudget::new(100);
        assert_eq!(budget.take(101).err().map(|error| error.needed), Some(101));
        let first = budget.take(60).unwrap();
        let _small = budget.take(40).unwrap();
        std::thread::scope(|scope| {
            let next = scope.spawn(|| budget.take(50).map(|lease| lease.bytes));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!next.is_finished());
            drop(first);
            assert_eq!(next.join().unwrap(), Ok(50));
        });
    }
}
