//! What the elements of a DICOM file say about a frame, and whether a codestream agrees.

use crate::fault::Fault;

/// What the elements of a DICOM file say about the pixels of one frame (PS3.3, C.7.6.3.1).
///
/// A frame has one sample for each pixel. [`decode`](crate::decode) refuses a codestream that disagrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelLayout {
    /// `Columns`: pixels in a row, 1 or more.
    pub columns: usize,
    /// `Rows`: pixels in a column, 1 or more.
    pub rows: usize,
    /// `BitsAllocated`: 8 or 16.
    pub bits_allocated: u32,
    /// `HighBit`: the bit of the sign where samples are signed, counted from 0.
    pub high_bit: u32,
    /// Whether `PixelRepresentation` is 1: samples are in two's complement.
    pub signed: bool,
}

/// What a codestream says about its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CodestreamHeader {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    pub(crate) components: usize,
    pub(crate) bits: u32,
    /// `None` where the format does not say.
    pub(crate) signed: Option<bool>,
}

impl PixelLayout {
    /// Refuses a layout that no frame has, or one with more or fewer pixels than there are values.
    pub(crate) fn check_values(&self, n_values: usize) -> Result<(), Fault> {
        let &Self { columns, rows, bits_allocated, .. } = self;
        let n_pixels = columns.checked_mul(rows).filter(|n| *n > 0);
        if !matches!(bits_allocated, 8 | 16) || n_pixels.is_none() {
            let found = format!("{columns} x {rows} pixels of {bits_allocated} allocated bits");
            return Err(Fault::new(found, "one pixel or more, and 8 or 16 bits"));
        }
        if n_pixels != Some(n_values) {
            let expected = format!("{columns} x {rows}, one for each pixel");
            return Err(Fault::new(format!("room for {n_values} values"), expected));
        }
        Ok(())
    }

    /// Refuses a codestream that would decode to another number of bytes, or whose sign is in another bit.
    pub(crate) fn check_codestream(&self, header: &CodestreamHeader) -> Result<(), Fault> {
        let &CodestreamHeader { columns, rows, components, bits, signed } = header;
        let bytes = bits.div_ceil(8);
        if [columns, rows, components] != [self.columns, self.rows, 1]
            || 8 * bytes != self.bits_allocated
        {
            let n = columns.saturating_mul(rows).saturating_mul(components);
            let n_bytes = n.saturating_mul(bytes as usize);
            let found = format!(
                "{columns} x {rows} x {components} samples of {bits} bits ({n_bytes} bytes)"
            );
            let &Self { columns, rows, bits_allocated, .. } = self;
            let n_bytes = columns * rows * bits_allocated as usize / 8;
            let least = bits_allocated - 7;
            let expected = format!(
                "{columns} x {rows} x 1 of {least} to {bits_allocated} bits ({n_bytes} bytes)"
            );
            return Err(Fault::new(found, expected));
        }
        let (of_codestream, of_file) = (signed.unwrap_or(self.signed), self.signed);
        let sign = |signed| if signed { "signed samples" } else { "unsigned samples" };
        if of_codestream != of_file {
            let pixel_representation = i32::from(of_file);
            let expected =
                format!("{}, as PixelRepresentation is {pixel_representation}", sign(of_file));
            return Err(Fault::new(sign(of_codestream), expected));
        }
        if signed.is_none() && of_file && bits <= self.high_bit {
            let expected = format!("a sign in bit {}, the high bit", self.high_bit);
            return Err(Fault::new(format!("samples of {bits} bits"), expected));
        }
        Ok(())
    }
}
