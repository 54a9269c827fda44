//! Soft threshold dynamics, with smoothing as a product with one matrix per axis.

use super::resize::ResizeMatrices;
use super::sigmoid;
use crate::error::Result;
use crate::operator::Composed;
use crate::operator::Step;
use crate::ops::threshold_dynamics::ThresholdDynamics;
use candle_core::{DType, Tensor};

impl Composed for ThresholdDynamics {
    fn compose(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        ComposedDynamics::new(self, inputs)?.run(inputs[0], |_| {})
    }

    fn compose_back(&self, step: &Step) -> Result<Vec<Option<Tensor>>> {
        let dynamics = ComposedDynamics::new(self, step.inputs)?;
        let ComposedGradients { u, sigma, l1, l2 } = dynamics.back(step)?;
        // The derivative of softplus is the logistic function.
        let slope = |of: Tensor, raw: &Tensor| -> Result<Tensor> {
            Ok((of.reshape(raw.shape())? * sigmoid(raw)?)?)
        };
        let mut found = vec![Some(u), Some(slope(sigma, step.inputs[1])?)];
        for (of, raw) in [l1, l2].into_iter().zip(self.weights(step.inputs)) {
            if let (Some(of), Some(raw)) = (of, raw) {
                found.push(Some(slope(of, raw)?));
            }
        }
        Ok(found)
    }
}

/// The iteration for the images of one batch.
struct ComposedDynamics<'a> {
    operator: &'a ThresholdDynamics,
    kernel: SmoothingMatrices,
    /// The kernel's derivative with respect to sigma.
    slope: SmoothingMatrices,
    boundary: Boundary,
    /// `1 - c`, `[B, 1, 1, 1]`; `None` without a prior.
    doubt: Option<Tensor>,
    /// `l2 (1 - c)`, in the same shape.
    prior: Option<Tensor>,
}

/// The weight of the boundary length.
enum Boundary {
    Fixed(f64),
    /// `[1, 1, 1, 1]`.
    Learnt(Tensor),
}

impl Boundary {
    fn times(&self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Fixed(weight) => (x * *weight)?,
            Self::Learnt(weight) => x.broadcast_mul(weight)?,
        })
    }
}

/// Gradients with respect to the inputs; `None` for one that is no input.
struct ComposedGradients {
    u: Tensor,
    sigma: Tensor,
    l1: Option<Tensor>,
    l2: Option<Tensor>,
}

/// A kernel along one axis as matrices for rows and columns, with a replicated border.
struct SmoothingMatrices {
    rows: Tensor,
    columns: Tensor,
}

impl SmoothingMatrices {
    fn new(kernel: &Tensor, [height, width]: [usize; 2]) -> Result<Self> {
        Ok(Self { rows: matrix(kernel, height)?, columns: matrix(kernel, width)? })
    }
}

/// A kernel as a matrix `[n, n]` that smooths `n` pixels, with the first and the last replicated.
fn matrix(kernel: &Tensor, n: usize) -> Result<Tensor> {
    let size = kernel.dim(0)?;
    let radius = size / 2;
    // Rows of one value too many, concatenated: each starts one position later.
    let line = kernel.pad_with_zeros(0, 0, n)?.unsqueeze(0)?;
    let lines = line.broadcast_as((n, size + n))?.contiguous()?.flatten_all()?;
    let wide = lines.narrow(0, 0, n * (size + n - 1))?.reshape((n, size + n - 1))?;
    let middle = wide.narrow(1, radius, n)?.contiguous()?;
    if radius == 0 {
        return Ok(middle);
    }
    let outside = |first: usize| wide.narrow(1, first, radius)?.sum_keepdim(1);
    let before = outside(0)?.pad_with_zeros(1, 0, n - 1)?;
    let after = outside(radius + n)?.pad_with_zeros(1, n - 1, 0)?;
    Ok((middle + (before + after)?)?)
}

/// `ln(1 + exp(x))` in double precision.
fn softplus(x: &Tensor) -> Result<Tensor> {
    let x = x.to_dtype(DType::F64)?;
    Ok((x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?)?)
}

/// A normalised Gaussian and its derivative with respect to its deviation, `[2 * radius + 1]` each.
fn gaussian(sigma: &Tensor, radius: usize) -> Result<[Tensor; 2]> {
    let squares = (0..=2 * radius).map(|i| (i as f64 - radius as f64).powi(2)).collect();
    let squares = Tensor::from_vec(squares, 2 * radius + 1, sigma.device())?;
    let powers = squares.broadcast_div(&(sigma.sqr()? * -2.0)?)?.exp()?;
    let kernel = powers.broadcast_div(&powers.sum_keepdim(0)?)?;
    let mean = (&kernel * &squares)?.sum_keepdim(0)?;
    let cube = (sigma.sqr()? * sigma)?;
    let slope = (&kernel * squares.broadcast_sub(&mean)?)?.broadcast_div(&cube)?;
    Ok([kernel.to_dtype(DType::F32)?, slope.to_dtype(DType::F32)?])
}

impl<'a> ComposedDynamics<'a> {
    fn new(operator: &'a ThresholdDynamics, inputs: &[&Tensor]) -> Result<Self> {
        let size = operator.size(inputs)?;
        let [kernel, slope] = gaussian(&softplus(inputs[1])?, operator.radius)?;
        let doubt = match &operator.nodule_probability {
            None => None,
            Some(nodule_probability) => Some(nodule_probability.affine(-1.0, 1.0)?.reshape((
                nodule_probability.elem_count(),
                1,
                1,
                1,
            ))?),
        };
        let [l1, l2] = operator.weights(inputs);
        let boundary = match (operator.boundary, l1) {
            (None, Some(raw)) => {
                Boundary::Learnt(softplus(raw)?.to_dtype(DType::F32)?.reshape((1, 1, 1, 1))?)
            }
            (fixed, _) => Boundary::Fixed(f64::from(fixed.unwrap_or_default())),
        };
        let prior = match (&doubt, l2) {
            (Some(doubt), Some(raw)) => {
                Some(doubt.broadcast_mul(&softplus(raw)?.to_dtype(DType::F32)?)?)
            }
            _ => None,
        };
        let (kernel, slope) =
            (SmoothingMatrices::new(&kernel, size)?, SmoothingMatrices::new(&slope, size)?);
        Ok(Self { operator, kernel, slope, boundary, doubt, prior })
    }

    /// Iterates; `seen` receives the `x` at the start of each step.
    fn run(&self, u: &Tensor, mut seen: impl FnMut(&Tensor)) -> Result<Tensor> {
        let ThresholdDynamics { steps, entropy, .. } = *self.operator;
        let given = match &self.prior {
            None => u.clone(),
            Some(prior) => u.broadcast_sub(prior)?,
        };
        let kernel = ResizeMatrices::of(self.kernel.rows.clone(), self.kernel.columns.clone());
        let (mut v, mut x) = (u.clone(), sigmoid(u)?);
        for step in 0..steps {
            seen(&x);
            let smooth = kernel.run(&x.affine(-2.0, 1.0)?)?;
            let sum = (&given - self.boundary.times(&smooth)?)?;
            v = (sum / f64::from(entropy))?;
            if step + 1 < steps {
                x = sigmoid(&v)?;
            }
        }
        Ok(v)
    }

    fn back(&self, step: &Step) -> Result<ComposedGradients> {
        let entropy = self.operator.entropy;
        let (u, mut of_v) = (step.inputs[0], step.gradient.tensor().clone());
        let mut states = Vec::new();
        self.run(u, |x| states.push(x.clone()))?;
        let resize = |rows: &SmoothingMatrices, columns: &SmoothingMatrices| {
            ResizeMatrices::of(rows.rows.clone(), columns.columns.clone())
        };
        let smoothing = resize(&self.kernel, &self.kernel);
        let smooth_back = smoothing.transposed()?;
        // The kernel smooths along rows, then along columns, so its derivative is a sum of two.
        let slopes = [resize(&self.slope, &self.kernel), resize(&self.kernel, &self.slope)];
        let mut of_u = u.zeros_like()?;
        let mut of_sigma = u.zeros_like()?;
        let is_learnt = matches!(self.boundary, Boundary::Learnt(_));
        let mut of_l1 = is_learnt.then(|| u.zeros_like()).transpose()?;
        while let Some(x) = states.pop() {
            // From v = (u - boundary k*difference - prior) / entropy:
            of_v = (of_v / f64::from(entropy))?;
            of_u = (of_u + &of_v)?;
            let of_smooth = self.boundary.times(&of_v)?.neg()?;
            let difference = x.affine(-2.0, 1.0)?;
            if let Some(sum) = &mut of_l1 {
                *sum = (&*sum - (&of_v * smoothing.run(&difference)?)?)?;
            }
            let slope = (slopes[0].run(&difference)? + slopes[1].run(&difference)?)?;
            of_sigma = (of_sigma + (&of_smooth * slope)?)?;
            let of_x = (smooth_back.run(&of_smooth)? * -2.0)?;
            of_v = (of_x * (&x * x.affine(-1.0, 1.0)?)?)?;
        }
        // v is u - prior in each step, but u itself before the first.
        let of_l2 = match &self.doubt {
            None => None,
            Some(doubt) => Some(of_u.broadcast_mul(&doubt.neg()?)?.sum_all()?),
        };
        Ok(ComposedGradients {
            l2: of_l2,
            u: (of_u + of_v)?,
            sigma: of_sigma.sum_all()?,
            l1: of_l1.as_ref().map(Tensor::sum_all).transpose()?,
        })
    }
}
