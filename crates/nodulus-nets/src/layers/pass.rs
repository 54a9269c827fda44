//! A pass of a batch through a network.

use super::addend::Addend;
use super::convolution::Conv;
use super::folded::FoldedNetwork;
use super::norm::BatchNorm;
use crate::backend::Execution;
use crate::error::Result;
use crate::operator::Operator;
use crate::ops::composed;
use crate::ops::convolution::Convolution;
use crate::ops::depthwise::Depthwise;
use crate::ops::normalised_sum::{NormalisedSum, StatisticsSlot, Term};
use crate::ops::sigmoid::sigmoids;
use crate::parameters::Parameters;
use crate::tape::{Tape, Value};
use crate::tensors::{tensor, view};
use candle_core::Tensor;

/// The statistics that each trained batch norm recorded.
type BatchStatistics = Vec<(BatchNorm, StatisticsSlot)>;

/// A pass of a batch through a network.
pub(crate) struct Pass<'a> {
    parameters: &'a Parameters,
    mode: PassMode<'a>,
    tape: Tape,
    /// Statistics of the batch norms that used those of the batch.
    statistics: BatchStatistics,
}

/// Mode of a pass.
#[derive(Clone, Copy)]
enum PassMode<'a> {
    /// With gradients; the slice says whether each parameter is trained.
    Training(&'a [bool]),
    /// Without gradients, one operator after the other.
    Evaluation,
    /// Without gradients, with folded operators.
    Folded(&'a FoldedNetwork),
}

impl<'a> Pass<'a> {
    /// A pass that records gradients; `trained` says whether each parameter is trained.
    pub(crate) fn training(parameters: &'a Parameters, trained: &'a [bool]) -> Self {
        let tape = Tape::recording(parameters.backend.execution);
        Self { parameters, mode: PassMode::Training(trained), tape, statistics: Vec::new() }
    }

    /// A pass without gradients between training steps; nothing is prepared for it.
    pub(crate) fn evaluation(parameters: &'a Parameters) -> Self {
        let tape = Tape::forgetful(parameters.backend.execution);
        Self { parameters, mode: PassMode::Evaluation, tape, statistics: Vec::new() }
    }

    /// A pass without gradients, with parameters that do not change.
    pub(crate) fn folded(parameters: &'a Parameters, folded: &'a FoldedNetwork) -> Self {
        let tape = Tape::forgetful(parameters.backend.execution);
        Self { parameters, mode: PassMode::Folded(folded), tape, statistics: Vec::new() }
    }

    fn is_trained(&self, index: usize) -> bool {
        matches!(self.mode, PassMode::Training(trained) if trained[index])
    }

    /// A parameter's value.
    pub(crate) fn parameter(&mut self, index: usize) -> Value {
        let wanted = self.is_trained(index).then_some(index);
        self.tape.parameter(&self.parameters.tensors[index], wanted)
    }

    /// Applies an operator.
    pub(crate) fn apply(
        &mut self,
        operator: impl Operator + 'static,
        inputs: &[&Value],
    ) -> Result<Value> {
        self.tape.apply(operator, inputs)
    }

    /// Applies a convolution.
    pub(crate) fn convolve(&mut self, conv: &Conv, x: &Value) -> Result<Value> {
        if let PassMode::Folded(folded) = self.mode {
            return folded.conv(self.parameters, conv, x);
        }
        let weight = self.parameter(conv.weight);
        let operator = Convolution(conv.window);
        match conv.bias {
            None => self.apply(operator, &[x, &weight]),
            Some(bias) => {
                let bias = self.parameter(bias);
                self.apply(operator, &[x, &weight, &bias])
            }
        }
    }

    /// Applies a batch norm and a rectifier: `max(0, norm(x))`.
    pub(crate) fn rectified(&mut self, norm: BatchNorm, x: &Value) -> Result<Value> {
        self.sum(&[Addend::Normalised(norm, x)], true)
    }

    /// Sums tensors of one shape; if `rectified`, negative sums become 0.
    pub(crate) fn sum(&mut self, addends: &[Addend], rectified: bool) -> Result<Value> {
        if let PassMode::Folded(folded) = self.mode {
            return folded.sum(self.parameters, addends, rectified);
        }
        let mut terms = Vec::new();
        let mut inputs = Vec::new();
        for addend in addends {
            match *addend {
                Addend::Plain(x) => {
                    terms.push(Term::Plain);
                    inputs.push(x.clone());
                }
                Addend::Normalised(norm, x) => {
                    terms.push(self.term(norm));
                    let (scale, shift) = (self.parameter(norm.weight), self.parameter(norm.bias));
                    inputs.extend([x.clone(), scale, shift]);
                }
                Addend::Convolved(conv, None, x) => {
                    terms.push(Term::Plain);
                    inputs.push(self.convolve(conv, x)?);
                }
                Addend::Convolved(conv, Some(norm), x) => {
                    let x = self.convolve(conv, x)?;
                    terms.push(self.term(norm));
                    let (scale, shift) = (self.parameter(norm.weight), self.parameter(norm.bias));
                    inputs.extend([x, scale, shift]);
                }
            }
        }
        let inputs: Vec<&Value> = inputs.iter().collect();
        self.tape.apply(NormalisedSum { terms, rectified }, &inputs)
    }

    /// A frozen batch norm runs as in evaluation.
    fn term(&mut self, norm: BatchNorm) -> Term {
        if self.is_trained(norm.weight) {
            let found = StatisticsSlot::default();
            self.statistics.push((norm, found.clone()));
            return Term::Batch(found);
        }
        Term::Fixed(norm.running(self.parameters))
    }

    /// Depthwise convolution, after the norm `before` and a rectifier if it is given.
    pub(crate) fn depthwise(
        &mut self,
        weight: usize,
        stride: usize,
        before: Option<BatchNorm>,
        x: &Value,
    ) -> Result<Value> {
        let operator = Depthwise { stride };
        match (self.mode, before) {
            (PassMode::Folded(_), Some(norm)) => {
                let before = norm.affine(self.parameters)?;
                let inputs = [x.tensor(), &self.parameters.tensors[weight]];
                Ok(Value::constant(operator.run(&inputs, Some(&before))?))
            }
            (_, Some(norm)) => {
                let x = self.rectified(norm, x)?;
                self.depthwise(weight, stride, None, &x)
            }
            (_, None) => {
                let weight = self.parameter(weight);
                self.apply(operator, &[x, &weight])
            }
        }
    }

    /// The logistic function of a value, detached from the gradient.
    pub(crate) fn detached_sigmoid(&self, x: &Value) -> Result<Tensor> {
        match self.tape.execution() {
            Execution::Host => tensor(sigmoids(&view(x.tensor())?), x.tensor().dims()),
            Execution::Composed(_) => composed::sigmoid(x.tensor()),
        }
    }

    /// Sum of normalised convolutions of one input, followed by 1 × 1 convolutions.
    pub(crate) fn pyramid(
        &mut self,
        branches: &[(Conv, BatchNorm)],
        then: &[&Conv],
        x: &Value,
    ) -> Result<Value> {
        if let PassMode::Folded(folded) = self.mode
            && let Some(found) = folded.pyramid(self.parameters, branches, then, x)?
        {
            return Ok(found);
        }
        let addends: Vec<Addend> =
            branches.iter().map(|(conv, norm)| Addend::Convolved(conv, Some(*norm), x)).collect();
        let mut x = self.sum(&addends, false)?;
        for conv in then {
            x = self.convolve(conv, &x)?;
        }
        Ok(x)
    }

    /// The tape, and the statistics that update the running ones.
    pub(crate) fn finish(self) -> (Tape, BatchStatistics) {
        (self.tape, self.statistics)
    }
}
