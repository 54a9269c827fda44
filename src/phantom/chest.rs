//! A chest without nodules: the attenuation at each point, in Hounsfield units.
//!
//! Coordinates are millimetres: x to the left, y to the back, z up, zero in the middle of the scan.
//! The code uses only operations that IEEE 754 rounds exactly (no sines, exponentials or logarithms), so that a seed gives
//! the same bytes on every machine.

use super::edge::{Ellipse, mix};
use super::seed::between;
use super::texture::Texture;
use rand::Rng;

/// METHOD: attenuation of tissues at 120 kVp in HU, the usual radiological values: Hounsfield's scale sets air to -1000 and
/// water to 0; fat is -100, muscle 50, bone 200 to 700.
const AIR: f64 = -1000.0;
const SKIN: f64 = 20.0;
const FAT: f64 = -100.0;
const MUSCLE: f64 = 50.0;
const CARTILAGE: f64 = 110.0;
const MARROW: f64 = 190.0;
const CORTEX: f64 = 620.0;
const DISC: f64 = 80.0;
const CORD: f64 = 30.0;
const MEDIASTINUM: f64 = 15.0;
const ORGAN: f64 = 55.0;

/// Thickness of the skin and of compact bone.
const SHELL_MM: f64 = 1.6;

/// A chest with proportions of its own.
#[derive(Debug)]
pub(super) struct Chest {
    body: Ellipse,
    muscle: Ellipse,
    rib_line: Ellipse,
    cavity: Ellipse,
    sternum: Ellipse,
    vertebra: Ellipse,
    paraspinal: Ellipse,
    upper_mediastinum: Ellipse,
    heart: Ellipse,
    great_vessels: [Ellipse; 3],
    trachea: Ellipse,
    rib: Ribs,
    half_height_mm: f64,
    heart_z_mm: [f64; 2],
    apex_z_mm: [f64; 2],
    diaphragm: [Dome; 2],
    carina_mm: f64,
    unit_mm: f64,
    blood_hu: f64,
    lung_hu: f64,
    lung_slope_hu: f64,
    texture: Texture,
}

/// Ribs, which slope down from the spine to the front at equal distances.
#[derive(Debug)]
struct Ribs {
    pitch_mm: f64,
    phase_mm: [f64; 2],
    fall: f64,
    half_width_mm: f64,
    half_height_mm: f64,
}

/// One half of the diaphragm.
#[derive(Debug)]
struct Dome {
    centre: [f64; 2],
    top_mm: f64,
    drop_mm: f64,
    reach_mm: f64,
}

impl Chest {
    /// Draws a chest that fills a scan of the given half width and half height.
    pub(super) fn draw(
        rng: &mut impl Rng,
        half_width_mm: f64,
        half_height_mm: f64,
        blood_hu: f64,
    ) -> Self {
        // Everything but the thickness of skin and bone scales with the body's half width.
        let unit = half_width_mm * between(rng, 0.88, 0.95);
        let depth = unit * between(rng, 0.68, 0.76);
        let fat = unit * between(rng, 0.04, 0.09);
        let [ca, cb] = [unit * 0.80, depth * 0.80];
        let central = |x: f64, y: f64, a: f64, b: f64| Ellipse::new([x, y], [a, b]);
        let spine_y = cb * between(rng, 0.70, 0.76);
        let sway = unit * between(rng, -0.02, 0.02);
        let heart_x = unit * between(rng, 0.07, 0.13);
        let top = -half_height_mm * between(rng, 0.55, 0.95);
        let dome = |rng: &mut _, side: f64, lift: f64| Dome {
            centre: [side * 0.40 * unit, -0.10 * depth],
            top_mm: top + lift * half_height_mm,
            drop_mm: half_height_mm * between(rng, 0.5, 0.9),
            reach_mm: unit * 0.5,
        };
        let diaphragm = [dome(rng, -1.0, 0.15), dome(rng, 1.0, 0.0)];
        Self {
            body: central(0.0, 0.0, unit, depth),
            muscle: central(0.0, 0.0, unit - fat, depth - fat),
            rib_line: central(0.0, 0.0, ca + unit * 0.05, cb + unit * 0.05),
            cavity: central(0.0, 0.0, ca, cb),
            sternum: central(0.0, -cb - unit * 0.05, unit * 0.16, unit * 0.05),
            vertebra: central(sway, spine_y, unit * 0.15, unit * 0.115),
            paraspinal: central(sway, spine_y + unit * 0.05, unit * 0.21, unit * 0.20),
            upper_mediastinum: central(sway, -cb * 0.15, unit * between(rng, 0.15, 0.19), cb * 1.0),
            heart: central(
                heart_x,
                -cb * 0.28,
                unit * between(rng, 0.31, 0.37),
                cb * between(rng, 0.46, 0.52),
            ),
            great_vessels: [
                central(unit * 0.10 + sway, spine_y - unit * 0.19, unit * 0.062, unit * 0.062),
                central(-unit * 0.05, -cb * 0.30, unit * 0.075, unit * 0.075),
                central(unit * 0.07, -cb * 0.22, unit * 0.065, unit * 0.055),
            ],
            trachea: central(sway, cb * 0.05, unit * 0.055, unit * 0.048),
            rib: Ribs {
                pitch_mm: unit * between(rng, 0.27, 0.33),
                phase_mm: [between(rng, 0.0, 30.0), between(rng, 0.0, 30.0)],
                fall: between(rng, 0.45, 0.6),
                half_width_mm: unit * 0.038,
                half_height_mm: unit * between(rng, 0.06, 0.075),
            },
            half_height_mm,
            heart_z_mm: [
                -half_height_mm * between(rng, 0.5, 0.7),
                half_height_mm * between(rng, 0.7, 0.9),
            ],
            apex_z_mm: [half_height_mm * 0.1, half_height_mm * between(rng, 1.2, 1.6)],
            diaphragm,
            carina_mm: half_height_mm * between(rng, 0.2, 0.4),
            unit_mm: unit,
            blood_hu,
            lung_hu: between(rng, -880.0, -835.0),
            lung_slope_hu: between(rng, 25.0, 60.0),
            texture: Texture::draw(rng),
        }
    }

    /// Half of the body's width.
    pub(super) fn unit_mm(&self) -> f64 {
        self.unit_mm
    }

    /// Half of the pleural cavity's extent along x and y.
    pub(super) fn cavity_mm(&self) -> [f64; 2] {
        self.cavity.axes
    }

    /// Attenuation of blood.
    pub(super) fn blood_hu(&self) -> f64 {
        self.blood_hu
    }

    /// Point where the main bronchus and the vessels enter a lung; lung 0 is the right one (negative x).
    pub(super) fn hilum_mm(&self, lung: usize) -> [f64; 3] {
        let side = if lung == 0 { -1.0 } else { 1.0 };
        [side * self.unit_mm * 0.20, self.cavity.axes[1] * 0.08, self.hilum_z_mm()]
    }

    /// Point where the trachea forks.
    pub(super) fn carina(&self) -> [f64; 3] {
        let [x, y] = self.trachea.centre;
        [x, y, self.carina_mm]
    }

    /// Distance to the edge of the lung in first order: positive in a lung, negative outside.
    pub(super) fn lung_depth_mm(&self, [x, y, z]: [f64; 3]) -> f64 {
        let depth = self.cavity.scaled(self.taper(z)).depth_mm(x, y);
        if depth < -4.0 {
            return depth;
        }
        let dome = &self.diaphragm[usize::from(x > 0.0)];
        let depth = depth.min(0.8 * (z - dome.height_mm(x, y)));
        let depth = depth.min(-self.paraspinal.depth_mm(x, y));
        let depth = depth.min(-self.upper_mediastinum.depth_mm(x, y));
        depth.min(-self.heart_depth_mm(x, y, z))
    }

    /// Attenuation at a point; an edge between tissues is a ramp of width `ramp_mm`, the width of a voxel.
    pub(super) fn hu(&self, p: [f64; 3], ramp_mm: f64) -> f64 {
        let [x, y, _] = p;
        let skin = self.body.depth_mm(x, y);
        if skin < -ramp_mm {
            return AIR;
        }
        let lung = self.lung_depth_mm(p);
        if lung > ramp_mm {
            return self.parenchyma_hu(p);
        }
        let mut hu = mix(AIR, SKIN, skin, ramp_mm);
        hu = mix(hu, FAT, skin - SHELL_MM, ramp_mm);
        hu = mix(hu, MUSCLE, self.muscle.depth_mm(x, y), ramp_mm);
        let cavity = self.cavity.scaled(self.taper(p[2])).depth_mm(x, y);
        if cavity > -ramp_mm {
            hu = mix(hu, self.mediastinum_hu(p, ramp_mm), cavity, ramp_mm);
        }
        hu = self.bones(hu, p, ramp_mm);
        mix(hu, self.parenchyma_hu(p), lung, ramp_mm)
    }

    /// Attenuation of the lung, which is denser towards the back of a patient who lies on the back.
    fn parenchyma_hu(&self, p: [f64; 3]) -> f64 {
        let lean = self.lung_slope_hu * p[1] / self.cavity.axes[1];
        self.lung_hu + lean + 22.0 * self.texture.at(p, 7.0) + 14.0 * self.texture.at(p, 2.5)
    }

    fn mediastinum_hu(&self, p: [f64; 3], ramp: f64) -> f64 {
        let [x, y, z] = p;
        let mut hu = MEDIASTINUM + 45.0 * self.texture.at(p, 9.0);
        hu = mix(hu, 0.5 * (MUSCLE + self.blood_hu), self.heart_depth_mm(x, y, z), ramp);
        for (n, vessel) in self.great_vessels.iter().enumerate() {
            // The descending aorta runs through all slices; the others rise from the heart.
            if n == 0 || z > self.heart_z_mm[0] {
                hu = mix(hu, self.blood_hu, vessel.depth_mm(x, y), ramp);
            }
        }
        let below = self.diaphragm[usize::from(x > 0.0)].height_mm(x, y) - z;
        hu = mix(hu, ORGAN, below, 2.0 * ramp);
        if z > self.carina_mm {
            let trachea = self.trachea.depth_mm(x, y);
            hu = mix(hu, MUSCLE, trachea + SHELL_MM, ramp);
            hu = mix(hu, AIR, trachea, ramp);
        }
        hu
    }

    fn bones(&self, mut hu: f64, [x, y, z]: [f64; 3], ramp: f64) -> f64 {
        let bone = |hu: f64, depth: f64, inner: f64| {
            let shell = mix(hu, CORTEX, depth, ramp);
            mix(shell, inner, depth - SHELL_MM, ramp)
        };
        let clear = self.unit_mm * 0.13;
        if x.abs() > clear {
            let rib = &self.rib;
            let across = self.rib_line.depth_mm(x, y) / rib.half_width_mm;
            if across.abs() < 1.5 {
                let along = rib.offset_mm(x, y, z) / rib.half_height_mm;
                let depth = (1.0 - (across * across + along * along).sqrt()) * rib.half_width_mm;
                let front = y < -0.55 * self.rib_line.axes[1];
                hu = if front { mix(hu, CARTILAGE, depth, ramp) } else { bone(hu, depth, MARROW) };
            }
        }
        hu = bone(hu, self.sternum.depth_mm(x, y), MARROW - 60.0);
        let [sx, sy] = self.vertebra.centre;
        if (x - sx).abs() < 3.0 * self.vertebra.axes[0] && y > sy - 2.0 * self.vertebra.axes[1] {
            let between_vertebrae = fold(z, self.unit_mm * 0.30).abs() - self.unit_mm * 0.125;
            let body = self.vertebra.depth_mm(x, y);
            hu = if between_vertebrae > 0.0 {
                mix(hu, DISC, body, ramp)
            } else {
                bone(hu, body, MARROW)
            };
            let canal_y = sy + self.vertebra.axes[1] + self.unit_mm * 0.065;
            let arch = Ellipse::new([sx, canal_y], [self.unit_mm * 0.11, self.unit_mm * 0.10]);
            hu = bone(hu, arch.depth_mm(x, y), MARROW);
            let spine = Ellipse::new(
                [sx, canal_y + self.unit_mm * 0.13],
                [self.unit_mm * 0.022, self.unit_mm * 0.08],
            );
            hu = bone(hu, spine.depth_mm(x, y), CORTEX);
            let process = Ellipse::new(
                [sx, canal_y - self.unit_mm * 0.01],
                [self.unit_mm * 0.2, self.unit_mm * 0.03],
            );
            if between_vertebrae < 0.0 {
                hu = bone(hu, process.depth_mm(x, y), MARROW);
            }
            hu = mix(hu, CORD, arch.scaled(0.6).depth_mm(x, y), ramp);
        }
        hu
    }

    fn heart_depth_mm(&self, x: f64, y: f64, z: f64) -> f64 {
        let [centre, half] = self.heart_z_mm;
        let t = (z - centre) / half;
        let square = 1.0 - t * t;
        // Beyond its ends the heart is treated as a point far inside the mediastinum.
        if square <= 0.01 {
            return -self.unit_mm;
        }
        self.heart.scaled(square.sqrt()).depth_mm(x, y)
    }

    /// Scale of the cavity, which narrows towards the apex.
    fn taper(&self, z: f64) -> f64 {
        let [start, apex] = self.apex_z_mm;
        let t = ((z - start) / (apex - start)).clamp(0.0, 0.95);
        (1.0 - t * t).sqrt()
    }

    fn hilum_z_mm(&self) -> f64 {
        self.carina_mm - 0.25 * self.half_height_mm
    }
}

impl Ribs {
    /// Height above the middle of the nearest rib.
    fn offset_mm(&self, x: f64, y: f64, z: f64) -> f64 {
        fold(z - self.fall * y + self.phase_mm[usize::from(x > 0.0)], self.pitch_mm)
    }
}

impl Dome {
    fn height_mm(&self, x: f64, y: f64) -> f64 {
        let (u, v) = ((x - self.centre[0]) / self.reach_mm, (y - self.centre[1]) / self.reach_mm);
        self.top_mm - self.drop_mm * (u * u + v * v)
    }
}

/// Offset from the nearest multiple of `period`.
fn fold(value: f64, period: f64) -> f64 {
    value - period * (value / period).round()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phantom::seed::stream;

    fn chest() -> Chest {
        Chest::draw(&mut stream(3, &["chest"]), 90.0, 45.0, 45.0)
    }

    #[test]
    fn tissues_lie_where_they_belong() {
        let chest = chest();
        let at = |x: f64, y: f64| chest.hu([x * chest.unit_mm, y * chest.unit_mm, 0.0], 0.7);
        assert!((at(1.05, 0.0) - AIR).abs() < 1e-9);
        assert!((-950.0..-700.0).contains(&at(0.55, 0.1)), "left lung {}", at(0.55, 0.1));
        assert!((-950.0..-700.0).contains(&at(-0.55, 0.1)), "right lung {}", at(-0.55, 0.1));
        let [x, y] = chest.vertebra.centre.map(|c| c / chest.unit_mm);
        assert!(at(x, y) > 70.0, "spine {}", at(x, y));
        assert!((-60.0..120.0).contains(&at(0.05, -0.2)), "heart {}", at(0.05, -0.2));
        let fat = chest.hu([0.0, -chest.body.axes[1] + 3.0, 0.0], 0.7);
        assert!((-110.0..-60.0).contains(&fat), "fat {fat}");
    }

    #[test]
    fn lung_depth_has_the_sign_of_the_tissue() {
        let chest = chest();
        let mut in_lung = 0;
        for n in 0..40 * 40 {
            let p = [f64::from(n % 40) * 4.0 - 80.0, f64::from(n / 40) * 3.0 - 60.0, 5.0];
            let (depth, hu) = (chest.lung_depth_mm(p), chest.hu(p, 0.7));
            if depth > 1.0 {
                in_lung += 1;
                assert!(hu < -700.0, "{p:?}: depth {depth}, {hu} HU");
            }
        }
        assert!((200..800).contains(&in_lung), "{in_lung}");
    }
}
