//! The report in a browser.

use crate::{fixture, python};
use nodulus_test_needs::{Need, skip};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

const SECTIONS: [&str; 14] = [
    "summary",
    "cohorts",
    "readers",
    "failures",
    "training",
    "results",
    "distributions",
    "volumes",
    "calibration",
    "comparisons",
    "subgroups",
    "cases",
    "definitions",
    "provenance",
];

/// Opens a report in headless Chromium: light and dark, wide and narrow, and printed. Without a browser the check is
/// skipped. Screenshots go to a folder of the build's temporary files.
pub(crate) fn assert_opens(report: &Path, name: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report_page").join(name);
    fs_err::create_dir_all(&folder).unwrap();
    let arguments = [report, &folder].map(|path| path.to_str().unwrap());
    let Some(text) = python::script("open_report.py", &arguments) else { return };
    let found: Value = serde_json::from_str(&text).unwrap();
    if let Some(why) = found["skipped"].as_str() {
        skip(Need::Peer, why);
        return;
    }
    let sections = found["sections"].as_object().unwrap();
    let ids: Vec<&str> = sections.keys().map(String::as_str).collect();
    assert_eq!(BTreeSet::from(SECTIONS), ids.into_iter().collect());
    for (id, height) in sections {
        assert!(height.as_f64().unwrap() > 40.0, "section {id} is {height} high");
    }
    assert_eq!(found["errors"], Value::Array(vec![]));
    assert_eq!(found["dead_links"], Value::Array(vec![]));
    for url in found["requests"].as_array().unwrap() {
        let url = url.as_str().unwrap();
        assert!(
            url.starts_with("file://") && url.ends_with("report.html") || url.starts_with("data:")
        );
    }
    let views = found["views"].as_array().unwrap();
    assert_eq!(views.len(), 4);
    for view in views {
        let (scheme, width) = (&view["scheme"], view["width"].as_u64().unwrap());
        assert!(view["page"].as_u64().unwrap() <= width, "{scheme} scrolls sideways at {width}");
        assert_eq!(view["overlap"], Value::Array(vec![]), "{scheme} at {width}");
        assert_eq!(view["cut_captions"], Value::Array(vec![]), "{scheme} at {width}");
        let [ground, ink] = ["background", "ink"].map(|name| brightness(&view[name]));
        assert_eq!(ground > ink, scheme == "light", "{view}");
        assert!((ground - ink).abs() > 150, "{view}");
        assert_drawn(Path::new(view["screenshot"].as_str().unwrap()), width);
    }
    // In print it is light even if the screen was dark, and nothing is cut off.
    assert_eq!(found["print"]["cut"], Value::Array(vec![]));
    assert_eq!(brightness(&found["print"]["background"]), 255);
    let pdf = fs_err::read(found["pdf"].as_str().unwrap()).unwrap();
    assert!(pdf.starts_with(b"%PDF-") && pdf.len() > 20_000, "{} bytes of PDF", pdf.len());
}

/// Mean of the three channels of `rgb(r, g, b)`.
fn brightness(colour: &Value) -> i64 {
    let text = colour.as_str().unwrap();
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    numbers.take(3).map(|digits| digits.parse::<i64>().unwrap()).sum::<i64>() / 3
}

/// Checks that a screenshot is a PNG as wide as the window, longer than a page, and not empty.
fn assert_drawn(path: &Path, width: u64) {
    let file = std::io::BufReader::new(fs_err::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let (wide, high) = reader.info().size();
    assert!(u64::from(wide) == width && high > 3_000, "{}: {wide} × {high}", path.display());
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let rows: Vec<&[u8]> = pixels.chunks(info.line_size).collect();
    let channels = info.line_size / wide as usize;
    let colours: BTreeSet<&[u8]> = pixels.chunks(channels).collect();
    assert!(colours.len() > 100, "{}: {} colours", path.display(), colours.len());
    // No tenth of the page is empty.
    for tenth in rows.chunks(rows.len().div_ceil(10)) {
        let blank = tenth
            .iter()
            .flat_map(|row| row.chunks(channels))
            .all(|pixel| pixel == &rows[0][..channels]);
        assert!(!blank, "{}: a part is blank", path.display());
    }
}

#[test]
fn the_report_opens_in_a_browser_and_prints() {
    let store = fixture::finished().join("store");
    assert_opens(&fixture::current(&store, "report").join("report.html"), "run");
}

#[test]
fn the_json_has_what_the_page_shows() {
    let store = fixture::finished().join("store");
    let folder = fixture::current(&store, "report");
    let text = fs_err::read(folder.join("report.json")).unwrap();
    let report: Value = serde_json::from_slice(&text).unwrap();
    let page = fs_err::read_to_string(folder.join("report.html")).unwrap();
    assert_eq!(report["report_version"], 9);
    let list = |name: &str| report[name].as_array().unwrap().clone();
    for source in list("provenance") {
        assert!(page.contains(source["key"].as_str().unwrap()), "{source}");
        let (first, second) = source["content_sha256"].as_str().unwrap().split_at(32);
        assert!(page.contains(first) && page.contains(second), "{source}");
    }
    // Every output of the store except the report itself and the failures, and the source files.
    let names: BTreeSet<String> =
        list("provenance").iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect();
    let mut expected: BTreeSet<String> = nodulus::tables::Output::all()
        .map(|output| output.name().to_owned())
        .filter(|name| name != "report" && name != "failures")
        .collect();
    expected.insert("sources".to_owned());
    assert_eq!(names, expected);

    // The bins of the chart give the calibration error in `summary`.
    let summary = list("summary");
    let row = |model: &Value, metric: &str| {
        let of =
            |r: &&Value| r["model_id"] == *model && r["metric"] == metric && r["subgroup"] == "all";
        summary.iter().find(of).unwrap().clone()
    };
    let [of_slices, of_pixels] = ["calibration", "pixel_calibration"].map(&list);
    assert_eq!((of_slices.len(), of_pixels.len()), (1, 1));
    let nodule_pixels = |row: &Value| row["calibration_pixels"].as_array().cloned();
    let bins: Vec<Value> = list("nodules").iter().filter_map(nodule_pixels).flatten().collect();
    let n_pixels: u64 = bins.iter().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(of_pixels[0]["n"], n_pixels);
    let diagrams = [(&of_slices[0], "classifier_ece"), (&of_pixels[0], "pixel_ece")];
    for (model, metric) in diagrams {
        let off = |bin: &Value| {
            let [p, share] =
                ["mean_probability", "share_with_nodule"].map(|name| bin[name].as_f64());
            Some(bin["n"].as_f64()? * (share? - p?).abs())
        };
        let n = model["n"].as_f64().unwrap();
        let ece: f64 = model["bins"].as_array().unwrap().iter().filter_map(off).sum::<f64>() / n;
        let expected = row(&model["model_id"], metric);
        assert!(metric == "pixel_ece" || expected["n_total"] == model["n"]);
        assert!((ece - expected["mean"].as_f64().unwrap()).abs() < 1e-9, "{ece}, {expected}");
    }

    // Limits of agreement computed from `nodule_metrics`.
    let nodules = list("nodules");
    assert_eq!(list("volumes").len(), list("models").len());
    for model in list("volumes") {
        let of_model = nodules.iter().filter(|n| n["model_id"] == model["model_id"]);
        let errors: Vec<f64> = of_model
            .map(|n| {
                n["predicted_volume_mm3"].as_f64().unwrap()
                    - n["reference_volume_mm3"].as_f64().unwrap()
            })
            .collect();
        let n = errors.len() as f64;
        let mean = errors.iter().sum::<f64>() / n;
        let sd = (errors.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        for (name, expected) in [
            ("mean_mm3", mean),
            ("lower_limit_mm3", mean - 1.96 * sd),
            ("upper_limit_mm3", mean + 1.96 * sd),
        ] {
            assert!((model[name].as_f64().unwrap() - expected).abs() < 1e-6, "{name}: {model}");
        }
    }
    assert!(!list("cases").is_empty());
    for case in list("cases") {
        for prediction in case["predictions"].as_array().unwrap() {
            let of = |n: &&Value| {
                n["model_id"] == prediction["model_id"] && n["nodule_id"] == case["nodule_id"]
            };
            let score = nodules.iter().find(of).unwrap();
            for name in ["dice", "hausdorff_mm", "assd_mm", "predicted_volume_mm3"] {
                assert_eq!(prediction[name], score[name], "{name}");
            }
        }
    }
}
