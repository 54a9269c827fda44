//! Expressions over groups of rows.

use crate::Error;
use crate::lower::frame::Frame;
use crate::lower::group::grouped;
use crate::scope::Scope;
use crate::typed::{Aggregate, Node, Typed};

/// Groups by their keys, with what is computed of each: columns of keys, then columns of aggregates.
pub(super) struct Grouped<'a> {
    by: Vec<Typed>,
    aggregates: Vec<Aggregate>,
    scope: &'a Scope,
}

impl<'a> Grouped<'a> {
    pub(super) const fn new(by: Vec<Typed>, scope: &'a Scope) -> Self {
        Self { by, aggregates: Vec::new(), scope }
    }

    pub(super) fn has_keys(&self) -> bool {
        !self.by.is_empty()
    }

    /// Replaces keys and aggregates by the columns that hold them.
    pub(super) fn rewrite(&mut self, expression: &mut Typed) -> Result<(), Error> {
        let Self { by, aggregates, scope } = self;
        expression.replace(&mut |part| {
            if let Some(column) = by.iter().position(|key| key == part) {
                return Ok(Some(Typed::column(column, part.kind.clone())));
            }
            match &part.node {
                Node::Aggregate(aggregate) => {
                    let known = aggregates.iter().position(|other| *other == **aggregate);
                    let position = known.unwrap_or_else(|| {
                        aggregates.push((**aggregate).clone());
                        aggregates.len() - 1
                    });
                    Ok(Some(Typed::column(by.len() + position, part.kind.clone())))
                }
                Node::Column(position) => {
                    let name = &scope.columns[*position].name;
                    Err(Error::Question(format!(
                        "`{name}` has no single value in a group; add it to GROUP BY, or use an aggregate, as in \
                         max({name})"
                    )))
                }
                _ => Ok(None),
            }
        })
    }

    /// The groups of a frame's rows.
    pub(super) fn rows(&self, frame: &Frame) -> Result<Frame, Error> {
        grouped(frame, &self.by, &self.aggregates)
    }
}
