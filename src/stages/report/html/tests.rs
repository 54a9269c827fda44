//! A made-up report, and what its page must say.

use super::render;
use crate::metrics::Metric;
use crate::stages::report::content::{
    Ceiling, Cohort, Content, Count, Epoch, Evaluation, Example, Histogram, Model, NoduleScore,
    Pairwise, Quantity, Readers, Source, SplitCount, StageFailures,
};
use crate::stages::report::overlay::Slice;
use crate::tables::{Comparison, RatingAgreement, Summary};
use crate::volume::Mask;

fn count(name: &str, n: u64) -> Count {
    Count { name: name.to_owned(), n }
}

fn split(split: &str, n_patients: u64, n_nodules: u64, n_slices: u64) -> SplitCount {
    let n_empty_slices = n_slices / 2 - 1;
    SplitCount { split: split.to_owned(), n_patients, n_nodules, n_slices, n_empty_slices }
}

fn cohort(name: &str, layout: &str, scale: u64) -> Cohort {
    Cohort {
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
            histogram(Quantity::SliceSpacing, 10 * scale),
            histogram(Quantity::PixelSpacing, 10 * scale),
            histogram(Quantity::SliceThickness, 0),
            histogram(Quantity::Diameter, 1_048 * scale),
        ],
    }
}

fn histogram(quantity: Quantity, n: u64) -> Histogram {
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
        mean: Some(mean),
        sd: Some(1.7 * half),
        median: Some(mean + half / 3.0),
        ci_low: Some(mean - half),
        ci_high: Some(mean + half),
        worst_case_mean: Some(if metric.is_distance() { mean * 2.0 } else { mean }),
    }
}

fn summary() -> Vec<Summary> {
    let mut rows = Vec::new();
    for (model, share, distance) in [("tiny", 0.8314, 1.0), ("threshold", 0.5627, 3.4)] {
        for (n, metric) in Metric::ALL.into_iter().enumerate() {
            let drift = 0.02 * n as f64;
            let row = if metric.is_distance() {
                row(model, metric, "all", 0.4 * distance + drift * 10.0, 0.3 * distance)
            } else {
                row(model, metric, "all", share - drift, 0.031)
            };
            rows.push(row);
        }
        let over_slices = row(model, Metric::Dice, "all", share - 0.1, 0.04);
        rows.push(Summary { metric: "slice_dice".to_owned(), ..over_slices });
        for (n, subgroup) in
            ["nodule_type=solid", "nodule_type=ground_glass", "diameter_mm=under_6"]
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
    };
    [(Metric::Dice, 0.8), (Metric::Iou, 0.7), (Metric::Assd, 0.6)].map(of).into()
}

fn readers() -> Vec<Readers> {
    let rating = |rating: &str, fleiss_kappa: Option<f64>| RatingAgreement {
        cohort: "luna".to_owned(),
        rating: rating.to_owned(),
        n_nodules: 1_071,
        n_ratings: 3_402,
        observed_agreement: Some(0.61),
        expected_agreement: Some(0.443),
        fleiss_kappa,
        ci_low: fleiss_kappa.map(|kappa| kappa - 0.05),
        ci_high: fleiss_kappa.map(|kappa| kappa + 0.05),
    };
    vec![
        Readers {
            cohort: "luna".to_owned(),
            n_nodules: 96,
            n_compared: 71,
            pairwise: pairwise(71, 0.9),
            ratings: vec![rating("malignancy", Some(0.3)), rating("internal_structure", None)],
        },
        Readers {
            cohort: "clinical".to_owned(),
            n_nodules: 48,
            n_compared: 0,
            pairwise: pairwise(0, 1.0),
            ratings: vec![],
        },
    ]
}

fn nodules() -> Vec<NoduleScore> {
    let mut nodules = Vec::new();
    for (model, best, spread) in [("tiny", 0.93, 0.3), ("threshold", 0.82, 0.75)] {
        for n in 0..42u64 {
            let u = ((n * 2_654_435_761) % 1000) as f64 / 1000.0;
            let missed = n % 14 == 3;
            nodules.push(NoduleScore {
                nodule_id: format!("n{n:03}"),
                model_id: model.to_owned(),
                outcome: if missed { "missed" } else { "scored" }.to_owned(),
                diameter_mm: 3.5 + 24.0 * (((n * n * 31 + 17 * n) % 97) as f64 / 97.0).powi(2),
                dice: Some(if missed { 0.0 } else { best - spread * u * u }),
            });
        }
    }
    nodules
}

/// A nodule beside a wall, with noise; the prediction is somewhat large.
fn slice(shift: f64, radius: f64) -> Slice {
    let disc = |ci: f64, cj: f64, r: f64| {
        Mask::from_fn([128, 128, 1], |i, j, _| {
            (i as f64 - ci).powi(2) + 1.4 * (j as f64 - cj).powi(2) < r * r
        })
    };
    let reference = disc(64.0, 64.0, radius);
    let hu = (0..128 * 128usize)
        .map(|n| {
            let (i, j) = ((n % 128) as f64, (n / 128) as f64);
            let noise = (n.wrapping_mul(2_654_435_761) >> 7) % 101;
            let wall = i + 0.3 * j > 138.0;
            let tissue = if reference.get(n % 128, n / 128, 0) || wall { 20 } else { -860 };
            tissue + noise as i16 - 50
        })
        .collect();
    Slice {
        size: [128, 128],
        spacing_mm: [0.7, 0.7],
        hu,
        window_hu: [-1000.0, 400.0],
        reference,
        prediction: disc(64.0 + shift, 63.0, radius * 1.12),
    }
}

fn example(rank: &str, shift: f64, radius: f64, dice: f64) -> Example {
    Example {
        rank: rank.to_owned(),
        nodule_id: format!("n-{rank}"),
        model_id: "tiny".to_owned(),
        dice: Some(dice),
        hausdorff_95_mm: Some(shift),
        diameter_mm: 1.4 * radius,
        z_mm: -121.25,
        slice: slice(shift, radius),
    }
}

fn sample() -> Content {
    let model = |id: &str, label: &str| Model { model_id: id.to_owned(), label: label.to_owned() };
    let comparison = |metric: &str, mean: f64, p: f64| Comparison {
        metric: metric.to_owned(),
        model_id: "tiny".to_owned(),
        baseline_id: "threshold".to_owned(),
        n_pairs: 42,
        mean_difference: Some(mean),
        ci_low: Some(mean - 0.1),
        ci_high: Some(mean + 0.1),
        median_difference: Some(mean * 0.9),
        wilcoxon_statistic: Some(21.0),
        p: Some(p),
        p_holm: Some(2.0 * p),
        rank_biserial: Some(0.5),
    };
    let source = |table: &str, n_rows: u64| Source {
        table: table.to_owned(),
        key: "3f9a1c20b7de4581".to_owned(),
        path: format!("{table}/3f9a1c20b7de4581/data"),
        n_rows,
    };
    Content {
        title: "Lung nodule segmentation: demo".to_owned(),
        run_id: "3f9a1c20b7de4581".to_owned(),
        tool_version: "0.1.0".to_owned(),
        metric_definition: "nodulus-1".to_owned(),
        sources: vec![source("scans", 36), source("nodule_metrics", 84), source("summary", 30)],
        cohorts: vec![cohort("luna", "luna16", 2), cohort("clinical", "volumes", 1)],
        readers: readers(),
        failures: vec![StageFailures {
            stage: "ingest".to_owned(),
            n: 2,
            causes: vec![count("slices 12 and 14 are 5 mm apart, expected 2.5 mm", 2)],
        }],
        training: epochs(),
        evaluation: Evaluation { split: "test".to_owned(), n_patients: 9, n_nodules: 42 },
        models: vec![
            model("tiny", "tiny, fine-tuned"),
            model("threshold", "best single threshold (−412 HU)"),
        ],
        summary: summary(),
        ceiling: Ceiling { n_nodules: 42, n_several_readers: 37, pairwise: pairwise(37, 1.0) },
        comparisons: vec![
            comparison("dice", 0.2687, 0.000_02),
            comparison("assd_mm", -0.96, 0.0131),
        ],
        nodules: nodules(),
        examples: vec![
            example("best", 0.3, 9.0, 0.931),
            example("median", 2.0, 6.0, 0.842),
            example("worst", 9.0, 16.0, 0.413),
        ],
    }
}

fn empty() -> Content {
    Content {
        title: "Empty".to_owned(),
        run_id: String::new(),
        tool_version: "0.1.0".to_owned(),
        metric_definition: "nodulus-1".to_owned(),
        sources: vec![],
        cohorts: vec![],
        readers: vec![],
        failures: vec![],
        training: vec![],
        evaluation: Evaluation { split: "test".to_owned(), n_patients: 0, n_nodules: 0 },
        models: vec![],
        summary: vec![],
        ceiling: Ceiling::default(),
        comparisons: vec![],
        nodules: vec![],
        examples: vec![],
    }
}

/// The page is XML as far as its elements go, so an XML parser finds what is not closed.
fn assert_well_formed(page: &str) {
    let body = page.split_once("<body>").unwrap().1.split_once("</body>").unwrap().0;
    if let Err(error) = roxmltree::Document::parse(&format!("<body>{body}</body>")) {
        panic!("{error}");
    }
}

#[test]
fn the_main_numbers_stand_in_the_page() {
    let page = render(&sample());
    assert_well_formed(&page);
    for text in [
        "42 nodules of 9 patients",
        "mean Dice <b>0.831</b>, 95% interval [0.800, 0.862], n\u{a0}=\u{a0}42, 3 missed",
        "Dice <b>+0.269</b> in the mean of 42 pairs, p &lt; 0.001 after Holm’s correction",
        "<td>39 / 42</td>",
        "<td>8 / 30 / 620 / 309</td>",
        ">Split by<",
        "<td>\u{2212}0.96</td>",
        "<td>0.013</td>",
        "Marks: Non nodule",
        "2,304",
        "ingest: 2 cases",
        "Nodule type: ground glass",
        "Diameter (mm): under 6",
        "Scores over slices",
        "z = \u{2212}121.25 mm",
        "summary/3f9a1c20b7de4581/data",
    ] {
        assert!(page.contains(text), "no `{text}`");
    }
    assert!(!page.contains("NaN") && !page.contains("inf"));
}

#[test]
fn cohorts_have_histograms_with_their_numbers() {
    let page = render(&sample());
    for text in [
        "aria-label=\"Spacing and thickness of the slices\"",
        "aria-label=\"Diameters of the nodules\"",
        "n 10, 1.25 (0.62 to 2.88)",
        "n 2096, 1.2 (0.6 to 2.9)",
        "Slice spacing (mm)</th></tr>\n<tr><th scope=\"row\">luna</th><td>20</td><td>4</td>\
         <td>1.25</td><td>0.62 to 2.88</td></tr>",
        "Slice thickness (mm)</th></tr>\n<tr><th scope=\"row\">luna</th><td>0</td><td>4</td>\
         <td>–</td><td>–</td></tr>",
    ] {
        assert!(page.contains(text), "no `{text}`");
    }
    let json = serde_json::to_string(&sample()).unwrap();
    assert!(json.contains("{\"quantity\":\"spacing_k_mm\",\"n\":20,\"n_unknown\":4"), "{json}");
}

#[test]
fn the_readers_stand_beside_the_models() {
    let page = render(&sample());
    for text in [
        "luna: 71 of 96 nodules with two or more readers",
        "clinical: 0 of 48 nodules with two or more readers",
        "<th scope=\"row\">Dice</th><td><b>0.720</b></td><td>[0.700, 0.740]</td>",
        "<th scope=\"row\">Malignancy</th><td><b>0.300</b></td><td>[0.250, 0.350]</td>\
         <td>0.610</td><td>0.443</td><td>1,071</td><td>3,402</td>",
        "<th scope=\"row\">Internal structure</th><td><b>–</b></td><td>–</td>",
        "<li>Readers with each other, in pairs: mean Dice <b>0.800</b>, 95% interval \
         [0.780, 0.820], n\u{a0}=\u{a0}37 of 42</li>",
        "<td>37 / 42</td><td>–</td><td>–</td>",
        "from the 37 of 42 scored nodules on which two or more readers were compared",
    ] {
        assert!(page.contains(text), "no `{text}`");
    }
    // Beside Dice, IoU and one distance over nodules, and nowhere else.
    assert_eq!(page.matches("<small>ceiling, in pairs</small>").count(), 3);
    let row = page.split("<small>ceiling, in pairs</small>").nth(1).unwrap();
    assert!(row.starts_with("</th><td><b>0.800</b></td>"), "{row}");
}

#[test]
fn a_ceiling_that_is_not_known_is_not_drawn() {
    let mut content = sample();
    content.ceiling = Ceiling { n_nodules: 42, n_several_readers: 0, pairwise: vec![] };
    let page = render(&content);
    assert_well_formed(&page);
    assert!(page.contains("<p>The scored nodules have one reader each, so that no ceiling"));
    assert!(!page.contains("<small>ceiling") && !page.contains("in pairs: mean Dice"));
    content.ceiling.n_several_readers = 2;
    let page = render(&content);
    assert!(page.contains("Of 42 scored nodules, 2 have two or more readers, who could not be"));
    assert!(!page.contains("one reader each"));
    assert!(!render(&empty()).contains("one reader each"));
}

#[test]
fn the_page_needs_nothing_else_and_is_the_same_again() {
    let page = render(&sample());
    assert_eq!(page, render(&sample()));
    for outside in ["<script", "<link", "src=", "@import", "url(", "href=\"http"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn an_empty_report_says_none() {
    let page = render(&empty());
    assert_well_formed(&page);
    assert!(page.matches("none").count() >= 8, "{page}");
    assert!(page.contains("0 nodules of 0 patients"));
    assert!(!page.contains("<figure"));
}

#[test]
fn no_name_becomes_markup() {
    const EVIL: &str = "\"><script>x</script>&'";
    let evil = || EVIL.to_owned();
    let mut content = sample();
    content.title = evil();
    content.run_id = evil();
    content.tool_version = evil();
    content.metric_definition = evil();
    content.evaluation.split = evil();
    for model in &mut content.models {
        model.label = evil();
    }
    for cohort in &mut content.cohorts {
        cohort.name = evil();
        cohort.layout = evil();
        cohort.exclusions[0].name = evil();
        cohort.marks[0].name = evil();
        cohort.samples[0].split = evil();
    }
    for readers in &mut content.readers {
        readers.cohort = evil();
        readers.pairwise[0].metric = evil();
        readers.ratings.iter_mut().for_each(|row| row.rating = evil());
    }
    content.failures[0].stage = evil();
    content.failures[0].causes[0].name = evil();
    for epoch in &mut content.training {
        epoch.phase = evil();
    }
    for row in content.summary.iter_mut().filter(|row| row.subgroup != "all") {
        row.subgroup = format!("{EVIL}={EVIL}");
    }
    for comparison in &mut content.comparisons {
        comparison.metric = evil();
        comparison.model_id = evil();
    }
    for example in &mut content.examples {
        example.rank = evil();
        example.nodule_id = evil();
        example.model_id = evil();
    }
    for source in &mut content.sources {
        (source.table, source.key, source.path) = (evil(), evil(), evil());
    }
    let page = render(&content);
    assert_well_formed(&page);
    assert!(!page.contains("<script"), "markup got through");
}

#[test]
fn the_json_has_no_pixels() {
    let json = serde_json::to_string(&sample()).unwrap();
    assert!(json.contains("\"hausdorff_95_mm\":0.3"));
    assert!(json.contains("\"n_several_readers\":37"));
    assert!(json.contains("\"fleiss_kappa\":0.3"));
    assert!(!json.contains("\"hu\""));
    assert_eq!(json, serde_json::to_string(&sample()).unwrap());
}
