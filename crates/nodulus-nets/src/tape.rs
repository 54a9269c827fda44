//! Reverse-mode differentiation.
//!
//! candle's own `backward` starts every gradient as zeros and adds to it, keeps every activation to
//! the end, and takes operators of three inputs at most. Here the first gradient of a tensor is the
//! gradient, memory is used again as soon as nothing needs it, and operators take what they need.

use super::buffer;
use super::device::Operators;
use super::error::{Error, Result};
use super::ops::composed::{self, Composed};
use super::ops::{change, vector, view};
use candle_core::Tensor;
use rayon::prelude::*;
use std::rc::Rc;

/// An operator of any number of inputs and one output, for the processor.
pub(super) trait Operator: Composed {
    /// The output.
    ///
    /// # Errors
    ///
    /// Fails if the inputs do not fit each other.
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor>;

    /// The gradient with respect to each input that is wanted.
    ///
    /// # Errors
    ///
    /// Fails if `forward` did, or if the gradient does not fit the output.
    fn backward(&self, step: &Step) -> Result<Vec<Option<Gradient>>>;
}

/// What an operator's backward pass works with.
pub(super) struct Step<'a> {
    /// The inputs.
    pub(super) inputs: &'a [&'a Tensor],
    /// The output.
    pub(super) output: &'a Tensor,
    /// The loss's gradient with respect to the output.
    pub(super) gradient: &'a Gradient,
    /// Which inputs' gradients are wanted.
    pub(super) wanted: &'a [bool],
}

/// A tensor whose memory is used again when the last owner lets go of it.
struct Held {
    tensor: Tensor,
    /// Parameters belong to someone else; composed operators share memory among their results.
    borrowed: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.borrowed {
            buffer::reclaim(&self.tensor);
        }
    }
}

/// A gradient; inputs of one operator may share it.
#[derive(Clone)]
pub(super) struct Gradient(Rc<Held>);

impl Gradient {
    /// Takes a tensor that nothing else uses.
    pub(super) fn new(tensor: Tensor) -> Self {
        Self(Rc::new(Held { tensor, borrowed: false }))
    }

    /// Takes a tensor whose memory others may use.
    pub(super) fn borrowed(tensor: Tensor) -> Self {
        Self(Rc::new(Held { tensor, borrowed: true }))
    }

    /// The tensor.
    pub(super) fn tensor(&self) -> &Tensor {
        &self.0.tensor
    }

    fn plus(self, other: &Self) -> Result<Self> {
        if self.0.borrowed {
            return Ok(Self::borrowed((self.tensor() + other.tensor())?));
        }
        let sum = if Rc::strong_count(&self.0) == 1 { self } else { self.copied()? };
        let addend = view(other.tensor())?;
        change(sum.tensor(), |sum| {
            if sum.len() != addend.len() {
                candle_core::bail!("gradients of {} and {} values", sum.len(), addend.len());
            }
            sum.par_chunks_mut(1 << 14).zip(addend.par_chunks(1 << 14)).for_each(|(to, from)| {
                vector::add(to, from);
            });
            Ok(())
        })?;
        Ok(sum)
    }

    fn copied(&self) -> Result<Self> {
        let from = view(self.tensor())?;
        let mut to = buffer::take(from.len());
        to.copy_from_slice(&from);
        Ok(Self::new(super::ops::tensor(to, self.tensor().dims())?))
    }
}

/// A tensor that came from an operator, a parameter or outside.
#[derive(Clone)]
pub(super) struct Value {
    held: Rc<Held>,
    /// The node that made it, where a gradient has to go through it.
    node: Option<usize>,
}

impl Value {
    /// Takes a tensor that nothing else uses and that has no gradient.
    pub(super) fn constant(tensor: Tensor) -> Self {
        Self { held: Rc::new(Held { tensor, borrowed: false }), node: None }
    }

    /// A tensor that belongs to someone else and has no gradient.
    pub(super) fn borrowed(tensor: &Tensor) -> Self {
        Self { held: Rc::new(Held { tensor: tensor.clone(), borrowed: true }), node: None }
    }

    /// The tensor.
    pub(super) fn tensor(&self) -> &Tensor {
        &self.held.tensor
    }
}

enum Node {
    Parameter(usize),
    Operator { operator: Box<dyn Operator>, inputs: Vec<Value>, output: Value },
}

/// What was computed, in order.
pub(super) struct Tape {
    operators: Operators,
    nodes: Vec<Node>,
    recording: bool,
}

impl Tape {
    /// A tape that keeps what `backward` needs.
    pub(super) fn recording(operators: Operators) -> Self {
        Self { operators, nodes: Vec::new(), recording: true }
    }

    /// A tape that keeps nothing.
    pub(super) fn forgetful(operators: Operators) -> Self {
        Self { operators, nodes: Vec::new(), recording: false }
    }

    /// Bytes of all that is kept for the way back, parameters left out.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let mut sizes = std::collections::BTreeMap::new();
        for node in &self.nodes {
            if let Node::Operator { inputs, output, .. } = node {
                for Value { held, .. } in inputs.iter().chain([output]) {
                    if !held.borrowed {
                        sizes.insert(Rc::as_ptr(held), 4 * held.tensor.elem_count());
                    }
                }
            }
        }
        sizes.values().sum()
    }

    /// How operators run.
    pub(super) fn operators(&self) -> Operators {
        self.operators
    }

    /// A tensor that belongs to someone else; `index` where its gradient is wanted.
    pub(super) fn parameter(&mut self, tensor: &Tensor, index: Option<usize>) -> Value {
        let node = index.filter(|_| self.recording).map(|index| {
            self.nodes.push(Node::Parameter(index));
            self.nodes.len() - 1
        });
        Value { node, ..Value::borrowed(tensor) }
    }

    /// Applies an operator.
    pub(super) fn apply(
        &mut self,
        operator: impl Operator + 'static,
        inputs: &[&Value],
    ) -> Result<Value> {
        let tensors: Vec<&Tensor> = inputs.iter().map(|input| input.tensor()).collect();
        let mut output = match self.operators {
            Operators::Host => Value::constant(operator.forward(&tensors)?),
            Operators::Composed(precision) => {
                Value::borrowed(&composed::output(&operator, &tensors, precision)?)
            }
        };
        if self.recording && inputs.iter().any(|input| input.node.is_some()) {
            output.node = Some(self.nodes.len());
            self.nodes.push(Node::Operator {
                operator: Box::new(operator),
                inputs: inputs.iter().map(|&input| input.clone()).collect(),
                output: output.clone(),
            });
        }
        Ok(output)
    }

    /// Gradients of the parameters by their index, given the gradients of the loss with respect to
    /// some values.
    pub(super) fn backward(mut self, seeds: Vec<(Value, Tensor)>) -> Result<Gradients> {
        let mut gradients: Vec<Option<Gradient>> = Vec::new();
        gradients.resize_with(self.nodes.len(), || None);
        for (value, gradient) in seeds {
            if value.tensor().dims() != gradient.dims() {
                return Err(Error::Shape {
                    operator: "backward",
                    problem: format!(
                        "gradient of shape {:?} for a value of shape {:?}",
                        gradient.dims(),
                        value.tensor().dims()
                    ),
                });
            }
            let gradient = match self.operators {
                Operators::Host => Gradient::new(gradient),
                Operators::Composed(_) => Gradient::borrowed(gradient),
            };
            add(&mut gradients, value.node, gradient)?;
        }
        let mut found = Gradients::default();
        while let Some(node) = self.nodes.pop() {
            let gradient = gradients.pop().flatten();
            match (node, gradient) {
                (_, None) => {}
                (Node::Parameter(index), Some(gradient)) => found.0.push((index, gradient)),
                (Node::Operator { operator, inputs, output }, Some(gradient)) => {
                    let wanted: Vec<bool> =
                        inputs.iter().map(|input| input.node.is_some()).collect();
                    let tensors: Vec<&Tensor> = inputs.iter().map(Value::tensor).collect();
                    let step = Step {
                        inputs: &tensors,
                        output: output.tensor(),
                        gradient: &gradient,
                        wanted: &wanted,
                    };
                    let parts = match self.operators {
                        Operators::Host => operator.backward(&step)?,
                        Operators::Composed(precision) => {
                            let parts = composed::gradients(&*operator, &step, precision)?;
                            parts.into_iter().map(|part| part.map(Gradient::borrowed)).collect()
                        }
                    };
                    drop(gradient);
                    for (input, part) in inputs.iter().zip(parts) {
                        if let Some(part) = part {
                            add(&mut gradients, input.node, part)?;
                        }
                    }
                }
            }
        }
        Ok(found)
    }
}

fn add(gradients: &mut [Option<Gradient>], node: Option<usize>, part: Gradient) -> Result<()> {
    if let Some(place) = node.and_then(|node| gradients.get_mut(node)) {
        *place = Some(match place.take() {
            None => part,
            Some(sum) => sum.plus(&part)?,
        });
    }
    Ok(())
}

/// Gradients of parameters.
#[derive(Default)]
pub(super) struct Gradients(Vec<(usize, Gradient)>);

impl Gradients {
    /// Each parameter's index and gradient, in no particular order; a parameter that the loss does
    /// not depend on is left out.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Tensor)> {
        self.0.iter().map(|(index, gradient)| (*index, gradient.tensor()))
    }
}
