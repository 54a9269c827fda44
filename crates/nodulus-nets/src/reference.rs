//! The classifier compared with the same network made of candle-nn's layers, an independent
//! implementation of the forward pass.

use super::layers::Pass;
use super::parameters::{Initialiser, ParameterSpec, Parameters, Scope};
use super::resnet::Classifier;
use super::tape::Value;
use super::tensors::{tensor, view};
use candle_core::{DType, Device, Tensor};
use candle_nn::{
    BatchNorm, Conv2d, Conv2dConfig, Module as _, ModuleT as _, VarBuilder, batch_norm,
    conv2d_no_bias, linear,
};

const WIDTH: usize = 8;

/// `Conv2d`, then batch norm in evaluation.
struct ConvNorm(Conv2d, BatchNorm);

impl ConvNorm {
    fn new(
        vb: &VarBuilder,
        names: [&str; 2],
        counts: [usize; 2],
        side: usize,
        stride: usize,
    ) -> Self {
        let config = Conv2dConfig { padding: side / 2, stride, ..Conv2dConfig::default() };
        let conv = conv2d_no_bias(counts[0], counts[1], side, config, vb.pp(names[0])).unwrap();
        Self(conv, batch_norm(counts[1], 1e-5, vb.pp(names[1])).unwrap())
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        self.1.forward_t(&self.0.forward(x).unwrap(), false).unwrap()
    }
}

/// torchvision's `ResNet-50`: the features C1 to C4, and the logit.
fn resnet50(vb: &VarBuilder, x: &Tensor) -> (Vec<Tensor>, Tensor) {
    let stem = ConvNorm::new(vb, ["conv1", "bn1"], [1, WIDTH], 7, 2);
    let c1 = stem.forward(x).relu().unwrap();
    // Values are 0 or more, so the zeros of the border never win.
    let padded = c1.pad_with_zeros(2, 1, 1).unwrap().pad_with_zeros(3, 1, 1).unwrap();
    let mut x = padded.max_pool2d_with_stride(3, 2).unwrap();
    let mut features = vec![c1];
    let mut channels = WIDTH;
    for (layer, depth) in [3, 4, 6, 3].into_iter().enumerate() {
        for block in 0..depth {
            let vb = vb.pp(format!("layer{}.{block}", layer + 1));
            let (inner, outer) = (WIDTH << layer, WIDTH << (layer + 2));
            let stride = if layer > 0 && block == 0 { 2 } else { 1 };
            let first = ConvNorm::new(&vb, ["conv1", "bn1"], [channels, inner], 1, 1);
            let second = ConvNorm::new(&vb, ["conv2", "bn2"], [inner, inner], 3, stride);
            let third = ConvNorm::new(&vb, ["conv3", "bn3"], [inner, outer], 1, 1);
            let skip = if block == 0 {
                let names = ["downsample.0", "downsample.1"];
                ConvNorm::new(&vb, names, [channels, outer], 1, stride).forward(&x)
            } else {
                x.clone()
            };
            let y = first.forward(&x).relu().unwrap();
            let y = second.forward(&y).relu().unwrap();
            x = (third.forward(&y) + skip).unwrap().relu().unwrap();
            channels = outer;
        }
        features.push(x.clone());
    }
    let pooled = x.mean((2, 3)).unwrap();
    let fc = linear(channels, 1, vb.pp("fc")).unwrap();
    (features, fc.forward(&pooled).unwrap().flatten_all().unwrap())
}

/// Parameters without trivial values: shifted norms, positive variances.
pub(super) fn parameters(specs: Vec<ParameterSpec>, seed: u64) -> Parameters {
    let specs = specs.into_iter().map(|spec| match spec.start {
        Initialiser::Constant(_) => ParameterSpec { start: Initialiser::Uniform(0.5), ..spec },
        _ => spec,
    });
    let mut parameters = Parameters::draw(specs.collect(), seed).unwrap();
    for (spec, values) in parameters.specs.iter().zip(&mut parameters.tensors) {
        if spec.name.ends_with("running_var")
            || spec.shape.len() == 1 && spec.name.ends_with(".weight")
        {
            let positive = view(values).unwrap().iter().map(|v| v + 1.0).collect();
            *values = tensor(positive, spec.shape.as_slice()).unwrap();
        }
    }
    parameters
}

#[test]
fn the_classifier_is_resnet_50_of_candle_nns_layers() {
    let mut specs = Vec::new();
    let network = Classifier::new(&mut Scope::new(&mut specs), [1, WIDTH]);
    let parameters = parameters(specs, 5);
    let named = parameters.specs.iter().map(|spec| spec.name.clone());
    let vb = VarBuilder::from_tensors(
        named.zip(parameters.tensors.iter().cloned()).collect(),
        DType::F32,
        &Device::Cpu,
    );
    let pixels = (0..2 * 64 * 64).map(|n| ((n * 37 + n / 64 * 11) % 101) as f32 / 100.0).collect();
    let x = tensor(pixels, (2, 1, 64, 64)).unwrap();
    let (features, logit) = resnet50(&vb, &x);

    let mut pass = Pass::evaluation(&parameters);
    let (blocks, nodule_logit) =
        network.forward(&mut pass, &Value::constant(x.copy().unwrap())).unwrap();
    for (name, expected, found) in features[..4]
        .iter()
        .zip(&blocks)
        .enumerate()
        .map(|(n, (expected, found))| (format!("C{}", n + 1), expected, found))
        .chain([("logit".to_owned(), &logit, &nodule_logit)])
    {
        assert_eq!(expected.dims(), found.tensor().dims(), "{name}");
        let expected = expected.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let found = view(found.tensor()).unwrap();
        let largest = expected.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
        assert!(largest > 1e-3, "{name} is all but zero");
        for (expected, found) in expected.iter().zip(found.iter()) {
            assert!(
                (expected - found).abs() <= 1e-4 * largest,
                "{name}: {found}, candle-nn {expected}"
            );
        }
    }
}
