//! The points of the regions of a structure set.

use super::point::{Point, PointPosition, PointSet};
use super::structure_set::{PatientContour, Roi};

pub(crate) fn add_region(found: &mut PointSet, roi: &Roi) {
    let label = match roi.number {
        Some(number) => format!("region {number}"),
        None => "a region without a number".to_owned(),
    };
    if let Some(defect) = &roi.defect {
        found.skipped.push(format!("{label}: {defect}"));
        found.without_point.push(label);
        return;
    }
    let n_before = found.points.len();
    let mut add = |point_mm| {
        let frame_of_reference_uid = roi.frame_of_reference_uid.clone();
        let position = PointPosition::Patient { point_mm, frame_of_reference_uid };
        found.points.push(Point {
            label: label.clone(),
            position,
            finding: None,
            confidence: None,
        });
    };
    let mut closed: Vec<&PatientContour> = Vec::new();
    let mut skipped = Vec::new();
    for contour in &roi.contours {
        match (contour.geometric_type.as_str(), &contour.points_mm[..]) {
            ("POINT", [point_mm]) => add(*point_mm),
            ("CLOSED_PLANAR" | "CLOSEDPLANAR_XOR", _) => closed.push(contour),
            (other, points) => {
                skipped.push(format!(
                    "{label} has a contour of type {other} with {} points",
                    points.len()
                ));
            }
        }
    }
    if let Some(point_mm) = centroid(&closed) {
        add(point_mm);
    }
    if roi.contours.is_empty() {
        skipped.push(format!("{label} has no contour"));
    }
    found.skipped.extend(skipped);
    // A region without contours says nothing.
    if found.points.len() == n_before && !roi.contours.is_empty() {
        found.without_point.push(label);
    }
}

/// The mean of the centroids of closed contours, weighted by area; if no contour has an area, the mean of their
/// points.
fn centroid(contours: &[&PatientContour]) -> Option<[f64; 3]> {
    let mut sum = [0.0; 4];
    for contour in contours {
        let Some(first) = contour.points_mm.first() else { continue };
        let from_first =
            |point: &[f64; 3]| -> [f64; 3] { std::array::from_fn(|a| point[a] - first[a]) };
        // The vector of the area, so that a contour may lie in any plane.
        let triangles = contour.points_mm.windows(2).map(|pair| {
            let [a, b] = [from_first(&pair[0]), from_first(&pair[1])];
            let area =
                [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
            (area, std::array::from_fn::<f64, 3, _>(|x| (a[x] + b[x]) / 3.0 + first[x]))
        });
        let triangles: Vec<_> = triangles.collect();
        let whole = triangles
            .iter()
            .fold([0.0; 3], |sum: [f64; 3], (area, _)| std::array::from_fn(|a| sum[a] + area[a]));
        let length = whole.iter().map(|x| x * x).sum::<f64>().sqrt();
        if length == 0.0 {
            continue;
        }
        for (area, centre) in triangles {
            // A triangle of the opposite orientation is subtracted.
            let weight = area.iter().zip(whole).map(|(a, b)| a * b / length).sum::<f64>();
            let terms = [centre[0] * weight, centre[1] * weight, centre[2] * weight, weight];
            sum = std::array::from_fn(|n| sum[n] + terms[n]);
        }
    }
    let mean = |sum: [f64; 4]| {
        let mean = [sum[0], sum[1], sum[2]].map(|x| x / sum[3]);
        mean.iter().all(|x| x.is_finite()).then_some(mean)
    };
    mean(sum).or_else(|| {
        let points = contours.iter().flat_map(|contour| &contour.points_mm);
        mean(
            points.fold([0.0; 4], |sum, [x, y, z]| {
                [sum[0] + x, sum[1] + y, sum[2] + z, sum[3] + 1.0]
            }),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contour(geometric_type: &str, points_mm: &[[f64; 3]]) -> PatientContour {
        PatientContour { geometric_type: geometric_type.to_owned(), points_mm: points_mm.to_vec() }
    }

    fn region(contours: Vec<PatientContour>) -> PointSet {
        let roi = Roi {
            number: Some(3),
            name: "Herr Mustermann".to_owned(),
            interpreted_type: String::new(),
            frame_of_reference_uid: Some("1.5".to_owned()),
            contours,
            defect: None,
        };
        let mut found = PointSet::default();
        add_region(&mut found, &roi);
        found
    }

    fn positions(found: &PointSet) -> Vec<[f64; 3]> {
        let positions = found.points.iter().map(|point| match point.position {
            PointPosition::Patient { point_mm, .. } => point_mm,
            PointPosition::Image { .. } => panic!("no image"),
        });
        positions.collect()
    }

    #[test]
    fn points_and_centroids_of_regions() {
        let square = |z: f64, n: f64| {
            contour("CLOSED_PLANAR", &[[0.0, 0.0, z], [n, 0.0, z], [n, n, z], [0.0, n, z]])
        };
        // Areas 4 and 16.
        let found = region(vec![square(0.0, 2.0), square(5.0, 4.0)]);
        let [[x, y, z]] = positions(&found)[..] else { panic!("one point") };
        assert!((x - 1.8).abs() < 1e-12 && (y - 1.8).abs() < 1e-12 && (z - 4.0).abs() < 1e-12);
        assert_eq!(found.points[0].label, "region 3");

        let found = region(vec![
            contour("POINT", &[[1.0, 2.0, 3.0]]),
            contour("POINT", &[[4.0, 5.0, 6.0]]),
            contour("OPEN_PLANAR", &[[0.0; 3]; 2]),
            contour("POINT", &[[0.0; 3]; 2]),
        ]);
        assert_eq!(positions(&found), [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        let expected = [
            "region 3 has a contour of type OPEN_PLANAR with 2 points",
            "region 3 has a contour of type POINT with 2 points",
        ];
        assert_eq!(found.skipped, expected);
        // A contour without an area is at the mean of its points.
        let flat = region(vec![contour("CLOSED_PLANAR", &[[1.0, 1.0, 1.0], [3.0, 1.0, 1.0]])]);
        assert_eq!(positions(&flat), [[2.0, 1.0, 1.0]]);
        let empty = region(Vec::new());
        assert_eq!(empty.skipped, ["region 3 has no contour"]);
        assert_eq!((empty.without_point.len(), found.without_point.len()), (0, 0));
        let open = region(vec![contour("OPEN_PLANAR", &[[0.0; 3]; 2])]);
        assert_eq!(open.without_point, ["region 3"]);
        let huge =
            region(vec![contour("CLOSED_PLANAR", &[[f64::MAX; 3], [f64::MIN; 3], [0.0; 3]])]);
        assert!(huge.points.len() <= 1);
    }
}
