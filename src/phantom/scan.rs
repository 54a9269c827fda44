//! One patient's scan: acquisition, body and voxels.

use super::chest::Chest;
use super::config::Config;
use super::error::Error;
use super::grid::Grid;
use super::nodule::{NoduleType, SyntheticNodule};
use super::noise::{self, Kernel};
use super::placing;
use super::seed::{between, stream};
use super::texture::Texture;
use super::tubes::Tubes;
use ndarray::Array3;
use nodulus_formats::dicom::Numbering;
use nodulus_formats::volume::{Geometry, Volume};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Which files a patient is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CohortStyle {
    /// Patients with four readers, as DICOM and as MetaImage.
    Lidc,
    /// Clinical patients, with one reader and intensities of another range.
    Clinical,
}

/// METHOD: intensities of the clinical cohort run from 0 to 1000, as in the paper's clinical set, and not from -1024
/// upwards: -1000 HU becomes 0 and 400 HU becomes 1000.
pub(super) const CLINICAL_HU: [f64; 2] = [-1000.0, 400.0];

/// Largest intensity of the clinical cohort.
pub(super) const CLINICAL_TOP: f64 = 1000.0;

/// Least and greatest value that a 12-bit scanner stores, in HU.
const STORED_HU: [f64; 2] = [-1024.0, 3071.0];

/// Acquisition of a scan.
#[derive(Clone, Debug)]
pub(super) struct Acquisition {
    pub(super) geometry: Geometry,
    pub(super) grid: Grid,
    pub(super) kernel: Kernel,
    pub(super) noise_hu: f64,
    pub(super) blood_hu: f64,
    pub(super) slice_thickness_mm: f64,
    pub(super) numbering: Numbering,
    pub(super) tube_current_ma: u32,
    pub(super) scanner: (&'static str, &'static str),
}

/// A patient's scan with its true values.
#[derive(Debug)]
pub(super) struct SyntheticScan {
    pub(super) patient: String,
    pub(super) acquisition: Acquisition,
    pub(super) chest: Chest,
    pub(super) nodules: Vec<SyntheticNodule>,
    pub(super) small: Vec<SyntheticNodule>,
    /// Forks of vessels, in the chest's millimetres.
    pub(super) forks: Vec<[f64; 3]>,
    pub(super) volume: Volume<i16>,
}

/// The body that a scan shows.
pub(super) struct Body {
    pub(super) chest: Chest,
    pub(super) tubes: Tubes,
    pub(super) texture: Texture,
    pub(super) nodules: Vec<SyntheticNodule>,
    pub(super) small: Vec<SyntheticNodule>,
}

impl CohortStyle {
    /// Name of a patient; the first one has number 1.
    pub(super) fn patient(self, index: usize) -> String {
        match self {
            Self::Lidc => format!("PHANTOM-{:04}", index + 1),
            Self::Clinical => format!("CLINIC-{:03}", index + 1),
        }
    }
}

impl SyntheticScan {
    /// Draws a patient's scan; the number of other patients does not matter.
    pub(super) fn draw(config: &Config, cohort: CohortStyle, index: usize) -> Result<Self, Error> {
        let patient = cohort.patient(index);
        let rng = |part: &str| stream(config.seed, &[&patient, part]);
        let acquisition = Acquisition::draw(&mut rng("acquisition"), config, cohort, index)?;
        let grid = acquisition.grid;
        let half_width = grid.half_mm(0).min(grid.half_mm(1));
        let blood = acquisition.blood_hu;
        let chest = Chest::draw(&mut rng("chest"), half_width, grid.half_mm(2), blood);
        let tubes = Tubes::draw(&mut rng("tubes"), &chest);
        let mut placing = rng("nodules");
        let kinds = kinds(&mut placing, config, index);
        let nodules = placing::nodules(&mut placing, &chest, &grid, &kinds);
        let n_small = placing.random_range(0..=3);
        let small = placing::small_nodules(&mut placing, &chest, &grid, &nodules, n_small);

        let texture = Texture::draw(&mut rng("texture"));
        let body = Body { chest, tubes, texture, nodules, small };
        Self::acquire(config.seed, cohort, patient, acquisition, body, "")
    }

    /// Scans a body; `visit` distinguishes several scans of one patient and is empty otherwise.
    pub(super) fn acquire(
        seed: u64,
        cohort: CohortStyle,
        patient: String,
        acquisition: Acquisition,
        body: Body,
        visit: &str,
    ) -> Result<Self, Error> {
        let Body { chest, tubes, texture, nodules, small } = body;
        let grid = acquisition.grid;
        let mut hu = paint_chest(&grid, &chest);
        tubes.paint(&mut hu, &grid, &chest);
        for nodule in nodules.iter().chain(&small) {
            nodule.paint(&mut hu, &grid, &chest, &texture);
        }
        noise::blur(&mut hu, acquisition.kernel);
        let sd = acquisition.noise_hu as f32;
        noise::add(&mut hu, acquisition.kernel, sd, seed, &format!("{patient}{visit}"));
        let voxels = hu.mapv(|hu| stored(f64::from(hu), cohort));
        let volume = Volume::new(acquisition.geometry, voxels)?;
        let height = grid.half_mm(2);
        let forks = tubes.forks().iter().filter(|p| p[2].abs() < height).copied().collect();
        Ok(Self { patient, acquisition, chest, nodules, small, forks, volume })
    }

    /// Forks of vessels that are not near a nodule.
    pub(super) fn forks_away_from_nodules(&self) -> Vec<[f64; 3]> {
        let near = |p: &[f64; 3], nodule: &SyntheticNodule| {
            let centre = nodule.centre_mm();
            let square: f64 = (0..3).map(|a| (p[a] - centre[a]) * (p[a] - centre[a])).sum();
            square.sqrt() < nodule.shape.reach_mm() + 4.0
        };
        let lesions = || self.nodules.iter().chain(&self.small);
        self.forks.iter().filter(|p| !lesions().any(|n| near(p, n))).copied().collect()
    }

    /// Patient coordinates of a point of the chest.
    pub(super) fn patient_mm(&self, p: [f64; 3]) -> [f64; 3] {
        let (grid, geometry) = (&self.acquisition.grid, &self.acquisition.geometry);
        let (first, origin) = (grid.centre([0; 3]), geometry.origin_mm());
        std::array::from_fn(|a| p[a] - first[a] + origin[a])
    }
}

impl Acquisition {
    pub(super) fn draw(
        rng: &mut ChaCha8Rng,
        config: &Config,
        cohort: CohortStyle,
        index: usize,
    ) -> Result<Self, Error> {
        let rounded = |v: f64, steps: f64| (v * steps).round() / steps;
        // A coarser grid has larger pixels, so that the chest still fits.
        let coarse = (192.0 / config.size as f64).max(1.0);
        let si = rounded(between(rng, 0.60, 0.90) * coarse, 1e6);
        // METHOD: no scanner has oblong pixels, but the formats allow them; some clinical patients have them, so that a
        // mix-up of rows and columns shows.
        let oblong = cohort == CohortStyle::Clinical && index % 4 == 3;
        let sj = if oblong { rounded(si * 1.08, 1e6) } else { si };
        let sk = [1.0, 1.25, 1.5, 2.0, 2.5][rng.random_range(0..5)];
        let slices = rng.random_range(config.slices * 7 / 8..=config.slices * 9 / 8);
        let size = [config.size, config.size, slices];
        // METHOD: in LIDC-IDRI, 14 of 1,018 scans have x and y reversed; here one patient in eight.
        let turned = cohort == CohortStyle::Lidc && index % 8 == 5;
        let turn = if turned { -1.0 } else { 1.0 };
        let direction = [turn, 0.0, 0.0, 0.0, turn, 0.0, 0.0, 0.0, 1.0];
        let middle =
            [between(rng, -8.0, 8.0), between(rng, -180.0, -120.0), between(rng, -250.0, -50.0)];
        let spacing = [si, sj, sk];
        let half: [f64; 3] = std::array::from_fn(|a| spacing[a] * (size[a] - 1) as f64 / 2.0);
        let origin = [
            rounded(middle[0] - turn * half[0], 1e3),
            rounded(middle[1] - turn * half[1], 1e3),
            rounded(middle[2] - half[2], 4.0),
        ];
        let geometry = Geometry::new(size, spacing, origin, direction)?;
        let kernel = match cohort {
            CohortStyle::Lidc => [Kernel::Standard, Kernel::Standard, Kernel::Soft, Kernel::Sharp]
                [rng.random_range(0..4)],
            CohortStyle::Clinical => Kernel::Sharp,
        };
        let noise_hu = match kernel {
            Kernel::Soft => between(rng, 10.0, 18.0),
            Kernel::Standard => between(rng, 15.0, 28.0),
            Kernel::Sharp => between(rng, 28.0, 45.0),
        };
        let contrast_share = if cohort == CohortStyle::Clinical { 0.6 } else { 0.3 };
        let blood_hu = if rng.random::<f64>() < contrast_share {
            between(rng, 120.0, 220.0)
        } else {
            between(rng, 35.0, 55.0)
        };
        Ok(Self {
            geometry,
            grid: Grid::new(&geometry, middle),
            kernel,
            noise_hu,
            blood_hu,
            // METHOD: 334 of LIDC-IDRI's scans overlap: their slices are thicker than their spacing.
            slice_thickness_mm: if rng.random::<f64>() < 0.3 { sk * 1.25 } else { sk },
            numbering: if rng.random() { Numbering::AgainstK } else { Numbering::AlongK },
            tube_current_ma: rng.random_range(40..=400),
            scanner: [
                ("PHANTOM", "Ellipse 16"),
                ("PHANTOM", "Ellipse 64"),
                ("SYNTHETIC", "Tube 4"),
            ][rng.random_range(0..3)],
        })
    }
}

/// Types of a patient's nodules: the first cycles through all six over the patients, the others are drawn.
fn kinds(rng: &mut ChaCha8Rng, config: &Config, index: usize) -> Vec<NoduleType> {
    let all = NoduleType::ALL;
    let n = rng.random_range(config.nodules_min..=config.nodules_max);
    (0..n)
        .map(|i| {
            let drawn = all[rng.random_range(0..all.len())];
            if i == 0 { all[index % all.len()] } else { drawn }
        })
        .collect()
}

fn paint_chest(grid: &Grid, chest: &Chest) -> Array3<f32> {
    let [ni, nj, nk] = grid.size();
    let [si, sj, _] = grid.spacing_mm();
    let ramp = si.max(sj);
    Array3::from_shape_fn((nk, nj, ni), |(k, j, i)| chest.hu(grid.centre([i, j, k]), ramp) as f32)
}

/// The stored value of an attenuation.
fn stored(hu: f64, cohort: CohortStyle) -> i16 {
    let [low, high] = CLINICAL_HU;
    match cohort {
        CohortStyle::Lidc => hu.round().clamp(STORED_HU[0], STORED_HU[1]) as i16,
        CohortStyle::Clinical => {
            ((hu - low) / (high - low) * CLINICAL_TOP).round().clamp(0.0, CLINICAL_TOP) as i16
        }
    }
}
