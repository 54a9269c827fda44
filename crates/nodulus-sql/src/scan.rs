//! A table's rows, of which only the columns that a question may need are read.

use crate::kind::Kind;
use crate::lower::Aside;
use crate::lower::frame::Frame;
use crate::part::Part;
use crate::statement::Names;
use crate::typed::Typed;
use crate::{Error, Table};
use arrow::datatypes::Schema;
use rayon::prelude::*;
use std::sync::Arc;

/// A table's rows, not yet read.
#[derive(Clone, Debug)]
pub(crate) struct Scan {
    table: Table,
    /// The columns that are read, with their kinds.
    pub(crate) columns: Vec<(String, Kind)>,
    aside: Arc<Aside>,
}

impl Scan {
    pub(crate) fn new(table: &Table, schema: &Schema, names: &Names, aside: &Arc<Aside>) -> Self {
        let needed = schema.fields().iter().filter(|field| names.may_need(field.name()));
        let columns = needed.map(|field| (field.name().clone(), Kind::of(field.data_type())));
        Self { table: table.clone(), columns: columns.collect(), aside: aside.clone() }
    }

    /// The first rows, at most so many, for which a condition is true. Row groups are read side by side.
    pub(crate) fn read(&self, filter: Option<&Typed>, most: Option<usize>) -> Result<Frame, Error> {
        let partition = self.table.partition_column.as_deref();
        // With a condition, any number of rows may be needed.
        let most = most.filter(|_| filter.is_none());
        let mut left = most.unwrap_or(usize::MAX);
        let mut parts = Vec::with_capacity(self.table.files.len());
        let mut tasks = Vec::new();
        for path in &self.table.files {
            if left == 0 {
                break;
            }
            let part = Part::open(path, partition)?;
            for (group, rows) in part.row_groups().enumerate() {
                if left > 0 {
                    tasks.push((parts.len(), group, rows.min(left)));
                    left -= rows.min(left);
                }
            }
            parts.push(part);
        }
        let frames: Vec<Frame> = tasks
            .into_par_iter()
            .map(|(part, group, rows)| {
                parts[part].read(group, &self.columns, filter, most.map(|_| rows), &self.aside)
            })
            .collect::<Result<_, _>>()?;
        let kinds: Vec<Kind> = self.columns.iter().map(|(_, kind)| kind.clone()).collect();
        Frame::stacked(frames, &kinds, &self.aside)
    }
}
