//! The header of an NRRD file: what its fields mean.

use super::error::Error;
use super::fields::HeaderFields;
use super::segments;
use crate::folder::is_below;
use crate::image_rules::ReadRules;
use crate::mask_file::LabelSegment;
use crate::repair::{Repair, Repairs};
use crate::volume::{Geometry, InvalidGeometry};
use crate::voxel_encoding::{ByteOrder, ElementType};
use std::path::Path;

/// The parsed header.
#[derive(Debug)]
pub(super) struct ParsedHeader {
    pub(super) geometry: Geometry,
    /// Whether the header places the voxels in the patient.
    pub(super) is_placed: bool,
    pub(super) repairs: Repairs,
    pub(super) element: ElementType,
    pub(super) order: ByteOrder,
    pub(super) is_gzip: bool,
    /// The file with the voxels, below the header's folder; `None` where they follow the header.
    pub(super) data_file: Option<String>,
    /// Bytes before the voxels, in the decompressed content; `None`: the voxels are the last bytes.
    pub(super) skipped: Option<u64>,
    /// Whether the header gives that number.
    pub(super) is_skip_given: bool,
    pub(super) layers: Layers,
    /// The segments that Slicer lists; empty in another file.
    pub(super) segments: Vec<LabelSegment>,
    /// Offset of what follows the header.
    pub(super) end: usize,
}

/// The values of a voxel: one, or one for each layer of segments that overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layers {
    One,
    /// The values of a voxel follow each other.
    First(usize),
    /// A volume for each layer.
    Last(usize),
}

impl Layers {
    pub(super) const fn n(self) -> usize {
        match self {
            Self::One => 1,
            Self::First(n) | Self::Last(n) => n,
        }
    }
}

/// The axes that are not of space: their vector in `space directions`.
const NO_DIRECTION: &str = "none";

impl ParsedHeader {
    /// Parses the header at the start of `bytes`.
    pub(super) fn parse(path: &Path, bytes: &[u8], rules: &ReadRules) -> Result<Self, Error> {
        let (fields, end) = HeaderFields::parse(path, bytes)?;
        let sizes = sizes(&fields)?;
        let (layers, space_axes) = layers(&fields, &sizes)?;
        let size = space_axes.map(|axis| sizes[axis]);
        let placement = placement(path, &fields, size, space_axes, rules)?;
        let element = element(&fields)?;
        let is_gzip = match fields.get("encoding")?.to_ascii_lowercase().as_str() {
            "raw" => false,
            "gzip" | "gz" => true,
            found => return Err(fields.wrong("encoding", found, "raw or gzip")),
        };
        let order = match fields.find("endian").map(str::to_ascii_lowercase).as_deref() {
            Some("little") => ByteOrder::Little,
            Some("big") => ByteOrder::Big,
            None if element.n_bytes() == 1 => ByteOrder::Little,
            None => return Err(Error::Missing { path: path.to_owned(), field: "endian" }),
            Some(found) => return Err(fields.wrong("endian", found, "little or big")),
        };
        if let Some(found) = fields.find("line skip").filter(|found| *found != "0") {
            return Err(fields.wrong("line skip", found, "0"));
        }
        let skipped = match fields.find("byte skip").unwrap_or("0") {
            "-1" if !is_gzip => None,
            found => {
                let expected = "a number of bytes, or -1 where the voxels are not compressed";
                let n = found.parse().map_err(|_| fields.wrong("byte skip", found, expected))?;
                Some(n)
            }
        };
        let data_file = match fields.find("data file") {
            None => None,
            Some(name) if is_below(name) && !name.contains('%') && !name.starts_with("LIST") => {
                Some(name.to_owned())
            }
            Some(name) => {
                return Err(fields.wrong("data file", name, "one file below the header's folder"));
            }
        };
        let segments = segments::of_keys(&fields, layers.n())?;
        Ok(Self {
            geometry: placement.geometry,
            is_placed: placement.is_placed,
            repairs: placement.repairs,
            element,
            order,
            is_gzip,
            data_file,
            skipped,
            is_skip_given: fields.find("byte skip").is_some(),
            layers,
            segments,
            end,
        })
    }
}

fn sizes(fields: &HeaderFields<'_>) -> Result<Vec<usize>, Error> {
    let found = fields.get("sizes")?;
    let sizes: Result<Vec<usize>, _> = found.split_whitespace().map(str::parse).collect();
    let dimension = fields.get("dimension")?;
    match sizes {
        Ok(sizes) if sizes.len().to_string() == dimension && matches!(sizes.len(), 3 | 4) => {
            Ok(sizes)
        }
        _ => {
            let found = format!("{found} of dimension {dimension}");
            Err(fields.wrong(
                "sizes",
                &found,
                "three whole numbers, or four with layers of segments",
            ))
        }
    }
}

/// Where the layers are, and the three axes of space.
///
/// METHOD: a fourth axis is one of layers where it has no direction (`none`); else where its kind is not of space.
/// Without either, an axis of one value is passed over, as the fourth axis of NIfTI is.
fn layers(fields: &HeaderFields<'_>, sizes: &[usize]) -> Result<(Layers, [usize; 3]), Error> {
    let [first, .., last] = sizes else { return Err(fields.wrong("sizes", "", "three numbers")) };
    if sizes.len() == 3 {
        return Ok((Layers::One, [0, 1, 2]));
    }
    let is_space =
        |kind: &str| matches!(kind.to_ascii_lowercase().as_str(), "domain" | "space" | "???");
    let kinds: Vec<&str> =
        fields.find("kinds").map(|kinds| kinds.split_whitespace().collect()).unwrap_or_default();
    let has_direction: Vec<bool> = match fields.find("space directions") {
        Some(text) => vectors(text).iter().map(Option::is_some).collect(),
        None => kinds.iter().map(|kind| is_space(kind)).collect(),
    };
    match has_direction[..] {
        [false, true, true, true] if *first == 1 => Ok((Layers::One, [1, 2, 3])),
        [false, true, true, true] => Ok((Layers::First(*first), [1, 2, 3])),
        _ if *last == 1 => Ok((Layers::One, [0, 1, 2])),
        [true, true, true, false] => Ok((Layers::Last(*last), [0, 1, 2])),
        _ => {
            let found = fields.find("space directions").or(fields.find("kinds")).unwrap_or("");
            let expected = "directions of three axes, and `none` for the first or last";
            Err(fields.wrong("space directions", found, expected))
        }
    }
}

/// Vectors such as `(1,0,0) none (0,1,0)`; `None` for an axis without a direction or with one that is no number.
fn vectors(text: &str) -> Vec<Option<[f64; 3]>> {
    let mut vectors = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = if rest.starts_with('(') {
            rest.find(')').map_or(rest.len(), |end| end + 1)
        } else {
            rest.find(char::is_whitespace).unwrap_or(rest.len())
        };
        let (word, after) = rest.split_at(end);
        vectors.push(vector(word));
        rest = after.trim_start();
    }
    vectors
}

fn vector(word: &str) -> Option<[f64; 3]> {
    if word.eq_ignore_ascii_case(NO_DIRECTION) {
        return None;
    }
    let inside = word.strip_prefix('(')?.strip_suffix(')')?;
    let numbers: Option<Vec<f64>> =
        inside.split(',').map(|number| number.trim().parse().ok()).collect();
    numbers?.try_into().ok().filter(|vector: &[f64; 3]| vector.iter().all(|x| x.is_finite()))
}

struct Placement {
    geometry: Geometry,
    is_placed: bool,
    repairs: Repairs,
}

/// METHOD: the vectors of `space directions` are the axes times their spacing, in the space that `space` names. A file
/// without a space of the patient is placed from 0 where the rules allow it.
fn placement(
    path: &Path,
    fields: &HeaderFields<'_>,
    size: [usize; 3],
    axes: [usize; 3],
    rules: &ReadRules,
) -> Result<Placement, Error> {
    let geometry_error = |source| Error::Geometry { path: path.to_owned(), source };
    if let Some(units) = fields.find("space units").filter(|units| !is_millimetres(units)) {
        return Err(fields.wrong("space units", units, "\"mm\" \"mm\" \"mm\""));
    }
    let space = fields.find("space").map(str::to_ascii_lowercase);
    // Signs that turn the space into LPS.
    let signs = match space.as_deref() {
        Some("left-posterior-superior" | "lps") => Some([1.0, 1.0, 1.0]),
        Some("right-anterior-superior" | "ras") => Some([-1.0, -1.0, 1.0]),
        Some("left-anterior-superior" | "las") => Some([1.0, -1.0, 1.0]),
        _ => None,
    };
    let directions = fields.find("space directions").map(vectors);
    let of_axis = |vectors: &[Option<[f64; 3]>]| {
        let [i, j, k] = axes.map(|axis| vectors.get(axis).copied().flatten());
        Some([i?, j?, k?])
    };
    let directions = match &directions {
        None => None,
        Some(vectors) => Some(of_axis(vectors).ok_or_else(|| {
            let found = fields.find("space directions").unwrap_or_default();
            fields.wrong("space directions", found, "three vectors such as `(0.7,0,0)`")
        })?),
    };
    let length = |vector: [f64; 3]| vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    let origin = match fields.find("space origin") {
        None => None,
        Some(text) => {
            let expected = "a vector such as `(-170,-180,-50)`";
            Some(vector(text).ok_or_else(|| fields.wrong("space origin", text, expected))?)
        }
    };
    if let (Some(signs), Some(directions), Some(origin)) = (signs, directions, origin) {
        let spacing = directions.map(length);
        if spacing.iter().any(|mm| *mm <= 0.0) {
            return Err(geometry_error(InvalidGeometry::Spacing(spacing)));
        }
        let turned = |r: usize, value: f64| signs[r] * value;
        let axes = std::array::from_fn(|n| {
            let (row, column) = (n / 3, n % 3);
            turned(row, directions[column][row] / spacing[column])
        });
        let origin = std::array::from_fn(|r| turned(r, origin[r]));
        let (geometry, is_sheared) = Geometry::nearest(size, spacing, origin, axes, rules.off_grid)
            .map_err(geometry_error)?;
        let repairs = is_sheared.then_some(Repair::Sheared).into_iter().collect();
        return Ok(Placement { geometry, is_placed: true, repairs });
    }
    if !rules.unplaced {
        return Err(Error::Unplaced(path.to_owned()));
    }
    let spacing = if let Some(directions) = directions {
        directions.map(length)
    } else {
        let found = fields.get("spacings")?;
        let words: Vec<&str> = found.split_whitespace().collect();
        let numbers = axes.map(|axis| words.get(axis).and_then(|word| word.parse().ok()));
        let wrong = || fields.wrong("spacings", found, "a number for each axis of space");
        let [Some(i), Some(j), Some(k)] = numbers else { return Err(wrong()) };
        [i, j, k]
    };
    let geometry =
        Geometry::new(size, spacing, [0.0; 3], Geometry::AXIAL).map_err(geometry_error)?;
    Ok(Placement { geometry, is_placed: false, repairs: Repairs::from([Repair::Unplaced]) })
}

fn is_millimetres(units: &str) -> bool {
    units.split_whitespace().all(|unit| {
        let unit = unit.trim_matches('"').to_ascii_lowercase();
        matches!(unit.as_str(), "mm" | "millimeter" | "millimetre" | "millimeters" | "" | "none")
    })
}

fn element(fields: &HeaderFields<'_>) -> Result<ElementType, Error> {
    let found = fields.get("type")?;
    Ok(match found.to_ascii_lowercase().as_str() {
        "signed char" | "int8" | "int8_t" => ElementType::I8,
        "uchar" | "unsigned char" | "uint8" | "uint8_t" => ElementType::U8,
        "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => {
            ElementType::I16
        }
        "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => {
            ElementType::U16
        }
        "int" | "signed int" | "int32" | "int32_t" => ElementType::I32,
        "uint" | "unsigned int" | "uint32" | "uint32_t" => ElementType::U32,
        "longlong"
        | "long long"
        | "long long int"
        | "signed long long"
        | "signed long long int"
        | "int64"
        | "int64_t" => ElementType::I64,
        "ulonglong" | "unsigned long long" | "unsigned long long int" | "uint64" | "uint64_t" => {
            ElementType::U64
        }
        "float" => ElementType::F32,
        "double" => ElementType::F64,
        _ => return Err(fields.wrong("type", found, "a type of one number, such as short")),
    })
}
