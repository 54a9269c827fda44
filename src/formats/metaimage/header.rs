//! The header of a MetaImage.

use super::super::elements::{ByteOrder, Element};
use crate::volume::{Geometry, InvalidGeometry};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A MetaImage could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line of the header is no field.
    #[error("`{path}`, line {line}: expected `Key = Value`, found {found:?}")]
    Line {
        /// The header.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Its first characters.
        found: String,
    },
    /// A field is given twice.
    #[error("`{path}` gives {key} twice")]
    Twice {
        /// The header.
        path: PathBuf,
        /// The field.
        key: String,
    },
    /// A field that the voxels need is missing.
    #[error("`{path}` has no {key}")]
    Missing {
        /// The header.
        path: PathBuf,
        /// The field.
        key: &'static str,
    },
    /// A field has a value that is not supported.
    #[error("`{path}`: {key} is `{found}`, expected {expected}")]
    Value {
        /// The header.
        path: PathBuf,
        /// The field.
        key: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The fields place no scan.
    #[error("`{path}` does not place its voxels")]
    Geometry {
        /// The header.
        path: PathBuf,
        /// What is wrong.
        source: InvalidGeometry,
    },
    /// The voxels do not fit in memory.
    #[error("`{0}`: {1:?} voxels do not fit in memory")]
    TooLarge(PathBuf, [usize; 3]),
    /// There are more or fewer bytes than the header says.
    #[error("`{path}` holds {found} bytes of voxels, expected {expected}")]
    Size {
        /// The file with the voxels.
        path: PathBuf,
        /// Bytes that there are, as far as they were read.
        found: usize,
        /// Bytes that the header asks for.
        expected: usize,
    },
    /// Compressed voxels are damaged.
    #[error("`{path}` is no zlib stream")]
    Inflate {
        /// The file with the voxels.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// A voxel's value is no `i16`.
    #[error("`{path}`: voxel {voxel:?} (i, j, k) is {value}, expected a 16-bit integer")]
    Voxel {
        /// The file with the voxels.
        path: PathBuf,
        /// The voxel.
        voxel: [usize; 3],
        /// Its value.
        value: f64,
    },
}

/// Where the voxels are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// Behind the header.
    Local,
    /// In a file of this name beside the header.
    File(String),
}

/// What the header says.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) geometry: Geometry,
    pub(super) element: Element,
    pub(super) order: ByteOrder,
    pub(super) compressed: bool,
    pub(super) data: Data,
}

impl Header {
    /// Reads the header, and gives the bytes behind it.
    ///
    /// What places the voxels has no default: a file without an offset is refused.
    /// `AnatomicalOrientation` and `CenterOfRotation` are passed over, as ITK does.
    pub(super) fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Error> {
        let (fields, rest) = Fields::parse(path, bytes)?;
        fields.must_be("ObjectType", "Image")?;
        fields.must_be("NDims", "3")?;
        fields.must_be("BinaryData", "True")?;
        fields.must_be("ElementNumberOfChannels", "1")?;
        fields.must_be("HeaderSize", "0")?;
        fields.must_be("DistanceUnits", "mm")?;
        let rows: [f64; 9] =
            fields.numbers(&["TransformMatrix", "Rotation", "Orientation"], "nine numbers")?;
        // METHOD: each row of MetaImage's matrix is an axis (ITK's MetaImageIO); ours are columns.
        let direction = std::array::from_fn(|n| rows[n % 3 * 3 + n / 3]);
        let geometry = Geometry::new(
            fields.numbers(&["DimSize"], "three whole numbers")?,
            fields.numbers(&["ElementSpacing"], "three numbers")?,
            fields.numbers(&["Offset", "Position", "Origin"], "three numbers")?,
            direction,
        )
        .map_err(|source| Error::Geometry { path: path.to_owned(), source })?;
        let msb = fields.flag(&["BinaryDataByteOrderMSB", "ElementByteOrderMSB"])?;
        let header = Self {
            geometry,
            element: fields.element()?,
            order: if msb { ByteOrder::Big } else { ByteOrder::Little },
            compressed: fields.flag(&["CompressedData"])?,
            data: fields.data()?,
        };
        Ok((header, rest))
    }
}

/// The header's fields by name.
struct Fields<'a> {
    path: &'a Path,
    values: BTreeMap<String, String>,
}

impl<'a> Fields<'a> {
    /// Reads lines up to `ElementDataFile`, which is the last.
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
                let found = text.trim().chars().take(40).collect();
                return Err(Error::Line { path: path.to_owned(), line, found });
            };
            let key = key.trim().to_owned();
            if values.insert(key.clone(), value.trim().to_owned()).is_some() {
                return Err(Error::Twice { path: path.to_owned(), key });
            }
        }
        Ok((Self { path, values }, rest))
    }

    /// A field under the first of its names that is there.
    fn find(&self, keys: &[&'static str]) -> Option<(&'static str, &str)> {
        keys.iter().find_map(|key| Some((*key, self.values.get(*key)?.as_str())))
    }

    fn get(&self, keys: &[&'static str]) -> Result<(&'static str, &str), Error> {
        let key = keys.first().copied().unwrap_or_default();
        self.find(keys).ok_or_else(|| Error::Missing { path: self.path.to_owned(), key })
    }

    fn wrong(&self, (key, found): (&'static str, &str), expected: &'static str) -> Error {
        Error::Value { path: self.path.to_owned(), key, found: found.to_owned(), expected }
    }

    /// A field that may be missing but must not say anything else.
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

    /// A truth value; false where it is missing.
    fn flag(&self, keys: &[&'static str]) -> Result<bool, Error> {
        match self.find(keys) {
            None => Ok(false),
            Some((_, text)) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some((_, text)) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(field) => Err(self.wrong(field, "True or False")),
        }
    }

    fn element(&self) -> Result<Element, Error> {
        let field = self.get(&["ElementType"])?;
        Ok(match field.1 {
            "MET_CHAR" => Element::I8,
            "MET_UCHAR" => Element::U8,
            "MET_SHORT" => Element::I16,
            "MET_USHORT" => Element::U16,
            "MET_INT" => Element::I32,
            "MET_UINT" => Element::U32,
            "MET_LONG_LONG" => Element::I64,
            "MET_ULONG_LONG" => Element::U64,
            "MET_FLOAT" => Element::F32,
            "MET_DOUBLE" => Element::F64,
            // MET_LONG has another size on other machines.
            _ => return Err(self.wrong(field, "a number type of fixed size, such as MET_SHORT")),
        })
    }

    fn data(&self) -> Result<Data, Error> {
        let field = self.get(&["ElementDataFile"])?;
        let name = field.1;
        let several = name.contains('%') || name.split_whitespace().next() == Some("LIST");
        let elsewhere = name.is_empty() || name.contains(['/', '\\']) || name == "..";
        match name {
            "LOCAL" | "Local" | "local" => Ok(Data::Local),
            _ if several || elsewhere => Err(self.wrong(field, "one file beside the header")),
            _ => Ok(Data::File(name.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "ObjectType = Image\r\nNDims = 3\nBinaryData = True\n\nCompressedData = True\n\
        Rotation = 1 0 0 0 0 1 0 -1 0\nPosition = 1 2 3\nElementSpacing = 4 5 6\nDimSize = 7 8 9\n\
        ElementType = MET_UCHAR\nElementDataFile = a b.zraw\nrest";

    fn parse(text: &str) -> Result<Header, Error> {
        Header::parse(Path::new("a.mhd"), text.as_bytes()).map(|(header, _)| header)
    }

    #[test]
    fn fields_have_their_other_names_and_end_with_the_data_file() {
        let (header, rest) = Header::parse(Path::new("a.mhd"), HEADER.as_bytes()).unwrap();
        assert_eq!(rest, b"rest");
        assert_eq!(header.data, Data::File("a b.zraw".to_owned()));
        assert_eq!((header.element, header.order), (Element::U8, ByteOrder::Little));
        assert!(header.compressed);
        assert_eq!(header.geometry.size(), [7, 8, 9]);
        // Moving along j moves towards the head, along k to the front.
        let moved = header.geometry.voxel_to_patient([1.0, 1.0, 1.0]);
        for (found, expected) in moved.iter().zip([5.0, -4.0, 8.0]) {
            assert!((found - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (from, to, expected) in [
            ("Position = 1 2 3\n", "", "`a.mhd` has no Offset"),
            ("ElementSpacing", "ElementSize", "`a.mhd` has no ElementSpacing"),
            (
                "a b.zraw",
                "../b.raw",
                "`a.mhd`: ElementDataFile is `../b.raw`, expected one file beside the header",
            ),
            (
                "a b.zraw",
                "LIST",
                "`a.mhd`: ElementDataFile is `LIST`, expected one file beside the header",
            ),
            ("NDims = 3", "NDims = 2", "`a.mhd`: NDims is `2`, expected 3"),
            ("= 7 8 9", "= 7 8 -9", "`a.mhd`: DimSize is `7 8 -9`, expected three whole numbers"),
            ("= 4 5 6", "= 4 5", "`a.mhd`: ElementSpacing is `4 5`, expected three numbers"),
            (
                "MET_UCHAR",
                "MET_LONG",
                "`a.mhd`: ElementType is `MET_LONG`, expected a number type of fixed size, such as MET_SHORT",
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
        let error = parse(&HEADER.replace("= 4 5 6", "= 4 5 0")).unwrap_err();
        assert!(matches!(error, Error::Geometry { source: InvalidGeometry::Spacing(_), .. }));
        assert!(matches!(parse(""), Err(Error::Missing { .. })));
    }
}
