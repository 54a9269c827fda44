//! Reverse-mode differentiation.
//!
//! candle's own `backward` initialises every gradient with zeros and adds to it, keeps every
//! activation to the end, and limits operators to three inputs. Here the first gradient of a tensor
//! is used as it is, memory is reused as soon as nothing needs it, and operators take any number of
//! inputs.

use super::backend::Execution;
use super::error::{Error, Result};
use super::operator::{
    Gradient, Operator, SharedTensor, Step, composed_gradients, composed_output,
};
use candle_core::Tensor;
use std::rc::Rc;

/// A tensor that an operator produced, a parameter, or an input.
#[derive(Clone)]
pub(super) struct Value {
    shared: Rc<SharedTensor>,
    /// The node that produced the tensor, if a gradient flows through it.
    node: Option<usize>,
}

impl Value {
    /// Wraps a tensor that nothing else uses and that has no gradient.
    pub(super) fn constant(tensor: Tensor) -> Self {
        Self { shared: Rc::new(SharedTensor { tensor, borrowed: false }), node: None }
    }

    /// Wraps a tensor that belongs to others and has no gradient.
    pub(super) fn borrowed(tensor: &Tensor) -> Self {
        Self {
            shared: Rc::new(SharedTensor { tensor: tensor.clone(), borrowed: true }),
            node: None,
        }
    }

    /// The tensor.
    pub(super) fn tensor(&self) -> &Tensor {
        &self.shared.tensor
    }
}

enum Node {
    Parameter(usize),
    Operator { operator: Box<dyn Operator>, inputs: Vec<Value>, output: Value },
}

/// The operations of a forward pass, in order.
pub(super) struct Tape {
    execution: Execution,
    nodes: Vec<Node>,
    recording: bool,
}

impl Tape {
    /// A tape that keeps what `backward` needs.
    pub(super) fn recording(execution: Execution) -> Self {
        Self { execution, nodes: Vec::new(), recording: true }
    }

    /// A tape that keeps nothing.
    pub(super) fn forgetful(execution: Execution) -> Self {
        Self { execution, nodes: Vec::new(), recording: false }
    }

    /// Bytes kept for the backward pass, without parameters.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let mut sizes = std::collections::BTreeMap::new();
        for node in &self.nodes {
            if let Node::Operator { inputs, output, .. } = node {
                for Value { shared, .. } in inputs.iter().chain([output]) {
                    if !shared.borrowed {
                        sizes.insert(Rc::as_ptr(shared), 4 * shared.tensor.elem_count());
                    }
                }
            }
        }
        sizes.values().sum()
    }

    /// How operators run.
    pub(super) fn execution(&self) -> Execution {
        self.execution
    }

    /// Adds a parameter's tensor; `index` is given where its gradient is wanted.
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
        let mut output = match self.execution {
            Execution::Host => Value::constant(operator.forward(&tensors)?),
            Execution::Composed(precision) => {
                Value::borrowed(&composed_output(&operator, &tensors, precision)?)
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

    /// Computes the gradients of the parameters by index, from the gradients of the loss with
    /// respect to some values.
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
            let gradient = match self.execution {
                Execution::Host => Gradient::new(gradient),
                Execution::Composed(_) => Gradient::borrowed(gradient),
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
                    let parts = match self.execution {
                        Execution::Host => operator.backward(&step)?,
                        Execution::Composed(precision) => {
                            let parts = composed_gradients(&*operator, &step, precision)?;
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
    if let Some(total) = node.and_then(|node| gradients.get_mut(node)) {
        *total = Some(match total.take() {
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
    /// Each parameter's index and gradient, in no particular order. Parameters that the loss does
    /// not depend on are missing.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Tensor)> {
        self.0.iter().map(|(index, gradient)| (*index, gradient.tensor()))
    }
}
