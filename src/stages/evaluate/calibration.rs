//! Counts pixels by their probability, and those of them that are nodule.

use super::slice::Slice;
use super::{Error, MeasureError, classifier};
use crate::tables::{NoduleMetrics, Summary};
use nodulus_formats::volume::Mask;
use nodulus_metrics::classifier::{ReliabilityBin, ReliabilityDiagram, calibration_error};
use nodulus_store::Version;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The columns of `predictions` that this module reads.
#[derive(Deserialize)]
struct PixelProbabilities {
    roi_id: String,
    nodule_id: String,
    model_id: String,
    #[serde(with = "serde_bytes")]
    probability: Option<Vec<u8>>,
}

const COLUMNS: &[&str] = &["roi_id", "nodule_id", "model_id", "probability"];

/// Least probability, in 255ths, of a pixel that counts.
///
/// METHOD: pixels under 0.01 are left out. They are most of a region, and hardly any is nodule: with them every model has a
/// calibration error near 0.
const LEAST: usize = 3;

/// The diagrams of nodules, by model and nodule.
pub(super) type Diagrams = BTreeMap<(String, String), Result<ReliabilityDiagram, MeasureError>>;

/// The diagram of each model and nodule of a shard whose model has probabilities of pixels; `regions` holds the slices of each
/// nodule. A batch of rows is in memory.
///
/// METHOD: pixels of other nodules of the scan alone, and pixels without data, do not count.
///
/// # Errors
///
/// Fails if the table cannot be read.
pub(super) fn diagrams(
    tables: &[&Version],
    shard: usize,
    regions: &BTreeMap<String, Vec<Slice>>,
) -> Result<Diagrams, Error> {
    let mut diagrams = Diagrams::new();
    if regions.is_empty() {
        return Ok(diagrams);
    }
    let batches =
        tables.iter().flat_map(|table| table.shard_columns::<PixelProbabilities>(shard, COLUMNS));
    for batch in batches {
        for row in batch? {
            let of_nodule = regions.get(&row.nodule_id).into_iter().flatten();
            let slice = of_nodule.into_iter().find(|slice| slice.roi_id == row.roi_id);
            let (Some(probability), Some(slice)) = (row.probability, slice) else { continue };
            let diagram = diagrams
                .entry((row.model_id, row.nodule_id))
                .or_insert_with(|| Ok(ReliabilityDiagram::default()));
            if let Ok(sums) = diagram {
                match of_slice(slice, &probability) {
                    Ok(found) => sums.merge(&found),
                    Err(error) => *diagram = Err(error),
                }
            }
        }
    }
    Ok(diagrams)
}

fn of_slice(slice: &Slice, probability: &[u8]) -> Result<ReliabilityDiagram, MeasureError> {
    let [width, height] = [slice.width, slice.height].map(|n| usize::try_from(n).unwrap_or(0));
    if probability.len() != width.saturating_mul(height) {
        let (found, roi_id) = (probability.len(), slice.roi_id.clone());
        return Err(MeasureError::Probabilities { roi_id, found, width, height });
    }
    let mask = |bits: &Vec<u8>| Mask::from_bits([width, height, 1], bits.clone());
    let own = mask(&slice.mask_bits)?;
    let [others, no_data] = [mask(&slice.other_mask_bits)?, mask(&slice.no_data_bits)?];
    let mut counts = [[0u64; 2]; 256];
    for (n, byte) in probability.iter().enumerate() {
        let (i, j) = (n % width, n / width);
        let is_nodule = own.get(i, j, 0);
        if !no_data.get(i, j, 0) && (is_nodule || !others.get(i, j, 0)) {
            counts[usize::from(*byte)][usize::from(is_nodule)] += 1;
        }
    }
    let mut diagram = ReliabilityDiagram::default();
    for (byte, [n_background, n_nodule]) in counts.into_iter().enumerate().skip(LEAST) {
        diagram.add_many(byte as f64 / 255.0, n_background, false);
        diagram.add_many(byte as f64 / 255.0, n_nodule, true);
    }
    Ok(diagram)
}

/// Writes a diagram into the columns of a nodule.
pub(super) fn set(row: &mut NoduleMetrics, diagram: &ReliabilityDiagram) {
    let bins = diagram.bins.iter();
    row.calibration_pixels = Some(bins.clone().map(|bin| bin.n as i64).collect());
    row.calibration_nodule_pixels = Some(bins.clone().map(|bin| bin.n_true as i64).collect());
    row.calibration_probability = Some(bins.map(|bin| bin.probabilities).collect());
}

/// The diagram of a row of `nodule_metrics`; `None` for a model without probabilities of pixels.
pub(in crate::stages) fn diagram(row: &NoduleMetrics) -> Option<ReliabilityDiagram> {
    let n = row.calibration_pixels.as_ref()?;
    let columns = row
        .calibration_nodule_pixels
        .iter()
        .flatten()
        .zip(row.calibration_probability.iter().flatten());
    let mut diagram = ReliabilityDiagram::default();
    for (bin, (n, (n_true, probabilities))) in diagram.bins.iter_mut().zip(n.iter().zip(columns)) {
        *bin = ReliabilityBin {
            n: n.unsigned_abs(),
            n_true: n_true.unsigned_abs(),
            probabilities: *probabilities,
        };
    }
    Some(diagram)
}

/// The diagrams of the patients of each model.
#[derive(Debug, Default)]
pub(super) struct PixelDiagrams(BTreeMap<String, BTreeMap<String, NoduleDiagrams>>);

/// The diagrams of a patient's nodules, by nodule, so that their sum does not depend on their order.
type NoduleDiagrams = BTreeMap<String, ReliabilityDiagram>;

impl PixelDiagrams {
    /// Adds a nodule of a model.
    pub(super) fn add(&mut self, row: &NoduleMetrics) {
        if let Some(diagram) = diagram(row) {
            let patients = self.0.entry(row.model_id.clone()).or_default();
            let patient = patients.entry(row.patient_id.clone()).or_default();
            patient.insert(row.nodule_id.clone(), diagram);
        }
    }

    /// A row for each model with probabilities: `n_total` counts nodules.
    pub(super) fn rows(&self, seed: u64) -> Vec<Summary> {
        let of_model = |(model_id, patients): (&String, &BTreeMap<String, NoduleDiagrams>)| {
            let sum = |nodules: &NoduleDiagrams| {
                nodules.values().fold(ReliabilityDiagram::default(), |mut sum, diagram| {
                    sum.merge(diagram);
                    sum
                })
            };
            let sums: Vec<ReliabilityDiagram> = patients.values().map(sum).collect();
            let n: usize = patients.values().map(BTreeMap::len).sum();
            let counts = [n, patients.len()].map(|n| n as u64);
            classifier::row(model_id, "pixel_ece", &calibration_error(&sums, seed), counts)
        };
        self.0.iter().map(of_model).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::slice;
    use super::*;

    #[test]
    fn pixels_of_the_nodule_and_of_nothing_else_are_counted() {
        // Columns 0 and 1 are nodule, 4 is another one, 5 has no data; probabilities by column.
        let slice = Slice { no_data_bits: vec![0b10_0000], ..slice(7, 0b0011, 0b1_0000) };
        let found = of_slice(&slice, &[255, 20, 20, 2, 255, 255, 3, 0]).unwrap();
        let bins: Vec<(u64, u64)> = found.bins.iter().map(|bin| (bin.n, bin.n_true)).collect();
        assert_eq!((bins[0], bins[9]), ((3, 1), (1, 1)));
        assert!(bins[1..9].iter().all(|bin| *bin == (0, 0)));
        assert!((found.bins[0].probabilities - 43.0 / 255.0).abs() < 1e-12);
        let error = of_slice(&slice, &[0; 7]).unwrap_err().to_string();
        assert_eq!(error, "slice `r7` has probabilities of 7 pixels, expected 4 × 2");
    }

    #[test]
    fn a_row_holds_its_diagram_and_patients_are_summed_up() {
        let mut pixels = PixelDiagrams::default();
        for (nodule, patient, probability, truth) in
            [("a", "p", 0.95, true), ("b", "p", 0.95, false), ("c", "q", 0.15, false)]
        {
            let mut of_nodule = ReliabilityDiagram::default();
            of_nodule.add(probability, truth);
            let [nodule_id, patient_id] = [nodule, patient].map(str::to_owned);
            let mut row = NoduleMetrics { nodule_id, patient_id, ..NoduleMetrics::default() };
            assert_eq!(diagram(&row), None);
            pixels.add(&row);
            set(&mut row, &of_nodule);
            assert_eq!(diagram(&row), Some(of_nodule));
            pixels.add(&row);
        }
        let rows = pixels.rows(1);
        assert_eq!((rows.len(), rows[0].metric.as_str()), (1, "pixel_ece"));
        assert_eq!((rows[0].n_total, rows[0].n_patients), (3, 2));
        // One bin of two pixels is off by 1.9 - 1, the other of one by 0.15.
        assert!((rows[0].mean.unwrap() - (0.9 + 0.15) / 3.0).abs() < 1e-12);
    }
}
