//! Arrow arrays, as the `parquet` crate reads them, to those of polars.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Field, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use polars_arrow::array as polars_array;
use polars_arrow::bitmap::Bitmap;
use polars_arrow::datatypes::{ArrowDataType, Field as PolarsField};
use polars_arrow::offset::OffsetsBuffer;
use polars_arrow::types::NativeType;

/// An array of polars' own Arrow.
pub(crate) type PolarsArray = Box<dyn polars_array::Array>;

/// The type has no counterpart here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("columns of type {0} cannot be queried")]
pub(crate) struct UnknownType(String);

/// The polars array with the same values and nulls.
pub(crate) fn to_polars(array: &ArrayRef) -> Result<PolarsArray, UnknownType> {
    let nulls = array.nulls().map(bitmap);
    Ok(match array.data_type() {
        DataType::Boolean => boolean(array.as_boolean(), nulls),
        DataType::Int8 => primitive(array.as_primitive::<Int8Type>(), nulls),
        DataType::Int16 => primitive(array.as_primitive::<Int16Type>(), nulls),
        DataType::Int32 => primitive(array.as_primitive::<Int32Type>(), nulls),
        DataType::Int64 => primitive(array.as_primitive::<Int64Type>(), nulls),
        DataType::UInt8 => primitive(array.as_primitive::<UInt8Type>(), nulls),
        DataType::UInt16 => primitive(array.as_primitive::<UInt16Type>(), nulls),
        DataType::UInt32 => primitive(array.as_primitive::<UInt32Type>(), nulls),
        DataType::UInt64 => primitive(array.as_primitive::<UInt64Type>(), nulls),
        DataType::Float32 => primitive(array.as_primitive::<Float32Type>(), nulls),
        DataType::Float64 => primitive(array.as_primitive::<Float64Type>(), nulls),
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().values().to_vec();
            Box::new(polars_array::PrimitiveArray::new(ArrowDataType::Date32, days.into(), nulls))
        }
        DataType::Utf8 => text(array.as_string::<i32>().iter()),
        DataType::LargeUtf8 => text(array.as_string::<i64>().iter()),
        DataType::Utf8View => text(array.as_string_view().iter()),
        DataType::Binary => bytes(array.as_binary::<i32>().iter()),
        DataType::LargeBinary => bytes(array.as_binary::<i64>().iter()),
        DataType::BinaryView => bytes(array.as_binary_view().iter()),
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            let offsets: Vec<i64> = list.offsets().iter().map(|offset| (*offset).into()).collect();
            lists(item, offsets, list.values(), nulls)?
        }
        DataType::LargeList(item) => {
            let list = array.as_list::<i64>();
            lists(item, list.offsets().to_vec(), list.values(), nulls)?
        }
        DataType::FixedSizeList(item, size) => {
            let list = array.as_fixed_size_list();
            let values = to_polars(list.values())?;
            let item = Box::new(field(item, values.as_ref()));
            let width = usize::try_from(*size).unwrap_or(0);
            let data_type = ArrowDataType::FixedSizeList(item, width);
            Box::new(polars_array::FixedSizeListArray::new(data_type, list.len(), values, nulls))
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let values = columns.iter().map(to_polars).collect::<Result<Vec<_>, _>>()?;
            let fields = fields.iter().zip(&values).map(|(f, v)| field(f, v.as_ref())).collect();
            let data_type = ArrowDataType::Struct(fields);
            Box::new(polars_array::StructArray::new(data_type, array.len(), values, nulls))
        }
        other => return Err(UnknownType(other.to_string())),
    })
}

fn bitmap(nulls: &NullBuffer) -> Bitmap {
    Bitmap::from_u8_slice(nulls.inner().sliced(), nulls.len())
}

fn boolean(array: &BooleanArray, nulls: Option<Bitmap>) -> PolarsArray {
    let values = Bitmap::from_u8_slice(array.values().sliced(), array.len());
    Box::new(polars_array::BooleanArray::new(ArrowDataType::Boolean, values, nulls))
}

fn primitive<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, nulls: Option<Bitmap>) -> PolarsArray
where
    T::Native: NativeType,
{
    let values = array.values().to_vec();
    let data_type = ArrowDataType::from(<T::Native as NativeType>::PRIMITIVE);
    Box::new(polars_array::PrimitiveArray::new(data_type, values.into(), nulls))
}

fn text<'a>(values: impl Iterator<Item = Option<&'a str>>) -> PolarsArray {
    let array: polars_array::MutableBinaryViewArray<str> = values.collect();
    array.freeze().boxed()
}

fn bytes<'a>(values: impl Iterator<Item = Option<&'a [u8]>>) -> PolarsArray {
    let array: polars_array::MutableBinaryViewArray<[u8]> = values.collect();
    array.freeze().boxed()
}

fn lists(
    item: &Field,
    offsets: Vec<i64>,
    values: &ArrayRef,
    nulls: Option<Bitmap>,
) -> Result<PolarsArray, UnknownType> {
    let values = to_polars(values)?;
    let offsets =
        OffsetsBuffer::try_from(offsets).map_err(|error| UnknownType(format!("list ({error})")))?;
    let data_type = ArrowDataType::LargeList(Box::new(field(item, values.as_ref())));
    Ok(Box::new(polars_array::ListArray::<i64>::new(data_type, offsets, values, nulls)))
}

fn field(field: &Field, values: &dyn polars_array::Array) -> PolarsField {
    PolarsField::new(field.name().as_str().into(), values.dtype().clone(), field.is_nullable())
}
