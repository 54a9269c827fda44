//! A synthetic report.

use crate::stages::evaluate::READER;
use crate::stages::report::content::{
    Calibration, CalibrationBin, CasePrediction, Ceiling, CohortReaders, CohortSummary, Count,
    Epoch, Evaluation, Histogram, HistogramQuantity, ModelWeights, NoduleResult, Pairwise,
    ReportContent, ReportModel, ReportSource, ShownCase, SlicePicture, SourceVersion, SplitCount,
    StageFailures, TrainedPhase,
};
use crate::stages::report::volumes;
use crate::stages::train::InitialWeights;
use crate::tables::{Comparison, MetricColumns, NoduleMetrics, RatingAgreement, Summary};
use nodulus_formats::volume::Mask;
use nodulus_metrics::Metric;
use std::collections::BTreeMap;

fn count(name: &str, n: u64) -> Count {
    Count { name: name.to_owned(), n }
}

fn weights() -> Vec<ModelWeights> {
    let phase = |name: &str, cohort: &str| TrainedPhase {
        name: name.to_owned(),
        cohorts: vec![cohort.to_owned()],
        epochs: 12,
    };
    let trained = |cohort: &str, n: usize| {
        let n_cases = BTreeMap::from([(cohort.to_owned(), n)]);
        BTreeMap::from([("train".to_owned(), n_cases)])
    };
    let known = ModelWeights {
        model_id: "tiny".to_owned(),
        key: "0f3c".to_owned(),
        is_outside: false,
        phases: vec![
            phase("pretrain", "luna"),
            TrainedPhase { epochs: 1, ..phase("finetune", "clinical") },
        ],
        initial: vec![
            InitialWeights { key: "77aa".to_owned(), n_cases: trained("luna", 1) },
            InitialWeights { key: "88bb".to_owned(), n_cases: BTreeMap::new() },
        ],
        n_training_patients: Some(28),
        n_validation_patients: Some(3),
        n_cases: BTreeMap::new(),
    };
    let outside = ModelWeights {
        is_outside: true,
        phases: Vec::new(),
        initial: Vec::new(),
        n_training_patients: None,
        n_validation_patients: None,
        n_cases: trained("luna", 7),
        ..known.clone()
    };
    vec![known, outside]
}

fn split(split: &str, n_patients: u64, n_nodules: u64, n_slices: u64) -> SplitCount {
    let n_empty_slices = n_slices / 2 - 1;
    SplitCount { split: split.to_owned(), n_patients, n_nodules, n_slices, n_empty_slices }
}

fn cohort(name: &str, layout: &str, scale: u64) -> CohortSummary {
    CohortSummary {
        name: name.to_owned(),
        layout: layout.to_owned(),
        n_patients: 12 * scale,
        n_scans: 12 * scale,
        n_excluded: scale,
        exclusions: vec![count("slices are not evenly spaced", scale)],
        left_out: vec![count("chest_x_ray", 283 * scale)],
        marks: vec![count("nodule", 1_152 * scale), count("non_nodule", 31 * scale)],
        n_nodules: 48 * scale,
        n_more_marks_than_readers: 3 * scale,
        n_resampled: 5 * scale,
        n_cropped: 0,
        n_roi_slices: 2_105 * scale,
        n_shared_slices: 77 * scale,
        split_by: vec!["patient".to_owned()],
        samples: vec![
            split("train", 8 * scale, 30 * scale, 620 * scale),
            split("validation", scale, 4 * scale, 80 * scale),
            split("test", 3 * scale, 14 * scale, 260 * scale),
        ],
        histograms: vec![
            histogram(HistogramQuantity::SliceSpacing, 10 * scale),
            histogram(HistogramQuantity::PixelSpacing, 10 * scale),
            histogram(HistogramQuantity::SliceThickness, 0),
            histogram(HistogramQuantity::Diameter, 1_048 * scale),
        ],
    }
}

fn histogram(quantity: HistogramQuantity, n: u64) -> Histogram {
    let value = |value: f64| (n > 0).then_some(value);
    let counts = if n == 0 { vec![] } else { vec![n / 2, 0, n - n / 2] };
    let (min, median, max) = (value(0.625), value(1.25), value(2.875));
    Histogram { quantity, n, n_unknown: 4, min, median, max, start: 0.5, width: 1.0, counts }
}

fn epochs() -> Vec<Epoch> {
    let phases = [("pre-train", 24u64, 1e-3), ("fine-tune", 12, 1e-3)];
    let phases =
        phases.iter().flat_map(|(phase, n, rate)| (1..=*n).map(move |e| (phase, *n, rate, e)));
    phases
        .map(|(phase, n, rate, epoch)| {
            let t = epoch as f64 / n as f64;
            let wobble = ((epoch * 7919) % 13) as f64 / 13.0 - 0.5;
            Epoch {
                run_id: "run".to_owned(),
                model_id: Some("tiny".to_owned()),
                phase: (*phase).to_owned(),
                epoch,
                fold: None,
                learning_rate: rate * 0.75f64.powf((epoch / 5) as f64),
                loss: 0.35 + 1.3 * (-3.0 * t).exp() + 0.04 * wobble,
                dice: Some(0.86 - 0.7 * (-4.0 * t).exp()),
                validation_dice: Some(0.81 - 0.7 * (-4.0 * t).exp() + 0.05 * wobble),
            }
        })
        .collect()
}

fn row(model: &str, metric: Metric, subgroup: &str, mean: f64, half: f64) -> Summary {
    Summary {
        model_id: model.to_owned(),
        metric: metric.name().to_owned(),
        subgroup: subgroup.to_owned(),
        n_total: 42,
        n_valid: if metric.is_distance() { 39 } else { 42 },
        n_missed: 3,
        n_patients: 17,
        mean: Some(mean),
        sd: Some(1.7 * half),
        median: Some(mean + half / 3.0),
        ci_low: Some(mean - half),
        ci_high: Some(mean + half),
        ci_missing_reason: None,
        worst_case_mean: Some(if metric.is_distance() { mean * 2.0 } else { mean }),
        doubts: Vec::new(),
    }
}

fn summary() -> Vec<Summary> {
    let named = |model: &str, metric: &str, mean: f64| Summary {
        metric: metric.to_owned(),
        ..row(model, Metric::Dice, "all", mean, 0.01)
    };
    let mut rows = vec![
        named("tiny", "classifier_auc", 0.971),
        named("tiny", "classifier_brier", 0.0623),
        named("tiny", "classifier_ece", 0.0512),
        named("tiny", "pixel_ece", 0.0331),
        row(READER, Metric::Dice, "all", 0.866, 0.02),
    ];
    for (model, share, distance) in [("tiny", 0.8314, 1.0), ("region_growing", 0.5627, 3.4)] {
        for (n, metric) in Metric::ALL.into_iter().enumerate() {
            let drift = 0.02 * n as f64;
            let row = if metric.is_distance() {
                row(model, metric, "all", 0.4 * distance + drift * 10.0, 0.3 * distance)
            } else {
                row(model, metric, "all", share - drift, 0.031)
            };
            rows.push(row);
        }
        rows.push(named(model, "volume_error_mm3", -24.0 * distance));
        let over_slices = row(model, Metric::Dice, "all", share - 0.1, 0.04);
        rows.push(Summary { metric: "slice_dice".to_owned(), ..over_slices });
        for (n, subgroup) in
            ["texture_type=solid", "texture_type=ground_glass", "diameter_mm=under_6"]
                .into_iter()
                .enumerate()
        {
            rows.push(row(model, Metric::Dice, subgroup, share - 0.05 * n as f64, 0.06));
            rows.push(row(model, Metric::Hausdorff95, subgroup, distance + n as f64, 0.4));
        }
    }
    rows
}

fn pairwise(n_nodules: u64, scale: f64) -> Vec<Pairwise> {
    let of = |(metric, mean): (Metric, f64)| Pairwise {
        metric: metric.name().to_owned(),
        n_nodules,
        mean: (n_nodules > 0).then_some(scale * mean),
        sd: (n_nodules > 1).then_some(0.1),
        median: (n_nodules > 0).then_some(scale * mean + 0.01),
        ci_low: (n_nodules > 1).then_some(scale * mean - 0.02),
        ci_high: (n_nodules > 1).then_some(scale * mean + 0.02),
        ci_missing_reason: (n_nodules <= 1).then(|| "fewer than 6 patients".to_owned()),
    };
    [(Metric::Dice, 0.8), (Metric::Iou, 0.7), (Metric::Assd, 0.6)].map(of).into()
}

fn readers() -> Vec<CohortReaders> {
    let rating = |rating: &str, fleiss_kappa: Option<f64>| RatingAgreement {
        cohort: "luna".to_owned(),
        rating: rating.to_owned(),
        n_nodules: 1_071,
        n_ratings: 3_402,
        observed_agreement: Some(0.61),
        expected_agreement: Some(0.443),
        fleiss_kappa,
        kappa_ci_low: fleiss_kappa.map(|kappa| kappa - 0.05),
        kappa_ci_high: fleiss_kappa.map(|kappa| kappa + 0.05),
        krippendorff_alpha: fleiss_kappa.map(|kappa| kappa + 0.2),
        alpha_ci_low: fleiss_kappa.map(|kappa| kappa + 0.15),
        alpha_ci_high: fleiss_kappa.map(|kappa| kappa + 0.25),
        ..RatingAgreement::default()
    };
    vec![
        CohortReaders {
            cohort: "luna".to_owned(),
            n_nodules: 96,
            n_compared: 71,
            pairwise: pairwise(71, 0.9),
            ratings: vec![rating("malignancy", Some(0.3)), rating("internal_structure", None)],
        },
        CohortReaders {
            cohort: "clinical".to_owned(),
            n_nodules: 48,
            n_compared: 0,
            pairwise: pairwise(0, 1.0),
            ratings: vec![],
        },
    ]
}

fn nodules() -> Vec<NoduleResult> {
    let mut nodules = Vec::new();
    for (model, best, spread) in [("tiny", 0.93, 0.3), ("region_growing", 0.82, 0.75)] {
        for n in 0..42u64 {
            let u = ((n * 2_654_435_761) % 1000) as f64 / 1000.0;
            let missed = n % 14 == 3;
            let diameter_mm = 3.5 + 24.0 * (((n * n * 31 + 17 * n) % 97) as f64 / 97.0).powi(2);
            let dice = if missed { 0.0 } else { best - spread * u * u };
            let distance = (!missed).then_some(4.0 * (1.0 - dice));
            let reference_volume_mm3 = 0.52 * diameter_mm.powi(3);
            let predicted_volume_mm3 =
                if missed { 0.0 } else { reference_volume_mm3 * (0.8 + 0.4 * u) };
            let row = NoduleMetrics {
                nodule_id: format!("n{n:03}"),
                patient_id: format!("p{}", n % 9),
                model_id: model.to_owned(),
                outcome: if missed { "missed" } else { "scored" }.to_owned(),
                metrics: MetricColumns {
                    dice: Some(dice),
                    iou: Some(dice / (2.0 - dice)),
                    hausdorff_mm: distance.map(|d| 2.0 * d),
                    assd_mm: distance,
                    ..MetricColumns::default()
                },
                predicted_volume_mm3,
                reference_volume_mm3,
                volume_error_mm3: Some(predicted_volume_mm3 - reference_volume_mm3),
                ..NoduleMetrics::default()
            };
            nodules.push(NoduleResult { diameter_mm, row });
        }
    }
    nodules
}

fn case(rank: &str, shift: f64, radius: f64, dice: f64) -> ShownCase {
    let disc = |ci: f64, radius: f64| {
        Mask::from_fn([64, 64, 1], |i, j, _| {
            (i as f64 - ci).powi(2) + 1.4 * (j as f64 - 32.0).powi(2) < radius * radius
        })
    };
    let reference = disc(32.0, radius);
    let hu = (0..64 * 64).map(|n| if reference.get(n % 64, n / 64, 0) { 20 } else { -860 });
    let prediction = |model: &str, dice: f64| CasePrediction {
        model_id: model.to_owned(),
        dice: Some(dice),
        hausdorff_mm: Some(2.0 * shift),
        hausdorff_95_mm: Some(shift),
        assd_mm: None,
        predicted_volume_mm3: 512.4,
        reference_volume_mm3: 480.0,
        mask: disc(32.0 + shift, 1.12 * radius),
    };
    ShownCase {
        rank: rank.to_owned(),
        ranked_by: "tiny".to_owned(),
        nodule_id: format!("n-{rank}"),
        diameter_mm: 1.4 * radius,
        z_mm: -121.25,
        predictions: vec![prediction("tiny", dice), prediction("region_growing", dice / 2.0)],
        picture: SlicePicture {
            size: [64, 64],
            spacing_mm: [0.7, 0.7],
            hu: hu.collect(),
            window_hu: [-1000.0, 400.0],
            reference,
        },
    }
}

fn calibration() -> Calibration {
    let bin = |place: u32| CalibrationBin {
        low: f64::from(place) / 10.0,
        high: f64::from(place + 1) / 10.0,
        n: if place == 4 { 0 } else { 20 },
        mean_probability: (place != 4).then_some(f64::from(place) / 10.0 + 0.05),
        share_with_nodule: (place != 4).then_some(f64::from(place) / 9.0),
    };
    Calibration { model_id: "tiny".to_owned(), n: 180, bins: (0..10).map(bin).collect() }
}

fn models() -> Vec<ReportModel> {
    let model = |id: &str, label: &str| ReportModel {
        model_id: id.to_owned(),
        label: label.to_owned(),
        predictions: vec!["90f1".to_owned()],
        checkpoints: vec![],
    };
    vec![model("tiny", "tiny, fine-tuned"), model("region_growing", "region growing (baseline)")]
}

pub(super) fn sample() -> ReportContent {
    let comparison = |metric: &str, mean: f64, p: f64| Comparison {
        metric: metric.to_owned(),
        model_id: "tiny".to_owned(),
        baseline_id: "region_growing".to_owned(),
        n_nodules: 42,
        n_patients: 17,
        mean_difference: Some(mean),
        ci_low: Some(mean - 0.1),
        ci_high: Some(mean + 0.1),
        ci_missing_reason: None,
        median_difference: Some(mean * 0.9),
        test: Some("sign flips by patient, all".to_owned()),
        p: Some(p),
        p_missing_reason: None,
        p_holm: Some(2.0 * p),
        rank_biserial: Some(0.5),
        doubts: Vec::new(),
    };
    let source = |name: &str, n_rows: u64| ReportSource {
        name: name.to_owned(),
        key: "3f9a1c20b7de4581".to_owned(),
        content_sha256: "0123456789abcdef".repeat(4),
        made: Some(SourceVersion {
            path: format!("{name}/3f9a1c20b7de4581/data"),
            n_rows,
            stage: "evaluate".to_owned(),
            stage_version: 3,
            schema_version: 2,
            tool_version: "0.1.0".to_owned(),
            settings: serde_json::json!({"seed": 41}),
            newer_inputs: Vec::new(),
        }),
    };
    let outside = ReportSource { name: "sources".to_owned(), made: None, ..source("sources", 0) };
    ReportContent {
        report_version: 6,
        title: "Lung nodule segmentation: demo".to_owned(),
        run_id: "3f9a1c20b7de4581".to_owned(),
        tool_version: "0.1.0".to_owned(),
        metric_definition: "nodulus-1".to_owned(),
        cohorts: vec![cohort("luna", "luna16", 2), cohort("clinical", "volumes", 1)],
        readers: readers(),
        failures: vec![StageFailures {
            stage: "ingest".to_owned(),
            n: 2,
            causes: vec![count("slices 12 and 14 are 5 mm apart, expected 2.5 mm", 2)],
        }],
        training: epochs(),
        warnings: vec![
            "`tiny`: 4 of 42 nodules have a spacing outside the range of the scans that the weights learnt from".to_owned(),
        ],
        evaluation: Evaluation { split: "test".to_owned(), n_patients: 9, n_nodules: 42 },
        models: models(),
        weights: weights(),
        summary: summary(),
        ceiling: Ceiling { n_nodules: 42, n_several_readers: 37, pairwise: pairwise(37, 1.0) },
        comparisons: vec![
            comparison("dice", 0.2687, 0.000_02),
            comparison("assd_mm", -0.96, 0.0131),
        ],
        before: None,
        nodules: nodules(),
        volumes: volumes::agreement(&models(), &summary()),
        calibration: vec![calibration()],
        pixel_calibration: vec![Calibration { n: 1800, ..calibration() }],
        cases: vec![
            case("best", 0.3, 9.0, 0.931),
            case("median", 2.0, 6.0, 0.842),
            case("worst", 9.0, 16.0, 0.413),
        ],
        provenance: vec![outside, source("nodule_metrics", 84), source("summary", 30)],
    }
}

pub(super) fn empty() -> ReportContent {
    let evaluation = Evaluation { split: "test".to_owned(), ..Evaluation::default() };
    ReportContent { title: "Empty".to_owned(), evaluation, ..ReportContent::default() }
}
