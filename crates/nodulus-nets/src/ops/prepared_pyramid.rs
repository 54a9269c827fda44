//! Sum of convolutions of one input with few filters. One 1 × 1 convolution computes a plane for
//! each element of each kernel, and the planes are shifted and summed.

use super::partition::{Epilogue, Residual};
use super::prepared_convolution::PreparedConvolution;
use super::window::Window;
use crate::buffer;
use crate::error::{Error, Result};
use crate::vector;
use rayon::prelude::*;

/// Convolutions that keep an image's size, prepared for images of one size.
pub(crate) struct PreparedPyramid {
    products: PreparedConvolution,
    planes: Vec<ShiftedPlane>,
    channels: usize,
    shift: Vec<f32>,
    size: [usize; 2],
}

/// The filter that a plane is added to, and its shift.
struct ShiftedPlane {
    filter: usize,
    rows: isize,
    columns: isize,
}

impl PreparedPyramid {
    /// Prepares kernels with weights `[D, C, k, k]` and the shift of each filter for images of
    /// `[height, width]`.
    ///
    /// # Errors
    ///
    /// Fails if a kernel does not keep the image's size, or if the weights do not have that shape.
    pub(crate) fn new(
        kernels: &[(Window, Vec<f32>)],
        shift: Vec<f32>,
        channels: usize,
        size: [usize; 2],
    ) -> Result<Self> {
        let (mut planes, mut weights) = (Vec::new(), Vec::new());
        for (window, weight) in kernels {
            let Window { size: kernel, padding, dilation, .. } = *window;
            let keeps = size.map(|n| window.output(n)) == size.map(Some);
            if !keeps || weight.len() != shift.len() * channels * kernel * kernel {
                return Err(Error::Shape {
                    operator: "pyramid",
                    problem: format!("{window:?} with {} weights at {size:?}", weight.len()),
                });
            }
            let [met_rows, met_columns] = size.map(|n| window.met(n, n));
            let offset = |k: usize| (k * dilation) as isize - padding as isize;
            for filter in 0..shift.len() {
                for ky in &met_rows {
                    for kx in &met_columns {
                        planes.push(ShiftedPlane {
                            filter,
                            rows: offset(*ky),
                            columns: offset(*kx),
                        });
                        weights.extend((0..channels).map(|c| {
                            weight[((filter * channels + c) * kernel + ky) * kernel + kx]
                        }));
                    }
                }
            }
        }
        let none = vec![0.0; planes.len()];
        let products =
            PreparedConvolution::new(Window::centred(1, 1), &weights, none, channels, size)?;
        Ok(Self { products, planes, channels, shift, size })
    }

    /// Shape of the output for `images` images.
    pub(crate) fn shape(&self, images: usize) -> (usize, usize, usize, usize) {
        (images, self.shift.len(), self.size[0], self.size[1])
    }

    /// The sum of the convolutions of images.
    ///
    /// # Errors
    ///
    /// Fails if the images or the output do not have the prepared size.
    pub(crate) fn run(&self, x: &[f32], y: &mut [f32]) -> Result<()> {
        let pixels = self.size[0] * self.size[1];
        let images = x.par_chunks(self.channels * pixels);
        let images = images.zip(y.par_chunks_mut(self.shift.len() * pixels));
        images.try_for_each(|(x, y)| {
            let finish = Epilogue { residual: Residual::None, rectified: false };
            let mut products = buffer::take(self.planes.len() * pixels);
            self.products.run(x, finish, &mut products)?;
            for (y, shift) in y.chunks_exact_mut(pixels).zip(&self.shift) {
                y.fill(*shift);
            }
            for (plane, values) in self.planes.iter().zip(products.chunks_exact(pixels)) {
                self.add(plane, values, &mut y[plane.filter * pixels..][..pixels]);
            }
            buffer::give(products);
            Ok(())
        })
    }

    fn add(&self, plane: &ShiftedPlane, from: &[f32], to: &mut [f32]) {
        let [height, width] = self.size;
        let skip = plane.columns.unsigned_abs();
        let len = width - skip;
        let (first, source) = if plane.columns < 0 { (skip, 0) } else { (0, skip) };
        for (row, to) in to.chunks_exact_mut(width).enumerate() {
            let Some(row) = row.checked_add_signed(plane.rows).filter(|row| *row < height) else {
                continue;
            };
            vector::add(&mut to[first..first + len], &from[row * width + source..][..len]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{output, random};
    use super::super::convolution::Convolution;
    use super::*;
    use crate::tensors::view;

    #[test]
    fn it_is_the_sum_of_the_convolutions() {
        let (images, channels, filters, size) = (3, 5, 2, [12, 10]);
        let x = random(&[images, channels, size[0], size[1]], 1);
        let mut expected = vec![0.0; images * filters * size[0] * size[1]];
        let mut kernels = Vec::new();
        for dilation in [1, 5, 10, 15] {
            let window = Window { size: 3, stride: 1, padding: dilation, dilation };
            let weight = random(&[filters, channels, 3, 3], dilation as u64);
            let inputs = [x.clone(), weight.clone()];
            vector::add(&mut expected, &output(&Convolution(window), &inputs));
            kernels.push((window, view(&weight).unwrap().to_vec()));
        }
        let pyramid = PreparedPyramid::new(&kernels, vec![0.0, 2.0], channels, size).unwrap();
        let mut y = vec![9.0; expected.len()];
        pyramid.run(&view(&x).unwrap(), &mut y).unwrap();
        for (i, (y, e)) in y.iter().zip(&expected).enumerate() {
            let e = e + 2.0 * (i / 120 % 2) as f32;
            assert!((y - e).abs() < 1e-5, "{i}: {y}, expected {e}");
        }
        let smaller = [(Window { padding: 0, ..Window::centred(3, 1) }, vec![0.0; 45])];
        assert!(PreparedPyramid::new(&smaller, vec![0.0], channels, size).is_err());
    }
}
