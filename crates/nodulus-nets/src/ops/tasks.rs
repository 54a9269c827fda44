//! Division of an operator's work among threads: scratch memory, task sizes and ordered sums.

use crate::{buffer, vector};
use rayon::prelude::*;
use std::cell::RefCell;

thread_local! {
    /// Scratch memory of one thread, kept between calls.
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with `len` values of scratch memory with unspecified contents.
pub(super) fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    // Moved out during the call, so that a nested call gets memory of its own.
    let mut scratch = SCRATCH.take();
    if scratch.len() < len {
        scratch.resize(len, 0.0);
    }
    let result = f(&mut scratch[..len]);
    SCRATCH.replace(scratch);
    result
}

/// Elements that are worth a task.
pub(super) const GRAIN: usize = 16 << 10;

/// Number of planes of `n` values that are worth a task.
pub(super) fn planes_per_task(n: usize) -> usize {
    (GRAIN / n.max(1)).max(1)
}

/// Sums buffers in order. Returns the first, which holds the sum, and gives the others back.
pub(super) fn sum_in_order(parts: Vec<Vec<f32>>) -> Vec<f32> {
    const CHUNK: usize = 2048;
    let mut parts = parts.into_iter();
    let mut sum = parts.next().unwrap_or_default();
    let rest: Vec<Vec<f32>> = parts.collect();
    sum.par_chunks_mut(CHUNK).enumerate().with_min_len(4).for_each(|(i, sum)| {
        for part in &rest {
            vector::add(sum, &part[i * CHUNK..]);
        }
    });
    rest.into_iter().for_each(buffer::give);
    sum
}
