//! The rows of LUNA16's files as LUNA16 made them, from the lines that LIDC's readers drew.

use super::rows::ScanColumns;
use crate::pipeline::export::Error;
use crate::tables::MarkKind;
use crate::tables::marks::MarkContour;
use nodulus_formats::lidc_xml::Contour;
use nodulus_formats::luna_csv::{self, Finding};
use nodulus_imaging::luna16_mask::luna16_pixels;
use nodulus_imaging::luna16_merge::luna16_rows;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::f64::consts::PI;

/// The columns of `marks` that are read.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct DrawnColumns {
    pub(super) mark_id: String,
    pub(super) cohort: String,
    pub(super) series_instance_uid: String,
    pub(super) reading_session: i64,
    pub(super) kind: String,
    pub(super) contours: Vec<MarkContour>,
}

pub(super) const DRAWN_COLUMNS: [&str; 6] =
    ["mark_id", "cohort", "series_instance_uid", "reading_session", "kind", "contours"];

/// A mark as LUNA16 measured it.
#[derive(Clone, Copy, Debug)]
struct MeasuredMark {
    session: i64,
    centre_mm: [f64; 3],
    /// `None` for a point.
    diameter_mm: Option<f64>,
}

/// The marks of a cohort's scans as LUNA16 measured them.
pub(super) struct PublishedMarks {
    scans: BTreeMap<String, (Grid, Vec<MeasuredMark>)>,
    /// Marks without a voxel, or off the image.
    pub(super) n_unplaced: usize,
}

/// A nodule of the reference standard, or another row.
pub(super) struct PublishedRows {
    pub(super) annotations: Vec<Finding>,
    pub(super) findings: Vec<Finding>,
}

impl PublishedMarks {
    /// The scans of a cohort, still without marks.
    ///
    /// # Errors
    ///
    /// Fails if a series is there twice, or a scan has no even grid of axial slices.
    pub(super) fn new<'a>(scans: impl Iterator<Item = &'a ScanColumns>) -> Result<Self, Error> {
        let mut found = BTreeMap::new();
        for scan in scans {
            let series = &scan.series_instance_uid;
            let grid = Grid::of(scan).ok_or_else(|| Error::NoGrid { series: series.clone() })?;
            if found.insert(series.clone(), (grid, Vec::new())).is_some() {
                return Err(Error::SeriesTwice { series: series.clone() });
            }
        }
        Ok(Self { scans: found, n_unplaced: 0 })
    }

    /// Adds a mark; marks of other scans are ignored. The marks of a scan come in the order of its file.
    ///
    /// # Errors
    ///
    /// Fails if the mark is a mask without lines, which LUNA16's rule cannot draw.
    pub(super) fn add(&mut self, mark: &DrawnColumns) -> Result<(), Error> {
        let Some((grid, marks)) = self.scans.get_mut(&mark.series_instance_uid) else {
            return Ok(());
        };
        if mark.contours.is_empty() {
            let (mark_id, series) = (mark.mark_id.clone(), mark.series_instance_uid.clone());
            return Err(Error::NoLines { mark_id, series });
        }
        let is_nodule = mark.kind == MarkKind::Nodule.name();
        let measured = if is_nodule { grid.outlined(mark) } else { grid.point(mark) };
        match measured {
            Some(measured) => marks.push(measured),
            None => self.n_unplaced += 1,
        }
        Ok(())
    }

    /// The rows of both files, by series and in the order of the marks.
    pub(super) fn rows(self, min_marks: i64) -> PublishedRows {
        let (mut annotations, mut findings) = (Vec::new(), Vec::new());
        for (series, (_, marks)) in self.scans {
            let outlined = || marks.iter().filter_map(|mark| Some((mark, mark.diameter_mm?)));
            let (centres, diameters): (Vec<_>, Vec<_>) =
                outlined().map(|(mark, diameter)| (mark.centre_mm, diameter)).unzip();
            let sessions: Vec<i64> = outlined().map(|(mark, _)| mark.session).collect();
            let mut merged = luna16_rows(&centres, &diameters, &sessions).into_iter();
            for mark in &marks {
                let row = mark.diameter_mm.and_then(|_| merged.next());
                let [x_mm, y_mm, z_mm] = row.map_or(mark.centre_mm, |row| row.centre_mm);
                let diameter_mm = row.map(|row| row.diameter_mm);
                let series_instance_uid = series.clone();
                let finding = Finding { series_instance_uid, x_mm, y_mm, z_mm, diameter_mm };
                let is_nodule = row.is_some_and(|row| row.n_marks as i64 >= min_marks);
                if is_nodule { &mut annotations } else { &mut findings }.push(finding);
            }
        }
        PublishedRows { annotations, findings }
    }
}

/// The even grid of a scan, as the header that LUNA16 wrote.
#[derive(Clone, Copy, Debug)]
struct Grid {
    origin_mm: [f64; 3],
    direction: [f64; 9],
    spacing_mm: [f64; 3],
    size: Option<[usize; 2]>,
}

/// Slices are axial where the z component of their normal is at least this.
const AXIAL_COSINE: f64 = 0.999;

impl Grid {
    /// METHOD: LUNA16's headers have the spacing within a slice to six digits, and its positions follow from it. The decimal
    /// number is rounded half up: 0.6640625 is 0.664063 there, as the steps between its rows of points show.
    fn of(scan: &ScanColumns) -> Option<Self> {
        let direction: [f64; 9] = scan.direction.as_deref()?.try_into().ok()?;
        let size = |n: Option<i64>| usize::try_from(n?).ok();
        let grid = Self {
            origin_mm: [scan.origin_x_mm?, scan.origin_y_mm?, scan.origin_z_mm?],
            direction,
            spacing_mm: [
                six_digits(scan.spacing_i_mm)?,
                six_digits(scan.spacing_j_mm)?,
                scan.spacing_k_mm?,
            ],
            size: size(scan.n_columns).zip(size(scan.n_rows)).map(<[usize; 2]>::from),
        };
        (grid.direction[8].abs() >= AXIAL_COSINE).then_some(grid)
    }

    /// The slice of a height on the even grid, which goes on beyond the scan.
    fn slice_at(&self, z_mm: f64) -> f64 {
        ((z_mm - self.origin_mm[2]) / (self.spacing_mm[2] * self.direction[8]) + 0.5).floor()
    }

    fn patient_mm(&self, ijk: [f64; 3]) -> [f64; 3] {
        let along: [f64; 3] = std::array::from_fn(|a| ijk[a] * self.spacing_mm[a]);
        std::array::from_fn(|r| {
            self.origin_mm[r] + (0..3).map(|c| self.direction[3 * r + c] * along[c]).sum::<f64>()
        })
    }

    fn point(&self, mark: &DrawnColumns) -> Option<MeasuredMark> {
        let contour = mark.contours.first()?;
        let [i, j] = *contour.points.first()?;
        let centre_mm = self.patient_mm([i as f64, j as f64, self.slice_at(contour.z_mm)]);
        Some(MeasuredMark { session: mark.reading_session, centre_mm, diameter_mm: None })
    }

    /// The centre and diameter of an outlined mark; `None` if it has no voxel, or one of its points is off the image.
    fn outlined(&self, mark: &DrawnColumns) -> Option<MeasuredMark> {
        let mut slices: BTreeMap<i64, Vec<Contour>> = BTreeMap::new();
        for contour in &mark.contours {
            let k = self.slice_at(contour.z_mm) as i64;
            slices.entry(k).or_default().push(Contour {
                z_mm: contour.z_mm,
                inclusion: contour.inclusion,
                points: contour.points.clone(),
                sop_instance_uid: String::new(),
            });
        }
        let (mut n, mut sums) = (0usize, [0.0; 3]);
        for (k, contours) in &slices {
            let pixels = luna16_pixels(&contours.iter().collect::<Vec<_>>(), self.size)?;
            n += pixels.len();
            sums[0] += pixels.iter().map(|[i, _]| *i as f64).sum::<f64>();
            sums[1] += pixels.iter().map(|[_, j]| *j as f64).sum::<f64>();
            sums[2] += *k as f64 * pixels.len() as f64;
        }
        let (session, count) = (mark.reading_session, n as f64);
        let volume_mm3 = count * self.spacing_mm.iter().product::<f64>();
        (n > 0).then(|| MeasuredMark {
            session,
            centre_mm: self.patient_mm(sums.map(|sum| sum / count)),
            diameter_mm: Some((6.0 / PI * volume_mm3).cbrt()),
        })
    }
}

/// A number to six significant digits, its decimal text rounded half up.
fn six_digits(number: f64) -> Option<f64> {
    luna_csv::half_up(&number.to_string(), 6).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        Grid {
            origin_mm: [-10.0, -20.0, -30.0],
            direction: [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0],
            spacing_mm: [0.5, 0.5, 2.0],
            size: None,
        }
    }

    fn mark(session: i64, kind: MarkKind, z_mm: f64, points: &[[i64; 2]]) -> DrawnColumns {
        let contour = MarkContour { z_mm, inclusion: true, points: points.to_vec() };
        DrawnColumns {
            mark_id: "m".to_owned(),
            cohort: "c".to_owned(),
            series_instance_uid: "1.2".to_owned(),
            reading_session: session,
            kind: kind.name().to_owned(),
            contours: vec![contour],
        }
    }

    /// The 20 pixels around a square of 4 × 4.
    fn square(session: i64, i: i64) -> DrawnColumns {
        let sides = (0..5).flat_map(|n| [[i + n, 4], [i + 5, 4 + n], [i + 5 - n, 9], [i, 9 - n]]);
        mark(session, MarkKind::Nodule, -25.9, &sides.collect::<Vec<_>>())
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "these numbers are exact")]
    fn heights_go_on_beyond_the_scan() {
        let point = mark(0, MarkKind::NonNodule, -35.1, &[[4, 6]]);
        let measured = grid().point(&point).unwrap();
        // Slice -2.55 + 0.5, down to -3; x and y run backwards.
        assert_eq!(measured.centre_mm, [-12.0, -23.0, -36.0]);
        assert_eq!(measured.diameter_mm, None);
        let outlined = grid().outlined(&square(0, 2)).unwrap();
        assert_eq!(outlined.centre_mm, [-12.25, -23.25, -26.0]);
        let diameter = (6.0 / PI * 16.0 * 0.5).cbrt();
        assert!((outlined.diameter_mm.unwrap() - diameter).abs() < 1e-12);
        let small = Grid { size: Some([7, 10]), ..grid() };
        assert!(small.outlined(&square(0, 2)).is_none());
        assert!(grid().outlined(&mark(0, MarkKind::Nodule, -26.0, &[[4, 6]])).is_none());
        // A gap in the line lets the flood in.
        let mut open = square(0, 2);
        open.contours[0].points.pop();
        assert!(grid().outlined(&open).is_none());
    }

    #[test]
    fn each_mark_is_a_row_of_one_file() {
        let marks = [
            square(0, 2),
            mark(0, MarkKind::NonNodule, -28.0, &[[40, 6]]),
            square(1, 3),
            mark(1, MarkKind::SmallNodule, -28.0, &[[50, 6]]),
            square(2, 5),
            mark(2, MarkKind::Nodule, -28.0, &[[50, 6]]),
        ];
        let mut all = PublishedMarks {
            scans: BTreeMap::from([("1.2".to_owned(), (grid(), Vec::new()))]),
            n_unplaced: 0,
        };
        for mark in &marks {
            all.add(mark).unwrap();
        }
        all.add(&DrawnColumns { series_instance_uid: "1.9".to_owned(), ..marks[0].clone() })
            .unwrap();
        let error =
            all.add(&DrawnColumns { contours: Vec::new(), ..marks[0].clone() }).unwrap_err();
        assert!(error.to_string().contains("mark `m` of series 1.2 has no lines"), "{error}");
        assert_eq!(all.n_unplaced, 1);
        let rows = all.rows(3);
        // Centres at columns 4.5, 5.5 and 7.5: 6.5 after the last, 5.5 after both.
        let x = |rows: &[Finding]| -> Vec<f64> { rows.iter().map(|row| row.x_mm).collect() };
        assert_eq!(x(&rows.annotations), [-12.75]);
        assert_eq!(x(&rows.findings), [-30.0, -13.25, -35.0, -13.75]);
        let points = rows.findings.iter().map(|row| row.diameter_mm.is_none());
        assert_eq!(points.collect::<Vec<_>>(), [true, false, true, false]);
    }

    #[test]
    fn spacing_has_six_digits_rounded_half_up() {
        // The four spacings of LUNA16's scans that lie halfway, in 26 scans.
        for (halfway, rounded) in [
            (0.664_062_5, 0.664_063),
            (0.539_062_5, 0.539_063),
            (0.507_812_5, 0.507_813),
            (0.632_812_5, 0.632_813),
        ] {
            assert_eq!(six_digits(halfway), Some(rounded));
        }
        assert_eq!(six_digits(0.644_531_25), Some(0.644_531));
        assert_eq!(six_digits(0.742_187_976_837), Some(0.742_188));
        assert_eq!(six_digits(0.5), Some(0.5));
    }
}
