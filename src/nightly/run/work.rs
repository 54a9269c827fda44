//! The work of a run: reads, scores and writes series at the same time, and tries some again.

use super::context::RunContext;
use super::error::Error;
use super::event::RunEvent;
use super::finished::FinishedSeries;
use super::score::score;
use super::summary::{RunSummary, StepSeconds};
use super::write::{ResultWriter, Written};
use crate::nightly::records::ledger::Ledger;
use crate::nightly::scan::memory::MemoryBudget;
use crate::nightly::scan::read::{PendingSeries, ReadSeries, read};
use nodulus_faults::retry::WAITS;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Reads, scores and writes the pending series. Those that meet a fault of the machine or of the program are tried again
/// after a while, a few times; what still fails is left undone.
pub(super) fn work(
    context: &RunContext<'_>,
    pending: &[PendingSeries],
    ledger: &mut Ledger,
    summary: &mut RunSummary,
) -> Result<(), Error> {
    let mut first = Written::default();
    let result = pass(context, pending.iter().collect(), ledger, summary, &mut first);
    summary.left = pending.len() - first.done.len();
    result?;
    let mut set_back = first.set_back;
    summary.left -= set_back.len();
    for wait in WAITS {
        // Listing has tried several times what it could not read.
        let again = pending.iter().filter(|pending| pending.series.fault.is_none());
        let again = again.filter(|pending| set_back.contains_key(&pending.series.name));
        let again: Vec<&PendingSeries> = again.collect();
        if again.is_empty() || !wait_unless_stopped(context, wait) {
            break;
        }
        // A pass that is stopped early leaves the others as they were.
        let mut written = Written::default();
        let result = pass(context, again, ledger, summary, &mut written);
        set_back.retain(|name, _| !written.done.contains(name));
        set_back.extend(written.set_back);
        if result.is_err() {
            summary.left += set_back.len();
        }
        result?;
    }
    if summary.left > 0
        && let Some(why) = context.stop_reason()
    {
        summary.stopped = Some(why);
        (context.notify)(RunEvent::Stopped { why, left: summary.left });
    }
    ResultWriter::new(context, ledger, summary).leave(set_back)
}

/// Waits; returns false as soon as the run is to stop.
fn wait_unless_stopped(context: &RunContext<'_>, wait: Duration) -> bool {
    let until = Instant::now() + wait;
    while Instant::now() < until {
        if context.stop_reason().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    context.stop_reason().is_none()
}

/// Reads, scores and writes series, each step in a thread of its own.
fn pass(
    context: &RunContext<'_>,
    pending: Vec<&PendingSeries>,
    ledger: &mut Ledger,
    summary: &mut RunSummary,
    written: &mut Written,
) -> Result<(), Error> {
    let half_of_memory = context.options.max_memory / 2;
    let budget = MemoryBudget::new(half_of_memory);
    let batch = context.model.networks.batch_within(half_of_memory);
    let has_failed = AtomicBool::new(false);
    let seconds = Mutex::new(StepSeconds::default());
    let add = |of: fn(&mut StepSeconds) -> &mut f64, since: Instant| {
        let mut seconds = seconds.lock().unwrap_or_else(PoisonError::into_inner);
        *of(&mut seconds) += since.elapsed().as_secs_f64();
    };
    let result = std::thread::scope(|scope| {
        let (to_score, from_reader): (SyncSender<ReadSeries<'_>>, Receiver<_>) = sync_channel(0);
        let (to_writer, from_scorer): (SyncSender<FinishedSeries<'_>>, Receiver<_>) =
            sync_channel(1);
        scope.spawn(|| {
            // Dropping the sender ends the scorer's loop, and with it the writer's.
            let to_score = to_score;
            for pending in pending {
                if context.stop_reason().is_some() || has_failed.load(Ordering::SeqCst) {
                    break;
                }
                let since = Instant::now();
                let input_slices = context.model.networks.input_slices();
                let read = read(context.settings, input_slices, &budget, pending.clone());
                add(|seconds| &mut seconds.read, since);
                if to_score.send(read).is_err() {
                    break;
                }
            }
        });
        let writer = scope.spawn(|| {
            let mut writer = ResultWriter::new(context, ledger, summary);
            let busy = |since| add(|s| &mut s.write, since);
            let result = writer.write_all(from_scorer, busy, written);
            has_failed.store(result.is_err(), Ordering::SeqCst);
            result
        });
        for read in from_reader {
            let since = Instant::now();
            let finished = score(context, read, batch);
            add(|seconds| &mut seconds.score, since);
            if to_writer.send(finished).is_err() {
                break;
            }
        }
        drop(to_writer);
        writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let StepSeconds { read, score, write, .. } =
        seconds.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.seconds.read += read;
    summary.seconds.score += score;
    summary.seconds.write += write;
    result
}
