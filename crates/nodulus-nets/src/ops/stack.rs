//! Stacks of small images, so that matrix products are large enough to be fast.

use super::window::Window;
use crate::buffer;

/// `group` images stacked to one, with rows of zeros between them so that a window never covers
/// two.
#[derive(Clone, Copy)]
pub(super) struct ImageStack {
    group: usize,
    /// Rows of an image, and from one image to the next.
    rows: [usize; 2],
    /// The same in the output.
    rows_out: [usize; 2],
}

impl ImageStack {
    /// A stack for images of `[height, width]`, if they are small enough for it to pay.
    pub(super) fn new(window: Window, images: usize, [height, width]: [usize; 2]) -> Option<Self> {
        const SMALL: usize = 64;
        const ENOUGH: usize = 96;
        let (height_out, width_out) = (window.output(height)?, window.output(width)?);
        let pitch = (height + window.padding).next_multiple_of(window.stride);
        let pitch_out = pitch / window.stride;
        let group = images.div_ceil(2).min(ENOUGH.div_ceil(pitch_out * width_out));
        let fits = pitch_out >= height_out && window.output(group * pitch)? == group * pitch_out;
        (height_out * width_out < SMALL && group > 1 && fits).then_some(Self {
            group,
            rows: [height, pitch],
            rows_out: [height_out, pitch_out],
        })
    }

    /// Rows of a stack.
    pub(super) fn height(self) -> usize {
        self.group * self.rows[1]
    }

    /// Number of stacks of `images` images.
    pub(super) fn count(self, images: usize) -> usize {
        images.div_ceil(self.group)
    }

    /// Stacks inputs with these channels and columns.
    pub(super) fn put(self, x: &[f32], channels: usize, width: usize) -> Vec<f32> {
        put(x, self.group, channels, self.rows.map(|rows| rows * width))
    }

    /// Stacks outputs.
    pub(super) fn put_output(self, y: &[f32], channels: usize, width: usize) -> Vec<f32> {
        put(y, self.group, channels, self.rows_out.map(|rows| rows * width))
    }

    /// Takes inputs from stacks.
    pub(super) fn take(
        self,
        x: Vec<f32>,
        images: usize,
        channels: usize,
        width: usize,
    ) -> Vec<f32> {
        take(x, self.group, [images, channels], self.rows.map(|rows| rows * width))
    }

    /// Takes outputs from stacks.
    pub(super) fn take_output(
        self,
        y: Vec<f32>,
        images: usize,
        channels: usize,
        width: usize,
    ) -> Vec<f32> {
        take(y, self.group, [images, channels], self.rows_out.map(|rows| rows * width))
    }
}

fn put(from: &[f32], group: usize, channels: usize, [plane, pitch]: [usize; 2]) -> Vec<f32> {
    let images = from.len() / (channels * plane);
    let mut to = buffer::zeros(images.div_ceil(group) * channels * group * pitch);
    for (i, plane_of) in from.chunks_exact(plane).enumerate() {
        to[stacked_plane(i, group, channels) * pitch..][..plane].copy_from_slice(plane_of);
    }
    to
}

fn take(
    from: Vec<f32>,
    group: usize,
    [images, channels]: [usize; 2],
    [plane, pitch]: [usize; 2],
) -> Vec<f32> {
    let mut to = buffer::take(images * channels * plane);
    for (i, plane_of) in to.chunks_exact_mut(plane).enumerate() {
        plane_of.copy_from_slice(&from[stacked_plane(i, group, channels) * pitch..][..plane]);
    }
    buffer::give(from);
    to
}

/// Index of plane `i` of images and channels among planes of stacks, channels and images.
fn stacked_plane(i: usize, group: usize, channels: usize) -> usize {
    let (image, channel) = (i / channels, i % channels);
    (image / group * channels + channel) * group + image % group
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_a_stack_are_apart_and_come_back() {
        let stack = ImageStack::new(Window::centred(3, 1), 3, [1, 2]).unwrap();
        // Three images of two channels; two images make a stack.
        let x: Vec<f32> = (1..=12u8).map(f32::from).collect();
        let stacked = stack.put(&x, 2, 2);
        let first =
            [1.0, 2.0, 0.0, 0.0, 5.0, 6.0, 0.0, 0.0, 3.0, 4.0, 0.0, 0.0, 7.0, 8.0, 0.0, 0.0];
        assert_eq!(stacked[..16], first);
        assert_eq!(stacked[16..18], [9.0, 10.0]);
        assert_eq!(stack.take(stacked, 3, 2, 2), x);
        assert_eq!((stack.height(), stack.count(3)), (4, 2));
    }

    #[test]
    fn large_and_lone_images_are_left_alone() {
        let window = Window::centred(3, 2);
        assert!(ImageStack::new(window, 10, [16, 16]).is_none());
        assert!(ImageStack::new(window, 1, [8, 8]).is_none());
        assert!(ImageStack::new(window, 10, [8, 8]).is_some());
    }
}
