//! The value of each group that polars does not compute as DuckDB does, from lists of the group's values.

use crate::Error;
use crate::kind::Kind;
use crate::typed::{Aggregate, AggregateFunction, Spread};
use polars::prelude::{
    DataType, Float64Chunked, Int64Chunked, IntoSeries as _, Series, StringChunked,
};

/// A value of each group: of the lists of its arguments' values without nulls.
///
/// For modes and joined texts, the last lists are the values' places in order.
pub(super) fn of_lists(aggregate: &Aggregate, lists: &[Series]) -> Result<Series, Error> {
    let groups = |argument: usize| -> Result<Vec<Series>, Error> {
        let none = || Error::Question("an aggregate has too few arguments".to_owned());
        let lists = lists.get(argument).ok_or_else(none)?.list()?;
        Ok((0..lists.len()).map(|n| lists.get_as_series(n).unwrap_or_default()).collect())
    };
    let first = groups(0)?;
    match &aggregate.function {
        AggregateFunction::Mode => {
            let modes = first.iter().map(|list| mode(&wholes(list)?, aggregate));
            return Ok(modes.collect::<Result<Int64Chunked, Error>>()?.into_series());
        }
        AggregateFunction::Joined(separator) => {
            let pairs = first.iter().zip(groups(1)?);
            let texts = pairs.map(|(texts, places)| {
                let texts: Vec<&str> = texts.str()?.iter().flatten().collect();
                joined(&texts, &wholes(&places)?, separator, aggregate.distinct)
            });
            return Ok(texts.collect::<Result<StringChunked, Error>>()?.into_series());
        }
        AggregateFunction::Correlation => {
            let pairs = first.iter().zip(groups(1)?);
            let numbers = pairs.map(|(a, b)| Ok(correlation(&numbers(a)?, &numbers(&b)?)));
            return Ok(numbers.collect::<Result<Float64Chunked, Error>>()?.into_series());
        }
        AggregateFunction::Sum if is_of_wholes(aggregate) => {
            let sum = |list: &Series| {
                let sum = wholes(list)?.into_iter().map(i128::from).sum();
                (!list.is_empty()).then(|| whole(sum)).transpose()
            };
            return Ok(first
                .iter()
                .map(sum)
                .collect::<Result<Int64Chunked, Error>>()?
                .into_series());
        }
        AggregateFunction::Mean if is_of_wholes(aggregate) => {
            let mean = |list: &Series| {
                let sum: i128 = wholes(list)?.into_iter().map(i128::from).sum();
                Ok((!list.is_empty()).then(|| sum as f64 / list.len() as f64))
            };
            return Ok(first
                .iter()
                .map(mean)
                .collect::<Result<Float64Chunked, Error>>()?
                .into_series());
        }
        _ => {}
    }
    let one = |list: &Series| Ok(number(&aggregate.function, &mut numbers(list)?));
    Ok(first.iter().map(one).collect::<Result<Float64Chunked, Error>>()?.into_series())
}

fn is_of_wholes(aggregate: &Aggregate) -> bool {
    aggregate.arguments.first().is_some_and(|argument| argument.kind == Kind::Int)
}

fn wholes(list: &Series) -> Result<Vec<i64>, Error> {
    Ok(list.i64()?.iter().flatten().collect())
}

fn numbers(list: &Series) -> Result<Vec<f64>, Error> {
    if *list.dtype() == DataType::Int64 {
        return Ok(wholes(list)?.into_iter().map(|value| value as f64).collect());
    }
    Ok(list.f64()?.iter().flatten().collect())
}

/// A sum of whole numbers.
pub(super) fn whole(sum: i128) -> Result<i64, Error> {
    let what = || format!("sum: `{sum}` is no whole number of 64 bits; use cast(… AS DOUBLE)");
    i64::try_from(sum).map_err(|_| Error::Question(what()))
}

/// A number of some numbers; none of none.
fn number(function: &AggregateFunction, values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    match function {
        AggregateFunction::Sum => Some(total(values)),
        AggregateFunction::Mean => Some(total(values) / values.len() as f64),
        AggregateFunction::Min => quantile(values, 0.0),
        AggregateFunction::Max => quantile(values, 1.0),
        AggregateFunction::Spread(of) => spread(values, *of),
        AggregateFunction::Quantile(share) => quantile(values, *share),
        AggregateFunction::Count
        | AggregateFunction::Mode
        | AggregateFunction::Joined(_)
        | AggregateFunction::Correlation => None,
    }
}

/// The sum, which of zeros is 0 and not -0.
fn total(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |sum, value| sum + value)
}

/// Variance or standard deviation; none of a sample of one.
fn spread(values: &[f64], of: Spread) -> Option<f64> {
    let n = values.len() - usize::from(of.is_of_sample);
    match (n, values.len()) {
        (0, _) => return None,
        // A single value does not spread, whatever it is.
        (_, 1) => return Some(0.0),
        _ => {}
    }
    // METHOD: Welford's updates, as DuckDB: equal values have exactly no spread.
    let (mut mean, mut squares) = (0.0, 0.0);
    for (n, value) in values.iter().enumerate() {
        let before = value - mean;
        mean += before / (n + 1) as f64;
        squares += before * (value - mean);
    }
    let variance = squares / n as f64;
    Some(if of.is_root { variance.sqrt() } else { variance })
}

/// The value at a share of the sorted values, between two of them on the line that joins them.
fn quantile(values: &mut [f64], share: f64) -> Option<f64> {
    // Positive NaN is above all numbers, and -0 beside 0.
    for value in values.iter_mut().filter(|value| value.is_nan()) {
        *value = f64::NAN;
    }
    values.sort_unstable_by(f64::total_cmp);
    let position = share * (values.len() - 1) as f64;
    let (low, part) = (position.floor(), position.fract());
    let a = values.get(low as usize)?;
    Some(if part > 0.0 { a + (values.get(low as usize + 1)? - a) * part } else { *a })
}

/// Pearson's correlation of pairs; none of no pair, NaN where one side does not vary.
fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let n = a.len() as f64;
    // METHOD: Welford's updates of covariance and variances, as DuckDB.
    let (mut mean_a, mut mean_b) = (0.0, 0.0);
    let (mut product, mut squares_a, mut squares_b) = (0.0, 0.0, 0.0);
    for (n, (a, b)) in a.iter().zip(b).enumerate() {
        let n = (n + 1) as f64;
        let (before_a, before_b) = (a - mean_a, b - mean_b);
        mean_a += before_a / n;
        mean_b += before_b / n;
        product += before_a * (b - mean_b);
        squares_a += before_a * (a - mean_a);
        squares_b += before_b * (b - mean_b);
    }
    let spread = (squares_a / n).sqrt() * (squares_b / n).sqrt();
    let correlation = if spread == 0.0 { f64::NAN } else { product / n / spread };
    (!a.is_empty()).then_some(correlation)
}

/// The most frequent of some places; of several, the first or last in the order.
fn mode(places: &[i64], aggregate: &Aggregate) -> Result<Option<i64>, Error> {
    let mut sorted = places.to_vec();
    sorted.sort_unstable();
    let runs: Vec<(usize, i64)> = sorted
        .chunk_by(|a, b| a == b)
        .filter_map(|run| run.first().map(|place| (run.len(), *place)))
        .collect();
    let most = runs.iter().map(|(n, _)| *n).max();
    let mut modes = runs.iter().filter(|(n, _)| Some(*n) == most).map(|(_, place)| *place);
    let (first, last) = (modes.next(), modes.next_back());
    match (&aggregate.order[..], last) {
        (_, None) => Ok(first),
        ([key], last) => Ok(if key.descending { last } else { first }),
        _ => Err(Error::Question(
            "mode: several values are the most frequent, so that the one is left to chance; write mode(… ORDER BY …) with the \
             same expression twice, which takes the least of them"
                .to_owned(),
        )),
    }
}

/// Texts in the order of their places, with a separator between them; none of no text.
fn joined(
    texts: &[&str],
    places: &[i64],
    separator: &str,
    is_distinct: bool,
) -> Result<Option<String>, Error> {
    let mut all: Vec<(i64, &str)> = places.iter().copied().zip(texts.iter().copied()).collect();
    all.sort_by_key(|(place, _)| *place);
    if all.windows(2).any(|two| two[0].0 == two[1].0 && two[0].1 != two[1].1) {
        return Err(Error::Question(
            "string_agg: rows tie in its order, so that the order of their texts is left to chance; add a column to its ORDER \
             BY that tells them apart"
                .to_owned(),
        ));
    }
    if is_distinct {
        all.dedup();
    }
    let texts: Vec<&str> = all.into_iter().map(|(_, text)| text).collect();
    Ok((!texts.is_empty()).then(|| texts.join(separator)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_vary_has_no_correlation() {
        assert_eq!(correlation(&[], &[]), None);
        assert!(correlation(&[1.0], &[2.0]).is_some_and(f64::is_nan));
        assert!(correlation(&[1.0, 2.0], &[3.0, 3.0]).is_some_and(f64::is_nan));
        // numpy.corrcoef([1, 2, 4], [1, 3, 2])[0, 1]
        let found = correlation(&[1.0, 2.0, 4.0], &[1.0, 3.0, 2.0]);
        assert!(found.is_some_and(|found| (found - 0.327_326_835_353_988_54).abs() < 1e-15));
    }
}
