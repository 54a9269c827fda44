//! Two scans of one patient: a nodule has grown, and the patient lies elsewhere.

use super::chest::Chest;
use super::cohorts::{self, SeriesNames};
use super::config::Config;
use super::error::Error;
use super::grid::Grid;
use super::nodule::NoduleType;
use super::placing;
use super::scan::{Acquisition, Body, CohortStyle, SyntheticScan};
use super::seed::stream;
use super::texture::Texture;
use super::tubes::Tubes;
use nodulus_formats::dicom::Date;
use nodulus_formats::volume::{Geometry, PlacedMask, Volume};
use std::path::Path;

/// Height of the chest as a share of the scan's height; both lungs end within the scan.
const CHEST_SHARE: f64 = 0.4;

/// Settings of two scans of a patient.
#[derive(Clone, Debug)]
pub struct FollowUp {
    /// Seed of the random numbers.
    pub seed: u64,
    /// Columns and rows of a slice, 64 to 512.
    pub size: usize,
    /// Number of slices, 16 to 400.
    pub slices: usize,
    /// Day of the first scan.
    pub date: Date,
    /// Days until the second scan.
    pub days: i64,
    /// Volume of the first nodule in the second scan as a multiple of that in the first; the other nodules do not grow.
    pub growth: f64,
    /// Shift of the patient from the first scan to the second, in mm, LPS.
    pub shift_mm: [f64; 3],
    /// Shift of the field of view in the patient, in voxels along i, j, k.
    pub view: [f64; 3],
}

/// One of the two scans.
#[derive(Debug)]
pub struct Visit {
    /// DICOM `SeriesInstanceUID`.
    pub series_instance_uid: String,
    /// DICOM `StudyInstanceUID`.
    pub study_instance_uid: String,
    /// DICOM `PatientID`.
    pub patient_id: String,
    /// DICOM `StudyDate`.
    pub study_date: Date,
    /// Hounsfield units.
    pub volume: Volume<i16>,
    /// The nodules; the one that grows is the first.
    pub nodules: Vec<VisitNodule>,
}

/// A nodule in one of the two scans.
#[derive(Debug)]
pub struct VisitNodule {
    /// Its centre in mm, LPS.
    pub centre_mm: [f64; 3],
    /// Its voxels.
    pub mask: PlacedMask,
}

/// Writes both scans as DICOM series, `earlier/` and `later/`.
///
/// # Errors
///
/// Fails if a setting is out of range, the second date is not in the calendar, or a file cannot be written.
pub fn write_follow_up(out: &Path, plan: &FollowUp) -> Result<[Visit; 2], Error> {
    let FollowUp { seed, size, slices, .. } = *plan;
    let config = Config { seed, size, slices, ..Config::default() };
    config.check()?;
    let patient = "FOLLOW-UP-1";
    let rng = |part: &str| stream(seed, &[patient, part]);
    // Patient 0 is not turned; one in eight is, from the sixth.
    let first = Acquisition::draw(&mut rng("acquisition"), &config, CohortStyle::Lidc, 0)?;
    let grid = first.grid;
    let second = later(&first, plan)?;
    let out_of_range =
        |key, found, expected: &str| Error::Setting { key, found, expected: expected.to_owned() };
    let second_date = plan.date.plus_days(plan.days).ok_or_else(|| {
        out_of_range("days", plan.days.unsigned_abs() as usize, "a day of the years 1 to 9999")
    })?;
    if !(plan.growth.is_finite() && plan.growth > 0.0) {
        return Err(out_of_range("growth", 0, "a number over 0"));
    }
    let mut visits = Vec::new();
    for (name, acquisition, date, growth) in
        [("earlier", first, plan.date, 1.0), ("later", second, second_date, plan.growth)]
    {
        // The same streams draw the same body.
        let half_width = grid.half_mm(0).min(grid.half_mm(1));
        let height = CHEST_SHARE * grid.half_mm(2);
        let chest = Chest::draw(&mut rng("chest"), half_width, height, acquisition.blood_hu);
        let tubes = Tubes::draw(&mut rng("tubes"), &chest);
        let kinds = [NoduleType::Isolated, NoduleType::Isolated, NoduleType::Calcified];
        let mut nodules = placing::nodules(&mut rng("nodules"), &chest, &grid, &kinds);
        if let Some(grown) = nodules.first_mut() {
            *grown = grown.scaled(growth.cbrt());
        }
        let texture = Texture::draw(&mut rng("texture"));
        let body = Body { chest, tubes, texture, nodules, small: Vec::new() };
        let scan = SyntheticScan::acquire(
            seed,
            CohortStyle::Lidc,
            patient.to_owned(),
            acquisition,
            body,
            name,
        )?;
        let names = SeriesNames::new(seed, &scan, name);
        cohorts::write_series(&out.join(name), &scan, &names, Some(date), -1024.0)?;
        visits.push(visit(scan, names, date));
    }
    let [first, second] =
        <[Visit; 2]>::try_from(visits).map_err(|_| out_of_range("visits", 0, "2"))?;
    Ok([first, second])
}

/// The second acquisition: patient and field of view are shifted.
fn later(first: &Acquisition, plan: &FollowUp) -> Result<Acquisition, Error> {
    let (geometry, spacing) = (first.geometry, first.geometry.spacing().ijk());
    let (origin, zero) = (geometry.origin_mm(), first.grid.centre([0; 3]));
    let middle: [f64; 3] = std::array::from_fn(|a| origin[a] - zero[a] + plan.shift_mm[a]);
    let moved: [f64; 3] =
        std::array::from_fn(|a| origin[a] + plan.shift_mm[a] + plan.view[a] * spacing[a]);
    let geometry = Geometry::new(geometry.size(), spacing, moved, geometry.direction())?;
    Ok(Acquisition { geometry, grid: Grid::new(&geometry, middle), ..first.clone() })
}

fn visit(scan: SyntheticScan, names: SeriesNames, study_date: Date) -> Visit {
    let nodules = scan.nodules.iter().map(|nodule| VisitNodule {
        centre_mm: scan.patient_mm(nodule.centre_mm()),
        mask: nodule.mask(&scan.chest, &scan.acquisition.grid),
    });
    Visit {
        nodules: nodules.collect(),
        series_instance_uid: names.series,
        study_instance_uid: names.study,
        patient_id: scan.patient,
        study_date,
        volume: scan.volume,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodulus_formats::dicom::{Tolerances, read_series};

    #[test]
    fn the_first_nodule_grows_and_the_patient_lies_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let plan = FollowUp {
            seed: 5,
            size: 96,
            slices: 40,
            date: Date::new(2025, 1, 31).unwrap(),
            days: 100,
            growth: 2.0,
            shift_mm: [4.0, -7.0, 60.0],
            view: [1.0, -2.0, 1.0],
        };
        let visits = write_follow_up(folder.path(), &plan).unwrap();
        let volumes = visits.each_ref().map(|visit| {
            let voxel = visit.volume.geometry().spacing().voxel_volume_mm3();
            let volumes = visit.nodules.iter().map(|n| n.mask.mask.count() as f64 * voxel);
            volumes.collect::<Vec<f64>>()
        });
        assert!(volumes[0].len() >= 2, "{volumes:?}");
        let ratio = volumes[1][0] / volumes[0][0];
        assert!((1.7..2.3).contains(&ratio), "{volumes:?}");
        // The grid is shifted by whole voxels, so that the other nodules keep their voxels.
        assert_eq!(volumes[0][1..], volumes[1][1..]);
        for (a, b) in visits[0].nodules.iter().zip(&visits[1].nodules) {
            for axis in 0..3 {
                let moved = b.centre_mm[axis] - a.centre_mm[axis];
                assert!((moved - plan.shift_mm[axis]).abs() < 1e-6, "{a:?} {b:?}");
            }
        }
        for (name, visit) in ["earlier", "later"].into_iter().zip(&visits) {
            let files = fs_err::read_dir(folder.path().join(name)).unwrap();
            let files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
            let read = read_series(&files, &Tolerances::default()).unwrap();
            assert_eq!(read.info.acquired_on, Some(visit.study_date));
            assert_eq!(read.info.patient_id, visit.patient_id);
            assert_eq!(read.volume.voxels(), visit.volume.voxels());
        }
    }
}
