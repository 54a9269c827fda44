//! How often, and after how long, work that met a passing fault is tried again.

use std::time::Duration;

/// The wait before each further attempt: a passing fault of a disk or network is often over within seconds. What still fails
/// then is left for the next run.
pub const WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_millis(2500)];
