//! Doubts that only predicting brings up: masks that may go on past their region, and settings tuned on what is scored.

use crate::contract::{ALLOWED, arguments, pipeline, trained};
use crate::fixture;
use nodulus::tables::{Comparison, NoduleMetrics, Prediction, Roi, Scan, Summary};
use std::collections::BTreeSet;

/// Whether a mask of a region reaches its first or last slice where its scan goes on.
fn reaches_an_end(slices: &[(&Roi, &Prediction)], n_scan_slices: i64) -> bool {
    let ends = [slices.first().unwrap(), slices.last().unwrap()];
    let goes_on = [ends[0].0.slice_index > 0, ends[1].0.slice_index + 1 < n_scan_slices];
    let is_marked = |bits: &[u8]| bits.iter().any(|bits| *bits != 0);
    (0..2).any(|n| goes_on[n] && is_marked(&ends[n].1.mask_bits))
}

#[test]
fn masks_cut_at_a_region_s_end_and_a_baseline_tuned_on_what_is_scored_are_doubted_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = pipeline(folder.path(), &trained().join("phantom/clinical"), &trained());
    let store = folder.path().join("store");
    let growing = "infer.region_growing=true";
    let mut n_doubted = Vec::new();
    for margin in ["crop.margin_slices=0", "crop.margin_slices=500"] {
        let more = [ALLOWED, "--set", growing, "--set", margin];
        let output = fixture::run(&arguments(&path, &more));
        let [text, log] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(output.status.success(), "{log}");
        let (rois, scans): (Vec<Roi>, Vec<Scan>) = (fixture::rows(&store), fixture::rows(&store));
        let predictions: Vec<Prediction> = fixture::rows(&store);
        let metrics: Vec<NoduleMetrics> = fixture::rows(&store);
        let has = |doubts: &[String], name: &str| doubts.iter().any(|doubt| doubt == name);
        let (mut n_cut, mut n_end) = (0, 0);
        for row in &metrics {
            let mut slices: Vec<(&Roi, &Prediction)> = Vec::new();
            for roi in rois.iter().filter(|roi| roi.nodule_id == row.nodule_id) {
                let of_slice =
                    |p: &&Prediction| p.roi_id == roi.roi_id && p.model_id == row.model_id;
                slices.push((roi, predictions.iter().find(of_slice).unwrap()));
            }
            slices.sort_by_key(|(roi, _)| roi.slice_index);
            let series = &slices[0].0.series_instance_uid;
            let scan = scans.iter().find(|scan| scan.series_instance_uid == *series).unwrap();
            let is_cut = reaches_an_end(&slices, scan.n_slices);
            let is_doubted = has(&row.doubts, "mask_at_region_end");
            assert!(is_doubted || !is_cut, "{row:?}");
            // Beside those, only a network's mask that may have missed a nearer voxel.
            assert!(is_cut || !is_doubted || row.model_id == "m", "{row:?}");
            let set = |doubts: &[String]| doubts.iter().cloned().collect::<BTreeSet<_>>();
            let of_row = set(&row.doubts);
            assert!(slices.iter().all(|(_, p)| set(&p.doubts) == of_row), "{row:?}");
            assert_eq!(has(&row.doubts, "tuned_on_scored"), row.model_id == "region_growing");
            n_cut += usize::from(is_cut);
            n_end += usize::from(is_doubted);
        }
        n_doubted.push([n_cut, n_end]);
        let of_baseline = metrics.iter().filter(|row| row.model_id == "region_growing").count();
        let tuned = format!(
            "`region_growing`: {of_baseline} of {of_baseline} nodules are among those that its threshold or settings were chosen on"
        );
        let report = fixture::current(&store, "report").join("report.html");
        let report = fs_err::read_to_string(report).unwrap();
        assert!(log.contains(&format!("infer: warning: {tuned}")), "{log}");
        assert!(text.contains(&format!("warning: {tuned}")), "{text}");
        let ends =
            "nodules have a mask that may go on past the first or last slice of their region";
        let is_told = [log.contains(ends), text.contains(ends), report.contains(ends)];
        assert_eq!(is_told, [n_end > 0; 3], "{log}{text}");
        assert!(report.contains("are among those that its threshold or settings were chosen on"));
        for row in fixture::rows::<Summary>(&store).iter().filter(|row| row.subgroup == "all") {
            let of_model = metrics.iter().filter(|m| m.model_id == row.model_id);
            let any = |name: &str| of_model.clone().any(|m| has(&m.doubts, name));
            for name in ["tuned_on_scored", "mask_at_region_end"] {
                assert_eq!(has(&row.doubts, name), any(name), "{row:?}");
            }
        }
        for row in fixture::rows::<Comparison>(&store) {
            let of_baseline = [&row.model_id, &row.baseline_id].map(|id| id == "region_growing");
            assert_eq!(has(&row.doubts, "tuned_on_scored"), of_baseline.contains(&true), "{row:?}");
        }
    }
    // Regions of the nodule's own slices cut masks; regions as long as their scans cut none.
    assert!(n_doubted[0][0] > 0, "{n_doubted:?}");
    assert_eq!(n_doubted[1], [0, 0]);
}
