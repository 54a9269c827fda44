//! Typed expressions and rows as expressions and frames of polars.
//!
//! What polars computes as DuckDB does is polars' own: comparisons, conditions, joins, groups, order. A closure over
//! columns computes the rest: what fails on some values, as whole numbers beyond 64 bits, whether values are in the answer to a
//! subquery, and values of groups and running values, which must
//! be DuckDB's to the last digit.

mod aside;
pub(crate) mod column;
pub(crate) mod frame;
mod expression;
mod scalar;
mod number;
pub(crate) mod cast;
mod text;
pub(crate) mod list;
pub(crate) mod set;
mod aggregate;
pub(crate) mod group;
mod running;
pub(crate) mod window;
pub(crate) mod sort;
pub(crate) mod join;

pub(crate) use aside::Aside;
