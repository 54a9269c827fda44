//! Decimal numbers rounded half up, as LUNA16's files have them.

/// A decimal number, such as `-12.315979345`, with at most `digits` significant digits and without zeros at the end; the digits
/// of the text are rounded, halves away from zero. Text that is no plain decimal number comes back as it is.
#[must_use]
pub fn half_up(decimal: &str, digits: usize) -> String {
    let mut text = decimal.as_bytes().to_vec();
    let is_plain = text.iter().enumerate().all(|(n, byte)| match byte {
        b'-' => n == 0,
        byte => byte.is_ascii_digit() || *byte == b'.',
    });
    if !is_plain {
        return decimal.to_owned();
    }
    let Some(first) = text.iter().position(|byte| matches!(byte, b'1'..=b'9')) else {
        return "0".to_owned();
    };
    let places: Vec<usize> = (first..text.len()).filter(|n| text[*n] != b'.').collect();
    let (kept, dropped) = places.split_at(digits.min(places.len()));
    let mut is_carried = dropped.first().is_some_and(|n| text[*n] >= b'5');
    for place in dropped {
        text[*place] = b'0';
    }
    let last = kept.last().map_or(first, |place| place + 1);
    for byte in text[..last].iter_mut().rev().filter(|byte| byte.is_ascii_digit()) {
        if is_carried {
            is_carried = *byte == b'9';
            *byte = if is_carried { b'0' } else { *byte + 1 };
        }
    }
    if is_carried {
        text.insert(usize::from(text[0] == b'-'), b'1');
    }
    let text: String = text.into_iter().map(char::from).collect();
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python: `decimal.Context(prec=6, rounding=decimal.ROUND_HALF_UP).create_decimal(text)`.
    #[test]
    fn halves_go_away_from_zero() {
        for (text, expected) in [
            ("0.6640625", "0.664063"),
            ("-0.6640625", "-0.664063"),
            ("0.66406249999", "0.664062"),
            ("0.5", "0.5"),
            ("0.500000", "0.5"),
            ("99.99995", "100"),
            ("-999999.5", "-1000000"),
            ("0.00009999995", "0.0001"),
            ("1234567", "1234570"),
            ("1200000", "1200000"),
            ("12.", "12"),
            ("0", "0"),
            ("-0.000", "0"),
            ("", "0"),
            ("NaN", "NaN"),
            ("1e5", "1e5"),
        ] {
            assert_eq!(half_up(text, 6), expected);
        }
    }
}
