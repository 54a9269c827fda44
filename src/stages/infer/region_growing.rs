//! The baseline that a network must beat: region growing from the nodule's centre.

use super::Error;
use super::selection::{DiceSums, References};
use super::thresholds::ThresholdSource;
use crate::stages::nodule_region::{NoduleRegion, RegionError};
use crate::stages::nodule_slices::{NoduleSlices, each_nodule};
use crate::tables::{Doubt, Prediction, Roi};
use nodulus_formats::volume::PlacedMask;
use nodulus_imaging::components::ComponentRule;
use nodulus_imaging::region_growing::{GrowingSettings, Surroundings};
use nodulus_store::Version;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Model id of the baseline.
pub const REGION_GROWING: &str = "region_growing";

/// Settings of the baseline, and the nodules that they were chosen on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ChosenGrowing {
    #[serde(flatten)]
    pub(super) settings: GrowingSettings,
    pub(super) from: ThresholdSource,
}

/// The settings to choose from.
///
/// METHOD: the share of the way from the background's to the nodule's HU at which nodule begins, 0.2 to 0.8 in steps of
/// 0.05, and a least opening of 0 to 3 mm in steps of 0.5 mm. A share of one half is the border of a blurred edge.
fn choices() -> impl Iterator<Item = GrowingSettings> {
    let of_share = |n: u32| {
        (0..7).map(move |opening: u32| GrowingSettings {
            share: f64::from(4 + n) / 20.0,
            opening_mm: f64::from(opening) / 2.0,
        })
    };
    (0..13).flat_map(of_share)
}

/// The settings with the highest mean Dice over the given nodules, the first of equals; `None` without nodules.
pub(super) fn choose(
    rois: &Version,
    nodules: &BTreeSet<String>,
    reach_mm: f64,
) -> Result<Option<GrowingSettings>, Error> {
    let mut sums = DiceSums::default();
    let read = |slices: &[Roi]| Ok(vec![(); slices.len()]);
    each_nodule(rois.rows::<Roi>(), nodules, read, |complete| -> Result<(), Error> {
        let dice: Vec<_> =
            complete.par_iter().filter_map(|slices| dice_by_choice(slices, reach_mm)).collect();
        for dice in &dice {
            sums.add(dice);
        }
        Ok(())
    })?;
    Ok(sums.best().and_then(|n| choices().nth(n)))
}

/// The region of a nodule's slices and what surrounds its centre; `None` for the latter where a slice's HU do not fit it.
fn surroundings<'a>(
    slices: impl Iterator<Item = &'a Roi> + Clone,
    reach_mm: f64,
) -> Result<(NoduleRegion, Option<Surroundings>), RegionError> {
    let region = NoduleRegion::of(slices.clone(), reach_mm)?;
    let hu: Option<Vec<Vec<i16>>> = slices.map(Roi::pixels_hu).collect();
    let around = hu.and_then(|hu| Surroundings::new(&hu.concat(), region.size, &region.seed));
    Ok((region, around))
}

/// Dice of a nodule for each of the [`choices`]; `None` where its slices are no region.
fn dice_by_choice(slices: &NoduleSlices<()>, reach_mm: f64) -> Option<Vec<f64>> {
    let slices = slices.iter().map(|(roi, ())| roi);
    let (region, around) = surroundings(slices.clone(), reach_mm).ok()?;
    let around = around?;
    let references = References::of(slices)?;
    let [ni, nj, _] = region.size;
    let dice =
        |mask: &PlacedMask| references.dice(mask.voxels().map(|[i, j, k]| (k * nj + j) * ni + i));
    let choices: Vec<GrowingSettings> = choices().collect();
    let mut found = Vec::with_capacity(choices.len());
    for of_share in choices.chunk_by(|a, b| a.share.total_cmp(&b.share).is_eq()) {
        let grown = of_share.first().and_then(|settings| around.grow(settings.share));
        let mut last: Option<(Option<u8>, f64)> = None;
        for settings in of_share {
            let Some(grown) = &grown else {
                found.push(0.0);
                continue;
            };
            // Several least openings may come to the same ball.
            let radius = grown.radius_steps(settings.opening_mm);
            let dice = match last {
                Some((same, dice)) if same == radius => dice,
                _ => dice(&grown.opened(settings.opening_mm)),
            };
            last = Some((radius, dice));
            found.push(dice);
        }
    }
    Some(found)
}

/// The rows of a nodule's slices; none where a slice's HU do not fit it, which the network reports.
///
/// Region growing gives one component, so that both rules of components give the same mask, unless padding divides it.
/// `n_scan_slices` is the number of the scan's slices.
pub(super) fn predict<'a>(
    slices: impl Iterator<Item = &'a Roi> + Clone,
    growing: ChosenGrowing,
    rule: ComponentRule,
    reach_mm: f64,
    n_scan_slices: i64,
) -> Result<Vec<Prediction>, RegionError> {
    let (region, around) = surroundings(slices.clone(), reach_mm)?;
    let Some(around) = around else { return Ok(Vec::new()) };
    let grown = around.segment(growing.settings);
    let [mask, other] = region.by_rule(rule, |i, j, k| grown.get(i, j, k));
    let is_cut = region.is_cut(&mask, n_scan_slices);
    let doubts: Vec<String> =
        is_cut.then(|| Doubt::MaskAtRegionEnd.name().to_owned()).into_iter().collect();
    let row = |(k, roi): (usize, &Roi)| Prediction {
        roi_id: roi.roi_id.clone(),
        nodule_id: roi.nodule_id.clone(),
        model_id: REGION_GROWING.to_owned(),
        probability: None,
        nodule_probability: None,
        disagreement: None,
        training_distance: None,
        threshold: around.threshold_hu(growing.settings.share),
        threshold_from: growing.from.name().to_owned(),
        component: rule.name().to_owned(),
        mask_bits: region.slice_bits(&mask, k),
        other_rule_mask_bits: region.slice_bits(&other, k),
        doubts: doubts.clone(),
    };
    Ok(slices.enumerate().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::roi;

    /// Lung with a nodule of 5 pixels in the middle, and the chest wall at the end.
    fn slice() -> Roi {
        let hu: Vec<i16> =
            (0..41).map(|i| if (18..23).contains(&i) || i > 36 { 40 } else { -850 }).collect();
        let mask: Vec<bool> = (0..41).map(|i| (18..23).contains(&i)).collect();
        roi(&hu, &mask, &[0; 6])
    }

    #[test]
    fn the_nodule_at_the_centre_is_marked_and_the_wall_is_not() {
        let slice = slice();
        let settings = GrowingSettings { share: 0.5, opening_mm: 1.0 };
        let growing = ChosenGrowing { settings, from: ThresholdSource::Learning };
        let predicted = |n_scan_slices| {
            let rule = ComponentRule::Centre;
            predict(std::iter::once(&slice), growing, rule, 5.0, n_scan_slices).unwrap()
        };
        let rows = predicted(1);
        assert_eq!((rows.len(), rows[0].doubts.len()), (1, 0));
        assert_eq!(predicted(2)[0].doubts, ["mask_at_region_end"]);
        assert_eq!(rows[0].mask_bits, slice.mask_bits);
        assert_eq!(rows[0].other_rule_mask_bits, slice.mask_bits);
        assert_eq!((rows[0].threshold, rows[0].threshold_from.as_str()), (-405.0, "learning"));
        assert_eq!(
            (rows[0].model_id.as_str(), rows[0].component.as_str()),
            ("region_growing", "centre")
        );
        let short = Roi { hu: Vec::new(), ..slice.clone() };
        let rows = predict(std::iter::once(&short), growing, ComponentRule::Centre, 5.0, 1);
        assert_eq!(rows.unwrap(), []);
    }

    #[test]
    fn choices_are_measured_by_dice() {
        let dice = dice_by_choice(&vec![(slice(), ())], 5.0).unwrap();
        assert_eq!(dice.len(), choices().count());
        // An opening of 2 mm leaves the middle pixel of five, and gives them all back; a larger one leaves none, so that
        // the next smaller one counts.
        assert!(dice.iter().all(|dice| (dice - 1.0).abs() < 1e-12), "{dice:?}");
        let shares: Vec<f64> = choices().map(|settings| settings.share).collect();
        assert!((shares[0] - 0.2).abs() < 1e-12 && (shares[90] - 0.8).abs() < 1e-12);
    }
}
