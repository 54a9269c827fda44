//! Numbers computed from numbers.

use super::evaluate::{floats, ints};
use crate::Error;
use crate::typed::Function;
use arrow::array::{Array as _, ArrayRef, ArrowPrimitiveType, Float64Array, PrimitiveArray};
use arrow::datatypes::{DataType, Int64Type};
use std::sync::Arc;

/// A number for each row: of whole numbers a whole number, except where the function says otherwise.
pub(super) fn compute(
    function: &Function,
    first: &ArrayRef,
    rest: &[ArrayRef],
) -> Result<ArrayRef, Error> {
    let is_int = *first.data_type() == DataType::Int64;
    match (function, rest) {
        (Function::Add | Function::Subtract | Function::Multiply | Function::Modulo, [second])
            if is_int =>
        {
            let values = pairs::<Int64Type>(ints(first)?, ints(second)?, |a, b| {
                let (value, sign) = match function {
                    Function::Add => (a.checked_add(b), '+'),
                    Function::Subtract => (a.checked_sub(b), '-'),
                    Function::Multiply => (a.checked_mul(b), '*'),
                    // The remainder of the least number by -1 is 0, and its quotient overflows.
                    _ if b == -1 => (Some(0), '%'),
                    _ => (a.checked_rem(b), '%'),
                };
                value.ok_or_else(|| {
                    let why = match b {
                        0 if sign == '%' => "has no value; use nullif(…, 0)",
                        _ => "is no whole number of 64 bits; use cast(… AS DOUBLE)",
                    };
                    Error::Question(format!("`{a} {sign} {b}` {why}"))
                })
            })?;
            Ok(Arc::new(values))
        }
        (Function::Add | Function::Subtract | Function::Multiply | Function::Divide, [second]) => {
            let values = pairs(floats(first)?, floats(second)?, |a, b| {
                Ok(match function {
                    Function::Add => a + b,
                    Function::Subtract => a - b,
                    Function::Multiply => a * b,
                    // Infinite or not a number elsewhere, with a sign that depends on that of the zero.
                    _ if b == 0.0 => {
                        return Err(Error::Question(format!(
                            "`{a} / 0` has no value; use nullif(…, 0)"
                        )));
                    }
                    _ => a / b,
                })
            })?;
            Ok(Arc::new(values))
        }
        (Function::Negate | Function::Abs, []) if is_int => {
            let one = |value: i64| {
                let result = match function {
                    Function::Negate => value.checked_neg(),
                    _ => value.checked_abs(),
                };
                let what = "has no opposite of 64 bits; use cast(… AS DOUBLE)";
                result.ok_or_else(|| Error::Question(format!("`{value}` {what}")))
            };
            Ok(Arc::new(ints(first)?.try_unary::<_, Int64Type, Error>(one)?))
        }
        (_, []) => {
            let values: Float64Array = floats(first)?.unary(|value| match function {
                Function::Negate => -value,
                Function::Abs => value.abs(),
                Function::Round(digits) => round(value, *digits),
                Function::Floor => value.floor(),
                Function::Ceil => value.ceil(),
                Function::Sqrt => value.sqrt(),
                Function::Ln => value.ln(),
                _ => value.exp(),
            });
            Ok(Arc::new(values))
        }
        _ => Err(Error::Question("a function has too many arguments".to_owned())),
    }
}

/// Rounded to so many digits after the point, a half away from zero. What counts is the number's exact value, as in DuckDB:
/// 2.675 is a little less, and becomes 2.67.
fn round(value: f64, digits: i32) -> f64 {
    /// From here on, numbers have no half.
    const NO_HALF: f64 = 4_503_599_627_370_496.0;
    let scale = 10f64.powi(digits.abs());
    let size = value.abs();
    let rounded = if digits < 0 {
        let whole = (size / scale).floor();
        if size >= (whole + 0.5) * scale { (whole + 1.0) * scale } else { whole * scale }
    } else {
        let scaled = size * scale;
        if scaled.is_nan() || scaled >= NO_HALF {
            return value;
        }
        // What the product lost by its own rounding decides where it seems to be a half.
        let lost = size.mul_add(scale, -scaled);
        let (whole, above_half) = (scaled.floor(), scaled.fract() - 0.5);
        let is_up = above_half > 0.0 || (above_half >= 0.0 && lost >= 0.0);
        (if is_up { whole + 1.0 } else { whole }) / scale
    };
    if rounded.is_finite() { rounded.copysign(value) } else { value }
}

/// A value for each pair; null where one is null.
fn pairs<T: ArrowPrimitiveType>(
    a: &PrimitiveArray<T>,
    b: &PrimitiveArray<T>,
    of: impl Fn(T::Native, T::Native) -> Result<T::Native, Error>,
) -> Result<PrimitiveArray<T>, Error> {
    a.iter().zip(b).map(|(a, b)| a.zip(b).map(|(a, b)| of(a, b)).transpose()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_by_their_exact_value() {
        for (value, digits, expected) in [
            (2.675, 2, 2.67),
            (1.005, 2, 1.0),
            (0.125, 2, 0.13),
            (-0.125, 2, -0.13),
            (2.5, 0, 3.0),
            (-2.5, 0, -3.0),
            (0.499_999_999_999_999_94, 0, 0.0),
            (1250.0, -2, 1300.0),
            (1249.0, -2, 1200.0),
            (-50.0, -2, -100.0),
            (1e300, 5, 1e300),
            (f64::INFINITY, 1, f64::INFINITY),
        ] {
            assert!(round(value, digits).total_cmp(&expected).is_eq(), "{value} {digits}");
        }
        assert!(round(f64::NAN, 2).is_nan());
    }
}
