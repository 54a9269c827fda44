//! Window of a convolution or a pooling.

use std::ops::Range;

/// A square kernel and its movement over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Window {
    /// Rows and columns of the kernel.
    pub(crate) size: usize,
    /// Step between two outputs, in pixels.
    pub(crate) stride: usize,
    /// Pixels of padding on each side of the input.
    pub(crate) padding: usize,
    /// Step between two elements of the kernel, in pixels.
    pub(crate) dilation: usize,
}

impl Window {
    /// A kernel of odd size that keeps the image's size at stride 1.
    pub(crate) fn centred(size: usize, stride: usize) -> Self {
        Self { size, stride, padding: size / 2, dilation: 1 }
    }

    /// A 3 × 3 kernel with `dilation` pixels between its elements that keeps the image's size.
    pub(crate) fn dilated(dilation: usize) -> Self {
        Self { size: 3, stride: 1, padding: dilation, dilation }
    }

    /// Pixels along an axis of the output; `None` where the kernel does not fit.
    pub(super) fn output(self, input: usize) -> Option<usize> {
        let room = (input + 2 * self.padding).checked_sub(self.reach() + 1)?;
        Some(room / self.stride + 1)
    }

    /// Distance from the kernel's first element to its last.
    pub(crate) fn reach(self) -> usize {
        self.dilation * (self.size - 1)
    }

    /// Outputs for which the kernel's element `k` lies on the input.
    pub(super) fn valid(self, k: usize, input: usize, output: usize) -> Range<usize> {
        let shift = k * self.dilation;
        let start = self.padding.saturating_sub(shift).div_ceil(self.stride).min(output);
        let end = (input + self.padding).saturating_sub(shift).div_ceil(self.stride);
        start..end.clamp(start, output)
    }

    /// Elements of the kernel that lie on the input for any output.
    pub(super) fn met(self, input: usize, output: usize) -> Vec<usize> {
        (0..self.size).filter(|&k| !self.valid(k, input, output).is_empty()).collect()
    }
}
