//! What was put right while a file was read: each repair has a name in `irregularities` and a line in
//! `docs/tolerances.md`.

/// Something of a file that was put right while it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repair {
    /// Values beside a whole number by the noise of 32-bit reals became that number; counted in voxels.
    FloatNoise,
    /// HU that are not whole numbers were rounded, as requested; counted in voxels.
    RoundedHu,
    /// NaN became a HU, or background in a mask, as requested; counted in voxels.
    NanReplaced,
    /// HU past 16 bits became the nearest HU that fits, as requested; counted in voxels.
    ClampedHu,
    /// Bytes after the voxels, or after the compressed stream, were ignored.
    ExtraBytes,
    /// Axes nearly at right angles were replaced by the nearest ones at right angles.
    Sheared,
    /// The file does not place its voxels; they were placed as requested.
    Unplaced,
}

impl Repair {
    const ALL: [Self; 7] = [
        Self::FloatNoise,
        Self::RoundedHu,
        Self::NanReplaced,
        Self::ClampedHu,
        Self::ExtraBytes,
        Self::Sheared,
        Self::Unplaced,
    ];

    /// Name in `irregularities`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FloatNoise => "float_noise",
            Self::RoundedHu => "rounded_hu",
            Self::NanReplaced => "nan_replaced",
            Self::ClampedHu => "clamped_hu",
            Self::ExtraBytes => "extra_bytes",
            Self::Sheared => "sheared",
            Self::Unplaced => "unplaced",
        }
    }
}

/// The repairs of a file: how often each was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repairs([u64; Repair::ALL.len()]);

impl Repairs {
    /// Counts a repair once more.
    #[inline]
    pub(crate) fn add(&mut self, repair: Repair) {
        self.0[repair as usize] += 1;
    }

    /// Notes a repair that a file needs once.
    pub(crate) fn note(&mut self, repair: Repair) {
        self.0[repair as usize] = 1;
    }

    /// Whether nothing was put right.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The repairs that were made, with the number of voxels, or 1.
    pub fn iter(&self) -> impl Iterator<Item = (Repair, u64)> + '_ {
        Repair::ALL.into_iter().zip(self.0).filter(|(_, n)| *n > 0)
    }

    /// Each repair with its number, as `rounded_hu: 1200`.
    pub fn texts(&self) -> Vec<String> {
        self.iter().map(|(repair, n)| format!("{}: {n}", repair.name())).collect()
    }
}

impl Extend<Repair> for Repairs {
    /// Notes each repair.
    fn extend<I: IntoIterator<Item = Repair>>(&mut self, repairs: I) {
        repairs.into_iter().for_each(|repair| self.note(repair));
    }
}

impl FromIterator<Repair> for Repairs {
    fn from_iter<I: IntoIterator<Item = Repair>>(noted: I) -> Self {
        let mut repairs = Self::default();
        repairs.extend(noted);
        repairs
    }
}

impl<const N: usize> From<[Repair; N]> for Repairs {
    fn from(noted: [Repair; N]) -> Self {
        noted.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repairs_are_counted_by_name() {
        let mut repairs = Repairs::from([Repair::Sheared]);
        repairs.extend([Repair::Sheared]);
        assert!(!repairs.is_empty() && Repairs::default().is_empty());
        repairs.add(Repair::RoundedHu);
        repairs.add(Repair::RoundedHu);
        assert_eq!(repairs.texts(), ["rounded_hu: 2", "sheared: 1"]);
        for (n, repair) in Repair::ALL.into_iter().enumerate() {
            assert_eq!(repair as usize, n, "{}", repair.name());
        }
    }
}
