//! Progress on standard error: a bar on a terminal, a line every few seconds elsewhere.

use super::printable::printable;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle as BarStyle};
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressStyle {
    /// A bar on a terminal, lines elsewhere
    Auto,
    /// A bar
    Bar,
    /// A line every few seconds
    Log,
    /// Nothing
    None,
}

/// Least time between two lines of a log.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Shows the progress of work.
pub(super) struct ProgressLine {
    bar: Option<ProgressBar>,
    log: bool,
    last_line: Mutex<Option<Instant>>,
    first_count: Mutex<Option<FirstCount>>,
}

/// The first count of an activity. Work that an earlier run did took no time of this run, so that speed counts from here.
struct FirstCount {
    activity: String,
    at: Instant,
    done: u64,
}

impl ProgressLine {
    pub(super) fn new(style: ProgressStyle) -> Self {
        let terminal = io::stderr().is_terminal();
        let bar = style == ProgressStyle::Bar || (style == ProgressStyle::Auto && terminal);
        let log = style == ProgressStyle::Log || (style == ProgressStyle::Auto && !terminal);
        Self {
            bar: bar.then(bar_on_stderr),
            log,
            last_line: Mutex::new(None),
            first_count: Mutex::new(None),
        }
    }

    /// Shows that `done` of `total` are done; `note` adds a few words.
    pub(super) fn count(&self, activity: &str, done: u64, total: u64, note: &str) {
        let left = self.time_left(activity, done, total);
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            let note = if note.is_empty() { String::new() } else { format!(" {note}") };
            bar.set_message(printable(&format!("{activity}{note}")).into_owned());
            bar.set_prefix(left.map_or(String::new(), duration));
        } else if self.log && (done == total || self.is_line_due()) {
            let left = left.map_or(String::new(), |left| format!(", {} left", duration(left)));
            let note = if note.is_empty() { String::new() } else { format!(": {note}") };
            write_line(&format!("{activity} {done}/{total}{left}{note}"));
        }
    }

    /// Time left at the speed since the first count; `None` at the first count and the last.
    fn time_left(&self, activity: &str, done: u64, total: u64) -> Option<Duration> {
        let mut first = self.first_count.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let since = match &*first {
            Some(since) if since.activity == activity && since.done <= done => since,
            _ => first.insert(FirstCount { activity: activity.to_owned(), at: now, done }),
        };
        let seconds_each = now.duration_since(since.at).as_secs_f64() / (done - since.done) as f64;
        let left = seconds_each * total.saturating_sub(done) as f64;
        (done > since.done && done < total)
            .then(|| Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX))
    }

    /// Shows a line of text.
    pub(super) fn line(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.suspend(|| write_line(text));
        } else if self.log {
            write_line(text);
        }
    }

    /// Removes the bar.
    pub(super) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn is_line_due(&self) -> bool {
        let mut last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let due = last.is_none_or(|last| now.duration_since(last) >= LINE_INTERVAL);
        if due {
            *last = Some(now);
        }
        due
    }
}

fn bar_on_stderr() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = BarStyle::with_template("{msg:10} {wide_bar} {pos}/{len} {prefix}") {
        bar.set_style(style);
    }
    bar
}

/// `41 s`, `12 min 05 s` or `3 h 07 min`.
fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

fn write_line(text: &str) {
    // Work goes on where standard error is closed.
    let _ = writeln!(io::stderr(), "{}", printable(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_in_the_units_that_matter() {
        for (seconds, text) in
            [(0, "0 s"), (41, "41 s"), (725, "12 min 05 s"), (11_250, "3 h 07 min")]
        {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn time_left_counts_from_the_first_count() {
        let progress = ProgressLine::new(ProgressStyle::None);
        assert_eq!(progress.time_left("train", 50, 100), None);
        std::thread::sleep(Duration::from_millis(20));
        let left = progress.time_left("train", 60, 100).unwrap();
        assert!(left >= Duration::from_millis(80), "{left:?}");
        assert_eq!(progress.time_left("train", 100, 100), None);
        // Another activity starts again, and so does a count that goes back.
        assert_eq!(progress.time_left("infer", 60, 100), None);
        assert_eq!(progress.time_left("infer", 10, 100), None);
    }
}
