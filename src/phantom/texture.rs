//! Smooth random texture of tissue.

use rand::Rng;

/// Edge of the lattice of random values; the lattice repeats.
const EDGE: usize = 32;

/// Values from -1 to 1 on a lattice, with linear interpolation between.
#[derive(Debug)]
pub(super) struct Texture {
    lattice: Vec<f32>,
}

impl Texture {
    pub(super) fn draw(rng: &mut impl Rng) -> Self {
        let lattice = (0..EDGE.pow(3)).map(|_| 2.0 * rng.random::<f32>() - 1.0).collect();
        Self { lattice }
    }

    /// Value at a point where lattice points are `pitch_mm` apart.
    pub(super) fn at(&self, p: [f64; 3], pitch_mm: f64) -> f64 {
        let mut low = [0; 3];
        let mut part = [0.0; 3];
        for a in 0..3 {
            let v = p[a] / pitch_mm;
            let floor = v.floor();
            part[a] = v - floor;
            low[a] = (floor as i64).rem_euclid(EDGE as i64) as usize;
        }
        let value = |dx: usize, dy: usize, dz: usize| {
            let [x, y, z] = [low[0] + dx, low[1] + dy, low[2] + dz].map(|c| c % EDGE);
            f64::from(self.lattice[(z * EDGE + y) * EDGE + x])
        };
        let line = |dy, dz| value(0, dy, dz) + part[0] * (value(1, dy, dz) - value(0, dy, dz));
        let face = |dz| line(0, dz) + part[1] * (line(1, dz) - line(0, dz));
        face(0) + part[2] * (face(1) - face(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phantom::seed::stream;

    #[test]
    fn values_between_lattice_points_are_linear() {
        let texture = Texture::draw(&mut stream(1, &["texture"]));
        let at = |x: f64| texture.at([x, 6.0, -9.0], 3.0);
        assert!((at(0.0) - f64::from(texture.lattice[(29 * EDGE + 2) * EDGE])).abs() < 1e-12);
        assert!((at(1.5) - 0.5 * (at(0.0) + at(3.0))).abs() < 1e-12);
        assert!((at(-96.0) - at(0.0)).abs() < 1e-12, "repeats after 32 lattice points");
        assert!((at(0.0) - at(3.0)).abs() > 1e-6);
    }
}
