//! A struct as one text: `{1,2,0.866579}`.
//!
//! Values of long lists are cut and reals have six decimals, so that a contour of
//! `marks` fits on a line. The table's Parquet files have all of it.

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::fmt::Write as _;

/// Lists with more items are cut: the first two, then the last.
const MAX_ITEMS: usize = 3;
/// Numbers above this are written with an exponent.
const MAX_PLAIN: f64 = 999_999.0;

/// The values of a row's fields, in braces.
pub(super) fn struct_text(array: &StructArray, row: usize) -> String {
    let fields = array.columns().iter().map(|column| value_text(column, row));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

fn value_text(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "null".to_owned();
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => real_text(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => real_text(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => format!("\"{}\"", array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => format!("\"{}\"", array.as_string::<i64>().value(row)),
        DataType::List(_) => list_text(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list_text(&array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => list_text(&array.as_fixed_size_list().value(row)),
        DataType::Struct(_) => struct_text(array.as_struct(), row),
        _ => {
            let mut text = String::new();
            // Numbers of other widths.
            let formatter = ArrayFormatter::try_new(array, &FormatOptions::default());
            if let Ok(formatter) = formatter {
                let _ = write!(text, "{}", formatter.value(row));
            }
            text
        }
    }
}

fn list_text(items: &ArrayRef) -> String {
    let text = |n| value_text(items, n);
    if items.len() <= MAX_ITEMS {
        return format!("[{}]", (0..items.len()).map(text).collect::<Vec<_>>().join(", "));
    }
    let first: Vec<String> = (0..MAX_ITEMS - 1).map(text).collect();
    format!("[{}, … {}]", first.join(", "), text(items.len() - 1))
}

fn real_text(value: f64) -> String {
    let is_whole = value.fract() == 0.0;
    if is_whole && value.abs() < MAX_PLAIN {
        return format!("{value:.1}");
    }
    if format!("{value}").len() <= 9 {
        return if is_whole { format!("{value:e}") } else { format!("{value}") };
    }
    if !(0.000_001..=MAX_PLAIN).contains(&value.abs()) {
        return format!("{value:.4e}");
    }
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0');
    if text.ends_with('.') { format!("{text}0") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{BooleanArray, Float64Array, ListArray};
    use arrow::datatypes::Field;
    use std::sync::Arc;

    #[test]
    fn lists_are_cut_and_reals_have_six_decimals() {
        let points = [[Some(1), Some(2), Some(3)].to_vec(), (1..6).map(Some).collect(), Vec::new()];
        let points = ListArray::from_iter_primitive::<Int64Type, _, _>(points.map(Some));
        let points: ArrayRef = Arc::new(points);
        let z: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(-212.5), Some(0.866_578_599), None]));
        let inclusion: ArrayRef = Arc::new(BooleanArray::from(vec![true, false, true]));
        let field =
            |name, array: &ArrayRef| Arc::new(Field::new(name, array.data_type().clone(), true));
        let array = StructArray::from(vec![
            (field("z_mm", &z), z),
            (field("inclusion", &inclusion), inclusion),
            (field("points", &points), points),
        ]);
        assert_eq!(struct_text(&array, 0), "{-212.5,true,[1, 2, 3]}");
        assert_eq!(struct_text(&array, 1), "{0.866579,false,[1, 2, … 5]}");
        assert_eq!(struct_text(&array, 2), "{null,true,[]}");
    }

    #[test]
    fn reals_have_six_decimals() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.5, "0.5"),
            (0.1 + 0.2, "0.3"),
            (12.000_000_000_1, "12.0"),
            (1_234_567.0, "1.234567e6"),
            (1_234_567.891_2, "1.2346e6"),
            (0.000_000_123_456_789, "1.2346e-7"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(real_text(value), text);
        }
    }
}
