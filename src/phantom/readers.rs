//! Readers' marks of a scan: each reader draws nodules with a bias of their own, and misses some.

use super::nodule::{NoduleType, SyntheticNodule};
use super::outline;
use super::scan::SyntheticScan;
use super::seed::{between, stream};
use nodulus_formats::lidc_xml::{Annotations, Contour, NonNodule, Ratings, ReadNodule, Session};
use nodulus_formats::volume::PlacedMask;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Number of readers of a scan.
pub(super) const READERS: usize = 4;

/// METHOD: readers of LIDC-IDRI disagree: of the 2,290 nodules that anyone marked on LUNA16's
/// scans, 777 were marked by all four. Faint and small ones are missed most.
fn chance_to_see(kind: NoduleType) -> f64 {
    match kind {
        NoduleType::Cavitary => 0.97,
        NoduleType::Isolated => 0.95,
        NoduleType::Calcified => 0.90,
        NoduleType::Juxtapleural => 0.85,
        NoduleType::GroundGlass => 0.72,
        NoduleType::Tiny => 0.60,
    }
}

/// Chances that a reader marks a nodule under 3 mm, and a fork of vessels that is no nodule.
const CHANCE_SMALL: f64 = 0.45;
const CHANCE_OTHER: f64 = 0.35;

/// Errors of a reader's line: on all nodules, on one whole nodule, and along the line.
const HABIT_MM: f64 = 0.35;
const SLIP_MM: f64 = 0.25;
const JITTER_MM: f64 = 0.45;

/// Chance that one reader marks the air in a cavity as not nodule.
const CHANCE_EXCLUDED: f64 = 0.25;

/// Smallest part of a cavity on a slice that a reader marks.
const LEAST_EXCLUDED_PIXELS: usize = 6;

/// All marks of a scan's readers.
#[derive(Debug)]
pub(super) struct ReadersMarks {
    pub(super) annotations: Annotations,
    /// For each nodule, the mask of each reader who saw it.
    pub(super) drawn: Vec<Vec<ReaderMask>>,
    /// For each small nodule, the sessions that marked it.
    pub(super) small: Vec<Vec<usize>>,
}

/// The mask that one reader drew for a nodule.
#[derive(Clone, Debug)]
pub(super) struct ReaderMask {
    pub(super) session: usize,
    pub(super) mask: PlacedMask,
}

impl ReadersMarks {
    /// Reads a scan whose slices have the given SOP instances; at least one reader sees each nodule.
    pub(super) fn draw(
        seed: u64,
        scan: &SyntheticScan,
        annotations: Annotations,
        slices: &[String],
    ) -> Self {
        let mut shared = stream(seed, &[&scan.patient, "readers"]);
        let habits: [f64; READERS] =
            std::array::from_fn(|_| between(&mut shared, -HABIT_MM, HABIT_MM));
        let seen: Vec<_> =
            scan.nodules.iter().map(|n| who_sees(&mut shared, chance_to_see(n.kind))).collect();
        let small_seen: Vec<_> =
            scan.small.iter().map(|_| who_sees(&mut shared, CHANCE_SMALL)).collect();
        let others = other_findings(&mut shared, scan);

        let mut reading = Self {
            annotations,
            drawn: vec![Vec::new(); seen.len()],
            small: vec![Vec::new(); small_seen.len()],
        };
        for (session, habit) in habits.into_iter().enumerate() {
            let mut rng = stream(seed, &[&scan.patient, "reader", &session.to_string()]);
            let mut read = Session::default();
            for (n, nodule) in scan.nodules.iter().enumerate() {
                let bias = habit + between(&mut rng, -SLIP_MM, SLIP_MM);
                let redrawn = nodule.redrawn(&mut rng, bias, JITTER_MM);
                let excludes = session == READERS - 1 && rng.random::<f64>() < CHANCE_EXCLUDED;
                let cavity = nodule.cavity_mask(&scan.acquisition.grid).filter(|_| excludes);
                let ratings = ratings(&mut rng, nodule);
                if seen[n][session] {
                    let id = format!("Nodule {:03}", read.nodules.len() + 1);
                    if let Some((contours, mask)) =
                        draw(scan, [&redrawn, nodule], cavity.as_ref(), slices)
                    {
                        read.nodules.push(ReadNodule {
                            reader_nodule_id: id,
                            ratings: Some(ratings),
                            contours,
                        });
                        reading.drawn[n].push(ReaderMask { session, mask });
                    }
                }
            }
            for (n, nodule) in scan.small.iter().enumerate() {
                if let Some((z_mm, point, uid)) =
                    locate(scan, slices, nodule.centre_mm()).filter(|_| small_seen[n][session])
                {
                    let contour = Contour {
                        z_mm,
                        inclusion: true,
                        points: vec![point],
                        sop_instance_uid: uid,
                    };
                    read.nodules.push(ReadNodule {
                        reader_nodule_id: format!("Nodule {:03}", read.nodules.len() + 1),
                        ratings: None,
                        contours: vec![contour],
                    });
                    reading.small[n].push(session);
                }
            }
            for other in &others {
                let marked = rng.random::<f64>() < CHANCE_OTHER;
                if let Some((z_mm, point, sop_instance_uid)) =
                    locate(scan, slices, *other).filter(|_| marked)
                {
                    let id = format!("_Non-nodule {:03}", read.non_nodules.len() + 1);
                    read.non_nodules.push(NonNodule { id, z_mm, point, sop_instance_uid });
                }
            }
            reading.annotations.sessions.push(read);
        }
        reading
    }
}

/// The readers who see something; at least one does.
fn who_sees(rng: &mut ChaCha8Rng, chance: f64) -> [bool; READERS] {
    let mut seen = std::array::from_fn(|_| rng.random::<f64>() < chance);
    let keenest = rng.random_range(0..READERS);
    if seen == [false; READERS] {
        seen[keenest] = true;
    }
    seen
}

/// Forks of vessels, away from nodules, that some readers mark.
fn other_findings(rng: &mut ChaCha8Rng, scan: &SyntheticScan) -> Vec<[f64; 3]> {
    let free = scan.forks_away_from_nodules();
    let n = rng.random_range(1..=6);
    if free.is_empty() {
        return Vec::new();
    }
    (0..n).map(|_| free[rng.random_range(0..free.len())]).collect()
}

/// Lines of a nodule on every slice, and the voxels inside the outer lines.
///
/// A tiny nodule that is drawn too small may contain no voxel centre; then the true shape is drawn.
fn draw(
    scan: &SyntheticScan,
    drawn_and_true: [&SyntheticNodule; 2],
    cavity: Option<&PlacedMask>,
    slices: &[String],
) -> Option<(Vec<Contour>, PlacedMask)> {
    let grid = &scan.acquisition.grid;
    let mask = drawn_and_true.iter().find_map(|nodule| nodule.mask(&scan.chest, grid).trimmed())?;
    let mut contours = Vec::new();
    for k in mask.start[2]..mask.end()[2] {
        let z_mm = scan.acquisition.geometry.voxel_to_patient([0.0, 0.0, k as f64])[2];
        let uid = slices.get(k)?;
        let mut add = |inclusion, lines: Vec<Vec<[i64; 2]>>| {
            contours.extend(lines.into_iter().map(|points| Contour {
                z_mm,
                inclusion,
                points,
                sop_instance_uid: uid.clone(),
            }));
        };
        add(true, outline::outside(&mask, k));
        if let Some(cavity) = cavity {
            add(false, outline::along(cavity, k, LEAST_EXCLUDED_PIXELS));
        }
    }
    Some((contours, mask))
}

/// Height, pixel and slice of a point; `None` outside the scan.
fn locate(scan: &SyntheticScan, slices: &[String], p: [f64; 3]) -> Option<(f64, [i64; 2], String)> {
    let [i, j, k] = scan.acquisition.grid.index(p);
    let uid = slices.get(usize::try_from(k).ok()?)?;
    let z_mm = scan.acquisition.geometry.voxel_to_patient([0.0, 0.0, k as f64])[2];
    Some((z_mm, [i, j], uid.clone()))
}

/// A reader's ratings: the nodule's own, up to one point off where readers differ.
fn ratings(rng: &mut ChaCha8Rng, nodule: &SyntheticNodule) -> Ratings {
    let mut about = |value: i64| Some((value + rng.random_range(-1..=1)).clamp(1, 5));
    let kind = nodule.kind;
    let (subtlety, texture, margin) = match kind {
        NoduleType::GroundGlass => (2, 1, 2),
        NoduleType::Tiny => (3, 5, 4),
        NoduleType::Juxtapleural => (4, 5, 4),
        _ => (5, 5, 5),
    };
    let malignancy = match kind {
        NoduleType::Calcified => 1,
        _ if nodule.spikes > 0 => 5,
        _ if nodule.radius_mm > 6.0 => 4,
        _ if nodule.radius_mm > 3.0 => 3,
        _ => 2,
    };
    Ratings {
        subtlety: about(subtlety),
        internal_structure: Some(if kind == NoduleType::Cavitary { 4 } else { 1 }),
        calcification: Some(if kind == NoduleType::Calcified { 3 } else { 6 }),
        sphericity: about(4),
        margin: about(margin),
        lobulation: about(2),
        spiculation: about(if nodule.spikes > 0 { 4 } else { 1 }),
        texture: about(texture),
        malignancy: about(malignancy),
    }
}
