use super::*;
use crate::nightly::input::candidates::NoduleCandidate;
use ndarray::Array3;
use nodulus_formats::volume::{Mask, PlacedMask, Volume};
use nodulus_imaging::components::ComponentRule;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// 60 × 50 voxels and 40 slices of 0.8 × 0.7 × 1.25 mm, turned about z.
fn geometry() -> Geometry {
    let turned = [0.6, -0.8, 0.0, 0.8, 0.6, 0.0, 0.0, 0.0, 1.0];
    Geometry::new([60, 50, 40], [0.8, 0.7, 1.25], [-10.0, 20.0, -300.0], turned).unwrap()
}

/// A scan of air with these voxels at 0 HU.
fn scan(voxels: &[PlacedMask]) -> LoadedSlices<i16> {
    let value = |(k, j, i): (usize, usize, usize)| {
        if voxels.iter().any(|mask| mask.get(i, j, k)) { 0 } else { -1000 }
    };
    Volume::new(geometry(), Array3::from_shape_fn((40, 50, 60), value)).unwrap().into()
}

fn block(start: [usize; 3], size: [usize; 3]) -> PlacedMask {
    PlacedMask { start, mask: Mask::from_fn(size, |_, _, _| true) }
}

fn settings(more: &str) -> ScoreSettings {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.toml");
    let file = "[score]\ninput = \"i\"\nstore = \"s\"\nmodel = \"m\"\n[score.region]\n\
        window = { low_hu = -1000.0, high_hu = 0.0 }\nreach_mm = 2.5\nextent_mm = 12.5\n";
    fs_err::write(&path, format!("{file}{more}")).unwrap();
    ScoreSettings::read(&path, &[], None).unwrap()
}

/// What a model of soft tissue marks, and how many regions it predicts.
fn mark(
    settings: &ScoreSettings,
    slices: &LoadedSlices<i16>,
    at: &[[f64; 3]],
) -> (Vec<SegmentedCandidate>, usize) {
    let (marked, pixels, shown) = mark_and_count(settings, slices, at);
    assert!(pixels.n() <= 1024 * shown as u64);
    (marked, shown)
}

fn mark_and_count(
    settings: &ScoreSettings,
    slices: &LoadedSlices<i16>,
    at: &[[f64; 3]],
) -> (Vec<SegmentedCandidate>, HuCounts, usize) {
    let shown = RefCell::new(0);
    let predict = |images: &[Vec<f32>]| {
        *shown.borrow_mut() += images.len();
        assert!(images.len() <= 7);
        let one = |image: &Vec<f32>| Prediction {
            nodule_probability: Some(image.iter().sum::<f32>() / image.len() as f32),
            probability: image.clone(),
            ..Prediction::default()
        };
        Ok(images.iter().map(one).collect())
    };
    let geometry = geometry();
    let located = |ijk: &[f64; 3]| {
        let position_mm = geometry.voxel_to_patient(*ijk);
        let candidate = NoduleCandidate { position_mm, confidence: None };
        LocatedCandidate::new(candidate, &geometry).unwrap()
    };
    let candidates: Vec<LocatedCandidate> = at.iter().map(located).collect();
    let predictor = RegionPredictor { side: 32, input_slices: 1, batch: 7, predict: &predict };
    let (marked, pixels) = segment(settings, &predictor, slices, &candidates).unwrap();
    (marked, pixels, shown.into_inner())
}

#[test]
fn pixels_past_the_image_are_not_counted() {
    let slices = scan(&[block([25, 20, 15], [3, 3, 2])]);
    let count = |at: &[[f64; 3]]| {
        let (_, pixels, shown) = mark_and_count(&settings(""), &slices, at);
        (pixels.n(), shown)
    };
    let (inside, at_border) = ([26.0, 21.0, 15.0], [50.0, 45.0, 15.0]);
    let (n, shown) = count(&[inside]);
    assert!(shown >= 5);
    assert_eq!(n, 1024 * shown as u64);
    assert_eq!(count(&[at_border]), (0, 5));
    assert_eq!(count(&[inside, at_border]), (n, shown + 5));
}

#[test]
fn a_nodule_is_followed_to_its_end_and_no_further() {
    // Slices 14 to 24, with the candidate at one end of it.
    let nodule = block([25, 20, 14], [6, 5, 11]);
    let (marked, shown) =
        mark(&settings(""), &scan(std::slice::from_ref(&nodule)), &[[27.0, 22.0, 15.0]]);
    assert_eq!(marked[0].mask.as_ref(), Some(&nodule));
    assert_eq!(marked[0].warnings, [""; 0]);
    // Slices 13 to 17 first. The nodule does not reach 13, so that only slices above follow, two at a time.
    assert_eq!(shown, 5 + 2 + 2 + 2 + 2);
    // The mean of a region of 32 × 32 pixels with 30 of tissue.
    assert!((marked[0].probability.unwrap() - 30.0 / 1024.0).abs() < 1e-6);
}

#[test]
fn the_nearest_component_within_reach_is_the_candidates() {
    let [near, far] = [block([25, 20, 15], [3, 3, 2]), block([31, 20, 15], [3, 3, 2])];
    let slices = scan(&[near.clone(), far.clone()]);
    // In air, 2.2 voxels from one nodule and 1.8 from the other; out of reach; within a nodule.
    let at = [[29.2, 21.0, 15.0], [50.0, 45.0, 15.0], [31.0, 22.0, 16.0]];
    let (marked, _) = mark(&settings(""), &slices, &at);
    let masks: Vec<_> = marked.iter().map(|m| m.mask.clone()).collect();
    assert_eq!(masks, [Some(far.clone()), None, Some(far)]);
    assert!(marked[1].warnings[0].contains("no voxel within 2.5 mm"));
    assert!(marked[1].probability.is_some());
    // Components that touch at corners are one.
    let steps = [block([25, 20, 15], [1, 1, 1]), block([26, 21, 16], [1, 1, 1])];
    let (marked, _) = mark(&settings(""), &scan(&steps), &[[25.0, 20.0, 15.0]]);
    assert_eq!(marked[0].mask.as_ref().unwrap().mask.count(), 2);
}

#[test]
fn every_component_of_the_region_is_kept_where_asked() {
    let parts = [block([25, 20, 15], [3, 3, 2]), block([31, 20, 20], [3, 3, 2])];
    let (marked, shown) = mark(
        &ScoreSettings { component: ComponentRule::All, ..settings("") },
        &scan(&parts),
        &[[26.0, 21.0, 15.0]],
    );
    let mask = marked[0].mask.as_ref().unwrap();
    assert_eq!((mask.start, mask.mask.count()), ([25, 20, 15], 36));
    // 12.5 mm to either side of the candidate.
    assert_eq!(shown, 21);
}

#[test]
fn a_nodule_that_is_cut_off_has_a_warning() {
    let warned = |nodule: PlacedMask, at: [f64; 3]| {
        let (marked, _) = mark(&settings(""), &scan(&[nodule]), &[at]);
        (marked[0].mask.clone().unwrap(), marked[0].warnings.join("; "))
    };
    let (mask, text) = warned(block([25, 20, 5], [3, 3, 30]), [26.0, 21.0, 20.0]);
    // 10 slices of 1.25 mm on each side.
    assert_eq!((mask.start[2], mask.end()[2]), (10, 31));
    assert_eq!(text, "goes on beyond 12.5 mm from its candidate, where it is cut off");
    let (_, text) = warned(block([25, 20, 0], [3, 3, 3]), [26.0, 21.0, 2.0]);
    assert_eq!(text, "touches the scan's first or last slice: it may be cut off");
    let (mask, text) = warned(block([5, 20, 20], [50, 3, 1]), [30.0, 21.0, 20.0]);
    assert_eq!((mask.start[0], mask.end()[0]), (14, 46));
    assert_eq!(text, "touches the border of its region: it may be cut off");
    // A region that ends at the border of the scan.
    let (mask, text) = warned(block([0, 20, 20], [6, 3, 1]), [3.0, 21.0, 20.0]);
    assert_eq!((mask.start[0], text.as_str()), (0, ""));
}

#[test]
fn a_resampled_region_marks_the_same_position() {
    let nodule = block([22, 18, 20], [9, 9, 3]);
    for spacing_mm in [0.4, 0.75, 1.1] {
        let settings = settings(&format!("spacing_mm = {spacing_mm}\n"));
        let (marked, _) =
            mark(&settings, &scan(std::slice::from_ref(&nodule)), &[[26.0, 22.0, 21.0]]);
        let found = marked[0].mask.clone().unwrap();
        let centre = found.centroid().unwrap();
        for (a, expected) in [26.0, 22.0, 21.0].into_iter().enumerate() {
            assert!((centre[a] - expected).abs() < 0.3, "{spacing_mm}: {centre:?}");
        }
        let ratio = found.mask.count() as f64 / nodule.mask.count() as f64;
        assert!((0.75..1.3).contains(&ratio), "{spacing_mm}: {ratio}");
    }
}

#[test]
fn networks_that_differ_disagree() {
    let nodule = block([25, 20, 15], [6, 5, 2]);
    let slices = scan(std::slice::from_ref(&nodule));
    let position_mm = geometry().voxel_to_patient([27.0, 22.0, 15.0]);
    let candidate = NoduleCandidate { position_mm, confidence: None };
    let located = LocatedCandidate::new(candidate, &geometry()).unwrap();
    let of = |members: fn(&[f32]) -> Vec<Vec<f32>>| {
        let one = |image: &Vec<f32>| Prediction {
            probability: image.clone(),
            members: members(image),
            ..Prediction::default()
        };
        let predict = |images: &[Vec<f32>]| Ok(images.iter().map(one).collect());
        let predictor = RegionPredictor { side: 32, input_slices: 1, batch: 7, predict: &predict };
        let (marked, _) = segment(&settings(""), &predictor, &slices, &[located]).unwrap();
        assert_eq!(marked[0].mask.as_ref(), Some(&nodule));
        marked[0].disagreement
    };
    assert_eq!(of(|_| Vec::new()), None);
    assert_eq!(of(|image| vec![image.to_vec(); 2]), Some(0.0));
    assert_eq!(of(|image| vec![image.to_vec(), vec![0.0; 1024]]), Some(0.5));
}

#[test]
fn neighbours_are_the_scans_own_slices_up_to_its_end() {
    let geometry = geometry();
    // A slice's HU say which one it is.
    let value = |(k, _, _): (usize, usize, usize)| -1000 + 10 * k as i16;
    let settings = settings("");
    let candidate = |k: f64| {
        let position_mm = geometry.voxel_to_patient([26.0, 21.0, k]);
        let candidate = NoduleCandidate { position_mm, confidence: None };
        LocatedCandidate::new(candidate, &geometry).unwrap()
    };
    let shown = |k: f64, input_slices: usize| {
        let seen = RefCell::new(BTreeSet::new());
        let predict = |images: &[Vec<f32>]| {
            for image in images {
                let slices = image.chunks(1024).map(|slice| (slice[0] * 100.0).round() as i32);
                seen.borrow_mut().insert(slices.collect::<Vec<_>>());
            }
            let nothing = Prediction { probability: vec![0.0; 1024], ..Prediction::default() };
            Ok(vec![nothing; images.len()])
        };
        let predictor = RegionPredictor { side: 32, input_slices, batch: 7, predict: &predict };
        // The slices that are read are those that are needed.
        let candidates = [candidate(k)];
        let wanted = wanted(&settings.region, &geometry, &candidates, input_slices);
        let all: Vec<usize> = wanted.iter().flatten().collect();
        let of_all = |(n, j, i): (usize, usize, usize)| value((all[n], j, i));
        let voxels = Array3::from_shape_fn((all.len(), 50, 60), of_all);
        let slices = LoadedSlices::new(geometry, &wanted, voxels).unwrap();
        let (_, pixels) = segment(&settings, &predictor, &slices, &candidates).unwrap();
        (seen.into_inner().into_iter().collect::<Vec<_>>(), pixels.n() / 1024)
    };
    let (images, n_counted) = shown(0.0, 3);
    assert_eq!(images, [[0, 0, 1], [0, 1, 2], [1, 2, 3]]);
    assert_eq!(n_counted, 3);
    let (images, _) = shown(20.0, 3);
    assert_eq!(images[0], [17, 18, 19]);
    let (images, _) = shown(39.0, 5);
    assert_eq!(images.last().unwrap(), &[37, 38, 39, 39, 39]);
    assert_eq!(shown(20.0, 1).0[0], [18]);
}

#[test]
fn a_candidate_off_the_scan_is_none_and_a_nan_is_refused() {
    let geometry = geometry();
    let off = geometry.voxel_to_patient([-0.6, 3.0, 3.0]);
    assert_eq!(
        LocatedCandidate::new(NoduleCandidate { position_mm: off, confidence: None }, &geometry),
        None
    );
    let inside = geometry.voxel_to_patient([3.0, 3.0, 39.4]);
    let located =
        LocatedCandidate::new(NoduleCandidate { position_mm: inside, confidence: None }, &geometry)
            .unwrap();
    let region = settings("").region;
    let wanted = |n| wanted(&region, &geometry, &[located], n);
    assert_eq!(wanted(1), std::iter::once(29..40).collect());
    assert_eq!(wanted(5), std::iter::once(27..40).collect());
    let predict = |images: &[Vec<f32>]| {
        let probability = vec![f32::NAN; 1024];
        Ok(vec![Prediction { probability, ..Prediction::default() }; images.len()])
    };
    let predictor = RegionPredictor { side: 32, input_slices: 1, batch: 7, predict: &predict };
    let error = segment(&settings(""), &predictor, &scan(&[]), &[located]).unwrap_err();
    assert!(matches!(error, Error::Region(region::Error::NotFinite(_))), "{error}");
}
