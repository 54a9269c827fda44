//! The checks that all codecs share; and random codestreams, which end in an error or a frame, never in a panic.

use super::*;
use crate::pixel_layout::CodestreamHeader;
use proptest::prelude::*;

/// The layout of unsigned pixels.
pub(crate) fn layout(columns: usize, rows: usize, bits_allocated: u32) -> PixelLayout {
    PixelLayout { columns, rows, bits_allocated, high_bit: bits_allocated - 1, signed: false }
}

#[test]
fn a_codestream_of_another_size_or_sign_is_refused_with_both() {
    let slice = PixelLayout { signed: true, ..layout(32, 24, 16) };
    let frame =
        CodestreamHeader { columns: 32, rows: 24, components: 1, bits: 16, signed: Some(true) };
    let refused = |header: CodestreamHeader, slice: PixelLayout| {
        let fault = slice.check_codestream(&header).unwrap_err();
        format!("{}, expected {}", fault.found, fault.expected)
    };
    assert!(slice.check_codestream(&frame).is_ok());
    let both = "31 x 24 x 1 samples of 16 bits (1488 bytes), expected 32 x 24 x 1 of 9 to 16 bits \
                (1536 bytes)";
    assert_eq!(refused(CodestreamHeader { columns: 31, ..frame }, slice), both);
    assert!(
        refused(CodestreamHeader { bits: 8, ..frame }, slice)
            .contains("x 1 samples of 8 bits (768 bytes)")
    );
    assert!(
        refused(CodestreamHeader { components: 3, ..frame }, slice).contains("32 x 24 x 3 samples")
    );
    let sign = "unsigned samples, expected signed samples, as PixelRepresentation is 1";
    assert_eq!(refused(CodestreamHeader { signed: Some(false), ..frame }, slice), sign);
    // Where the codestream does not say, it must have the sign bit of the file.
    let twelve = CodestreamHeader { bits: 12, signed: None, ..frame };
    let sign = "samples of 12 bits, expected a sign in bit 15, the high bit";
    assert_eq!(refused(twelve, slice), sign);
    assert!(PixelLayout { high_bit: 11, ..slice }.check_codestream(&twelve).is_ok());
    assert!(PixelLayout { signed: false, ..slice }.check_codestream(&twelve).is_ok());
}

#[test]
fn uncompressed_pixels_are_copied() {
    let mut values = [0; 3];
    let mut take = |bytes: &[u8], bits| {
        let done = decode(Codec::Uncompressed, bytes, &layout(3, 1, bits), &mut values);
        done.map(|()| values).map_err(|problem| problem.to_string())
    };
    assert_eq!(take(&[1, 2, 3, 4, 5, 6], 16).unwrap(), [0x0201, 0x0403, 0x0605]);
    assert_eq!(take(&[1, 2, 3, 0], 8).unwrap(), [1, 2, 3]);
    let error = take(&[1, 2, 3, 4], 16).unwrap_err();
    assert_eq!(error, "uncompressed pixel data: found 4 bytes, expected 6 bytes");
}

#[test]
fn a_layout_that_no_frame_has_is_refused() {
    let refused = |layout: &PixelLayout, n: usize| {
        decode(Codec::Rle, &[], layout, &mut vec![0; n]).unwrap_err().to_string()
    };
    let empty = "RLE pixel data: found 0 x 3 pixels of 16 allocated bits, expected one pixel or more, and 8 or 16 bits";
    assert_eq!(refused(&layout(0, 3, 16), 0), empty);
    assert!(refused(&layout(2, 3, 12), 6).contains("of 12 allocated bits"));
    assert!(refused(&layout(usize::MAX, 3, 8), 6).contains("allocated bits"));
    let room = "RLE pixel data: found room for 5 values, expected 2 x 3, one for each pixel";
    assert_eq!(refused(&layout(2, 3, 16), 5), room);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_an_error_or_a_frame(
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
            let _ = decode(codec, &bytes, &layout(3, 2, 16), &mut [0; 6]);
        }
    }
}
