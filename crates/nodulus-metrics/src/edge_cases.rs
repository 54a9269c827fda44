//! The mask pairs of `tests/golden/edge_cases.py`, small, empty, hollow and distant, compared with
//! `MedPy`, MONAI, SimpleITK and `SciPy`.

use super::mask_metrics::measure;
use super::metric::Metric;
use super::size::{SizeMeasure, mask_size};
use nodulus_formats::volume::Mask;
use serde::Deserialize;
use std::collections::BTreeMap;

/// First voxel and size of a box, and whether it is set or cleared.
type Block = ([usize; 3], [usize; 3], bool);

#[derive(Deserialize)]
struct Pair {
    name: String,
    /// Whether the pair is projected along k to one slice.
    flat: bool,
    size: [usize; 3],
    spacing_mm: [f64; 3],
    prediction: Vec<Block>,
    reference: Vec<Block>,
    counts: [u64; 3],
    scores: BTreeMap<String, Option<f64>>,
    /// Volume, long axis and short axis, of prediction and reference.
    sizes: [[f64; 3]; 2],
}

impl Pair {
    fn mask(&self, blocks: &[Block]) -> Mask {
        let set = |voxel: [usize; 3]| {
            let holds = |(start, size, _): &&Block| {
                (0..3).all(|a| (start[a]..start[a] + size[a]).contains(&voxel[a]))
            };
            blocks.iter().rfind(holds).is_some_and(|block| block.2)
        };
        let [ni, nj, nk] = self.size;
        if self.flat {
            return Mask::from_fn([ni, nj, 1], |i, j, _| (0..nk).any(|k| set([i, j, k])));
        }
        Mask::from_fn(self.size, |i, j, k| set([i, j, k]))
    }
}

#[test]
fn agrees_with_medpy_monai_and_simpleitk() {
    let pairs: Vec<Pair> =
        serde_json::from_str(include_str!("../../../tests/golden/edge_cases.json")).unwrap();
    assert_eq!(pairs.len(), 15 * 2 * 2);
    for pair in pairs {
        let name = format!("{} at {:?}, flat: {}", pair.name, pair.spacing_mm, pair.flat);
        let masks = [&pair.prediction, &pair.reference].map(|blocks| pair.mask(blocks));
        let found = measure(&masks[0], &masks[1], pair.spacing_mm);
        let counts = [found.true_positive, found.false_positive, found.false_negative];
        assert_eq!(counts, pair.counts, "{name}");
        for metric in Metric::ALL {
            match (metric.of(&found), pair.scores[metric.name()]) {
                (Some(found), Some(expected)) => assert!(
                    (found - expected).abs() < 1e-9,
                    "{name}: {} is {found}, expected {expected}",
                    metric.name()
                ),
                (found, expected) => assert_eq!(found, expected, "{name}: {}", metric.name()),
            }
        }
        for (mask, expected) in masks.iter().zip(pair.sizes) {
            let found = mask_size(mask, pair.spacing_mm);
            let measures = [SizeMeasure::Volume, SizeMeasure::LongAxis, SizeMeasure::ShortAxis];
            for (measure, expected) in measures.into_iter().zip(expected) {
                let found = measure.of(&found);
                assert!((found - expected).abs() < 1e-9, "{name}: {measure:?} {found} {expected}");
            }
        }
    }
}
