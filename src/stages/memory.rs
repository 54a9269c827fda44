//! How many cases are in memory at once.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;

/// A case that does not fit by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "scan needs {} MiB, --max-memory is {} MiB",
    thousands(needed.div_ceil(1 << 20)),
    thousands(most >> 20)
)]
pub(super) struct TooLarge {
    needed: u64,
    most: u64,
}

/// Digits in threes.
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

/// Works on cases in parallel, and hands what becomes of each to `done`, in the order of the cases.
///
/// A case begins when it and those under way need at most `most` bytes, and fewer than there are
/// threads are under way; none overtakes one before it. A case that needs more than `most` by itself
/// does not begin, and the others go on. Must not be called from a thread of rayon's, as it waits.
///
/// # Errors
///
/// Fails where `done` does: no more cases begin then.
pub(super) fn for_each<T: Sync, R: Send, E>(
    cases: &[T],
    most: u64,
    needed: impl Fn(&T) -> u64,
    work: impl Fn(&T) -> R + Sync,
    mut done: impl FnMut(&T, Result<R, TooLarge>) -> Result<(), E>,
) -> Result<(), E> {
    let (sender, receiver) = mpsc::channel();
    let mut queue = Queue { under_way: BTreeMap::new(), ended: BTreeMap::new(), next: 0, receiver };
    let work = &work;
    rayon::in_place_scope(|scope| {
        for (n, case) in cases.iter().enumerate() {
            let needed = needed(case);
            if needed > most {
                queue.ended.insert(n, Err(TooLarge { needed, most }));
                continue;
            }
            while queue.is_full(needed, most) {
                queue.wait();
                queue.hand_over(cases, &mut done)?;
            }
            queue.under_way.insert(n, needed);
            let sender = sender.clone();
            scope.spawn(move |_| {
                let result = catch_unwind(AssertUnwindSafe(|| work(case)));
                // There is always a receiver: this scope's.
                let _ = sender.send((n, result));
            });
        }
        while !queue.under_way.is_empty() {
            queue.wait();
            queue.hand_over(cases, &mut done)?;
        }
        queue.hand_over(cases, &mut done)
    })
}

/// A case's number, and what became of it; or how it panicked.
type Ended<R> = (usize, Result<R, Box<dyn Any + Send>>);

/// Cases that have begun.
struct Queue<R> {
    /// Bytes of each case under way.
    under_way: BTreeMap<usize, u64>,
    /// What has ended and waits for one before it.
    ended: BTreeMap<usize, Result<R, TooLarge>>,
    /// The first case that is not handed over.
    next: usize,
    receiver: mpsc::Receiver<Ended<R>>,
}

impl<R> Queue<R> {
    /// Whether a case has to wait. Where none is under way it does not.
    fn is_full(&self, needed: u64, most: u64) -> bool {
        let bytes: u64 = self.under_way.values().sum();
        self.under_way.len() >= rayon::current_num_threads() || bytes + needed > most
    }

    /// Waits for a case under way.
    fn wait(&mut self) {
        let Ok((n, result)) = self.receiver.recv() else { return };
        self.under_way.remove(&n);
        let result = result.unwrap_or_else(|panic| resume_unwind(panic));
        self.ended.insert(n, Ok(result));
    }

    fn hand_over<T, E>(
        &mut self,
        cases: &[T],
        done: &mut impl FnMut(&T, Result<R, TooLarge>) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(result) = self.ended.remove(&self.next) {
            done(&cases[self.next], result)?;
            self.next += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// Runs cases that need so many bytes; the most that were under way at once, and the results.
    fn run(cases: &[u64], most: u64) -> (u64, Vec<Result<u64, String>>) {
        let (now, peak) = (AtomicU64::new(0), AtomicU64::new(0));
        let work = |needed: &u64| {
            let held = now.fetch_add(*needed, Ordering::SeqCst) + needed;
            peak.fetch_max(held, Ordering::SeqCst);
            std::thread::sleep(Duration::from_micros(100 * (needed % 7)));
            now.fetch_sub(*needed, Ordering::SeqCst);
            2 * needed
        };
        let mut results = Vec::new();
        let done = |case: &u64, result: Result<u64, TooLarge>| {
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
        assert_eq!(run(&[1], 0).1.len(), 1);
        let large = TooLarge { needed: 1_234_567 * mib + 1, most: u64::MAX };
        assert!(large.to_string().starts_with("scan needs 1,234,568 MiB"), "{large}");
    }

    #[test]
    fn an_error_ends_it_and_a_panic_is_passed_on() {
        let mut n = 0;
        let stop = |_: &u64, _| {
            n += 1;
            if n == 3 { Err("stop") } else { Ok(()) }
        };
        assert_eq!(for_each(&[1; 50], 2, |_| 1, |_| (), stop), Err("stop"));
        assert_eq!(n, 3);
        let panics =
            || for_each(&[1u64, 2], 9, |_| 1, |n| assert_eq!(*n, 1), |_, _| Ok::<_, ()>(()));
        assert!(catch_unwind(panics).is_err());
    }
}
