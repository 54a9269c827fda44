//! Columns of polars for Arrow arrays, and back. Days are whole numbers there, and values that are only passed on are places.

use super::Aside;
use crate::Error;
use crate::kind::Kind;
use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Date32Array, Float64Array, Int64Array,
    LargeBinaryArray, LargeStringArray, NullArray,
};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type};
use polars::prelude::{
    BinaryChunked, BooleanChunked, Column, DataType, Float64Chunked, Int32Chunked, Int64Chunked,
    IntoSeries as _, Series, StringChunked,
};
use std::sync::Arc;

/// Type of the columns that hold such values.
pub(super) const fn data_type(kind: &Kind) -> DataType {
    match kind {
        Kind::Null | Kind::Bool => DataType::Boolean,
        Kind::Int => DataType::Int64,
        Kind::Decimal | Kind::Computed | Kind::Float => DataType::Float64,
        Kind::Text => DataType::String,
        Kind::Date => DataType::Int32,
        Kind::Bytes => DataType::Binary,
        Kind::Other(_) => DataType::UInt64,
    }
}

/// The column with the values of an array of [`Kind::data_type`].
pub(crate) fn to_column(array: &ArrayRef, kind: &Kind, aside: &Aside) -> Column {
    let series: Series = match kind {
        Kind::Null => Series::full_null("".into(), array.len(), &DataType::Boolean),
        Kind::Bool => array.as_boolean().iter().collect::<BooleanChunked>().into_series(),
        Kind::Int => {
            let values = array.as_primitive::<Int64Type>();
            values.iter().collect::<Int64Chunked>().into_series()
        }
        Kind::Decimal | Kind::Computed | Kind::Float => {
            let values = array.as_primitive::<Float64Type>();
            values.iter().collect::<Float64Chunked>().into_series()
        }
        Kind::Text => array.as_string::<i64>().iter().collect::<StringChunked>().into_series(),
        Kind::Date => {
            let values = array.as_primitive::<Date32Type>();
            values.iter().collect::<Int32Chunked>().into_series()
        }
        Kind::Bytes => array.as_binary::<i64>().iter().collect::<BinaryChunked>().into_series(),
        Kind::Other(_) => aside.put(array).into_series(),
    };
    series.into()
}

/// The array with the values of a column.
pub(crate) fn to_array(column: &Column, kind: &Kind, aside: &Aside) -> Result<ArrayRef, Error> {
    let series = column.as_materialized_series();
    Ok(match kind {
        Kind::Null => Arc::new(NullArray::new(series.len())),
        Kind::Bool => Arc::new(series.bool()?.iter().collect::<BooleanArray>()),
        Kind::Int => Arc::new(series.i64()?.iter().collect::<Int64Array>()),
        Kind::Decimal | Kind::Computed | Kind::Float => {
            Arc::new(series.f64()?.iter().collect::<Float64Array>())
        }
        Kind::Text => Arc::new(series.str()?.iter().collect::<LargeStringArray>()),
        Kind::Date => Arc::new(series.i32()?.iter().collect::<Date32Array>()),
        Kind::Bytes => Arc::new(series.binary()?.iter().collect::<LargeBinaryArray>()),
        Kind::Other(data_type) => aside.get(series.u64()?, data_type)?,
    })
}
