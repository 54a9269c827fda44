//! Faults of files that are read all the same, because no voxel depends on them or the file says what is right.

use super::error::keyword;
use dicom_core::Tag;
use std::collections::BTreeMap;
use std::fmt;

/// A fault that is read past, in the same way as other readers; `docs/tolerances.md` lists them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Irregularity {
    /// The file has no preamble.
    NoPreamble,
    /// The file names no transfer syntax; its first element shows the encoding.
    NoTransferSyntax,
    /// Elements are not in the order of their tags.
    ElementOrder,
    /// An element has the value representation `UN`; the dictionary says which one it is.
    UnknownRepresentation,
    /// An attribute that no voxel depends on has no valid value, and counts as missing.
    Attribute(Tag),
    /// An attribute has one value several times.
    RepeatedValue(Tag),
    /// The pixel data have more bytes than pixels.
    ExcessPixelBytes,
    /// `HighBit` contradicts `BitsStored`, and the pixels show where their bits are.
    HighBit,
    /// The axes of the image are not unit vectors, or not quite at right angles.
    Orientation,
    /// Axes differ between slices by less than the tolerance.
    OrientationJitter,
    /// Voxels of `PixelPaddingValue` whose value lies outside 16 bits; they are set to -32768.
    PaddingVoxels,
    /// Voxels over 32767 or under -32768 HU, such as metal; they are set to that limit.
    ClampedVoxels,
    /// Files in the folders of the series that cannot be read and may be of any series.
    UnreadableFiles,
    /// Images of the acquisition that its headers announce, and the series does not have.
    AnnouncedImages,
    /// Slices of a derived image with words in `ImageType` of which it is not known whether they leave HU.
    UnknownImageType,
}

impl fmt::Display for Irregularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPreamble => "no_preamble",
            Self::NoTransferSyntax => "no_transfer_syntax",
            Self::ElementOrder => "element_order",
            Self::UnknownRepresentation => "unknown_representation",
            Self::Attribute(tag) => return write!(f, "attribute {}", keyword(*tag)),
            Self::RepeatedValue(tag) => return write!(f, "repeated_value {}", keyword(*tag)),
            Self::ExcessPixelBytes => "excess_pixel_bytes",
            Self::HighBit => "high_bit",
            Self::Orientation => "orientation",
            Self::OrientationJitter => "orientation_jitter",
            Self::PaddingVoxels => "padding_voxels",
            Self::ClampedVoxels => "clamped_voxels",
            Self::UnreadableFiles => "unreadable_files",
            Self::AnnouncedImages => "announced_images",
            Self::UnknownImageType => "unknown_image_type",
        })
    }
}

/// How often each fault occurs in a series: in slices, in voxels or in files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Irregularities(BTreeMap<Irregularity, usize>);

impl Irregularities {
    /// Counts a fault `n` more times.
    pub fn add(&mut self, irregularity: Irregularity, n: usize) {
        if n > 0 {
            *self.0.entry(irregularity).or_default() += n;
        }
    }

    /// Adds other counts.
    pub fn extend(&mut self, other: Self) {
        other.0.into_iter().for_each(|(irregularity, n)| self.add(irregularity, n));
    }

    /// The number of times that a fault occurs.
    pub fn count(&self, irregularity: Irregularity) -> usize {
        self.0.get(&irregularity).copied().unwrap_or_default()
    }

    /// Each fault with its number, as `high_bit: 8`.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(|(irregularity, n)| format!("{irregularity}: {n}")).collect()
    }
}
