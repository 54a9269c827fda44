//! Positions of nodules in a chest.

use super::chest::Chest;
use super::grid::Grid;
use super::nodule::{NoduleType, SyntheticNodule};
use super::seed::{between, direction};
use super::shape::Shape;
use rand::Rng;

/// Clear lung between two lesions, and between an isolated one and the pleura.
const GAP_MM: f64 = 2.5;

/// Tries before a nodule shrinks, and how often it shrinks.
const TRIES: usize = 300;
const SHRINKS: usize = 12;

/// Places nodules of the given types apart from each other; a nodule without room is skipped.
pub(super) fn nodules(
    rng: &mut impl Rng,
    chest: &Chest,
    grid: &Grid,
    kinds: &[NoduleType],
) -> Vec<SyntheticNodule> {
    let mut placed: Vec<SyntheticNodule> = Vec::new();
    for &kind in kinds {
        let mut radius = SyntheticNodule::draw_radius(rng, kind);
        for _ in 0..SHRINKS {
            let others: Vec<_> =
                placed.iter().map(|n| (n.centre_mm(), n.shape.reach_mm())).collect();
            if let Some(centre) = find(rng, chest, grid, &others, (kind, radius)) {
                placed.push(SyntheticNodule::draw(rng, kind, centre, radius));
                break;
            }
            radius = (radius * 0.9).max(1.7);
        }
    }
    placed
}

/// Places balls of less than 3 mm in free lung.
pub(super) fn small_nodules(
    rng: &mut impl Rng,
    chest: &Chest,
    grid: &Grid,
    nodules: &[SyntheticNodule],
    n: usize,
) -> Vec<SyntheticNodule> {
    let mut taken: Vec<_> = nodules.iter().map(|n| (n.centre_mm(), n.shape.reach_mm())).collect();
    let mut placed = Vec::new();
    for _ in 0..n {
        let radius = between(rng, 0.9, 1.4);
        if let Some(centre) = find(rng, chest, grid, &taken, (NoduleType::Tiny, radius)) {
            taken.push((centre, radius));
            let mut nodule = SyntheticNodule::draw(rng, NoduleType::Tiny, centre, radius);
            nodule.shape = Shape::ball(centre, radius);
            placed.push(nodule);
        }
    }
    placed
}

fn find(
    rng: &mut impl Rng,
    chest: &Chest,
    grid: &Grid,
    others: &[([f64; 3], f64)],
    (kind, radius): (NoduleType, f64),
) -> Option<[f64; 3]> {
    let [x, y] = chest.cavity_mm();
    let z = (grid.half_mm(2) - 1.3 * radius - 1.5 * grid.spacing_mm()[2]).max(0.0);
    for _ in 0..TRIES {
        let mut p = [between(rng, -x, x), between(rng, -y, y), between(rng, -z, z)];
        if kind == NoduleType::Juxtapleural {
            let sink = between(rng, 0.35, 0.75) * radius;
            p = match to_pleura(rng, chest, p, sink) {
                Some(p) if p[2].abs() <= z => p,
                _ => continue,
            };
        } else if chest.lung_depth_mm(p) < 1.35 * radius + GAP_MM {
            continue;
        }
        let free = others.iter().all(|(centre, reach)| {
            let square: f64 = (0..3).map(|a| (p[a] - centre[a]) * (p[a] - centre[a])).sum();
            square.sqrt() > reach + 1.35 * radius + GAP_MM
        });
        if free {
            return Some(p);
        }
    }
    None
}

/// Moves a point in the lung sideways to `sink_mm` before the chest wall.
fn to_pleura(rng: &mut impl Rng, chest: &Chest, mut p: [f64; 3], sink_mm: f64) -> Option<[f64; 3]> {
    if chest.lung_depth_mm(p) < sink_mm + 3.0 {
        return None;
    }
    // Away from the mediastinum, towards the wall.
    let [dx, dy, _] = direction(rng);
    let step = [0.25 * dx.abs() * p[0].signum(), 0.25 * dy];
    for _ in 0..800 {
        p = [p[0] + step[0], p[1] + step[1], p[2]];
        let depth = chest.lung_depth_mm(p);
        if depth <= sink_mm {
            return (depth > 0.0).then_some(p);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phantom::seed::stream;
    use nodulus_formats::volume::Geometry;

    #[test]
    fn nodules_stay_apart_and_where_their_type_belongs() {
        let spacing = [0.7, 0.7, 2.0];
        let geometry = Geometry::new([256, 256, 45], spacing, [0.0; 3], Geometry::AXIAL).unwrap();
        let grid = Grid::new(&geometry, [127.5 * 0.7, 127.5 * 0.7, 44.0]);
        let mut found = 0;
        for patient in 0..8 {
            let mut rng = stream(patient, &["placing"]);
            let chest = Chest::draw(&mut rng, 89.6, 45.0, 45.0);
            let placed = nodules(&mut rng, &chest, &grid, &NoduleType::ALL);
            found += placed.len();
            for (n, nodule) in placed.iter().enumerate() {
                let depth = chest.lung_depth_mm(nodule.centre_mm());
                let r = nodule.radius_mm;
                assert!(nodule.centre_mm()[2].abs() < 45.0 - r);
                if nodule.kind == NoduleType::Juxtapleural {
                    assert!(depth > 0.0 && depth < r, "{depth} of {r}");
                } else {
                    assert!(depth > r + GAP_MM, "{depth} of {r}");
                }
                for other in &placed[..n] {
                    let d: f64 = (0..3)
                        .map(|a| (nodule.centre_mm()[a] - other.centre_mm()[a]).powi(2))
                        .sum();
                    assert!(d.sqrt() > r + other.radius_mm + GAP_MM);
                }
            }
        }
        assert!(found >= 46, "{found} of 48 have room");
    }
}
