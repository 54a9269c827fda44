//! A mean and its interval on a line, small enough for a cell of a table.

use maud::{Markup, html};

/// Units of the drawing from end to end of the line.
const LENGTH: f64 = 110.0;

/// Draws a mean and the ends of its interval on a line from 0 to `end`; nothing where the mean is not
/// known or the line has no length. An end that is not known is the mean.
pub fn interval_bar(end: f64, mean: Option<f64>, ends: [Option<f64>; 2]) -> Markup {
    let Some(mean) = mean.filter(|mean| mean.is_finite() && end > 0.0) else {
        return Markup::default();
    };
    let [low, high] = ends.map(|value| value.unwrap_or(mean));
    let [low, mean, high] =
        [low, mean, high].map(|value| 5.0 + LENGTH * (value / end).clamp(0.0, 1.0));
    html! {
        svg.interval aria-hidden="true" viewBox="0 0 120 12" width="120" height="12" {
            path.scale d="M5 6H115M5 3V9M115 3V9" {}
            path d=(format_args!("M{low:.1} 6H{high:.1}")) {}
            circle cx=(format_args!("{mean:.1}")) cy="6" r="3" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_lies_on_its_line() {
        let html = interval_bar(2.0, Some(1.0), [Some(0.5), Some(7.0)]).into_string();
        assert!(html.contains("<path d=\"M32.5 6H115.0\"></path>"), "{html}");
        assert!(html.contains("<circle cx=\"60.0\""), "{html}");
        let html = interval_bar(1.0, Some(0.0), [None, None]).into_string();
        assert!(html.contains("<path d=\"M5.0 6H5.0\"></path>"), "{html}");
        for (end, mean) in [(0.0, Some(0.0)), (1.0, None), (1.0, Some(f64::NAN))] {
            assert_eq!(interval_bar(end, mean, [None, None]).into_string(), "");
        }
    }
}
