//! Figures: charts or anything else, above a caption.

use maud::{Markup, Render, html};

/// A chart of a figure.
#[derive(Clone, Debug)]
pub struct Chart {
    /// The chart as SVG.
    pub picture: Markup,
    /// What it shows, for readers who cannot see it.
    pub description: String,
}

/// Charts below each other, each as wide as the page.
pub fn charts_stacked(charts: &[Chart]) -> Markup {
    html! { div.wide { (all(charts)) } }
}

/// Charts beside each other where there is room.
pub fn charts_side_by_side(charts: &[Chart]) -> Markup {
    html! { div.panels { (all(charts)) } }
}

fn all(charts: &[Chart]) -> Markup {
    html! {
        @for Chart { picture, description } in charts {
            div.chart role="img" aria-label=(description) { "\n" (picture) } "\n"
        }
    }
}

pub(crate) fn figure(content: impl Render, caption: impl Render) -> Markup {
    html! { figure { (content) figcaption { (caption) } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_no_markup() {
        let chart = Chart { picture: html! { svg {} }, description: "\"<b>".to_owned() };
        let html = figure(charts_stacked(&[chart]), "c").into_string();
        let expected = "<figure><div class=\"wide\"><div class=\"chart\" role=\"img\" \
                        aria-label=\"&quot;&lt;b&gt;\">\n<svg></svg></div>";
        assert!(html.starts_with(expected), "{html}");
        assert!(html.ends_with("<figcaption>c</figcaption></figure>"), "{html}");
    }
}
