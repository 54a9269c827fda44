//! Inference without a tape: a norm is part of the convolution before it, sums and rectifiers are part
//! of the last convolution that they depend on.

use super::basic::{Addend, BatchNorm, Conv};
use crate::buffer;
use crate::error::{Error, Result};
use crate::ops::normalised_sum::{Affine, NormalisedSum, Term};
use crate::ops::prepared::{Addend as Onto, Finish, Prepared};
use crate::ops::pyramid::Pyramid;
use crate::ops::{tensor, view};
use crate::parameters::Parameters;
use crate::tape::{Operator, Value};
use candle_core::Tensor;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The convolutions of a network, each prepared when it is first used: for the size of the images that
/// it then sees.
pub(crate) struct Folded {
    /// By the index of the convolution's weights.
    ready: Vec<OnceLock<Ready>>,
    /// Indices of the weights that others were made of.
    spent: Vec<AtomicBool>,
}

enum Ready {
    Convolution(Prepared),
    Pyramid(Pyramid),
}

impl Folded {
    /// Nothing prepared yet, for so many parameters.
    pub(crate) fn new(parameters: usize) -> Self {
        Self {
            ready: (0..parameters).map(|_| OnceLock::new()).collect(),
            spent: (0..parameters).map(|_| AtomicBool::new(false)).collect(),
        }
    }

    /// Weights that nothing reads again, as what was made of them is ready.
    pub(crate) fn spent(&self) -> impl Iterator<Item = usize> {
        (0..self.spent.len()).filter(|index| self.spent[*index].load(Ordering::Relaxed))
    }

    /// What is ready under an index, or is made now of the weights of some convolutions.
    fn ready(
        &self,
        index: usize,
        of: &[&Conv],
        make: impl FnOnce() -> Result<Ready>,
    ) -> Result<&Ready> {
        let place = &self.ready[index];
        if place.get().is_none() {
            // Made twice, it is the same.
            let _ = place.set(make()?);
            for conv in of {
                self.spent[conv.weight].store(true, Ordering::Relaxed);
            }
        }
        place.get().ok_or_else(|| unfit("nothing prepared".to_owned()))
    }

    /// Convolves onto `onto`, whose values are added, or onto new memory.
    fn convolve(
        &self,
        parameters: &Parameters,
        (conv, norm): (&Conv, Option<BatchNorm>),
        x: &Tensor,
        finish: Finish,
        onto: Option<Vec<f32>>,
    ) -> Result<(Vec<f32>, [usize; 4])> {
        let [images, channels, height, width] = sizes(x)?;
        let ready = self.ready(conv.weight, &[conv], || {
            let (weight, shift) = weights(parameters, conv, norm)?;
            let size = [height, width];
            Ok(Ready::Convolution(Prepared::new(conv.window, &weight, shift, channels, size)?))
        })?;
        let Ready::Convolution(prepared) = ready else {
            return Err(unfit("a pyramid's branch is used on its own".to_owned()));
        };
        let shape = <[usize; 4]>::from(prepared.shape(images));
        let mut y = onto.unwrap_or_else(|| buffer::take(shape.iter().product()));
        prepared.run(&view(x)?, finish, &mut y)?;
        Ok((y, shape))
    }

    /// A convolution, with what is added for each filter.
    pub(super) fn conv(&self, parameters: &Parameters, conv: &Conv, x: &Value) -> Result<Value> {
        let finish = Finish { addend: Onto::None, rectified: false };
        let (y, shape) = self.convolve(parameters, (conv, None), x.tensor(), finish, None)?;
        Ok(Value::constant(tensor(y, &shape)?))
    }

    /// Adds up tensors and convolutions; negative sums become 0 where `rectified`.
    pub(super) fn sum(
        &self,
        parameters: &Parameters,
        addends: &[Addend],
        rectified: bool,
    ) -> Result<Value> {
        let (mut convolved, mut terms, mut inputs) = (Vec::new(), Vec::new(), Vec::new());
        for addend in addends {
            match *addend {
                Addend::Convolved(conv, norm, x) => convolved.push((conv, norm, x)),
                Addend::Plain(x) => {
                    terms.push(Term::Plain);
                    inputs.push(x.tensor());
                }
                Addend::Normalised(norm, x) => {
                    terms.push(Term::Fixed(norm.running(parameters)));
                    let [scale, shift] =
                        [norm.weight, norm.bias].map(|index| &parameters.tensors[index]);
                    inputs.extend([x.tensor(), scale, shift]);
                }
            }
        }
        let last = convolved.len().checked_sub(1);
        let Some(last) = last else {
            let operator = NormalisedSum { terms, rectified };
            return Ok(Value::constant(operator.forward(&inputs)?));
        };
        let others = match (terms.as_slice(), inputs.as_slice()) {
            ([], _) => None,
            ([Term::Plain], [x]) => Some(Value::borrowed(x)),
            _ => {
                let operator = NormalisedSum { terms, rectified: false };
                Some(Value::constant(operator.forward(&inputs)?))
            }
        };
        let others = others.as_ref().map(|others| view(others.tensor())).transpose()?;
        let mut sum: Option<(Vec<f32>, [usize; 4])> = None;
        for (n, (conv, norm, x)) in convolved.into_iter().enumerate() {
            let addend = match (&sum, &others) {
                (Some(_), _) => Onto::Output,
                (None, Some(others)) => Onto::Other(others),
                (None, None) => Onto::None,
            };
            let finish = Finish { addend, rectified: rectified && n == last };
            let onto = sum.take().map(|(values, _)| values);
            sum = Some(self.convolve(parameters, (conv, norm), x.tensor(), finish, onto)?);
        }
        let (y, shape) = sum.ok_or_else(|| unfit("a sum of nothing".to_owned()))?;
        Ok(Value::constant(tensor(y, &shape)?))
    }

    /// Sum of normalised convolutions of one input, then 1 × 1 convolutions: from end to end linear, so
    /// that the latter are part of the former. `None` where that does not pay.
    pub(super) fn pyramid(
        &self,
        parameters: &Parameters,
        branches: &[(Conv, BatchNorm)],
        then: &[&Conv],
        x: &Value,
    ) -> Result<Option<Value>> {
        let [images, channels, height, width] = sizes(x.tensor())?;
        let (Some((first, _)), Some(end)) = (branches.first(), then.last()) else {
            return Ok(None);
        };
        let filters = parameters.specs[end.weight].shape[0];
        let same_size = |(conv, _): &(Conv, BatchNorm)| {
            let kept = conv.window.stride == 1 && 2 * conv.window.padding == conv.window.reach();
            kept.then_some(conv.window.size * conv.window.size)
        };
        let Some(planes) = branches.iter().map(same_size).sum::<Option<usize>>() else {
            return Ok(None);
        };
        if planes * filters > channels {
            return Ok(None);
        }
        let of: Vec<&Conv> =
            branches.iter().map(|(conv, _)| conv).chain(then.iter().copied()).collect();
        let ready = self.ready(first.weight, &of, || {
            let mut ends = Vec::new();
            for conv in then {
                ends.push(weights(parameters, conv, None)?);
            }
            let mut kernels = Vec::new();
            let mut shift =
                vec![0.0; ends.first().map_or(0, |(weight, end)| weight.len() / end.len())];
            for (conv, norm) in branches {
                let (mut weight, own) = weights(parameters, conv, Some(*norm))?;
                shift.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
                for (end, added) in &ends {
                    weight = product(end, &weight, added.len());
                }
                kernels.push((conv.window, weight));
            }
            for (end, added) in &ends {
                shift = product(end, &shift, added.len());
                shift.iter_mut().zip(added).for_each(|(sum, added)| *sum += added);
            }
            Ok(Ready::Pyramid(Pyramid::new(&kernels, shift, channels, [height, width])?))
        })?;
        let Ready::Pyramid(pyramid) = ready else {
            return Err(unfit("a convolution is used in a pyramid too".to_owned()));
        };
        let shape = <[usize; 4]>::from(pyramid.shape(images));
        let mut y = buffer::take(shape.iter().product());
        pyramid.run(&view(x.tensor())?, &mut y)?;
        Ok(Some(Value::constant(tensor(y, &shape)?)))
    }
}

fn unfit(problem: String) -> Error {
    Error::Shape { operator: "folded network", problem }
}

fn sizes(x: &Tensor) -> Result<[usize; 4]> {
    <[usize; 4]>::try_from(x.dims())
        .map_err(|_| unfit(format!("input {:?}, expected [B, C, H, W]", x.dims())))
}

/// A convolution's weights and what it adds for each filter, the norm after it among them.
fn weights(
    parameters: &Parameters,
    conv: &Conv,
    norm: Option<BatchNorm>,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let mut weight = view(&parameters.tensors[conv.weight])?.to_vec();
    let filters = parameters.specs[conv.weight].shape[0];
    let mut shift = match conv.bias {
        Some(bias) => view(&parameters.tensors[bias])?.to_vec(),
        None => vec![0.0; filters],
    };
    if let Some(norm) = norm {
        let affine: Vec<Affine> = norm.affine(parameters)?;
        let each = weight.len() / filters;
        for ((weight, sum), (scale, added)) in weight.chunks_mut(each).zip(&mut shift).zip(affine) {
            for weight in weight {
                *weight *= scale;
            }
            *sum = scale * *sum + added;
        }
    }
    Ok((weight, shift))
}

/// A matrix of `rows` rows times one of any number of columns.
fn product(a: &[f32], b: &[f32], rows: usize) -> Vec<f32> {
    let depth = a.len() / rows;
    let columns = b.len() / depth;
    let mut sums = vec![0.0f64; rows * columns];
    for (a, sums) in a.chunks_exact(depth).zip(sums.chunks_exact_mut(columns)) {
        for (a, b) in a.iter().zip(b.chunks_exact(columns)) {
            sums.iter_mut().zip(b).for_each(|(sum, b)| *sum += f64::from(*a) * f64::from(*b));
        }
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}
