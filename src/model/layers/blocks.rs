//! The segmenter's building blocks.

use super::basic::{Addend, BatchNorm, Conv, Pass};
use crate::model::error::Result;
use crate::model::ops::concatenation::Concatenation;
use crate::model::ops::convolution::Window;
use crate::model::parameters::{Scope, Start};
use crate::model::tape::Value;

/// `below` enlarged to twice its size, then `skip`.
pub(in crate::model) fn up(pass: &mut Pass, below: &Value, skip: &Value) -> Result<Value> {
    pass.apply(Concatenation { enlarged: true }, &[below, skip])
}

/// 3 × 3 depthwise, then 1 × 1 convolution.
struct SeparableConv {
    depthwise: usize,
    stride: usize,
    pointwise: Conv,
}

impl SeparableConv {
    fn new(scope: &mut Scope, [from, to]: [usize; 2], stride: usize, bias: bool) -> Self {
        let start = Start::Normal((2.0f32 / 9.0).sqrt());
        let depthwise = scope.inner("depthwise").parameter("weight", &[from, 1, 3, 3], start);
        let (inner, window) = (scope.inner("pointwise"), Window::centred(1, 1));
        let pointwise = if bias {
            Conv::with_bias(inner, [from, to], window)
        } else {
            Conv::new(inner, [from, to], window)
        };
        Self { depthwise, stride, pointwise }
    }
}

/// Main path: norm, `ReLU`, separable convolution, norm, `ReLU`, 3 × 3 convolution. Skip path: 1 × 1
/// convolution, norm. Their sum.
// METHOD: a convolution has no bias where a batch norm follows it or is added to it.
pub(in crate::model) struct ResidualUnit {
    norm1: BatchNorm,
    separable: SeparableConv,
    norm2: BatchNorm,
    conv: Conv,
    skip: Conv,
    skip_norm: BatchNorm,
}

impl ResidualUnit {
    /// A unit from and to so many channels.
    pub(in crate::model) fn new(scope: &mut Scope, [from, to]: [usize; 2], stride: usize) -> Self {
        let mut main = scope.inner("main");
        let norm1 = BatchNorm::new(main.inner("bn1"), from);
        let separable = SeparableConv::new(&mut main, [from, to], stride, false);
        let norm2 = BatchNorm::new(main.inner("bn2"), to);
        let conv = Conv::new(main.inner("conv"), [to, to], Window::centred(3, 1));
        let mut inner = scope.inner("skip");
        let skip = Conv::new(inner.inner("conv"), [from, to], Window::centred(1, stride));
        let skip_norm = BatchNorm::new(inner.inner("bn"), to);
        Self { norm1, separable, norm2, conv, skip, skip_norm }
    }

    /// Applies it.
    pub(in crate::model) fn forward(&self, pass: &mut Pass, x: &Value) -> Result<Value> {
        let SeparableConv { depthwise, stride, pointwise } = &self.separable;
        let main = pass.depthwise(*depthwise, *stride, Some(self.norm1), x)?;
        let main = pass.sum(&[Addend::Convolved(pointwise, Some(self.norm2), &main)], true)?;
        let main = Addend::Convolved(&self.conv, None, &main);
        pass.sum(&[main, Addend::Convolved(&self.skip, Some(self.skip_norm), x)], false)
    }
}

/// Atrous spatial pyramid pooling: 3 × 3 convolutions of several dilations, each with a norm, their
/// sum, a 1 × 1 convolution.
pub(in crate::model) struct Pyramid {
    branches: Vec<(Conv, BatchNorm)>,
    out: Conv,
}

impl Pyramid {
    /// A pyramid that keeps the number of channels.
    pub(in crate::model) fn new(scope: &mut Scope, channels: usize, dilations: &[usize]) -> Self {
        let counts = [channels; 2];
        let branches = dilations.iter().enumerate().map(|(i, &dilation)| {
            let mut scope = scope.inner(&i.to_string());
            let window = Window { size: 3, stride: 1, padding: dilation, dilation };
            let conv = Conv::new(scope.inner("conv"), counts, window);
            (conv, BatchNorm::new(scope.inner("bn"), channels))
        });
        let branches = branches.collect();
        let out = Conv::with_bias(scope.inner("out"), counts, Window::centred(1, 1));
        Self { branches, out }
    }

    /// Applies it, then a 1 × 1 convolution where there is one.
    pub(in crate::model) fn forward(
        &self,
        pass: &mut Pass,
        x: &Value,
        then: Option<&Conv>,
    ) -> Result<Value> {
        let then: Vec<&Conv> = [Some(&self.out), then].into_iter().flatten().collect();
        pass.pyramid(&self.branches, &then, x)
    }
}

/// Combines a feature of the segmenter with one of the classifier: 1 × 1 convolution of the latter,
/// both after each other, 1 × 1 convolution, separable convolution.
pub(in crate::model) struct Combination {
    classifier: Conv,
    merge: Conv,
    separable: SeparableConv,
}

impl Combination {
    /// A combination of so many channels of the segmenter and the classifier.
    pub(in crate::model) fn new(scope: &mut Scope, [segmenter, classifier]: [usize; 2]) -> Self {
        let window = Window::centred(1, 1);
        let mut conv = |name: &str, counts| Conv::with_bias(scope.inner(name), counts, window);
        Self {
            classifier: conv("classifier", [classifier; 2]),
            merge: conv("merge", [segmenter + classifier, segmenter]),
            separable: SeparableConv::new(scope, [segmenter; 2], 1, true),
        }
    }

    /// What takes the segmenter's feature's place.
    pub(in crate::model) fn forward(
        &self,
        pass: &mut Pass,
        segmenter: &Value,
        classifier: &Value,
    ) -> Result<Value> {
        let t = self.classifier.forward(pass, classifier)?;
        let both = pass.apply(Concatenation { enlarged: false }, &[segmenter, &t])?;
        let merged = self.merge.forward(pass, &both)?;
        let SeparableConv { depthwise, stride, pointwise } = &self.separable;
        let x = pass.depthwise(*depthwise, *stride, None, &merged)?;
        pointwise.forward(pass, &x)
    }
}
