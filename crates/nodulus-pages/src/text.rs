//! Numbers and names as a reader sees them. All of it is plain text, not markup.

/// Stands where there is no value.
pub const NONE: &str = "–";

/// A count with a comma every three digits.
pub fn integer(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with what is counted, in the singular or the plural.
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", integer(n), if n == 1 { one } else { many })
}

/// A number with some decimals and a true minus sign; a dash where it is none or not finite.
pub fn decimal(value: Option<f64>, decimals: usize) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else {
        return NONE.to_owned();
    };
    let text = format!("{:.decimals$}", value.abs());
    let is_negative = value < 0.0 && has_digit_above_zero(&text);
    if is_negative { format!("\u{2212}{text}") } else { text }
}

/// The same with its sign, for differences.
pub fn signed(value: Option<f64>, decimals: usize) -> String {
    let text = decimal(value, decimals);
    let is_positive = has_digit_above_zero(&text) && !text.starts_with('\u{2212}');
    if is_positive { format!("+{text}") } else { text }
}

/// An interval in brackets; a dash where an end is missing.
pub fn interval(low: Option<f64>, high: Option<f64>, decimals: usize) -> String {
    if low.is_none() || high.is_none() {
        return NONE.to_owned();
    }
    format!("[{}, {}]", decimal(low, decimals), decimal(high, decimals))
}

/// An interval in brackets, or why there is none.
pub fn interval_or(
    low: Option<f64>,
    high: Option<f64>,
    decimals: usize,
    missing_reason: Option<&str>,
) -> String {
    match missing_reason {
        Some(reason) => reason.to_owned(),
        None => interval(low, high, decimals),
    }
}

/// A p-value: three decimals, or that it is below them.
pub fn p_value(p: Option<f64>) -> String {
    match p {
        Some(p) if p < 0.001 => "< 0.001".to_owned(),
        p => decimal(p, 3),
    }
}

/// An identifier as words, with a capital.
pub fn words(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(char::to_uppercase);
    let text: String = first.into_iter().flatten().chain(letters).collect();
    text.replace('_', " ")
}

fn has_digit_above_zero(text: &str) -> bool {
    text.bytes().any(|b| (b'1'..=b'9').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(integer(0), "0");
        assert_eq!(integer(999), "999");
        assert_eq!(integer(36_378), "36,378");
        assert_eq!(integer(1_234_567), "1,234,567");
        assert_eq!(counted(1, "scan", "scans"), "1 scan");
        assert_eq!(counted(1_000, "scan", "scans"), "1,000 scans");
        assert_eq!(decimal(Some(0.83149), 3), "0.831");
        assert_eq!(decimal(Some(-1.5), 2), "\u{2212}1.50");
        assert_eq!(decimal(Some(-0.0004), 3), "0.000");
        assert_eq!(decimal(None, 3), "–");
        assert_eq!(decimal(Some(f64::NAN), 3), "–");
        assert_eq!(signed(Some(0.2), 2), "+0.20");
        assert_eq!(signed(Some(-0.2), 2), "\u{2212}0.20");
        assert_eq!(signed(Some(0.0), 2), "0.00");
        assert_eq!(interval(Some(0.5), Some(0.75), 2), "[0.50, 0.75]");
        assert_eq!(interval(Some(0.5), None, 2), "–");
        assert_eq!(p_value(Some(0.000_9)), "< 0.001");
        assert_eq!(p_value(Some(0.0412)), "0.041");
        assert_eq!(p_value(None), "–");
    }

    #[test]
    fn names_are_readable() {
        assert_eq!(words("small_nodule"), "Small nodule");
        assert_eq!(words(""), "");
    }
}
