//! Memory for activations, used again from step to step.
//!
//! A training step makes and drops hundreds of tensors of a few MiB. Given back to the system, each
//! costs its page faults again at the next step, which takes as long as the arithmetic on it.

use candle_core::{CpuStorage, InplaceOp1, Layout, Tensor};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Idle buffers by capacity.
type Idle = BTreeMap<usize, Vec<Vec<f32>>>;

static IDLE: Mutex<Idle> = Mutex::new(Idle::new());

fn idle() -> MutexGuard<'static, Idle> {
    // Buffers hold no state that a panic could leave halfway.
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer of `len` values, whatever they are.
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

/// Gives a buffer back.
pub(super) fn give(buffer: Vec<f32>) {
    if buffer.capacity() > 0 {
        idle().entry(buffer.capacity()).or_default().push(buffer);
    }
}

/// Gives idle buffers back to the system.
pub(super) fn clear() {
    idle().clear();
}

/// Gives the memory of a tensor back; nothing else may use the tensor, nor one that shares its
/// memory, afterwards.
pub(super) fn reclaim(tensor: &Tensor) {
    // A tensor that is no CPU tensor keeps its memory until it is dropped.
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
        // A size that no other test uses: they share the idle buffers.
        const N: usize = 77_777_777;
        let tensor = Tensor::from_vec(vec![3.0f32; N], N, &candle_core::Device::Cpu).unwrap();
        reclaim(&tensor);
        let again = take(N - 1000);
        assert!(again.len() == N - 1000 && again.capacity() == N && again[0] == 3.0);
        let fresh = take(N);
        assert!(fresh.len() == N && fresh[0] == 0.0);
    }
}
