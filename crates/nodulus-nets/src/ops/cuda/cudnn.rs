//! cuDNN: one algorithm for each shape, chosen once, and one workspace for all of them.

#![expect(clippy::disallowed_types, reason = "devices have no order, and no map is gone through")]

use super::{ConvolutionPass, CudnnConvolution};
use crate::error::{Error, Result};
use crate::ops::window::Window;
use candle_core::cuda::cudarc::cudnn::safe::{
    ConvBackwardData, ConvBackwardFilter, ConvDescriptor, ConvForward, Cudnn, CudnnDataType,
    FilterDescriptor, TensorDescriptor,
};
use candle_core::cuda::cudarc::cudnn::sys::{
    cudnnConvolutionBwdDataAlgo_t, cudnnConvolutionBwdFilterAlgo_t, cudnnConvolutionFwdAlgo_t,
    cudnnConvolutionMode_t, cudnnMathType_t, cudnnTensorFormat_t,
};
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView, DeviceRepr};
use candle_core::cuda::{CudaDType, DeviceId, gemm_reduced_precision_f32};
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, DType, Storage, Tensor, WithDType};
use half::bf16;
use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::sync::Arc;

/// Computes on a card; `None` if the tensors are not on one. The shapes are those of images,
/// weights and output.
pub(super) fn run(
    kernels: CudnnConvolution,
    pass: ConvolutionPass,
    inputs: [&Tensor; 2],
    shapes: [&[usize]; 3],
) -> Result<Option<Tensor>> {
    if !inputs[0].device().is_cuda() {
        return Ok(None);
    }
    let found = match inputs[0].dtype() {
        DType::F32 => compute::<f32>(kernels, pass, inputs, shapes),
        DType::BF16 => compute::<bf16>(kernels, pass, inputs, shapes),
        other => Err(wrong(format!("{other:?}, expected f32 or bf16"))),
    };
    found.map(Some)
}

fn compute<T: Factor>(
    kernels: CudnnConvolution,
    pass: ConvolutionPass,
    inputs: [&Tensor; 2],
    shapes: [&[usize]; 3],
) -> Result<Tensor> {
    let inputs = [inputs[0].contiguous()?, inputs[1].contiguous()?];
    let (first, first_layout) = inputs[0].storage_and_layout();
    let (second, second_layout) = inputs[1].storage_and_layout();
    let (Storage::Cuda(first), Storage::Cuda(second)) = (&*first, &*second) else {
        return Err(wrong("tensors on two devices".to_owned()));
    };
    let (a, b) = (T::as_cuda_slice(first)?, T::as_cuda_slice(second)?);
    let from = |start: usize, tensor: &Tensor| start..start + tensor.elem_count();
    let a = a.slice(from(first_layout.start_offset(), &inputs[0]));
    let b = b.slice(from(second_layout.start_offset(), &inputs[1]));
    let device = first.device.clone();
    let shape = match pass {
        ConvolutionPass::Output => shapes[2],
        ConvolutionPass::InputGradient => shapes[0],
        ConvolutionPass::WeightGradient => shapes[1],
    };
    let key = PlanKey {
        kernels,
        pass,
        shapes: [dims(shapes[0])?, dims(shapes[1])?, dims(shapes[2])?],
        is_reduced: gemm_reduced_precision_f32(),
    };
    #[expect(unsafe_code, reason = "candle has no safe allocation without zeros")]
    // SAFETY: cuDNN writes every value before any is read.
    let mut found = unsafe { device.alloc::<T>(shape.iter().product()) }?;
    LIBRARIES.with_borrow_mut(|libraries| {
        let library = match libraries.entry(device.id()) {
            std::collections::hash_map::Entry::Occupied(found) => found.into_mut(),
            std::collections::hash_map::Entry::Vacant(slot) => {
                slot.insert(ManuallyDrop::new(Library::new(&device)?))
            }
        };
        library.launch(key, &device, [&a, &b], &mut found)
    })?;
    let storage = Storage::Cuda(T::wrap_cuda_slice(found, device));
    Ok(Tensor::from_storage(storage, shape, BackpropOp::none(), false))
}

/// Type of the factors; their products are summed in `f32`.
trait Factor: CudaDType + CudnnDataType + DeviceRepr + WithDType {
    /// The plans for factors of this type.
    fn plans(plans: &mut Plans) -> &mut HashMap<PlanKey, Plan<Self>>;
}

impl Factor for f32 {
    fn plans(plans: &mut Plans) -> &mut HashMap<PlanKey, Plan<Self>> {
        &mut plans.f32
    }
}

impl Factor for bf16 {
    fn plans(plans: &mut Plans) -> &mut HashMap<PlanKey, Plan<Self>> {
        &mut plans.bf16
    }
}

thread_local! {
    /// Libraries by device; never dropped, because the driver may be gone before a thread ends.
    static LIBRARIES: RefCell<HashMap<DeviceId, ManuallyDrop<Library>>> =
        RefCell::new(HashMap::new());
}

fn wrong(problem: String) -> Error {
    Error::Shape { operator: "cuDNN convolution", problem }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Tensor(candle_core::Error::wrap(error))
}

fn number(n: usize) -> Result<i32> {
    i32::try_from(n).map_err(|_| wrong(format!("{n} is too large")))
}

fn dims(shape: &[usize]) -> Result<[i32; 4]> {
    let wrong = || wrong(format!("{shape:?}, expected four axes"));
    let dims: Vec<i32> = shape.iter().map(|&n| number(n)).collect::<Result<_>>()?;
    dims.try_into().map_err(|_| wrong())
}

/// Key of a choice of algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct PlanKey {
    kernels: CudnnConvolution,
    pass: ConvolutionPass,
    /// Shapes of images, weights and output.
    shapes: [[i32; 4]; 3],
    /// Whether factors of `f32` are rounded to TF32.
    is_reduced: bool,
}

/// A convolution as cuDNN describes it.
struct Plan<T> {
    convolution: ConvDescriptor<f32>,
    images: TensorDescriptor<T>,
    weights: FilterDescriptor<T>,
    output: TensorDescriptor<T>,
    algorithm: CudnnAlgorithm,
    /// Bytes of working memory.
    workspace: usize,
}

#[derive(Clone, Copy)]
enum CudnnAlgorithm {
    Output(cudnnConvolutionFwdAlgo_t),
    InputGradient(cudnnConvolutionBwdDataAlgo_t),
    WeightGradient(cudnnConvolutionBwdFilterAlgo_t),
}

/// Plans by type of the factors.
#[derive(Default)]
struct Plans {
    f32: HashMap<PlanKey, Plan<f32>>,
    bf16: HashMap<PlanKey, Plan<bf16>>,
}

/// One thread's cuDNN on one card.
struct Library {
    handle: Arc<Cudnn>,
    plans: Plans,
    workspace: CudaSlice<u8>,
}

impl Library {
    fn new(device: &CudaDevice) -> Result<Self> {
        let handle = Cudnn::new(device.cuda_stream()).map_err(failed)?;
        Ok(Self { handle, plans: Plans::default(), workspace: device.alloc_zeros(1)? })
    }

    fn launch<T: Factor>(
        &mut self,
        key: PlanKey,
        device: &CudaDevice,
        [a, b]: [&CudaView<T>; 2],
        found: &mut CudaSlice<T>,
    ) -> Result<()> {
        let plan = match T::plans(&mut self.plans).entry(key) {
            std::collections::hash_map::Entry::Occupied(found) => found.into_mut(),
            std::collections::hash_map::Entry::Vacant(slot) => {
                slot.insert(Plan::new(&self.handle, key)?)
            }
        };
        if self.workspace.len() < plan.workspace {
            self.workspace = device.alloc_zeros(plan.workspace)?;
        }
        let workspace = Some(&mut self.workspace);
        let Plan { convolution: conv, images, weights: w, output, algorithm, .. } = plan;
        let replace = (T::from_f64(1.0), T::from_f64(0.0));
        #[expect(unsafe_code, reason = "cuDNN takes pointers")]
        // SAFETY: the plan's shapes are those for which the memory was allocated, and `workspace`
        // holds as many bytes as cuDNN requested; everything stays on the handle's own stream.
        let launched = unsafe {
            match *algorithm {
                CudnnAlgorithm::Output(algorithm) => ConvForward { conv, x: images, w, y: output }
                    .launch(algorithm, workspace, replace, a, b, found),
                CudnnAlgorithm::InputGradient(algorithm) => {
                    ConvBackwardData { conv, dx: images, w, dy: output }
                        .launch(algorithm, workspace, replace, found, a, b)
                }
                CudnnAlgorithm::WeightGradient(algorithm) => {
                    ConvBackwardFilter { conv, x: images, dw: w, dy: output }
                        .launch(algorithm, workspace, replace, a, found, b)
                }
            }
        };
        launched.map_err(failed)
    }
}

impl<T: Factor> Plan<T> {
    fn new(handle: &Arc<Cudnn>, key: PlanKey) -> Result<Self> {
        const LAYOUT: cudnnTensorFormat_t = cudnnTensorFormat_t::CUDNN_TENSOR_NCHW;
        let Window { stride, padding, dilation, .. } = key.kernels.window;
        let mode = cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
        let [padding, stride, dilation] = [number(padding)?, number(stride)?, number(dilation)?];
        let mut convolution = handle
            .create_conv2d::<f32>([padding; 2], [stride; 2], [dilation; 2], mode)
            .map_err(failed)?;
        convolution.set_group_count(number(key.kernels.groups)?).map_err(failed)?;
        // For f32 the default allows TF32 from Ampere on; FMA does not.
        let cores = match (T::DTYPE, key.is_reduced) {
            (DType::BF16, _) => cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
            (_, true) => cudnnMathType_t::CUDNN_DEFAULT_MATH,
            (_, false) => cudnnMathType_t::CUDNN_FMA_MATH,
        };
        convolution.set_math_type(cores).map_err(failed)?;
        let [images, weights, output] = key.shapes;
        let images = handle.create_4d_tensor(LAYOUT, images).map_err(failed)?;
        let weights = handle.create_4d_filter(LAYOUT, weights).map_err(failed)?;
        let output = handle.create_4d_tensor(LAYOUT, output).map_err(failed)?;
        let (conv, w) = (&convolution, &weights);
        let (algorithm, workspace) = match key.pass {
            ConvolutionPass::Output => {
                let pass = ConvForward { conv, x: &images, w, y: &output };
                let algorithm = pass.pick_algorithm().map_err(failed)?;
                (CudnnAlgorithm::Output(algorithm), pass.get_workspace_size(algorithm))
            }
            ConvolutionPass::InputGradient => {
                let pass = ConvBackwardData { conv, dx: &images, w, dy: &output };
                let algorithm = pass.pick_algorithm().map_err(failed)?;
                (CudnnAlgorithm::InputGradient(algorithm), pass.get_workspace_size(algorithm))
            }
            ConvolutionPass::WeightGradient => {
                let pass = ConvBackwardFilter { conv, x: &images, dw: w, dy: &output };
                let algorithm = pass.pick_algorithm().map_err(failed)?;
                (CudnnAlgorithm::WeightGradient(algorithm), pass.get_workspace_size(algorithm))
            }
        };
        let workspace = workspace.map_err(failed)?;
        Ok(Self { convolution, images, weights, output, algorithm, workspace })
    }
}
