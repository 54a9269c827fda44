//! JPEG-LS with one component, lossless or near-lossless: ITU-T T.87.

use crate::bit_reader::{BitReader, Stuffing};
use crate::fault::Fault;
use crate::jpeg_ls_scan::{self, Parameters};
use crate::marker_segments::MarkerSegments;
use crate::pixel_layout::{CodestreamHeader, PixelLayout};

/// Markers: ITU-T T.87, C.1.1, and T.81, table B.1.
const SOF55: u8 = 0xF7;
const LSE: u8 = 0xF8;
const SOS: u8 = 0xDA;
const DRI: u8 = 0xDD;

/// Decodes a frame, and refuses restart intervals, mapping tables and point transforms.
pub(crate) fn decode(bytes: &[u8], layout: &PixelLayout, values: &mut [u16]) -> Result<(), Fault> {
    let mut segments = MarkerSegments::new(bytes)?;
    let (mut frame, mut preset) = (None, Preset::default());
    loop {
        let (marker, segment) = segments.next()?;
        match marker {
            SOF55 => {
                let &[bits, y0, y1, x0, x1, components, ..] = segment else {
                    return Err(Fault::truncated("a frame header of 6 bytes"));
                };
                let found = CodestreamHeader {
                    columns: u16::from_be_bytes([x0, x1]).into(),
                    rows: u16::from_be_bytes([y0, y1]).into(),
                    components: components.into(),
                    bits: bits.into(),
                    signed: None,
                };
                layout.check_codestream(&found)?;
                if bits < 2 {
                    return Err(Fault::new(format!("{bits} bits"), "2 to 16"));
                }
                frame = Some(found);
            }
            LSE => preset = Preset::read(segment)?,
            DRI if segment.iter().any(|byte| *byte != 0) => {
                return Err(Fault::new("a restart interval", "none"));
            }
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                return Err(Fault::new(format!("a frame SOF{}", marker - 0xC0), "SOF55"));
            }
            SOS => {
                let Some(frame) = frame else { return Err(Fault::new("a scan", "a frame first")) };
                // Number of components, component, mapping table, NEAR, interleaving, point transform.
                let &[1, _, 0, near, _, 0] = segment else {
                    let expected = "1 component without mapping table or point transform";
                    return Err(Fault::new(format!("a scan header {segment:02x?}"), expected));
                };
                let parameters = preset.parameters(frame.bits, near)?;
                let mut bits = BitReader::new(segments.rest(), Stuffing::Bit);
                return jpeg_ls_scan::decode(&parameters, &mut bits, frame.columns, values);
            }
            _ => {}
        }
    }
}

/// Coding parameters as the codestream gives them; 0 stands for the default.
#[derive(Clone, Copy, Debug, Default)]
struct Preset {
    max: i64,
    thresholds: [i64; 3],
    reset: i64,
}

impl Preset {
    fn read(segment: &[u8]) -> Result<Self, Fault> {
        let &[1, m0, m1, a0, a1, b0, b1, c0, c1, r0, r1] = segment else {
            let kind = segment.first().copied().unwrap_or_default();
            let found = format!("an LSE segment of type {kind} and {} bytes", segment.len());
            return Err(Fault::new(found, "coding parameters, type 1 and 11 bytes"));
        };
        let number = |high, low| i64::from(u16::from_be_bytes([high, low]));
        let thresholds = [number(a0, a1), number(b0, b1), number(c0, c1)];
        Ok(Self { max: number(m0, m1), thresholds, reset: number(r0, r1) })
    }

    /// Fills in the defaults of ITU-T T.87, C.2.4.1.1, and checks the ranges.
    fn parameters(&self, bits: u32, near: u8) -> Result<Parameters, Fault> {
        let greatest = (1 << bits) - 1;
        let max = if self.max == 0 { greatest } else { self.max };
        let near = i64::from(near);
        let or = |value: i64, default| if value == 0 { default } else { value };
        let defaults = default_thresholds(max, near);
        let [t1, t2, t3] = std::array::from_fn(|at| or(self.thresholds[at], defaults[at]));
        let reset = or(self.reset, 64);
        let ordered = near < t1 && t1 <= t2 && t2 <= t3 && t3 <= max;
        if max > greatest || near > max / 2 || !ordered || !(3..=max.max(255)).contains(&reset) {
            let found = format!(
                "greatest sample {max}, NEAR {near}, thresholds {t1}, {t2}, {t3}, reset {reset}"
            );
            let expected = format!("what ITU-T T.87 allows for {bits} bits");
            return Err(Fault::new(found, expected));
        }
        Ok(Parameters { max, near, thresholds: [t1, t2, t3], reset })
    }
}

fn default_thresholds(max: i64, near: i64) -> [i64; 3] {
    let clamp = |value: i64, least: i64| if value > max || value < least { least } else { value };
    let [a, b, c] = if max >= 128 {
        let factor = (max.min(4095) + 128) / 256;
        [factor + 2, 4 * factor + 3, 17 * factor + 4]
    } else {
        let factor = 256 / (max + 1);
        [(3 / factor).max(2), (7 / factor).max(3), (21 / factor).max(4)]
    };
    let t1 = clamp(a + 3 * near, near + 1);
    let t2 = clamp(b + 5 * near, t1);
    [t1, t2, clamp(c + 7 * near, t2)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::layout;

    #[test]
    fn default_thresholds_are_those_of_the_standard() {
        // ITU-T T.87, table C.3, and C.2.4.1.1.1 for 12 bits.
        assert_eq!(default_thresholds(255, 0), [3, 7, 21]);
        assert_eq!(default_thresholds(4095, 0), [18, 67, 276]);
        assert_eq!(default_thresholds(65535, 0), [18, 67, 276]);
        assert_eq!(default_thresholds(255, 2), [9, 17, 35]);
    }

    #[test]
    fn the_example_of_the_standard_is_decoded() {
        // ITU-T T.87, H.3: 4 x 4 samples.
        let bytes = [
            0xFF, 0xD8, 0xFF, 0xF7, 0x00, 0x0B, 0x08, 0x00, 0x04, 0x00, 0x04, 0x01, 0x01, 0x11,
            0x00, 0xFF, 0xDA, 0x00, 0x08, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0xC0, 0x00, 0x00,
            0x6C, 0x80, 0x20, 0x8E, 0x01, 0xC0, 0x00, 0x00, 0x57, 0x40, 0x00, 0x00, 0x6E, 0xE6,
            0x00, 0x00, 0x01, 0xBC, 0x18, 0x00, 0x00, 0x05, 0xD8, 0x00, 0x00, 0x91, 0x60, 0xFF,
            0xD9,
        ];
        let mut values = [0; 16];
        decode(&bytes, &layout(4, 4, 8), &mut values).unwrap();
        let rows = [[0, 0, 90, 74], [68, 50, 43, 205], [64, 145, 145, 145], [100, 145, 145, 145]];
        assert_eq!(values, rows.concat()[..]);
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        assert!(Preset { max: 300, ..Preset::default() }.parameters(8, 0).is_err());
        assert!(Preset::default().parameters(8, 200).is_err());
        assert!(Preset { thresholds: [9, 4, 20], ..Preset::default() }.parameters(8, 0).is_err());
        assert!(Preset::default().parameters(16, 3).is_ok());
        assert!(Preset::read(&[2, 0, 0]).is_err());
    }
}
