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
    begun: Mutex<Option<Begun>>,
}

/// Where something was when it was first counted: what was done before a run was resumed took no time
/// of this one.
struct Begun {
    what: String,
    at: Instant,
    done: u64,
}

impl Progress {
    pub(super) fn new(style: ProgressStyle) -> Self {
        let terminal = io::stderr().is_terminal();
        let bar = style == ProgressStyle::Bar || (style == ProgressStyle::Auto && terminal);
        let log = style == ProgressStyle::Log || (style == ProgressStyle::Auto && !terminal);
        Self {
            bar: bar.then(bar_on_stderr),
            log,
            last_line: Mutex::new(None),
            begun: Mutex::new(None),
        }
    }

    /// So much is done of what there is to do; `note` says more of it, in a few words.
    pub(super) fn count(&self, what: &str, done: u64, total: u64, note: &str) {
        let left = self.time_left(what, done, total);
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            let note = if note.is_empty() { String::new() } else { format!(" {note}") };
            bar.set_message(format!("{what}{note}"));
            bar.set_prefix(left.map_or(String::new(), duration));
        } else if self.log && (done == total || self.is_time()) {
            let left = left.map_or(String::new(), |left| format!(", {} left", duration(left)));
            let note = if note.is_empty() { String::new() } else { format!(": {note}") };
            write_line(&format!("{what} {done}/{total}{left}{note}"));
        }
    }

    /// At the pace since the first count; `None` at the first and the last.
    fn time_left(&self, what: &str, done: u64, total: u64) -> Option<Duration> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let since = match &*begun {
            Some(since) if since.what == what && since.done <= done => since,
            _ => begun.insert(Begun { what: what.to_owned(), at: now, done }),
        };
        let pace = now.duration_since(since.at).as_secs_f64() / (done - since.done) as f64;
        let left = pace * total.saturating_sub(done) as f64;
        (done > since.done && done < total)
            .then(|| Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX))
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
    // Work does not stop because nobody can read how it goes on.
    let _ = writeln!(io::stderr(), "{text}");
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
    fn time_left_counts_from_where_the_work_began() {
        let progress = Progress::new(ProgressStyle::None);
        assert_eq!(progress.time_left("train", 50, 100), None);
        std::thread::sleep(Duration::from_millis(20));
        let left = progress.time_left("train", 60, 100).unwrap();
        assert!(left >= Duration::from_millis(80), "{left:?}");
        assert_eq!(progress.time_left("train", 100, 100), None);
        // Another count begins again, and so does one that goes back.
        assert_eq!(progress.time_left("infer", 60, 100), None);
        assert_eq!(progress.time_left("infer", 10, 100), None);
    }
}
