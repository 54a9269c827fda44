//! Numbers computed from numbers, where there is not always a result or polars has another.

use super::scalar::no_value;
use crate::typed::Function;
use polars::prelude::{Float64Chunked, Int64Chunked, IntoSeries as _, PolarsResult, Series};

/// A whole number of each pair.
pub(super) fn of_ints(function: &Function, a: &Series, b: &Series) -> PolarsResult<Series> {
    let one = |(a, b): (i64, i64)| {
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
            no_value(format!("`{a} {sign} {b}` {why}"))
        })
    };
    let pairs = a.i64()?.iter().zip(b.i64()?.iter());
    let values = pairs.map(|(a, b)| a.zip(b).map(one).transpose());
    Ok(values.collect::<PolarsResult<Int64Chunked>>()?.into_series())
}

/// The quotient of each pair.
pub(super) fn quotients(a: &Series, b: &Series) -> PolarsResult<Series> {
    let one = |(a, b): (f64, f64)| {
        // Infinite or not a number elsewhere, with a sign that depends on that of the zero.
        if b == 0.0 {
            return Err(no_value(format!("`{a} / 0` has no value; use nullif(…, 0)")));
        }
        Ok(a / b)
    };
    let pairs = a.f64()?.iter().zip(b.f64()?.iter());
    let values = pairs.map(|(a, b)| a.zip(b).map(one).transpose());
    Ok(values.collect::<PolarsResult<Float64Chunked>>()?.into_series())
}

/// The power of each pair.
pub(super) fn powers(bases: &Series, exponents: &Series) -> PolarsResult<Series> {
    let one = |(base, exponent): (f64, f64)| {
        // As a quotient by zero.
        if base == 0.0 && exponent < 0.0 {
            let what = format!("`power(0, {exponent})` has no value; use nullif(…, 0)");
            return Err(no_value(what));
        }
        Ok(base.powf(exponent))
    };
    let pairs = bases.f64()?.iter().zip(exponents.f64()?.iter());
    let values = pairs.map(|(base, exponent)| base.zip(exponent).map(one).transpose());
    Ok(values.collect::<PolarsResult<Float64Chunked>>()?.into_series())
}

/// A whole number of each whole number.
pub(super) fn of_int(function: &Function, values: &Series) -> PolarsResult<Series> {
    let one = |value: i64| {
        let result = match function {
            Function::Within(low, high) => {
                if (*low..=*high).contains(&value) {
                    return Ok(value);
                }
                let what = format!("`{value}` is not in the range from {low} to {high}");
                return Err(no_value(what));
            }
            Function::Round(digits) => {
                let rounded = rounded(value, digits.unsigned_abs());
                let what = "rounded is no whole number of 64 bits; use cast(… AS DOUBLE)";
                return rounded.ok_or_else(|| no_value(format!("`{value}` {what}")));
            }
            Function::Negate => value.checked_neg(),
            _ => value.checked_abs(),
        };
        let what = "has no opposite of 64 bits; use cast(… AS DOUBLE)";
        result.ok_or_else(|| no_value(format!("`{value}` {what}")))
    };
    let values = values.i64()?.iter().map(|value| value.map(one).transpose());
    Ok(values.collect::<PolarsResult<Int64Chunked>>()?.into_series())
}

/// A whole number without its last digits, a half away from zero.
fn rounded(value: i64, n_digits: u32) -> Option<i64> {
    let scale = 10i128.checked_pow(n_digits)?;
    let half = scale / 2 * i128::from(value.signum());
    i64::try_from((i128::from(value) + half) / scale * scale).ok()
}

/// A number of each number.
pub(super) fn of_float(function: &Function, values: &Series) -> PolarsResult<Series> {
    let one = |value: f64| {
        Ok(match function {
            Function::Normal => normal(value),
            Function::Negate => -value,
            Function::Abs => value.abs(),
            Function::Round(digits) => round(value, *digits),
            Function::Floor => value.floor(),
            Function::Ceil => value.ceil(),
            Function::Sqrt if value < 0.0 => {
                return Err(no_value(format!("`sqrt({value})` has no value")));
            }
            Function::Ln if value <= 0.0 => {
                return Err(no_value(format!("`ln({value})` has no value")));
            }
            Function::Sqrt => value.sqrt(),
            Function::Ln => value.ln(),
            _ => value.exp(),
        })
    };
    let values = values.f64()?.iter().map(|value| value.map(one).transpose());
    Ok(values.collect::<PolarsResult<Float64Chunked>>()?.into_series())
}

/// A number as one of those that are equal: there is one zero and one NaN.
fn normal(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value + 0.0 }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_lose_their_last_digits() {
        for (value, n_digits, expected) in [
            (14, 1, Some(10)),
            (15, 1, Some(20)),
            (-15, 1, Some(-20)),
            (-14, 1, Some(-10)),
            (500, 3, Some(1000)),
            (499, 3, Some(0)),
            (i64::MAX, 1, None),
            (i64::MIN, 1, None),
            (i64::MAX, 15, Some(9_223_000_000_000_000_000)),
        ] {
            assert_eq!(rounded(value, n_digits), expected, "{value} {n_digits}");
        }
    }

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
