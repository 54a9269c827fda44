//! Numbers of options, as people write them.

/// A parser of whole numbers from `low` to `high`.
pub(super) fn whole<T: TryFrom<u64> + Clone + Send + Sync + 'static>(
    low: u64,
    high: u64,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| (low..=high).contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| format!("expected a whole number from {low} to {high}"))
    }
}

/// Minutes, with decimals where needed.
pub(super) fn minutes(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|minutes| (0.0..=1e6).contains(minutes));
    number.ok_or_else(|| "expected minutes from 0 to 1000000, as in 360".to_owned())
}

/// A probability.
pub(super) fn probability(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "expected a number from 0 to 1, as in 0.5".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_refused_in_plain_words() {
        let threads = whole::<u16>(1, 65_535);
        assert_eq!(threads("8"), Ok(8));
        for text in ["", "x", "0", "-1", "1.5", "65536", "99999999999999999999999"] {
            assert_eq!(
                threads(text),
                Err("expected a whole number from 1 to 65535".to_owned()),
                "{text}"
            );
        }
        assert_eq!(whole::<u64>(0, u64::MAX)("0"), Ok(0));
        assert_eq!(
            (minutes("1.5"), probability("1"), probability("0.05")),
            (Ok(1.5), Ok(1.0), Ok(0.05))
        );
        assert!(probability("1.5").is_err());
        for text in ["", "x", "-1", "nan", "inf"] {
            assert!(minutes(text).unwrap_err().starts_with("expected minutes"), "{text}");
            assert!(probability(text).unwrap_err().starts_with("expected a number"), "{text}");
        }
    }
}
