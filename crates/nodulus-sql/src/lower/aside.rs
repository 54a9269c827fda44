//! Lists, records and other values that are only passed on: polars moves their places.

use crate::Error;
use arrow::array::{Array as _, ArrayRef, new_empty_array, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::DataType;
use polars::prelude::UInt64Chunked;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Arrays of one question. A value's place is the number of its array, in the upper 32 bits, and its row.
#[derive(Debug, Default)]
pub(crate) struct Aside(Mutex<Vec<ArrayRef>>);

impl Aside {
    fn arrays(&self) -> MutexGuard<'_, Vec<ArrayRef>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an array aside, and gives the place of each of its values.
    pub(super) fn put(&self, array: &ArrayRef) -> UInt64Chunked {
        let mut arrays = self.arrays();
        let first = (arrays.len() as u64) << 32;
        arrays.push(array.clone());
        (0..array.len()).map(|row| array.is_valid(row).then_some(first | row as u64)).collect()
    }

    /// The values at some places, which are of one type.
    pub(super) fn get(
        &self,
        places: &UInt64Chunked,
        data_type: &DataType,
    ) -> Result<ArrayRef, Error> {
        let all = self.arrays();
        // The first array is that of nulls.
        let mut chosen = vec![new_null_array(data_type, 1)];
        let mut known = BTreeMap::new();
        let mut rows = Vec::with_capacity(places.len());
        for place in places.iter() {
            let Some(place) = place else {
                rows.push((0, 0));
                continue;
            };
            let number = (place >> 32) as usize;
            let position = *known.entry(number).or_insert_with(|| {
                chosen.extend(all.get(number).cloned());
                chosen.len() - 1
            });
            rows.push((position, (place & u64::from(u32::MAX)) as usize));
        }
        if rows.is_empty() {
            return Ok(new_empty_array(data_type));
        }
        let arrays: Vec<_> = chosen.iter().map(AsRef::as_ref).collect();
        Ok(interleave(&arrays, &rows)?)
    }
}
