//! Maximum over windows.

use super::plus;
use super::taps::Taps;
use crate::error::Result;
use crate::operator::Composed;
use crate::operator::Step;
use crate::ops::max_pool::MaxPool;
use candle_core::Tensor;

impl Composed for MaxPool {
    fn compose(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let taps = self.taps(inputs[0])?;
        let bordered = taps.bordered(inputs[0], f32::NEG_INFINITY)?;
        let mut largest: Option<Tensor> = None;
        for tap in taps.met() {
            let seen = taps.seen(&bordered, tap)?;
            largest = Some(match largest {
                None => seen,
                Some(largest) => largest.maximum(&seen)?,
            });
        }
        // A window always covers a pixel of the image.
        Ok(largest.unwrap_or(bordered).contiguous()?)
    }

    fn compose_back(&self, step: &Step) -> Result<Vec<Option<Tensor>>> {
        let taps = self.taps(step.inputs[0])?;
        let bordered = taps.bordered(step.inputs[0], f32::NEG_INFINITY)?;
        // The first of several, as in `PyTorch`: the rest of the gradient goes on to the next one.
        let (mut left, mut sum) = (step.gradient.tensor().clone(), None);
        for tap in taps.met() {
            let is_largest = taps.seen(&bordered, tap)?.eq(step.output)?.to_dtype(left.dtype())?;
            let taken = (&left * is_largest)?;
            left = (left - &taken)?;
            sum = Some(plus(sum, taps.put(&taken, tap)?)?);
        }
        let found = match sum {
            Some(sum) => taps.cropped(&sum)?,
            None => step.inputs[0].zeros_like()?,
        };
        Ok(vec![Some(found)])
    }
}

impl MaxPool {
    fn taps(&self, x: &Tensor) -> Result<Taps> {
        let size_out = self.size_out(x)?;
        let (_, _, height, width) = x.dims4()?;
        Ok(Taps::new(self.0, [height, width], size_out))
    }
}
