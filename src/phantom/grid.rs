//! Voxel positions of a scan in the chest.

use nodulus_formats::volume::Geometry;
use std::ops::Range;

/// Axis-parallel voxel centres in the chest's millimetres: x to the left, y to the back, z up, zero
/// in the middle of the scan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grid {
    size: [usize; 3],
    first_mm: [f64; 3],
    step_mm: [f64; 3],
}

impl Grid {
    /// The grid of an axis-parallel scan whose middle is at `middle_mm` in patient coordinates.
    pub(super) fn new(geometry: &Geometry, middle_mm: [f64; 3]) -> Self {
        let (origin, direction) = (geometry.origin_mm(), geometry.direction());
        let spacing = geometry.spacing().ijk();
        Self {
            size: geometry.size(),
            first_mm: std::array::from_fn(|a| origin[a] - middle_mm[a]),
            step_mm: std::array::from_fn(|a| direction[4 * a] * spacing[a]),
        }
    }

    /// Voxels along i, j, k.
    pub(super) fn size(&self) -> [usize; 3] {
        self.size
    }

    /// Distance between voxel centres along i, j, k.
    pub(super) fn spacing_mm(&self) -> [f64; 3] {
        self.step_mm.map(f64::abs)
    }

    /// Half of the scan's extent along an axis.
    pub(super) fn half_mm(&self, axis: usize) -> f64 {
        self.step_mm[axis].abs() * self.size[axis] as f64 / 2.0
    }

    /// Centre of a voxel along one axis.
    pub(super) fn coordinate(&self, axis: usize, index: usize) -> f64 {
        self.first_mm[axis] + self.step_mm[axis] * index as f64
    }

    /// Centre of voxel (i, j, k).
    pub(super) fn centre(&self, ijk: [usize; 3]) -> [f64; 3] {
        std::array::from_fn(|a| self.coordinate(a, ijk[a]))
    }

    /// The voxel nearest to a point, which may lie outside the scan.
    pub(super) fn index(&self, p: [f64; 3]) -> [i64; 3] {
        std::array::from_fn(|a| ((p[a] - self.first_mm[a]) / self.step_mm[a]).round() as i64)
    }

    /// The voxels whose centres lie between `low` and `high`, along each axis.
    pub(super) fn inside(&self, low: [f64; 3], high: [f64; 3]) -> [Range<usize>; 3] {
        std::array::from_fn(|a| {
            let edges = [low[a], high[a]].map(|v| (v - self.first_mm[a]) / self.step_mm[a]);
            let first = edges[0].min(edges[1]).ceil().max(0.0) as usize;
            let last = (edges[0].max(edges[1]).floor() + 1.0).clamp(0.0, self.size[a] as f64);
            first.min(last as usize)..last as usize
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voxels_of_a_turned_grid_are_found() {
        let turned = [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0];
        let geometry =
            Geometry::new([5, 5, 3], [0.5, 2.0, 1.0], [101.0, 204.0, 9.0], turned).unwrap();
        let grid = Grid::new(&geometry, [100.0, 200.0, 10.0]);
        let close = |a: [f64; 3], b: [f64; 3]| (0..3).all(|n| (a[n] - b[n]).abs() < 1e-9);
        assert!(close(grid.centre([0, 0, 0]), [1.0, 4.0, -1.0]));
        assert!(close(grid.centre([4, 4, 2]), [-1.0, -4.0, 1.0]));
        assert_eq!(grid.index([0.4, 1.9, 0.2]), [1, 1, 1]);
        assert_eq!(grid.inside([-0.6, -2.0, -9.0], [0.6, 9.0, 0.0]), [1..4, 0..4, 0..2]);
        assert_eq!(grid.inside([5.0, 0.0, 0.0], [6.0, 0.0, 0.0])[0], 0..0);
    }
}
