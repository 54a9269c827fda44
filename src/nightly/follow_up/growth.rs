//! Matches the nodules of a patient's scans, and measures their growth.

use super::reconstruction::ComparedSeries;
use super::scan::{FollowUpNodule, FollowUpScan};
use crate::tables::Growth;
use ndarray::Array2;
use nodulus_imaging::lungs::alignment;
use nodulus_imaging::matching::best_matching;
use std::collections::BTreeSet;

/// How nodules are matched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatchingRule {
    /// Greatest distance between the positions of a nodule in two aligned scans.
    pub tolerance_mm: f64,
    /// Greatest difference between the sizes of the lungs' boxes along an axis, as a share of the larger one.
    pub size_difference: f64,
}

/// METHOD: chosen; 15 mm, as positions in lungs of a similar breath differ by up to about a centimetre away
/// from the diaphragm, and nodules of one patient mostly lie farther apart; a fifth, as lungs at full
/// inspiration are about that much longer than at a shallow one.
impl Default for MatchingRule {
    fn default() -> Self {
        Self { tolerance_mm: 15.0, size_difference: 0.2 }
    }
}

/// The least change of a volume that is significant.
///
/// METHOD: 25%, as repeated measurements of a volume differ by up to that (Callister et al. 2015, BTS
/// guidelines).
const SIGNIFICANT_PERCENT: f64 = 25.0;

/// One row for each nodule of two scans, with matched nodules in one row: first the nodules of the later
/// scan in their order, then those of the earlier scan alone. `others` are the series of both visits that are not
/// compared.
///
/// METHOD: positions of the earlier scan are shifted by the [`alignment`] of the lungs' boxes. Scans with the same grid in the
/// same frame of reference need none, whatever is seen of the lungs: their positions are the same (PS3.3, C.7.4.1). Scans with the same
/// voxels, as of a study that was sent again under other UIDs, are shifted as their origins are. Of all pairs
/// within the tolerance, those with the least sum of distances match, where an unmatched nodule counts half
/// the tolerance. Without an alignment, no nodules match.
pub fn compare(
    rule: &MatchingRule,
    earlier: &FollowUpScan,
    later: &FollowUpScan,
    others: &[&str],
) -> Vec<Growth> {
    let shift = match (earlier.known_shift(later), &earlier.lungs, &later.lungs) {
        (Some(shift), ..) => Ok(shift),
        (None, Some(before), Some(after)) => {
            alignment(before, after, rule.size_difference).map_err(|error| error.to_string())
        }
        (None, None, _) => Err("no lung is seen in the earlier scan".to_owned()),
        (None, _, None) => Err("no lung is seen in the later scan".to_owned()),
    };
    let distance = |a: &FollowUpNodule, b: &FollowUpNodule| {
        let shift = shift.as_ref().ok()?;
        let squares = (0..3).map(|n| (a.centroid_mm[n] + shift[n] - b.centroid_mm[n]).powi(2));
        Some(squares.sum::<f64>().sqrt())
    };
    let matched = matching(rule, [later.nodules.len(), earlier.nodules.len()], |l, e| {
        distance(&earlier.nodules[e], &later.nodules[l])
    });
    let blank = blank(earlier, later, others, shift.as_ref().ok());
    let reason = |nearest: Option<f64>, other: &str| match (&shift, nearest) {
        (Err(why), _) => why.clone(),
        (Ok(_), None) => format!("the {other} scan has no nodule"),
        (Ok(_), Some(mm)) if mm > rule.tolerance_mm => format!(
            "the nearest nodule of the {other} scan is {mm:.1} mm away, expected {} mm at most",
            rule.tolerance_mm
        ),
        (Ok(_), Some(_)) => format!("nodules of the {other} scan nearby match others better"),
    };
    let least = |distances: &mut dyn Iterator<Item = f64>| distances.reduce(f64::min);
    let mut rows = Vec::new();
    for (nodule, partner) in later.nodules.iter().zip(&matched) {
        let row = later_row(&blank, nodule);
        rows.push(if let Some(e) = partner {
            let before = &earlier.nodules[*e];
            pair(row, before, nodule, distance(before, nodule))
        } else {
            let mut distances = earlier.nodules.iter().filter_map(|e| distance(e, nodule));
            Growth { reason: Some(reason(least(&mut distances), "earlier")), ..row }
        });
    }
    for (e, nodule) in earlier.nodules.iter().enumerate() {
        if !matched.contains(&Some(e)) {
            let mut distances = later.nodules.iter().filter_map(|l| distance(nodule, l));
            let [x_mm, y_mm, z_mm] = nodule.centroid_mm;
            rows.push(Growth {
                earlier_nodule_id: Some(nodule.nodule_id.clone()),
                reason: Some(reason(least(&mut distances), "later")),
                earlier_volume_mm3: Some(nodule.volume_mm3),
                x_mm,
                y_mm,
                z_mm,
                ..blank.clone()
            });
        }
    }
    rows
}

/// For each nodule of the later scan, the index of its match in the earlier scan, or `None`.
///
/// Each nodule can also match a stand-in of its own at half the tolerance. Otherwise, where one nodule
/// vanished, its neighbours would all be matched to the next one.
fn matching(
    rule: &MatchingRule,
    [n, m]: [usize; 2],
    distance_mm: impl Fn(usize, usize) -> Option<f64>,
) -> Vec<Option<usize>> {
    let unmatched = Some([rule.tolerance_mm / 2.0, 0.0]);
    let cost = |(row, column): (usize, usize)| match (row < n, column < m) {
        (true, true) => {
            let mm = distance_mm(row, column).filter(|mm| *mm <= rule.tolerance_mm)?;
            Some([mm, 0.0])
        }
        (true, false) => unmatched.filter(|_| column - m == row),
        (false, true) => unmatched.filter(|_| row - n == column),
        (false, false) => Some([0.0, 0.0]),
    };
    let matched = best_matching(&Array2::from_shape_fn((n + m, m + n), cost));
    matched.into_iter().take(n).map(|column| column.filter(|column| *column < m)).collect()
}

/// The columns that all rows of two scans share.
fn blank(
    earlier: &FollowUpScan,
    later: &FollowUpScan,
    others: &[&str],
    shift: Option<&[f64; 3]>,
) -> Growth {
    let days = later.acquired_on.zip(earlier.acquired_on).map(|(b, a)| b.days_since(a));
    let shift = |axis: usize| shift.map(|shift| shift[axis]);
    let [before, after] = [earlier, later].map(ComparedSeries::of);
    let differences = ComparedSeries::differences(&before, &after);
    let warnings: BTreeSet<&String> = later.warnings.iter().chain(&earlier.warnings).collect();
    Growth {
        patient_id: later.patient_id.clone(),
        series_instance_uid: later.series_instance_uid.clone(),
        earlier_series_instance_uid: earlier.series_instance_uid.clone(),
        acquired_on: later.acquired_on.map(|date| date.to_string()),
        earlier_acquired_on: earlier.acquired_on.map(|date| date.to_string()),
        days,
        model_id: later.model_id.clone(),
        earlier_model_id: earlier.model_id.clone(),
        slice_thickness_mm: later.slice_thickness_mm,
        earlier_slice_thickness_mm: earlier.slice_thickness_mm,
        kernel: later.kernel.clone(),
        earlier_kernel: earlier.kernel.clone(),
        alike: differences.is_empty(),
        differences,
        other_series_instance_uids: others.iter().map(|id| (*id).to_owned()).collect(),
        shift_x_mm: shift(0),
        shift_y_mm: shift(1),
        shift_z_mm: shift(2),
        scan_warnings: warnings.into_iter().cloned().collect(),
        ..Growth::default()
    }
}

fn later_row(blank: &Growth, nodule: &FollowUpNodule) -> Growth {
    let [x_mm, y_mm, z_mm] = nodule.centroid_mm;
    let (nodule_id, volume_mm3) = (Some(nodule.nodule_id.clone()), Some(nodule.volume_mm3));
    Growth { nodule_id, x_mm, y_mm, z_mm, volume_mm3, ..blank.clone() }
}

fn pair(row: Growth, before: &FollowUpNodule, after: &FollowUpNodule, mm: Option<f64>) -> Growth {
    let (v1, v2) = (before.volume_mm3, after.volume_mm3);
    let percent = (v1 > 0.0).then(|| 100.0 * (v2 - v1) / v1);
    // METHOD: between unlike reconstructions or models, a change says nothing about the nodule's growth.
    let of_alike = |days: i64| row.alike.then(|| doubling_days(days, v1, v2)).flatten();
    Growth {
        earlier_nodule_id: Some(before.nodule_id.clone()),
        matched: true,
        distance_mm: mm,
        earlier_volume_mm3: Some(v1),
        change_mm3: Some(v2 - v1),
        change_percent: percent,
        doubling_days: row.days.and_then(of_alike),
        shrunk: Some(v2 < v1),
        significant: percent
            .filter(|_| row.alike)
            .map(|percent| percent.abs() >= SIGNIFICANT_PERCENT),
        ..row
    }
}

/// Days in which a volume doubles at its rate of growth; `None` unless it grew over at least one day.
///
/// METHOD: t ln 2 / ln(V2 / V1), as growth is exponential (Collins et al. 1956; Callister et al. 2015 call
/// under 400 days malignant).
pub fn doubling_days(days: i64, earlier_mm3: f64, later_mm3: f64) -> Option<f64> {
    let grew = earlier_mm3 > 0.0 && later_mm3 > earlier_mm3 && later_mm3.is_finite();
    let doublings = (later_mm3 / earlier_mm3).log2();
    (grew && days > 0 && doublings > 0.0).then(|| days as f64 / doublings)
}

#[cfg(test)]
#[path = "growth_tests.rs"]
mod tests;
