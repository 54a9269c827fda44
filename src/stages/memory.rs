//! Limits how many cases are in memory at once.

use nodulus_faults::Panicked;
use nodulus_store::FailedCase;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

/// A case that needs more memory than there is, even alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("scan needs {}, --max-memory is {}", size(*needed, needed.div_ceil(1 << 20)), size(*most, most >> 20))]
pub(super) struct TooLarge {
    needed: u64,
    most: u64,
}

/// Why there is no outcome of a case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotWorked {
    /// It does not fit into memory.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The program panicked.
    #[error(transparent)]
    Panicked(Panicked),
}

impl NotWorked {
    /// The case as one that failed.
    pub(super) fn failed(&self, stage: &str, case_id: &str, path: Option<String>) -> FailedCase {
        match self {
            Self::TooLarge(error) => {
                FailedCase::new(stage, case_id, error, path).needing(error.needed)
            }
            Self::Panicked(panicked) => FailedCase::new(stage, case_id, panicked, path),
        }
    }
}

/// A size in MiB, rounded so that the larger one stays larger; in bytes, where that is less than one.
fn size(bytes: u64, mib: u64) -> String {
    if bytes < 1 << 20 {
        format!("{} bytes", thousands(bytes))
    } else {
        format!("{} MiB", thousands(mib))
    }
}

/// A number with its digits in groups of three.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let threes: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|three| str::from_utf8(three).unwrap_or_default())
        .collect();
    threes.join(",")
}

/// Works on cases in parallel, and hands the outcome of each to `done`, in the order of the cases.
///
/// A case starts when it and the running cases together need at most `most` bytes, and when fewer cases run than there
/// are threads; cases start in their order. A case that needs more than `most` alone does not start, and the others go
/// on. A panic is the outcome of its case. Must not be called from one of rayon's threads, because it waits.
///
/// # Errors
///
/// Fails as soon as `done` fails; no more cases start then.
pub(super) fn for_each<T: Sync, R: Send, E>(
    cases: &[T],
    most: u64,
    needed: impl Fn(&T) -> u64,
    work: impl Fn(&T) -> R + Sync,
    mut done: impl FnMut(&T, Result<R, NotWorked>) -> Result<(), E>,
) -> Result<(), E> {
    let (sender, receiver) = mpsc::channel();
    let mut queue =
        Queue { running: BTreeMap::new(), finished: BTreeMap::new(), next: 0, receiver };
    let work = &work;
    rayon::in_place_scope(|scope| {
        for (n, case) in cases.iter().enumerate() {
            let needed = needed(case);
            if needed > most {
                queue.finished.insert(n, Err(TooLarge { needed, most }.into()));
                continue;
            }
            while queue.is_full(needed, most) {
                queue.wait();
                queue.hand_over(cases, &mut done)?;
            }
            queue.running.insert(n, needed);
            let sender = sender.clone();
            scope.spawn(move |_| {
                let result = catch_unwind(AssertUnwindSafe(|| work(case)))
                    .map_err(|panic| NotWorked::Panicked(Panicked::of(panic.as_ref())));
                // This scope holds the receiver, so sending does not fail.
                let _ = sender.send((n, result));
            });
        }
        while !queue.running.is_empty() {
            queue.wait();
            queue.hand_over(cases, &mut done)?;
        }
        queue.hand_over(cases, &mut done)
    })
}

/// A case's number with its outcome.
type FinishedCase<R> = (usize, Result<R, NotWorked>);

/// Cases that have started.
struct Queue<R> {
    /// Bytes of each running case.
    running: BTreeMap<usize, u64>,
    /// Outcomes that wait for an earlier case.
    finished: BTreeMap<usize, Result<R, NotWorked>>,
    /// The first case that has not been handed over.
    next: usize,
    receiver: mpsc::Receiver<FinishedCase<R>>,
}

impl<R> Queue<R> {
    /// Whether a case has to wait; it never waits where no case runs.
    fn is_full(&self, needed: u64, most: u64) -> bool {
        let bytes: u64 = self.running.values().sum();
        self.running.len() >= rayon::current_num_threads() || bytes + needed > most
    }

    /// Waits for a running case.
    fn wait(&mut self) {
        let Ok((n, result)) = self.receiver.recv() else { return };
        self.running.remove(&n);
        self.finished.insert(n, result);
    }

    fn hand_over<T, E>(
        &mut self,
        cases: &[T],
        done: &mut impl FnMut(&T, Result<R, NotWorked>) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(result) = self.finished.remove(&self.next) {
            done(&cases[self.next], result)?;
            self.next += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodulus_store::FaultClass;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// Runs cases that need these numbers of bytes; returns the most bytes in use at once, and the results.
    fn run(cases: &[u64], most: u64) -> (u64, Vec<Result<u64, String>>) {
        let (now, peak) = (AtomicU64::new(0), AtomicU64::new(0));
        let work = |needed: &u64| {
            let in_use = now.fetch_add(*needed, Ordering::SeqCst) + needed;
            peak.fetch_max(in_use, Ordering::SeqCst);
            std::thread::sleep(Duration::from_micros(100 * (needed % 7)));
            now.fetch_sub(*needed, Ordering::SeqCst);
            2 * needed
        };
        let mut results = Vec::new();
        let done = |case: &u64, result: Result<u64, NotWorked>| {
            assert!(result.as_ref().is_ok_and(|r| *r == 2 * case) || *case > most);
            results.push(result.map_err(|error| error.to_string()));
            Ok::<_, ()>(())
        };
        for_each(cases, most, |needed| *needed, work, done).unwrap();
        (peak.into_inner(), results)
    }

    #[test]
    fn cases_come_in_order_and_never_need_more_than_there_is() {
        let cases: Vec<u64> = (0..200).map(|n| n * 7919 % 40).collect();
        for most in [39, 60, 1000] {
            let (peak, results) = run(&cases, most);
            assert!(peak <= most, "{peak} of {most}");
            let expected: Vec<_> = cases.iter().map(|needed| Ok(2 * needed)).collect();
            assert_eq!(results, expected);
        }
        assert_eq!(run(&[], 1), (0, vec![]));
    }

    #[test]
    fn a_case_that_does_not_fit_fails_alone_with_its_number() {
        let mib = 1 << 20;
        let (_, results) = run(&[mib, 1234 * mib - 9, 2 * mib], 900 * mib);
        let error = "scan needs 1,234 MiB, --max-memory is 900 MiB".to_owned();
        assert_eq!(results, [Ok(2 * mib), Err(error), Ok(4 * mib)]);
        assert_eq!(run(&[1], 0).1, [Err("scan needs 1 bytes, --max-memory is 0 bytes".to_owned())]);
        let below = TooLarge { needed: mib + 1, most: mib - 1 };
        assert_eq!(below.to_string(), "scan needs 2 MiB, --max-memory is 1,048,575 bytes");
        let large = TooLarge { needed: 1_234_567 * mib + 1, most: u64::MAX };
        assert!(large.to_string().starts_with("scan needs 1,234,568 MiB"), "{large}");
    }

    #[test]
    fn an_error_ends_it_and_a_panic_is_the_outcome_of_its_case() {
        let mut n = 0;
        let stop = |_: &u64, _| {
            n += 1;
            if n == 3 { Err("stop") } else { Ok(()) }
        };
        assert_eq!(for_each(&[1; 50], 2, |_| 1, |_| (), stop), Err("stop"));
        assert_eq!(n, 3);
        let mut outcomes = Vec::new();
        let keep = |n: &u64, result: Result<(), NotWorked>| {
            outcomes.push((*n, result.map_err(|error| error.failed("crop", "c", None).class)));
            Ok::<_, ()>(())
        };
        for_each(&[1u64, 2, 1], 9, |_| 1, |n| assert_eq!(*n, 1), keep).unwrap();
        assert_eq!(outcomes, [(1, Ok(())), (2, Err(FaultClass::Bug)), (1, Ok(()))]);
    }
}
