//! Numbers and names as a reader sees them.

use nodulus_metrics::Metric;

/// Stands where there is no value.
pub(crate) const NONE: &str = "–";

/// Text that cannot be taken for markup, in elements and in quoted attributes.
pub(crate) fn escape(text: &str) -> String {
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
pub(crate) fn integer(n: u64) -> String {
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
pub(crate) fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", integer(n), if n == 1 { one } else { many })
}

/// A number with some decimals and a true minus sign; a dash where it is none or not finite.
pub(crate) fn decimal(value: Option<f64>, decimals: usize) -> String {
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
    let positive =
        text.bytes().any(|b| (b'1'..=b'9').contains(&b)) && !text.starts_with('\u{2212}');
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

/// An identifier as words, with a capital; escaped.
pub(super) fn words(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(char::to_uppercase);
    let text: String = first.into_iter().flatten().chain(letters).collect();
    escape(&text.replace('_', " "))
}

/// What stands before the name of a metric over slices, in the plane.
pub(super) const SLICE_PREFIX: &str = "slice_";

/// Decimals in which a metric is given: thousandths of a share, hundredths of a millimetre.
pub(super) fn decimals(metric: &str) -> usize {
    if known(metric).is_some_and(Metric::is_distance) { 2 } else { 3 }
}

/// The metric behind a name, over nodules or over slices.
pub(super) fn known(metric: &str) -> Option<Metric> {
    Metric::from_name(metric.strip_prefix(SLICE_PREFIX).unwrap_or(metric))
}

/// A metric's name and unit for a reader, escaped.
pub(super) fn metric_title(metric: &str) -> String {
    let title = match known(metric) {
        Some(Metric::Dice) => "Dice",
        Some(Metric::Iou) => "IoU",
        Some(Metric::Precision) => "Precision",
        Some(Metric::Sensitivity) => "Sensitivity",
        Some(Metric::Hausdorff) => "Hausdorff distance (mm)",
        Some(Metric::Hausdorff95) => "95% Hausdorff distance (mm)",
        Some(Metric::Assd) => "Average symmetric surface distance (mm)",
        Some(Metric::Masd) => "Mean average surface distance (mm)",
        Some(Metric::SurfaceDice) => "Surface Dice at 1 mm",
        None => return escape(metric),
    };
    title.to_owned()
}

/// A subgroup, `name=value` in the table, for a reader; escaped.
pub(super) fn subgroup_title(subgroup: &str) -> String {
    let Some((name, value)) = subgroup.split_once('=') else {
        return words(subgroup);
    };
    let value = escape(&value.replace('_', " "));
    match name.strip_suffix("_mm") {
        Some(name) => format!("{} (mm): {value}", words(name)),
        None => format!("{}: {value}", words(name)),
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
    fn names_are_readable() {
        assert_eq!(metric_title("hausdorff_95_mm"), "95% Hausdorff distance (mm)");
        assert_eq!(metric_title("slice_dice"), "Dice");
        assert_eq!(metric_title("<x>"), "&lt;x&gt;");
        assert_eq!((decimals("slice_assd_mm"), decimals("dice")), (2, 3));
        assert_eq!(subgroup_title("diameter_mm=under_6"), "Diameter (mm): under 6");
        assert_eq!(subgroup_title("nodule_type=ground_glass"), "Nodule type: ground glass");
        assert_eq!(words("small_nodule"), "Small nodule");
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
