//! Figures of the page.

use crate::stages::report::text::escape;
use std::fmt::Write as _;

/// A figure of charts; its caption is markup already.
pub(crate) struct Figure<'a> {
    /// Number in the page.
    pub(crate) number: usize,
    /// How charts lie: `wide` below each other, `panels` beside each other where there is room.
    pub(crate) class: &'a str,
    /// Each chart as SVG, with what it shows.
    pub(crate) charts: &'a [(String, String)],
    /// What is drawn.
    pub(crate) caption: &'a str,
}

impl Figure<'_> {
    /// Appends the figure to a page.
    pub(crate) fn write(&self, page: &mut String) {
        let _ = writeln!(page, "<figure><div class=\"{}\">", self.class);
        for (picture, description) in self.charts {
            let _ = writeln!(
                page,
                "<div class=\"chart\" role=\"img\" aria-label=\"{}\">\n{picture}</div>",
                escape(description)
            );
        }
        let _ = writeln!(
            page,
            "</div><figcaption><b>Figure {}.</b> {}</figcaption></figure>",
            self.number, self.caption
        );
    }
}
