//! Convolution and batch norm, and the pass through a network that they take part in.

use super::folded::Folded;
use crate::device::Operators;
use crate::error::Result;
use crate::ops::composed;
use crate::ops::convolution::{Convolution, Window};
use crate::ops::depthwise::Depthwise;
use crate::ops::normalised_sum::{Affine, Left, NormalisedSum, Statistics, Term, affine};
use crate::ops::sigmoid::sigmoids;
use crate::ops::up_convolution::UpConvolution;
use crate::ops::{tensor, view};
use crate::parameters::{Parameters, Scope, Start};
use crate::tape::{Operator, Tape, Value};
use candle_core::Tensor;

/// What each trained batch norm found in its batch.
type Found = Vec<(BatchNorm, Left)>;

/// One pass of a batch through a network.
pub(crate) struct Pass<'a> {
    parameters: &'a Parameters,
    way: Way<'a>,
    tape: Tape,
    /// Statistics of the batch norms that ran on the batch's own.
    statistics: Found,
}

/// How a pass runs.
#[derive(Clone, Copy)]
enum Way<'a> {
    /// With gradients; whether each parameter is trained.
    Training(&'a [bool]),
    /// One operator after the other.
    Evaluation,
    /// With operators that are folded into each other.
    Folded(&'a Folded),
}

impl<'a> Pass<'a> {
    /// A pass that gradients can be had of; `trained` tells for each parameter whether it changes.
    pub(crate) fn training(parameters: &'a Parameters, trained: &'a [bool]) -> Self {
        let tape = Tape::recording(parameters.place.operators);
        Self { parameters, way: Way::Training(trained), tape, statistics: Vec::new() }
    }

    /// A pass for the output's sake, between steps of training: nothing is prepared for it.
    pub(crate) fn evaluation(parameters: &'a Parameters) -> Self {
        let tape = Tape::forgetful(parameters.place.operators);
        Self { parameters, way: Way::Evaluation, tape, statistics: Vec::new() }
    }

    /// A pass for the output's sake with parameters that stay as they are.
    pub(crate) fn folded(parameters: &'a Parameters, folded: &'a Folded) -> Self {
        let tape = Tape::forgetful(parameters.place.operators);
        Self { parameters, way: Way::Folded(folded), tape, statistics: Vec::new() }
    }

    fn is_trained(&self, index: usize) -> bool {
        matches!(self.way, Way::Training(trained) if trained[index])
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

    /// Adds up tensors of one shape; negative sums become 0 where `rectified`.
    pub(crate) fn sum(&mut self, addends: &[Addend], rectified: bool) -> Result<Value> {
        if let Way::Folded(folded) = self.way {
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
                    inputs.push(conv.forward(self, x)?);
                }
                Addend::Convolved(conv, Some(norm), x) => {
                    let x = conv.forward(self, x)?;
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
            let found = Left::default();
            self.statistics.push((norm, found.clone()));
            return Term::Batch(found);
        }
        Term::Fixed(norm.running(self.parameters))
    }

    /// Depthwise convolution, after a norm and a rectifier where there is one.
    pub(crate) fn depthwise(
        &mut self,
        weight: usize,
        stride: usize,
        before: Option<BatchNorm>,
        x: &Value,
    ) -> Result<Value> {
        let operator = Depthwise { stride };
        match (self.way, before) {
            (Way::Folded(_), Some(norm)) => {
                let before = norm.affine(self.parameters)?;
                let inputs = [x.tensor(), &self.parameters.tensors[weight]];
                Ok(Value::constant(operator.run(&inputs, Some(&before))?))
            }
            (_, Some(norm)) => {
                let x = norm.rectified(self, x)?;
                self.depthwise(weight, stride, None, &x)
            }
            (_, None) => {
                let weight = self.parameter(weight);
                self.apply(operator, &[x, &weight])
            }
        }
    }

    /// The logistic function of a value, without a gradient.
    pub(crate) fn detached_sigmoid(&self, x: &Value) -> Result<Tensor> {
        match self.tape.operators() {
            Operators::Host => tensor(sigmoids(&view(x.tensor())?), x.tensor().dims()),
            Operators::Composed(_) => composed::sigmoid(x.tensor()),
        }
    }

    /// Sum of normalised convolutions of one input, then 1 × 1 convolutions.
    pub(crate) fn pyramid(
        &mut self,
        branches: &[(Conv, BatchNorm)],
        then: &[&Conv],
        x: &Value,
    ) -> Result<Value> {
        if let Way::Folded(folded) = self.way
            && let Some(found) = folded.pyramid(self.parameters, branches, then, x)?
        {
            return Ok(found);
        }
        let addends: Vec<Addend> =
            branches.iter().map(|(conv, norm)| Addend::Convolved(conv, Some(*norm), x)).collect();
        let mut x = self.sum(&addends, false)?;
        for conv in then {
            x = conv.forward(self, &x)?;
        }
        Ok(x)
    }

    /// The tape, and the statistics that the running ones are to follow.
    pub(crate) fn finish(self) -> (Tape, Found) {
        (self.tape, self.statistics)
    }
}

/// One term of [`Pass::sum`].
#[derive(Clone, Copy)]
pub(crate) enum Addend<'a> {
    /// As it is.
    Plain(&'a Value),
    /// Normalised.
    Normalised(BatchNorm, &'a Value),
    /// Convolved and, where there is a norm, normalised.
    Convolved(&'a Conv, Option<BatchNorm>, &'a Value),
}

/// Batch norm: indices of its parameters and running statistics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchNorm {
    pub(super) weight: usize,
    pub(super) bias: usize,
    mean: usize,
    variance: usize,
}

impl BatchNorm {
    /// Part of a batch's statistics in the running ones, as `PyTorch` has it by default.
    const MOMENTUM: f32 = 0.1;

    /// A batch norm over `channels`.
    pub(crate) fn new(mut scope: Scope, channels: usize) -> Self {
        let shape = [channels];
        Self {
            weight: scope.parameter("weight", &shape, Start::Constant(1.0)),
            bias: scope.parameter("bias", &shape, Start::Constant(0.0)),
            mean: scope.statistic("running_mean", &shape, Start::Constant(0.0)),
            variance: scope.statistic("running_var", &shape, Start::Constant(1.0)),
        }
    }

    /// The running statistics.
    pub(super) fn running(self, parameters: &Parameters) -> Statistics {
        let [mean, variance] =
            [self.mean, self.variance].map(|index| parameters.tensors[index].clone());
        Statistics { mean, variance, count: 0 }
    }

    /// What it comes to in each channel with the running statistics.
    pub(super) fn affine(self, parameters: &Parameters) -> Result<Vec<Affine>> {
        let [scale, shift] = [self.weight, self.bias].map(|index| &parameters.tensors[index]);
        affine(&self.running(parameters), &view(scale)?, &view(shift)?)
    }

    /// `max(0, norm(x))`.
    pub(crate) fn rectified(self, pass: &mut Pass, x: &Value) -> Result<Value> {
        pass.sum(&[Addend::Normalised(self, x)], true)
    }

    /// The running statistics' indices and next values after a batch.
    pub(crate) fn follow(
        self,
        parameters: &Parameters,
        batch: &Statistics,
    ) -> Result<[(usize, Tensor); 2]> {
        // The running variance is the sample's, the one that normalises the population's.
        let sample = batch.count as f32 / (batch.count.max(2) - 1) as f32;
        let follow = |index: usize, values: &Tensor, factor: f32| -> Result<_> {
            let part = |of: &Tensor, weight: f32| of.affine(f64::from(weight), 0.0);
            let old = part(&parameters.tensors[index], 1.0 - Self::MOMENTUM)?;
            Ok((index, (old + part(values, Self::MOMENTUM * factor)?)?))
        };
        Ok([follow(self.mean, &batch.mean, 1.0)?, follow(self.variance, &batch.variance, sample)?])
    }
}

/// A convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conv {
    pub(super) window: Window,
    pub(super) weight: usize,
    pub(super) bias: Option<usize>,
}

impl Conv {
    /// A convolution without bias, for where a batch norm follows or is added.
    // METHOD: weights start normal with variance 2 / fan-in (He 2015).
    pub(crate) fn new(mut scope: Scope, [channels, filters]: [usize; 2], window: Window) -> Self {
        let fan_in = channels * window.size * window.size;
        let start = Start::Normal((2.0 / fan_in as f32).sqrt());
        let shape = [filters, channels, window.size, window.size];
        Self { window, weight: scope.parameter("weight", &shape, start), bias: None }
    }

    /// A convolution with bias.
    pub(crate) fn with_bias(mut scope: Scope, counts: [usize; 2], window: Window) -> Self {
        let conv = Self::new(scope.same(), counts, window);
        let bias = scope.parameter("bias", &[counts[1]], Start::Constant(0.0));
        Self { bias: Some(bias), ..conv }
    }

    /// A convolution without bias, its weights started as torchvision starts `ResNet`'s: by
    /// fan-out.
    pub(crate) fn of_resnet(
        mut scope: Scope,
        [channels, filters]: [usize; 2],
        window: Window,
    ) -> Self {
        let fan_out = filters * window.size * window.size;
        let start = Start::Normal((2.0 / fan_out as f32).sqrt());
        let shape = [filters, channels, window.size, window.size];
        Self { window, weight: scope.parameter("weight", &shape, start), bias: None }
    }

    /// Applies it.
    pub(crate) fn forward(&self, pass: &mut Pass, x: &Value) -> Result<Value> {
        if let Way::Folded(folded) = pass.way {
            return folded.conv(pass.parameters, self, x);
        }
        let weight = pass.parameter(self.weight);
        let operator = Convolution(self.window);
        match self.bias {
            None => pass.apply(operator, &[x, &weight]),
            Some(bias) => {
                let bias = pass.parameter(bias);
                pass.apply(operator, &[x, &weight, &bias])
            }
        }
    }
}

/// A transposed convolution that doubles an image's size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UpConv {
    weight: usize,
    bias: usize,
}

impl UpConv {
    /// A 2 × 2 convolution, transposed, with bias.
    // METHOD: weights start normal with variance 2 / fan-in (He 2015); a pixel has one input a channel.
    pub(crate) fn new(mut scope: Scope, [channels, filters]: [usize; 2]) -> Self {
        let start = Start::Normal((2.0 / channels as f32).sqrt());
        Self {
            weight: scope.parameter("weight", &[channels, filters, 2, 2], start),
            bias: scope.parameter("bias", &[filters], Start::Constant(0.0)),
        }
    }

    /// Applies it.
    pub(crate) fn forward(&self, pass: &mut Pass, x: &Value) -> Result<Value> {
        let (weight, bias) = (pass.parameter(self.weight), pass.parameter(self.bias));
        pass.apply(UpConvolution, &[x, &weight, &bias])
    }
}

/// Convolution, norm, `ReLU`.
pub(crate) struct ConvUnit {
    conv: Conv,
    norm: BatchNorm,
}

impl ConvUnit {
    /// A convolution `conv` and a norm `bn`, each with the number after its name.
    pub(crate) fn numbered(
        scope: &mut Scope,
        number: &str,
        counts: [usize; 2],
        window: Window,
    ) -> Self {
        let conv = Conv::new(scope.inner(&format!("conv{number}")), counts, window);
        Self { conv, norm: BatchNorm::new(scope.inner(&format!("bn{number}")), counts[1]) }
    }

    /// A convolution `conv` and a norm `bn`.
    pub(crate) fn new(mut scope: Scope, counts: [usize; 2], window: Window) -> Self {
        Self::numbered(&mut scope, "", counts, window)
    }

    /// Applies it.
    pub(crate) fn forward(&self, pass: &mut Pass, x: &Value) -> Result<Value> {
        pass.sum(&[Addend::Convolved(&self.conv, Some(self.norm), x)], true)
    }
}
