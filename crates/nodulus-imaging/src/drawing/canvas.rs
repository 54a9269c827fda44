//! A colour picture to draw on; anything outside it is clipped.

use super::{glyphs, png};

/// Red, green and blue.
pub type Colour = [u8; 3];

/// Pixels from one letter to the next, along x.
const ADVANCE: usize = glyphs::SIZE[0] + 1;

/// A picture in colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canvas {
    size: [usize; 2],
    pixels: Vec<u8>,
}

impl Canvas {
    /// A picture filled with one colour; `size` along x and y.
    pub fn new(size: [usize; 2], colour: Colour) -> Self {
        Self { size, pixels: colour.repeat(size[0] * size[1]) }
    }

    /// Pixels along x and y.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Red, green and blue of each pixel, row by row.
    pub fn rgb(&self) -> &[u8] {
        &self.pixels
    }

    /// The colour of a pixel; `None` outside.
    #[inline]
    pub fn get(&self, x: usize, y: usize) -> Option<Colour> {
        let at = self.index(x, y)?;
        self.pixels.get(at..at + 3)?.try_into().ok()
    }

    /// Colours a pixel.
    #[inline]
    pub fn set(&mut self, x: usize, y: usize, colour: Colour) {
        if let Some(at) = self.index(x, y) {
            self.pixels[at..at + 3].copy_from_slice(&colour);
        }
    }

    /// Fills a rectangle whose first pixel is at `x`, `y`.
    pub fn fill(&mut self, [x, y]: [usize; 2], [width, height]: [usize; 2], colour: Colour) {
        for y in y..(y + height).min(self.size[1]) {
            for x in x..(x + width).min(self.size[0]) {
                self.set(x, y, colour);
            }
        }
    }

    /// Writes a line of text with its top left corner at `x`, `y`; each of a letter's pixels is
    /// `scale` wide.
    pub fn text(&mut self, [x, y]: [usize; 2], text: &str, scale: usize, colour: Colour) {
        for (n, character) in text.chars().enumerate() {
            let left = x + n * ADVANCE * scale;
            if left >= self.size[0] {
                return;
            }
            for row in 0..glyphs::SIZE[1] {
                for column in 0..glyphs::SIZE[0] {
                    if glyphs::is_set(character, column, row) {
                        let at = [left + column * scale, y + row * scale];
                        self.fill(at, [scale; 2], colour);
                    }
                }
            }
        }
    }

    /// The bytes of a PNG.
    ///
    /// # Errors
    ///
    /// Fails if the picture has no pixel.
    pub fn to_png(&self) -> Result<Vec<u8>, ::png::EncodingError> {
        png::encode_colour(self.size, &self.pixels)
    }

    fn index(&self, x: usize, y: usize) -> Option<usize> {
        (x < self.size[0] && y < self.size[1]).then(|| 3 * (y * self.size[0] + x))
    }
}

/// Width of a line of text, in pixels.
pub fn text_width(text: &str, scale: usize) -> usize {
    text.chars().count() * ADVANCE * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLACK: Colour = [0; 3];
    const RED: Colour = [255, 0, 0];

    #[test]
    fn text_is_scaled_and_cut_off_at_the_edge() {
        let mut canvas = Canvas::new([20, 10], BLACK);
        canvas.text([1, 0], "|||||", 2, RED);
        let red = |y: usize| -> Vec<usize> {
            (0..20).filter(|x| canvas.get(*x, y) == Some(RED)).collect()
        };
        // The third of five pixels, each two wide; the next letter is twelve pixels on.
        assert_eq!(red(0), [5, 6, 17, 18]);
        assert_eq!(red(9), [5, 6, 17, 18]);
        assert_eq!(text_width("|||||", 2), 60);
        assert_eq!(canvas.get(20, 0), None);
    }

    #[test]
    fn a_rectangle_is_filled_as_far_as_the_picture_goes() {
        let mut canvas = Canvas::new([4, 3], BLACK);
        canvas.fill([2, 1], [9, 1], RED);
        let red = (0..3).flat_map(|y| (0..4).map(move |x| [x, y]));
        let red: Vec<_> = red.filter(|[x, y]| canvas.get(*x, *y) == Some(RED)).collect();
        assert_eq!(red, [[2, 1], [3, 1]]);
        assert!(canvas.to_png().is_ok() && Canvas::new([0, 1], BLACK).to_png().is_err());
    }
}
