//! Panics of other libraries on damaged data.

use crate::Panicked;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}
static HOOK: Once = Once::new();

/// Runs code of another library that may panic on damaged data; nothing is written to standard error. Panics of other
/// threads are written as before.
///
/// # Errors
///
/// Fails if the code panics. What it worked on must not be used any more.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
    let outer = QUIET.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(outer);
    done.map_err(|panic| Panicked::of(panic.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_the_next_call_is_none() {
        let index = std::hint::black_box(3);
        let error = caught(|| [1, 2][index]).unwrap_err();
        assert!(error.message.contains("index is 3"), "{}", error.message);
        assert_eq!(caught(|| 5), Ok(5));
        assert!(!QUIET.get());
    }
}
