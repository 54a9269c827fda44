//! Nodules: shape, tissue, and how they look in a scan.

use super::chest::{Chest, cover, mix};
use super::grid::Grid;
use super::seed::{between, direction};
use super::texture::Texture;
use ndarray::Array3;
use rand::Rng;
use serde::{Deserialize, Serialize};

/// What a nodule is made of and where it sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoduleType {
    /// Solid, in the lung, without contact to its edge.
    Isolated,
    /// Solid, on the pleura; its tissue goes over into the wall's.
    Juxtapleural,
    /// Solid with air inside.
    Cavitary,
    /// Denser than lung, but lung shows through.
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

/// A bulge or dent of a surface about an axis.
#[derive(Clone, Copy, Debug)]
struct Lobe {
    axis: [f64; 3],
    /// Degree of the Legendre polynomial, or 0 for a spike.
    degree: u8,
    amplitude: f64,
}

impl Lobe {
    fn at(&self, unit: [f64; 3]) -> f64 {
        let t = dot(unit, self.axis);
        let s = t * t;
        let wave = match self.degree {
            2 => (3.0 * s - 1.0) / 2.0,
            3 => (5.0 * s - 3.0) * t / 2.0,
            4 => ((35.0 * s - 30.0) * s + 3.0) / 8.0,
            _ if t > 0.0 => s * s * s * s * s * s * s * s,
            _ => 0.0,
        };
        self.amplitude * wave
    }
}

/// A closed surface around a centre.
///
/// METHOD: an ellipsoid whose radius varies by Legendre polynomials about random axes, which span
/// the spherical harmonics of degrees 2 to 4, and by narrow spikes.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    centre_mm: [f64; 3],
    radii_mm: [f64; 3],
    axes: [[f64; 3]; 3],
    lobes: Vec<Lobe>,
}

impl Shape {
    /// A shape of a mean radius; `roughness` is the size of its lobes, `spikes` how many it has.
    pub(super) fn draw(
        rng: &mut impl Rng,
        centre_mm: [f64; 3],
        radius_mm: f64,
        roughness: f64,
        spikes: usize,
    ) -> Self {
        let first = direction(rng);
        let second = loop {
            let other = cross(first, direction(rng));
            let length = dot(other, other).sqrt();
            if length > 0.1 {
                break other.map(|c| c / length);
            }
        };
        let stretch: [f64; 2] = std::array::from_fn(|_| between(rng, 0.82, 1.18));
        let mut lobes = Vec::new();
        for degree in [2, 3, 3, 4, 4, 4] {
            let amplitude = roughness * between(rng, -1.0, 1.0);
            lobes.push(Lobe { axis: direction(rng), degree, amplitude });
        }
        for _ in 0..spikes {
            let amplitude = between(rng, 0.15, 0.35);
            lobes.push(Lobe { axis: direction(rng), degree: 0, amplitude });
        }
        Self {
            centre_mm,
            radii_mm: [stretch[0], stretch[1], 1.0 / (stretch[0] * stretch[1])]
                .map(|s| s.clamp(0.75, 1.3) * radius_mm),
            axes: [first, second, cross(first, second)],
            lobes,
        }
    }

    /// A ball.
    pub(super) fn ball(centre_mm: [f64; 3], radius_mm: f64) -> Self {
        let axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        Self { centre_mm, radii_mm: [radius_mm; 3], axes, lobes: Vec::new() }
    }

    /// Distance below the surface along the radius, positive inside.
    pub(super) fn depth_mm(&self, p: [f64; 3]) -> f64 {
        let offset: [f64; 3] = std::array::from_fn(|a| p[a] - self.centre_mm[a]);
        let v: [f64; 3] =
            std::array::from_fn(|a| dot(offset, self.axes[a]) / self.radii_mm[a]);
        let q = dot(v, v).sqrt();
        if q < 1e-6 {
            return self.radii_mm.iter().copied().fold(f64::MAX, f64::min);
        }
        let unit = v.map(|c| c / q);
        let edge = 1.0 + self.lobes.iter().map(|lobe| lobe.at(unit)).sum::<f64>();
        (edge.max(0.2) / q - 1.0) * dot(offset, offset).sqrt()
    }

    /// The same shape about its centre, larger or smaller.
    fn scaled(&self, scale: f64) -> Self {
        Self { radii_mm: self.radii_mm.map(|r| r * scale), ..self.clone() }
    }

    /// Radius of a ball about the centre that holds the shape.
    pub(super) fn reach_mm(&self) -> f64 {
        let largest = self.radii_mm.iter().copied().fold(0.0, f64::max);
        largest * (1.0 + self.lobes.iter().map(|lobe| lobe.amplitude.abs()).sum::<f64>())
    }
}

/// A lesion in a chest.
#[derive(Clone, Debug)]
pub(super) struct Nodule {
    pub(super) kind: NoduleType,
    pub(super) shape: Shape,
    pub(super) radius_mm: f64,
    pub(super) spikes: usize,
    /// Attenuation of the tissue.
    pub(super) hu: f64,
    /// Width over which the edge fades, beyond the voxel's own.
    fade_mm: f64,
    /// Air or calcium in the middle, and its attenuation.
    core: Option<(Shape, f64)>,
    texture_hu: f64,
}

impl Nodule {
    /// A nodule of a type: its radius, and the rest once it has a place.
    pub(super) fn draw_radius(rng: &mut impl Rng, kind: NoduleType) -> f64 {
        let [low, high] = kind.radius_mm();
        // Small ones are the most frequent.
        let t = rng.random::<f64>();
        low + (high - low) * t * (0.4 + 0.6 * t)
    }

    /// Shape and tissue of a nodule at a place.
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
            NoduleType::Juxtapleural => (0.08, 0, solid, 0.0),
            NoduleType::Cavitary => (0.08, 0, solid, 0.0),
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

    /// Distance below the nodule's surface; it ends at the pleura.
    pub(super) fn depth_mm(&self, chest: &Chest, p: [f64; 3]) -> f64 {
        let depth = self.shape.depth_mm(p);
        if self.kind == NoduleType::Juxtapleural && depth > -3.0 {
            depth.min(chest.lung_depth_mm(p))
        } else {
            depth
        }
    }

    /// Draws the nodule on a scan, indexed `[k, j, i]`, over what is there.
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
            self.shape.centre_mm.map(|c| c - reach),
            self.shape.centre_mm.map(|c| c + reach),
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
                                let share = cover(self.painted_depth_mm(chest, p), ramp + self.fade_mm);
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

    /// Depth for drawing: a little into the wall, so that no seam shows at the pleura.
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

    /// The cavity, where there is one.
    pub(super) fn cavity(&self) -> Option<&Shape> {
        self.core.as_ref().filter(|_| self.kind == NoduleType::Cavitary).map(|(shape, _)| shape)
    }

    /// Where the nodule sits.
    pub(super) fn centre_mm(&self) -> [f64; 3] {
        self.shape.centre_mm
    }

    /// Half axes of the ellipsoid without lobes.
    pub(super) fn radii_mm(&self) -> [f64; 3] {
        self.shape.radii_mm
    }
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phantom::seed::stream;

    #[test]
    fn a_ball_has_exact_depths() {
        let ball = Shape::ball([1.0, 2.0, 3.0], 5.0);
        assert!((ball.depth_mm([1.0, 2.0, 6.0]) - 2.0).abs() < 1e-9);
        assert!((ball.depth_mm([9.0, 2.0, 3.0]) + 3.0).abs() < 1e-9);
        assert!((ball.depth_mm([1.0, 2.0, 3.0]) - 5.0).abs() < 1e-9);
        assert!((ball.reach_mm() - 5.0).abs() < 1e-12);
    }

    #[test]
    fn lobes_are_legendre_polynomials() {
        let at = |degree, t: f64| {
            let axis = [0.0, 0.0, 1.0];
            Lobe { axis, degree, amplitude: 1.0 }.at([(1.0 - t * t).sqrt(), 0.0, t])
        };
        // Values of P2, P3, P4 at 1/2: -1/8, -7/16, -37/128.
        assert!((at(2, 0.5) + 0.125).abs() < 1e-12);
        assert!((at(3, 0.5) + 0.4375).abs() < 1e-12);
        assert!((at(4, 0.5) + 37.0 / 128.0).abs() < 1e-12);
        assert!(at(0, -1.0).abs() < 1e-12 && (at(0, 1.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_shape_keeps_its_size_and_reach() {
        let mut rng = stream(2, &["shape"]);
        for _ in 0..50 {
            let shape = Shape::draw(&mut rng, [0.0; 3], 6.0, 0.09, 3);
            let mut n = 0;
            for v in 0..60_usize.pow(3) {
                let p = [v % 60, v / 60 % 60, v / 3600].map(|c| (c as f64 - 29.5) / 2.0);
                if shape.depth_mm(p) > 0.0 {
                    n += 1;
                    assert!(dot(p, p).sqrt() <= shape.reach_mm());
                }
            }
            let ball = 4.0 / 3.0 * std::f64::consts::PI * 216.0 * 8.0;
            assert!((0.5..2.0).contains(&(f64::from(n) / ball)), "{n} half-millimetre voxels");
        }
    }
}
