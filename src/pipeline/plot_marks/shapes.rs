//! What a picture of marks consists of, and the two ways to draw it: as SVG and as pixels.

use nodulus_imaging::drawing::canvas::{Canvas, Colour};
use std::fmt::Write as _;

/// Width of a line, in pixels.
const STROKE: f64 = 2.0;
/// Height of a line of text, in pixels.
pub(super) const TEXT: usize = 9;

/// Lengths of dashes and gaps by turns, in pixels; empty for a solid line.
pub(super) type Dashes = &'static [f64];

/// A shape; positions are pixels of the picture from its top left corner.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// A line through points.
    Line { points: Vec<[f64; 2]>, colour: Colour, dashes: Dashes },
    /// A ring.
    Ring { centre: [f64; 2], radius: f64, colour: Colour },
    /// A line of text by its top left corner.
    Text { at: [f64; 2], text: String, colour: Colour },
}

/// A picture: its size, the grey values behind the shapes, if any, with their box, and the shapes.
pub(super) struct Picture {
    pub(super) size: [usize; 2],
    /// Grey values, row by row, and the place and size of their box.
    pub(super) slice: Option<Grey>,
    pub(super) shapes: Vec<Shape>,
}

/// Grey values in a box.
pub(super) struct Grey {
    pub(super) at: [usize; 2],
    pub(super) size: [usize; 2],
    pub(super) values: Vec<u8>,
}

impl Picture {
    /// The picture as SVG, with the slice as a PNG inside.
    pub(super) fn to_svg(&self) -> Result<String, png::EncodingError> {
        let [width, height] = self.size;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"monospace\" font-size=\"11\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
        );
        if let Some(Grey { at: [x, y], size: [w, h], values }) = &self.slice {
            let png = nodulus_imaging::drawing::png::encode_grey([*w, *h], values)?;
            let data = nodulus_pages::picture::png_uri(&png);
            _ = writeln!(
                svg,
                "<image x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" href=\"{data}\"/>"
            );
        }
        for shape in &self.shapes {
            svg.push_str(&shape.to_svg());
        }
        svg.push_str("</svg>\n");
        Ok(svg)
    }

    /// The picture as a PNG.
    pub(super) fn to_png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let mut canvas = Canvas::new(self.size, [255; 3]);
        if let Some(Grey { at: [x, y], size: [width, _], values }) = &self.slice {
            for (n, value) in values.iter().enumerate() {
                canvas.set(x + n % width, y + n / width, [*value; 3]);
            }
        }
        for shape in &self.shapes {
            shape.draw(&mut canvas);
        }
        canvas.to_png()
    }
}

fn hex([r, g, b]: Colour) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// Text without the characters that mean something in SVG.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Shape {
    fn to_svg(&self) -> String {
        match self {
            Self::Line { points, colour, dashes } => {
                let points: Vec<_> = points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
                let lengths: Vec<_> = dashes.iter().map(f64::to_string).collect();
                let dashes = match lengths.as_slice() {
                    [] => String::new(),
                    lengths => format!(" stroke-dasharray=\"{}\"", lengths.join(" ")),
                };
                format!(
                    "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{STROKE}\"{dashes}/>\n",
                    points.join(" "),
                    hex(*colour)
                )
            }
            Self::Ring { centre: [x, y], radius, colour } => format!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{STROKE}\"/>\n",
                hex(*colour)
            ),
            Self::Text { at: [x, y], text, colour } => format!(
                "<text x=\"{x:.1}\" y=\"{:.1}\" fill=\"{}\">{}</text>\n",
                y + TEXT as f64,
                hex(*colour),
                escaped(text)
            ),
        }
    }

    fn draw(&self, canvas: &mut Canvas) {
        match self {
            Self::Line { points, colour, dashes } => stroke(canvas, points, *colour, dashes),
            Self::Ring { centre, radius, colour } => {
                let on_ring = |n: i32| {
                    let angle = f64::from(n) * std::f64::consts::TAU / 48.0;
                    [centre[0] + radius * angle.cos(), centre[1] + radius * angle.sin()]
                };
                let points: Vec<_> = (0..=48).map(on_ring).collect();
                stroke(canvas, &points, *colour, &[]);
            }
            Self::Text { at, text, colour } => {
                let at = at.map(|v| v.max(0.0).round() as usize);
                canvas.text(at, text, 1, *colour);
            }
        }
    }
}

/// Draws a line as squares half a pixel apart.
fn stroke(canvas: &mut Canvas, points: &[[f64; 2]], colour: Colour, dashes: Dashes) {
    let mut along = 0.0;
    for pair in points.windows(2) {
        let [[x0, y0], [x1, y1]] = [pair[0], pair[1]];
        let length = (x1 - x0).hypot(y1 - y0);
        let steps = (2.0 * length).ceil().max(1.0);
        for n in 0..=steps as usize {
            let share = n as f64 / steps;
            let (x, y) =
                (x0 + share * (x1 - x0) - STROKE / 2.0, y0 + share * (y1 - y0) - STROKE / 2.0);
            if is_dash(dashes, along + share * length) && x >= 0.0 && y >= 0.0 {
                canvas.fill([x.round() as usize, y.round() as usize], [STROKE as usize; 2], colour);
            }
        }
        along += length;
    }
}

/// Whether a square is drawn this far along a line: those of a dash cover it and not the gaps beside it.
fn is_dash(dashes: &[f64], along: f64) -> bool {
    if dashes.is_empty() {
        return true;
    }
    let mut start = 0.0;
    let phase = along % dashes.iter().sum::<f64>();
    for (n, length) in dashes.iter().enumerate() {
        if phase < start + length {
            // Squares are at most half a pixel apart; the last term is for rounding.
            let reach = ((length - STROKE) / 2.0).max(0.25) + 1e-9;
            return n % 2 == 0 && (phase - start - length / 2.0).abs() <= reach;
        }
        start += length;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_drawn_alike_in_both_forms() {
        let red = [200, 0, 0];
        let points = vec![[2.0, 5.0], [38.0, 5.0]];
        let picture = Picture {
            size: [40, 30],
            slice: Some(Grey { at: [0, 20], size: [2, 1], values: vec![7, 9] }),
            shapes: vec![
                Shape::Line { points, colour: red, dashes: &[4.0, 4.0] },
                Shape::Ring { centre: [20.0, 15.0], radius: 4.0, colour: red },
                Shape::Text { at: [2.0, 20.0], text: "a<b".to_owned(), colour: [0; 3] },
            ],
        };
        let svg = picture.to_svg().unwrap();
        assert!(svg.contains("stroke-dasharray=\"4 4\"") && svg.contains("a&lt;b"), "{svg}");
        assert!(
            svg.contains("<circle cx=\"20.0\"") && svg.contains("href=\"data:image/png;base64,")
        );
        let decoder = png::Decoder::new(std::io::Cursor::new(picture.to_png().unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let at = |x: usize, y: usize| pixels[3 * (40 * y + x)..][..3].to_vec();
        assert_eq!((at(3, 5), at(8, 5), at(24, 15)), (red.to_vec(), vec![255; 3], red.to_vec()));
        assert_eq!((at(0, 20), at(1, 20)), (vec![7; 3], vec![9; 3]));
        // Dashes and gaps are of one length in pixels too.
        let is_red = (2..34).map(|x| at(x, 5) == red.to_vec());
        let expected = (0..32).map(|n| n % 8 < 4);
        assert_eq!(is_red.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        assert_eq!(
            [0.9, 1.1, 2.5, 9.0].map(|along| is_dash(&[2.0, 6.0], along)),
            [true, true, false, true]
        );
    }
}
