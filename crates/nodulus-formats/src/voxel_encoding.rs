//! Turns the bytes of an image file into voxel values.

/// The type of a stored value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ElementType {
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
pub(crate) enum ByteOrder {
    Little,
    Big,
}

/// How stored bytes become values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct VoxelEncoding {
    pub(crate) element: ElementType,
    pub(crate) order: ByteOrder,
    /// A value is the stored number times this …
    pub(crate) slope: f64,
    /// … plus this.
    pub(crate) intercept: f64,
}

/// A type that voxels are read into.
pub(crate) trait Voxel: Copy {
    /// The stored type that needs no conversion.
    const ELEMENT: ElementType;
    /// What a value must be, for errors.
    const EXPECTED: &'static str;

    /// The value, if the type can represent it exactly.
    fn exactly(value: f64) -> Option<Self>;

    /// The value of two little-endian bytes.
    fn from_le_bytes(bytes: [u8; 2]) -> Self;
}

impl Voxel for i16 {
    const ELEMENT: ElementType = ElementType::I16;
    const EXPECTED: &'static str = "a 16-bit integer";

    fn exactly(value: f64) -> Option<Self> {
        exactly(value, value as Self)
    }

    fn from_le_bytes(bytes: [u8; 2]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

impl Voxel for u16 {
    const ELEMENT: ElementType = ElementType::U16;
    const EXPECTED: &'static str = "an integer from 0 to 65535";

    fn exactly(value: f64) -> Option<Self> {
        exactly(value, value as Self)
    }

    fn from_le_bytes(bytes: [u8; 2]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

/// `cast`, the nearest value of its type, if it equals `value`.
#[expect(clippy::float_cmp, reason = "any other value must be refused, however near")]
fn exactly<T: Copy + Into<f64>>(value: f64, cast: T) -> Option<T> {
    (cast.into() == value).then_some(cast)
}

/// A value that the wanted type cannot represent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct InexactValue {
    /// Its index, from 0.
    pub(crate) index: usize,
    /// The value.
    pub(crate) value: f64,
}

impl ElementType {
    /// Bytes of one value.
    pub(crate) const fn n_bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

impl VoxelEncoding {
    /// An encoding without scaling.
    pub(crate) const fn unscaled(element: ElementType, order: ByteOrder) -> Self {
        Self { element, order, slope: 1.0, intercept: 0.0 }
    }

    /// Appends the values of `bytes`; bytes past the last whole value are ignored.
    ///
    /// 64-bit integers beyond 2⁵³ are rounded before they are converted.
    pub(crate) fn decode<T: Voxel>(
        &self,
        bytes: &[u8],
        values: &mut Vec<T>,
    ) -> Result<(), InexactValue> {
        if *self == Self::unscaled(T::ELEMENT, ByteOrder::Little) {
            // All files of LUNA16 take this path, which can refuse nothing.
            values.extend(bytes.as_chunks().0.iter().map(|bytes| T::from_le_bytes(*bytes)));
            return Ok(());
        }
        match self.element {
            ElementType::U8 => self.each(bytes, |b| f64::from(u8::from_le_bytes(b)), values),
            ElementType::I8 => self.each(bytes, |b| f64::from(i8::from_le_bytes(b)), values),
            ElementType::U16 => self.each(bytes, |b| f64::from(u16::from_le_bytes(b)), values),
            ElementType::I16 => self.each(bytes, |b| f64::from(i16::from_le_bytes(b)), values),
            ElementType::U32 => self.each(bytes, |b| f64::from(u32::from_le_bytes(b)), values),
            ElementType::I32 => self.each(bytes, |b| f64::from(i32::from_le_bytes(b)), values),
            ElementType::U64 => self.each(bytes, |b| u64::from_le_bytes(b) as f64, values),
            ElementType::I64 => self.each(bytes, |b| i64::from_le_bytes(b) as f64, values),
            ElementType::F32 => self.each(bytes, |b| f64::from(f32::from_le_bytes(b)), values),
            ElementType::F64 => self.each(bytes, f64::from_le_bytes, values),
        }
    }

    fn each<const N: usize, T: Voxel>(
        &self,
        bytes: &[u8],
        number: impl Fn([u8; N]) -> f64,
        values: &mut Vec<T>,
    ) -> Result<(), InexactValue> {
        let (chunks, _) = bytes.as_chunks::<N>();
        values.reserve(chunks.len());
        for (index, chunk) in chunks.iter().enumerate() {
            let mut chunk = *chunk;
            if self.order == ByteOrder::Big {
                chunk.reverse();
            }
            let value = self.slope * number(chunk) + self.intercept;
            values.push(T::exactly(value).ok_or(InexactValue { index, value })?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode<T: Voxel>(
        element: ElementType,
        order: ByteOrder,
        bytes: &[u8],
    ) -> Result<Vec<T>, InexactValue> {
        let mut values = Vec::new();
        VoxelEncoding::unscaled(element, order).decode(bytes, &mut values).map(|()| values)
    }

    #[test]
    fn every_type_is_decoded_in_both_orders() {
        let minus_two = f32::to_be_bytes(-2.0);
        for (element, big) in [
            (ElementType::I8, &[0xfe][..]),
            (ElementType::I16, &[0xff, 0xfe]),
            (ElementType::I32, &[0xff, 0xff, 0xff, 0xfe]),
            (ElementType::I64, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]),
            (ElementType::F32, &minus_two),
            (ElementType::F64, &f64::to_be_bytes(-2.0)),
        ] {
            let little: Vec<u8> = big.iter().rev().copied().collect();
            assert_eq!(element.n_bytes(), big.len());
            assert_eq!(decode(element, ByteOrder::Big, big), Ok(vec![-2i16]));
            assert_eq!(decode(element, ByteOrder::Little, &little), Ok(vec![-2i16]));
            let refused = decode::<u16>(element, ByteOrder::Big, big);
            assert_eq!(refused, Err(InexactValue { index: 0, value: -2.0 }));
        }
        for (element, big) in [
            (ElementType::U8, &[7][..]),
            (ElementType::U16, &[0, 7]),
            (ElementType::U32, &[0, 0, 0, 7]),
            (ElementType::U64, &[0, 0, 0, 0, 0, 0, 0, 7]),
        ] {
            assert_eq!(element.n_bytes(), big.len());
            assert_eq!(decode(element, ByteOrder::Big, big), Ok(vec![7u16]));
        }
    }

    #[test]
    fn values_are_scaled_before_they_are_converted() {
        let half = VoxelEncoding {
            slope: 0.5,
            intercept: -1.0,
            ..VoxelEncoding::unscaled(ElementType::I16, ByteOrder::Little)
        };
        let mut values = vec![9i16];
        assert_eq!(half.decode(&[4, 0, 0xfe, 0xff], &mut values), Ok(()));
        assert_eq!(values, [9, 1, -2]);
        let refused = half.decode(&[4, 0, 3, 0], &mut values);
        assert_eq!(refused, Err(InexactValue { index: 1, value: 0.5 }));
    }

    #[test]
    fn only_exact_values_are_accepted() {
        for value in [0.5, 32768.0, -32769.0, f64::NAN, f64::INFINITY] {
            assert_eq!(i16::exactly(value), None, "{value}");
        }
        for value in [0.5, 65536.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(u16::exactly(value), None, "{value}");
        }
        assert_eq!([-32768.0, 32767.0].map(i16::exactly), [Some(i16::MIN), Some(i16::MAX)]);
        assert_eq!([0.0, 65535.0].map(u16::exactly), [Some(0), Some(u16::MAX)]);
        let refused = decode::<i16>(ElementType::U16, ByteOrder::Little, &[1, 0, 0, 0x80]);
        assert_eq!(refused, Err(InexactValue { index: 1, value: 32768.0 }));
    }
}
