//! Charts with plotters, as SVG inside a page.
//!
//! Colours here are those of the light page; the style sheet replaces them, attribute by attribute,
//! where the page is dark.

mod axes;
mod canvas;

pub use axes::{Axis, Frame, Labels, axes, dashed, end_above, frame};
pub use canvas::{Area, Drawn, GRID, INK, PANEL, WIDE, colour, draw, heading, text_style};
