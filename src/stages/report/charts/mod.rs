//! Charts of the report, as SVG inside the page.
//!
//! A chart has one model, named in it, so that colours are no key to anything and may repeat.

mod calibration;
mod cohorts;
mod diameter;
mod distribution;
mod training;
mod volumes;

pub(super) use calibration::reliability;
pub(super) use cohorts::{decimals, histograms, title};
pub(super) use diameter::by_diameter;
pub(super) use distribution::{MAX_POINTS, distribution};
pub(super) use training::training;
pub(super) use volumes::bland_altman;

#[cfg(test)]
mod tests {
    use maud::Markup;

    /// A chart is whole, and nothing in it is markup or no number; returns its SVG.
    pub(super) fn assert_drawn(chart: Markup) -> String {
        let text = chart.into_string();
        assert!(text.trim_end().ends_with("</svg>"), "{text}");
        assert!(!text.contains("<i>") && !text.contains("NaN") && !text.contains("inf"), "{text}");
        text
    }
}
