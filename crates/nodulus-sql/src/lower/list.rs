//! Lists, which are put aside.

use super::column::to_column;
use super::frame::{Frame, indices};
use super::scalar::no_value;
use crate::Error;
use crate::kind::Kind;
use crate::typed::Typed;
use arrow::array::{Array, ArrayRef, AsArray as _, new_empty_array};
use arrow::compute::{cast, concat};
use arrow::datatypes::DataType;
use polars::prelude::{Int64Chunked, IntoSeries as _, PolarsResult, Series};

/// The items of the list at each place; `None` for a null.
fn items(
    places: &Series,
    kind: &Kind,
    aside: &super::Aside,
) -> Result<Vec<Option<ArrayRef>>, Error> {
    let no_list = || Error::Question(format!("{kind} is no list"));
    let Kind::Other(data_type) = kind else { return Err(no_list()) };
    let lists = aside.get(places.u64()?, data_type)?;
    match data_type {
        DataType::List(_) => Ok(lists.as_list::<i32>().iter().collect()),
        DataType::LargeList(_) => Ok(lists.as_list::<i64>().iter().collect()),
        _ => Err(no_list()),
    }
}

/// The number of items of each list.
pub(super) fn lengths(places: &Series, kind: &Kind, aside: &super::Aside) -> PolarsResult<Series> {
    let lists = items(places, kind, aside).map_err(|error| no_value(error.to_string()))?;
    let lengths = lists.iter().map(|list| list.as_ref().map(|list| list.len() as i64));
    Ok(lengths.collect::<Int64Chunked>().into_series())
}

/// Each row for each item of its list, with the items after all other columns; a row whose list is empty or null is left
/// out.
pub(crate) fn unnested(frame: &Frame, list: &Typed, item: &Kind) -> Result<Frame, Error> {
    let places = frame.select(std::slice::from_ref(list))?;
    let places = places.column(0)?.as_materialized_series();
    let lists = items(places, &list.kind, &frame.aside)?;
    let lengths = lists.iter().map(|list| list.as_ref().map_or(0, Array::len));
    let rows = lengths.enumerate().flat_map(|(row, n)| std::iter::repeat_n(row, n));
    let long = frame.take(&indices(rows))?;
    let parts: Vec<&dyn Array> = lists.iter().flatten().map(AsRef::as_ref).collect();
    let to = item.data_type();
    let flat = if parts.is_empty() { new_empty_array(&to) } else { cast(&concat(&parts)?, &to)? };
    let column = to_column(&flat, item, &frame.aside);
    long.with([column])
}
