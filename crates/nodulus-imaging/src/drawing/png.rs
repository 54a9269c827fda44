//! PNG encoding; the same pixels give the same bytes.

use png::{BitDepth, ColorType, Encoder, EncodingError};

/// The value of a picture's pixel: black at `low_hu` and below, white at `high_hu` and above.
#[inline]
pub fn grey(hu: i16, [low_hu, high_hu]: [f64; 2]) -> u8 {
    (255.0 * (f64::from(hu) - low_hu) / (high_hu - low_hu)).round() as u8
}

/// Encodes a grey picture, row by row; `size` is along x and y.
///
/// # Errors
///
/// Fails if there is no pixel, or if the number of pixels does not match the size.
pub fn encode_grey(size: [usize; 2], pixels: &[u8]) -> Result<Vec<u8>, EncodingError> {
    encode(size, pixels, ColorType::Grayscale)
}

/// Encodes a colour picture: red, green and blue of each pixel.
///
/// # Errors
///
/// As [`encode_grey`].
pub fn encode_colour(size: [usize; 2], pixels: &[u8]) -> Result<Vec<u8>, EncodingError> {
    encode(size, pixels, ColorType::Rgb)
}

fn encode(size: [usize; 2], pixels: &[u8], colour: ColorType) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::new();
    let [width, height] = size.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> (ColorType, [u32; 2], Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.color_type, [info.width, info.height], pixels)
    }

    #[test]
    fn a_window_runs_from_black_to_white() {
        // -900 HU: 100 / 1400 × 255 = 18.2; 40 HU: 1040 / 1400 × 255 = 189.4.
        let window = [-1000.0, 400.0];
        let hu = [i16::MIN, -1000, -900, 40, 400, i16::MAX];
        assert_eq!(hu.map(|hu| grey(hu, window)), [0, 0, 18, 189, 255, 255]);
    }

    #[test]
    fn a_picture_decodes_to_its_pixels() {
        let found = decoded(&encode_grey([3, 1], &[0, 18, 255]).unwrap());
        assert_eq!(found, (ColorType::Grayscale, [3, 1], vec![0, 18, 255]));
        let found = decoded(&encode_colour([1, 2], &[1, 2, 3, 4, 5, 6]).unwrap());
        assert_eq!(found, (ColorType::Rgb, [1, 2], vec![1, 2, 3, 4, 5, 6]));
        assert!(encode_grey([2, 2], &[0; 3]).is_err());
        assert!(encode_grey([0, 0], &[]).is_err());
    }
}
