//! Pictures: slices in grey, outlines, text; pure functions without input or output.

pub mod png;
pub mod glyphs;
pub mod canvas;
pub mod slice;
