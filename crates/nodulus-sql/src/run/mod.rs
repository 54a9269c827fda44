//! Expressions and rows, computed.

pub(crate) mod frame;
pub(crate) mod evaluate;
mod arithmetic;
pub(crate) mod cast;
pub(crate) mod compare;
mod text;
pub(crate) mod keys;
pub(crate) mod set;
pub(crate) mod aggregate;
pub(crate) mod window;
pub(crate) mod sort;
pub(crate) mod join;
