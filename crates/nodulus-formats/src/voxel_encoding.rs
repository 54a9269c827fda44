//! Turns the bytes of an image file into voxel values.

use crate::repair::{Repair, Repairs};

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

/// What becomes of values that the wanted type cannot represent; without any rule they are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ValueRules {
    /// Whether they are rounded to the nearest whole number.
    pub(crate) round: bool,
    /// The value of NaN.
    pub(crate) nan: Option<f64>,
    /// Whether values past the type's range become its least or greatest.
    pub(crate) clamp: bool,
}

/// Distance up to which a value is a whole number with the noise of 32-bit reals, in absolute terms …
///
/// METHOD: labels and HU that were scaled or interpolated in 32 bits are off by about 1e-7 of the largest number on the
/// way, which is some thousands; a mixture of two labels is off by far more.
const NOISE: f64 = 1e-3;

/// … and as a share of the value, eight times the precision of 32-bit reals.
const NOISE_SHARE: f64 = 1e-6;

/// A type that voxels are read into.
pub(crate) trait Voxel: Copy {
    /// The stored type that needs no conversion.
    const ELEMENT: ElementType;
    /// Least and greatest value.
    const RANGE: [f64; 2];

    /// The value, if the type can represent it exactly.
    fn exactly(value: f64) -> Option<Self>;

    /// The value of two little-endian bytes.
    fn from_le_bytes(bytes: [u8; 2]) -> Self;

    /// What a value must be, and which setting would admit this one, for errors.
    fn expected(value: f64) -> &'static str;

    /// The value by the rules, and what was put right; `None` if it is refused.
    fn by_rules(value: f64, rules: &ValueRules) -> Option<(Self, Repair)> {
        if value.is_nan() {
            return Some((Self::exactly(rules.nan?)?, Repair::NanReplaced));
        }
        let whole = value.round();
        if (value - whole).abs() <= NOISE.max(NOISE_SHARE * value.abs())
            && let Some(exact) = Self::exactly(whole)
        {
            return Some((exact, Repair::FloatNoise));
        }
        let [least, most] = Self::RANGE;
        match Self::exactly(whole) {
            Some(exact) => rules.round.then_some((exact, Repair::RoundedHu)),
            None if rules.clamp => {
                Self::exactly(value.clamp(least, most)).map(|value| (value, Repair::ClampedHu))
            }
            None => None,
        }
    }
}

impl Voxel for i16 {
    const ELEMENT: ElementType = ElementType::I16;
    const RANGE: [f64; 2] = [-32768.0, 32767.0];

    fn exactly(value: f64) -> Option<Self> {
        exactly(value, value as Self)
    }

    fn from_le_bytes(bytes: [u8; 2]) -> Self {
        Self::from_le_bytes(bytes)
    }

    fn expected(value: f64) -> &'static str {
        let [least, most] = Self::RANGE;
        if value.is_nan() {
            "a 16-bit integer; `tolerances.image_files.nan_hu = -1024` replaces NaN"
        } else if (least..=most).contains(&value.round()) {
            "a 16-bit integer; `tolerances.image_files.round_hu = true` rounds HU"
        } else {
            "a 16-bit integer; `tolerances.image_files.clamp_hu = true` limits HU"
        }
    }
}

impl Voxel for u16 {
    const ELEMENT: ElementType = ElementType::U16;
    const RANGE: [f64; 2] = [0.0, 65535.0];

    fn exactly(value: f64) -> Option<Self> {
        exactly(value, value as Self)
    }

    fn from_le_bytes(bytes: [u8; 2]) -> Self {
        Self::from_le_bytes(bytes)
    }

    fn expected(value: f64) -> &'static str {
        if value.is_nan() {
            "an integer from 0 to 65535; `masks.nan_background = true` makes NaN background"
        } else {
            "an integer from 0 to 65535"
        }
    }
}

/// `cast`, the nearest value of its type, if it equals `value`.
#[expect(clippy::float_cmp, reason = "any other value must be judged by the rules, however near")]
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

    /// Appends the values of `bytes`, and adds what was put right by the rules; bytes past the last whole value are
    /// ignored.
    ///
    /// 64-bit integers beyond 2⁵³ are rounded before they are converted.
    pub(crate) fn decode<T: Voxel>(
        &self,
        bytes: &[u8],
        rules: &ValueRules,
        values: &mut Vec<T>,
        repairs: &mut Repairs,
    ) -> Result<(), InexactValue> {
        if *self == Self::unscaled(T::ELEMENT, ByteOrder::Little) {
            // All files of LUNA16 take this path, which can refuse nothing.
            values.extend(bytes.as_chunks().0.iter().map(|bytes| T::from_le_bytes(*bytes)));
            return Ok(());
        }
        match self.element {
            ElementType::U8 => {
                self.each(bytes, |b| f64::from(u8::from_le_bytes(b)), rules, values, repairs)
            }
            ElementType::I8 => {
                self.each(bytes, |b| f64::from(i8::from_le_bytes(b)), rules, values, repairs)
            }
            ElementType::U16 => {
                self.each(bytes, |b| f64::from(u16::from_le_bytes(b)), rules, values, repairs)
            }
            ElementType::I16 => {
                self.each(bytes, |b| f64::from(i16::from_le_bytes(b)), rules, values, repairs)
            }
            ElementType::U32 => {
                self.each(bytes, |b| f64::from(u32::from_le_bytes(b)), rules, values, repairs)
            }
            ElementType::I32 => {
                self.each(bytes, |b| f64::from(i32::from_le_bytes(b)), rules, values, repairs)
            }
            ElementType::U64 => {
                self.each(bytes, |b| u64::from_le_bytes(b) as f64, rules, values, repairs)
            }
            ElementType::I64 => {
                self.each(bytes, |b| i64::from_le_bytes(b) as f64, rules, values, repairs)
            }
            ElementType::F32 => {
                self.each(bytes, |b| f64::from(f32::from_le_bytes(b)), rules, values, repairs)
            }
            ElementType::F64 => self.each(bytes, f64::from_le_bytes, rules, values, repairs),
        }
    }

    fn each<const N: usize, T: Voxel>(
        &self,
        bytes: &[u8],
        number: impl Fn([u8; N]) -> f64,
        rules: &ValueRules,
        values: &mut Vec<T>,
        repairs: &mut Repairs,
    ) -> Result<(), InexactValue> {
        let (chunks, _) = bytes.as_chunks::<N>();
        values.reserve(chunks.len());
        for (index, chunk) in chunks.iter().enumerate() {
            let mut chunk = *chunk;
            if self.order == ByteOrder::Big {
                chunk.reverse();
            }
            let value = self.slope * number(chunk) + self.intercept;
            let read = if let Some(exact) = T::exactly(value) {
                exact
            } else {
                let (near, repair) =
                    T::by_rules(value, rules).ok_or(InexactValue { index, value })?;
                repairs.add(repair);
                near
            };
            values.push(read);
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
        let (mut values, mut repairs) = (Vec::new(), Repairs::default());
        let encoding = VoxelEncoding::unscaled(element, order);
        encoding.decode(bytes, &ValueRules::default(), &mut values, &mut repairs)?;
        assert!(repairs.is_empty());
        Ok(values)
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
        let (rules, mut repairs) = (ValueRules::default(), Repairs::default());
        assert_eq!(half.decode(&[4, 0, 0xfe, 0xff], &rules, &mut values, &mut repairs), Ok(()));
        assert_eq!(values, [9, 1, -2]);
        let refused = half.decode(&[4, 0, 3, 0], &rules, &mut values, &mut repairs);
        assert_eq!(refused, Err(InexactValue { index: 1, value: 0.5 }));
    }

    #[test]
    fn values_beside_whole_numbers_are_judged_by_the_rules() {
        let refuse = ValueRules::default();
        let all = ValueRules { round: true, nan: Some(-1024.0), clamp: true };
        let noise = |value: f64| u16::by_rules(value, &refuse);
        assert_eq!(noise(0.999_999_94), Some((1, Repair::FloatNoise)));
        assert_eq!(noise(-1e-7), Some((0, Repair::FloatNoise)));
        assert_eq!(noise(f64::from(60_000.996f32)), Some((60_001, Repair::FloatNoise)));
        for value in [0.5, 0.998, -0.002, 65_535.4, 65_536.0, f64::NAN, f64::INFINITY] {
            assert_eq!(noise(value), None, "{value}");
        }
        assert_eq!(i16::by_rules(-899.75, &refuse), None);
        assert_eq!(i16::by_rules(-899.75, &all), Some((-900, Repair::RoundedHu)));
        assert_eq!(i16::by_rules(-899.999_9, &all), Some((-900, Repair::FloatNoise)));
        assert_eq!(i16::by_rules(f64::NAN, &all), Some((-1024, Repair::NanReplaced)));
        for (value, limit) in [(4e4, i16::MAX), (f64::NEG_INFINITY, i16::MIN), (-32768.9, i16::MIN)]
        {
            assert_eq!(i16::by_rules(value, &all), Some((limit, Repair::ClampedHu)), "{value}");
            assert_eq!(i16::by_rules(value, &ValueRules { clamp: false, ..all }), None, "{value}");
        }
        for value in [f64::NAN, 0.5, 4e4] {
            assert!(i16::expected(value).starts_with("a 16-bit integer; `tolerances.image_files."));
        }
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
