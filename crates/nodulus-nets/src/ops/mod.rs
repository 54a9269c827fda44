//! Operators with their gradients.
//!
//! Each takes and gives tensors of `f32`, contiguous, axes in the order that `PyTorch` uses (image,
//! channel, row, column). Sums run in an order that depends on the shapes alone, so that results
//! are the same bit for bit however many threads there are.

pub(super) mod composed;
pub(super) mod cuda;
mod product;
mod strips;
mod stack;
mod direct;
mod packed;
mod places;
mod winograd;
pub(super) mod vector;
pub(super) mod convolution;
pub(super) mod prepared;
pub(super) mod pyramid;
pub(super) mod depthwise;
pub(super) mod up_convolution;
pub(super) mod normalised_sum;
pub(super) mod max_pool;
pub(super) mod concatenation;
pub(super) mod bilinear;
pub(super) mod mean_score;
pub(super) mod global_mean;
pub(super) mod sigmoid;
pub(super) mod gate;
pub(super) mod multiplication;
pub(super) mod threshold_dynamics;
#[cfg(test)]
mod check;
#[cfg(test)]
mod golden;

use super::buffer;
use super::error::{Error, Result};
use candle_core::{CpuStorage, InplaceOp1, Layout, Storage, StorageRef, Tensor};
use std::cell::RefCell;

/// A contiguous tensor's values.
pub(super) struct View<'a> {
    storage: StorageRef<'a>,
    start: usize,
    end: usize,
}

/// Reads a tensor.
pub(super) fn view(tensor: &Tensor) -> Result<View<'_>> {
    let (storage, layout) = tensor.storage_and_layout();
    let offsets = layout.contiguous_offsets();
    match (&*storage, offsets) {
        (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) if end <= values.len() => {
            Ok(View { storage, start, end })
        }
        _ => Err(Error::Shape {
            operator: "view",
            problem: format!("{tensor:?} is not contiguous f32 on the CPU"),
        }),
    }
}

impl std::ops::Deref for View<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &*self.storage {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.start..self.end],
            _ => &[],
        }
    }
}

/// A tensor of these values.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<candle_core::Shape>) -> Result<Tensor> {
    Ok(Tensor::from_vec(values, shape.into(), &candle_core::Device::Cpu)?)
}

/// A tensor's values in order, wherever they are.
pub(super) fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    if tensor.device().is_cpu() {
        return Ok(tensor.flatten_all()?.to_vec1()?);
    }
    // A view of a card's memory would be copied with all that it is a part of.
    Ok(tensor.force_contiguous()?.flatten_all()?.to_vec1()?)
}

/// Changes the values of a tensor on the processor that is all of its memory.
pub(super) fn change(
    tensor: &Tensor,
    f: impl FnOnce(&mut [f32]) -> candle_core::Result<()>,
) -> candle_core::Result<()> {
    tensor.inplace_op1(&Change(RefCell::new(Some(f))))
}

struct Change<F>(RefCell<Option<F>>);

impl<F: FnOnce(&mut [f32]) -> candle_core::Result<()>> InplaceOp1 for Change<F> {
    fn name(&self) -> &'static str {
        "change"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        match (storage, layout.contiguous_offsets(), self.0.take()) {
            (CpuStorage::F32(values), Some((0, end)), Some(f)) if end == values.len() => f(values),
            _ => candle_core::bail!("no tensor of f32 that is all of its memory: {layout:?}"),
        }
    }
}

thread_local! {
    /// Working memory of one thread, kept between calls.
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with `len` values of working memory, whatever they are.
fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    // Taken out for the time of the call: a nested call gets memory of its own.
    let mut scratch = SCRATCH.take();
    if scratch.len() < len {
        scratch.resize(len, 0.0);
    }
    let result = f(&mut scratch[..len]);
    SCRATCH.replace(scratch);
    result
}

/// Elements that are worth a task of their own.
const GRAIN: usize = 16 << 10;

/// How many planes of `n` values are worth a task of their own.
fn planes_per_task(n: usize) -> usize {
    (GRAIN / n.max(1)).max(1)
}

/// Adds up buffers in order and gives them back, save the first, which gets the sum.
fn sum_in_order(parts: Vec<Vec<f32>>) -> Vec<f32> {
    use rayon::prelude::*;
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
