//! LIDC's reads to rows of `marks`.

use crate::formats::lidc_xml::{Annotations, Kind, NonNodule, ReadNodule};
use crate::imaging::rasterise;
use crate::tables::marks::MarkContour;
use crate::tables::{Failure, Mark, MarkKind, Scan, hash};
use crate::volume::Geometry;

/// Marks of every session; a mark that cannot be placed on the scan is a failure.
pub(super) fn marks(
    scan: &Scan,
    geometry: &Geometry,
    reads: &Annotations,
    path: &str,
) -> (Vec<Mark>, Vec<Failure>) {
    let mut marks = Vec::new();
    let mut failures = Vec::new();
    for (session, read) in reads.sessions.iter().enumerate() {
        for (n, nodule) in read.nodules.iter().enumerate() {
            let blank = blank(scan, session, &nodule.reader_nodule_id, n, path);
            match nodule_mark(blank, geometry, nodule) {
                Ok(mark) => marks.push(mark),
                Err(error) => {
                    failures.push(failure(scan, session, &nodule.reader_nodule_id, &error, path));
                }
            }
        }
        for (n, finding) in read.non_nodules.iter().enumerate() {
            let blank = blank(scan, session, &finding.id, read.nodules.len() + n, path);
            match non_nodule_mark(blank, geometry, finding) {
                Ok(mark) => marks.push(mark),
                Err(error) => failures.push(failure(scan, session, &finding.id, &error, path)),
            }
        }
    }
    (marks, failures)
}

fn nodule_mark(
    mut mark: Mark,
    geometry: &Geometry,
    nodule: &ReadNodule,
) -> Result<Mark, rasterise::Error> {
    if nodule.kind() == Kind::SmallNodule {
        MarkKind::SmallNodule.name().clone_into(&mut mark.kind);
        let point = nodule.contours.first().and_then(|c| Some((c.z_mm, *c.points.first()?)));
        let (z_mm, point) = point.ok_or(rasterise::Error::NoContours)?;
        place_point(&mut mark, geometry, z_mm, point)?;
    } else {
        let mask = rasterise::mark_mask(&nodule.contours, geometry)?;
        super::mask_marks::place_mask(&mut mark, geometry, mask);
    }
    if let Some(ratings) = &nodule.ratings {
        mark.subtlety = ratings.subtlety;
        mark.internal_structure = ratings.internal_structure;
        mark.calcification = ratings.calcification;
        mark.sphericity = ratings.sphericity;
        mark.margin = ratings.margin;
        mark.lobulation = ratings.lobulation;
        mark.spiculation = ratings.spiculation;
        mark.texture = ratings.texture;
        mark.malignancy = ratings.malignancy;
    }
    mark.contours = nodule
        .contours
        .iter()
        .map(|c| MarkContour { z_mm: c.z_mm, inclusion: c.inclusion, points: c.points.clone() })
        .collect();
    Ok(mark)
}

fn non_nodule_mark(
    mut mark: Mark,
    geometry: &Geometry,
    finding: &NonNodule,
) -> Result<Mark, rasterise::Error> {
    MarkKind::NonNodule.name().clone_into(&mut mark.kind);
    place_point(&mut mark, geometry, finding.z_mm, finding.point)?;
    Ok(mark)
}

fn place_point(
    mark: &mut Mark,
    geometry: &Geometry,
    z_mm: f64,
    [i, j]: [i64; 2],
) -> Result<(), rasterise::Error> {
    let k = rasterise::slice_of(z_mm, geometry)?;
    let [width, height, _] = geometry.size();
    if !(0..width as i64).contains(&i) || !(0..height as i64).contains(&j) {
        return Err(rasterise::Error::Outside { point: [i, j], z_mm, size: [width, height] });
    }
    let ijk = [i as f64, j as f64, k as f64];
    super::mask_marks::place_centroid(mark, geometry, ijk);
    mark.contours = vec![MarkContour { z_mm, inclusion: true, points: vec![[i, j]] }];
    Ok(())
}

fn blank(scan: &Scan, session: usize, id: &str, ordinal: usize, path: &str) -> Mark {
    let (session_text, ordinal) = (session.to_string(), ordinal.to_string());
    let parts = [scan.series_instance_uid.as_str(), &session_text, id, &ordinal, path];
    super::mask_marks::blank(scan, hash::id("m-", parts), session, id, path)
}

fn failure(scan: &Scan, session: usize, id: &str, error: &rasterise::Error, path: &str) -> Failure {
    let case = format!("{} session {session} mark {id}", scan.series_instance_uid);
    Failure::new("ingest", case, error, Some(path.to_owned()))
}
