//! SQL to what is computed: names are resolved, kinds are checked, and every part that is not proven to be answered as
//! DuckDB answers it is refused.

mod query;
mod limit;
mod from;
mod select;
mod items;
mod grouped;
mod expression;
mod condition;
mod literal;
mod convert;
mod call;
mod text;
mod aggregate;
mod window;
mod exists;
pub(crate) mod functions;

use crate::Table;
use crate::kind::Kind;
use crate::lower::Aside;
use crate::lower::frame::Frame;
use crate::scope::Scope;
use crate::statement::Names;
use std::sync::Arc;

/// Rows that a query answers.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) columns: Vec<(String, Kind)>,
    pub(crate) frame: Frame,
}

/// What names mean while a question is read.
pub(crate) struct Binder<'a> {
    tables: &'a [Table],
    names: &'a Names,
    /// Answers of WITH, the innermost last.
    with: Vec<(String, Answer)>,
    /// Columns of the queries around a subquery, which it must not name.
    around: Vec<Scope>,
    /// What the tables hold and polars does not.
    aside: Arc<Aside>,
}

impl<'a> Binder<'a> {
    pub(crate) fn new(tables: &'a [Table], names: &'a Names) -> Self {
        Self { tables, names, with: Vec::new(), around: Vec::new(), aside: Arc::default() }
    }
}
