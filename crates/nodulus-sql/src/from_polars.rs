//! Columns of a polars answer to Arrow arrays.

use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeListArray, LargeBinaryArray, LargeListArray, LargeStringArray,
    NullArray, PrimitiveArray, RecordBatch, RecordBatchOptions, StructArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Field, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Schema, Time64NanosecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow::error::ArrowError;
use polars::prelude::{AnyValue, Column, CompatLevel, DataFrame};
use polars_arrow::array as polars_array;
use polars_arrow::bitmap::Bitmap;
use polars_arrow::datatypes::{ArrowDataType, Field as PolarsField, TimeUnit};
use polars_arrow::types::NativeType;
use std::sync::Arc;

/// All rows of an answer as one batch.
pub(crate) fn to_batch(frame: &DataFrame) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::with_capacity(frame.width());
    let mut columns = Vec::with_capacity(frame.width());
    for column in frame.columns() {
        let array =
            match from_polars(column.clone().rechunk_to_arrow(CompatLevel::oldest()).as_ref())? {
                Some(array) => array,
                None => as_text(column),
            };
        fields.push(Field::new(column.name().as_str(), array.data_type().clone(), true));
        columns.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(frame.height()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

/// The Arrow array with the same values and nulls; `None` for a type that has no counterpart here.
fn from_polars(array: &dyn polars_array::Array) -> Result<Option<ArrayRef>, ArrowError> {
    let nulls = array.validity().map(nulls);
    Ok(Some(match array.dtype() {
        ArrowDataType::Null => Arc::new(NullArray::new(array.len())),
        ArrowDataType::Boolean => {
            let array: &polars_array::BooleanArray = downcast(array)?;
            Arc::new(BooleanArray::new(bits(array.values()), nulls))
        }
        ArrowDataType::Int8 => primitive::<Int8Type>(array, nulls)?,
        ArrowDataType::Int16 => primitive::<Int16Type>(array, nulls)?,
        ArrowDataType::Int32 => primitive::<Int32Type>(array, nulls)?,
        ArrowDataType::Int64 => primitive::<Int64Type>(array, nulls)?,
        ArrowDataType::UInt8 => primitive::<UInt8Type>(array, nulls)?,
        ArrowDataType::UInt16 => primitive::<UInt16Type>(array, nulls)?,
        ArrowDataType::UInt32 => primitive::<UInt32Type>(array, nulls)?,
        ArrowDataType::UInt64 => primitive::<UInt64Type>(array, nulls)?,
        ArrowDataType::Float32 => primitive::<Float32Type>(array, nulls)?,
        ArrowDataType::Float64 => primitive::<Float64Type>(array, nulls)?,
        ArrowDataType::Date32 => primitive::<Date32Type>(array, nulls)?,
        ArrowDataType::Time64(TimeUnit::Nanosecond) => {
            primitive::<Time64NanosecondType>(array, nulls)?
        }
        ArrowDataType::LargeUtf8 => {
            let array: &polars_array::Utf8Array<i64> = downcast(array)?;
            Arc::new(array.iter().collect::<LargeStringArray>())
        }
        ArrowDataType::LargeBinary => {
            let array: &polars_array::BinaryArray<i64> = downcast(array)?;
            Arc::new(array.iter().collect::<LargeBinaryArray>())
        }
        ArrowDataType::LargeList(item) => {
            let array: &polars_array::ListArray<i64> = downcast(array)?;
            let Some(values) = from_polars(array.values().as_ref())? else { return Ok(None) };
            let offsets =
                OffsetBuffer::new(ScalarBuffer::from(array.offsets().as_slice().to_vec()));
            let item = Arc::new(field(item, &values));
            Arc::new(LargeListArray::try_new(item, offsets, values, nulls)?)
        }
        ArrowDataType::FixedSizeList(item, width) => {
            let array: &polars_array::FixedSizeListArray = downcast(array)?;
            let Some(values) = from_polars(array.values().as_ref())? else { return Ok(None) };
            let item = Arc::new(field(item, &values));
            let width = i32::try_from(*width).map_err(|_| {
                ArrowError::InvalidArgumentError(format!("lists of {width} items are too long"))
            })?;
            Arc::new(FixedSizeListArray::try_new(item, width, values, nulls)?)
        }
        ArrowDataType::Struct(fields) => {
            let array: &polars_array::StructArray = downcast(array)?;
            let mut columns = Vec::with_capacity(fields.len());
            for values in array.values() {
                let Some(values) = from_polars(values.as_ref())? else { return Ok(None) };
                columns.push(values);
            }
            let fields = fields.iter().zip(&columns).map(|(f, values)| field(f, values)).collect();
            Arc::new(StructArray::try_new_with_length(fields, columns, nulls, array.len())?)
        }
        _ => return Ok(None),
    }))
}

/// Values as polars prints them.
fn as_text(column: &Column) -> ArrayRef {
    let values = column.as_materialized_series().iter().map(|value| match value {
        AnyValue::Null => None,
        value => Some(value.to_string()),
    });
    Arc::new(values.collect::<LargeStringArray>())
}

fn downcast<T: 'static>(array: &dyn polars_array::Array) -> Result<&T, ArrowError> {
    array.as_any().downcast_ref().ok_or_else(|| {
        ArrowError::CastError(format!("an array is not what its type {:?} says", array.dtype()))
    })
}

fn nulls(validity: &Bitmap) -> NullBuffer {
    NullBuffer::new(bits(validity))
}

fn bits(bitmap: &Bitmap) -> BooleanBuffer {
    let (bytes, offset, length) = bitmap.as_slice();
    BooleanBuffer::new(Buffer::from(bytes), offset, length)
}

fn primitive<T: ArrowPrimitiveType>(
    array: &dyn polars_array::Array,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError>
where
    T::Native: NativeType,
{
    let array: &polars_array::PrimitiveArray<T::Native> = downcast(array)?;
    let values = ScalarBuffer::from(array.values().as_slice().to_vec());
    Ok(Arc::new(PrimitiveArray::<T>::try_new(values, nulls)?))
}

fn field(field: &PolarsField, values: &ArrayRef) -> Field {
    Field::new(field.name.as_str(), values.data_type().clone(), field.is_nullable)
}
