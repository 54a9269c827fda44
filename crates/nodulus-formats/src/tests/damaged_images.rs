//! Reading an image file ends with a volume or an error, whatever its bytes are.

use crate::image_rules::ReadRules;
use crate::volume::{Geometry, SliceRanges, Volume};
use crate::{metaimage, nifti, nrrd};
use fs_err as fs;
use ndarray::Array3;
use proptest::prelude::*;
use proptest::sample::Index;
use std::path::Path;

fn volume() -> Volume<i16> {
    let geometry =
        Geometry::new([4, 3, 2], [0.7, 0.8, 2.5], [-10.0, 20.0, 30.0], Geometry::AXIAL).unwrap();
    Volume::new(geometry, Array3::from_shape_fn((2, 3, 4), |(k, j, i)| (k + j + i) as i16)).unwrap()
}

/// Changes to the bytes of a file: some are replaced or cut out, or others follow.
#[derive(Clone, Debug)]
struct Damage {
    bytes: Vec<(Index, u8)>,
    cut: Option<(Index, usize)>,
    /// A new value for a line of a text header, or for four bytes of a binary one.
    value: Option<(Index, Value)>,
    tail: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Value {
    Number(i64),
    Real(f32),
    Text(String),
}

fn damage() -> impl Strategy<Value = Damage> {
    let number = prop_oneof![
        Just(i64::MAX),
        Just(-1),
        Just(0),
        Just(1 << 31),
        -70000..70000i64,
        any::<i64>()
    ];
    let text = prop_oneof![
        Just("LIST".to_owned()),
        Just("LOCAL".to_owned()),
        Just("s%d.raw".to_owned()),
        Just("%09d.raw 1 99999999999 1".to_owned()),
        Just("99999999999 99999999999 1".to_owned()),
        Just("4294967296 1048576 1024".to_owned()),
        Just("nan inf 1e999".to_owned()),
        "[ -~]{0,20}",
    ];
    let value = prop_oneof![
        number.prop_map(Value::Number),
        any::<f32>().prop_map(Value::Real),
        text.prop_map(Value::Text)
    ];
    (
        prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
        prop::option::weighted(0.2, (any::<Index>(), 0..40usize)),
        prop::option::weighted(0.8, (any::<Index>(), value)),
        prop::collection::vec(any::<u8>(), 0..3),
    )
        .prop_map(|(bytes, cut, value, tail)| Damage { bytes, cut, value, tail })
}

impl Damage {
    fn text(&self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        if let Some((at, value)) = &self.value {
            let starts: Vec<usize> = whole
                .windows(3)
                .enumerate()
                .filter(|(_, w)| *w == b" = ")
                .map(|(n, _)| n + 3)
                .collect();
            let start = starts[at.index(starts.len())];
            let end =
                whole[start..].iter().position(|b| *b == b'\n').map_or(whole.len(), |n| start + n);
            let value = match value {
                Value::Number(number) => format!("{number} {number} {number}"),
                Value::Real(real) => format!("{real} 1 1"),
                Value::Text(text) => text.clone(),
            };
            bytes.splice(start..end, value.into_bytes());
        }
        self.bytes(bytes)
    }

    fn binary(&self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        if let Some((at, value)) = &self.value {
            let at = 2 * at.index(348 / 2 - 2);
            let value = match value {
                Value::Number(number) => (*number as i32).to_le_bytes(),
                Value::Real(real) => real.to_le_bytes(),
                Value::Text(_) => *b"ni1\0",
            };
            bytes[at..at + 4].copy_from_slice(&value);
        }
        self.bytes(bytes)
    }

    fn bytes(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        for (at, byte) in &self.bytes {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        if let Some((at, n)) = &self.cut {
            let at = at.index(bytes.len());
            let end = bytes.len().min(at + n);
            bytes.drain(at..end);
        }
        bytes.extend(&self.tail);
        bytes
    }
}

/// Writes `volume` in the format of its name; returns the bytes of the header file.
fn written(path: &Path, compressed: bool) -> Vec<u8> {
    if path.extension().is_some_and(|extension| extension.to_string_lossy().starts_with('m')) {
        metaimage::write(path, &volume(), compressed).unwrap();
    } else {
        nifti::write(path, &volume()).unwrap();
    }
    fs::read(path).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_metaimage_is_read_or_refused(
        damage in damage(),
        local in any::<bool>(),
        compressed in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(if local { "a.mha" } else { "a.mhd" });
        let whole = written(&path, compressed);
        fs::write(&path, damage.text(&whole)).unwrap();
        let files = metaimage::data_files(&path);
        prop_assert!(files.iter().all(|file| file.starts_with(folder.path())));
        if let Ok(volume) = metaimage::read(&path) {
            prop_assert_eq!(volume.voxels().len(), volume.geometry().n_voxels());
        }
    }

    #[test]
    fn damaged_voxels_of_a_metaimage_are_read_or_refused(damage in damage(), compressed in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mhd");
        written(&path, compressed);
        let data = path.with_extension(if compressed { "zraw" } else { "raw" });
        let whole = fs::read(&data).unwrap();
        fs::write(&data, damage.bytes(whole)).unwrap();
        if let Ok(volume) = metaimage::read(&path) {
            prop_assert_eq!(volume.geometry().size(), [4, 3, 2]);
        }
    }

    #[test]
    fn a_damaged_nifti_file_is_read_or_refused(damage in damage(), packed in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(if packed { "a.nii.gz" } else { "a.nii" });
        let whole = written(&path, false);
        let damaged = if packed { damage.bytes(whole) } else { damage.binary(&whole) };
        fs::write(&path, damaged).unwrap();
        if let Ok(volume) = nifti::read(&path) {
            prop_assert_eq!(volume.voxels().len(), volume.geometry().n_voxels());
        }
        let _ = nifti::read_labels(&path);
    }

    #[test]
    fn a_damaged_nrrd_file_is_read_or_refused(damage in damage(), layered in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.seg.nrrd");
        let header = if layered {
            "NRRD0004\ntype: short\ndimension: 4\nspace: RAS\nsizes: 2 4 3 2\n\
             space directions: none (1,0,0) (0,1,0) (0,0,2)\nencoding: raw\nendian: little\nspace origin: (1,2,3)\n\
             Segment0_ID:=a\nSegment0_LabelValue:=1\nSegment0_Layer:=1\n\n"
        } else {
            "NRRD0004\ntype: short\ndimension: 3\nspace: LPS\nsizes: 4 3 2\n\
             space directions: (1,0,0) (0,1,0) (0,0,2)\nencoding: raw\nendian: little\nspace origin: (1,2,3)\n\n"
        };
        let voxels = vec![1u8; 2 * 4 * 3 * 2 * if layered { 2 } else { 1 }];
        // `: ` divides a field from its value, which `text` looks for as ` = `.
        let whole = [header.replace(": ", " = ").as_bytes(), &voxels].concat();
        let damaged = damage.text(&whole);
        let at = damaged.windows(3).enumerate().filter(|(_, w)| *w == b" = ").map(|(n, _)| n);
        let mut bytes = damaged.clone();
        for n in at.collect::<Vec<_>>().into_iter().rev() {
            bytes.splice(n..n + 3, *b": ");
        }
        fs::write(&path, bytes).unwrap();
        let rules = ReadRules { unplaced: true, ..ReadRules::default() };
        if let Ok(mask) = nrrd::load_labels(&path, &rules) {
            for layer in &mask.layers {
                prop_assert_eq!(layer.voxels().len(), layer.geometry().n_voxels());
            }
        }
        let _ = nrrd::load::<i16>(&path, &SliceRanges::all(), &rules);
        let _ = nrrd::estimate_bytes(&path);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.mhd", "a.nii", "a.hdr", "a.nrrd", "a.nhdr"] {
            let path = folder.path().join(name);
            fs::write(&path, &bytes).unwrap();
            prop_assert!(metaimage::read(&path).is_err());
            prop_assert!(nifti::read(&path).is_err());
            prop_assert!(nrrd::load::<i16>(&path, &SliceRanges::all(), &ReadRules::default()).is_err());
        }
    }
}
