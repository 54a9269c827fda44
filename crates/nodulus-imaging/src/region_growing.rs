//! Segments a nodule from its centre without learning, as a radiology workstation does.

use super::component_levels::nearest_at_levels;
use super::components::{ComponentRule, Seed};
use super::opening::Depths;
use nodulus_formats::volume::{Mask, PlacedMask};
use serde::{Deserialize, Serialize};

/// Greatest distance from the centre to the end of a nodule that is grown.
///
/// METHOD: chosen; a nodule is up to 3 cm large, more is a mass (Fleischner Society). 2 cm holds it from a centre that is
/// not quite in its middle.
pub const EXTENT_MM: f64 = 20.0;

/// Radius of the ball about the centre that shows the nodule's own HU.
///
/// METHOD: chosen; the least diameter of LIDC-IDRI's segmented nodules.
const CORE_MM: f64 = 3.0;

/// Step of the radii by which a nodule is opened.
const STEP_MM: f64 = 0.25;

/// Number of radii: up to [`EXTENT_MM`].
const N_RADII: u8 = (EXTENT_MM / STEP_MM) as u8;

/// What is chosen on training nodules.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GrowingSettings {
    /// Share of the way from the background's HU to the nodule's at which nodule begins.
    pub share: f64,
    /// Least radius of the ball by which the nodule is opened.
    pub opening_mm: f64,
}

/// The surroundings of a nodule's centre, from which it is grown.
pub struct Surroundings {
    /// First voxel of the box in the region.
    start: [usize; 3],
    size: [usize; 3],
    /// HU of the box, counted k, then j, then i.
    hu: Vec<i16>,
    /// The centre, in voxels of the box.
    seed: Seed,
    /// HU of the background and of the nodule.
    levels_hu: [f64; 2],
}

impl Surroundings {
    /// The surroundings of a seed in a region of `size` along i, j, k, whose HU are counted k, then j, then i. `None` if the
    /// number of HU is not that of the region's voxels, or there is none.
    ///
    /// METHOD: the background is the lower quartile of HU within 20 mm of the centre: lung, or air past the image. The
    /// nodule is the upper quartile within 3 mm of it, because a small or part-solid nodule does not fill that ball. Where
    /// slices are so thick that no voxel is within, the nearest ones count.
    pub fn new(hu: &[i16], size: [usize; 3], seed: &Seed) -> Option<Self> {
        let n_voxels = size.iter().try_fold(1usize, |n, &s| n.checked_mul(s))?;
        if hu.len() != n_voxels || n_voxels == 0 {
            return None;
        }
        let mut start = [0; 3];
        let mut end = size;
        for a in 0..3 {
            // One voxel more on each side, so that what goes on past the extent is seen to.
            let reach = EXTENT_MM / seed.spacing_mm[a] + 1.0;
            let (low, high) = ((seed.centre[a] - reach).ceil(), (seed.centre[a] + reach).floor());
            start[a] = (low.max(0.0) as usize).min(size[a] - 1);
            end[a] = (high.max(0.0) as usize + 1).clamp(start[a] + 1, size[a]);
        }
        let box_size: [usize; 3] = std::array::from_fn(|a| end[a] - start[a]);
        let mut of_box = Vec::with_capacity(box_size.iter().product());
        let mut distances = Vec::with_capacity(of_box.capacity());
        for k in start[2]..end[2] {
            for j in start[1]..end[1] {
                let row = (k * size[1] + j) * size[0];
                of_box.extend_from_slice(&hu[row + start[0]..row + end[0]]);
                distances.extend((start[0]..end[0]).map(|i| seed.distance_mm([i, j, k])));
            }
        }
        let nearest = distances.iter().copied().fold(f64::INFINITY, f64::min);
        let quartile = |radius_mm: f64, quarter: usize| {
            let within = distances.iter().map(|mm| *mm <= radius_mm.max(nearest));
            let mut hu: Vec<i16> = of_box
                .iter()
                .zip(within)
                .filter(|(_, within)| *within)
                .map(|(hu, _)| *hu)
                .collect();
            hu.sort_unstable();
            let last = hu.len().checked_sub(1)?;
            let (at, rest) = (last * quarter / 4, (last * quarter % 4) as f64 / 4.0);
            let [low, high] = [at, (at + 1).min(last)].map(|n| f64::from(hu[n]));
            Some(low + rest * (high - low))
        };
        let levels_hu = [quartile(EXTENT_MM, 1)?, quartile(CORE_MM, 3)?];
        let centre = std::array::from_fn(|a| seed.centre[a] - start[a] as f64);
        let seed = Seed { centre, ..*seed };
        Some(Self { start, size: box_size, hu: of_box, seed, levels_hu })
    }

    /// The least HU of the nodule.
    pub fn threshold_hu(&self, share: f64) -> f64 {
        let [background, nodule] = self.levels_hu;
        background + share * (nodule - background)
    }

    /// The voxels of at least a share's HU that are connected to the centre, ready to be opened; `None` where none is
    /// within reach, or where the nodule is no brighter than the background.
    pub fn grow(&self, share: f64) -> Option<GrownComponent> {
        let [background, nodule] = self.levels_hu;
        if nodule <= background {
            return None;
        }
        let threshold = self.threshold_hu(share);
        let mut hu = self.hu.iter();
        let marked = Mask::from_fn(self.size, |_, _, _| {
            hu.next().is_some_and(|hu| f64::from(*hu) >= threshold)
        });
        let marked = PlacedMask { start: [0; 3], mask: marked };
        let component = ComponentRule::Centre.of(&marked, &self.seed)?;
        let mut mask = Mask::empty(self.size);
        component.voxels().for_each(|[i, j, k]| mask.set(i, j, k, true));
        let nearest = self.seed.nearest(&component)?;
        Some(GrownComponent::new(&mask, nearest, self.seed, self.start))
    }

    /// Segments the nodule: its voxels in the region, empty where nothing is found.
    pub fn segment(&self, settings: GrowingSettings) -> PlacedMask {
        match self.grow(settings.share) {
            Some(grown) => grown.opened(settings.opening_mm),
            None => PlacedMask { start: self.start, mask: Mask::empty(self.size) },
        }
    }
}

/// What is connected to a nodule's centre: the nodule, with vessels and the chest wall where they touch it.
pub struct GrownComponent {
    start: [usize; 3],
    seed: Seed,
    depths: Depths,
    /// Radii by which the component can be opened: see [`Self::opened`]. Ascending, in steps.
    radii: Vec<u8>,
    /// Depth at the voxel nearest to the centre.
    depth_mm: f64,
}

impl GrownComponent {
    fn new(mask: &Mask, nearest: [usize; 3], seed: Seed, start: [usize; 3]) -> Self {
        let size = mask.size();
        let [ni, nj, nk] = size;
        let depths = Depths::of(mask, seed.spacing_mm);
        let mut levels = vec![0u8; ni * nj * nk];
        let mut depth_mm = 0.0;
        for (voxel, depth) in depths.iter() {
            // Above level n where it is deeper than n steps.
            levels[voxel] = (depth / STEP_MM).ceil().clamp(1.0, f64::from(N_RADII)) as u8;
            if voxel == (nearest[2] * nj + nearest[1]) * ni + nearest[0] {
                depth_mm = depth;
            }
        }
        let is_far = |voxel: usize| {
            let at = [voxel % ni, voxel / ni % nj, voxel / (ni * nj)];
            seed.distance_mm(at) > EXTENT_MM
        };
        let weights = |voxel| [1, u32::from(is_far(voxel))];
        let found = nearest_at_levels(&levels, N_RADII, size, &seed, weights);
        let ends_near = |sums: Option<[u32; 2]>| sums.is_some_and(|[_, n_far]| n_far == 0);
        let radii = (0..N_RADII).zip(found).filter(|(_, sums)| ends_near(*sums));
        Self { start, seed, radii: radii.map(|(n, _)| n).collect(), depths, depth_mm }
    }

    /// The radius of the ball by which [`Self::opened`] opens, in steps of 0.25 mm; `None` where no ball separates the
    /// nodule.
    pub fn radius_steps(&self, opening_mm: f64) -> Option<u8> {
        let is_enough = |steps: &&u8| f64::from(**steps) * STEP_MM >= opening_mm;
        self.radii.iter().find(is_enough).or(self.radii.last()).copied()
    }

    /// The nodule, opened by a ball.
    ///
    /// METHOD: after Kuhnigk et al. (IEEE Trans Med Imaging 2006; 25:417). A ball's erosion separates the nodule from
    /// what it touches by a neck thinner than the ball, a vessel or the chest wall; of what is left, the component
    /// nearest to the centre is dilated by the same ball. The ball is the smallest of `opening_mm` or more for which this
    /// component ends within [`EXTENT_MM`] of the centre; where there is none, the next smaller one. Where no ball
    /// separates the nodule, because its neck is as wide as itself, the nodule is what lies within twice the depth of the
    /// component's voxel at the centre.
    pub fn opened(&self, opening_mm: f64) -> PlacedMask {
        let (mut mask, reach_mm) = match self.radius_steps(opening_mm) {
            Some(steps) => {
                let radius_mm = f64::from(steps) * STEP_MM;
                (self.depths.opened(radius_mm, Some(&self.seed)), EXTENT_MM)
            }
            None => (self.depths.eroded(0.0), EXTENT_MM.min(2.0 * self.depth_mm)),
        };
        let voxels: Vec<[usize; 3]> = mask.voxels().collect();
        for [i, j, k] in voxels {
            if self.seed.distance_mm([i, j, k]) > reach_mm {
                mask.set(i, j, k, false);
            }
        }
        // Where it is cut, it may fall apart.
        let cut = PlacedMask { start: [0; 3], mask };
        let mut whole = Mask::empty(cut.mask.size());
        let kept = ComponentRule::Centre.of(&cut, &self.seed);
        let voxels = kept.iter().flat_map(PlacedMask::voxels);
        voxels.for_each(|[i, j, k]| whole.set(i, j, k, true));
        PlacedMask { start: self.start, mask: whole }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A region of 81 × 81 × 33 voxels of 0.7 × 0.7 × 1.5 mm: soft tissue of 40 HU in lung.
    struct Region {
        hu: Vec<i16>,
    }

    const SIZE: [usize; 3] = [81, 81, 33];
    const SPACING: [f64; 3] = [0.7, 0.7, 1.5];
    const CENTRE: [f64; 3] = [40.0, 40.0, 16.0];

    impl Region {
        fn new(is_tissue: impl Fn([f64; 3]) -> bool) -> Self {
            let mut hu = Vec::new();
            for k in 0..SIZE[2] {
                for j in 0..SIZE[1] {
                    for i in 0..SIZE[0] {
                        let mm =
                            std::array::from_fn(|a| ([i, j, k][a] as f64 - CENTRE[a]) * SPACING[a]);
                        hu.push(if is_tissue(mm) { 40 } else { -850 });
                    }
                }
            }
            Self { hu }
        }

        fn segment(&self, settings: GrowingSettings) -> PlacedMask {
            let seed = Seed { centre: CENTRE, spacing_mm: SPACING, reach_mm: 5.0 };
            Surroundings::new(&self.hu, SIZE, &seed).unwrap().segment(settings)
        }

        fn dice(&self, settings: GrowingSettings, truth: impl Fn([f64; 3]) -> bool) -> f64 {
            let found = self.segment(settings);
            let truth = Self::new(truth);
            let (mut both, mut one) = (0, 0);
            for (n, hu) in truth.hu.iter().enumerate() {
                let [i, j, k] = [n % SIZE[0], n / SIZE[0] % SIZE[1], n / (SIZE[0] * SIZE[1])];
                let (is_true, is_found) = (*hu > 0, found.get(i, j, k));
                both += usize::from(is_true && is_found);
                one += usize::from(is_true) + usize::from(is_found);
            }
            2.0 * both as f64 / one as f64
        }
    }

    const SETTINGS: GrowingSettings = GrowingSettings { share: 0.5, opening_mm: 1.0 };

    fn ball(radius_mm: f64) -> impl Fn([f64; 3]) -> bool {
        move |mm| mm.iter().map(|x| x * x).sum::<f64>() <= radius_mm * radius_mm
    }

    #[test]
    fn a_nodule_in_lung_is_found_as_it_is() {
        let region = Region::new(ball(6.0));
        assert!(region.dice(GrowingSettings { opening_mm: 0.0, ..SETTINGS }, ball(6.0)) > 0.999);
        // A ball that is opened by a smaller one hardly changes.
        assert!(region.dice(SETTINGS, ball(6.0)) > 0.97);
    }

    #[test]
    fn a_vessel_and_the_chest_wall_are_cut_off() {
        let vessel = |mm: [f64; 3]| mm[1].hypot(mm[2]) <= 2.0;
        let region = Region::new(|mm| ball(7.0)(mm) || vessel(mm));
        let dice = region.dice(SETTINGS, ball(7.0));
        assert!(dice > 0.9, "{dice}");
        // The wall begins 6 mm from the centre of a nodule of 7 mm.
        let region = Region::new(|mm| ball(7.0)(mm) || mm[0] > 6.0);
        let nodule = |mm: [f64; 3]| ball(7.0)(mm) && mm[0] <= 6.0;
        let dice = region.dice(SETTINGS, nodule);
        assert!(dice > 0.9, "{dice}");
    }

    #[test]
    fn a_nodule_with_a_neck_as_wide_as_itself_is_cut_at_its_own_size() {
        // Half of the ball is in the wall.
        let region = Region::new(|mm| ball(6.0)(mm) || mm[0] > 0.0);
        let found = region.segment(SETTINGS);
        let n = found.mask.count() as f64 * SPACING.iter().product::<f64>();
        let true_mm3 = 4.0 / 3.0 * std::f64::consts::PI * 216.0;
        assert!(n > 0.5 * true_mm3 && n < 6.0 * true_mm3, "{n}, {true_mm3}");
        // Tissue as far as the region goes has no end: it is cut at the extent.
        let found = Region::new(|_| true).segment(SETTINGS);
        assert!(found.mask.is_empty(), "no background, so no nodule");
        let found = Region::new(|mm| mm[0].abs() < 25.0).segment(SETTINGS);
        assert!(found.voxels().all(|v| {
            let seed = Seed { centre: CENTRE, spacing_mm: SPACING, reach_mm: 5.0 };
            seed.distance_mm(v) <= EXTENT_MM
        }));
    }

    #[test]
    fn other_tissue_is_not_marked_and_nothing_near_is_nothing() {
        let beside = |mm: [f64; 3]| ball(4.0)([mm[0] - 12.0, mm[1], mm[2]]);
        let region = Region::new(|mm| ball(5.0)(mm) || beside(mm));
        assert!(region.dice(SETTINGS, ball(5.0)) > 0.95);
        // The next tissue is 8 mm away.
        assert!(Region::new(beside).segment(SETTINGS).mask.is_empty());
        // A hole at the centre is no obstacle, and stays a hole.
        let shell = |mm: [f64; 3]| ball(7.0)(mm) && !ball(1.5)(mm);
        assert!(
            Region::new(shell).dice(GrowingSettings { opening_mm: 0.0, ..SETTINGS }, shell) > 0.99
        );
    }

    #[test]
    fn the_threshold_lies_between_background_and_nodule() {
        let region = Region::new(ball(6.0));
        let seed = Seed { centre: CENTRE, spacing_mm: SPACING, reach_mm: 5.0 };
        let around = Surroundings::new(&region.hu, SIZE, &seed).unwrap();
        assert!((around.threshold_hu(0.5) - -405.0).abs() < 1e-9);
        assert!((around.threshold_hu(0.0) - -850.0).abs() < 1e-9);
        assert!(Surroundings::new(&region.hu[1..], SIZE, &seed).is_none());
        assert!(Surroundings::new(&[], [0, 4, 4], &seed).is_none());
        // Slices of 60 mm with the centre between two of them: the nearest voxels count.
        let thick = Seed { centre: [0.0, 0.0, 0.5], spacing_mm: [1.0, 1.0, 60.0], ..seed };
        let around = Surroundings::new(&[-850, 40], [1, 1, 2], &thick).unwrap();
        assert!((around.threshold_hu(1.0) - (40.0 - 0.25 * 890.0)).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn any_region_gives_a_mask_of_bright_voxels_within_the_extent(
            hu in prop::collection::vec(-1000i16..400, 9 * 8 * 7),
            centre in prop::array::uniform3(-2.0..10.0f64),
            spacing_mm in prop::array::uniform3(0.4..9.0f64),
            share in 0.2..0.8f64,
            opening_mm in 0.0..4.0f64,
        ) {
            let seed = Seed { centre, spacing_mm, reach_mm: 5.0 };
            let around = Surroundings::new(&hu, [9, 8, 7], &seed).unwrap();
            let found = around.segment(GrowingSettings { share, opening_mm });
            let one = ComponentRule::Centre.of(&found, &seed);
            prop_assert_eq!(one, found.trimmed());
            for [i, j, k] in found.voxels() {
                let voxel = f64::from(hu[(k * 8 + j) * 9 + i]);
                prop_assert!(voxel >= around.threshold_hu(share));
                prop_assert!(seed.distance_mm([i, j, k]) <= EXTENT_MM);
            }
        }
    }
}
