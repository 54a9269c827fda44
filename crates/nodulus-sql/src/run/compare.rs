//! Values compared.

use super::evaluate::{booleans, bytes, dates, floats, ints, of_another_type, texts};
use crate::Error;
use crate::typed::{Comparison, Function};
use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::interleave;
use arrow::datatypes::DataType;
use std::cmp::Ordering;
use std::sync::Arc;

type Order<'a> = Box<dyn Fn(usize, usize) -> Ordering + 'a>;

/// How rows of one array compare with rows of another of the same type; nulls have no order.
pub(super) fn order<'a>(a: &'a ArrayRef, b: &'a ArrayRef) -> Result<Order<'a>, Error> {
    Ok(match a.data_type() {
        DataType::Null => Box::new(|_, _| Ordering::Equal),
        DataType::Boolean => {
            let (a, b) = (booleans(a)?, booleans(b)?);
            Box::new(|n, m| a.value(n).cmp(&b.value(m)))
        }
        DataType::Int64 => {
            let (a, b) = (ints(a)?, ints(b)?);
            Box::new(|n, m| a.value(n).cmp(&b.value(m)))
        }
        DataType::Float64 => {
            let (a, b) = (floats(a)?, floats(b)?);
            Box::new(|n, m| float_order(a.value(n), b.value(m)))
        }
        DataType::Date32 => {
            let (a, b) = (dates(a)?, dates(b)?);
            Box::new(|n, m| a.value(n).cmp(&b.value(m)))
        }
        DataType::LargeUtf8 => {
            let (a, b) = (texts(a)?, texts(b)?);
            Box::new(|n, m| a.value(n).cmp(b.value(m)))
        }
        DataType::LargeBinary => {
            let (a, b) = (bytes(a)?, bytes(b)?);
            Box::new(|n, m| a.value(n).cmp(b.value(m)))
        }
        other => return Err(of_another_type(other)),
    })
}

/// Order of numbers: NaN equals itself and is above all others, as in DuckDB.
fn float_order(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
    }
}

/// A comparison for each row, or the greatest or least of several values that are not null.
pub(super) fn compute(function: &Function, arguments: &[ArrayRef]) -> Result<ArrayRef, Error> {
    if let Function::Greatest | Function::Least = function {
        let better =
            if *function == Function::Greatest { Ordering::Greater } else { Ordering::Less };
        return extreme(arguments, better);
    }
    let [a, b] = arguments else {
        return Err(Error::Question("a comparison needs two values".to_owned()));
    };
    let order = order(a, b)?;
    let compared = (0..a.len()).map(|row| {
        let known = a.is_valid(row) && b.is_valid(row) && *a.data_type() != DataType::Null;
        match function {
            Function::Compare(comparison) => known.then(|| comparison.holds(order(row, row))),
            _ if known => Some(order(row, row).is_ne()),
            _ => Some(is_known(a, row) != is_known(b, row)),
        }
    });
    Ok(Arc::new(compared.collect::<BooleanArray>()))
}

/// Whether a row has a value; an array of type null counts its rows as valid.
fn is_known(array: &ArrayRef, row: usize) -> bool {
    array.is_valid(row) && *array.data_type() != DataType::Null
}

fn extreme(arguments: &[ArrayRef], better: Ordering) -> Result<ArrayRef, Error> {
    let n_rows = arguments.first().map_or(0, Array::len);
    let mut best: Vec<(usize, usize)> = (0..n_rows).map(|row| (0, row)).collect();
    for n in 1..arguments.len() {
        let orders = arguments[..n].iter().map(|array| order(&arguments[n], array));
        let orders: Vec<Order<'_>> = orders.collect::<Result<_, _>>()?;
        for (row, best) in best.iter_mut().enumerate() {
            let is_first = !is_known(&arguments[best.0], row);
            if is_known(&arguments[n], row) && (is_first || orders[best.0](row, row) == better) {
                best.0 = n;
            }
        }
    }
    let arrays: Vec<_> = arguments.iter().map(AsRef::as_ref).collect();
    Ok(interleave(&arrays, &best)?)
}

impl Comparison {
    const fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}
