//! Reads ahead: samples are decoded on another thread while the network trains.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

/// Receives the items of an iterator, in its order; a thread of the scope runs up to `ahead` items ahead. `make` runs on
/// that thread, which ends when the receiver is dropped.
pub(super) fn prefetch<'scope, I>(
    scope: &'scope Scope<'scope, '_>,
    ahead: usize,
    make: impl FnOnce() -> I + Send + 'scope,
) -> Receiver<I::Item>
where
    I: Iterator,
    I::Item: Send + 'scope,
{
    let (sender, receiver) = sync_channel(ahead);
    scope.spawn(move || {
        for item in make() {
            if sender.send(item).is_err() {
                break;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn items_come_in_order_and_at_most_the_given_number_ahead() {
        let read = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let make = || (0..100).inspect(|_| _ = read.fetch_add(1, Ordering::SeqCst));
            let items = prefetch(scope, 3, make);
            for (n, item) in items.into_iter().enumerate() {
                assert_eq!(n, item);
                // Three wait, one is being sent, and this one was taken.
                assert!(read.load(Ordering::SeqCst) <= n + 5);
            }
        });
        assert_eq!(read.into_inner(), 100);
    }

    #[test]
    fn a_stream_that_nobody_reads_ends() {
        std::thread::scope(|scope| {
            let items = prefetch(scope, 1, || 0..);
            assert_eq!(items.into_iter().next(), Some(0));
        });
    }
}
