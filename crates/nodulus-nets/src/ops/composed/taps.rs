//! Views of an image under each element of a kernel, and their transposes.

use crate::error::Result;
use crate::ops::window::Window;
use candle_core::Tensor;

/// A kernel over images of one size.
///
/// Images get a border so wide that every element of the kernel covers a whole number of strides.
pub(super) struct Taps {
    window: Window,
    /// Rows and columns of the image, and of the output.
    size: [usize; 2],
    size_out: [usize; 2],
}

impl Taps {
    /// The axes of rows and columns.
    const AXES: [usize; 2] = [2, 3];

    pub(super) fn new(window: Window, size: [usize; 2], size_out: [usize; 2]) -> Self {
        Self { window, size, size_out }
    }

    /// The kernel's elements that lie on the image somewhere, row by row.
    pub(super) fn met(&self) -> Vec<[usize; 2]> {
        let [rows, columns] =
            [0, 1].map(|axis| self.window.met(self.size[axis], self.size_out[axis]));
        rows.iter().flat_map(|&row| columns.iter().map(move |&column| [row, column])).collect()
    }

    /// Pixels of the border before and after an axis of the image.
    fn border(&self, axis: usize) -> [usize; 2] {
        let Window { stride, padding, .. } = self.window;
        let end = self.window.reach() + self.size_out[axis] * stride;
        [padding, end.saturating_sub(self.size[axis] + padding)]
    }

    /// Images with a border of this value.
    pub(super) fn bordered(&self, x: &Tensor, value: f32) -> Result<Tensor> {
        let mut x = x.clone();
        for (axis, dim) in Self::AXES.into_iter().enumerate() {
            let mut parts = Vec::new();
            let [before, after] = self.border(axis).map(|n| {
                let mut shape = x.dims().to_vec();
                shape[dim] = n;
                (n > 0).then(|| Tensor::full(value, shape, x.device())).transpose()
            });
            parts.extend(before?);
            parts.push(x);
            parts.extend(after?);
            x = Tensor::cat(&parts, dim)?;
        }
        Ok(x)
    }

    /// Pixels of bordered images under one element, `[B, C, rows, columns]` of the output.
    pub(super) fn seen(&self, bordered: &Tensor, tap: [usize; 2]) -> Result<Tensor> {
        let Window { stride, dilation, .. } = self.window;
        let mut x = bordered.clone();
        for (axis, dim) in Self::AXES.into_iter().enumerate() {
            let n = self.size_out[axis];
            x = x.narrow(dim, tap[axis] * dilation, n * stride)?;
            if stride > 1 {
                let mut shape = x.dims().to_vec();
                shape[dim] = n;
                shape.insert(dim + 1, stride);
                x = x.reshape(shape)?.narrow(dim + 1, 0, 1)?.squeeze(dim + 1)?;
            }
        }
        Ok(x)
    }

    /// The transpose of [`Self::seen`].
    pub(super) fn put(&self, seen: &Tensor, tap: [usize; 2]) -> Result<Tensor> {
        let Window { stride, dilation, .. } = self.window;
        let mut x = seen.clone();
        for (axis, dim) in Self::AXES.into_iter().enumerate() {
            let n = self.size_out[axis] * stride;
            if stride > 1 {
                let mut shape = x.dims().to_vec();
                shape[dim] = n;
                let apart = x.unsqueeze(dim + 1)?.pad_with_zeros(dim + 1, 0, stride - 1)?;
                x = apart.reshape(shape)?;
            }
            let whole = self.size[axis] + self.border(axis).iter().sum::<usize>();
            let first = tap[axis] * dilation;
            x = x.pad_with_zeros(dim, first, whole - first - n)?;
        }
        Ok(x)
    }

    /// Bordered images without their border: the transpose of [`Self::bordered`].
    pub(super) fn cropped(&self, bordered: &Tensor) -> Result<Tensor> {
        let [rows, columns] = [0, 1].map(|axis| (self.border(axis)[0], self.size[axis]));
        Ok(bordered.narrow(2, rows.0, rows.1)?.narrow(3, columns.0, columns.1)?)
    }
}
