//! Reading, making and changing the values of tensors.

use super::error::{Error, Result};
use candle_core::{CpuStorage, InplaceOp1, Layout, Storage, StorageRef, Tensor};
use std::cell::RefCell;

/// The values of a contiguous tensor on the processor.
pub(super) struct View<'a> {
    storage: StorageRef<'a>,
    start: usize,
    end: usize,
}

/// Borrows the values of a contiguous `f32` tensor on the processor.
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

/// Makes a tensor of these values on the processor.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<candle_core::Shape>) -> Result<Tensor> {
    Ok(Tensor::from_vec(values, shape.into(), &candle_core::Device::Cpu)?)
}

/// Copies a tensor's values in order, from any device.
pub(super) fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    if tensor.device().is_cpu() {
        return Ok(tensor.flatten_all()?.to_vec1()?);
    }
    // Copying a view directly would copy all of the card's memory that it is part of.
    Ok(tensor.force_contiguous()?.flatten_all()?.to_vec1()?)
}

/// Changes the values of a tensor on the processor in place. The tensor must span all of its
/// memory.
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
