//! The columns of a table, declared once: [`columns!`](crate::columns) makes both the row type and the Arrow
//! columns of one struct.

use arrow::datatypes::{DataType, Field};
use std::sync::Arc;

/// Key of a column's description in its Arrow metadata.
pub(crate) const DESCRIPTION: &str = "description";

/// A struct whose fields are columns: a whole row, or a group of columns that rows share.
/// [`columns!`](crate::columns) implements it.
pub trait Columns {
    /// The columns, in the order of the fields.
    fn columns() -> Vec<Field>;
}

/// A type that one column holds, null or not.
pub trait Column {
    /// Whether the column may hold nulls.
    const NULLABLE: bool;

    /// The column's Arrow type.
    fn data_type() -> DataType;
}

/// A type of values that are never null: of a column, or of the items of a list.
pub trait ColumnValue {
    /// The values' Arrow type.
    fn data_type() -> DataType;
}

impl<T: ColumnValue> Column for T {
    const NULLABLE: bool = false;

    fn data_type() -> DataType {
        T::data_type()
    }
}

impl<T: ColumnValue> Column for Option<T> {
    const NULLABLE: bool = true;

    fn data_type() -> DataType {
        T::data_type()
    }
}

impl ColumnValue for bool {
    fn data_type() -> DataType {
        DataType::Boolean
    }
}

impl ColumnValue for i64 {
    fn data_type() -> DataType {
        DataType::Int64
    }
}

impl ColumnValue for f64 {
    fn data_type() -> DataType {
        DataType::Float64
    }
}

impl ColumnValue for String {
    fn data_type() -> DataType {
        DataType::Utf8
    }
}

/// Bytes; the field needs `#[serde(with = "serde_bytes")]`.
impl ColumnValue for Vec<u8> {
    fn data_type() -> DataType {
        DataType::Binary
    }
}

impl<T: ColumnValue> ColumnValue for Vec<T> {
    fn data_type() -> DataType {
        DataType::List(Arc::new(Field::new("item", T::data_type(), false)))
    }
}

impl<T: ColumnValue, const N: usize> ColumnValue for [T; N] {
    fn data_type() -> DataType {
        DataType::FixedSizeList(Arc::new(Field::new("item", T::data_type(), false)), N as i32)
    }
}

/// A column with its description.
pub fn column<C: Column + ?Sized>(name: &str, description: &str) -> Field {
    let mut field = Field::new(name, C::data_type(), C::NULLABLE);
    field.metadata_mut().insert(DESCRIPTION.to_owned(), description.to_owned());
    field
}

/// The Arrow type of a struct inside a list; its fields have no descriptions of their own.
pub fn struct_type<C: Columns>() -> DataType {
    let plain =
        |field: &Field| Field::new(field.name(), field.data_type().clone(), field.is_nullable());
    DataType::Struct(C::columns().iter().map(plain).collect())
}

/// Declares a struct whose fields are columns, and implements [`Columns`](crate::Columns) for it.
///
/// - A field's documentation is the column's description.
/// - Its type gives the column's type; an `Option` may be null.
/// - `field: A as B` holds an `A` and has the column type of `B`, for example `Vec<f64> as [f64; 9]`.
/// - `#[serde(flatten)]` puts the columns of another such struct in the field's place.
///
/// The derives are the struct's own; rows need `Serialize` and `Deserialize`.
#[macro_export]
macro_rules! columns {
    (
        $(#[$($meta:tt)*])*
        $visibility:vis struct $name:ident {
            $(
                $(#[$($attribute:tt)*])*
                $field_visibility:vis $field:ident: $type:ty $(as $column:ty)?
            ),* $(,)?
        }
    ) => {
        $(#[$($meta)*])*
        $visibility struct $name {
            $(
                $(#[$($attribute)*])*
                $field_visibility $field: $type,
            )*
        }

        impl $crate::Columns for $name {
            fn columns() -> Vec<$crate::arrow::datatypes::Field> {
                [$(
                    $crate::field_columns!(
                        $field, [$type $(, $column)?], [$(#[$($attribute)*])*], $(#[$($attribute)*])*
                    ),
                )*]
                .concat()
            }
        }
    };
}

/// The columns of one field of [`columns!`](crate::columns): those of a group where it is flattened, else one.
#[doc(hidden)]
#[macro_export]
macro_rules! field_columns {
    ($field:ident, [$type:ty], $all:tt, #[serde(flatten)] $($rest:tt)*) => {
        <$type as $crate::Columns>::columns()
    };
    ($field:ident, $types:tt, $all:tt, #[$($other:tt)*] $($rest:tt)*) => {
        $crate::field_columns!($field, $types, $all, $($rest)*)
    };
    ($field:ident, [$type:ty], [$($attributes:tt)*],) => {
        vec![$crate::column::<$type>(
            stringify!($field),
            $crate::description!($($attributes)*).trim_start(),
        )]
    };
    ($field:ident, [$type:ty, $column:ty], $attributes:tt,) => {
        $crate::field_columns!($field, [$column], $attributes,)
    };
}

/// The documentation among attributes, on one line.
#[doc(hidden)]
#[macro_export]
macro_rules! description {
    () => { "" };
    (#[doc = $text:literal] $($rest:tt)*) => { concat!($text, $crate::description!($($rest)*)) };
    (#[$($other:tt)*] $($rest:tt)*) => { $crate::description!($($rest)*) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::DataType::{Binary, Float64, Int64, Utf8};
    use serde::{Deserialize, Serialize};

    columns! {
        /// Columns that rows share.
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Size {
            /// pixels along i
            width: i64,
            /// pixels along j; null
            /// where there is one row
            height: Option<i64>,
        }
    }

    columns! {
        /// A point of a line.
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Point {
            /// position
            x_mm: f64,
            /// pixel
            pixel: [i64; 2],
        }
    }

    impl ColumnValue for Point {
        fn data_type() -> DataType {
            struct_type::<Self>()
        }
    }

    columns! {
        /// A row of everything.
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Everything {
            /// id of the row
            id: String,
            /// size of the slice
            #[serde(flatten)]
            size: Size,
            /// pixels
            #[serde(with = "serde_bytes")]
            pixels: Option<Vec<u8>>,
            /// matrix
            direction: Vec<f64> as [f64; 2],
            /// points
            points: Vec<Point>,
        }
    }

    #[test]
    fn a_struct_is_declared_once_for_rows_and_columns() {
        let columns = Everything::columns();
        let text = |field: &Field| field.metadata()[DESCRIPTION].clone();
        let described: Vec<_> = columns.iter().map(|f| (f.name().as_str(), text(f))).collect();
        assert_eq!(described[0], ("id", "id of the row".to_owned()));
        assert_eq!(
            described[2],
            ("height", "pixels along j; null where there is one row".to_owned())
        );
        let names: Vec<&str> = described.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["id", "width", "height", "pixels", "direction", "points"]);
        let nullable: Vec<bool> = columns.iter().map(Field::is_nullable).collect();
        assert_eq!(nullable, [false, false, true, true, false, false]);
        let item = |data_type, n| {
            DataType::FixedSizeList(Arc::new(Field::new("item", data_type, false)), n)
        };
        let point = DataType::Struct(
            vec![Field::new("x_mm", Float64, false), Field::new("pixel", item(Int64, 2), false)]
                .into(),
        );
        let points = DataType::List(Arc::new(Field::new("item", point, false)));
        let types: Vec<_> = columns.iter().map(|f| f.data_type().clone()).collect();
        assert_eq!(types, [Utf8, Int64, Int64, Binary, item(Float64, 2), points]);
    }

    #[test]
    fn rows_with_groups_of_columns_come_back() {
        let row = |height, pixels| Everything {
            id: "a".to_owned(),
            size: Size { width: 3, height },
            pixels,
            direction: vec![1.0, 0.0],
            points: vec![Point { x_mm: 0.5, pixel: [1, 2] }],
        };
        let rows = [row(None, Some(vec![1, 2])), row(Some(4), None)];
        let fields: Vec<_> = Everything::columns().into_iter().map(Arc::new).collect();
        let batch = serde_arrow::to_record_batch(&fields, &rows).unwrap();
        let back: Vec<Everything> = serde_arrow::from_record_batch(&batch).unwrap();
        assert_eq!(back, rows);
    }
}
