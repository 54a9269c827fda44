//! The page of a synthetic report.

use super::sample::{empty, sample};
use super::{SECTIONS, render};
use crate::stages::report::content::Ceiling;
use crate::tables::Comparison;

/// The page is XML but for its line breaks, so an XML parser finds what is not closed.
fn assert_well_formed(page: &str) {
    let body = page.split_once("<body>").unwrap().1.split_once("</body>").unwrap().0;
    let body = body.replace("<br>", "<br/>");
    if let Err(error) = roxmltree::Document::parse(&format!("<body>{body}</body>")) {
        panic!("{error}");
    }
}

#[test]
fn the_page_holds_the_main_numbers() {
    let page = render(&sample());
    assert_well_formed(&page);
    for text in [
        "42 nodules of 9 patients",
        "<b>Warning: </b><code>tiny</code>: 4 of 42 nodules have a spacing outside",
        "pretrain: luna, 12 epochs<br>finetune: clinical, 1 epoch<br>started from <code>77aa</code>: 1 scan of \
         luna<br>started from <code>88bb</code>: unknown",
        "<td>7 scans of luna</td><td>–</td>",
        "mean Dice <b>0.831</b>, 95% interval: [0.800, 0.862], n\u{a0}=\u{a0}42, 3 missed",
        "Dice <b>+0.269</b> in the mean of 42 nodules of 17 patients, p &lt; 0.001 after Holm’s correction",
        "<td>39 / 42</td>",
        "<td>8 / 30 / 620 / 309</td>",
        ">Split by<",
        "<td>\u{2212}0.96</td>",
        "<td>0.013</td>",
        "Marks: Non nodule",
        "2,304",
        "ingest: 2 cases",
        "Texture type: ground glass",
        "Diameter (mm): under 6",
        "Metrics over slices",
        "z = \u{2212}121.25 mm",
        "<b>tiny, fine-tuned</b><br>Dice 0.931 · ASSD –<br>HD 0.60 mm · HD95 0.30 mm<br>512 of 480 mm³",
    ] {
        assert!(page.contains(text), "no `{text}`");
    }
    assert!(!page.contains("NaN") && !page.contains("inf"));
}

#[test]
fn too_few_patients_are_named_where_interval_and_test_would_stand() {
    let mut content = sample();
    let reason = || Some("fewer than 8 patients".to_owned());
    let row = &mut content.comparisons[0];
    (row.ci_low, row.ci_high, row.ci_missing_reason) = (None, None, reason());
    (row.p, row.p_holm) = (None, None);
    row.p_missing_reason = Some("fewer than 6 patients".to_owned());
    for row in &mut content.summary {
        (row.ci_low, row.ci_high, row.ci_missing_reason) = (None, None, reason());
    }
    let page = render(&content);
    assert_well_formed(&page);
    for text in [
        "mean Dice <b>0.831</b>, 95% interval: fewer than 8 patients, n",
        "nodules of 17 patients, no test: fewer than 6 patients",
        "<small>fewer than 8 patients</small>",
    ] {
        assert!(page.contains(text), "no `{text}`");
    }
}

#[test]
fn every_section_has_its_anchor_and_its_content() {
    let page = render(&sample());
    for (anchor, title, _) in SECTIONS {
        assert_eq!(page.matches(&format!("<section id=\"{anchor}\">")).count(), 1, "{anchor}");
        assert!(page.contains(&format!("<li><a href=\"#{anchor}\">{title}</a></li>")));
    }
    let section = |anchor: &str| {
        let from = page.split_once(&format!("<section id=\"{anchor}\">")).unwrap().1;
        from.split_once("</section>").unwrap().0.to_owned()
    };
    // A chart for each metric, then one for each model.
    assert_eq!(section("distributions").matches("class=\"chart\"").count(), 9 + 2);
    let volumes = section("volumes");
    assert_eq!(volumes.matches("class=\"chart\"").count(), 2);
    // Mean -24, SD 0.017 and 1.96 times as much to either side.
    assert!(
        volumes.contains("<td><b>\u{2212}24.0</b></td><td>[\u{2212}24.0, \u{2212}24.0]</td>"),
        "{volumes}"
    );
    let classifier = section("calibration");
    // Of pixels, then of slices.
    assert_eq!(classifier.matches("class=\"chart\"").count(), 2);
    assert!(
        classifier.contains("<td>1,800</td><td><b>0.033</b> <small>[0.023, 0.043]</small></td>")
    );
    assert!(classifier.contains("<td>180</td><td><b>0.971</b> <small>[0.961, 0.981]</small></td>"));
    let cases = section("cases");
    assert_eq!((cases.matches("<image").count(), cases.matches("<use").count()), (3, 6));
    assert!(cases.contains("Best by the Dice of tiny, fine-tuned: nodule <code>n-best</code>"));
    let provenance = section("provenance");
    let hash = "<code>0123456789abcdef0123456789abcdef<br>0123456789abcdef0123456789abcdef</code>";
    assert!(provenance.contains(&format!(
        "<td>evaluate</td><td>3 / 2</td><td>0.1.0</td><td>41</td><td>84</td><td>{hash}</td>"
    )));
    assert_eq!(provenance.matches("<details>").count(), 1);
    assert!(page.contains("Each reader against the others: mean Dice <b>0.866</b>"));
}

#[test]
fn the_summary_compares_with_the_leading_model_alone() {
    let mut content = sample();
    let other = Comparison { model_id: "other".to_owned(), ..content.comparisons[0].clone() };
    content.comparisons.push(other);
    let page = render(&content);
    assert_eq!(page.matches("in the mean of 42 nodules").count(), 1);
    assert!(page.contains(">other − region growing (baseline)"));
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
fn readers_have_rows_beside_the_models() {
    let page = render(&sample());
    for text in [
        "luna: 71 of 96 nodules with two or more readers",
        "clinical: 0 of 48 nodules with two or more readers",
        "<th scope=\"row\">Dice</th><td><b>0.720</b></td><td>[0.700, 0.740]</td>",
        "<th scope=\"row\">Malignancy</th><td><b>0.300</b> \
         <small>[0.250, 0.350]</small></td><td><b>0.500</b> <small>[0.450, 0.550]</small></td><td>0.610</td><td>0.443</td><td>1,071</td><td>3,402</td>",
        "<th scope=\"row\">Internal structure</th><td><b>–</b></td><td><b>–</b></td>",
        "<li>Readers with each other, in pairs: mean Dice <b>0.800</b>, 95% interval: \
         [0.780, 0.820], n\u{a0}=\u{a0}37 of 42</li>",
        "<td>37 / 42</td><td>–</td><td>–</td>",
        "from the 37 of 42 evaluated nodules on which two or more readers were compared",
    ] {
        assert!(page.contains(text), "no `{text}`");
    }
    // Beside Dice, IoU and one distance over nodules, and nowhere else.
    assert_eq!(page.matches("<small>ceiling, in pairs</small>").count(), 3);
    let row = page.split("<small>ceiling, in pairs</small>").nth(1).unwrap();
    assert!(row.starts_with("</th><td><b>0.800</b></td>"), "{row}");
}

#[test]
fn an_unknown_ceiling_is_explained() {
    let mut content = sample();
    content.ceiling = Ceiling { n_nodules: 42, n_several_readers: 0, pairwise: vec![] };
    let page = render(&content);
    assert_well_formed(&page);
    assert!(
        page.contains("<p>The evaluated nodules have one reader each, so that there is no ceiling")
    );
    assert!(!page.contains("<small>ceiling") && !page.contains("in pairs: mean Dice"));
    content.ceiling.n_several_readers = 2;
    let page = render(&content);
    assert!(page.contains("Of 42 evaluated nodules, 2 have two or more readers, who could not be"));
    assert!(!page.contains("one reader each"));
    assert!(!render(&empty()).contains("one reader each"));
}

#[test]
fn the_page_is_self_contained_and_deterministic() {
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
    assert!(page.matches("none").count() >= 12, "{page}");
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
        model.predictions = vec![evil()];
    }
    for cohort in &mut content.cohorts {
        cohort.name = evil();
        cohort.layout = evil();
        cohort.exclusions[0].name = evil();
        cohort.left_out[0].name = evil();
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
    for case in &mut content.cases {
        (case.rank, case.nodule_id, case.ranked_by) = (evil(), evil(), evil());
        case.predictions[1].model_id = evil();
    }
    content.volumes[0].model_id = evil();
    content.calibration[0].model_id = evil();
    content.pixel_calibration[0].model_id = evil();
    for source in &mut content.provenance {
        (source.name, source.key, source.content_sha256) = (evil(), evil(), evil());
        if let Some(made) = &mut source.made {
            (made.path, made.stage, made.tool_version) = (evil(), evil(), evil());
            made.settings = serde_json::json!({EVIL: EVIL, "seed": EVIL});
        }
    }
    let page = render(&content);
    assert_well_formed(&page);
    assert!(!page.contains("<script"), "a name became markup");
}

#[test]
fn the_json_has_no_pixels() {
    let json = serde_json::to_string(&sample()).unwrap();
    assert!(json.contains("\"hausdorff_95_mm\":0.3"));
    assert!(json.contains("\"diameter_mm\":3.5,\"nodule_id\":\"n000\",\"patient_id\":\"p0\""));
    assert!(json.contains("\"settings\":{\"seed\":41}"));
    assert!(json.contains("\"n_several_readers\":37"));
    assert!(json.contains("\"fleiss_kappa\":0.3"));
    assert!(!json.contains("\"hu\""));
    assert_eq!(json, serde_json::to_string(&sample()).unwrap());
}
