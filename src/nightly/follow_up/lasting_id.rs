//! Keeps the ids of a series' nodules when it is scored again.

use crate::nightly::identity::Identity;
use crate::nightly::scan::scored::ScoredNodule;
use crate::tables::Score;
use ndarray::Array2;
use nodulus_imaging::matching::best_matching;
use std::collections::BTreeSet;

/// Gives the nodules of a new result the ids of the same nodules in earlier results, whose rows are `earlier`, the last
/// result first.
///
/// METHOD: a nodule of the same candidate has the same id by itself. The others match the nodules of the last result one to
/// one, as many as possible and then at the least sum of distances, where the centroid of one lies within the sphere of the
/// other's volume, or, where neither has voxels, within `reach_mm`, in which both candidates look for the same voxels; what is left
/// then matches those of the result before, and so on, so that a nodule that one night lacks keeps its id.
pub(crate) fn keep_ids(
    nodules: &mut [ScoredNodule],
    earlier: &[&[Score]],
    reach_mm: f64,
    identity: &Identity,
) {
    let own: Vec<String> = nodules.iter().map(|nodule| nodule.result_id(identity)).collect();
    let known: BTreeSet<&str> =
        earlier.iter().flat_map(|rows| rows.iter().map(|row| row.nodule_id.as_str())).collect();
    let mut new: Vec<usize> = (0..own.len()).filter(|n| !known.contains(&*own[*n])).collect();
    let mut taken: BTreeSet<String> = own.into_iter().collect();
    for rows in earlier {
        let free: Vec<&Score> = rows.iter().filter(|row| !taken.contains(&row.nodule_id)).collect();
        new = keep_ids_of(nodules, &new, &free, reach_mm);
        taken.extend(rows.iter().map(|row| row.nodule_id.clone()));
    }
}

/// Gives nodules, by their indices, the ids of the rows that are the same; returns the nodules that none is.
fn keep_ids_of(
    nodules: &mut [ScoredNodule],
    new: &[usize],
    gone: &[&Score],
    reach_mm: f64,
) -> Vec<usize> {
    let cost = |(n, m): (usize, usize)| {
        let (nodule, row) = (&nodules[new[n]], gone[m]);
        let at = [row.centroid_x_mm, row.centroid_y_mm, row.centroid_z_mm];
        let squares = (0..3).map(|axis| (nodule.centroid_mm[axis] - at[axis]).powi(2));
        let mm = squares.sum::<f64>().sqrt();
        let has_voxels = nodule.volume_mm3 > 0.0 || row.volume_mm3 > 0.0;
        let radius_mm = nodule.equivalent_diameter_mm.max(row.equivalent_diameter_mm) / 2.0;
        (mm <= if has_voxels { radius_mm } else { reach_mm }).then_some([mm, 0.0])
    };
    let matched = best_matching(&Array2::from_shape_fn((new.len(), gone.len()), cost));
    let mut left = Vec::new();
    for (n, m) in new.iter().zip(matched) {
        match m {
            Some(m) => nodules[*n].earlier_id = Some(gone[m].nodule_id.clone()),
            None => left.push(*n),
        }
    }
    left
}

/// Gives the nodules of a result the ids that its rows have, where it is predicted again.
pub(crate) fn take_ids(nodules: &mut [ScoredNodule], rows: &[Score]) {
    for nodule in nodules {
        let is_it = |row: &&Score| {
            [row.candidate_x_mm, row.candidate_y_mm, row.candidate_z_mm].map(f64::to_bits)
                == nodule.candidate_mm.map(f64::to_bits)
        };
        nodule.earlier_id = rows.iter().find(is_it).map(|row| row.nodule_id.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodule(id: &str, x_mm: f64, diameter_mm: f64) -> ScoredNodule {
        ScoredNodule {
            number: 1,
            nodule_id: id.to_owned(),
            earlier_id: None,
            candidate_mm: [x_mm, 0.0, 0.0],
            candidate_confidence: None,
            probability: None,
            mask: None,
            centroid_mm: [x_mm, 0.0, 0.0],
            volume_mm3: diameter_mm.powi(3) * std::f64::consts::FRAC_PI_6,
            equivalent_diameter_mm: diameter_mm,
            axial_diameter_mm: None,
            axial_short_diameter_mm: None,
            disagreement: None,
            training_distance: None,
            mean_hu: None,
            warnings: Vec::new(),
        }
    }

    fn row(id: &str, x_mm: f64, diameter_mm: f64) -> Score {
        let nodule = nodule(id, x_mm, diameter_mm);
        Score {
            nodule_id: nodule.nodule_id,
            centroid_x_mm: x_mm,
            volume_mm3: nodule.volume_mm3,
            equivalent_diameter_mm: diameter_mm,
            ..Score::default()
        }
    }

    #[test]
    fn a_nodule_keeps_its_id_by_its_candidate_or_its_position() {
        let earlier = [row("a", 0.0, 8.0), row("b", 20.0, 8.0), row("c", 40.0, 8.0)];
        let mut nodules = [
            // The same candidate, wherever its mask lies now.
            nodule("a", 20.0, 8.0),
            // Others: 3 mm from b, 5 mm from c, and c without its voxels.
            nodule("x", 23.0, 2.0),
            nodule("y", 45.0, 8.0),
            nodule("z", 41.0, 0.0),
        ];
        keep_ids(&mut nodules, &[&earlier], 5.0, &Identity::AsIs);
        let ids = nodules.each_ref().map(|nodule| nodule.result_id(&Identity::AsIs));
        assert_eq!(ids, ["a", "b", "y", "c"]);
        // Again, ids stay.
        let earlier = [row("b", 23.0, 2.0)];
        let mut again = [nodule("b", 0.0, 2.0), nodule("x", 23.0, 2.0)];
        keep_ids(&mut again, &[&earlier], 5.0, &Identity::AsIs);
        let ids = again.each_ref().map(|nodule| nodule.result_id(&Identity::AsIs));
        assert_eq!(ids, ["b", "x"]);
        // Without voxels on either side, candidates as far apart as each looks for voxels are one.
        let earlier = [row("e", 0.0, 0.0), row("f", 20.0, 0.0)];
        let mut empty = [nodule("x", 1.0, 0.0), nodule("y", 26.0, 0.0)];
        keep_ids(&mut empty, &[&earlier], 5.0, &Identity::AsIs);
        let ids = empty.each_ref().map(|nodule| nodule.result_id(&Identity::AsIs));
        assert_eq!(ids, ["e", "y"]);
        keep_ids(&mut [], &[], 5.0, &Identity::AsIs);
    }

    #[test]
    fn a_nodule_that_one_night_lacks_keeps_its_id() {
        let first = [row("a", 0.0, 8.0), row("b", 20.0, 8.0), row("c", 40.0, 8.0)];
        let second = [row("a", 0.5, 8.0)];
        // In the third night, an id of the last result counts before one of the first at the same position.
        let third = [row("a", 0.0, 8.0), row("d", 41.0, 8.0)];
        let mut nodules = [nodule("x", 0.0, 8.0), nodule("y", 20.0, 8.0), nodule("z", 40.0, 8.0)];
        keep_ids(&mut nodules, &[&third, &second, &first], 5.0, &Identity::AsIs);
        let ids = nodules.each_ref().map(|nodule| nodule.result_id(&Identity::AsIs));
        assert_eq!(ids, ["a", "b", "d"]);
        // An id of any night is given once.
        let mut nodules = [nodule("b", 0.0, 8.0), nodule("y", 20.0, 8.0)];
        keep_ids(&mut nodules, &[&second, &first], 5.0, &Identity::AsIs);
        let ids = nodules.each_ref().map(|nodule| nodule.result_id(&Identity::AsIs));
        assert_eq!(ids, ["b", "y"]);
        // A result that is predicted again has the ids of its rows.
        let mut rows = first.clone();
        rows[1].candidate_x_mm = 20.0;
        let mut again = [nodule("y", 20.0, 9.0)];
        take_ids(&mut again, &rows);
        assert_eq!(again[0].result_id(&Identity::AsIs), "b");
    }
}
