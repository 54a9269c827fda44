//! Writes LIDC's XML.

use super::reads::{Annotations, Contour, NonNodule, Ratings, ReadNodule};
use fs_err as fs;
use std::fmt::Write;
use std::io;
use std::path::Path;

/// Writes reads in the format of LIDC's files: the same elements in the same order, and the same bytes for the same
/// reads. Nothing in the file identifies a reader.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub fn write(path: &Path, annotations: &Annotations) -> io::Result<()> {
    let mut text = String::new();
    // Writing to a string cannot fail.
    message(&mut text, annotations).map_err(io::Error::other)?;
    fs::write(path, text)
}

fn message(out: &mut String, annotations: &Annotations) -> std::fmt::Result {
    let series = escaped(&annotations.series_instance_uid);
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(out, r#"<LidcReadMessage uid="{series}.0" xmlns="http://www.nih.gov">"#)?;
    writeln!(out, "<ResponseHeader>")?;
    writeln!(out, "<Version>1.8.1</Version>")?;
    writeln!(out, "<MessageId>0</MessageId>")?;
    writeln!(out, "<DateRequest>removed</DateRequest>")?;
    writeln!(out, "<TimeRequest>removed</TimeRequest>")?;
    writeln!(out, "<RequestingSite>removed</RequestingSite>")?;
    writeln!(out, "<ServicingSite>removed</ServicingSite>")?;
    writeln!(out, "<TaskDescription>Second unblinded read</TaskDescription>")?;
    writeln!(out, "<CtImageFile>removed</CtImageFile>")?;
    writeln!(out, "<SeriesInstanceUid>{series}</SeriesInstanceUid>")?;
    if let Some((date, time)) = annotations.delivered.as_deref().and_then(|at| at.split_once(' ')) {
        writeln!(out, "<DateService>{}</DateService>", escaped(date))?;
        writeln!(out, "<TimeService>{}</TimeService>", escaped(time))?;
    }
    writeln!(out, "<ResponseDescription>1 - Reading complete</ResponseDescription>")?;
    if let Some(study) = &annotations.study_instance_uid {
        writeln!(out, "<StudyInstanceUID>{}</StudyInstanceUID>", escaped(study))?;
    }
    writeln!(out, "</ResponseHeader>")?;
    for session in &annotations.sessions {
        writeln!(out, "<readingSession>")?;
        writeln!(out, "  <annotationVersion>3.12</annotationVersion>")?;
        writeln!(out, "  <servicingRadiologistID>anonymous</servicingRadiologistID>")?;
        session.nodules.iter().try_for_each(|read| nodule(out, read))?;
        session.non_nodules.iter().try_for_each(|mark| non_nodule(out, mark))?;
        writeln!(out, "</readingSession>")?;
    }
    writeln!(out, "</LidcReadMessage>")
}

fn nodule(out: &mut String, nodule: &ReadNodule) -> std::fmt::Result {
    writeln!(out, "  <unblindedReadNodule>")?;
    writeln!(out, "    <noduleID>{}</noduleID>", escaped(&nodule.reader_nodule_id))?;
    if let Some(ratings) = &nodule.ratings {
        writeln!(out, "    <characteristics>")?;
        for (name, value) in Ratings::NAMES.iter().zip(ratings.values()) {
            // LIDC writes 0 where a reader gave no value.
            writeln!(out, "      <{name}>{}</{name}>", value.unwrap_or(0))?;
        }
        writeln!(out, "    </characteristics>")?;
    }
    nodule.contours.iter().try_for_each(|contour| roi(out, contour))?;
    writeln!(out, "  </unblindedReadNodule>")
}

fn roi(out: &mut String, contour: &Contour) -> std::fmt::Result {
    let inclusion = if contour.inclusion { "TRUE" } else { "FALSE" };
    writeln!(out, "    <roi>")?;
    writeln!(out, "      <imageZposition>{}</imageZposition>", contour.z_mm)?;
    let uid = escaped(&contour.sop_instance_uid);
    writeln!(out, "      <imageSOP_UID>{uid}</imageSOP_UID>")?;
    writeln!(out, "      <inclusion>{inclusion}</inclusion>")?;
    for [i, j] in &contour.points {
        writeln!(out, "      <edgeMap>")?;
        writeln!(out, "        <xCoord>{i}</xCoord>")?;
        writeln!(out, "        <yCoord>{j}</yCoord>")?;
        writeln!(out, "      </edgeMap>")?;
    }
    writeln!(out, "    </roi>")
}

fn non_nodule(out: &mut String, mark: &NonNodule) -> std::fmt::Result {
    let [i, j] = mark.point;
    writeln!(out, "  <nonNodule>")?;
    writeln!(out, "    <nonNoduleID>{}</nonNoduleID>", escaped(&mark.id))?;
    writeln!(out, "    <imageZposition>{}</imageZposition>", mark.z_mm)?;
    let uid = escaped(&mark.sop_instance_uid);
    writeln!(out, "    <imageSOP_UID>{uid}</imageSOP_UID>")?;
    writeln!(out, "    <locus>")?;
    writeln!(out, "      <xCoord>{i}</xCoord>")?;
    writeln!(out, "      <yCoord>{j}</yCoord>")?;
    writeln!(out, "    </locus>")?;
    writeln!(out, "  </nonNodule>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::read::read;
    use super::super::reads::Session;
    use super::*;

    fn inclusion(z_mm: f64, points: &[[i64; 2]]) -> Contour {
        let (points, sop_instance_uid) = (points.to_vec(), "1.2.3".to_owned());
        Contour { z_mm, inclusion: true, points, sop_instance_uid }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let rated = ReadNodule {
            reader_nodule_id: "a < b & \"c\"".to_owned(),
            ratings: Some(Ratings { texture: Some(5), malignancy: Some(1), ..Ratings::default() }),
            contours: vec![
                inclusion(-1.1, &[[1, 1], [2, 1], [2, 2]]),
                Contour { inclusion: false, ..inclusion(0.1 + 0.2, &[[-1, 511]]) },
            ],
        };
        let small = ReadNodule {
            reader_nodule_id: "2".to_owned(),
            ratings: None,
            contours: vec![inclusion(2.5, &[[7, 8]])],
        };
        let mark = NonNodule {
            id: "_Non-nodule 001".to_owned(),
            z_mm: 3.25,
            point: [9, 10],
            sop_instance_uid: "1.2.4".to_owned(),
        };
        let annotations = Annotations {
            series_instance_uid: "1.3.6".to_owned(),
            study_instance_uid: Some("1.3.7".to_owned()),
            delivered: Some("2006-06-05 17:08:37".to_owned()),
            sessions: vec![
                Session { nodules: vec![rated, small], non_nodules: vec![mark] },
                Session::default(),
            ],
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reads.xml");
        write(&path, &annotations).unwrap();
        assert_eq!(read(&path).unwrap(), annotations);
    }
}
