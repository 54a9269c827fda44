//! Memory for activations, used again from step to step.
//!
//! A training step makes and drops hundreds of tensors of a few MiB. Given back to the system, each
//! costs its page faults again at the next step, which takes as long as the arithmetic on it.

use candle_core::{CpuStorage, InplaceOp1, Layout, Tensor};
use std::cell::RefCell;
use std::collections::BTreeMap;

thread_local! {
    /// Idle buffers of this thread by capacity.
    static IDLE: RefCell<BTreeMap<usize, Vec<Vec<f32>>>> = const { RefCell::new(BTreeMap::new()) };
}

/// A buffer of `len` values, whatever they are.
pub(super) fn take(len: usize) -> Vec<f32> {
    let found = IDLE.with_borrow_mut(|idle| {
        let (&capacity, same) = idle.range_mut(len..=2 * len).next()?;
        let buffer = same.pop();
        if same.is_empty() {
            idle.remove(&capacity);
        }
        buffer
    });
    let mut buffer = found.unwrap_or_default();
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
        IDLE.with_borrow_mut(|idle| idle.entry(buffer.capacity()).or_default().push(buffer));
    }
}

/// Gives this thread's idle buffers back to the system.
pub(super) fn clear() {
    IDLE.with_borrow_mut(BTreeMap::clear);
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
    fn a_dropped_tensor_gives_its_memory_to_the_next_one_of_its_size() {
        clear();
        let tensor = Tensor::from_vec(vec![3.0f32; 100], 100, &candle_core::Device::Cpu).unwrap();
        reclaim(&tensor);
        assert_eq!(take(90)[..], [3.0; 90]);
        let fresh = take(90);
        assert_eq!(fresh[..], [0.0; 90]);
        give(fresh);
        assert_eq!(take(10).capacity(), 10);
        clear();
    }
}
