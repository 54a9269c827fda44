//! Numbers and names as a reader sees them.

use crate::metrics::Metric;

/// Stands where there is no value.
pub(super) const NONE: &str = "–";

/// Text that cannot be taken for markup, in elements and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Control characters have no place in a page.
            c if c.is_control() && c != '\n' && c != '\t' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A count with a comma every three digits.
pub(super) fn integer(n: u64) -> String {
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
pub(super) fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", integer(n), if n == 1 { one } else { many })
}

/// A number with some decimals and a true minus sign; a dash where it is none or not finite.
pub(super) fn decimal(value: Option<f64>, decimals: usize) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else {
        return NONE.to_owned();
    };
    let text = format!("{:.decimals$}", value.abs());
    let negative = value < 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b));
    if negative { format!("\u{2212}{text}") } else { text }
}

/// The same with its sign, for differences.
pub(super) fn signed(value: Option<f64>, decimals: usize) -> String {
    let text = decimal(value, decimals);
    let positive = text.bytes().any(|b| (b'1'..=b'9').contains(&b)) && !text.starts_with('\u{2212}');
    if positive { format!("+{text}") } else { text }
}

/// An interval in brackets; a dash where an end is missing.
pub(super) fn interval(low: Option<f64>, high: Option<f64>, decimals: usize) -> String {
    if low.is_none() || high.is_none() {
        return NONE.to_owned();
    }
    format!("[{}, {}]", decimal(low, decimals), decimal(high, decimals))
}

/// A p-value: three decimals, or that it is below them.
pub(super) fn p_value(p: Option<f64>) -> String {
    match p {
        Some(p) if p < 0.001 => "&lt; 0.001".to_owned(),
        p => decimal(p, 3),
    }
}

/// Decimals in which a metric is given: thousandths of a share, hundredths of a millimetre.
pub(super) fn decimals(metric: &str) -> usize {
    if Metric::from_name(metric).is_some_and(Metric::is_distance) { 2 } else { 3 }
}

/// A metric's name and unit for a reader, escaped.
pub(super) fn metric_title(metric: &str) -> String {
    match Metric::from_name(metric) {
        Some(Metric::Dice) => "Dice".to_owned(),
        Some(Metric::Iou) => "IoU".to_owned(),
        Some(Metric::Precision) => "Precision".to_owned(),
        Some(Metric::Sensitivity) => "Sensitivity".to_owned(),
        Some(Metric::Hausdorff) => "Hausdorff distance (mm)".to_owned(),
        Some(Metric::Hausdorff95) => "95% Hausdorff distance (mm)".to_owned(),
        Some(Metric::Assd) => "Average symmetric surface distance (mm)".to_owned(),
        Some(Metric::Masd) => "Mean average surface distance (mm)".to_owned(),
        Some(Metric::SurfaceDice) => "Surface Dice at 1 mm".to_owned(),
        None => escape(metric),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        assert_eq!(escape(r#"<a b="c">'&"#), "&lt;a b=&quot;c&quot;&gt;&#39;&amp;");
        assert_eq!(escape("µ – 1\u{0}"), "µ – 1\u{fffd}");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(integer(0), "0");
        assert_eq!(integer(999), "999");
        assert_eq!(integer(36_378), "36,378");
        assert_eq!(integer(1_234_567), "1,234,567");
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
        assert_eq!(p_value(Some(0.000_9)), "&lt; 0.001");
        assert_eq!(p_value(Some(0.0412)), "0.041");
        assert_eq!(p_value(None), "–");
    }
}
