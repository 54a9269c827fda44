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
    pub enlarged: Vec<EnlargedPanel>,
}

/// The enlarged field of a picture with the outlines of a view.
#[derive(Clone, Debug)]
pub struct EnlargedPanel {
    /// The panel as SVG.
    pub svg: Markup,
    /// Whether the view's own outline continues outside the field.
    pub is_cut: bool,
}

/// Side of a panel, in the figure's own units.
const PANEL: f64 = 300.0;
/// The enlarged field is this many times as wide as what is outlined in it.
const FIELD: f64 = 1.6;
/// The enlarged field is never wider than this many times the common outline, so that the common outline stays large.
const MOST_OF_COMMON: f64 = 3.0;
/// The enlarged field is never smaller.
const LEAST_FIELD_MM: f64 = 18.0;

/// Draws a picture whole and once for each view; `id` is unique in the page. `common` are the pixels within the outline that all
/// views share, row by row. The enlarged field surrounds it and the outline of the first view, as far as the common outline stays
/// large.
pub fn panels(
    picture: &Picture<'_>,
    common: &[bool],
    views: &[View],
    id: &str,
    description: &str,
) -> Panels {
    let Picture { png, size, pixel_mm } = *picture;
    let size_mm = [0, 1].map(|a| size[a] as f64 * pixel_mm[a]);
    let field = field(picture, common, views.first());
    let [x, y, side] = field;
    // A picture that is not square keeps its shape, in the middle of a square.
    let edge = size_mm[0].max(size_mm[1]);
    let start = size_mm.map(|length| (length - edge) / 2.0);
    let data = png_uri(png);
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
        EnlargedPanel {
            svg: panel(field, &drawing, &bar, &view.description),
            is_cut: extent(picture, &view.pixels)
                .is_some_and(|outlined| !is_within(outlined, field)),
        }
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

/// The least and the greatest millimetres of the pixels along x and y; `None` where no pixel is set.
fn extent(picture: &Picture<'_>, pixels: &[bool]) -> Option<[[f64; 2]; 2]> {
    let Picture { size, pixel_mm, .. } = *picture;
    let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for (n, _) in pixels.iter().enumerate().filter(|(_, is_set)| **is_set) {
        for (a, at) in [n % size[0].max(1), n / size[0].max(1)].into_iter().enumerate() {
            low[a] = low[a].min(at as f64 * pixel_mm[a]);
            high[a] = high[a].max((at + 1) as f64 * pixel_mm[a]);
        }
    }
    (low[0] < high[0]).then_some([low, high])
}

fn is_within([low, high]: [[f64; 2]; 2], [x, y, side]: [f64; 3]) -> bool {
    let start = [x, y];
    (0..2).all(|a| low[a] >= start[a] && high[a] <= start[a] + side)
}

/// The square to enlarge, in millimetres: x, y and side; the picture's middle where nothing is outlined. It lies within the
/// picture where the picture is large enough.
fn field(picture: &Picture<'_>, common: &[bool], leading: Option<&View>) -> [f64; 3] {
    let Picture { size, pixel_mm, .. } = *picture;
    let size_mm = [0, 1].map(|a| size[a] as f64 * pixel_mm[a]);
    let width = |[low, high]: [[f64; 2]; 2]| (high[0] - low[0]).max(high[1] - low[1]);
    let common = extent(picture, common);
    let leading = leading.and_then(|view| extent(picture, &view.pixels));
    let both = match (common, leading) {
        (Some(a), Some(b)) => {
            Some([[0, 1].map(|n| a[0][n].min(b[0][n])), [0, 1].map(|n| a[1][n].max(b[1][n]))])
        }
        (a, b) => a.or(b),
    };
    let (outlined, side) = match (common, both) {
        (Some(common), Some(both)) if FIELD * width(both) > MOST_OF_COMMON * width(common) => {
            (Some(common), MOST_OF_COMMON * width(common))
        }
        (_, both) => (both, both.map_or(0.0, |both| FIELD * width(both))),
    };
    let side = side.max(LEAST_FIELD_MM).min(size_mm[0].max(size_mm[1]));
    let [low, high] = outlined.unwrap_or([[0.0; 2], size_mm]);
    let start = |a: usize| {
        let start = f64::midpoint(low[a], high[a]) - side / 2.0;
        if side < size_mm[a] {
            start.clamp(0.0, size_mm[a] - side)
        } else {
            (size_mm[a] - side) / 2.0
        }
    };
    [start(0), start(1), side]
}

/// A PNG as the address of an image, for a page or an SVG that needs no other file.
pub fn png_uri(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png))
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
    fn the_field_surrounds_the_common_outline_and_the_first_view() {
        let [x, y, side] = field(&PICTURE, &disc(30.0), Some(&view(disc(36.0), "")));
        // Pixels 24 to 42 and 18 to 30: 19 × 0.7 mm wide, 1.6 times that to see.
        assert!((side - 21.28).abs() < 1e-9, "{side}");
        assert!((x - (33.5 * 0.7 - 10.64)).abs() < 1e-9, "{x}");
        assert!((y - (24.5 * 0.7 - 10.64)).abs() < 1e-9, "{y}");
        let [x, y, side] = field(&PICTURE, &[], None);
        assert!((x - (22.4 - 9.0)).abs() < 1e-9 && (y - (16.8 - 9.0)).abs() < 1e-9, "{x} {y}");
        assert!((side - 18.0).abs() < 1e-9, "{side}");
    }

    #[test]
    fn a_view_that_covers_the_picture_does_not_shrink_the_common_outline() {
        let all = view(vec![true; 64 * 48], "");
        // Pixels 24 to 36: 13 × 0.7 mm wide, three times that to see.
        let [x, y, side] = field(&PICTURE, &disc(30.0), Some(&all));
        assert!((side - 27.3).abs() < 1e-9, "{side}");
        assert!((x - (30.5 * 0.7 - 13.65)).abs() < 1e-9, "{x}");
        // At the lower border of the picture, 33.6 mm high, the field stays within it.
        assert!((y - (33.6 - 27.3)).abs() < 3.5 && y >= 0.0 && y + side <= 33.6 + 1e-9, "{y}");
        let found = panels(&PICTURE, &disc(30.0), &[all, view(disc(31.0), "")], "s", "w").enlarged;
        assert_eq!(found.iter().map(|panel| panel.is_cut).collect::<Vec<_>>(), [true, false]);
        let corner: Vec<bool> = (0..64 * 48).map(|n| n < 3).collect();
        let [x, y, side] = field(&PICTURE, &corner, None);
        assert!(x.abs() < 1e-9 && y.abs() < 1e-9 && (side - 18.0).abs() < 1e-9, "{x} {y} {side}");
    }

    #[test]
    fn each_view_has_a_panel_of_the_same_field() {
        let views = [view(disc(31.0), "<a>"), view(vec![false; 64 * 48], "b")];
        let Panels { whole, enlarged } = panels(&PICTURE, &disc(30.0), &views, "slice-0", "w");
        let whole = whole.into_string();
        assert!(whole.contains("<image id=\"slice-0\"") && whole.contains("aria-label=\"w\""));
        assert!(whole.contains("href=\"data:image/png;base64,cG5n\""), "{whole}");
        assert_eq!(enlarged.len(), 2);
        let enlarged: Vec<String> =
            enlarged.into_iter().map(|panel| panel.svg.into_string()).collect();
        for (panel, label) in enlarged.iter().zip(["&lt;a&gt;", "b"]) {
            assert!(panel.contains("<use href=\"#slice-0\"></use>"), "{panel}");
            assert!(panel.contains("viewBox=\"12.70 8.15 18.00 18.00\""), "{panel}");
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
