//! Edges between tissues.

/// An ellipse in the axial plane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ellipse {
    pub(super) centre: [f64; 2],
    pub(super) axes: [f64; 2],
}

impl Ellipse {
    pub(super) fn new(centre: [f64; 2], axes: [f64; 2]) -> Self {
        Self { centre, axes }
    }

    /// Distance to the edge in first order, positive inside.
    pub(super) fn depth_mm(&self, x: f64, y: f64) -> f64 {
        let [a, b] = self.axes;
        let (u, v) = ((x - self.centre[0]) / a, (y - self.centre[1]) / b);
        let q = (u * u + v * v).sqrt();
        let slope = ((u / a) * (u / a) + (v / b) * (v / b)).sqrt();
        if slope < 1e-9 { a.min(b) } else { (1.0 - q) * q / slope }
    }

    /// The same ellipse scaled about its centre.
    pub(super) fn scaled(&self, scale: f64) -> Self {
        Self { centre: self.centre, axes: self.axes.map(|a| a * scale) }
    }
}

/// A value between two, by a linear ramp about depth zero.
pub(super) fn mix(from: f64, to: f64, depth_mm: f64, ramp_mm: f64) -> f64 {
    from + (to - from) * cover(depth_mm, ramp_mm)
}

/// Share of a voxel that lies inside an edge at the given depth.
///
/// METHOD: partial volume of a plane edge parallel to the voxel's face, which is linear in depth.
pub(super) fn cover(depth_mm: f64, ramp_mm: f64) -> f64 {
    (0.5 + depth_mm / ramp_mm).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ellipse_has_first_order_depths() {
        let ellipse = Ellipse::new([10.0, 0.0], [30.0, 20.0]);
        assert!((ellipse.depth_mm(40.0, 0.0)).abs() < 1e-12);
        assert!((ellipse.depth_mm(39.0, 0.0) - 1.0).abs() < 0.05);
        assert!((ellipse.depth_mm(10.0, 21.0) + 1.0).abs() < 0.06);
        assert!((ellipse.depth_mm(10.0, 0.0) - 20.0).abs() < 1e-12);
    }

    #[test]
    fn cover_is_half_on_the_edge() {
        assert!((cover(0.0, 0.7) - 0.5).abs() < 1e-12);
        assert!((cover(0.35, 0.7) - 1.0).abs() < 1e-12);
        assert!((mix(-1000.0, 0.0, -0.175, 0.7) + 750.0).abs() < 1e-9);
    }
}
