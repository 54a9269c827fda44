//! Digests of the rows of each nodule, for what is made from some nodules alone.

use super::CropError;
use crate::tables::Roi;
use nodulus_store::hash;
use std::collections::BTreeMap;

/// SHA-256 of all columns of each nodule's rows, by its id.
///
/// # Errors
///
/// Fails if a row has no JSON form.
pub(super) fn of_nodules(rows: &[Roi]) -> Result<BTreeMap<String, String>, CropError> {
    let mut digests = BTreeMap::new();
    for of_nodule in rows.chunk_by(|a, b| a.nodule_id == b.nodule_id) {
        let mut parts = Vec::with_capacity(4 * of_nodule.len());
        for roi in of_nodule {
            let bytes = [
                &roi.hu,
                &roi.mask_bits,
                &roi.other_mask_bits,
                &roi.no_data_bits,
                &roi.reader_counts,
            ];
            parts.extend(bytes.map(|bytes| hash::sha256(bytes)));
            let others = Roi {
                hu: Vec::new(),
                mask_bits: Vec::new(),
                other_mask_bits: Vec::new(),
                no_data_bits: Vec::new(),
                reader_counts: Vec::new(),
                ..roi.clone()
            };
            parts.push(serde_json::to_string(&others)?);
        }
        if let Some(roi) = of_nodule.first() {
            let digest = hash::sha256_parts(parts.iter().map(String::as_str));
            digests.insert(roi.nodule_id.clone(), digest);
        }
    }
    Ok(digests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::roi;

    #[test]
    fn a_digest_changes_with_any_column_of_its_own_nodule_alone() {
        let row = |id: &str, k: i64| Roi {
            nodule_id: id.to_owned(),
            slice_index: k,
            ..roi(&[0, 1], &[true, false], &[0])
        };
        let rows = [row("a", 0), row("a", 1), row("b", 0)];
        let digests = of_nodules(&rows).unwrap();
        assert_eq!(digests.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(of_nodules(&rows[..2]).unwrap()["a"], digests["a"]);
        let changes: [fn(&mut Roi); 7] = [
            |roi| roi.hu[3] = 1,
            |roi| roi.mask_bits[0] = 0b10,
            |roi| roi.other_mask_bits[0] = 0b10,
            |roi| roi.no_data_bits[0] = 0b10,
            |roi| roi.reader_counts[0] = 3,
            |roi| roi.spacing_k_mm += 0.001,
            |roi| roi.neighbours = "ignore".to_owned(),
        ];
        for change in changes {
            let mut rows = rows.clone();
            change(&mut rows[1]);
            let changed = of_nodules(&rows).unwrap();
            assert_eq!(changed["b"], digests["b"]);
            assert_ne!(changed["a"], digests["a"]);
        }
    }
}
