//! Closed surfaces: the edges of nodules.

use super::seed::{between, direction};
use rand::Rng;

/// A bulge or dent of a surface around an axis.
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
    /// A shape of a mean radius; `roughness` is the amplitude of its lobes, `spikes` their number of spikes.
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
        let v: [f64; 3] = std::array::from_fn(|a| dot(offset, self.axes[a]) / self.radii_mm[a]);
        let q = dot(v, v).sqrt();
        if q < 1e-6 {
            return self.radii_mm.iter().copied().fold(f64::MAX, f64::min);
        }
        let unit = v.map(|c| c / q);
        let edge = 1.0 + self.lobes.iter().map(|lobe| lobe.at(unit)).sum::<f64>();
        (edge.max(0.2) / q - 1.0) * dot(offset, offset).sqrt()
    }

    /// The same shape scaled about its centre.
    pub(super) fn scaled(&self, scale: f64) -> Self {
        Self { radii_mm: self.radii_mm.map(|r| r * scale), ..self.clone() }
    }

    /// A surface like this one, moved outwards by `bias_mm` and bent by up to about `jitter_mm`.
    pub(super) fn redrawn(&self, rng: &mut impl Rng, bias_mm: f64, jitter_mm: f64) -> Self {
        let mean = self.radii_mm.iter().sum::<f64>() / 3.0;
        // No reader draws a nodule at half its size, however small it is.
        let scale = 1.0 + (bias_mm / mean).clamp(-0.3, 0.5);
        let bend = (jitter_mm / mean).min(0.15);
        let mut shape = self.scaled(scale);
        for degree in [2, 3, 4] {
            let amplitude = bend * between(rng, -1.0, 1.0);
            shape.lobes.push(Lobe { axis: direction(rng), degree, amplitude });
        }
        shape
    }

    /// The centre.
    pub(super) fn centre_mm(&self) -> [f64; 3] {
        self.centre_mm
    }

    /// Half axes of the ellipsoid without lobes.
    pub(super) fn radii_mm(&self) -> [f64; 3] {
        self.radii_mm
    }

    /// Radius of a ball about the centre that contains the shape.
    pub(super) fn reach_mm(&self) -> f64 {
        let largest = self.radii_mm.iter().copied().fold(0.0, f64::max);
        largest * (1.0 + self.lobes.iter().map(|lobe| lobe.amplitude.abs()).sum::<f64>())
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
