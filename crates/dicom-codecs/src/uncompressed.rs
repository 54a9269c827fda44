//! Pixels in fragments that are not compressed: PS3.5, A.4.

use crate::fault::Fault;
use crate::pixel_layout::PixelLayout;

pub(crate) fn decode(bytes: &[u8], layout: &PixelLayout, values: &mut [u16]) -> Result<(), Fault> {
    let n_bytes = layout.bits_allocated as usize / 8 * values.len();
    // A fragment of odd length is padded.
    if bytes.len() != n_bytes.next_multiple_of(2) {
        return Err(Fault::new(format!("{} bytes", bytes.len()), format!("{n_bytes} bytes")));
    }
    if layout.bits_allocated == 8 {
        for (value, byte) in values.iter_mut().zip(bytes) {
            *value = u16::from(*byte);
        }
    } else {
        for (value, pair) in values.iter_mut().zip(bytes.as_chunks().0) {
            *value = u16::from_le_bytes(*pair);
        }
    }
    Ok(())
}
