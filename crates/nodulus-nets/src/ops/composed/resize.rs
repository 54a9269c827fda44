//! Resizing of images, alone or before a concatenation: products with one matrix per axis.

use crate::error::Result;
use crate::operator::Composed;
use crate::operator::Step;
use crate::ops::bilinear::{Bilinear, Interpolation};
use crate::ops::concatenation::{Concatenation, Enlargement};
use candle_core::{Device, Tensor};

impl Composed for Bilinear {
    fn compose(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        self.resize(inputs[0])?.run(inputs[0])
    }

    fn compose_back(&self, step: &Step) -> Result<Vec<Option<Tensor>>> {
        let resize = self.resize(step.inputs[0])?;
        Ok(vec![Some(resize.transposed()?.run(step.gradient.tensor())?)])
    }
}

impl Bilinear {
    fn resize(&self, x: &Tensor) -> Result<ResizeMatrices> {
        let [_, _, height, width] = self.sizes(x)?;
        let [rows, columns] = self.interpolations([height, width]);
        ResizeMatrices::new([(rows, height), (columns, width)], x.device())
    }
}

impl Composed for Concatenation {
    fn compose(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        self.sizes(inputs)?;
        let mut parts: Vec<Tensor> = inputs.iter().map(|&input| input.clone()).collect();
        if let Some(how) = self.enlarged {
            parts[0] = enlarged(how, inputs[0])?.run(inputs[0])?;
        }
        Ok(Tensor::cat(&parts, 1)?)
    }

    fn compose_back(&self, step: &Step) -> Result<Vec<Option<Tensor>>> {
        let (mut first, mut found) = (0, Vec::new());
        for (n, channels) in self.sizes(step.inputs)?.channels.into_iter().enumerate() {
            let part = step.gradient.tensor().narrow(1, first, channels)?;
            first += channels;
            found.push(match self.enlarged {
                _ if !step.wanted[n] => None,
                Some(how) if n == 0 => {
                    Some(enlarged(how, step.inputs[0])?.transposed()?.run(&part)?)
                }
                _ => Some(part.contiguous()?),
            });
        }
        Ok(found)
    }
}

/// Enlarges images to twice their size.
fn enlarged(how: Enlargement, x: &Tensor) -> Result<ResizeMatrices> {
    let (_, _, height, width) = x.dims4()?;
    match how {
        Enlargement::Bilinear => Bilinear { size: [2 * height, 2 * width] }.resize(x),
        Enlargement::Nearest => {
            let interpolations = |n: usize| {
                let interpolation =
                    |i: usize| Interpolation { at: [i / 2; 2], weights: [1.0, 0.0] };
                (0..2 * n).map(interpolation).collect()
            };
            ResizeMatrices::new(
                [(interpolations(height), height), (interpolations(width), width)],
                x.device(),
            )
        }
    }
}

/// Weights of the pixels along each axis.
pub(super) struct ResizeMatrices {
    /// `[H, h]`, and `[W, w]`.
    rows: Tensor,
    columns: Tensor,
}

impl ResizeMatrices {
    fn new(axes: [(Vec<Interpolation>, usize); 2], device: &Device) -> Result<Self> {
        let [rows, columns] = axes.map(|(interpolations, from)| {
            let mut weights = vec![0.0f32; interpolations.len() * from];
            for (line, interpolation) in weights.chunks_exact_mut(from).zip(&interpolations) {
                for (at, weight) in interpolation.at.into_iter().zip(interpolation.weights) {
                    line[at] += weight;
                }
            }
            Tensor::from_vec(weights, (interpolations.len(), from), device)
        });
        Ok(Self { rows: rows?, columns: columns? })
    }

    /// From matrices `[H, h]` and `[W, w]`.
    pub(super) fn of(rows: Tensor, columns: Tensor) -> Self {
        Self { rows, columns }
    }

    /// The transposed operation.
    pub(super) fn transposed(&self) -> Result<Self> {
        Ok(Self { rows: self.rows.t()?, columns: self.columns.t()? })
    }

    /// `[B, C, h, w]` as `[B, C, H, W]`.
    pub(super) fn run(&self, x: &Tensor) -> Result<Tensor> {
        let (images, channels, height, width) = x.dims4()?;
        let [rows, columns] = [self.rows.dim(0)?, self.columns.dim(0)?];
        let planes = images * channels;
        let x = x.reshape((planes * height, width))?.matmul(&self.columns.t()?)?;
        let y = self.rows.broadcast_matmul(&x.reshape((planes, height, columns))?)?;
        Ok(y.reshape((images, channels, rows, columns))?)
    }
}
