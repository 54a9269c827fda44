//! Brings the slices of each nodule together.

use super::error::Error;
use crate::tables::Roi;
use std::collections::BTreeSet;

/// The slices of a nodule's region, ascending, each with what was computed for it.
pub(super) type NoduleSlices<T> = Vec<(Roi, T)>;

/// Computes on the slices of the chosen nodules, in batches as they are read, and hands over the slices of each nodule
/// once they are complete: a few nodules at a time, so that few are in memory.
///
/// # Errors
///
/// Fails if slices cannot be read, the slices of a nodule are not together, or `compute` or `done` fails.
pub(super) fn each_nodule<T>(
    batches: impl Iterator<Item = Result<Vec<Roi>, nodulus_store::Error>>,
    chosen: &BTreeSet<String>,
    mut compute: impl FnMut(&[Roi]) -> Result<Vec<T>, Error>,
    mut done: impl FnMut(Vec<NoduleSlices<T>>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut open: NoduleSlices<T> = Vec::new();
    let mut finished: BTreeSet<String> = BTreeSet::new();
    for batch in batches {
        let slices: Vec<Roi> =
            batch?.into_iter().filter(|roi| chosen.contains(&roi.nodule_id)).collect();
        let computed = compute(&slices)?;
        let mut complete = Vec::new();
        for (roi, computed) in slices.into_iter().zip(computed) {
            if let Some((last, _)) = open.first()
                && last.nodule_id != roi.nodule_id
            {
                finished.insert(last.nodule_id.clone());
                complete.push(std::mem::take(&mut open));
            }
            if finished.contains(&roi.nodule_id) {
                return Err(Error::Scattered { nodule_id: roi.nodule_id });
            }
            open.push((roi, computed));
        }
        if !complete.is_empty() {
            done(complete)?;
        }
    }
    if open.is_empty() { Ok(()) } else { done(vec![open]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::roi;

    fn slices(ids: &[&str]) -> Vec<Roi> {
        let slice = |id: &&str| Roi { nodule_id: (*id).to_owned(), ..roi(&[0], &[true], &[0]) };
        ids.iter().map(slice).collect()
    }

    fn groups(batches: &[&[&str]]) -> Result<Vec<String>, Error> {
        let mut groups = Vec::new();
        each_nodule(
            batches.iter().map(|batch| Ok(slices(batch))),
            &["a", "b", "c"].map(str::to_owned).into(),
            |slices| Ok(vec![(); slices.len()]),
            |nodules| {
                for slices in nodules {
                    groups.push(slices.iter().map(|(roi, ())| roi.nodule_id.as_str()).collect());
                }
                Ok(())
            },
        )?;
        Ok(groups)
    }

    #[test]
    fn slices_of_a_nodule_come_together_over_batches() {
        let found = groups(&[&["a", "a", "x"], &["a", "b"], &[], &["b", "c"]]).unwrap();
        assert_eq!(found, ["aaa", "bb", "c"]);
        assert_eq!(groups(&[&["x"]]).unwrap(), [""; 0]);
        let error = groups(&[&["a", "b"], &["a"]]).unwrap_err().to_string();
        assert!(
            error.starts_with("the slices of nodule `a` are not together in `rois`"),
            "{error}"
        );
    }
}
