//! Pictures of slices: grey values, outlines and text.

pub mod png;
pub mod glyphs;
pub mod canvas;
pub mod slice;
