//! One page: its head and its tiles.

use crate::pipeline::export::Error;
use crate::pipeline::export::regions::NoduleRegion;
use ndarray::{Array2, Axis};
use nodulus_imaging::drawing::canvas::{Canvas, Colour, text_width};
use nodulus_imaging::drawing::slice::{self, MaskOutline};
use serde::Serialize;

/// Content of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TileContent {
    /// The central slice of a nodule.
    Nodules,
    /// One slice; every slice of a nodule's region gets a tile.
    Slices,
}

const PAPER: Colour = [0x14, 0x17, 0x1a];
const INK: Colour = [0xe4, 0xe6, 0xe8];
const SOFT: Colour = [0xa2, 0xa9, 0xb1];
/// Colours of the readers' consensus, the prediction and other nodules, as in the report.
const REFERENCE: Colour = [0xf0, 0xb4, 0x29];
const PREDICTION: Colour = [0x56, 0xc8, 0xff];
const OTHERS: Colour = [0xff, 0x7a, 0xc6];

/// Pixels around the page and between tiles.
const MARGIN: usize = 12;
/// Pixels from one line of text to the next, at scale 1.
const LINE: usize = 11;
/// Lines of text under a tile.
const CAPTION_LINES: usize = 3;
/// Scale of the head's text, for tiles of any size.
const HEAD_SCALE: usize = 2;
/// Greatest number of pixels of a page: 8,000 × 8,000, 192 MB in memory.
const MOST_PIXELS: usize = 64_000_000;

/// Number and size of the tiles of a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    columns: usize,
    rows: usize,
    tile: usize,
}

impl Layout {
    /// Checks the size of a page.
    ///
    /// # Errors
    ///
    /// Fails if the tiles alone have more pixels than a page may have.
    pub(super) fn new([columns, rows]: [usize; 2], tile: usize) -> Result<Self, Error> {
        let layout = Self { columns, rows, tile };
        let [width, height] = [columns, rows].map(|n| n.saturating_mul(tile.saturating_mul(2)));
        let found = width.saturating_mul(height) / 4;
        if found > MOST_PIXELS {
            return Err(Error::Page { columns, rows, tile, found, most: MOST_PIXELS });
        }
        Ok(layout)
    }

    pub(super) fn n_tiles(self) -> usize {
        self.columns * self.rows
    }

    /// Scale of the captions: 21 letters fit under a tile of at least 128 pixels.
    fn scale(self) -> usize {
        (self.tile / 128).max(1)
    }

    /// Width and height of a tile with its caption, in pixels.
    fn cell(self) -> [usize; 2] {
        [self.tile, self.tile + LINE * CAPTION_LINES * self.scale()]
    }
}

/// Head of a page.
pub(super) struct Head<'a> {
    pub(super) cohort: &'a str,
    pub(super) what: TileContent,
    /// Number of this page, and of all pages.
    pub(super) pages: [usize; 2],
    /// First tile, last tile, and number of all tiles.
    pub(super) tiles: [usize; 3],
    pub(super) window_hu: [f64; 2],
    pub(super) model: Option<&'a str>,
}

/// A tile: one slice of a region.
pub(super) struct Tile<'a> {
    pub(super) region: &'a NoduleRegion,
    /// Index of the slice, counted from the region's first.
    pub(super) k: usize,
    /// Predicted mask, if there is one.
    pub(super) predicted: Option<&'a Array2<u8>>,
}

/// A page under construction.
pub(super) struct Page {
    layout: Layout,
    canvas: Canvas,
    /// Pixels above the first tile.
    top: usize,
    n: usize,
}

impl Page {
    /// A page with its head, and room for its tiles.
    pub(super) fn new(layout: Layout, head: &Head<'_>) -> Self {
        let [cell_width, cell_height] = layout.cell();
        let width = layout.columns * (cell_width + MARGIN) + MARGIN;
        let items = items(head);
        let (places, head_height) = positions(&items, width);
        let [first, last, _] = head.tiles;
        let rows = (last + 1 - first).div_ceil(layout.columns);
        let height = head_height + rows * (cell_height + MARGIN);
        let mut canvas = Canvas::new([width, height], PAPER);
        for ((colour, text), [x, y]) in items.iter().zip(places) {
            let mut x = x;
            if let Some(colour) = colour {
                canvas.fill([x, y + 2 * HEAD_SCALE], [6 * HEAD_SCALE, 3 * HEAD_SCALE], *colour);
                x += SWATCH;
            }
            canvas.text([x, y], text, HEAD_SCALE, INK);
        }
        Self { layout, canvas, top: head_height, n: 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.n == self.layout.n_tiles()
    }

    /// Draws the next tile.
    pub(super) fn add(&mut self, tile: &Tile<'_>, window_hu: [f64; 2]) {
        let Layout { columns, tile: side, .. } = self.layout;
        let [cell_width, cell_height] = self.layout.cell();
        let x = MARGIN + self.n % columns * (cell_width + MARGIN);
        let y = self.top + self.n / columns * (cell_height + MARGIN);
        self.n += 1;
        let Tile { region, k, predicted } = *tile;
        let Some(hu) = region.hu.slice(k) else { return };
        let [own, others] = [&region.mask, &region.others].map(|mask| mask.index_axis(Axis(0), k));
        let outline = |mask, colour| MaskOutline { mask, colour, dashed: false };
        let mut outlines = vec![outline(others, OTHERS), outline(own, REFERENCE)];
        if let Some(predicted) = predicted {
            // Dashed, so that both outlines show where they coincide.
            outlines.push(MaskOutline { mask: predicted.view(), colour: PREDICTION, dashed: true });
        }
        slice::draw(&mut self.canvas, [x, y], side, &hu, window_hu, &outlines);
        let scale = self.layout.scale();
        let [si, sj, sk] = region.hu.geometry().spacing().ijk();
        let lines = [
            (INK, region.nodule_id.clone()),
            (INK, format!("{:.1} mm  k {}", region.diameter_mm, region.first_slice + k as i64)),
            (SOFT, format!("{sj:.2}x{si:.2}x{sk:.2} mm")),
        ];
        for (n, (colour, text)) in lines.into_iter().enumerate() {
            let letters = side / text_width("-", scale).max(1);
            let text: String = text.chars().take(letters).collect();
            self.canvas.text([x, y + side + (2 + LINE * n) * scale], &text, scale, colour);
        }
    }

    pub(super) fn to_png(&self) -> Result<Vec<u8>, Error> {
        Ok(self.canvas.to_png()?)
    }
}

/// Width of a colour sample before its name, in pixels.
const SWATCH: usize = 9 * HEAD_SCALE;

/// The texts of the head, some with a colour.
fn items(head: &Head<'_>) -> Vec<(Option<Colour>, String)> {
    let ([page, pages], [first, last, all]) = (head.pages, head.tiles);
    let [low, high] = head.window_hu;
    let tiles = match head.what {
        TileContent::Nodules => format!("nodules {first} to {last} of {all}, central slices"),
        TileContent::Slices => format!("slices {first} to {last} of {all}"),
    };
    let mut items = vec![
        (None, format!("cohort {}", head.cohort)),
        (None, format!("page {page} of {pages}")),
        (None, tiles),
        (None, format!("window {low} to {high} HU")),
        (Some(REFERENCE), "readers' consensus".to_owned()),
        (Some(OTHERS), "other nodules".to_owned()),
    ];
    if let Some(model) = head.model {
        items.push((Some(PREDICTION), format!("prediction by {model}")));
    }
    items.push((None, "under a tile: nodule, diameter, slice k, spacing j x i x k".to_owned()));
    items
}

/// Positions of the texts of the head, on as many lines as they need, and the height of all lines.
fn positions(items: &[(Option<Colour>, String)], width: usize) -> (Vec<[usize; 2]>, usize) {
    const BETWEEN: usize = 16 * HEAD_SCALE;
    let line = (LINE + 2) * HEAD_SCALE;
    let [mut x, mut y] = [MARGIN; 2];
    let mut places = Vec::with_capacity(items.len());
    for (colour, text) in items {
        let needed = text_width(text, HEAD_SCALE) + if colour.is_some() { SWATCH } else { 0 };
        if x > MARGIN && x + needed + MARGIN > width {
            (x, y) = (MARGIN, y + line);
        }
        places.push([x, y]);
        x += needed + BETWEEN;
    }
    (places, y + line + MARGIN / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_takes_as_many_lines_as_it_needs() {
        let head = Head {
            cohort: "c",
            what: TileContent::Nodules,
            pages: [1, 1],
            tiles: [1, 2, 2],
            window_hu: [-1000.0, 400.0],
            model: Some("m"),
        };
        let items = items(&head);
        assert!(items.iter().any(|(_, text)| text == "window -1000 to 400 HU"));
        let lines = |width| {
            let (places, height) = positions(&items, width);
            let mut rows: Vec<usize> = places.iter().map(|place| place[1]).collect();
            assert!(rows.iter().all(|y| y + LINE * HEAD_SCALE <= height));
            rows.dedup();
            rows.len()
        };
        assert_eq!((lines(10_000), lines(10)), (1, items.len()));
        assert!(lines(1600) < 4);
    }

    #[test]
    fn the_size_of_a_page_is_limited() {
        assert!(Layout::new([6, 4], 256).is_ok());
        assert!(Layout::new([64, 64], 1024).unwrap_err().to_string().contains("64 × 64 tiles"));
        assert!(Layout::new([usize::MAX; 2], 1).is_err());
    }
}
