//! Vessels and airways: trees of tapered tubes from the hila.

use super::chest::Chest;
use super::edge::cover;
use super::grid::Grid;
use super::seed::{between, direction};
use ndarray::Array3;
use rand::Rng;

/// Radii of the two branches at a fork, as shares of the trunk's.
///
/// METHOD: Murray's law, by which the cubes add up: 0.84³ + 0.74³ = 1.0.
const FORK: [f64; 2] = [0.84, 0.74];

/// Number of vessels that leave each hilum.
const ROOTS: usize = 18;

/// Least radius of a vessel; a CT does not show thinner ones.
const THINNEST_MM: f64 = 0.42;

/// Sub-slices over which a thick slice is averaged.
const SUBSLICES: [f64; 3] = [-1.0 / 3.0, 0.0, 1.0 / 3.0];

/// A straight piece of a vessel or an airway.
#[derive(Clone, Copy, Debug)]
struct Tube {
    ends: [[f64; 3]; 2],
    radii_mm: [f64; 2],
}

/// The tubes of both lungs.
#[derive(Debug, Default)]
pub(super) struct Tubes {
    vessels: Vec<Tube>,
    airways: Vec<Tube>,
    forks: Vec<[f64; 3]>,
}

impl Tubes {
    /// Grows the trees of a chest.
    pub(super) fn draw(rng: &mut impl Rng, chest: &Chest) -> Self {
        let mut tubes = Self::default();
        for lung in 0..2 {
            let hilum = chest.hilum_mm(lung);
            let bronchus = chest.unit_mm() * 0.038;
            let main = Tube { ends: [chest.carina(), hilum], radii_mm: [bronchus, bronchus * 0.9] };
            tubes.airways.push(main);
            let side = if lung == 0 { -1.0 } else { 1.0 };
            for root in 0..ROOTS {
                // Every third vessel is an artery beside an airway.
                let mut heading = direction(rng);
                heading[0] = heading[0].abs() * side + 0.35 * side;
                let radius = chest.unit_mm() * between(rng, 0.018, 0.040);
                let at = std::array::from_fn(|a| {
                    hilum[a] + if a == 0 { 0.0 } else { between(rng, -3.0, 3.0) }
                });
                tubes.grow(rng, chest, Branch { at, heading, radius_mm: radius, level: 0 });
                if root % 3 == 0 {
                    tubes.airway(hilum, heading, radius * 0.9);
                }
            }
        }
        tubes
    }

    /// Points in the lungs where vessels fork, which look like nodules on a single slice.
    pub(super) fn forks(&self) -> &[[f64; 3]] {
        &self.forks
    }

    fn grow(&mut self, rng: &mut impl Rng, chest: &Chest, sprout: Branch) {
        let Branch { mut at, mut heading, mut radius_mm, level } = sprout;
        let pieces = 2 + usize::from(level == 0);
        for _ in 0..pieces {
            let bend = direction(rng);
            heading = unit(std::array::from_fn(|a| heading[a] + 0.22 * bend[a]));
            let length = radius_mm * between(rng, 1.8, 3.2) + 1.6;
            let end = std::array::from_fn(|a| at[a] + heading[a] * length);
            let thinner = radius_mm * 0.96;
            self.vessels.push(Tube { ends: [at, end], radii_mm: [radius_mm, thinner] });
            (at, radius_mm) = (end, thinner);
            // Roots start in the mediastinum; their branches end at the edge of the lung.
            if level > 0 && chest.lung_depth_mm(at) < 1.5 {
                return;
            }
        }
        if level > 0 && radius_mm > 0.8 && chest.lung_depth_mm(at) > 6.0 {
            self.forks.push(at);
        }
        let turn = direction(rng);
        let along: f64 = (0..3).map(|a| turn[a] * heading[a]).sum();
        let aside = unit(std::array::from_fn(|a| turn[a] - along * heading[a]));
        for (share, angle) in FORK.into_iter().zip([0.45, -0.62]) {
            let radius_mm = radius_mm * share;
            if radius_mm >= THINNEST_MM && level < 11 {
                let spread = angle * between(rng, 0.7, 1.4);
                let heading = unit(std::array::from_fn(|a| heading[a] + spread * aside[a]));
                self.grow(rng, chest, Branch { at, heading, radius_mm, level: level + 1 });
            }
        }
    }

    fn airway(&mut self, hilum: [f64; 3], heading: [f64; 3], radius_mm: f64) {
        let heading = unit(heading);
        let end = std::array::from_fn(|a| hilum[a] + heading[a] * radius_mm * 6.0);
        self.airways.push(Tube { ends: [hilum, end], radii_mm: [radius_mm, radius_mm * 0.6] });
    }

    /// Draws the tubes over a scan, indexed `[k, j, i]`; soft tissue hides vessels.
    pub(super) fn paint(&self, hu: &mut Array3<f32>, grid: &Grid, chest: &Chest) {
        let blood = chest.blood_hu();
        for vessel in &self.vessels {
            vessel.paint(hu, grid, |old, c| old.max((blood * c - 850.0 * (1.0 - c)) as f32));
        }
        for airway in &self.airways {
            let wall = airway.widened(1.25);
            wall.paint(hu, grid, |old, c| old.max((-20.0 * c - 850.0 * (1.0 - c)) as f32));
        }
        for airway in &self.airways {
            airway.paint(hu, grid, |old, c| {
                let old = f64::from(old);
                (old + (-970.0 - old) * c) as f32
            });
        }
    }
}

/// A branch before it grows.
#[derive(Clone, Copy, Debug)]
struct Branch {
    at: [f64; 3],
    heading: [f64; 3],
    radius_mm: f64,
    level: usize,
}

impl Tube {
    fn widened(&self, factor: f64) -> Self {
        Self { ends: self.ends, radii_mm: self.radii_mm.map(|r| r * factor) }
    }

    /// Depth below the tube's wall, positive inside.
    fn depth_mm(&self, p: [f64; 3]) -> f64 {
        let [a, b] = self.ends;
        let axis: [f64; 3] = std::array::from_fn(|n| b[n] - a[n]);
        let square: f64 = axis.iter().map(|v| v * v).sum();
        let along: f64 = (0..3).map(|n| (p[n] - a[n]) * axis[n]).sum();
        let t = if square > 0.0 { (along / square).clamp(0.0, 1.0) } else { 0.0 };
        let distance: f64 = (0..3)
            .map(|n| {
                let v = p[n] - a[n] - t * axis[n];
                v * v
            })
            .sum();
        self.radii_mm[0] + t * (self.radii_mm[1] - self.radii_mm[0]) - distance.sqrt()
    }

    fn paint(&self, hu: &mut Array3<f32>, grid: &Grid, blend: impl Fn(f32, f64) -> f32) {
        let [si, sj, sk] = grid.spacing_mm();
        let ramp = si.max(sj);
        let margin = self.radii_mm[0] + ramp;
        let [a, b] = self.ends;
        let low =
            std::array::from_fn(|n| a[n].min(b[n]) - margin - if n == 2 { sk / 2.0 } else { 0.0 });
        let high =
            std::array::from_fn(|n| a[n].max(b[n]) + margin + if n == 2 { sk / 2.0 } else { 0.0 });
        let [is, js, ks] = grid.inside(low, high);
        // A tube thinner than a voxel fills only part of it.
        let fill = (2.0 * self.radii_mm[1] / ramp).min(1.0);
        for k in ks {
            for j in js.clone() {
                for i in is.clone() {
                    let [x, y, z] = grid.centre([i, j, k]);
                    let covered: f64 = SUBSLICES
                        .iter()
                        .map(|part| cover(self.depth_mm([x, y, z + part * sk]), ramp))
                        .sum();
                    if covered > 0.0 {
                        let share = fill * covered / SUBSLICES.len() as f64;
                        let voxel = &mut hu[[k, j, i]];
                        *voxel = blend(*voxel, share);
                    }
                }
            }
        }
    }
}

fn unit(v: [f64; 3]) -> [f64; 3] {
    let length = v.iter().map(|c| c * c).sum::<f64>().sqrt();
    if length > 0.0 { v.map(|c| c / length) } else { [0.0, 0.0, 1.0] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phantom::seed::stream;

    #[test]
    fn a_tapered_tube_has_exact_depths() {
        let tube = Tube { ends: [[0.0; 3], [10.0, 0.0, 0.0]], radii_mm: [3.0, 1.0] };
        assert!((tube.depth_mm([0.0, 1.0, 0.0]) - 2.0).abs() < 1e-12);
        assert!((tube.depth_mm([5.0, 0.0, 2.0])).abs() < 1e-12);
        assert!((tube.depth_mm([13.0, 0.0, 0.0]) + 2.0).abs() < 1e-12, "past the end");
    }

    #[test]
    fn trees_fill_both_lungs_and_stay_there() {
        let mut rng = stream(5, &["tubes"]);
        let chest = Chest::draw(&mut rng, 90.0, 45.0, 45.0);
        let tubes = Tubes::draw(&mut rng, &chest);
        let right = tubes.vessels.iter().filter(|t| t.ends[1][0] < 0.0).count();
        let left = tubes.vessels.len() - right;
        assert!(right > 150 && left > 150, "{right} and {left} vessels");
        assert!(tubes.forks().len() > 20);
        for fork in tubes.forks() {
            assert!(chest.lung_depth_mm(*fork) > 6.0);
        }
    }
}
