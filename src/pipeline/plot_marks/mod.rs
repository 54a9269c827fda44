//! Draws what each reader marked of a series' nodules, over the slice or over a blank grid.

mod shapes;
mod view;

use super::export::folder::{Folder, Record};
use super::export::{Error, one_cohort};
use crate::tables::marks::MarkContour;
use crate::tables::{Output, Table};
use nodulus_store::Store;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use view::View;

/// Options of the drawing.
#[derive(Clone, Copy, Debug)]
pub struct PlotOptions<'a> {
    /// The cohort; `None` for the only one.
    pub cohort: Option<&'a str>,
    /// The series.
    pub series: &'a str,
    /// The only nodule to draw; `None` for all of the series.
    pub nodule: Option<&'a str>,
    /// Hounsfield units of black and white; `None` for those that normalise to 0 and 1.
    pub window_hu: Option<[f64; 2]>,
}

/// Settings and counts of the drawing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlotDescription {
    /// The cohort.
    pub cohort: String,
    /// The series.
    pub series_instance_uid: String,
    /// Number of nodules that were drawn.
    pub n_nodules: usize,
    /// Number of them over their slice; the others are over a blank grid.
    pub n_over_slice: usize,
}

/// The columns of `scans` that are read.
#[derive(Deserialize)]
struct ScanColumns {
    cohort: String,
    series_instance_uid: String,
    spacing_i_mm: f64,
    spacing_j_mm: f64,
    spacing_k_mm: Option<f64>,
}

/// A mark as it was drawn.
#[derive(Clone, Debug, Deserialize)]
struct DrawnMark {
    mark_id: String,
    cohort: String,
    series_instance_uid: String,
    reading_session: i64,
    reader: Option<String>,
    kind: String,
    contours: Vec<MarkContour>,
}

/// A nodule of the series.
#[derive(Clone, Debug, Deserialize)]
struct ShownNodule {
    nodule_id: String,
    cohort: String,
    series_instance_uid: String,
    mark_ids: Vec<String>,
}

/// A slice of a nodule's region.
#[derive(Clone, Debug, Deserialize)]
struct RegionColumns {
    nodule_id: String,
    z_mm: f64,
    start_i: f64,
    start_j: f64,
    width: i64,
    height: i64,
    spacing_i_mm: f64,
    spacing_j_mm: f64,
    native_spacing_i_mm: f64,
    native_spacing_j_mm: f64,
    #[serde(with = "serde_bytes")]
    hu: Vec<u8>,
    norm_low_hu: f64,
    norm_high_hu: f64,
}

const REGION_COLUMNS: [&str; 13] = [
    "nodule_id",
    "z_mm",
    "start_i",
    "start_j",
    "width",
    "height",
    "spacing_i_mm",
    "spacing_j_mm",
    "native_spacing_i_mm",
    "native_spacing_j_mm",
    "hu",
    "norm_low_hu",
    "norm_high_hu",
];

/// Pixels of a slice about a nodule, by the scan's pixels.
struct RegionSlice {
    z_mm: f64,
    start: [f64; 2],
    /// Pixels of the region for each of the scan, along i and j.
    scale: [f64; 2],
    size: [usize; 2],
    hu: Vec<u8>,
    window_hu: [f64; 2],
}

impl RegionSlice {
    fn of(row: RegionColumns) -> Self {
        let size = |n: i64| usize::try_from(n).unwrap_or_default();
        Self {
            z_mm: row.z_mm,
            start: [row.start_i, row.start_j],
            scale: [
                row.native_spacing_i_mm / row.spacing_i_mm,
                row.native_spacing_j_mm / row.spacing_j_mm,
            ],
            size: [size(row.width), size(row.height)],
            hu: row.hu,
            window_hu: [row.norm_low_hu, row.norm_high_hu],
        }
    }

    /// The value of the nearest pixel to a position in the scan's pixels; `None` outside the region.
    fn hu_at(&self, pixel: [f64; 2]) -> Option<i16> {
        let at: [f64; 2] =
            std::array::from_fn(|a| ((pixel[a] - self.start[a]) * self.scale[a]).round());
        let is_inside = (0..2).all(|a| at[a] >= 0.0 && at[a] < self.size[a] as f64);
        let n = 2 * (at[1] as usize * self.size[0] + at[0] as usize);
        let bytes = self.hu.get(n..n + 2).filter(|_| is_inside)?;
        Some(i16::from_le_bytes(bytes.try_into().ok()?))
    }
}

/// Draws each nodule of a series on the slice where most readers drew it: `NODULE.svg` and `NODULE.png`, with each reader in a
/// colour, each nodule in a style of line, points, a legend and a bar of known length.
///
/// The slice is that of the nodule's region where the store has `rois`; otherwise the marks are on a grid of pixels. The files
/// replace those of an earlier export when all are finished.
///
/// # Errors
///
/// Fails if the store lacks a table, the cohort, the series or the nodule, no nodule of the series has lines, or the folder has a
/// file that no export wrote.
pub fn plot(
    store: &Store,
    to: &Path,
    options: PlotOptions<'_>,
) -> Result<Record<PlotDescription>, Error> {
    let require = |table| store.require(Output::Table(table));
    let (scans, marks, nodules) =
        (require(Table::Scans)?, require(Table::Marks)?, require(Table::Nodules)?);
    for version in [&scans, &marks] {
        super::export::check_made_of(&nodules, version)?;
    }
    let mut inputs: Vec<_> =
        [&scans, &marks, &nodules].map(|version| version.manifest.as_input()).into();
    let mut own = Vec::new();
    let columns = ["cohort", "series_instance_uid", "spacing_i_mm", "spacing_j_mm", "spacing_k_mm"];
    for batch in scans.columns::<ScanColumns>(&columns) {
        own.extend(batch?.into_iter().filter(|scan| scan.series_instance_uid == options.series));
    }
    let series = options.series.to_owned();
    if own.is_empty() {
        return Err(Error::NoSeries { series });
    }
    let cohort = one_cohort(&own.iter().map(|scan| scan.cohort.clone()).collect(), options.cohort)?;
    let scan = own.into_iter().find(|scan| scan.cohort == cohort);
    let scan = scan.ok_or_else(|| Error::NoSeries { series: series.clone() })?;

    let mut drawn: Vec<DrawnMark> = Vec::new();
    let columns = [
        "mark_id",
        "cohort",
        "series_instance_uid",
        "reading_session",
        "reader",
        "kind",
        "contours",
    ];
    for batch in marks.columns::<DrawnMark>(&columns) {
        let is_own = |m: &DrawnMark| m.cohort == cohort && m.series_instance_uid == series;
        drawn.extend(batch?.into_iter().filter(is_own));
    }
    let mut all: Vec<ShownNodule> = Vec::new();
    let columns = ["nodule_id", "cohort", "series_instance_uid", "mark_ids"];
    for batch in nodules.columns::<ShownNodule>(&columns) {
        let is_own = |n: &ShownNodule| n.cohort == cohort && n.series_instance_uid == series;
        all.extend(batch?.into_iter().filter(is_own));
    }
    let chosen = |nodule: &&ShownNodule| options.nodule.is_none_or(|id| nodule.nodule_id == id);
    let ids: BTreeSet<&str> = all.iter().filter(chosen).map(|n| n.nodule_id.as_str()).collect();
    if let Some(nodule) = options.nodule.filter(|_| ids.is_empty()) {
        let found = all.iter().map(|nodule| nodule.nodule_id.clone()).collect();
        return Err(Error::NoNodule { nodule: nodule.to_owned(), series, found });
    }
    let mut regions: BTreeMap<String, Vec<RegionSlice>> = BTreeMap::new();
    if let Some(rois) = store.current(Output::Table(Table::Rois))? {
        for batch in rois.columns::<RegionColumns>(&REGION_COLUMNS) {
            for row in batch?.into_iter().filter(|row| ids.contains(row.nodule_id.as_str())) {
                regions.entry(row.nodule_id.clone()).or_default().push(RegionSlice::of(row));
            }
        }
        inputs.push(rois.manifest.as_input());
    }

    let folder = Folder::open(to)?;
    let reach_mm = scan.spacing_k_mm.unwrap_or(1.0) / 2.0;
    let (mut n_nodules, mut n_over_slice) = (0, 0);
    for nodule in all.iter().filter(chosen) {
        let Some(z_mm) = busiest_height(&drawn, nodule) else { continue };
        let on_slice =
            |mark: &&DrawnMark| mark.contours.iter().any(|c| (c.z_mm - z_mm).abs() < reach_mm);
        let shown: Vec<&DrawnMark> = drawn.iter().filter(on_slice).collect();
        let is_there =
            |other: &&ShownNodule| shown.iter().any(|m| other.mark_ids.contains(&m.mark_id));
        let others = all.iter().filter(|other| other.nodule_id != nodule.nodule_id);
        let region = regions
            .get(&nodule.nodule_id)
            .and_then(|slices| slices.iter().find(|slice| (slice.z_mm - z_mm).abs() < reach_mm));
        let view = View {
            series: &series,
            z_mm,
            spacing_mm: [scan.spacing_i_mm, scan.spacing_j_mm],
            nodules: std::iter::once(nodule).chain(others.filter(is_there)).collect(),
            marks: shown.clone(),
            region,
            window_hu: options.window_hu,
            reach_mm,
        };
        let Some(picture) = view.picture() else { continue };
        let file = |extension| folder.aside().join(format!("{}.{extension}", nodule.nodule_id));
        fs_err::write(file("svg"), picture.to_svg()?)?;
        fs_err::write(file("png"), picture.to_png()?)?;
        n_nodules += 1;
        n_over_slice += usize::from(region.is_some());
    }
    if n_nodules == 0 {
        return Err(Error::NothingDrawn { series });
    }
    let about = PlotDescription { cohort, series_instance_uid: series, n_nodules, n_over_slice };
    folder.publish("plot-marks", about, inputs)
}

/// The height at which most of a nodule's marks have a line, the middle one of several; `None` if none has lines.
fn busiest_height(marks: &[DrawnMark], nodule: &ShownNodule) -> Option<f64> {
    let mut heights: BTreeMap<u64, (f64, usize)> = BTreeMap::new();
    for mark in marks.iter().filter(|mark| nodule.mark_ids.contains(&mark.mark_id)) {
        let own: BTreeSet<u64> = mark.contours.iter().map(|c| (c.z_mm + 0.0).to_bits()).collect();
        for bits in own {
            heights.entry(bits).or_insert((f64::from_bits(bits), 0)).1 += 1;
        }
    }
    let most = heights.values().map(|(_, n)| *n).max()?;
    let mut best: Vec<f64> =
        heights.into_values().filter(|(_, n)| *n == most).map(|(z, _)| z).collect();
    best.sort_by(f64::total_cmp);
    best.get(best.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::MarkKind;

    fn mark(id: &str, session: i64, heights: &[f64]) -> DrawnMark {
        let points = vec![[100, 50], [110, 50], [110, 60], [100, 60]];
        let contour =
            |z_mm: &f64| MarkContour { z_mm: *z_mm, inclusion: true, points: points.clone() };
        DrawnMark {
            mark_id: id.to_owned(),
            cohort: "c".to_owned(),
            series_instance_uid: "1.2".to_owned(),
            reading_session: session,
            reader: None,
            kind: MarkKind::Nodule.name().to_owned(),
            contours: heights.iter().map(contour).collect(),
        }
    }

    fn nodule(id: &str, marks: &[&str]) -> ShownNodule {
        ShownNodule {
            nodule_id: id.to_owned(),
            cohort: "c".to_owned(),
            series_instance_uid: "1.2".to_owned(),
            mark_ids: marks.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn the_slice_is_where_most_readers_drew() {
        let marks = [
            mark("a", 0, &[-4.0, -2.0, 0.0]),
            mark("b", 1, &[-2.0, 0.0, 2.0]),
            mark("c", 2, &[9.0]),
        ];
        assert_eq!(busiest_height(&marks, &nodule("n", &["a", "b"])), Some(0.0));
        assert_eq!(busiest_height(&marks, &nodule("n", &["c"])), Some(9.0));
        assert_eq!(busiest_height(&marks, &nodule("n", &[])), None);
    }

    #[test]
    fn a_legend_names_what_is_drawn() {
        let far = |id: &str, kind: MarkKind, points: Vec<[i64; 2]>| {
            let contours = vec![MarkContour { z_mm: 0.0, inclusion: true, points }];
            DrawnMark { kind: kind.name().to_owned(), contours, ..mark(id, 2, &[]) }
        };
        let marks = [
            mark("a", 2, &[0.0]),
            far("b", MarkKind::NonNodule, vec![[300, 50]]),
            far("c", MarkKind::Nodule, vec![[300, 50], [301, 51], [300, 52], [299, 51]]),
            mark("d", 1, &[0.0]),
            far("e", MarkKind::SmallNodule, vec![[105, 55]]),
        ];
        let nodules = [nodule("n-1", &["a"]), nodule("n-2", &["c"]), nodule("n-3", &["d"])];
        let view = View {
            series: "1.2",
            z_mm: 0.0,
            spacing_mm: [0.5, 0.5],
            nodules: nodules.iter().collect(),
            marks: marks.iter().collect(),
            region: None,
            window_hu: None,
            reach_mm: 1.0,
        };
        let svg = view.picture().unwrap().to_svg().unwrap();
        assert!(
            svg.contains("reader 2: nodule, small_nodule<") && svg.contains("reader 1: nodule<")
        );
        assert!(svg.contains("nodule n-3") && !svg.contains("nodule n-2"), "{svg}");
        // The line of the second nodule that is drawn.
        assert!(svg.contains("dasharray=\"16 6\"") && !svg.contains("16 5 2 5"), "{svg}");
        // Without the point, nothing is said of it.
        let view = View { marks: marks[..4].iter().collect(), ..view };
        let svg = view.picture().unwrap().to_svg().unwrap();
        assert!(svg.contains("reader 2: nodule<"), "{svg}");
    }

    #[test]
    fn readers_have_colours_and_nodules_styles() {
        let marks = [mark("a", 0, &[0.0]), mark("b", 1, &[0.0]), mark("c", 2, &[0.0])];
        let (own, other) = (nodule("n-1", &["a"]), nodule("n-2", &["b"]));
        let hu: Vec<u8> = (0..16i16).flat_map(i16::to_le_bytes).collect();
        let region = RegionSlice {
            z_mm: 0.0,
            start: [104.0, 54.0],
            scale: [1.0; 2],
            size: [4, 4],
            hu,
            window_hu: [0.0, 15.0],
        };
        assert_eq!(region.hu_at([105.2, 56.0]), Some(9));
        assert_eq!((region.hu_at([103.0, 56.0]), region.hu_at([108.0, 56.0])), (None, None));
        let view = View {
            series: "1.2",
            z_mm: 0.0,
            spacing_mm: [0.5, 0.5],
            nodules: vec![&own, &other],
            marks: marks.iter().collect(),
            region: Some(&region),
            window_hu: None,
            reach_mm: 1.0,
        };
        let svg = view.picture().unwrap().to_svg().unwrap();
        for part in [
            "#0072b2",
            "#d55e00",
            "#009e73",
            "stroke-dasharray=\"16 6\"",
            "stroke-dasharray=\"2 6\"",
            "reader 2: nodule",
            "nodule n-2: 1 marks",
            "5 mm",
            "<image",
        ] {
            assert!(svg.contains(part), "{part}");
        }
        let blank = View { region: None, ..view };
        let svg = blank.picture().unwrap().to_svg().unwrap();
        assert!(!svg.contains("<image") && svg.contains(">100</text>"), "{svg}");
    }
}
