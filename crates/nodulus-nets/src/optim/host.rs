//! Adam's step on the processor: in place, in one pass over memory.

use super::update::{BETAS, EPSILON, Moments, StepSettings, UpdateFactors, clipped};
use crate::error::Result;
use crate::parameters::Parameters;
use crate::tape::Gradients;
use crate::tensors::{change, tensor, view};
use rayon::prelude::*;

/// Values that one thread updates at a time.
const CHUNK: usize = 1 << 14;

/// See [`super::Adam::step`].
pub(super) fn step(
    moments: &mut [Option<Moments>],
    parameters: &Parameters,
    gradients: &Gradients,
    rates: StepSettings,
) -> Result<()> {
    let scale = match rates.clip_norm {
        Some(limit) => clipped(norm(gradients)?, limit) as f32,
        None => 1.0,
    };
    for (index, gradient) in gradients.iter() {
        let moments = match &mut moments[index] {
            Some(moments) => moments,
            slot @ None => {
                let zeros = || tensor(vec![0.0; gradient.elem_count()], gradient.dims());
                slot.insert(Moments { first: zeros()?, second: zeros()?, steps: 0 })
            }
        };
        moments.steps += 1;
        let update = UpdateFactors::new(rates, moments.steps);
        let gradient = view(gradient)?;
        change(&moments.first, |first| {
            change(&moments.second, |second| {
                change(&parameters.tensors[index], |values| {
                    let lengths = [first.len(), second.len(), values.len()];
                    if lengths != [gradient.len(); 3] {
                        candle_core::bail!("{lengths:?} values for {} gradients", gradient.len());
                    }
                    update.run(scale, values, &gradient, [first, second]);
                    Ok(())
                })
            })
        })?;
    }
    Ok(())
}

impl UpdateFactors {
    fn run(&self, scale: f32, values: &mut [f32], gradient: &[f32], moments: [&mut [f32]; 2]) {
        let Self { rate, root, onto_gradient, kept } = *self;
        let [first, second] = moments;
        let [b1, b2] = BETAS.map(|beta| beta as f32);
        let epsilon = EPSILON as f32;
        values
            .par_chunks_mut(CHUNK)
            .zip(gradient.par_chunks(CHUNK))
            .zip(first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK)))
            .for_each(|((values, gradients), (first, second))| {
                let moments = first.iter_mut().zip(second);
                for ((p, g), (m, v)) in values.iter_mut().zip(gradients).zip(moments) {
                    let g = scale * g + onto_gradient * *p;
                    *m = b1 * *m + (1.0 - b1) * g;
                    *v = b2 * *v + (1.0 - b2) * g * g;
                    *p = kept * *p - rate * *m / (v.sqrt() * root + epsilon);
                }
            });
    }
}

/// The Euclidean norm of all gradients together, the same for any number of threads.
fn norm(gradients: &Gradients) -> Result<f64> {
    let mut squares = Vec::new();
    for (index, gradient) in gradients.iter() {
        let chunks = view(gradient)?;
        let square = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        let sums: Vec<f64> = chunks.par_chunks(CHUNK).map(square).collect();
        squares.push((index, sums.iter().sum::<f64>()));
    }
    squares.sort_unstable_by_key(|(index, _)| *index);
    Ok(squares.iter().map(|(_, square)| square).sum::<f64>().sqrt())
}
