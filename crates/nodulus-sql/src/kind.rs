//! Kinds of values, and which of them go together.

use arrow::datatypes::DataType;
use std::fmt;

/// Kind of an expression's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only nulls: `NULL` itself.
    Null,
    /// True or false.
    Bool,
    /// A whole number of 64 bits.
    Int,
    /// A number with a point as it is written, as `0.5`, of at most 15 digits: exact in DuckDB, and here the nearest
    /// number, which is as good where it is only compared.
    Decimal,
    /// What is computed from such numbers without a [`Kind::Float`]: DuckDB computes exactly, so that comparisons could
    /// differ.
    Computed,
    /// A number of 64 bits.
    Float,
    /// Text.
    Text,
    /// A day.
    Date,
    /// Bytes.
    Bytes,
    /// A list, a record or another type, which is passed on.
    Other(DataType),
}

impl Kind {
    /// Kind of a file's column.
    pub(crate) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Bool,
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32 => Self::Int,
            DataType::Float64 => Self::Float,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Date32 => Self::Date,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Self::Bytes,
            other => Self::Other(other.clone()),
        }
    }

    /// Type of the arrays that hold such values.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Self::Null => DataType::Null,
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Decimal | Self::Computed | Self::Float => DataType::Float64,
            Self::Text => DataType::LargeUtf8,
            Self::Date => DataType::Date32,
            Self::Bytes => DataType::LargeBinary,
            Self::Other(data_type) => data_type.clone(),
        }
    }

    /// Whether the values are numbers.
    pub(crate) const fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Decimal | Self::Computed | Self::Float)
    }

    /// Whether rows can be grouped, joined and sorted by such values.
    pub(crate) const fn is_key(&self) -> bool {
        !matches!(self, Self::Computed | Self::Other(_))
    }

    /// The kind to which both are converted to be compared; `None` where they cannot be.
    pub(crate) fn compared(&self, other: &Self) -> Option<Self> {
        if !self.is_key() || !other.is_key() {
            return None;
        }
        match (self, other) {
            (Self::Null, kind) | (kind, Self::Null) => Some(kind.clone()),
            (a, b) if a == b => Some(a.clone()),
            (a, b) if a.is_number() && b.is_number() => Some(Self::Float),
            _ => None,
        }
    }

    /// The kind of a column with values of both kinds; `None` where there is none.
    pub(crate) fn common(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Null, kind) | (kind, Self::Null) => Some(kind.clone()),
            (a, b) if a == b => Some(a.clone()),
            (Self::Float, kind) | (kind, Self::Float) if kind.is_number() => Some(Self::Float),
            (Self::Decimal, Self::Computed) | (Self::Computed, Self::Decimal) => {
                Some(Self::Computed)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "NULL",
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Decimal | Self::Computed => "a decimal number",
            Self::Float => "a number",
            Self::Text => "text",
            Self::Date => "a date",
            Self::Bytes => "bytes",
            Self::Other(
                DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..),
            ) => "a list",
            Self::Other(DataType::Struct(_)) => "a record",
            Self::Other(_) => "of a type that is only passed on",
        })
    }
}
