//! Nodules: shape, tissue and appearance in a scan.

use super::chest::Chest;
use super::edge::{cover, mix};
use super::grid::Grid;
use super::seed::between;
use super::shape::Shape;
use super::texture::Texture;
use ndarray::Array3;
use nodulus_formats::volume::{Mask, PlacedMask};
use rand::Rng;
use serde::{Deserialize, Serialize};

/// Tissue and position of a nodule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoduleType {
    /// Solid, inside the lung, without contact with its edge.
    Isolated,
    /// Solid, on the pleura; its tissue merges with the wall.
    Juxtapleural,
    /// Solid with air inside.
    Cavitary,
    /// Denser than lung; the lung shows through.
    GroundGlass,
    /// Solid with a calcified core.
    Calcified,
    /// Solid, 3 to 5 mm.
    Tiny,
}

impl NoduleType {
    /// Every type.
    pub const ALL: [Self; 6] = [
        Self::Isolated,
        Self::Juxtapleural,
        Self::Cavitary,
        Self::GroundGlass,
        Self::Calcified,
        Self::Tiny,
    ];

    /// Smallest and largest mean radius.
    fn radius_mm(self) -> [f64; 2] {
        match self {
            Self::Isolated => [3.2, 9.0],
            Self::Juxtapleural => [3.5, 8.5],
            Self::Cavitary => [5.5, 10.0],
            Self::GroundGlass => [4.5, 10.0],
            Self::Calcified => [3.0, 6.0],
            Self::Tiny => [1.7, 2.5],
        }
    }
}

/// A nodule in a chest.
#[derive(Clone, Debug)]
pub(super) struct SyntheticNodule {
    pub(super) kind: NoduleType,
    pub(super) shape: Shape,
    pub(super) radius_mm: f64,
    pub(super) spikes: usize,
    /// Attenuation of the tissue.
    pub(super) hu: f64,
    /// Width over which the edge fades, in addition to that of a voxel.
    fade_mm: f64,
    /// Air or calcium in the middle, and its attenuation.
    core: Option<(Shape, f64)>,
    texture_hu: f64,
}

impl SyntheticNodule {
    /// Radius of a nodule of a type; [`Self::draw`] follows once it has a position.
    pub(super) fn draw_radius(rng: &mut impl Rng, kind: NoduleType) -> f64 {
        let [low, high] = kind.radius_mm();
        // Small ones are the most frequent.
        let t = rng.random::<f64>();
        low + (high - low) * t * (0.4 + 0.6 * t)
    }

    /// Shape and tissue of a nodule at a position.
    pub(super) fn draw(
        rng: &mut impl Rng,
        kind: NoduleType,
        centre_mm: [f64; 3],
        radius_mm: f64,
    ) -> Self {
        let solid = between(rng, 5.0, 65.0);
        let (roughness, spikes, hu, fade_mm) = match kind {
            NoduleType::Isolated => {
                let spikes = if rng.random::<f64>() < 0.35 { 5 } else { 0 };
                (0.09, spikes, solid, 0.0)
            }
            NoduleType::Juxtapleural | NoduleType::Cavitary => (0.08, 0, solid, 0.0),
            NoduleType::GroundGlass => (0.10, 0, between(rng, -650.0, -450.0), 1.2),
            NoduleType::Calcified => (0.05, 0, solid + 30.0, 0.0),
            NoduleType::Tiny => (0.04, 0, solid, 0.0),
        };
        let shape = Shape::draw(rng, centre_mm, radius_mm, roughness, spikes);
        let core = match kind {
            NoduleType::Cavitary => {
                Some((shape.scaled(between(rng, 0.42, 0.62)), between(rng, -940.0, -820.0)))
            }
            NoduleType::Calcified => {
                Some((shape.scaled(between(rng, 0.55, 0.85)), between(rng, 250.0, 800.0)))
            }
            _ => None,
        };
        let texture_hu = if kind == NoduleType::GroundGlass { 60.0 } else { 12.0 };
        Self { kind, shape, radius_mm, spikes, hu, fade_mm, core, texture_hu }
    }

    /// Distance below the nodule's surface; the nodule ends at the pleura.
    pub(super) fn depth_mm(&self, chest: &Chest, p: [f64; 3]) -> f64 {
        let depth = self.shape.depth_mm(p);
        if self.kind == NoduleType::Juxtapleural && depth > -3.0 {
            depth.min(chest.lung_depth_mm(p))
        } else {
            depth
        }
    }

    /// Draws the nodule over a scan, indexed `[k, j, i]`.
    pub(super) fn paint(
        &self,
        hu: &mut Array3<f32>,
        grid: &Grid,
        chest: &Chest,
        texture: &Texture,
    ) {
        let [si, sj, sk] = grid.spacing_mm();
        let ramp = 0.5 * si.max(sj);
        let reach = self.shape.reach_mm() + self.fade_mm + sk;
        let [is, js, ks] = grid.inside(
            self.shape.centre_mm().map(|c| c - reach),
            self.shape.centre_mm().map(|c| c + reach),
        );
        // METHOD: partial volume by 2 × 2 × 4 points in each voxel.
        let in_plane = [-0.25, 0.25];
        let through = [-0.375, -0.125, 0.125, 0.375];
        for k in ks {
            for j in js.clone() {
                for i in is.clone() {
                    let [x, y, z] = grid.centre([i, j, k]);
                    let (mut covered, mut tissue) = (0.0, 0.0);
                    for dz in through {
                        for dy in in_plane {
                            for dx in in_plane {
                                let p = [x + dx * si, y + dy * sj, z + dz * sk];
                                let share =
                                    cover(self.painted_depth_mm(chest, p), ramp + self.fade_mm);
                                if share > 0.0 {
                                    covered += share / 16.0;
                                    tissue += share / 16.0 * self.tissue_hu(p, ramp, texture);
                                }
                            }
                        }
                    }
                    if covered > 0.0 {
                        let voxel = &mut hu[[k, j, i]];
                        *voxel = (f64::from(*voxel) * (1.0 - covered) + tissue) as f32;
                    }
                }
            }
        }
    }

    /// Depth for drawing: the nodule reaches a little into the wall, so that no seam shows at the pleura.
    fn painted_depth_mm(&self, chest: &Chest, p: [f64; 3]) -> f64 {
        let depth = self.shape.depth_mm(p);
        if self.kind == NoduleType::Juxtapleural && depth > -3.0 {
            depth.min(chest.lung_depth_mm(p) + 1.5)
        } else {
            depth
        }
    }

    fn tissue_hu(&self, p: [f64; 3], ramp_mm: f64, texture: &Texture) -> f64 {
        let hu = self.hu + self.texture_hu * texture.at(p, 2.0);
        match &self.core {
            Some((core, core_hu)) => mix(hu, *core_hu, core.depth_mm(p), ramp_mm),
            None => hu,
        }
    }

    /// The same nodule, `scale` times as wide.
    pub(super) fn scaled(&self, scale: f64) -> Self {
        let core = self.core.as_ref().map(|(core, hu)| (core.scaled(scale), *hu));
        let (shape, radius_mm) = (self.shape.scaled(scale), self.radius_mm * scale);
        Self { shape, radius_mm, core, ..self.clone() }
    }

    /// The nodule as a reader draws it who errs by `bias_mm` everywhere and by up to about `jitter_mm` locally.
    pub(super) fn redrawn(&self, rng: &mut impl Rng, bias_mm: f64, jitter_mm: f64) -> Self {
        Self { shape: self.shape.redrawn(rng, bias_mm, jitter_mm), ..self.clone() }
    }

    /// The voxels whose centres lie in the nodule.
    ///
    /// METHOD: a voxel belongs to the nodule if its centre does; at a plane edge that means half of its volume.
    pub(super) fn mask(&self, chest: &Chest, grid: &Grid) -> PlacedMask {
        self.voxels(grid, |p| self.depth_mm(chest, p))
    }

    /// The voxels of the cavity; `None` where there is no cavity.
    pub(super) fn cavity_mask(&self, grid: &Grid) -> Option<PlacedMask> {
        let (cavity, _) = self.core.as_ref().filter(|_| self.kind == NoduleType::Cavitary)?;
        Some(self.voxels(grid, |p| cavity.depth_mm(p)))
    }

    fn voxels(&self, grid: &Grid, depth_mm: impl Fn([f64; 3]) -> f64) -> PlacedMask {
        let reach = self.shape.reach_mm();
        let centre = self.shape.centre_mm();
        let ranges = grid.inside(centre.map(|c| c - reach), centre.map(|c| c + reach));
        let start = std::array::from_fn(|a| ranges[a].start);
        let [si, sj, sk] = start;
        let mask = Mask::from_fn(std::array::from_fn(|a| ranges[a].len()), |i, j, k| {
            depth_mm(grid.centre([si + i, sj + j, sk + k])) > 0.0
        });
        PlacedMask { start, mask }
    }

    /// Centre of the nodule.
    pub(super) fn centre_mm(&self) -> [f64; 3] {
        self.shape.centre_mm()
    }

    /// Half axes of the ellipsoid without lobes.
    pub(super) fn radii_mm(&self) -> [f64; 3] {
        self.shape.radii_mm()
    }
}
