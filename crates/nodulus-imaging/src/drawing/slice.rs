//! An axial slice on a canvas, enlarged, with the outlines of its masks.

use super::canvas::{Canvas, Colour};
use super::png::grey;
use ndarray::ArrayView2;

/// A mask to outline, of the slice's size.
#[derive(Clone, Copy, Debug)]
pub struct MaskOutline<'a> {
    /// The mask, indexed `[j, i]`, 0 where there is none.
    pub mask: ArrayView2<'a, u8>,
    /// Colour of the line.
    pub colour: Colour,
    /// Whether only every second stretch of the line is drawn, so that a line below it shows.
    pub dashed: bool,
}

/// Draws a slice, indexed `[j, i]`, into a square of `side` pixels whose first pixel is at `at`.
///
/// Every pixel of the slice is a block of one colour, without blending. An outline runs just
/// outside its mask, so the whole mask stays visible; it is one pixel wide for each 256 pixels of
/// the square. Later outlines cover earlier ones.
pub fn draw(
    canvas: &mut Canvas,
    [left, top]: [usize; 2],
    side: usize,
    hu: &ArrayView2<'_, i16>,
    window_hu: [f64; 2],
    outlines: &[MaskOutline<'_>],
) {
    let (nj, ni) = hu.dim();
    if ni == 0 || nj == 0 {
        return;
    }
    let longest = ni.max(nj);
    let [width, height] = [ni, nj].map(|n| (n * side / longest).max(1));
    // The pixel of the slice under a pixel of the picture.
    let pixel = |x: usize, y: usize| [y * nj / height, x * ni / width];
    for y in 0..height {
        for x in 0..width {
            canvas.set(left + x, top + y, [grey(hu[pixel(x, y)], window_hu); 3]);
        }
    }
    let thickness = (side / 256).max(1);
    for outline in outlines.iter().filter(|outline| outline.mask.dim() == hu.dim()) {
        let inside = |x: usize, y: usize| outline.mask[pixel(x, y)] != 0;
        for y in 0..height {
            for x in 0..width {
                let dash = 4 * thickness;
                if inside(x, y) || (outline.dashed && (x + y) / dash % 2 == 1) {
                    continue;
                }
                let rows = y.saturating_sub(thickness)..(y + thickness + 1).min(height);
                let columns = x.saturating_sub(thickness)..(x + thickness + 1).min(width);
                if rows.into_iter().any(|y| columns.clone().any(|x| inside(x, y))) {
                    canvas.set(left + x, top + y, outline.colour);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    const RED: Colour = [255, 0, 0];

    fn drawn(canvas: &Canvas) -> Vec<String> {
        let letter = |x, y| match canvas.get(x, y) {
            Some(RED) => '#',
            Some([v, ..]) if v > 127 => 'w',
            _ => '.',
        };
        let [width, height] = canvas.size();
        (0..height).map(|y| (0..width).map(|x| letter(x, y)).collect()).collect()
    }

    #[test]
    fn an_outline_is_around_its_mask() {
        let mut mask = Array2::zeros((3, 4));
        mask[[1, 2]] = 1;
        let hu = mask.mapv(|inside| if inside == 1 { 300 } else { -900 });
        let mut canvas = Canvas::new([9, 9], [0; 3]);
        let outline = MaskOutline { mask: mask.view(), colour: RED, dashed: false };
        draw(&mut canvas, [1, 0], 8, &hu.view(), [-1000.0, 400.0], &[outline]);
        // Four columns and three rows of two pixels each.
        let expected = [
            ".........",
            "....####.",
            "....#ww#.",
            "....#ww#.",
            "....####.",
            ".........",
            ".........",
            ".........",
            ".........",
        ];
        assert_eq!(drawn(&canvas), expected);
    }

    #[test]
    fn what_has_no_pixel_is_not_drawn() {
        let mut canvas = Canvas::new([4, 4], [7; 3]);
        let before = canvas.clone();
        for empty in [(0, 3), (3, 0), (0, 0)] {
            draw(&mut canvas, [0, 0], 4, &Array2::zeros(empty).view(), [0.0, 1.0], &[]);
        }
        assert_eq!(canvas, before);
        // A mask of another size is ignored.
        let mask = Array2::ones((1, 1));
        let outline = MaskOutline { mask: mask.view(), colour: RED, dashed: false };
        draw(&mut canvas, [0, 0], 4, &Array2::zeros((2, 2)).view(), [0.0, 1.0], &[outline]);
        assert!(!drawn(&canvas).concat().contains('#'));
    }
}
