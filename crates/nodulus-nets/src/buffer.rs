//! Memory for activations, reused from step to step.
//!
//! A training step creates and drops hundreds of tensors of a few MiB. If their memory went back to
//! the system, the next step would pay for its page faults again, which takes as long as the
//! arithmetic on it.

use candle_core::{CpuStorage, InplaceOp1, Layout, Tensor};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Idle buffers by capacity.
type IdleBuffers = BTreeMap<usize, Vec<Vec<f32>>>;

static IDLE: Mutex<IdleBuffers> = Mutex::new(IdleBuffers::new());

fn idle() -> MutexGuard<'static, IdleBuffers> {
    // Buffers hold no state that a panic could leave halfway.
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer of `len` values with unspecified contents.
pub(super) fn take(len: usize) -> Vec<f32> {
    let mut idle = idle();
    let mut buffer = Vec::new();
    if let Some((&capacity, same)) = idle.range_mut(len..=2 * len).next() {
        buffer = same.pop().unwrap_or_default();
        if same.is_empty() {
            idle.remove(&capacity);
        }
    }
    drop(idle);
    buffer.resize(len, 0.0);
    buffer
}

/// A buffer of `len` zeros.
pub(super) fn zeros(len: usize) -> Vec<f32> {
    let mut buffer = take(len);
    buffer.fill(0.0);
    buffer
}

/// Returns a buffer for reuse.
pub(super) fn give(buffer: Vec<f32>) {
    if buffer.capacity() > 0 {
        idle().entry(buffer.capacity()).or_default().push(buffer);
    }
}

/// Returns all idle buffers to the system.
pub(super) fn clear() {
    idle().clear();
}

/// Returns a tensor's memory for reuse. Neither the tensor nor one that shares its memory may be
/// used afterwards.
pub(super) fn reclaim(tensor: &Tensor) {
    // A tensor that is not on the CPU keeps its memory until it is dropped.
    drop(tensor.inplace_op1(&Reclaim));
}

struct Reclaim;

impl InplaceOp1 for Reclaim {
    fn name(&self) -> &'static str {
        "reclaim"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, _: &Layout) -> candle_core::Result<()> {
        if let CpuStorage::F32(values) = storage {
            give(std::mem::take(values));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "sums of small whole numbers are exact")]
    fn a_dropped_tensor_gives_its_memory_to_the_next_one_of_its_size() {
        // No other test uses this size: the tests share the idle buffers.
        const N: usize = 77_777_777;
        let tensor = Tensor::from_vec(vec![3.0f32; N], N, &candle_core::Device::Cpu).unwrap();
        reclaim(&tensor);
        let again = take(N - 1000);
        assert!(again.len() == N - 1000 && again.capacity() == N && again[0] == 3.0);
        let fresh = take(N);
        assert!(fresh.len() == N && fresh[0] == 0.0);
    }
}
