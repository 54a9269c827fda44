//! The values that a subquery of IN answers.

use super::keys::Keys;
use crate::Error;
use arrow::array::{Array as _, ArrayRef, BooleanArray};
use arrow::datatypes::DataType;
use std::collections::HashSet;

/// Values of one column.
#[derive(Debug)]
pub(crate) struct Set {
    keys: HashSet<Vec<u8>>,
    has_null: bool,
    is_empty: bool,
}

impl PartialEq for Set {
    /// Two subqueries are never taken for the same.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Set {
    pub(crate) fn new(values: &ArrayRef) -> Result<Self, Error> {
        let keys = Keys::new(std::slice::from_ref(values), values.len())?;
        let known = (0..values.len()).filter(|row| !keys.has_null(*row));
        Ok(Self {
            has_null: (0..values.len()).any(|row| keys.has_null(row)),
            is_empty: values.is_empty(),
            keys: known.filter_map(|row| Some(keys.of(row)?.as_ref().to_vec())).collect(),
        })
    }

    /// Whether each value is in the set: null where that depends on a null.
    pub(crate) fn contains(&self, values: &ArrayRef) -> Result<BooleanArray, Error> {
        let keys = Keys::new(std::slice::from_ref(values), values.len())?;
        let is_in = (0..values.len()).map(|row| {
            if self.is_empty {
                return Some(false);
            }
            if keys.has_null(row) || *values.data_type() == DataType::Null {
                return None;
            }
            match keys.of(row).is_some_and(|key| self.keys.contains(key.as_ref())) {
                true => Some(true),
                false if self.has_null => None,
                false => Some(false),
            }
        });
        Ok(is_in.collect())
    }
}
