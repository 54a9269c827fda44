//! How far the members of an ensemble disagree about a nodule.

use super::RegionError;
use crate::stages::nodule_region::masks;
use crate::tables::Roi;
use nodulus_formats::volume::Mask;
use nodulus_imaging::components::ComponentRule;
use nodulus_metrics::overlap::{OverlapCounts, disagreement};
use nodulus_nets::Prediction;

/// The disagreement of the networks and mirror images whose mean predicts a nodule's slices; `delivered` is the mask of the
/// mean. `None` where a slice was predicted by one network alone, or not at all.
///
/// METHOD: each member's mask is made by the rules of the delivered one, with the same threshold. See
/// [`disagreement`].
///
/// # Errors
///
/// Fails as [`masks`] does.
pub(super) fn of_nodule(
    slices: &[(Roi, Option<Prediction>)],
    delivered: &Mask,
    threshold: f64,
    rule: ComponentRule,
    reach_mm: f64,
) -> Result<Option<f64>, RegionError> {
    let members = |predicted: &Option<Prediction>| {
        predicted.as_ref().map_or(0, |predicted| predicted.members.len())
    };
    let n_members = slices.iter().map(|(_, predicted)| members(predicted)).min().unwrap_or(0);
    let mut overlaps = Vec::with_capacity(n_members);
    for n in 0..n_members {
        let probabilities: Vec<(&Roi, Option<&[f32]>)> = slices
            .iter()
            .map(|(roi, predicted)| {
                (roi, predicted.as_ref().and_then(|found| found.members.get(n)).map(Vec::as_slice))
            })
            .collect();
        let (_, [mask, _]) = masks(&probabilities, threshold, rule, reach_mm)?;
        overlaps.push(OverlapCounts::of(&mask, delivered));
    }
    Ok(disagreement(&overlaps))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::roi;

    #[test]
    fn members_are_compared_by_the_mask_of_the_nodule_they_deliver() {
        let slice = |k: i64, members: &[&[f32]]| {
            let roi = Roi { slice_index: k, ..roi(&[0; 5], &[true; 5], &[0]) };
            let members: Vec<Vec<f32>> = members.iter().map(|p| p.to_vec()).collect();
            let probability = vec![0.0; 5];
            (roi, Some(Prediction { probability, nodule_probability: None, members }))
        };
        // Pixel 2 is the centre; pixel 0 is a speck, which is in no mask.
        let delivered =
            Mask::from_fn([5, 1, 2], |i, _, k| [(1, 0), (2, 0), (3, 0), (2, 1)].contains(&(i, k)));
        let of = |slices: &[(Roi, Option<Prediction>)]| {
            of_nodule(slices, &delivered, 0.5, ComponentRule::Centre, 5.0).unwrap()
        };
        let [same, less] = [[0.0, 0.9, 0.9, 0.5, 0.0], [0.9, 0.0, 0.9, 0.49, 0.0]];
        let second = [0.0, 0.0, 0.9, 0.0, 0.0];
        let slices = [slice(7, &[&same, &less]), slice(8, &[&second, &second])];
        // The first has all four voxels, the other two of them: Dice 1 and 4 / 6.
        assert!((of(&slices).unwrap() - (1.0 - f64::midpoint(1.0, 4.0 / 6.0))).abs() < 1e-12);
        assert_eq!(of(&[slice(7, &[]), slice(8, &[])]), None);
        assert_eq!(of(&[slices[0].clone(), (slices[1].0.clone(), None)]), None);
    }
}
