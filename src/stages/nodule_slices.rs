//! Brings the slices of each nodule together.

use crate::tables::Roi;
use std::collections::BTreeSet;

/// The slices of a nodule's region, ascending, each with what was computed for it.
pub(super) type NoduleSlices<T> = Vec<(Roi, T)>;

/// The slices of a nodule do not follow each other in `rois`.
#[derive(Debug, thiserror::Error)]
#[error(
    "the slices of nodule `{nodule_id}` are not together in `rois`: make the table again with `nodulus run --force crop`"
)]
pub struct ScatteredSlices {
    /// The nodule.
    pub nodule_id: String,
}

/// Computes on the slices of the chosen nodules, and hands them over: a few nodules at a time, so that few are in memory, and
/// each with all of its slices, so that slices have their neighbours.
///
/// # Errors
///
/// Fails if slices cannot be read, the slices of a nodule are not together, or `compute` or `done` fails.
pub(super) fn each_nodule<T, E: From<nodulus_store::Error> + From<ScatteredSlices>>(
    batches: impl Iterator<Item = Result<Vec<Roi>, nodulus_store::Error>>,
    chosen: &BTreeSet<String>,
    mut compute: impl FnMut(&[Roi]) -> Result<Vec<T>, E>,
    mut done: impl FnMut(Vec<NoduleSlices<T>>) -> Result<(), E>,
) -> Result<(), E> {
    let mut hand_over = |slices: Vec<Roi>| -> Result<(), E> {
        if slices.is_empty() {
            return Ok(());
        }
        let computed = compute(&slices)?;
        let mut complete: Vec<NoduleSlices<T>> = Vec::new();
        for (roi, computed) in slices.into_iter().zip(computed) {
            match complete.last_mut() {
                Some(nodule) if nodule.first().is_some_and(|(first, _)| is_same(first, &roi)) => {
                    nodule.push((roi, computed));
                }
                _ => complete.push(vec![(roi, computed)]),
            }
        }
        done(complete)
    };
    let mut open: Vec<Roi> = Vec::new();
    let mut finished: BTreeSet<String> = BTreeSet::new();
    for batch in batches {
        let mut complete = Vec::new();
        for roi in batch?.into_iter().filter(|roi| chosen.contains(&roi.nodule_id)) {
            if let Some(last) = open.first()
                && !is_same(last, &roi)
            {
                finished.insert(last.nodule_id.clone());
                complete.append(&mut open);
            }
            if finished.contains(&roi.nodule_id) {
                return Err(ScatteredSlices { nodule_id: roi.nodule_id }.into());
            }
            open.push(roi);
        }
        hand_over(complete)?;
    }
    hand_over(open)
}

/// Whether two slices are of the same nodule.
fn is_same(a: &Roi, b: &Roi) -> bool {
    a.nodule_id == b.nodule_id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::roi;
    use crate::stages::infer::Error;

    fn slices(ids: &[&str]) -> Vec<Roi> {
        let slice = |id: &&str| Roi { nodule_id: (*id).to_owned(), ..roi(&[0], &[true], &[0]) };
        ids.iter().map(slice).collect()
    }

    fn groups(batches: &[&[&str]]) -> Result<[Vec<String>; 2], Error> {
        let (mut groups, mut computed) = (Vec::new(), Vec::new());
        each_nodule(
            batches.iter().map(|batch| Ok(slices(batch))),
            &["a", "b", "c"].map(str::to_owned).into(),
            |slices| {
                // Each nodule is computed on whole.
                computed.push(slices.iter().map(|roi| roi.nodule_id.as_str()).collect::<String>());
                Ok(vec![(); slices.len()])
            },
            |nodules| -> Result<(), Error> {
                for slices in nodules {
                    groups.push(slices.iter().map(|(roi, ())| roi.nodule_id.as_str()).collect());
                }
                Ok(())
            },
        )?;
        Ok([groups, computed])
    }

    #[test]
    fn slices_of_a_nodule_come_together_over_batches() {
        let [found, computed] = groups(&[&["a", "a", "x"], &["a", "b", "c"], &[], &["c"]]).unwrap();
        assert_eq!(found, ["aaa", "b", "cc"]);
        assert_eq!(computed, ["aaab", "cc"]);
        assert_eq!(groups(&[&["x"]]).unwrap(), [[""; 0]; 2]);
        let error = groups(&[&["a", "b"], &["a"]]).unwrap_err().to_string();
        assert!(
            error.starts_with("the slices of nodule `a` are not together in `rois`"),
            "{error}"
        );
    }
}
