//! Inference without a tape. Batch norms are folded into the preceding convolution; sums and
//! rectifiers are fused into the last convolution that they depend on.

use super::addend::Addend;
use super::convolution::Conv;
use super::norm::BatchNorm;
use crate::buffer;
use crate::error::{Error, Result};
use crate::operator::Operator;
use crate::ops::normalised_sum::{ChannelAffine, NormalisedSum, Term};
use crate::ops::partition::{Epilogue, Residual};
use crate::ops::prepared_convolution::PreparedConvolution;
use crate::ops::prepared_pyramid::PreparedPyramid;
use crate::parameters::Parameters;
use crate::tape::Value;
use crate::tensors::{tensor, view};
use candle_core::Tensor;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The prepared convolutions of a network. Each is prepared on its first use, for the image size of
/// that use.
pub(crate) struct FoldedNetwork {
    /// Prepared layers by the index of the convolution's weights.
    ready: Vec<OnceLock<PreparedLayer>>,
    /// Whether each parameter has become part of a prepared layer.
    spent: Vec<AtomicBool>,
}

enum PreparedLayer {
    Convolution(PreparedConvolution),
    PreparedPyramid(PreparedPyramid),
}

impl FoldedNetwork {
    /// Nothing prepared yet, for this number of parameters.
    pub(crate) fn new(parameters: usize) -> Self {
        Self {
            ready: (0..parameters).map(|_| OnceLock::new()).collect(),
            spent: (0..parameters).map(|_| AtomicBool::new(false)).collect(),
        }
    }

    /// Indices of weights that are no longer read, since the layers made from them are prepared.
    pub(crate) fn spent(&self) -> impl Iterator<Item = usize> {
        (0..self.spent.len()).filter(|index| self.spent[*index].load(Ordering::Relaxed))
    }

    /// The layer prepared under an index, or prepared now from the weights of `of`.
    fn ready(
        &self,
        index: usize,
        of: &[&Conv],
        make: impl FnOnce() -> Result<PreparedLayer>,
    ) -> Result<&PreparedLayer> {
        let slot = &self.ready[index];
        if slot.get().is_none() {
            // Two threads may prepare the same layer; the results are equal.
            let _ = slot.set(make()?);
            for conv in of {
                self.spent[conv.weight].store(true, Ordering::Relaxed);
            }
        }
        slot.get().ok_or_else(|| unfit("nothing prepared".to_owned()))
    }

    /// Convolves onto `onto`, adding to its values, or into new memory.
    fn convolve(
        &self,
        parameters: &Parameters,
        (conv, norm): (&Conv, Option<BatchNorm>),
        x: &Tensor,
        finish: Epilogue,
        onto: Option<Vec<f32>>,
    ) -> Result<(Vec<f32>, [usize; 4])> {
        let [images, channels, height, width] = sizes(x)?;
        let ready = self.ready(conv.weight, &[conv], || {
            let (weight, shift) = weights(parameters, conv, norm)?;
            let size = [height, width];
            Ok(PreparedLayer::Convolution(PreparedConvolution::new(
                conv.window,
                &weight,
                shift,
                channels,
                size,
            )?))
        })?;
        let PreparedLayer::Convolution(prepared) = ready else {
            return Err(unfit("a pyramid's branch is used on its own".to_owned()));
        };
        let shape = <[usize; 4]>::from(prepared.shape(images));
        let mut y = onto.unwrap_or_else(|| buffer::take(shape.iter().product()));
        prepared.run(&view(x)?, finish, &mut y)?;
        Ok((y, shape))
    }

    /// Applies a convolution with its bias.
    pub(super) fn conv(&self, parameters: &Parameters, conv: &Conv, x: &Value) -> Result<Value> {
        let finish = Epilogue { residual: Residual::None, rectified: false };
        let (y, shape) = self.convolve(parameters, (conv, None), x.tensor(), finish, None)?;
        Ok(Value::constant(tensor(y, &shape)?))
    }

    /// Sums tensors and convolutions; if `rectified`, negative sums become 0.
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
            let residual = match (&sum, &others) {
                (Some(_), _) => Residual::Output,
                (None, Some(others)) => Residual::Other(others),
                (None, None) => Residual::None,
            };
            let finish = Epilogue { residual, rectified: rectified && n == last };
            let onto = sum.take().map(|(values, _)| values);
            sum = Some(self.convolve(parameters, (conv, norm), x.tensor(), finish, onto)?);
        }
        let (y, shape) = sum.ok_or_else(|| unfit("a sum of nothing".to_owned()))?;
        Ok(Value::constant(tensor(y, &shape)?))
    }

    /// Sum of normalised convolutions of one input, followed by 1 × 1 convolutions. Everything is
    /// linear, so the 1 × 1 convolutions are folded into the others. `None` where that does not
    /// pay.
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
            Ok(PreparedLayer::PreparedPyramid(PreparedPyramid::new(
                &kernels,
                shift,
                channels,
                [height, width],
            )?))
        })?;
        let PreparedLayer::PreparedPyramid(pyramid) = ready else {
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

/// A convolution's weights and the shift of each filter, with the norm that follows folded in.
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
        let affine: Vec<ChannelAffine> = norm.affine(parameters)?;
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

/// Product of a matrix with `rows` rows and one with any number of columns.
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
