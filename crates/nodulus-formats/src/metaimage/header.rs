//! The header of a MetaImage.

use super::data::{self, DataLocation};
use super::error::Error;
use crate::repair::{Repair, Repairs};
use crate::volume::Geometry;
use crate::voxel_encoding::{ByteOrder, ElementType};
use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

/// The parsed header.
#[derive(Debug)]
pub(super) struct MetaImageHeader {
    pub(super) geometry: Geometry,
    pub(super) element: ElementType,
    pub(super) order: ByteOrder,
    /// Bytes before the voxels in each of their files.
    pub(super) skipped: SkippedBytes,
    /// Whether the header says where the voxels begin, or they follow it.
    pub(super) is_start_known: bool,
    pub(super) compression: Compression,
    pub(super) data: DataLocation,
    pub(super) repairs: Repairs,
}

/// Bytes before the voxels in each of their files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SkippedBytes {
    /// This many.
    First(u64),
    /// All bytes before the voxels, which are the last ones.
    AllBut,
}

/// Whether each file of voxels is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    /// zlib, with the size of the stream if the header gives it.
    Zlib(Option<u64>),
}

const OFFSET: [&str; 3] = ["Offset", "Position", "Origin"];
const MATRIX: [&str; 3] = ["TransformMatrix", "Rotation", "Orientation"];
const MSB: [&str; 2] = ["BinaryDataByteOrderMSB", "ElementByteOrderMSB"];

impl MetaImageHeader {
    /// Parses the header; also returns the bytes after it.
    ///
    /// The fields that place the voxels have no default: a file without an offset is refused. `AnatomicalOrientation`
    /// and `CenterOfRotation` are ignored, as in ITK.
    pub(super) fn parse<'a>(
        path: &Path,
        bytes: &'a [u8],
        off_grid: f64,
    ) -> Result<(Self, &'a [u8]), Error> {
        let (fields, rest) = HeaderFields::parse(path, bytes)?;
        for keys in [&OFFSET[..], &MATRIX, &MSB] {
            fields.must_agree(keys)?;
        }
        fields.must_be("ObjectType", "Image")?;
        fields.must_be("NDims", "3")?;
        fields.must_be("BinaryData", "True")?;
        fields.must_be("ElementNumberOfChannels", "1")?;
        fields.must_be("DistanceUnits", "mm")?;
        let rows: [f64; 9] = fields.numbers(&MATRIX, "nine numbers")?;
        // METHOD: each row of MetaImage's matrix is an axis (ITK's MetaImageIO); here the columns are.
        let direction = std::array::from_fn(|n| rows[n % 3 * 3 + n / 3]);
        let (geometry, is_sheared) = Geometry::nearest(
            fields.numbers(&["DimSize"], "three whole numbers")?,
            fields.numbers(&["ElementSpacing"], "three numbers")?,
            fields.numbers(&OFFSET, "three numbers")?,
            direction,
            off_grid,
        )
        .map_err(|source| Error::Geometry { path: path.to_owned(), source })?;
        let msb = fields.flag(&MSB)?;
        let data = fields.data(rest, geometry.size()[2])?;
        let header = Self {
            geometry,
            element: fields.element()?,
            order: if msb { ByteOrder::Big } else { ByteOrder::Little },
            skipped: fields.skipped(&data)?,
            is_start_known: data == DataLocation::Local || fields.find(&["HeaderSize"]).is_some(),
            compression: fields.compression(&data)?,
            data,
            repairs: is_sheared.then_some(Repair::Sheared).into_iter().collect(),
        };
        Ok((header, rest))
    }
}

/// Characters of an invalid value that an error shows.
const LONGEST_SHOWN: usize = 80;

/// The header's fields by name.
struct HeaderFields<'a> {
    path: &'a Path,
    values: BTreeMap<String, String>,
}

impl<'a> HeaderFields<'a> {
    /// Parses lines up to `ElementDataFile`, which is the last field.
    fn parse<'b>(path: &'a Path, bytes: &'b [u8]) -> Result<(Self, &'b [u8]), Error> {
        let mut values = BTreeMap::new();
        let mut rest = bytes;
        let mut line = 0;
        while !values.contains_key("ElementDataFile") && !rest.is_empty() {
            line += 1;
            let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |n| n + 1);
            let (text, after) = rest.split_at(end);
            rest = after;
            let text = String::from_utf8_lossy(text);
            if text.trim().is_empty() {
                continue;
            }
            let Some((key, value)) = text.split_once('=') else {
                let found = text.trim().chars().take(LONGEST_SHOWN).collect();
                return Err(Error::Line { path: path.to_owned(), line, found });
            };
            let key = key.trim().to_owned();
            if values.insert(key.clone(), value.trim().to_owned()).is_some() {
                return Err(Error::Twice { path: path.to_owned(), key });
            }
        }
        Ok((Self { path, values }, rest))
    }

    /// A field under the first of its names that occurs.
    fn find(&self, keys: &[&'static str]) -> Option<(&'static str, &str)> {
        keys.iter().find_map(|key| Some((*key, self.values.get(*key)?.as_str())))
    }

    fn get(&self, keys: &[&'static str]) -> Result<(&'static str, &str), Error> {
        let key = keys.first().copied().unwrap_or_default();
        self.find(keys).ok_or_else(|| Error::Missing { path: self.path.to_owned(), key })
    }

    fn wrong(&self, (key, found): (&'static str, &str), expected: &'static str) -> Error {
        let found = found.chars().take(LONGEST_SHOWN).collect();
        Error::Value { path: self.path.to_owned(), key, found, expected }
    }

    /// Refuses different values under several names of a field.
    fn must_agree(&self, keys: &[&'static str]) -> Result<(), Error> {
        let mut given = keys.iter().filter_map(|key| Some((*key, self.values.get(*key)?)));
        let Some(first) = given.next() else { return Ok(()) };
        let words =
            |text: &str| text.to_ascii_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
        let same = |text: &str| words(text) == words(first.1);
        match given.find(|(_, text)| !same(text)) {
            None => Ok(()),
            Some((key, _)) => {
                Err(Error::Differ { path: self.path.to_owned(), keys: [first.0, key] })
            }
        }
    }

    /// Refuses any other value of a field that may be missing.
    fn must_be(&self, key: &'static str, expected: &'static str) -> Result<(), Error> {
        match self.find(&[key]) {
            Some(field) if !field.1.eq_ignore_ascii_case(expected) => {
                Err(self.wrong(field, expected))
            }
            _ => Ok(()),
        }
    }

    fn numbers<T: FromStr, const N: usize>(
        &self,
        keys: &[&'static str],
        expected: &'static str,
    ) -> Result<[T; N], Error> {
        let field = self.get(keys)?;
        let values: Result<Vec<T>, _> = field.1.split_whitespace().map(str::parse).collect();
        let values = values.map_err(|_| self.wrong(field, expected))?;
        values.try_into().map_err(|_| self.wrong(field, expected))
    }

    /// A truth value; false where the field is missing.
    fn flag(&self, keys: &[&'static str]) -> Result<bool, Error> {
        match self.find(keys) {
            None => Ok(false),
            Some((_, text)) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some((_, text)) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(field) => Err(self.wrong(field, "True or False")),
        }
    }

    fn element(&self) -> Result<ElementType, Error> {
        let field = self.get(&["ElementType"])?;
        Ok(match field.1 {
            "MET_CHAR" => ElementType::I8,
            "MET_UCHAR" => ElementType::U8,
            "MET_SHORT" => ElementType::I16,
            "MET_USHORT" => ElementType::U16,
            // METHOD: in MetaIO's table, a long has four bytes on every machine, and a long long eight.
            "MET_INT" | "MET_LONG" => ElementType::I32,
            "MET_UINT" | "MET_ULONG" => ElementType::U32,
            "MET_LONG_LONG" => ElementType::I64,
            "MET_ULONG_LONG" => ElementType::U64,
            "MET_FLOAT" => ElementType::F32,
            "MET_DOUBLE" => ElementType::F64,
            _ => return Err(self.wrong(field, "a type of one number, such as MET_SHORT")),
        })
    }

    fn data(&self, rest: &[u8], n_slices: usize) -> Result<DataLocation, Error> {
        let field = self.get(&["ElementDataFile"])?;
        let data = DataLocation::parse(field.1, rest, n_slices)
            .map_err(|found| self.wrong((field.0, &found), data::EXPECTED))?;
        match data.n_files() {
            Some(found) if found != n_slices => {
                Err(Error::Files { path: self.path.to_owned(), found, expected: n_slices })
            }
            _ => Ok(data),
        }
    }

    fn skipped(&self, data: &DataLocation) -> Result<SkippedBytes, Error> {
        let Some(field) = self.find(&["HeaderSize"]) else { return Ok(SkippedBytes::First(0)) };
        let skipped = match field.1.parse::<i64>() {
            Ok(-1) => SkippedBytes::AllBut,
            Ok(n) if n >= 0 => SkippedBytes::First(n as u64),
            _ => return Err(self.wrong(field, "a number of bytes, or -1")),
        };
        if *data == DataLocation::Local && skipped != SkippedBytes::First(0) {
            return Err(self.wrong(field, "0 where the voxels follow the header"));
        }
        if skipped == SkippedBytes::AllBut && self.flag(&["CompressedData"])? {
            return Err(self.wrong(field, "0 or more where the voxels are compressed"));
        }
        Ok(skipped)
    }

    fn compression(&self, data: &DataLocation) -> Result<Compression, Error> {
        let compressed = self.flag(&["CompressedData"])?;
        let Some(field) = self.find(&["CompressedDataSize"]) else {
            return Ok(if compressed { Compression::Zlib(None) } else { Compression::None });
        };
        if !compressed {
            return Err(self.wrong(field, "none where CompressedData is False"));
        }
        if data.n_files().is_some() {
            return Err(self.wrong(field, "none where each slice has a file"));
        }
        let size = field.1.parse().map_err(|_| self.wrong(field, "a number of bytes"))?;
        Ok(Compression::Zlib(Some(size)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::InvalidGeometry;

    const HEADER: &str = "ObjectType = Image\r\nNDims = 3\nBinaryData = True\n\nCompressedData = True\n\
        Rotation = 1 0 0 0 0 1 0 -1 0\nPosition = 1 2 3\nElementSpacing = 4 5 6\nDimSize = 7 8 9\n\
        ElementType = MET_UCHAR\nElementDataFile = a b.zraw\nrest";

    fn parse(text: &str) -> Result<MetaImageHeader, Error> {
        MetaImageHeader::parse(Path::new("a.mhd"), text.as_bytes(), 0.1).map(|(header, _)| header)
    }

    #[test]
    fn fields_have_their_other_names_and_end_with_the_data_file() {
        let (header, rest) =
            MetaImageHeader::parse(Path::new("a.mhd"), HEADER.as_bytes(), 0.1).unwrap();
        assert_eq!(rest, b"rest");
        assert_eq!(header.data, DataLocation::File("a b.zraw".to_owned()));
        assert_eq!((header.element, header.order), (ElementType::U8, ByteOrder::Little));
        assert_eq!(header.compression, Compression::Zlib(None));
        assert_eq!(header.skipped, SkippedBytes::First(0));
        assert_eq!(header.geometry.size(), [7, 8, 9]);
        // j runs towards the head, k to the front.
        let moved = header.geometry.voxel_to_patient([1.0, 1.0, 1.0]);
        for (found, expected) in moved.iter().zip([5.0, -4.0, 8.0]) {
            assert!((found - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn every_type_byte_order_and_field_name_is_known() {
        for (name, element) in [
            ("CHAR", ElementType::I8),
            ("UCHAR", ElementType::U8),
            ("SHORT", ElementType::I16),
            ("USHORT", ElementType::U16),
            ("INT", ElementType::I32),
            ("UINT", ElementType::U32),
            ("LONG", ElementType::I32),
            ("ULONG", ElementType::U32),
            ("LONG_LONG", ElementType::I64),
            ("ULONG_LONG", ElementType::U64),
            ("FLOAT", ElementType::F32),
            ("DOUBLE", ElementType::F64),
        ] {
            let header = parse(&HEADER.replace("MET_UCHAR", &format!("MET_{name}"))).unwrap();
            assert_eq!(header.element, element, "{name}");
        }
        for key in MSB {
            let header = parse(&HEADER.replace("NDims = 3", &format!("{key} = true"))).unwrap();
            assert_eq!(header.order, ByteOrder::Big, "{key}");
        }
        let plain = parse(HEADER).unwrap();
        for (names, own) in [(OFFSET, "Position"), (MATRIX, "Rotation")] {
            for name in names {
                let header = parse(&HEADER.replace(own, name)).unwrap();
                assert_eq!(header.geometry, plain.geometry, "{name}");
            }
        }
        // Two names of a field may have the same value.
        assert!(parse(&HEADER.replace("NDims = 3", "Offset =  1 2  3")).is_ok());
        let both = "BinaryDataByteOrderMSB = True\nElementByteOrderMSB = true";
        assert_eq!(parse(&HEADER.replace("NDims = 3", both)).unwrap().order, ByteOrder::Big);
        let sized = parse(&HEADER.replace("NDims = 3", "CompressedDataSize = 12")).unwrap();
        assert_eq!(sized.compression, Compression::Zlib(Some(12)));
        let raw = HEADER.replace("CompressedData = True", "HeaderSize = -1");
        assert_eq!(parse(&raw).unwrap().skipped, SkippedBytes::AllBut);
        assert_eq!(
            parse(&raw.replace("HeaderSize = -1", "HeaderSize = 7")).unwrap().skipped,
            SkippedBytes::First(7)
        );
    }

    #[test]
    fn missing_and_invalid_fields_are_named() {
        for (from, to, expected) in [
            ("Position = 1 2 3\n", "", "`a.mhd` has no Offset"),
            ("ElementSpacing", "ElementSize", "`a.mhd` has no ElementSpacing"),
            (
                "a b.zraw",
                "../b.raw",
                "`a.mhd`: ElementDataFile is `../b.raw`, expected LOCAL, LIST, LIST 2, a file below \
                 the header's folder, or a pattern such as `a%03d.raw 1 9 1`",
            ),
            ("a b.zraw", "LIST", "`a.mhd` names 1 files of voxels, expected 9, one for each slice"),
            (
                "a b.zraw",
                "a%d.raw 1 10 1",
                "`a.mhd` names 10 files of voxels, expected 9, one for each slice",
            ),
            ("NDims = 3", "NDims = 2", "`a.mhd`: NDims is `2`, expected 3"),
            ("= 7 8 9", "= 7 8 -9", "`a.mhd`: DimSize is `7 8 -9`, expected three whole numbers"),
            ("= 4 5 6", "= 4 5", "`a.mhd`: ElementSpacing is `4 5`, expected three numbers"),
            (
                "MET_UCHAR",
                "MET_STRING",
                "`a.mhd`: ElementType is `MET_STRING`, expected a type of one number, such as MET_SHORT",
            ),
            (
                "BinaryData = True",
                "BinaryData = False",
                "`a.mhd`: BinaryData is `False`, expected True",
            ),
            (
                "NDims = 3",
                "ElementNumberOfChannels = 3",
                "`a.mhd`: ElementNumberOfChannels is `3`, expected 1",
            ),
            (
                "NDims = 3",
                "HeaderSize = -1",
                "`a.mhd`: HeaderSize is `-1`, expected 0 or more where the voxels are compressed",
            ),
            (
                "NDims = 3",
                "HeaderSize = -2",
                "`a.mhd`: HeaderSize is `-2`, expected a number of bytes, or -1",
            ),
            (
                "NDims = 3",
                "CompressedDataSize = x",
                "`a.mhd`: CompressedDataSize is `x`, expected a number of bytes",
            ),
            (
                "CompressedData = True",
                "CompressedDataSize = 9",
                "`a.mhd`: CompressedDataSize is `9`, expected none where CompressedData is False",
            ),
            ("NDims = 3", "Origin = 1 2 4", "`a.mhd` gives Position and Origin, which differ"),
            (
                "NDims = 3",
                "BinaryDataByteOrderMSB = False\nElementByteOrderMSB = True",
                "`a.mhd` gives BinaryDataByteOrderMSB and ElementByteOrderMSB, which differ",
            ),
            (
                "CompressedData = True",
                "CompressedData = 1",
                "`a.mhd`: CompressedData is `1`, expected True or False",
            ),
            ("NDims = 3", "hello", "`a.mhd`, line 2: expected `Key = Value`, found \"hello\""),
            ("NDims = 3", "Position = 0 0 0", "`a.mhd` gives Position twice"),
        ] {
            assert_eq!(parse(&HEADER.replace(from, to)).unwrap_err().to_string(), expected);
        }
        let local = HEADER.replace("a b.zraw", "LOCAL").replace("NDims = 3", "HeaderSize = 5");
        assert_eq!(
            parse(&local).unwrap_err().to_string(),
            "`a.mhd`: HeaderSize is `5`, expected 0 where the voxels follow the header"
        );
        let list = HEADER.replace("a b.zraw", "a%d").replace("NDims = 3", "CompressedDataSize = 5");
        assert_eq!(
            parse(&list).unwrap_err().to_string(),
            "`a.mhd`: CompressedDataSize is `5`, expected none where each slice has a file"
        );
        let error = parse(&HEADER.replace("= 4 5 6", "= 4 5 0")).unwrap_err();
        assert!(matches!(error, Error::Geometry { source: InvalidGeometry::Spacing(_), .. }));
        assert!(matches!(parse(""), Err(Error::Missing { .. })));
    }

    #[test]
    fn geometries_beyond_the_limits_are_refused_with_the_value() {
        for (from, to, expected) in [
            (
                "= 4 5 6",
                "= 4 5 60",
                "spacing must be 0.01 to 50 mm along i, j and k, got [4.0, 5.0, 60.0] mm",
            ),
            (
                "= 4 5 6",
                "= 4 5 1e-5",
                "spacing must be 0.01 to 50 mm along i, j and k, got [4.0, 5.0, 1e-5] mm",
            ),
            (
                "= 1 2 3",
                "= 1 2 inf",
                "origin must be -1000000 to 1000000 mm along x, y and z, got [1.0, 2.0, inf] mm",
            ),
            (
                "= 1 2 3",
                "= 1 -2e6 3",
                "origin must be -1000000 to 1000000 mm along x, y and z, got [1.0, -2000000.0, 3.0] mm",
            ),
            (
                "= 7 8 9",
                "= 7 80000 9",
                "size must be 1 to 65535 voxels along i, j and k, got [7, 80000, 9]",
            ),
        ] {
            let Err(Error::Geometry { source, .. }) = parse(&HEADER.replace(from, to)) else {
                panic!("{to}")
            };
            assert_eq!(source.to_string(), expected);
        }
    }
}
