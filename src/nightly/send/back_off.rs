//! Waits between two tries.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest wait.
const MAX_SECONDS: f64 = 300.0;

/// How often a wait looks whether the run is to stop.
const STEP: Duration = Duration::from_millis(50);

/// The wait after the n-th try, counted from 1: the first one, doubled after each further try.
pub(super) fn wait_after(first_seconds: f64, n: u32) -> Duration {
    let factor = 2_f64.powi(n.saturating_sub(1).min(30) as i32);
    Duration::from_secs_f64((first_seconds * factor).clamp(0.0, MAX_SECONDS))
}

/// Waits; returns whether the wait passed and the run is not to stop.
pub(super) fn wait(time: Duration, stop: &AtomicBool) -> bool {
    let until = Instant::now() + time;
    while !stop.load(Ordering::SeqCst) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(STEP));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_end_with_the_run() {
        let wait_seconds = |n| wait_after(2.0, n);
        let expected = [2, 4, 8, 256, 300, 300].map(Duration::from_secs);
        assert_eq!([1, 2, 3, 8, 9, 40].map(wait_seconds), expected);
        assert_eq!(wait_after(0.0, 20), Duration::ZERO);
        assert!(wait(Duration::from_millis(1), &AtomicBool::new(false)));
        let begun = Instant::now();
        assert!(!wait(Duration::from_mins(5), &AtomicBool::new(true)));
        assert!(begun.elapsed() < Duration::from_mins(1));
    }
}
