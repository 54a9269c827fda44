//! Progress on standard error: a bar on a terminal, a line every few seconds elsewhere.

use super::arguments::ProgressStyle;
use indicatif::{ProgressBar, ProgressStyle as BarStyle};
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between two lines of a log.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Shows how work goes on.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    log: bool,
    last_line: Mutex<Option<Instant>>,
}

impl Progress {
    pub(super) fn new(style: ProgressStyle) -> Self {
        let terminal = io::stderr().is_terminal();
        let bar = style == ProgressStyle::Bar || (style == ProgressStyle::Auto && terminal);
        let log = style == ProgressStyle::Log || (style == ProgressStyle::Auto && !terminal);
        Self { bar: bar.then(bar_on_stderr), log, last_line: Mutex::new(None) }
    }

    /// So much is done of what there is to do.
    pub(super) fn count(&self, what: &str, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(what.to_owned());
        } else if self.log && (done == total || self.is_time()) {
            write_line(&format!("{what} {done}/{total}"));
        }
    }

    /// Something worth a line of its own.
    pub(super) fn line(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.suspend(|| write_line(text));
        } else if self.log {
            write_line(text);
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn is_time(&self) -> bool {
        let mut last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let due = last.is_none_or(|last| now.duration_since(last) >= BETWEEN_LINES);
        if due {
            *last = Some(now);
        }
        due
    }
}

fn bar_on_stderr() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = BarStyle::with_template("{msg:10} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar
}

fn write_line(text: &str) {
    // Work does not stop because nobody can read how it goes on.
    let _ = writeln!(io::stderr(), "{text}");
}
