//! A picture with outlines: whole, and the outlined part enlarged.

use crate::outline::outline;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{Markup, html};

/// A picture to draw outlines on.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// Bytes of a PNG.
    pub png: &'a [u8],
    /// Its pixels along x and y.
    pub size: [usize; 2],
    /// Size of a pixel along x and y.
    pub pixel_mm: [f64; 2],
}

/// An outline beside the common one.
#[derive(Clone, Debug)]
pub struct View {
    /// Whether each pixel of the picture is within the outline, row by row.
    pub pixels: Vec<bool>,
    /// What the panel shows, for readers who cannot see it.
    pub description: String,
}

/// How an outline is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    /// Broad, below: the outline that all panels share.
    Broad,
    /// Fine, above: a panel's own outline.
    Fine,
}

impl Stroke {
    const fn class(self) -> &'static str {
        match self {
            Self::Broad => "broad",
            Self::Fine => "fine",
        }
    }
}

/// A picture as SVG.
#[derive(Clone, Debug)]
pub struct Panels {
    /// The whole picture, with the field that is enlarged.
    pub whole: Markup,
    /// The field with the common outline and a view's own, view by view; all show the same millimetres.
    pub enlarged: Vec<Markup>,
}

/// Side of a panel, in the figure's own units.
const PANEL: f64 = 300.0;
/// The enlarged field is this many times as wide as what is outlined in it.
const FIELD: f64 = 2.0;
/// The enlarged field is never smaller.
const LEAST_FIELD_MM: f64 = 18.0;

/// Draws a picture whole and once for each view; `id` is unique in the page. `common` are the pixels within
/// the outline that all views share, row by row.
pub fn panels(
    picture: &Picture<'_>,
    common: &[bool],
    views: &[View],
    id: &str,
    description: &str,
) -> Panels {
    let Picture { png, size, pixel_mm } = *picture;
    let size_mm = [0, 1].map(|a| size[a] as f64 * pixel_mm[a]);
    let [x, y, side] = field(picture, common, views);
    // A picture that is not square keeps its shape, in the middle of a square.
    let edge = size_mm[0].max(size_mm[1]);
    let start = size_mm.map(|length| (length - edge) / 2.0);
    let data = format!("data:image/png;base64,{}", STANDARD.encode(png));
    let [width, height] = size_mm.map(decimals);
    let image = html! {
        image id=(id) style="image-rendering:pixelated" width=(width) height=(height)
            preserveAspectRatio="none" href=(data) {}
        rect.field x=(decimals(x)) y=(decimals(y)) width=(decimals(side)) height=(decimals(side)) {}
    };
    let bar = scale_bar(side);
    let common = outline(size, pixel_mm, common);
    let enlarged = |view: &View| {
        let drawing = html! {
            use href={ "#" (id) } {}
            path class=(Stroke::Broad.class()) d=(common) {}
            path class=(Stroke::Fine.class()) d=(outline(size, pixel_mm, &view.pixels)) {}
        };
        panel([x, y, side], &drawing, &bar, &view.description)
    };
    Panels {
        whole: panel([start[0], start[1], edge], &image, &Markup::default(), description),
        enlarged: views.iter().map(enlarged).collect(),
    }
}

/// Panels beside each other, each above what is said of it.
pub fn side_by_side(panels: &[(Markup, Markup)]) -> Markup {
    html! {
        div.slices { @for (panel, text) in panels { div { (panel) p { (text) } } "\n" } }
    }
}

/// What each stroke stands for.
pub fn legend(entries: &[(Stroke, &str)]) -> Markup {
    html! {
        ul.legend {
            @for (stroke, text) in entries {
                li { span class={ "swatch " (stroke.class()) } {} (text) }
            }
        }
    }
}

fn decimals(value: f64) -> String {
    format!("{value:.2}")
}

/// A scale bar of a round length, for a field of some millimetres.
fn scale_bar(side_mm: f64) -> Markup {
    let bar_mm = if side_mm > 60.0 { 20.0 } else { 5.0 };
    let length = bar_mm / side_mm * PANEL;
    let (y, above) = (PANEL - 12.0, PANEL - 19.0);
    html! {
        path.under d=(format_args!("M9 {y}h{:.1}", length + 2.0)) {}
        path.bar d=(format_args!("M10 {y}h{length:.1}")) {}
        text x="10" y=(above) { (bar_mm) " mm" }
    }
}

/// A square window on millimetres of the picture, from x and y on; `over` is in the panel's own units.
fn panel([x, y, side]: [f64; 3], drawing: &Markup, over: &Markup, description: &str) -> Markup {
    let view = format!("{x:.2} {y:.2} {side:.2} {side:.2}");
    html! {
        svg.slice role="img" aria-label=(description)
            viewBox=(format_args!("0 0 {PANEL} {PANEL}")) width=(PANEL) height=(PANEL) {
            svg width=(PANEL) height=(PANEL) viewBox=(view) { (drawing) }
            (over)
        }
    }
}

/// The square to enlarge, in millimetres: x, y and side; the picture's middle where nothing is outlined.
fn field(picture: &Picture<'_>, common: &[bool], views: &[View]) -> [f64; 3] {
    let Picture { size, pixel_mm, .. } = *picture;
    let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    let outlines = views.iter().map(|view| &*view.pixels).chain([common]);
    for (n, _) in
        outlines.flat_map(|pixels| pixels.iter().enumerate().filter(|(_, is_set)| **is_set))
    {
        for (a, at) in [n % size[0].max(1), n / size[0].max(1)].into_iter().enumerate() {
            low[a] = low[a].min(at as f64 * pixel_mm[a]);
            high[a] = high[a].max((at + 1) as f64 * pixel_mm[a]);
        }
    }
    if low[0] > high[0] {
        let middle = [0, 1].map(|a| size[a] as f64 * pixel_mm[a] / 2.0);
        (low, high) = (middle, middle);
    }
    let extent = (high[0] - low[0]).max(high[1] - low[1]);
    let side = (FIELD * extent).max(LEAST_FIELD_MM);
    let start = |a: usize| f64::midpoint(low[a], high[a]) - side / 2.0;
    [start(0), start(1), side]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: Picture<'_> = Picture { png: b"png", size: [64, 48], pixel_mm: [0.7, 0.7] };

    fn disc(ci: f64) -> Vec<bool> {
        let is_within =
            |n: usize| ((n % 64) as f64 - ci).powi(2) + ((n / 64) as f64 - 24.0).powi(2) < 49.0;
        (0..64 * 48).map(is_within).collect()
    }

    fn view(pixels: Vec<bool>, description: &str) -> View {
        View { pixels, description: description.to_owned() }
    }

    #[test]
    fn the_field_surrounds_every_outline() {
        let [x, y, side] = field(&PICTURE, &disc(30.0), &[view(disc(31.0), "")]);
        // Pixels 24 to 37 and 18 to 30: 14 × 0.7 mm wide, twice that to see.
        assert!((side - 19.6).abs() < 1e-9, "{side}");
        assert!((x - (31.0 * 0.7 - 9.8)).abs() < 1e-9, "{x}");
        assert!((y - (24.5 * 0.7 - 9.8)).abs() < 1e-9, "{y}");
        let [x, y, side] = field(&PICTURE, &[], &[]);
        assert!((x - (22.4 - 9.0)).abs() < 1e-9 && (y - (16.8 - 9.0)).abs() < 1e-9, "{x} {y}");
        assert!((side - 18.0).abs() < 1e-9, "{side}");
    }

    #[test]
    fn each_view_has_a_panel_of_the_same_field() {
        let views = [view(disc(31.0), "<a>"), view(vec![false; 64 * 48], "b")];
        let Panels { whole, enlarged } = panels(&PICTURE, &disc(30.0), &views, "slice-0", "w");
        let whole = whole.into_string();
        assert!(whole.contains("<image id=\"slice-0\"") && whole.contains("aria-label=\"w\""));
        assert!(whole.contains("href=\"data:image/png;base64,cG5n\""), "{whole}");
        assert_eq!(enlarged.len(), 2);
        let enlarged: Vec<String> = enlarged.into_iter().map(Markup::into_string).collect();
        for (panel, label) in enlarged.iter().zip(["&lt;a&gt;", "b"]) {
            assert!(panel.contains("<use href=\"#slice-0\"></use>"), "{panel}");
            assert!(panel.contains("viewBox=\"11.90 7.35 19.60 19.60\""), "{panel}");
            assert!(panel.contains(&format!("aria-label=\"{label}\"")), "{panel}");
            assert!(panel.contains("5 mm</text>"), "{panel}");
        }
        assert!(enlarged[1].contains("<path class=\"fine\" d=\"\"></path>"));
    }

    #[test]
    fn a_legend_names_each_stroke() {
        let html = legend(&[(Stroke::Broad, "a&b"), (Stroke::Fine, "c")]).into_string();
        assert!(html.contains("<li><span class=\"swatch broad\"></span>a&amp;b</li>"), "{html}");
        assert!(html.contains("<span class=\"swatch fine\">"), "{html}");
    }
}
