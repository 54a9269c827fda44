//! Bytes of an image file to voxel values.

/// How a voxel value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

/// Which byte of a value comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

/// A value that the wanted type does not have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Refused {
    /// Its place, from 0.
    pub(super) index: usize,
    /// The value.
    pub(super) value: f64,
}

impl Element {
    /// Bytes of one value.
    pub(super) const fn n_bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// Values as `convert` makes them; bytes past the last whole value are left out.
    ///
    /// 64-bit integers beyond 2⁵³ are rounded before they are converted.
    pub(super) fn decode<T>(
        self,
        bytes: &[u8],
        order: ByteOrder,
        convert: impl Fn(f64) -> Option<T>,
    ) -> Result<Vec<T>, Refused> {
        match self {
            Self::U8 => each(bytes, order, |b| f64::from(u8::from_le_bytes(b)), convert),
            Self::I8 => each(bytes, order, |b| f64::from(i8::from_le_bytes(b)), convert),
            Self::U16 => each(bytes, order, |b| f64::from(u16::from_le_bytes(b)), convert),
            Self::I16 => each(bytes, order, |b| f64::from(i16::from_le_bytes(b)), convert),
            Self::U32 => each(bytes, order, |b| f64::from(u32::from_le_bytes(b)), convert),
            Self::I32 => each(bytes, order, |b| f64::from(i32::from_le_bytes(b)), convert),
            Self::U64 => each(bytes, order, |b| u64::from_le_bytes(b) as f64, convert),
            Self::I64 => each(bytes, order, |b| i64::from_le_bytes(b) as f64, convert),
            Self::F32 => each(bytes, order, |b| f64::from(f32::from_le_bytes(b)), convert),
            Self::F64 => each(bytes, order, f64::from_le_bytes, convert),
        }
    }
}

/// A value as an `i16`, if it is one.
pub(super) fn as_i16(value: f64) -> Option<i16> {
    let fits = value.fract() == 0.0 && value >= f64::from(i16::MIN) && value <= f64::from(i16::MAX);
    fits.then_some(value as i16)
}

/// A value as a `u16`, if it is one.
pub(super) fn as_u16(value: f64) -> Option<u16> {
    let fits = value.fract() == 0.0 && value >= 0.0 && value <= f64::from(u16::MAX);
    fits.then_some(value as u16)
}

fn each<const N: usize, T>(
    bytes: &[u8],
    order: ByteOrder,
    number: impl Fn([u8; N]) -> f64,
    convert: impl Fn(f64) -> Option<T>,
) -> Result<Vec<T>, Refused> {
    let (chunks, _) = bytes.as_chunks::<N>();
    let value = |(index, chunk): (usize, &[u8; N])| {
        let mut chunk = *chunk;
        if order == ByteOrder::Big {
            chunk.reverse();
        }
        let value = number(chunk);
        convert(value).ok_or(Refused { index, value })
    };
    let mut values = Vec::with_capacity(chunks.len());
    for chunk in chunks.iter().enumerate() {
        values.push(value(chunk)?);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_decoded_in_both_orders() {
        let minus_two = f32::to_be_bytes(-2.0);
        for (element, big) in [
            (Element::I8, &[0xfe][..]),
            (Element::I16, &[0xff, 0xfe]),
            (Element::I32, &[0xff, 0xff, 0xff, 0xfe]),
            (Element::I64, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]),
            (Element::F32, &minus_two),
            (Element::F64, &f64::to_be_bytes(-2.0)),
        ] {
            let little: Vec<u8> = big.iter().rev().copied().collect();
            assert_eq!(element.n_bytes(), big.len());
            assert_eq!(element.decode(big, ByteOrder::Big, as_i16), Ok(vec![-2]));
            assert_eq!(element.decode(&little, ByteOrder::Little, as_i16), Ok(vec![-2]));
            let refused = element.decode(big, ByteOrder::Big, as_u16);
            assert_eq!(refused, Err(Refused { index: 0, value: -2.0 }));
        }
        for (element, big) in [
            (Element::U8, &[7][..]),
            (Element::U16, &[0, 7]),
            (Element::U32, &[0, 0, 0, 7]),
            (Element::U64, &[0, 0, 0, 0, 0, 0, 0, 7]),
        ] {
            assert_eq!(element.n_bytes(), big.len());
            assert_eq!(element.decode(big, ByteOrder::Big, as_u16), Ok(vec![7]));
        }
    }

    #[test]
    fn only_exact_values_are_taken() {
        for value in [0.5, 32768.0, -32769.0, f64::NAN, f64::INFINITY] {
            assert_eq!(as_i16(value), None, "{value}");
        }
        for value in [0.5, 65536.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(as_u16(value), None, "{value}");
        }
        assert_eq!([as_i16(-32768.0), as_i16(32767.0)], [Some(i16::MIN), Some(i16::MAX)]);
        assert_eq!([as_u16(0.0), as_u16(65535.0)], [Some(0), Some(u16::MAX)]);
        let refused = Element::U16.decode(&[1, 0, 0, 0x80], ByteOrder::Little, as_i16);
        assert_eq!(refused, Err(Refused { index: 1, value: 32768.0 }));
    }
}
