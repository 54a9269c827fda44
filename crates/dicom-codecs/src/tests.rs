//! Random codestreams in every codec: an error or a slice, never a panic.

use super::*;
use proptest::prelude::*;

/// Unsigned pixels.
pub(super) fn expected(columns: usize, rows: usize, bits_allocated: u32) -> Expected {
    Expected { columns, rows, bits_allocated, high_bit: bits_allocated - 1, signed: false }
}

#[test]
fn a_codestream_of_another_size_or_sign_is_refused_with_both() {
    let slice = Expected { signed: true, ..expected(32, 24, 16) };
    let frame = Frame { columns: 32, rows: 24, components: 1, bits: 16, signed: Some(true) };
    let refused = |frame: Frame, slice: Expected| {
        let fault = slice.check(&frame).unwrap_err();
        format!("{}, expected {}", fault.found, fault.expected)
    };
    assert!(slice.check(&frame).is_ok());
    let both = "31 x 24 x 1 samples of 16 bits (1488 bytes), expected 32 x 24 x 1 of 9 to 16 bits \
                (1536 bytes)";
    assert_eq!(refused(Frame { columns: 31, ..frame }, slice), both);
    assert!(
        refused(Frame { bits: 8, ..frame }, slice).contains("x 1 samples of 8 bits (768 bytes)")
    );
    assert!(refused(Frame { components: 3, ..frame }, slice).contains("32 x 24 x 3 samples"));
    let sign = "unsigned samples, expected signed samples, as PixelRepresentation is 1";
    assert_eq!(refused(Frame { signed: Some(false), ..frame }, slice), sign);
    // Where the codestream does not tell, the file's sign bit has to be in it.
    let twelve = Frame { bits: 12, signed: None, ..frame };
    let sign = "samples of 12 bits, expected a sign in bit 15, the high bit";
    assert_eq!(refused(twelve, slice), sign);
    assert!(Expected { high_bit: 11, ..slice }.check(&twelve).is_ok());
    assert!(Expected { signed: false, ..slice }.check(&twelve).is_ok());
}

#[test]
fn uncompressed_pixels_are_taken_as_they_are() {
    let mut words = [0; 3];
    let mut take = |bytes: &[u8], bits| {
        let done = decode(Codec::Uncompressed, bytes, &expected(3, 1, bits), &mut words);
        done.map(|()| words).map_err(|problem| problem.to_string())
    };
    assert_eq!(take(&[1, 2, 3, 4, 5, 6], 16).unwrap(), [0x0201, 0x0403, 0x0605]);
    assert_eq!(take(&[1, 2, 3, 0], 8).unwrap(), [1, 2, 3]);
    let error = take(&[1, 2, 3, 4], 16).unwrap_err();
    assert_eq!(error, "uncompressed pixel data: found 4 bytes, expected 6 bytes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_an_error_or_a_slice(
        start in 0usize..4,
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let starts: [&[u8]; 4] = [
            &[],
            &[0xFF, 0xD8, 0xFF, 0xC3, 0, 11, 16, 0, 2, 0, 3, 1, 1, 0x11, 0],
            &[0xFF, 0xD8, 0xFF, 0xF7, 0, 11, 16, 0, 2, 0, 3, 1, 1, 0x11, 0, 0xFF, 0xDA, 0, 8, 1, 1,
              0, 0, 0, 0],
            &[2, 0, 0, 0, 64, 0, 0, 0, 70, 0, 0, 0],
        ];
        let bytes = [starts[start], &bytes].concat();
        for codec in [
            Codec::Uncompressed, Codec::Rle, Codec::JpegDct, Codec::JpegLossless, Codec::JpegLs,
            Codec::Jpeg2000, Codec::HtJpeg2000,
        ] {
            let _ = decode(codec, &bytes, &expected(3, 2, 16), &mut [0; 6]);
        }
    }
}
